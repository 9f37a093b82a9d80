"""Kappa, matched events and durations: closed forms and brute force."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from irworks.errors import ArgumentError
from recgaze import events
from recgaze.events import Durations, Events, Kind
from recgaze.gaze import Gaze


def labelled(labels) -> Events:
    n = len(labels)
    return Events.of_labels(Gaze(np.arange(n) / 100, np.zeros(n), np.zeros(n)), labels)


def test_kappa_of_a_known_table():
    # Cohen's 50 cases: 20 both yes, 15 both no, 5 and 10 apart: (0.7 - 0.5) / 0.5.
    a, b = np.repeat([1, 1, 0, 0], [20, 5, 10, 15]), np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    assert events.kappa(a, b) == pytest.approx(0.4)


@given(arrays(np.int64, 30, elements=st.integers(0, 4)), arrays(np.int64, 30, elements=st.integers(0, 4)))
def test_kappa_is_the_share_of_the_agreement_beyond_chance(a, b):
    for event in (Kind.FIXATION, (Kind.FIXATION, Kind.PURSUIT)):
        table = np.zeros((2, 2))
        np.add.at(table, (np.isin(a, event).astype(int), np.isin(b, event).astype(int)), 1 / 30)
        chance = table.sum(axis=0) @ table.sum(axis=1)
        found = events.kappa(a, b, event)
        assert found == events.kappa(b, a, event) or np.isnan(found)
        if chance < 1 - 1e-12:
            assert found == pytest.approx((np.trace(table) - chance) / (1 - chance), abs=1e-12)
        else:
            assert np.isnan(found)


def test_labels_of_different_lengths_are_refused():
    with pytest.raises(ArgumentError, match="drop the samples at the end"):
        events.kappa([1, 2, 1], [1, 2])
    with pytest.raises(ArgumentError, match="one label from each"):
        events.kappa([], [])


def brute_match(a: Events, b: Events) -> list[tuple[int, int]]:
    """Every pair compared with every other."""
    shared = np.full((len(a), len(b)), -1.0)
    for i, j in product(range(len(a)), range(len(b))):
        overlap = min(a.end[i], b.end[j]) - max(a.start[i], b.start[j])
        shared[i, j] = overlap if overlap >= 0 else -1
    return [
        (i, j)
        for i, j in product(range(len(a)), range(len(b)))
        if shared[i, j] >= 0 and shared[i].argmax() == j and shared[:, j].argmax() == i
    ]


@given(arrays(np.int64, 40, elements=st.integers(0, 1)), arrays(np.int64, 40, elements=st.integers(0, 1)))
def test_matches_are_those_of_brute_force(a, b):
    one, other = labelled(a), labelled(b)
    found = events.match(one, other)
    assert [tuple(pair) for pair in found.pairs.tolist()] == brute_match(one, other)
    assert len(set(found.pairs[:, 0])) == len(set(found.pairs[:, 1])) == len(found)


def test_a_split_fixation_is_matched_once_and_costs_precision():
    truth = np.repeat([1, 0, 1, 0, 1], [30, 5, 30, 5, 30])
    found = truth.copy()
    found[[10, 36]] = 0
    found[70:] = 0
    match = events.match(labelled(truth), labelled(found))
    assert match.pairs.tolist() == [[0, 1], [1, 3]]
    assert (match.precision, match.recall, match.f1) == (0.5, pytest.approx(2 / 3), pytest.approx(4 / 7))
    np.testing.assert_allclose(match.onset_lag, [0.11, 0.02])
    assert match.onset_offset == pytest.approx(0.065)
    assert match.onset_deviation == pytest.approx(0.09 / np.sqrt(2))
    assert match.offset_offset == pytest.approx(0)


def test_a_shifted_copy_has_its_shift_as_timing_offset_and_no_deviation():
    truth = np.tile(np.repeat([1, 2], [20, 5]), 8)
    one, other = labelled(truth), labelled(np.roll(truth, 3))
    match = events.match(one.where(np.arange(len(one)) < 14), other)
    assert match.f1 > 0.8
    assert match.onset_offset == pytest.approx(0.03)
    assert match.onset_deviation == pytest.approx(0, abs=1e-12)


def test_nothing_matches_nothing():
    match = events.match(labelled(np.zeros(9, int)), labelled(np.ones(9, int)))
    assert (match.recall, match.precision, match.f1) == (pytest.approx(np.nan, nan_ok=True), 0, 0)
    assert np.isnan(match.onset_offset)


def test_durations_pool_recordings():
    one, other = labelled(np.repeat([1, 0, 1], [11, 3, 21])), labelled(np.repeat([2, 1], [4, 31]))
    found = events.durations([one, other])
    assert (found.count, found.mean, found.sd) == (3, pytest.approx(0.2), pytest.approx(0.1))
    assert events.durations(one, Kind.PSO).count == 0
    assert np.isnan(events.durations(one, Kind.PSO).mean)


def test_rmsd_scales_each_statistic_and_is_nothing_for_the_coders_mean():
    coders = [Durations(10, 0.2, 0.1), Durations(20, 0.4, 0.3)]
    found = events.rmsd({"far": Durations(25, 0.5, 0.4), "mean": Durations(15, 0.3, 0.2)}, coders)
    assert found.index.tolist() == ["mean", "far"]
    assert found["mean"] == pytest.approx(0)
    # Scaled: (25 - 15) / 15, (0.5 - 0.3) / 0.3 and (0.4 - 0.2) / 0.3, each two thirds.
    assert found["far"] == pytest.approx(2 / 3)
    with pytest.raises(ArgumentError, match="0 coders"):
        events.rmsd({"far": coders[0]}, [])


# -- choosing a threshold ---------------------------------------------------------------------------------------------


def drifting(slow: float, fast: float = 200.0, seed: int = 0) -> tuple[Gaze, np.ndarray]:
    """The eye drifts at one speed, which is labelled a fixation, and jumps at another, labelled a saccade."""
    rate = np.where(np.arange(600) % 100 < 90, slow, fast)
    x = np.cumsum(rate) / 500 + np.random.default_rng(seed).normal(scale=1e-4, size=600)
    return Gaze(np.arange(600) / 500, x, np.zeros(600), unit="deg"), np.where(rate < fast, 1, 2)


def test_the_threshold_lies_between_what_is_labelled_a_fixation_and_a_saccade():
    choice = events.choose_velocity([drifting(27, seed=0), drifting(27, seed=1)], (15, 25, 35, 300))
    assert choice.velocity == 35
    for useless in (15, 25, 300):
        assert choice.kappas[useless] == pytest.approx(0, abs=0.1)
    assert choice.kappas[35] > 0.6


def test_a_recording_has_no_say_in_the_threshold_that_it_is_scored_with():
    recordings = [*(drifting(5, 40, seed) for seed in range(3)), drifting(42, 200, 3)]
    assert events.choose_velocity(recordings[3:], (20.0, 60.0)).velocity == 60
    labels, chosen = events.held_out_labels(recordings, (20.0, 60.0))
    assert chosen[3] == 20
    assert (labels[3] == Kind.FIXATION).mean() < 0.05
    _, alone = events.held_out_labels([recordings[0], recordings[3]], (20.0, 60.0))
    assert alone == [60, 20]
    _, grouped = events.held_out_labels(recordings, (20.0, 60.0), groups=["a", "b", "c", "c"])
    assert grouped[2] == grouped[3] == 20


def test_choosing_needs_recordings_and_labels_that_fit():
    gaze, labels = drifting(10, 0)
    with pytest.raises(ArgumentError, match="0 recordings"):
        events.choose_velocity([])
    with pytest.raises(ArgumentError, match="recording 0 has 600 samples"):
        events.choose_velocity([(gaze, labels[:-1])])
    with pytest.raises(ArgumentError, match="expected two groups"):
        events.held_out_labels([(gaze, labels)])
    with pytest.raises(ArgumentError, match="not all alike"):
        events.choose_velocity([(gaze, np.ones(600, int))], (1e6,))
