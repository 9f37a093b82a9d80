"""Several policies by several estimators."""

import numpy as np
import pandas as pd
import pytest

from cltr_twostage import DirectMethod, ExposureIPS, SupportError, TwoStagePolicy, compare_policies
from cltr_twostage.evaluation import ESTIMATORS, Evidence, Settings, compare
from cltr_twostage.logged import MissingPropensitiesError
from cltr_twostage.simulate import tiny_world
from irworks.errors import ArgumentError

WORLD = tiny_world(np.random.default_rng(0))
LOG = WORLD.simulate(1000, np.random.default_rng(1))
TARGET = WORLD.logging.replace(ranker=WORLD.relevance)
SETTINGS = Settings(WORLD.examination, method="exact")
EVIDENCE = Evidence([LOG], WORLD.pool, [WORLD.logging])


def test_the_table_holds_what_the_estimators_say() -> None:
    policies = {"old": WORLD.logging, "new": TARGET}

    found = compare(EVIDENCE, SETTINGS, list(ESTIMATORS), policies, baseline="old")

    table = found.to_frame()
    assert len(table) == 2 * len(ESTIMATORS)
    fitted = ExposureIPS(WORLD.examination, method="exact").fit(LOG, WORLD.logging)
    row = table[(table["policy"] == "new") & (table["estimator"] == "exposure-ips")].iloc[0]
    expected, more = fitted.value(TARGET), fitted.difference(TARGET, WORLD.logging)
    assert (row["value"], row["low"], row["high"]) == (expected.value, expected.ci.low, expected.ci.high)
    assert (row["ess"], row["max_weight"]) == (expected.ess, expected.max_weight)
    assert (row["difference"], row["difference_high"]) == (more.value, more.ci.high)
    assert str(expected) in found.text
    assert str(more) in found.text


def test_options_of_weights_go_to_the_estimators_that_weight() -> None:
    settings = Settings(WORLD.examination, clip=1.0, method="exact")

    found = compare(EVIDENCE, settings, ["exposure-ips", "direct-method"], {"new": TARGET})

    assert found.estimates["exposure-ips", "new"].clipped > 0
    with pytest.raises(ArgumentError, match="clip and self_normalized given, and naive-clicks weight nothing"):
        compare(
            EVIDENCE, Settings(WORLD.examination, clip=1.0, self_normalized=True), ["naive-clicks"], {"new": TARGET}
        )


def test_fitted_estimators_fill_the_same_table() -> None:
    policies = {"old": WORLD.logging, "new": TARGET}
    fitted = ExposureIPS(WORLD.examination, method="exact").fit(LOG, WORLD.logging)
    direct = DirectMethod(WORLD.examination, method="exact").fit(LOG, WORLD.logging)
    expected = compare(EVIDENCE, SETTINGS, ["exposure-ips", "direct-method"], policies, baseline="old").to_frame()

    named = compare_policies({"exposure-ips": fitted, "direct-method": direct}, policies, baseline="old")
    unnamed = compare_policies([fitted, direct], policies, baseline="old")
    alone = compare_policies(fitted, policies)

    pd.testing.assert_frame_equal(named, expected)
    pd.testing.assert_frame_equal(unnamed.drop(columns="estimator"), expected.drop(columns="estimator"))
    assert unnamed["estimator"].tolist() == ["ExposureIPS"] * 2 + ["DirectMethod"] * 2
    assert alone["value"].tolist() == expected["value"].tolist()[:2]
    assert "difference" not in alone


def test_a_table_that_cannot_be_made_is_told() -> None:
    fitted = ExposureIPS(WORLD.examination, method="exact").fit(LOG, WORLD.logging)
    with pytest.raises(ArgumentError, match="a mapping with a name for each"):
        compare_policies([fitted, fitted], {"new": TARGET})
    with pytest.raises(ArgumentError, match="baseline='old'; expected one of new"):
        compare_policies(fitted, {"new": TARGET}, baseline="old")
    with pytest.raises(ArgumentError, match="0 estimators and 1 policies"):
        compare_policies([], {"new": TARGET})
    never = WORLD.logging.replace(ranker=np.where(np.arange(WORLD.pool.n_rows) % 6 == 0, -np.inf, 0.0))
    narrow = ExposureIPS(WORLD.examination).fit(WORLD.simulate(50, np.random.default_rng(0), policy=never), never)
    with pytest.raises(SupportError, match=r"^ExposureIPS: "):
        compare_policies(narrow, {"new": TARGET})


def test_what_does_not_apply_is_an_error_unless_it_may_be_left_out() -> None:
    shorter = TwoStagePolicy(WORLD.logging.candidate_scores, WORLD.logging.ranker_scores, 4, 2, pool=WORLD.pool)

    found = compare(EVIDENCE, SETTINGS, list(ESTIMATORS), {"short": shorter}, lenient=True)

    assert set(found.skipped) == {"slate-ips"}
    assert ("exposure-ips", "short") in found.estimates
    with pytest.raises(ArgumentError, match="2 documents and the log 3"):
        compare(EVIDENCE, SETTINGS, ["slate-ips"], {"short": shorter})
    with pytest.raises(ArgumentError, match="2 documents and the log 3"):
        compare(EVIDENCE, SETTINGS, ["slate-ips"], {"short": shorter}, lenient=True)


def test_without_policies_and_columns_only_what_weighs_nothing_is_left() -> None:
    bare = Evidence([LOG], WORLD.pool)

    found = compare(bare, SETTINGS, list(ESTIMATORS), {"new": TARGET}, lenient=True)

    assert {name for name, _ in found.estimates} == {"naive-clicks", "direct-method"}
    assert found.skipped["exposure-ips"] == "needs column 'rho0', or columns 'p_candidate' and 'p_rank'"
    with pytest.raises(MissingPropensitiesError, match="no column of propensities"):
        compare(bare, SETTINGS, ["exposure-ips"], {"new": TARGET})


def test_a_log_is_split_and_no_session_lost() -> None:
    train, judge = EVIDENCE.split(0.25, np.random.default_rng(0))

    assert [len(part.logs[0]) for part in (train, judge)] == [750, 250]
    assert train.logging == judge.logging == EVIDENCE.logging
    assert EVIDENCE.split(0, np.random.default_rng(0)) == (EVIDENCE, EVIDENCE)


def test_names_and_logs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ArgumentError, match="'guess' is unknown; expected one of exposure-ips, "):
        compare(EVIDENCE, SETTINGS, ["guess"], {"new": TARGET})
    with pytest.raises(ArgumentError, match="baseline='old'; expected one of new"):
        compare(EVIDENCE, SETTINGS, ["exposure-ips"], {"new": TARGET}, baseline="old")
    with pytest.raises(ArgumentError, match="logging policies: 2; expected one for each log"):
        Evidence([LOG], WORLD.pool, [WORLD.logging, TARGET])
    with pytest.raises(ArgumentError, match="2 logs without logging policies"):
        Evidence([LOG, LOG], WORLD.pool)
