"""Mistakes that everyone makes once: a seed for a generator, a path for what it holds, a class for a model."""

import numpy as np
import pytest

from irworks.errors import ArgumentError
from recgaze import RecGazeDataset, Screen, events, gaze_from_fixations, simulate_study
from recgaze.browse import Browsing, examination_hypothesis, planted_study, tally
from recgaze.models import OEPBM, RCPBM, compare
from recgaze.report import report


@pytest.mark.parametrize(
    "call",
    [
        lambda data: simulate_study(2, rng=0),
        lambda data: planted_study(0),
        lambda data: Browsing.of(data.impressions(), rng=0),
        lambda data: tally(data.impressions()).resample(0),
        lambda data: examination_hypothesis(data.impressions(), rng=0),
        lambda data: compare([OEPBM()], data.impressions(), rng=0),
        lambda data: report(data, "report.html", rng=0),
        lambda data: gaze_from_fixations(
            [0.0], [1.0], [0.0], [0.0], rate=60, noise_px=1, screen=Screen(10, 10, 5, 5, 60), rng=0
        ),
    ],
)
def test_a_seed_is_no_generator(dataset, call):
    with pytest.raises(ArgumentError, match=r"rng=0; expected a generator, such as numpy\.random\.default_rng"):
        call(dataset)


@pytest.mark.parametrize("detect", [events.ivt, events.idt, events.adaptive])
def test_a_path_is_no_gaze(detect):
    with pytest.raises(ArgumentError, match=r"gaze='g\.csv'; expected Gaze, such as read_gaze gives"):
        detect("g.csv")


def test_a_class_is_no_model_and_nothing_is_no_folder(dataset):
    for models in ([OEPBM, RCPBM], {"first": OEPBM}):
        with pytest.raises(ArgumentError, match=r"OEPBM.*; expected CPBM\(\), RCPBM\(\) or OEPBM\(\)"):
            compare(models, dataset.impressions(), rng=np.random.default_rng(0))
    with pytest.raises(ArgumentError, match="folder=None; expected the path of a folder"):
        RecGazeDataset.load(None)


def test_an_attraction_that_there_is_none_of_is_told_when_the_model_is_made():
    for kind in (OEPBM, RCPBM):
        with pytest.raises(ArgumentError, match="attraction='x'; expected one of movie"):
            kind(attraction="x")
