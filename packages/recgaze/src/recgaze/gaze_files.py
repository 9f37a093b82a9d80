"""Reading raw gaze: tables, exports of Tobii Pro Lab, and the hand-coded recordings of Andersson et al. (2017)."""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from irworks.data.columns import Place, check_present, numbers, zeros_and_ones
from irworks.data.tables import read_table
from irworks.errors import ArgumentError, DataError
from recgaze.gaze import FASTEST_STEP, SLOWEST_STEP, Gaze, GazeWarning, Screen, Unit

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CodedRecording", "TimeUnit", "read_coded", "read_gaze", "read_lund", "read_tobii"]

FloatArray = NDArray[np.float64]
TimeUnit = Literal["s", "ms", "us"]

_PER_SECOND: dict[str, float] = {"s": 1.0, "ms": 1e3, "us": 1e6}
_TIME = "a number of seconds, milliseconds or microseconds; a date or a clock time has to be turned into one"
_SAID = 'time_unit="s", "ms" or "us" (on the command line: --time-unit)'
# How trackers write a position that they do not have.
_NOTHING = ("", ".", "NA", "NaN", "nan")
# Positions that trackers write where they have none, and the share of samples from which on that is suspected.
_BLINKS, _MANY = ((0.0, 0.0), (-1.0, -1.0)), 0.005


def read_gaze(
    path: str | Path,
    *,
    t: str = "t",
    x: str = "x",
    y: str = "y",
    valid: str | None = None,
    time_unit: TimeUnit = "s",
    unit: Unit = "px",
    screen: Screen | None = None,
    lost: tuple[float, float] | None = None,
) -> Gaze:
    """Read a table with a sample a row, of one recording.

    Args:
        path: A CSV, TSV or Parquet file.
        t: Column of times, strictly ascending; numbers, not dates.
        x: Column of horizontal positions; empty, `.` or NaN where the eye was lost.
        y: Column of vertical positions.
        valid: Column of 0 and 1: samples of 0 are lost. None: there is none.
        time_unit: Of the times: "s", "ms" or "us".
        unit: Of the positions: "px" or "deg".
        screen: The screen.
        lost: The position, x and y, that the tracker wrote where it had none, such as (0, 0). None: there is none.

    Raises:
        ArgumentError: An unknown unit.
        DataError: The file is missing, malformed or empty; a column is missing; a value is not a number; times are not
            ascending, or in another unit than said: with the line or row.

    Warns:
        GazeWarning: Positions in pixels that are all from 0 to 1, mostly off the screen, or often (0, 0) or (-1, -1).
    """
    if time_unit not in _PER_SECOND:
        raise ArgumentError(f'time_unit={time_unit!r}; expected "s", "ms" or "us"')
    frame, place = _read(Path(path))
    check_present([name for name in (t, x, y, valid) if name is not None], list(frame.columns), Path(path).name)
    times = numbers(frame, t, place, _TIME)
    across, down = _positions(frame, x, place), _positions(frame, y, place)
    gone = np.zeros(len(times), dtype=bool)
    if valid is not None:
        gone |= ~zeros_and_ones(frame, valid, place, "valid")
    if lost is not None:
        gone |= (across == lost[0]) & (down == lost[1])
    across, down = np.where(gone, np.nan, across), np.where(gone, np.nan, down)
    gaze = _made(times / _PER_SECOND[time_unit], across, down, place, t, screen, unit)
    if unit == "px":
        _warn_of_positions(gaze, place.source)
    return gaze


def _warn_of_positions(gaze: Gaze, source: str) -> None:
    """Warn of positions that are read as pixels and are none."""
    x, y = gaze.x[~gaze.lost], gaze.y[~gaze.lost]
    if not len(x):
        return
    if min(x.min(), y.min()) >= 0 and max(x.max(), y.max()) <= 1:
        _warn(
            f"{source}: all positions are from 0 to 1: shares of the screen, not pixels? Then multiply them by its size"
        )
        return
    for at in _BLINKS:
        share = float(np.mean((x == at[0]) & (y == at[1])))
        if share > _MANY:
            code = f"({at[0]:g}, {at[1]:g})"
            _warn(
                f"{source}: {share:.1%} of the positions are {code}: is that how the tracker writes a lost eye? Then "
                f"say lost={code} (on the command line: --lost {at[0]:g} {at[1]:g})"
            )
    if gaze.screen is None:
        return
    off = (x < 0) | (y < 0) | (x > gaze.screen.width_px) | (y > gaze.screen.height_px)
    if off.mean() > 0.5:
        _warn(
            f"{source}: {off.mean():.0%} of the positions are off the screen of {gaze.screen.width_px:g} x "
            f"{gaze.screen.height_px:g} pixels: is it another screen, or another unit?"
        )


def _warn(text: str) -> None:
    warnings.warn(text, GazeWarning, stacklevel=4)


def read_tobii(path: str | Path, *, screen: Screen | None = None, time_unit: TimeUnit | None = None) -> Gaze:
    """Read the samples of a Tobii Pro Lab export: `Recording timestamp`, `Gaze point X` and `Gaze point Y`.

    Column names may carry units, as in `Gaze point X [DACS px]`; without one, positions are pixels. `norm`, shares of
    what was shown, become pixels of the screen, which it is taken to fill. Where there is a column `Sensor`, rows of
    other sensors and of events are left out. Times start at 0.

    Args:
        path: The export, tab-separated (.tsv), of one recording.
        screen: The screen.
        time_unit: Of the timestamps. Default: as the column's name says, else microseconds.

    Raises:
        DataError: As `read_gaze`; the file holds several recordings; positions are in `norm` without a screen, or in
            another unit; timestamps are in a unit that is not known.

    Warns:
        GazeWarning: As `read_gaze`.
    """
    frame, place = _read(Path(path))
    name = {wanted: _named(frame, wanted, place) for wanted in ("Recording timestamp", "Gaze point X", "Gaze point Y")}
    stamp = name["Recording timestamp"]
    for column in ("Recording name", "Participant name"):
        values = frame[column].dropna().unique() if column in frame.columns else ()
        if len(values) > 1:
            raise DataError(
                "several recordings in one file",
                source=place.source,
                column=column,
                found=", ".join(str(value) for value in values[:5]),
                expected="one",
                hint="Export a file for each recording",
            )
    if "Sensor" in frame.columns:
        rows = np.flatnonzero((frame["Sensor"] == "Eye Tracker").to_numpy(dtype=bool, na_value=False))
        frame, place = frame.iloc[rows].reset_index(drop=True), Place(place.source, csv=place.csv, rows=rows)
        if not len(frame):
            raise DataError(
                "no sample of an eye tracker", source=place.source, column="Sensor", expected="rows of 'Eye Tracker'"
            )
    times = numbers(frame, stamp, place, _TIME) / _PER_SECOND[time_unit or _tobii_time_unit(stamp, place)]
    sizes = (None, None) if screen is None else (screen.width_px, screen.height_px)
    names = (name["Gaze point X"], name["Gaze point Y"])
    across, down = (_tobii_pixels(frame, one, size, place) for one, size in zip(names, sizes, strict=True))
    gaze = _made(times - times[0], across, down, place, stamp, screen, "px")
    _warn_of_positions(gaze, place.source)
    return gaze


def _written_unit(column: str) -> str | None:
    """What stands in brackets behind a name, without the coordinate system before it: `px` of `[DACS px]`."""
    found = re.search(r"\[(.+)\]", column)
    return found[1].split()[-1] if found and found[1].strip() else None


def _tobii_time_unit(column: str, place: Place) -> str:
    unit = _written_unit(column)
    # The micro sign and the Greek letter look alike.
    known = {None: "us", "us": "us", "µs": "us", "μs": "us", "ms": "ms", "s": "s"}
    if unit not in known:
        raise DataError(
            "times in an unknown unit", source=place.source, column=column, found=unit, expected="us, ms or s"
        )
    return known[unit]


def _tobii_pixels(frame: "pd.DataFrame", column: str, size: float | None, place: Place) -> FloatArray:
    """Positions along one side of the screen, of `size` pixels, as pixels."""
    unit, values = _written_unit(column), _positions(frame, column, place)
    if unit in (None, "px"):
        return values
    if unit == "norm" and size is not None:
        return values * size
    raise DataError(
        "positions are in another unit",
        source=place.source,
        column=column,
        found=unit,
        expected="px, or norm with a screen",
        hint="Export the gaze in pixels",
    )


def read_lund(path: str | Path) -> tuple[Gaze, NDArray[np.int64]]:
    """Read a recording of Andersson et al. (2017) with the labels of one coder.

    Positions (0, 0) are lost samples. The last rows of some files carry no time, all rows of others: they are given
    the median step after the sample before, or that of the file's sampling rate. Some files say 500 Hz and were
    recorded at 200: the times count.

    Args:
        path: A file `*_labelled_*.mat` of github.com/richardandersson/EyeMovementDetectorEvaluation.

    Returns:
        The gaze, on the screen that the file describes; the labels, int64 [n], numbers of a `recgaze.events.Kind`.

    Raises:
        DataError: The file is missing or no such recording.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    file = Path(path)
    if not file.is_file():
        raise DataError("no such file", source=file)
    try:
        data = loadmat(file)["ETdata"][0, 0]
        samples, size = np.asarray(data["pos"], dtype=np.float64), np.ravel(data["screenDim"])
        pixels, distance = np.ravel(data["screenRes"]), float(np.ravel(data["viewDist"])[0])
        rate = float(np.ravel(data["sampFreq"])[0])
        width, height = (100 * float(one) for one in size)
        screen = Screen(float(pixels[0]), float(pixels[1]), width, height, 100 * distance)
        time, _, _, x, y, labels = samples.T
    except (KeyError, IndexError, TypeError, ValueError, NotImplementedError, MatReadError) as error:
        raise DataError(
            f"not a labelled recording: {type(error).__name__} {error}",
            source=file.name,
            expected="a .mat file with ETdata: pos [n, 6], screenDim, screenRes, viewDist and sampFreq",
        ) from None
    lost = (x == 0) & (y == 0)
    x, y = np.where(lost, np.nan, x), np.where(lost, np.nan, y)
    return _made(_mended(time / 1e6, rate), x, y, Place(file.name), "pos", screen, "px"), labels.astype(np.int64)


@dataclass(frozen=True, eq=False)
class CodedRecording:
    """A recording that several people labelled.

    Attributes:
        name: Person and stimulus, such as `TH34_img_Europe`.
        gaze: The samples that all coders have: at the end of some, a few are missing.
        labels: int64 [n] by coder, numbers of a `recgaze.events.Kind`.
    """

    name: str
    gaze: Gaze
    labels: dict[str, NDArray[np.int64]]

    @property
    def person(self) -> str:
        """Who looked: the first part of the name."""
        return self.name.split("_")[0]


def read_coded(folder: str | Path) -> list[CodedRecording]:
    """Read the recordings of a folder of Andersson et al. (2017), each with the labels of all its coders.

    Args:
        folder: With files `<recording>_labelled_<coder>.mat`, as `read_lund` reads them.

    Returns:
        Recordings by name.

    Raises:
        DataError: There is no such file; coders of one recording have other samples; or as `read_lund`.
    """
    files: dict[str, dict[str, Path]] = {}
    for file in sorted(Path(folder).glob("*_labelled_*.mat")):
        name, coder = file.stem.split("_labelled_")
        files.setdefault(name, {})[coder] = file
    if not files:
        raise DataError("no labelled recording", source=folder, expected="files *_labelled_*.mat")
    return [_coded(name, by_coder) for name, by_coder in files.items()]


def _coded(name: str, by_coder: dict[str, Path]) -> CodedRecording:
    read = {coder: read_lund(file) for coder, file in by_coder.items()}
    n = min(len(gaze) for gaze, _ in read.values())
    first, *others = (gaze for gaze, _ in read.values())
    for coder, other in zip(list(read)[1:], others, strict=True):
        if not (np.array_equal(first.x[:n], other.x[:n], True) and np.array_equal(first.y[:n], other.y[:n], True)):
            raise DataError(
                "coders have other samples", source=name, found=coder, expected=f"those of {next(iter(read))}"
            )
    gaze = Gaze(first.t[:n], first.x[:n], first.y[:n], first.screen)
    return CodedRecording(name, gaze, {coder: labels[:n] for coder, (_, labels) in read.items()})


def _mended(time: FloatArray, rate: float) -> FloatArray:
    """Times from 0, where those that are missing follow the ones before at the usual step."""
    there = np.flatnonzero(time > 0)
    if len(there) < 2:
        return np.arange(len(time)) / rate
    step = float(np.median(np.diff(time[there])))
    number = np.arange(len(time))
    before = there[np.maximum(np.searchsorted(there, number, side="right") - 1, 0)]
    return np.asarray(time[before] + (number - before) * step - time[there[0]])


def _read(file: Path) -> "tuple[pd.DataFrame, Place]":
    frame, place = read_table(file)
    if not len(frame):
        raise place.empty()
    return frame, place


def _named(frame: "pd.DataFrame", wanted: str, place: Place) -> str:
    """The column of a name that may carry a unit."""
    found = [str(name) for name in frame.columns if re.sub(r"\s*\[.*\]$", "", str(name)) == wanted]
    if len(found) != 1:
        raise DataError(
            "a column is missing" if not found else "several columns have one name",
            source=place.source,
            column=wanted,
            found=", ".join(found or [str(name) for name in frame.columns]),
            expected="one, with or without a unit in brackets",
            hint="Export the gaze in one unit"
            if found
            else "Name the columns with read_gaze if they are called otherwise",
        )
    return found[0]


def _positions(frame: "pd.DataFrame", column: str, place: Place) -> FloatArray:
    """A column of numbers, NaN where there is none."""
    import pandas as pd

    written = frame[column]
    values = pd.to_numeric(written, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = np.flatnonzero(np.isnan(values))
    bad = bad[~(written.isna() | written.isin(_NOTHING)).to_numpy(dtype=bool)[bad]]
    infinite = np.flatnonzero(np.isinf(values))
    if len(bad) or len(infinite):
        row = int(np.concatenate((bad, infinite)).min())
        raise place.error(
            "not a position", row, column, written.iloc[row], "a number, or nothing where the eye was lost"
        )
    return values


def _made(
    t: FloatArray, x: FloatArray, y: FloatArray, place: Place, column: str, screen: Screen | None, unit: Unit
) -> Gaze:
    """The gaze, whose errors of time name the file and the row."""
    steps: Any = np.diff(t)
    back = np.flatnonzero(~(steps > 0))
    if len(back):
        row = int(back[0]) + 1
        raise place.error(
            "times do not ascend",
            row,
            column,
            f"{t[row]:.6f} s after {t[row - 1]:.6f} s",
            "later than the row before",
            "Sort the samples, keep one of each time and one recording a file",
        )
    step = float(np.median(steps)) if len(steps) else SLOWEST_STEP
    if not FASTEST_STEP <= step <= SLOWEST_STEP:
        raise DataError(
            "times are in another unit" + ("" if step > SLOWEST_STEP else ": no tracker is that fast"),
            source=place.source,
            column=column,
            found=f"a median step of {step:g} s",
            expected=f"from {FASTEST_STEP:g} to {SLOWEST_STEP:g} s",
            hint=f"Say which: {_SAID}; nanoseconds have to be divided by 1,000 first",
        )
    return Gaze(t, x, y, screen, unit)
