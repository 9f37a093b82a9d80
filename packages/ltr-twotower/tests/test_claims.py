import numpy as np
import pytest

from irworks.claims import Context, NotRun, Verdict
from ltr_twotower.claims import CLAIMS
from ltr_twotower.claims.experiments import compare, refit_toy, weigh_deterministic
from ltr_twotower.simulate import linear_world, omitted_features_world

SIMULATED = [claim for claim in CLAIMS if not claim.data]


def context(claim, tmp_path, scale="smoke", **options):
    return Context(scale=scale, seeds=claim.seeds_at(scale), run_dir=tmp_path, options=options)


@pytest.mark.parametrize("claim", SIMULATED, ids=lambda claim: claim.id)
def test_every_simulated_claim_measures_something_at_scale_smoke(claim, tmp_path):
    evidence = claim.function(context(claim, tmp_path))
    assert evidence.verdict in {Verdict.REPRODUCED, Verdict.PARTLY, Verdict.NOT_REPRODUCED}
    assert evidence.values
    assert all(np.isfinite(value) for value in evidence.values.values())
    assert evidence.measured


@pytest.mark.data
def test_the_claim_on_real_documents_runs_where_they_are(tmp_path, letor_folder):
    (claim,) = [claim for claim in CLAIMS if claim.data == ("letor",)]
    evidence = claim.function(context(claim, tmp_path))
    assert {"theta_error_ratio", "held_out_gain"} <= set(evidence.values)


@pytest.mark.data
@pytest.mark.parametrize("claim_id", ["well-specified-unbiased", "misspecified-hurts-ranking"])
def test_scale_full_builds_its_worlds_on_the_documents_that_the_user_names(
    claim_id, tmp_path, letor_folder, monkeypatch
):
    # The real fold is half a million documents; its place is taken by a small one, and the sessions are cut.
    monkeypatch.setattr(Context, "pick", lambda self, *, smoke, small, full: smoke)
    (claim,) = [claim for claim in CLAIMS if claim.id == claim_id]
    ctx = Context(scale="full", seeds=(0, 1), run_dir=tmp_path, options={"mslr": str(letor_folder)})
    evidence = claim.function(ctx)
    assert evidence.verdict in set(Verdict)


def test_scale_full_without_a_path_is_not_run_and_says_how(tmp_path):
    (claim,) = [claim for claim in CLAIMS if claim.id == "weighting-mends"]
    with pytest.raises(NotRun) as raised:
        claim.function(context(claim, tmp_path, scale="full"))
    assert "--option mslr=" in raised.value.command


def test_every_claim_states_its_rule_and_place():
    assert len(CLAIMS) == 8
    for claim in CLAIMS:
        assert claim.rule.rstrip().endswith(".")
        assert claim.where.startswith("Section")


def test_refits_of_a_deterministic_log_disagree_and_those_of_a_uniform_log_agree():
    fixed, uniform = (refit_toy(np.random.default_rng(0), 2, T, 5000) for T in (0.0, 1.0))
    assert fixed["components"] == 5
    assert uniform["components"] == 1
    assert fixed["spread"] > 0.1 > 0.01 > uniform["spread"]
    assert np.isinf(fixed["worst_stderr"])


def test_a_deterministic_log_is_weighed_in_vain():
    result = weigh_deterministic(np.random.default_rng(0), 2000)
    assert (result.no_op, result.moved, result.warned) == (True, 0.0, True)


def test_the_comparison_sees_a_bias_only_where_one_was_planted():
    rng = np.random.default_rng(0)
    fine, bent = (
        compare(make(rng, n_queries=150), 30_000, rng, temperature=0.05, fits=("naive", "weighted", "uniform"))
        for make in (linear_world, omitted_features_world)
    )
    assert fine.theta_error["naive"] < 0.1
    assert bent.theta_error["naive"] > 3 * bent.theta_error["weighted"]
    assert bent.ess_share < 0.2
