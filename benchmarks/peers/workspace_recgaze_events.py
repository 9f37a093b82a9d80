"""The events of `benchmarks/recgaze.py`, one method per process, in the workspace's environment.

This file is apart from the benchmark because a script of that name hides the package `recgaze` from its own imports.

Methods:
    world       a recording made from planted fixations, and fixations on the study's page
    ivt         fixations by velocity, timed
    idt         fixations by dispersion, timed
    adaptive    the adaptive detector, timed
    map_aois    `CarouselLayout.locate`, timed
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from meter import Arrays, Measured, peak_mebibytes, repeat, serve


def world(_: Arrays, *, samples: int, rate: int, noise_px: float, points: int, seed: int) -> tuple[Measured, Arrays]:
    """A recording and fixations to map.

    Args:
        samples: Of the recording.
        rate: Samples per second; its step is a whole number of milliseconds, as pymovements wants.
        noise_px: Of the recording.
        points: Fixations to map, some of them beside every box.
        seed: Of all.

    Returns:
        `time` float [n] seconds, `time_ms` int64 [n], `pixel` and `position` (degrees) float [n, 2], `velocity` float
        [n, 2] degrees per second, `screen`, `rate`; `x`, `y` float [points], `boxes` float [240, 4]: rows of the page,
        each with its posters on three swipe pages side by side, heading and arrows.
    """
    from recgaze import CarouselLayout
    from recgaze.gaze import Screen
    from recgaze.synthetic import gaze_from_fixations

    rng = np.random.default_rng(seed)
    screen = Screen(1920, 1080, 53.1, 29.9, 65)
    layout = CarouselLayout.recgaze()
    planted = samples // rate * 4 + 8
    length = 0.12 + rng.gamma(3, 0.06, planted)
    onset = np.cumsum(length + 0.05) - (length + 0.05)
    x, y = rng.uniform(100, 1800, planted), rng.uniform(120, 1000, planted)
    gaze = gaze_from_fixations(onset, length, x, y, rate=rate, noise_px=noise_px, screen=screen, rng=rng)
    pixel = np.stack([gaze.x, gaze.y], axis=1)[:samples]
    position = pixel * screen.px2deg
    velocity = np.gradient(position, 1 / rate, axis=0)
    boxes = _boxes(layout)
    width, height = layout.width * layout.pages, layout.height
    # Between whole pixels: the two sides treat points on edges differently.
    spots = np.floor(rng.uniform(0, (width, height), (points, 2))) + 0.5
    out = {
        "time": np.arange(samples) / rate,
        "time_ms": np.arange(samples) * (1000 // rate),
        "pixel": pixel,
        "position": position,
        "velocity": velocity,
        "speed": np.hypot(*velocity.T),
        "screen": np.array([1920, 1080, 53.1, 29.9, 65]),
        "rate": np.array(rate),
        "x": spots[:, 0],
        "y": spots[:, 1],
        "boxes": boxes,
    }
    return {"fit_seconds": 0.0, "samples": len(pixel), "boxes": len(boxes)}, out


def ivt(
    recording: Arrays, *, repeats: int, velocity: float, min_duration: float, window: float
) -> tuple[Measured, Arrays]:
    """I-VT from speeds, and from pixels; the recording is made anew each time."""
    from recgaze import events

    def from_speeds() -> Any:
        return events.ivt(_gaze(recording), velocity, min_duration=min_duration, speed=recording["speed"])

    found, timing = repeat(from_speeds, repeats, warm=True)
    whole, pixels = repeat(
        lambda: events.ivt(_gaze(recording), velocity, min_duration=min_duration, window=window), repeats, warm=True
    )
    fixations = found.of(events.Kind.FIXATION)
    measured = {
        **timing,
        "pixels_seconds": pixels["fit_seconds"],
        "fixations": len(fixations),
        "fixations_from_pixels": len(whole.of(events.Kind.FIXATION)),
        "peak_mebibytes": peak_mebibytes(),
    }
    return measured, {"fixations": _times(recording, fixations)}


def idt(recording: Arrays, *, repeats: int, dispersion: float, min_duration: float) -> tuple[Measured, Arrays]:
    """I-DT from pixels; the recording is made anew each time."""
    from recgaze import events

    found, timing = repeat(lambda: events.idt(_gaze(recording), dispersion, min_duration), repeats, warm=True)
    measured = {**timing, "fixations": len(found), "peak_mebibytes": peak_mebibytes()}
    return measured, {"fixations": _times(recording, found)}


def adaptive(recording: Arrays, *, repeats: int) -> tuple[Measured, Arrays]:
    """The adaptive detector from pixels."""
    from recgaze import events

    found, timing = repeat(lambda: events.adaptive(_gaze(recording)), repeats, warm=True)
    fixations = found.of(events.Kind.FIXATION)
    measured = {**timing, "fixations": len(fixations), "peak_mebibytes": peak_mebibytes()}
    return measured, {"fixations": _times(recording, fixations)}


def map_aois(points: Arrays, *, repeats: int) -> tuple[Measured, Arrays]:
    """`CarouselLayout.locate` on the unfolded stimulus, by the strict rule.

    Returns:
        `box` int64 [n], the number of the box of the world that each point is in, -1: none.
    """
    from recgaze import CarouselLayout

    layout = CarouselLayout.recgaze()

    def located() -> Any:
        across, page = layout.unfold(points["x"])
        return page, layout.locate(across, points["y"], page)

    (page, found), timing = repeat(located, repeats, warm=True)
    box = _number(layout, found, page)
    return {**timing, "peak_mebibytes": peak_mebibytes()}, {"box": box}


def _boxes(layout: Any) -> np.ndarray:
    """The 240 boxes of the stimulus: swipe page by swipe page, in it row by row, each as left, right, top, bottom."""
    rows = [_row(layout, row) + page * np.array([layout.width, layout.width, 0, 0]) for page, row in _order(layout)]
    return np.concatenate(rows)


def _row(layout: Any, row: int) -> np.ndarray:
    posters = [
        (left, right, layout.top[row], layout.bottom[row])
        for left, right in zip(layout.left, layout.right, strict=True)
    ]
    return np.array([*posters, layout.headings[row], layout.backward[row], layout.forward[row]])


def _order(layout: Any) -> list[tuple[int, int]]:
    return [(page, row) for page in range(layout.pages) for row in range(layout.rows)]


def _number(layout: Any, found: Any, page: np.ndarray) -> np.ndarray:
    """Numbers of boxes in the order of `_boxes`."""
    from recgaze import Aoi

    poster = (found.column - 1) % layout.visible
    others = {Aoi.GENRE: layout.visible, Aoi.BACKWARD: layout.visible + 1, Aoi.FORWARD: layout.visible + 2}
    inside = poster.astype(np.int64)
    for kind, number in others.items():
        inside[found.kind == kind] = number
    row = (page - 1) * layout.rows + found.row - 1
    return np.where(found.kind == Aoi.BACKGROUND, -1, row * (layout.visible + 3) + inside)


def _gaze(recording: Arrays) -> Any:
    """A new recording: nothing that an earlier one worked out and kept may be reused."""
    from recgaze.gaze import Gaze, Screen

    x, y = recording["pixel"].T
    return Gaze(recording["time"], x, y, Screen(*recording["screen"].tolist()))


def _times(recording: Arrays, events: Any) -> np.ndarray:
    return recording["time_ms"][np.stack([events.onset, events.offset], axis=1)]


METHODS: dict[str, Callable[..., tuple[Measured, Arrays]]] = {
    method.__name__: method for method in (world, ivt, idt, adaptive, map_aois)
}


def prepare() -> None:
    """Load what the methods import where they use it."""
    import recgaze.events
    import recgaze.locate
    import recgaze.synthetic  # noqa: F401


if __name__ == "__main__":
    serve(METHODS, prepare)
