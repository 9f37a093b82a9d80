"""Readers of raw gaze: tables, Tobii exports, and what they say of a bad file."""

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from irworks.errors import ArgumentError, DataError
from recgaze import GazeWarning, Screen
from recgaze.events import Kind
from recgaze.gaze_files import read_gaze, read_lund, read_tobii


def write(folder: Path, text: str, name: str = "gaze.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_table_is_read_with_its_units_and_lost_samples(tmp_path):
    text = "when,gx,gy,ok\n1000,10.5,20,1\n1016.7,,,1\n1033.3,.,3,1\n1050,12,22,0\n1066.7,13,23,1\n"
    gaze = read_gaze(write(tmp_path, text), t="when", x="gx", y="gy", valid="ok", time_unit="ms")
    np.testing.assert_allclose(gaze.t, [1.0, 1.0167, 1.0333, 1.05, 1.0667])
    np.testing.assert_array_equal(gaze.lost, [False, True, True, True, False])
    assert gaze.y[4] == 23


def test_csv_tsv_and_parquet_say_the_same(tmp_path):
    frame = pd.DataFrame({"t": np.arange(9) / 60, "x": np.linspace(0, 1, 9), "y": [1, 2, None, *range(6)]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "a.parquet")
    read = [read_gaze(tmp_path / f"a.{ending}") for ending in ("csv", "tsv", "parquet")]
    for one in read:
        np.testing.assert_allclose(one.t, frame["t"])
        np.testing.assert_allclose(one.y, frame["y"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t,x\n0,1\n", "column 'y': a column is missing"),
        ("t,x,y\n", "the table is empty"),
        ("t,x,y\n0,1,2\n0.01,left,2\n", "line 3, column 'x': not a position .*'left'"),
        ("t,x,y\n0,1,2\n,1,2\n", "line 3, column 't': not a number"),
        ("t,x,y\n0,1,2\n0.02,1,2\n0.01,1,2\n", "line 4, column 't': times do not ascend"),
        ("t,x,y\n0,1,2\n0,1,2\n", "line 3, column 't': times do not ascend"),
        ("t,x,y\n0,1,2\n16,1,2\n33,1,2\n", 'times are in another unit .*Say which: time_unit="s", "ms"'),
        ("t,x,y\n0,1,inf\n0.1,1,2\n", "line 2, column 'y': not a position"),
    ],
)
def test_a_bad_table_is_refused_with_the_place(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_gaze(write(tmp_path, text))


def test_a_missing_file_a_bad_mask_and_an_unknown_unit_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_gaze(tmp_path / "none.csv")
    path = write(tmp_path, "t,x,y,v\n0,1,2,1\n0.1,1,2,7\n")
    with pytest.raises(DataError, match="line 3, column 'v'"):
        read_gaze(path, valid="v")
    with pytest.raises(ArgumentError, match='"s", "ms" or "us"'):
        read_gaze(path, time_unit="ns")


TOBII = """Recording timestamp [μs]\tSensor\tRecording name\tGaze point X [DACS px]\tGaze point Y [DACS px]\tEvent
1000\t\tRecording 1\t\t\tRecordingStart
5000\tEye Tracker\tRecording 1\t100\t200\t
7000\tMouse\tRecording 1\t\t\t
21667\tEye Tracker\tRecording 1\t\t\t
21667\t\tRecording 1\t\t\tKeyboardEvent
38333\tEye Tracker\tRecording 1\t102\t204\t
"""


def test_times_too_fast_or_too_slow_for_a_tracker_name_the_file_and_the_units(tmp_path):
    seconds = write(tmp_path, "t,x,y\n0,1,2\n0.01,1,2\n0.02,1,2\n")
    with pytest.raises(DataError, match=r"gaze\.csv, column 't': .*no tracker is that fast"):
        read_gaze(seconds, time_unit="ms")
    nanoseconds = write(tmp_path, "t,x,y\n0,1,2\n16000000,1,2\n33000000,1,2\n")
    with pytest.raises(DataError, match="nanoseconds have to be divided by 1,000"):
        read_gaze(nanoseconds)
    dates = write(tmp_path, "t,x,y\n2024-05-01T10:00:00.000,1,2\n2024-05-01T10:00:00.016,1,2\n")
    with pytest.raises(DataError, match=r"line 2, column 't': not a number .*a date or a clock time has to be turned"):
        read_gaze(dates)


def test_a_folder_is_no_file(tmp_path):
    for read in (read_gaze, read_tobii):
        with pytest.raises(DataError, match="a folder, and no table"):
            read(tmp_path)


def test_positions_that_are_no_pixels_are_warned_of(tmp_path):
    screen, t = Screen(1920, 1080), np.arange(200) / 100

    def warned(x, y, **options):
        path = tmp_path / "gaze.csv"
        pd.DataFrame({"t": t, "x": x, "y": y}).to_csv(path, index=False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            gaze = read_gaze(path, screen=screen, **options)
        assert all(one.category is GazeWarning for one in caught)
        return gaze, [str(one.message) for one in caught]

    inside = np.linspace(100, 900, 200)
    assert not warned(inside, inside)[1]
    (message,) = warned(inside / 1920, inside / 1080)[1]
    assert "gaze.csv: all positions are from 0 to 1" in message
    assert not warned(inside / 1920, inside / 1080, unit="deg")[1]
    (message,) = warned(inside + 1500, inside)[1]
    assert "60% of the positions are off the screen of 1920 x 1080" in message
    for code in ((0, 0), (-1, -1)):
        x, y = inside.copy(), inside.copy()
        x[5:10], y[5:10] = code
        gaze, (message,) = warned(x, y)
        assert f"2.5% of the positions are ({code[0]}, {code[1]})" in message
        assert gaze.lost.sum() == 0
        gaze, messages = warned(x, y, lost=code)
        assert not messages
        assert np.flatnonzero(gaze.lost).tolist() == [5, 6, 7, 8, 9]


def test_tobii_positions_are_read_in_the_unit_that_their_column_names(tmp_path):
    def export(unit):
        return write(tmp_path, TOBII.replace("DACS px", unit).replace("\t100\t200", "\t0.25\t0.5"), "export.tsv")

    gaze = read_tobii(export("MCS norm"), screen=Screen(1920, 1080))
    assert (gaze.x[0], gaze.y[0]) == (480, 540)
    with pytest.raises(
        DataError, match=r"column 'Gaze point X \[MCS norm\]': .*found 'norm'; expected px, or norm with"
    ):
        read_tobii(export("MCS norm"))
    with pytest.raises(
        DataError, match=r"column 'Gaze point X \[DACS mm\]': positions are in another unit .*found 'mm'"
    ):
        read_tobii(export("DACS mm"), screen=Screen(1920, 1080, 53, 30, 65))


def test_tobii_times_in_an_unknown_unit_are_refused_and_those_said_are_taken(tmp_path):
    path = write(tmp_path, TOBII.replace("[μs]", "[ticks]"), "export.tsv")
    with pytest.raises(DataError, match=r"times in an unknown unit .*'ticks'"):
        read_tobii(path)
    assert read_tobii(path, time_unit="us").t[1] == pytest.approx(0.016667)


def test_of_a_tobii_export_the_eye_tracker_s_rows_are_read(tmp_path):
    gaze = read_tobii(write(tmp_path, TOBII, "export.tsv"))
    np.testing.assert_allclose(gaze.t, [0, 0.016667, 0.033333])
    np.testing.assert_array_equal(gaze.x, [100, np.nan, 102])
    np.testing.assert_array_equal(gaze.y, [200, np.nan, 204])


def test_a_tobii_export_without_units_is_in_microseconds_and_one_in_milliseconds_says_so(tmp_path):
    plain = "Recording timestamp\tGaze point X\tGaze point Y\n0\t1\t2\n8333\t1\t2\n"
    assert read_tobii(write(tmp_path, plain, "a.tsv")).t[1] == pytest.approx(0.008333)
    written = plain.replace("timestamp", "timestamp [ms]").replace("8333", "8")
    assert read_tobii(write(tmp_path, written, "b.tsv")).t[1] == pytest.approx(0.008)


def test_a_tobii_export_of_two_recordings_or_without_gaze_is_refused(tmp_path):
    with pytest.raises(DataError, match="several recordings in one file"):
        read_tobii(write(tmp_path, TOBII.replace("Recording 1\t102", "Recording 2\t102"), "a.tsv"))
    with pytest.raises(DataError, match="'Gaze point X': a column is missing"):
        read_tobii(write(tmp_path, "Recording timestamp\tx\n0\t1\n", "b.tsv"))
    with pytest.raises(DataError, match="no sample of an eye tracker"):
        read_tobii(write(tmp_path, TOBII.replace("Eye Tracker", "Mouse"), "c.tsv"))


def test_the_row_of_a_bad_tobii_sample_is_the_line_of_the_file(tmp_path):
    with pytest.raises(DataError, match="line 7"):
        read_tobii(write(tmp_path, TOBII.replace("102", "over there"), "a.tsv"))


def test_what_is_no_hand_coded_recording_is_refused(tmp_path):
    from scipy.io import savemat

    with pytest.raises(DataError, match="no such file"):
        read_lund(tmp_path / "none.mat")
    with pytest.raises(DataError, match=r"expected a \.mat file with ETdata"):
        read_lund(write(tmp_path, "no matlab", "text.mat"))
    savemat(tmp_path / "other.mat", {"something": 1})
    with pytest.raises(DataError, match="not a labelled recording"):
        read_lund(tmp_path / "other.mat")


def test_lost_samples_and_missing_times_of_a_hand_coded_recording_are_mended(tmp_path):
    from scipy.io import savemat

    time = np.array([5.000e6, 5.002e6, 5.004e6, 0, 0])
    pos = np.column_stack([time, np.zeros((5, 2)), [10, 0, 12, 13, 14], [20, 0, 22, 23, 24], [1, 5, 2, 3, 4]])
    screen = {"screenDim": [0.38, 0.3], "screenRes": [1024, 768], "viewDist": 0.67, "sampFreq": 500}
    for name, times in (("tail", time), ("none", np.full(5, np.nan))):
        pos[:, 0] = times
        savemat(tmp_path / f"{name}.mat", {"ETdata": {"pos": pos, **screen}})
        gaze, labels = read_lund(tmp_path / f"{name}.mat")
        np.testing.assert_allclose(gaze.t, np.arange(5) * 0.002, atol=1e-9)
        np.testing.assert_array_equal(gaze.lost, [False, True, False, False, False])
        assert labels.tolist() == [Kind.FIXATION, Kind.BLINK, Kind.SACCADE, Kind.PSO, Kind.PURSUIT]
        assert gaze.screen is not None
        assert (gaze.screen.width_cm, gaze.screen.distance_cm) == (38, 67)


@pytest.mark.data
def test_recordings_at_200_hz_that_claim_500_are_taken_by_their_times():
    data = os.environ.get("IRWORKS_DATA")
    if not data or not (Path(data) / "recgaze" / "lund2013").is_dir():
        pytest.skip("IRWORKS_DATA has no recgaze/lund2013")
    gaze, _ = read_lund(Path(data) / "recgaze" / "lund2013" / "img" / "UH47_img_Europe_labelled_MN.mat")
    assert gaze.sampling_rate == pytest.approx(200, rel=0.01)
