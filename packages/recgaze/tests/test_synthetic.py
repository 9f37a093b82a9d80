"""Gaze made from planted fixations, and the way back from samples to fixations on the page."""

import numpy as np
import pytest

from irworks.errors import ArgumentError
from recgaze import Aoi, CarouselLayout, events
from recgaze.events import Events, Kind
from recgaze.gaze import Gaze, Screen
from recgaze.synthetic import gaze_from_fixations

SCREEN = Screen(1920, 1080, 53.1, 29.9, 65)


def made(seed: int = 0, onset=(0.0, 0.5), duration=(0.4, 0.4), x=(100.0, 500.0), y=(200.0, 200.0), **options) -> Gaze:
    settings = {"rate": 1000, "noise_px": 0.0, "screen": SCREEN} | options
    return gaze_from_fixations(onset, duration, x, y, rng=np.random.default_rng(seed), **settings)


def plant(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, Aoi]:
    """Fixations on posters of the study's page, from one poster to another."""
    rng = np.random.default_rng(seed)
    layout = CarouselLayout.recgaze()
    box = np.cumsum(rng.integers(1, 50, n)) % 50
    row, place = box // 5, box % 5
    x = layout.left[place] + rng.uniform(40, 302, n)
    y = layout.top[row] + rng.uniform(40, 153, n)
    duration = 0.1 + rng.gamma(4, 0.06, n)
    onset = np.cumsum(duration + 0.06) - (duration + 0.06)
    return onset, duration, x, y, np.stack([row + 1, place + 1])


def test_the_eye_rests_at_each_fixation_and_moves_by_the_main_sequence_between():
    gaze = made()
    moving = np.flatnonzero((gaze.x > 100) & (gaze.x < 500))
    seconds = 0.021 + 0.0022 * 400 * SCREEN.px2deg
    assert len(moving) / 1000 == pytest.approx(seconds, abs=0.002)
    assert gaze.t[moving].mean() == pytest.approx(0.45, abs=0.001)
    assert (gaze.x[: moving[0]] == 100).all()
    assert (gaze.x[moving[-1] + 1 :] == 500).all()
    assert (gaze.y == 200).all()
    speed = events.speed(gaze, 0.004)[moving]
    # The path of least jerk is fastest in the middle: 1.875 times the mean speed.
    assert speed.max() == pytest.approx(1.875 * 400 * SCREEN.px2deg / seconds, rel=0.02)


def test_noise_has_its_standard_deviation_and_is_drawn_for_each_axis():
    gaze = made(onset=[0], duration=[20], x=[300], y=[400], noise_px=4)
    assert gaze.x.mean() == pytest.approx(300, abs=0.1)
    assert [gaze.x.std(), gaze.y.std()] == pytest.approx([4, 4], rel=0.03)
    assert abs(np.corrcoef(gaze.x, gaze.y)[0, 1]) < 0.03


def test_blinks_lose_the_eye_for_a_fifth_of_a_second_each():
    gaze = made(onset=[0], duration=[600], x=[1], y=[1], rate=100, blink_rate=0.1)
    onset, offset = gaze.segments()
    lost = gaze.t[onset[1:]] - gaze.t[offset[:-1]]
    assert len(lost) == pytest.approx(60, abs=20)
    assert lost.mean() == pytest.approx(0.2, abs=0.03)
    assert lost.min() >= 0.09


def test_jitter_moves_times_and_keeps_their_order_and_the_mean_rate():
    gaze = made(onset=[0], duration=[20], x=[1], y=[1], rate=60, jitter=0.4)
    off = (gaze.t - np.arange(len(gaze)) / 60) * 60
    assert 0.35 < np.abs(off).max() <= 0.4
    assert (np.diff(gaze.t) > 0).all()


def test_a_seed_gives_the_same_gaze_and_another_seed_another():
    one, same, other = (made(seed, noise_px=2, blink_rate=1.0, jitter=0.2) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.x, same.x)
    assert not np.array_equal(one.x, other.x, equal_nan=True)


def test_fixations_without_time_between_lend_it_to_the_saccade():
    gaze = made(onset=[0, 0.4, 0.44], duration=[0.4, 0.04, 0.4], x=[0, 1900, 0], y=[0, 0, 0])
    assert gaze.x.min() == 0
    # The middle one is 40 ms long: two saccades take half of it each, and the eye still gets there.
    assert gaze.x.max() == pytest.approx(1900, rel=1e-3)
    assert len(gaze) == 841


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"duration": [0.4, 0.0]}, "fixation 1 is not finite or lasts 0.0 s"),
        ({"onset": [0.0, 0.3]}, "fixation 1 begins at 0.300000 s"),
        ({"x": [1.0]}, r"expected one \[n\]"),
        ({"rate": 0}, "rate=0"),
        ({"noise_px": -1}, "noise_px=-1"),
        ({"jitter": 0.5}, "jitter=0.5"),
        ({"blink_rate": -0.1}, "blink_rate=-0.1"),
        ({"screen": Screen(1920, 1080)}, "Give a Screen with both"),
    ],
)
def test_what_cannot_be_recorded_is_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        made(**options)


@pytest.mark.parametrize("jitter", [0.0, 0.3])
@pytest.mark.parametrize(
    ("rate", "noise_px", "options"),
    [
        (60, 4, {}),
        (120, 4, {"merge": (0.075, 0.5)}),
        (250, 4, {"merge": (0.075, 0.5)}),
        (120, 10, {"window": 0.04, "merge": (0.075, 0.5)}),
        (250, 10, {"window": 0.04, "merge": (0.075, 0.5)}),
    ],
)
def test_planted_fixations_are_found_again_on_their_posters(rate, noise_px, options, jitter):
    onset, duration, x, y, aoi = plant(3000, rate)
    gaze = gaze_from_fixations(
        onset, duration, x, y, rate=rate, noise_px=noise_px, screen=SCREEN, rng=np.random.default_rng(1), jitter=jitter
    )
    found = events.ivt(gaze, **options).of(Kind.FIXATION)
    assert len(found) == pytest.approx(3000, rel=0.02)
    first, last = np.searchsorted(gaze.t, onset), np.searchsorted(gaze.t, onset + duration) - 1
    pairs = events.match(Events.of_samples(gaze, first, last, Kind.FIXATION), found)
    assert pairs.f1 > 0.975
    at = CarouselLayout.recgaze().locate(found.x, found.y)
    right = (at.row[pairs.pairs[:, 1]] == aoi[0][pairs.pairs[:, 0]]) & (
        at.column[pairs.pairs[:, 1]] == aoi[1][pairs.pairs[:, 0]]
    )
    assert right.mean() > 0.999


def test_without_smoothing_noise_of_ten_pixels_breaks_fixations_at_250_hz():
    onset, duration, x, y, _ = plant(500, 3)
    gaze = gaze_from_fixations(
        onset, duration, x, y, rate=250, noise_px=10, screen=SCREEN, rng=np.random.default_rng(1)
    )
    assert len(events.ivt(gaze, min_duration=0).of(Kind.FIXATION)) > 1500
