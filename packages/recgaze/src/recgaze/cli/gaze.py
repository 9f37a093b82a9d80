"""The verb on raw gaze: from samples to events, and to what they are on."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irworks.errors import ArgumentError
from irworks.runtime.terminal import warnings_as_lines
from recgaze.cli.options import Json, Rule, RuleChoice, echo_json
from recgaze.cli.outputs import require_out

if TYPE_CHECKING:
    import pandas as pd

    from recgaze.events import Events
    from recgaze.gaze import Gaze

__all__ = ["events"]


class MethodChoice(StrEnum):
    """Detectors."""

    ivt = "ivt"
    idt = "idt"
    adaptive = "adaptive"


class TimeUnitChoice(StrEnum):
    """Units of the timestamps."""

    s = "s"
    ms = "ms"
    us = "us"


def events(
    gaze: Annotated[Path, typer.Argument(metavar="GAZE", help="Samples: .csv, .tsv, .parquet; a Tobii export; .mat.")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="Table of events to write: .csv or .parquet.")],
    method: Annotated[MethodChoice, typer.Option(help="Detector.")] = MethodChoice.ivt,
    velocity: Annotated[float, typer.Option(help="ivt: threshold, degrees per second.")] = 30.0,
    dispersion: Annotated[float, typer.Option(help="idt: threshold, degrees.")] = 1.0,
    min_duration: Annotated[float | None, typer.Option(help="Seconds; default: that of the detector.")] = None,
    tobii: Annotated[bool, typer.Option("--tobii", help="The file is a Tobii Pro Lab export.")] = False,
    t: Annotated[str, typer.Option("--t", metavar="COLUMN", help="Time.")] = "t",
    x: Annotated[str, typer.Option("--x", metavar="COLUMN", help="To the right, pixels.")] = "x",
    y: Annotated[str, typer.Option("--y", metavar="COLUMN", help="Downwards, pixels.")] = "y",
    valid: Annotated[str | None, typer.Option(metavar="COLUMN", help="0 where the eye was lost.")] = None,
    lost: Annotated[
        tuple[float, float] | None, typer.Option(metavar="X Y", help="Position written where the eye was lost: 0 0.")
    ] = None,
    time_unit: Annotated[
        TimeUnitChoice | None, typer.Option(help="Of the times; default: seconds, or what a Tobii export says.")
    ] = None,
    screen_px: Annotated[tuple[int, int], typer.Option(help="Width and height of the screen.")] = (1920, 1080),
    screen_cm: Annotated[float | None, typer.Option(help="Width of the picture.")] = None,
    distance_cm: Annotated[float | None, typer.Option(help="From the eyes to the screen.")] = None,
    layout: Annotated[
        str | None, typer.Option(help="Say what each fixation is on: 'recgaze', or a file like aoi_data.csv.")
    ] = None,
    rule: Rule = RuleChoice.closest,
    as_json: Json = False,
) -> None:
    """Detect fixations and saccades in raw gaze, and map them to a carousel page.

    The table says of each fixation what it is on where the page was not scrolled and no carousel swiped; for other
    recordings call `CarouselLayout.locate` with scroll and pages.
    """
    from recgaze.data.writing import write_table

    require_out(out, [gaze, *([] if layout is None else [Path(layout)])])
    with warnings_as_lines():
        reader = _reader(tobii, (t, x, y), valid, lost, time_unit)
        samples = _read(gaze, reader, (screen_px, screen_cm, distance_cm))
        found = _detect(samples, method, velocity, dispersion, min_duration)
    table = found.to_frame()
    if layout is not None:
        table = _located(table, layout, rule)
    write_table(table, out)
    counts = {str(name): int(number) for name, number in table["kind"].value_counts().items()}
    if as_json:
        echo_json({"events": counts, "out": str(out), "samples": len(samples)})
        return
    typer.echo(repr(samples))
    typer.echo(", ".join(f"{number:,} of kind {name}" for name, number in counts.items()) or "no event")
    typer.echo(f"written to {out}")


def _reader(
    tobii: bool,
    columns: tuple[str, str, str],
    valid: str | None,
    lost: tuple[float, float] | None,
    time_unit: TimeUnitChoice | None,
) -> "Callable[..., Gaze]":
    """What reads the file, given its path and the screen."""
    from recgaze.gaze_files import read_gaze, read_tobii

    if tobii:
        if valid is not None or lost is not None:
            raise ArgumentError("--tobii has no --valid and no --lost; an export leaves lost positions empty")
        return partial(read_tobii, time_unit=None if time_unit is None else time_unit.value)
    t, x, y = columns
    unit = TimeUnitChoice.s if time_unit is None else time_unit
    return partial(read_gaze, t=t, x=x, y=y, valid=valid, lost=lost, time_unit=unit.value)


def _read(
    path: Path, reader: "Callable[..., Gaze]", size: tuple[tuple[int, int], float | None, float | None]
) -> "Gaze":
    from recgaze.gaze import Screen
    from recgaze.gaze_files import read_lund

    if path.suffix == ".mat":
        return read_lund(path)[0]
    pixels, width_cm, distance_cm = size
    if width_cm is None or distance_cm is None:
        raise ArgumentError(
            "--screen-cm and --distance-cm are missing; expected both, since thresholds are in degrees of visual angle"
        )
    return reader(path, screen=Screen(*pixels, width_cm=width_cm, distance_cm=distance_cm))


def _detect(
    gaze: "Gaze", method: MethodChoice, velocity: float, dispersion: float, min_duration: float | None
) -> "Events":
    from recgaze import events as detectors

    name = "min_fixation" if method is MethodChoice.adaptive else "min_duration"
    options: dict[str, Any] = {} if min_duration is None else {name: min_duration}
    if method is MethodChoice.ivt:
        return detectors.ivt(gaze, velocity, **options)
    if method is MethodChoice.idt:
        return detectors.idt(gaze, dispersion, **options)
    return detectors.adaptive(gaze, **options)


def _located(table: "pd.DataFrame", layout: str, rule: RuleChoice) -> "pd.DataFrame":
    """What each fixation is on, the page not scrolled and the first swipe page of every carousel in view."""
    import numpy as np
    import pandas as pd

    from recgaze import Aoi, CarouselLayout

    page = CarouselLayout.recgaze() if layout == "recgaze" else CarouselLayout.from_csv(layout)
    found = page.locate(table["x"].to_numpy(), table["y"].to_numpy(), scroll_y=0.0, rule=rule.value)
    labels = np.array([aoi.label for aoi in Aoi], dtype=object)
    still = (table["kind"] == "fixation").to_numpy()
    places = {"row": found.row, "column": found.column}
    located = {name: pd.array(np.where(still, values, 0)).astype("Int64") for name, values in places.items()}
    for values in located.values():
        values[~still] = pd.NA
    area = labels[found.kind]
    area[~still] = None
    return table.assign(area=area, **located)
