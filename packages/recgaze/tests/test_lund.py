"""Hand-coded recordings of Andersson et al. (2017): coders against each other and against the detectors."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recgaze import events
from recgaze.events import Events, Kind
from recgaze.gaze import Gaze
from recgaze.gaze_files import CodedRecording, read_coded

pytestmark = pytest.mark.data

STIMULI = ("img", "dots", "video")
KINDS = (Kind.FIXATION, Kind.SACCADE, Kind.PSO)
SLOW = (Kind.FIXATION, Kind.PURSUIT)
# Kappas between the coders: fixations, saccades, oscillations (Andersson et al. 2017).
CODERS = {"img": (0.84, 0.91, 0.76), "dots": (0.65, 0.81, 0.62), "video": (0.65, 0.87, 0.65)}
# REMoDNaV against MN and RA on images, fixations (Dar et al. 2021); against MN, fixation or pursuit, as measured.
REMODNAV = {"MN": 0.52, "RA": 0.55}
REMODNAV_SLOW = {"img": 0.827, "dots": 0.797, "video": 0.843}


@pytest.fixture(scope="module")
def lund() -> dict[str, list[CodedRecording]]:
    data = os.environ.get("IRWORKS_DATA")
    if not data or not (Path(data) / "recgaze" / "lund2013").is_dir():
        pytest.skip("IRWORKS_DATA has no recgaze/lund2013")
    return {stimulus: read_coded(Path(data) / "recgaze" / "lund2013" / stimulus) for stimulus in STIMULI}


def coded(recordings: list[CodedRecording], coder: str) -> np.ndarray:
    return np.concatenate([one.labels[coder] for one in recordings])


def detected(recordings: list[CodedRecording], detect: Callable[[Gaze], Events]) -> np.ndarray:
    return np.concatenate([detect(one.gaze).labels(len(one.gaze)) for one in recordings])


@pytest.mark.parametrize("stimulus", STIMULI)
def test_the_coders_agree_as_published(lund, stimulus):
    found = [events.kappa(coded(lund[stimulus], "MN"), coded(lund[stimulus], "RA"), kind) for kind in KINDS]
    assert tuple(round(one, 2) for one in found) == CODERS[stimulus]


@pytest.mark.parametrize(("coder", "least"), [("MN", 0.80), ("RA", 0.72)])
def test_ivt_finds_fixations_on_images_with_a_threshold_that_others_chose(lund, coder, least):
    images, truth = lund["img"], coded(lund["img"], coder)
    by_default = events.kappa(detected(images, events.ivt), truth)
    assert by_default >= least > REMODNAV[coder]
    people = [one.person for one in images]
    recordings = [(one.gaze, one.labels[coder]) for one in images]
    for groups in (None, people):
        labels, _ = events.held_out_labels(recordings, groups=groups)
        assert events.kappa(np.concatenate(labels), truth) >= least
    other = "RA" if coder == "MN" else "MN"
    velocity = events.choose_velocity([(one.gaze, one.labels[other]) for one in images]).velocity
    assert events.kappa(detected(images, lambda gaze: events.ivt(gaze, velocity)), truth) >= least


def test_with_pursuit_counted_as_fixation_ivt_leads_on_images_only_and_remodnav_on_what_moves(lund):
    found = {
        stimulus: events.kappa(detected(lund[stimulus], events.ivt), coded(lund[stimulus], "MN"), SLOW)
        for stimulus in STIMULI
    }
    assert found["img"] == pytest.approx(0.833, abs=0.002)
    assert found["img"] > REMODNAV_SLOW["img"]
    assert found["dots"] == pytest.approx(0.720, abs=0.002)
    assert found["video"] == pytest.approx(0.801, abs=0.002)
    assert found["dots"] < REMODNAV_SLOW["dots"]
    assert found["video"] < REMODNAV_SLOW["video"]


def test_the_adaptive_detector_is_level_with_remodnav_on_what_moves_and_ahead_on_images(lund):
    found = {stimulus: detected(lund[stimulus], events.adaptive) for stimulus in STIMULI}
    for stimulus in STIMULI:
        merged = events.kappa(found[stimulus], coded(lund[stimulus], "MN"), SLOW)
        assert merged > REMODNAV_SLOW[stimulus] - 0.005, stimulus
    # It is behind in saccades: .745 where REMoDNaV has .78.
    saccades = events.kappa(found["img"], coded(lund["img"], "MN"), Kind.SACCADE)
    assert saccades == pytest.approx(0.745, abs=0.002)
    assert events.kappa(found["img"], coded(lund["img"], "MN"), Kind.PSO) == pytest.approx(0.573, abs=0.002)


@pytest.mark.parametrize(("every", "least"), [(2, 0.80), (4, 0.80), (8, 0.70)])
def test_fixations_on_images_are_found_at_lower_rates_as_well(lund, every, least):
    labels, truth = [], []
    for one in lund["img"]:
        thinned = Gaze(one.gaze.t[::every], one.gaze.x[::every], one.gaze.y[::every], one.gaze.screen)
        labels.append(events.ivt(thinned).labels(len(thinned)))
        truth.append(one.labels["MN"][::every])
    assert events.kappa(np.concatenate(labels), np.concatenate(truth)) >= least


def test_ivt_counts_fixations_of_about_the_coders_number_and_length(lund):
    found = events.durations([events.ivt(one.gaze) for one in lund["img"]])
    coders = [
        events.durations([Events.of_labels(one.gaze, one.labels[coder]) for one in lund["img"]])
        for coder in ("MN", "RA")
    ]
    for coder in coders:
        assert found.count == pytest.approx(coder.count, rel=0.06)
        assert found.mean == pytest.approx(coder.mean, rel=0.06)
    others = {
        "ivt": found,
        "ivt without a minimum": events.durations([events.ivt(one.gaze, min_duration=0) for one in lund["img"]]),
        "idt": events.durations([events.idt(one.gaze) for one in lund["img"]]),
    }
    assert events.rmsd(others, coders).index[0] == "ivt"
