"""Detectors on recordings of known answer: against brute force, closed forms and other libraries' filters."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import savgol_filter

from irworks.errors import ArgumentError
from recgaze import events
from recgaze.events import Events, Kind
from recgaze.gaze import Gaze, Screen

SCREEN = Screen(1920, 1080, 53.1, 29.9, 65)
DETECTORS = (events.ivt, events.idt, events.adaptive)


def degrees(t, x, y=None) -> Gaze:
    return Gaze(t, x, np.zeros(len(t)) if y is None else y, unit="deg")


def steps(*levels: tuple[float, float], rate: float = 500) -> Gaze:
    """The eye rests at each place for so many seconds and jumps."""
    x = np.concatenate([np.full(round(seconds * rate), place) for place, seconds in levels])
    return degrees(np.arange(len(x)) / rate, x)


# -- speed ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "width"), [(1000, 21), (500, 11), (250, 5)])
def test_speed_is_that_of_scipy_s_savitzky_golay_filter(rate, width):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 300)).cumsum(axis=1)
    expected = [savgol_filter(axis, width, 2, deriv=1, delta=1 / rate) for axis in (x, y)]
    np.testing.assert_allclose(events.speed(degrees(np.arange(300) / rate, x, y)), np.hypot(*expected), rtol=1e-9)


@pytest.mark.parametrize("rate", [60, 120, 190])
def test_below_200_hz_speed_is_the_central_difference(rate):
    x = np.random.default_rng(2).normal(size=100).cumsum()
    found = events.speed(degrees(np.arange(100) / rate, x))
    np.testing.assert_allclose(found[1:-1], np.abs(x[2:] - x[:-2]) * rate / 2)


def test_with_uneven_times_speed_is_the_slope_of_a_parabola_at_the_sample():
    rng = np.random.default_rng(3)
    t = np.cumsum(rng.uniform(0.001, 0.004, 200))
    x = rng.normal(size=200).cumsum()
    gaze = degrees(t, x)
    half = int(0.02 / gaze.step / 2)
    expected = [
        abs(np.polyfit(t[i - half : i + half + 1] - t[i], x[i - half : i + half + 1], 2)[1])
        for i in range(half, 200 - half)
    ]
    np.testing.assert_allclose(events.speed(gaze)[half : 200 - half], expected, rtol=1e-6)


@pytest.mark.parametrize("uneven", [0.0, 0.4])
def test_speed_of_a_parabola_is_exact_up_to_the_edges_of_gaps(uneven):
    rng = np.random.default_rng(4)
    t = (np.arange(200) + rng.uniform(-uneven, uneven, 200)) / 500
    x = 3 + 20 * t + 70 * t**2
    x[[50, 51, 52, 120]] = np.nan
    found = events.speed(degrees(t, x, 0.75 * x))
    seen = ~np.isnan(x)
    np.testing.assert_allclose(found[seen], 1.25 * (20 + 140 * t[seen]), rtol=1e-6)
    assert np.isnan(found[~seen]).all()


def test_short_stretches_have_the_speed_of_three_samples_of_two_and_none():
    x = np.array([0, 1, 4, 9, np.nan, 5, 7, np.nan, 3, np.nan]) / 100
    found = events.speed(degrees(np.arange(10) / 500, x), window=0.02) / 5
    np.testing.assert_allclose(found, [0, 2, 4, 6, np.nan, 2, 2, np.nan, np.nan, np.nan], atol=1e-12)


def test_speed_in_degrees_is_that_in_pixels_by_the_screen():
    x = np.random.default_rng(5).normal(size=50).cumsum()
    pixels = Gaze(np.arange(50) / 500, x * SCREEN.px_per_degree, np.zeros(50), SCREEN)
    np.testing.assert_allclose(events.speed(pixels), events.speed(degrees(np.arange(50) / 500, x)))


# -- I-VT -------------------------------------------------------------------------------------------------------------


def test_two_rests_and_a_jump_are_two_fixations_and_a_saccade():
    found = events.ivt(steps((0, 0.3), (10, 0.4)))
    assert found.kind.tolist() == [Kind.FIXATION, Kind.SACCADE, Kind.FIXATION]
    np.testing.assert_allclose(found.of(Kind.FIXATION).x, [0, 10], atol=1e-9)
    assert found.duration.sum() == pytest.approx(0.7, abs=0.01)


def test_a_lost_sample_splits_a_fixation_and_so_does_a_jump_of_time():
    x = np.zeros(500)
    t = np.arange(500) / 500
    assert len(events.ivt(degrees(t, x))) == 1
    late = t + np.where(t > 0.5, 0.2, 0)
    assert len(events.ivt(degrees(late, x))) == 2
    assert len(events.ivt(degrees(late, x), max_gap=0.3)) == 1
    x[100] = np.nan
    found = events.ivt(degrees(t, x))
    assert (found.onset.tolist(), found.offset.tolist()) == ([0, 101], [99, 499])


@pytest.mark.parametrize(("seconds", "fixations"), [(0.0941, 2), (0.094, 3), (0.098, 2), (0.0981, 0)])
@pytest.mark.parametrize("clock", [0.0, 0.7, 1e6])
def test_what_is_too_short_is_no_fixation(seconds, fixations, clock):
    # Differences of times are no decimals: 0.798 - 0.7 is less than 0.098.
    rate = np.zeros(150)
    rate[[50, 101]] = 1e3
    gaze = degrees(clock + np.arange(150) / 500, np.zeros(150))
    found = events.ivt(gaze, speed=rate, min_duration=seconds, min_saccade=0).of(Kind.FIXATION)
    assert len(found) == fixations


@given(arrays(np.float64, st.integers(0, 40), elements=st.sampled_from([1.0, 29.9, 30.0, 80.0, np.nan])))
def test_ivt_is_a_walk_over_the_speeds(rate):
    gaze = degrees(np.arange(len(rate)) / 100, np.zeros(len(rate)))
    labels = events.ivt(gaze, 30, speed=rate, min_duration=0, min_saccade=0).labels(len(rate))
    expected = [0 if np.isnan(one) else 1 if one < 30 else 2 for one in rate]
    assert labels.tolist() == expected


def test_merging_mends_a_fixation_that_one_noisy_sample_broke():
    rate = np.zeros(200)
    rate[[50, 150]] = 100
    x = np.where(np.arange(200) < 150, 1.0, 3.0)
    gaze = degrees(np.arange(200) / 500, x)
    broken = events.ivt(gaze, speed=rate, min_saccade=0).of(Kind.FIXATION)
    assert len(broken) == 3
    merged = events.ivt(gaze, speed=rate, min_saccade=0, merge=(0.075, 0.5))
    assert merged.kind.tolist() == [Kind.FIXATION, Kind.SACCADE, Kind.FIXATION]
    assert (merged.onset.tolist(), merged.offset.tolist()) == ([0, 150, 151], [149, 150, 199])
    np.testing.assert_allclose(merged.of(Kind.FIXATION).x, [1, 3])


def test_settings_of_ivt_that_make_no_sense_are_refused():
    gaze = steps((0, 0.1))
    for options, message in (
        ({"velocity": 0}, "velocity=0"),
        ({"velocity": float("nan")}, "velocity=nan"),
        ({"min_duration": -1}, "min_duration=-1"),
        ({"window": 0}, "window=0"),
        ({"max_gap": 0}, "max_gap=0"),
        ({"speed": [1.0]}, "one for each of 50 samples"),
    ):
        with pytest.raises(ArgumentError, match=message):
            events.ivt(gaze, **options)
    with pytest.raises(ArgumentError, match="has no screen"):
        events.ivt(Gaze([0, 0.1], [1, 2], [1, 2]))


# -- I-DT -------------------------------------------------------------------------------------------------------------


def salvucci_goldberg(gaze: Gaze, dispersion: float, min_duration: float, max_gap: float) -> list[tuple[int, int]]:
    """The algorithm as its authors tell it, a sample at a time; windows with a gap are none."""

    def spread(first: int, last: int) -> float:
        x, y = gaze.x[first : last + 1], gaze.y[first : last + 1]
        broken = np.isnan(x).any() or np.isnan(y).any() or (np.diff(gaze.t[first : last + 1]) > max_gap).any()
        return np.inf if broken else (x.max() - x.min()) + (y.max() - y.min())

    found, first = [], 0
    while first < len(gaze):
        last = first
        while last < len(gaze) and gaze.t[last] - gaze.t[first] < min_duration - 1e-9:
            last += 1
        if last >= len(gaze):
            break
        if spread(first, last) > dispersion:
            first += 1
            continue
        while last + 1 < len(gaze) and spread(first, last + 1) <= dispersion:
            last += 1
        found.append((first, last))
        first = last + 1
    return found


def random_trace(seed: int) -> Gaze:
    """Rests and jumps with drift, noise, lost samples, and every third time uneven steps and a pause."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(30, 160))
    places = rng.normal(scale=3, size=(2, n)) * (rng.random(n) < 0.06)
    x, y = places.cumsum(axis=1) + rng.normal(scale=rng.choice([0.02, 0.1, 0.25]), size=(2, n))
    t = np.arange(n) / rng.choice([60, 120, 250])
    if seed % 3 == 0:
        t = np.cumsum(rng.uniform(0.5, 1.5, n)) / 100 + 0.3 * (np.arange(n) > n // 2)
    x[rng.random(n) < rng.choice([0, 0.03])] = np.nan
    return degrees(t, x, y)


def test_idt_is_the_naive_algorithm_on_200_random_traces_with_gaps():
    fixations = 0
    for seed in range(200):
        gaze = random_trace(seed)
        expected = salvucci_goldberg(gaze, 1.0, 0.1, 0.05)
        found = events.idt(gaze, 1.0, 0.1, max_gap=0.05)
        assert list(zip(found.onset.tolist(), found.offset.tolist(), strict=True)) == expected, seed
        fixations += len(expected)
    assert fixations > 300


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float64, st.integers(0, 30), elements=st.sampled_from([0.0, 0.3, 0.5, 1.0, 1.5, np.nan])),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0.0, 0.01, 0.05]),
)
def test_idt_is_the_naive_algorithm_at_its_limits(x, dispersion, seconds):
    gaze = degrees(np.arange(len(x)) / 100, x, np.roll(x, 3))
    found = events.idt(gaze, dispersion, seconds, max_gap=1.0)
    expected = salvucci_goldberg(gaze, dispersion, seconds, 1.0)
    assert list(zip(found.onset.tolist(), found.offset.tolist(), strict=True)) == expected


def test_idt_extends_fixations_over_many_blocks():
    gaze = steps((0, 5.0), (10, 0.12), (20, 7.0), rate=1000)
    found = events.idt(gaze)
    assert (found.onset.tolist(), found.offset.tolist()) == ([0, 5000, 5120], [4999, 5119, 12119])


def test_idt_refuses_settings_that_make_no_sense():
    for options, message in (({"dispersion": -1}, "dispersion=-1"), ({"min_duration": -1}, "min_duration=-1")):
        with pytest.raises(ArgumentError, match=message):
            events.idt(steps((0, 0.3)), **options)


# -- the adaptive detector --------------------------------------------------------------------------------------------


def glide(amplitude: float, seconds: float, rate: float = 1000) -> np.ndarray:
    s = np.linspace(0, 1, round(seconds * rate))
    return amplitude * s**3 * (10 - 15 * s + 6 * s**2)


def ringing(noise: float, ring: float, seed: int = 0) -> Gaze:
    """Ten rests of 0.4 s, saccades of 8 degrees and 40 ms, and a swing back and forth of 20 ms after each."""
    parts, here = [], 0.0
    for number in range(10):
        way = 8.0 if number % 2 else -8.0
        swing = -ring * (1 - np.cos(np.linspace(0, 2 * np.pi, 20))) / 2 if ring else np.empty(0)
        parts += [np.full(400, here), here + glide(way, 0.04), here + way + np.sign(way) * swing]
        here += way
    x = np.concatenate([*parts, np.full(400, here)])
    rng = np.random.default_rng(seed)
    return degrees(np.arange(len(x)) / 1000, x + noise * rng.normal(size=len(x)), noise * rng.normal(size=len(x)))


@pytest.mark.parametrize("noise", [0.0, 0.005, 0.02])
def test_the_adaptive_detector_finds_every_saccade_whatever_the_noise(noise):
    found = events.adaptive(ringing(noise, ring=0.0))
    saccades = found.of(Kind.SACCADE)
    assert len(saccades) == 10
    assert len(found.of(Kind.FIXATION)) == 11
    planted = 0.4 + np.arange(10) * 0.44
    np.testing.assert_allclose(saccades.start, planted, atol=0.015)
    np.testing.assert_allclose(saccades.end, planted + 0.04, atol=0.015)


def test_the_adaptive_detector_tells_oscillations_from_saccades_and_fixations():
    found = events.adaptive(ringing(0.003, ring=0.4))
    after = found.kind[np.flatnonzero(found.kind == Kind.SACCADE) + 1]
    assert (after == Kind.PSO).sum() >= 8
    assert len(events.adaptive(ringing(0.003, ring=0.0)).of(Kind.PSO)) == 0


def test_thresholds_of_the_adaptive_detector_rise_with_the_noise_but_not_above_their_first_value():
    from recgaze.events.adaptive import thresholds

    rates = [events.speed(ringing(noise, 0.0), 0.012) for noise in (0.002, 0.01, 0.05, 1.0)]
    peaks = [thresholds(rate).peak for rate in rates]
    assert peaks[0] < peaks[1] < peaks[2] <= 100
    assert peaks[3] <= 100
    assert thresholds(np.full(5, np.nan), 15).peak == 100


def test_the_adaptive_detector_refuses_settings_that_make_no_sense():
    for name in ("min_fixation", "min_saccade", "max_pso", "lowest"):
        with pytest.raises(ArgumentError, match=f"{name}=-1"):
            events.adaptive(steps((0, 0.3)), **{name: -1})


# -- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("detect", DETECTORS)
@pytest.mark.parametrize(
    ("x", "fixations"),
    [
        (np.empty(0), 0),
        (np.zeros(1), 0),
        (np.array([np.nan]), 0),
        (np.full(300, np.nan), 0),
        (np.full(300, 7.3), 1),
    ],
)
def test_traces_with_nothing_in_them_give_no_event_or_one_without_a_warning(detect, x, fixations):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = detect(degrees(np.arange(len(x)) / 500, x, x))
        frame = found.to_frame()
    assert len(found) == len(frame) == fixations
    if fixations:
        assert (found.onset[0], found.offset[0], found.x[0]) == (0, 299, pytest.approx(7.3))


@pytest.mark.parametrize("detect", DETECTORS)
@pytest.mark.parametrize("rate", [60, 59.94, 120, 250, 1000])
def test_any_rate_and_jittered_times_give_the_two_rests(detect, rate):
    rng = np.random.default_rng(int(rate))
    seconds = 1.2
    t = (np.arange(int(seconds * rate)) + rng.uniform(-0.3, 0.3, int(seconds * rate))) / rate
    # The jump takes 40 ms, so that the slowest tracker sees it as well.
    x = np.interp(t, [0.58, 0.62], [0, 12]) + rng.normal(scale=0.01, size=len(t))
    found = detect(degrees(t, x, np.zeros(len(t)))).of(Kind.FIXATION)
    assert len(found) == 2
    np.testing.assert_allclose(found.x, [0, 12], atol=0.6)


@pytest.mark.parametrize("detect", DETECTORS)
def test_events_do_not_depend_on_where_the_clock_starts_or_the_screen_lies(detect):
    gaze = ringing(0.01, 0.2)
    moved = Gaze(gaze.t + 1000, gaze.x + 100, gaze.y - 50, unit="deg")
    one, other = detect(gaze), detect(moved)
    assert one.labels(len(gaze)).tolist() == other.labels(len(gaze)).tolist()
    np.testing.assert_allclose(other.x, one.x + 100)


# -- tables of events -------------------------------------------------------------------------------------------------


@given(arrays(np.int64, st.integers(0, 40), elements=st.integers(0, 6)))
def test_labels_become_events_and_events_labels_again(labels):
    gaze = degrees(np.arange(len(labels)) / 100, np.arange(len(labels), dtype=float))
    found = Events.of_labels(gaze, labels)
    assert found.labels(len(labels)).tolist() == labels.tolist()
    assert (np.diff(found.onset) > 0).all()
    for onset, offset, x in zip(found.onset, found.offset, found.x, strict=True):
        assert x == pytest.approx(np.arange(onset, offset + 1).mean())


def test_the_place_of_an_event_is_the_mean_of_the_samples_that_were_seen():
    gaze = degrees(np.arange(6) / 100, np.array([1, np.nan, 3, 5, np.nan, np.nan]))
    found = Events.of_samples(gaze, [0, 3, 4], [2, 3, 5], Kind.FIXATION)
    np.testing.assert_array_equal(found.x, [2, 5, np.nan])


def test_merging_joins_chains_and_weighs_places_by_samples():
    x = np.repeat([0.0, 0.3, 0.6, 5.0], [10, 20, 10, 10])
    gaze = degrees(np.arange(50) / 100, x)
    found = Events.of_samples(gaze, [0, 10, 12, 30, 40], [8, 11, 29, 39, 49], [1, 2, 1, 1, 1])
    merged = found.merge_fixations()
    assert (merged.onset.tolist(), merged.offset.tolist()) == ([0, 40], [39, 49])
    assert merged.x[0] == pytest.approx((9 * 0 + 18 * 0.3 + 10 * 0.6) / 37)
    assert len(found.merge_fixations(max_gap=0)) == len(found.merge_fixations(max_angle=0)) == 5


def test_a_table_of_events_names_its_columns_and_kinds():
    frame = events.ivt(steps((0, 0.3), (10, 0.4))).to_frame()
    assert list(frame.columns) == ["kind", "onset", "offset", "start", "end", "duration", "x", "y"]
    assert frame["kind"].tolist() == ["fixation", "saccade", "fixation"]


def test_events_out_of_order_and_beyond_the_recording_are_refused():
    gaze = steps((0, 0.1))
    for onset, offset, message in (([0, 5], [5, 9], "event 1 has samples 5 to 9"), ([3], [2], "event 0")):
        with pytest.raises(ArgumentError, match=message):
            Events.of_samples(gaze, onset, offset, Kind.FIXATION)
    with pytest.raises(ArgumentError, match="expected 0 to 49"):
        Events.of_samples(gaze, [10], [50], Kind.FIXATION)
    with pytest.raises(ArgumentError, match="expected more than 49"):
        events.ivt(gaze).labels(49)
    with pytest.raises(ArgumentError, match="do not know degrees"):
        events.ivt(Gaze([0, 0.1], [1, 2], [1, 2]), speed=[0, 0]).merge_fixations()
