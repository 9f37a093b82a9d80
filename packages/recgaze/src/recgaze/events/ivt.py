"""I-VT: fixations are where the eye is slow."""

import numpy as np
from numpy.typing import ArrayLike

from irworks.errors import ArgumentError
from recgaze.arguments import require_kind
from recgaze.events.table import Events, Kind, long_enough, runs_in
from recgaze.events.velocity import speed as angular_speed
from recgaze.gaze import Gaze

__all__ = ["ivt"]


def ivt(
    gaze: Gaze,
    velocity: float = 30.0,
    *,
    window: float = 0.02,
    min_duration: float = 0.05,
    min_saccade: float = 0.01,
    merge: tuple[float, float] | None = None,
    max_gap: float | None = None,
    speed: ArrayLike | None = None,
) -> Events:
    """Fixations and saccades by a threshold of speed (Salvucci and Goldberg 2000, I-VT).

    A run of samples slower than the threshold is a fixation, one of others a saccade. Runs end at gaps, and runs that
    are too short are no event. Pursuit is slow too: on moving stimuli read "fixation" as "fixation or pursuit".

    Noisy gaze (above a tenth of a degree at 100 Hz and more) breaks fixations up: use a longer window and `merge`.

    Args:
        gaze: The recording.
        velocity: The threshold, degrees per second. `choose_velocity` finds one for labelled recordings.
        window: As in `speed`.
        min_duration: Fixations are not shorter from their first sample to the last, seconds.
        min_saccade: Saccades are not shorter, seconds.
        merge: max_gap in seconds and max_angle in degrees of `Events.merge_fixations`, done before what is too short is
            dropped; (0.075, 0.5) are Tobii's. None: nothing is merged.
        max_gap: As in `Gaze.segments`.
        speed: float [n], degrees per second, NaN where not known, in place of the package's own; then gaze in pixels
            needs no screen.

    Raises:
        ArgumentError: The threshold is not positive, a duration is negative, the speeds do not fit the gaze, or as
            `speed` and `Events.merge_fixations`.
    """
    require_kind("gaze", gaze, Gaze, "Gaze, such as read_gaze gives")
    if not velocity > 0:
        raise ArgumentError(f"velocity={velocity!r}; expected degrees per second, more than 0")
    for name, value in (("min_duration", min_duration), ("min_saccade", min_saccade)):
        if not value >= 0:
            raise ArgumentError(f"{name}={value!r}; expected seconds, at least 0")
    rate = angular_speed(gaze, window, max_gap) if speed is None else np.asarray(speed, dtype=np.float64)
    if rate.shape != gaze.t.shape:
        raise ArgumentError(f"speed has shape {rate.shape}; expected one for each of {len(gaze)} samples")
    rate = np.where(gaze.lost, np.nan, rate)
    codes = np.where(rate < velocity, Kind.FIXATION, np.where(rate >= velocity, Kind.SACCADE, Kind.NONE))
    onset, offset = runs_in(codes, gaze.segments(max_gap)[0])
    kind = codes[onset]
    need = np.array([np.inf, min_duration if merge is None else 0.0, min_saccade])[kind]
    keep = long_enough(gaze.t[onset], gaze.t[offset], need)
    events = Events.of_samples(gaze, onset[keep], offset[keep], kind[keep])
    return events if merge is None else events.merge_fixations(*merge).at_least(min_duration)
