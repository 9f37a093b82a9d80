"""pymovements' event detection and mapping to areas. Runs inside its own environment, started by a benchmark or a test.

Methods:
    values      I-VT on many traces, exactly as given: the oracle of a test
    ivt         fixations by velocity on one recording, timed
    idt         fixations by dispersion on one recording, timed
    map_aois    fixations to rectangles, timed
"""

import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from meter import Arrays, Measured, peak_mebibytes, repeat, serve


def values(
    traces: Arrays, *, n_traces: int, velocity: float, min_duration: int, dispersion: float, min_window: int
) -> tuple[Measured, Arrays]:
    """I-VT and I-DT on every trace.

    Args:
        traces: For trace i the arrays `i_time` int64 [n], `i_velocity` float [n, 2] degrees per second with NaN, and
            `i_position` float [n, 2] degrees without; the last one may be absent, then I-DT is not run.
        n_traces: Number of traces.
        velocity: Threshold of I-VT.
        min_duration: Of I-VT, in the unit of the times.
        dispersion: Threshold of I-DT.
        min_window: Minimum duration of I-DT, in the unit of the times; a multiple of their step.

    Returns:
        Versions; for trace i `i_ivt` and `i_idt`, int64 [n_fixations, 2], times of first and last samples.
    """
    from pymovements import events

    out: Arrays = {}
    for trace in range(n_traces):
        time = traces[f"{trace}_time"]
        found = events.ivt(traces[f"{trace}_velocity"], time, min_duration, velocity)
        out[f"{trace}_ivt"] = _times(found)
        if f"{trace}_position" in traces:
            found = events.idt(traces[f"{trace}_position"], time, min_window, dispersion)
            out[f"{trace}_idt"] = _times(found)
    return {"versions": versions()}, out


def ivt(recording: Arrays, *, repeats: int, velocity: float, min_duration: int, window: int) -> tuple[Measured, Arrays]:
    """I-VT from arrays of pixels, and from velocities.

    Args:
        recording: `time_ms` int64 [n], `pixel` float [n, 2], `velocity` float [n, 2] degrees per second, `screen`
            [5] width and height in pixels, both in centimetres, distance, and `rate`.
        repeats: Timed runs; the median counts.
        velocity: Threshold.
        min_duration: Milliseconds.
        window: Samples of the Savitzky-Golay filter.

    Returns:
        `fit_seconds` from velocities to fixations, `pixels_seconds` from pixels; `fixations` int64 [m, 2].
    """
    from pymovements import events

    found, timing = repeat(
        lambda: events.ivt(recording["velocity"], recording["time_ms"], min_duration, velocity), repeats, warm=True
    )

    def from_pixels() -> Any:
        gaze = _gaze(recording)
        gaze.pos2vel("savitzky_golay", window_length=window, degree=2)
        gaze.detect("ivt", minimum_duration=min_duration, velocity_threshold=velocity)
        return gaze.events

    whole, pixels = repeat(from_pixels, repeats, warm=True)
    measured = {
        **timing,
        "pixels_seconds": pixels["fit_seconds"],
        "fixations": len(found.frame),
        "fixations_from_pixels": len(whole.frame),
        "peak_mebibytes": peak_mebibytes(),
        "versions": versions(),
    }
    return measured, {"fixations": _times(found)}


def idt(recording: Arrays, *, repeats: int, dispersion: float, min_duration: int) -> tuple[Measured, Arrays]:
    """I-DT from positions in degrees, without a lost sample.

    Args:
        recording: `time_ms` int64 [n], `position` float [n, 2] degrees.
        repeats: Timed runs; the median counts.
        dispersion: Degrees.
        min_duration: Milliseconds, a multiple of the step.
    """
    from pymovements import events

    found, timing = repeat(
        lambda: events.idt(recording["position"], recording["time_ms"], min_duration, dispersion), repeats, warm=True
    )
    measured = {
        **timing,
        "fixations": len(found.frame),
        "peak_mebibytes": peak_mebibytes(),
        "versions": versions(),
    }
    return measured, {"fixations": _times(found)}


def map_aois(points: Arrays, *, repeats: int) -> tuple[Measured, Arrays]:
    """`Events.map_to_aois`: the rectangle that each fixation is in.

    Args:
        points: `x` and `y` float [n] pixels, `boxes` float [n_boxes, 4] left, right, top, bottom.
        repeats: Timed runs; the median counts.

    Returns:
        `box` int64 [n], number of the rectangle, -1: none.
    """
    import polars as pl
    from pymovements.events import Events
    from pymovements.stimulus import TextStimulus

    left, right, top, bottom = points["boxes"].T
    names = [str(number) for number in range(len(left))]
    # An edge belongs to our boxes and, to the right and below, not to pymovements': no point lies on one.
    columns = {"area": names, "left": left, "top": top, "right": right, "bottom": bottom}
    edges = {f"{end}_{axis}_column": name for (end, axis), name in _EDGES.items()}
    areas = TextStimulus(pl.DataFrame(columns), aoi_column="area", **edges)
    place = np.stack([points["x"], points["y"]], axis=1).tolist()
    start = np.arange(len(place)) * 2

    def mapped() -> Any:
        rows = {"name": ["fixation"] * len(place), "onset": start, "offset": start + 1, "location": place}
        events = Events(pl.DataFrame(rows))
        events.map_to_aois(areas, verbose=False)
        return events.frame

    frame, timing = repeat(mapped, repeats, warm=True)
    box = np.array([-1 if name is None else int(name) for name in frame["area"].to_list()])
    return {**timing, "peak_mebibytes": peak_mebibytes(), "versions": versions()}, {"box": box}


_EDGES = {("start", "x"): "left", ("start", "y"): "top", ("end", "x"): "right", ("end", "y"): "bottom"}


def _gaze(recording: Arrays) -> Any:
    import pymovements

    *screen, distance = recording["screen"].tolist()
    experiment = pymovements.Experiment(*screen, distance, "upper left", float(recording["rate"]))
    gaze = pymovements.gaze.from_numpy(
        time=recording["time_ms"], pixel=recording["pixel"].T, experiment=experiment, time_unit="ms"
    )
    gaze.pix2deg()
    return gaze


def _times(events: Any) -> np.ndarray:
    return np.asarray(events.frame.select("onset", "offset").to_numpy(), dtype=np.int64).reshape(-1, 2)


def versions() -> dict[str, str]:
    """Of pymovements, what it stands on, and Python."""
    return {name: version(name) for name in ("pymovements", "numpy", "polars")} | {"python": sys.version.split()[0]}


METHODS: dict[str, Callable[..., tuple[Measured, Arrays]]] = {
    method.__name__: method for method in (values, ivt, idt, map_aois)
}


def prepare() -> None:
    """Load what the methods import where they use it, without its warnings."""
    warnings.simplefilter("ignore")
    import pymovements.events  # noqa: F401


if __name__ == "__main__":
    serve(METHODS, prepare)
