"""Recordings: what is refused, degrees, and where gaps are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from recgaze.gaze import Gaze, Screen

SCREEN = Screen(1920, 1080, 53.1, 29.9, 65)


def gaze(t, x=None, y=None, **options) -> Gaze:
    zeros = np.zeros(len(t))
    return Gaze(t, zeros if x is None else x, zeros if y is None else y, **options)


def test_a_pixel_of_the_lund_screen_is_the_angle_that_its_authors_use():
    # 38 cm and 1024 pixels from 67 cm: degrees(atan2(.5 * .38, .67)) / (.5 * 1024), as REMoDNaV's tests have it.
    assert Screen(1024, 768, 38, 30, 67).px2deg == pytest.approx(0.03092263, abs=5e-9)
    assert SCREEN.px_per_degree * SCREEN.px2deg == pytest.approx(1)


def test_half_the_screen_spans_the_angle_of_half_its_width():
    screen = Screen(1000, 800, 2 * 65 * np.tan(np.radians(20)), None, 65)
    assert 500 * screen.px2deg == pytest.approx(20)


def test_degrees_need_a_width_and_a_distance():
    with pytest.raises(ArgumentError, match="Give a Screen with both"):
        _ = Screen(1920, 1080, 53.1).px2deg
    with pytest.raises(ArgumentError, match="has no screen"):
        _ = gaze([0, 0.01]).per_degree
    assert gaze([0, 0.01], unit="deg").per_degree == 1


@pytest.mark.parametrize("size", [0, -1, float("nan"), float("inf")])
def test_a_screen_has_a_size(size):
    with pytest.raises(ArgumentError, match="width_px"):
        Screen(size, 1080)


@pytest.mark.parametrize(
    ("t", "message"),
    [
        ([0, 0.01, 0.02, 0.015], "t is 0.015000 at sample 3, before the sample before"),
        ([0, 0.01, 0.01, 0.02], "t is 0.010000 at sample 2, the time of the sample before again"),
        ([0, 0.01, np.nan], "t is nan at sample 2"),
        ([0, 16.7, 33.3, 50.0], "look like milliseconds, divide t by 1e3"),
        ([0, 2, 4, 6], "look like milliseconds"),
        ([0, 16667, 33333], "look like microseconds, divide t by 1e6"),
        ([0, 2000, 4000], "look like microseconds"),
    ],
)
def test_times_that_are_none_are_refused_with_the_sample(t, message):
    with pytest.raises(ArgumentError, match=message):
        gaze(t)


def test_arrays_of_different_lengths_and_infinite_positions_are_refused():
    with pytest.raises(ArgumentError, match=r"\(3,\), \(2,\) and \(3,\)"):
        Gaze([0, 0.1, 0.2], [1, 2], [1, 2, 3])
    with pytest.raises(ArgumentError, match="y is infinite at sample 1"):
        Gaze([0, 0.1], [1, 2], [1, np.inf])
    with pytest.raises(ArgumentError, match='expected "px" or "deg"'):
        Gaze([0, 0.1], [1, 2], [1, 2], unit="cm")


def test_the_sampling_rate_is_the_median_one():
    jittered = np.array([0, 0.009, 0.02, 0.03, 0.04, 0.8, 0.81])
    assert gaze(jittered).sampling_rate == pytest.approx(100)
    assert Gaze.at_rate(60, np.zeros(100), np.zeros(100)).sampling_rate == pytest.approx(60)


def brute_segments(recording: Gaze, max_gap: float) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for sample in np.flatnonzero(~recording.lost).tolist():
        joins = found and found[-1][1] == sample - 1 and recording.t[sample] - recording.t[sample - 1] <= max_gap
        if joins:
            found[-1] = (found[-1][0], sample)
        else:
            found.append((sample, sample))
    return found


@given(st.lists(st.tuples(st.sampled_from([0.01, 0.02, 0.05]), st.sampled_from([1.0, np.nan])), max_size=20))
def test_segments_are_those_of_a_walk_over_the_samples(samples):
    t = np.cumsum([step for step, _ in samples])
    recording = gaze(t, np.array([x for _, x in samples]))
    first, last = recording.segments(0.03)
    assert list(zip(first.tolist(), last.tolist(), strict=True)) == brute_segments(recording, 0.03)


def test_a_dropped_sample_is_no_gap_and_a_blink_is_one():
    t = np.delete(np.arange(20) / 100, [5, 12, 13, 14])
    first, _ = gaze(t).segments()
    assert first.tolist() == [0, 11]
    first, _ = gaze(t).segments(max_gap=0.015)
    assert first.tolist() == [0, 5, 11]
