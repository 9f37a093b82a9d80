"""Logs and ranks in which nothing, or everything, was clicked: they teach nothing, and nobody is told otherwise."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from irworks.data import ClickLog
from ltr_twotower import (
    NotIdentifiedError,
    NotIdentifiedWarning,
    PlacementPropensity,
    TwoTowerClickModel,
    check_identifiability,
    logging_policy_report,
)
from ltr_twotower.simulate import linear_world

TOWERS = pytest.mark.parametrize("tower", ["embedding", "linear"])
FILLS = pytest.mark.parametrize("clicked", [False, True], ids=["no clicks", "only clicks"])


@pytest.fixture(scope="module")
def log() -> ClickLog:
    rng = np.random.default_rng(0)
    return linear_world(rng, n_queries=15, k=5, n_features=3).simulate(3000, rng, temperature=0.3)


def filled(log: ClickLog, clicked: bool, ranks: Any = slice(None)) -> ClickLog:
    clicks = log.clicks.copy()
    clicks[:, ranks] = clicked
    return replace(log, clicks=clicks & log.shown)


# -- a whole log ------------------------------------------------------------------------------------------------------


@TOWERS
@FILLS
def test_a_log_without_contrast_is_not_identified_and_the_summary_says_why(
    log: ClickLog, tower: Any, clicked: bool
) -> None:
    report = check_identifiability(filled(log, clicked), tower=tower)

    assert not report.ok
    assert report.silent
    assert "there is nothing to learn theta from" in report.summary()
    assert ("every document was clicked" if clicked else "not one document was clicked") in report.summary()
    assert report.to_dict()["identified"] is False
    assert report.components == [[1, 2, 3, 4, 5]]


@TOWERS
@FILLS
def test_a_fit_to_a_log_without_contrast_warns_or_stops(log: ClickLog, tower: Any, clicked: bool) -> None:
    silent = filled(log, clicked)

    with pytest.warns(NotIdentifiedWarning, match="nothing to learn theta from"):
        TwoTowerClickModel(tower).fit(silent)
    with pytest.raises(NotIdentifiedError, match="nothing to learn theta from"):
        TwoTowerClickModel(tower, on_unidentified="raise").fit(silent)


@pytest.mark.filterwarnings("error")
def test_one_click_is_something_and_a_single_rank_needs_none(log: ClickLog) -> None:
    one = filled(log, False)
    one.clicks[0, 0] = True
    top = ClickLog(log.query, log.docs[:, :1], np.zeros((len(log), 1), dtype=bool))

    TwoTowerClickModel().fit(one)
    TwoTowerClickModel().fit(top)

    assert check_identifiability(one).ok
    assert check_identifiability(top).ok


@TOWERS
def test_the_report_on_a_log_without_contrast_cannot_tell(log: ClickLog, tower: Any) -> None:
    found = logging_policy_report(TwoTowerClickModel(tower), filled(log, False))

    assert found.verdict == "cannot tell"
    assert "nothing to learn theta from" in found.text
    assert found.residuals is None
    assert found.shift is None
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_stream_that_begins_in_silence_goes_on_until_there_are_clicks(log: ClickLog) -> None:
    model = TwoTowerClickModel(on_unidentified="raise")
    with pytest.raises(NotIdentifiedError):
        model.partial_fit(filled(log, False))

    model.partial_fit(log)

    assert np.isfinite(model.stderr_).all()


# -- a rank -----------------------------------------------------------------------------------------------------------


@TOWERS
@FILLS
@pytest.mark.parametrize("method", ["count", "known"])
def test_weights_do_not_make_a_rank_without_contrast_certain(
    log: ClickLog, tower: Any, clicked: bool, method: Any
) -> None:
    silent = filled(log, clicked, ranks=2)
    plain = TwoTowerClickModel(tower).fit(silent)

    weighted = TwoTowerClickModel(tower, sample_weight=PlacementPropensity(method)).fit(silent)

    assert abs(weighted.position_bias_[2]) > 6
    assert weighted.stderr_[2] > 0.9 * plain.stderr_[2] > 0.5
    assert (weighted.stderr_[[1, 3, 4]] < 0.3).all()
    assert weighted.contrast(4, 3)[1] > 0.5


@TOWERS
@pytest.mark.parametrize("n_clicks", [1, 3, 30])
def test_a_few_clicks_make_theta_as_certain_as_their_number(log: ClickLog, tower: Any, n_clicks: int) -> None:
    few = filled(log, False, ranks=2)
    few.clicks[np.linspace(0, len(log) - 1, n_clicks).astype(int), 2] = True

    weighted = TwoTowerClickModel(tower, sample_weight=PlacementPropensity("known")).fit(few)

    # The logarithm of a rate that rests on n events is known to about 1 / sqrt(n); weights make it worse.
    assert 0.8 < weighted.stderr_[2] * np.sqrt(n_clicks) < 3


@TOWERS
@FILLS
def test_the_report_takes_no_silent_rank_for_certain_or_for_a_sign_of_the_policy(
    log: ClickLog, tower: Any, clicked: bool
) -> None:
    found = logging_policy_report(TwoTowerClickModel(tower), filled(log, clicked, ranks=2))

    assert (found.thetas.loc[2, ["naive_stderr", "weighted_stderr"]] > 0.5).all()
    assert found.verdict == "no sign of policy bias"
