"""The verb on raw gaze: from samples to events, and to what they are on."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irworks.errors import ArgumentError
from irworks.runtime.terminal import warnings_as_lines
from recgaze.cli.options import Json, RuleChoice, echo_json, refuse
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
    velocity: Annotated[float | None, typer.Option(help="ivt: degrees per second; default: 30.")] = None,
    dispersion: Annotated[float | None, typer.Option(help="idt: degrees; default: 1.")] = None,
    min_duration: Annotated[float | None, typer.Option(help="Seconds; default: that of the detector.")] = None,
    tobii: Annotated[bool, typer.Option("--tobii", help="The file is a Tobii Pro Lab export.")] = False,
    t: Annotated[str | None, typer.Option("--t", metavar="COLUMN", help="Time; default: t.")] = None,
    x: Annotated[str | None, typer.Option("--x", metavar="COLUMN", help="To the right, pixels; default: x.")] = None,
    y: Annotated[str | None, typer.Option("--y", metavar="COLUMN", help="Downwards, pixels; default: y.")] = None,
    valid: Annotated[str | None, typer.Option(metavar="COLUMN", help="0 where the eye was lost.")] = None,
    lost: Annotated[
        tuple[float, float] | None, typer.Option(metavar="X Y", help="Position written where the eye was lost: 0 0.")
    ] = None,
    time_unit: Annotated[
        TimeUnitChoice | None, typer.Option(help="Of the times; default: seconds, or what a Tobii export says.")
    ] = None,
    screen_px: Annotated[
        tuple[int, int] | None, typer.Option(help="Width and height of the screen; default: 1920 1080.")
    ] = None,
    screen_cm: Annotated[float | None, typer.Option(help="Width of the picture.")] = None,
    distance_cm: Annotated[float | None, typer.Option(help="From the eyes to the screen.")] = None,
    layout: Annotated[
        str | None, typer.Option(help="Say what each fixation is on: 'recgaze', or a file like aoi_data.csv.")
    ] = None,
    rule: Annotated[
        RuleChoice | None, typer.Option(help="Of --layout, for a fixation beside all areas; default: closest.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Detect fixations and saccades in raw gaze, and map them to a carousel page.

    The table says of each fixation what it is on where the page was not scrolled and no carousel swiped; for other
    recordings call `CarouselLayout.locate` with scroll and pages. An option that the file, the detector or a table
    without areas has no use for is refused.
    """
    from recgaze.data.writing import require_table_name, write_table

    columns = {"--t": t, "--x": x, "--y": y}
    losses = {"--valid": valid, "--lost": lost}
    screen = {"--screen-px": screen_px, "--screen-cm": screen_cm, "--distance-cm": distance_cm}
    if gaze.suffix == ".mat":
        told = {"--tobii": tobii or None} | columns | losses | {"--time-unit": time_unit} | screen
        refuse(told, "a .mat file", "it says itself what it holds, and of which screen")
    elif tobii:
        refuse(columns | losses, "--tobii", "an export has its own columns, and leaves lost positions empty")
    if method is not MethodChoice.ivt:
        refuse({"--velocity": velocity}, f"--method {method.value}", "it is the threshold of ivt")
    if method is not MethodChoice.idt:
        refuse({"--dispersion": dispersion}, f"--method {method.value}", "it is the threshold of idt")
    if layout is None:
        refuse({"--rule": rule}, "a table without --layout", "it holds no areas")
    require_out(out, [gaze, *([] if layout is None else [Path(layout)])])
    require_table_name(out)
    with warnings_as_lines():
        samples = _read(gaze, tobii, columns, losses, time_unit, screen)
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


def _read(
    path: Path,
    tobii: bool,
    columns: dict[str, str | None],
    losses: dict[str, Any],
    time_unit: TimeUnitChoice | None,
    screen: dict[str, Any],
) -> "Gaze":
    from recgaze.gaze import Screen
    from recgaze.gaze_files import read_gaze, read_lund, read_tobii

    if path.suffix == ".mat":
        return read_lund(path)[0]
    width_cm, distance_cm = screen["--screen-cm"], screen["--distance-cm"]
    if width_cm is None or distance_cm is None:
        raise ArgumentError(
            "--screen-cm and --distance-cm are missing; expected both, since thresholds are in degrees of visual angle"
        )
    across, down = screen["--screen-px"] or (1920, 1080)
    size = Screen(across, down, width_cm=width_cm, distance_cm=distance_cm)
    told = {name.strip("-"): value for name, value in (columns | losses).items()}
    given = _given(**told, time_unit=None if time_unit is None else time_unit.value)
    return (read_tobii if tobii else read_gaze)(path, screen=size, **given)


def _detect(
    gaze: "Gaze", method: MethodChoice, velocity: float | None, dispersion: float | None, min_duration: float | None
) -> "Events":
    from recgaze import events as detectors

    if method is MethodChoice.adaptive:
        return detectors.adaptive(gaze, **_given(min_fixation=min_duration))
    if method is MethodChoice.idt:
        return detectors.idt(gaze, **_given(dispersion=dispersion, min_duration=min_duration))
    return detectors.ivt(gaze, **_given(velocity=velocity, min_duration=min_duration))


def _given(**options: Any) -> dict[str, Any]:
    """Options that were given; the others are left to what has the defaults."""
    return {name: value for name, value in options.items() if value is not None}


def _located(table: "pd.DataFrame", layout: str, rule: RuleChoice | None) -> "pd.DataFrame":
    """What each fixation is on, the page not scrolled and the first swipe page of every carousel in view."""
    import numpy as np
    import pandas as pd

    from recgaze import Aoi, CarouselLayout

    page = CarouselLayout.recgaze() if layout == "recgaze" else CarouselLayout.from_csv(layout)
    found = page.locate(
        table["x"].to_numpy(), table["y"].to_numpy(), scroll_y=0.0, rule=(rule or RuleChoice.closest).value
    )
    labels = np.array([aoi.label for aoi in Aoi], dtype=object)
    still = (table["kind"] == "fixation").to_numpy()
    places = {"row": found.row, "column": found.column}
    located = {name: pd.array(np.where(still, values, 0)).astype("Int64") for name, values in places.items()}
    for values in located.values():
        values[~still] = pd.NA
    area = labels[found.kind]
    area[~still] = None
    return table.assign(area=area, **located)
