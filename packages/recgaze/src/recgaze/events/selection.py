"""The threshold of I-VT from labelled recordings, and its score on recordings that did not choose it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from recgaze.events.agreement import kappa
from recgaze.events.ivt import ivt
from recgaze.events.table import Kind
from recgaze.events.velocity import speed
from recgaze.gaze import Gaze

__all__ = ["VELOCITIES", "VelocityChoice", "choose_velocity", "held_out_labels"]

IntArray = NDArray[np.int64]
Recording = tuple[Gaze, ArrayLike]

VELOCITIES = tuple(float(one) for one in range(15, 65, 5))


@dataclass(frozen=True)
class VelocityChoice:
    """A threshold, and how each candidate did.

    Attributes:
        velocity: The candidate of highest kappa, degrees per second; of equally good ones the lowest.
        kappas: Kappa by candidate, over all recordings.
    """

    velocity: float
    kappas: dict[float, float]


def choose_velocity(
    recordings: Sequence[Recording],
    velocities: Sequence[float] = VELOCITIES,
    event: Kind | Sequence[Kind] = Kind.FIXATION,
    **options: Any,
) -> VelocityChoice:
    """The I-VT threshold that agrees best with labels, over the samples of all recordings.

    Args:
        recordings: Gaze, and int [n] labels of a coder, numbers of a `Kind`.
        velocities: Candidates, degrees per second.
        event: The kind, or kinds that count as one.
        options: Further arguments of `ivt`, the same for all.

    Raises:
        ArgumentError: No recording, no candidate, or labels that do not fit their gaze.
    """
    made, truth = _labelled(recordings, velocities, options)
    return _best([np.concatenate(one) for one in made], np.concatenate(truth), velocities, event)


def held_out_labels(
    recordings: Sequence[Recording],
    velocities: Sequence[float] = VELOCITIES,
    event: Kind | Sequence[Kind] = Kind.FIXATION,
    groups: ArrayLike | None = None,
    **options: Any,
) -> tuple[list[IntArray], list[float]]:
    """I-VT labels of each recording, with the threshold that the others choose.

    Args:
        recordings: As for `choose_velocity`, at least two.
        velocities: Candidates.
        event: The kind, or kinds that count as one, that choose.
        groups: [n_recordings], such as the person: a recording's threshold is chosen without its whole group. Default:
            each is a group of its own.
        options: Further arguments of `ivt`.

    Returns:
        int64 [n] labels of each recording; its threshold.

    Raises:
        ArgumentError: As `choose_velocity`; or fewer than two groups.
    """
    group = np.arange(len(recordings)) if groups is None else np.asarray(groups)
    if group.shape != (len(recordings),) or len(np.unique(group)) < 2:
        raise ArgumentError(f"{len(recordings)} recordings and groups of shape {group.shape}; expected two groups")
    made, truth = _labelled(recordings, velocities, options)
    labels, chosen = [], []
    for number in range(len(recordings)):
        others = np.flatnonzero(group != group[number])
        joined = [np.concatenate([one[other] for other in others]) for one in made]
        best = _best(joined, np.concatenate([truth[other] for other in others]), velocities, event).velocity
        chosen.append(best)
        labels.append(made[list(velocities).index(best)][number])
    return labels, chosen


def _labelled(
    recordings: Sequence[Recording], velocities: Sequence[float], options: dict[str, Any]
) -> tuple[list[list[IntArray]], list[IntArray]]:
    """Labels by candidate and recording, and the coder's."""
    if not recordings or not velocities:
        raise ArgumentError(f"{len(recordings)} recordings and {len(velocities)} velocities; expected some of each")
    truth = [np.asarray(labels, dtype=np.int64) for _, labels in recordings]
    for number, ((gaze, _), labels) in enumerate(zip(recordings, truth, strict=True)):
        if labels.shape != gaze.t.shape:
            raise ArgumentError(
                f"recording {number} has {len(gaze)} samples and labels of shape {labels.shape}; expected one each"
            )
    asked = {name: options[name] for name in ("window", "max_gap") if name in options}
    rates = [speed(gaze, **asked) for gaze, _ in recordings]
    made = [
        [
            ivt(gaze, velocity, speed=rate, **options).labels(len(gaze)).astype(np.int64)
            for (gaze, _), rate in zip(recordings, rates, strict=True)
        ]
        for velocity in velocities
    ]
    return made, truth


def _best(
    made: list[IntArray], truth: IntArray, velocities: Sequence[float], event: Kind | Sequence[Kind]
) -> VelocityChoice:
    kappas = {velocity: kappa(labels, truth, event) for velocity, labels in zip(velocities, made, strict=True)}
    if all(np.isnan(value) for value in kappas.values()):
        raise ArgumentError("no candidate has a kappa; expected labels that are not all alike")
    return VelocityChoice(max(kappas, key=lambda one: (np.nan_to_num(kappas[one], nan=-2.0), -one)), kappas)
