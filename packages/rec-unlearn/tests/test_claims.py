"""The claims at scale smoke: each measures something, and its verdict is the one that its values ask for."""

from collections.abc import Callable, Mapping

import pytest

from irworks.claims import Context, Verdict
from irworks.report.page import as_table
from rec_unlearn.claims import CLAIMS
from rec_unlearn.claims.sequential import GENERAL

Values = Mapping[str, float]


def names(prefix: str, suffix: str) -> list[str]:
    return [f"{prefix}_over_{label.replace('-', '_')}{suffix}" for label in GENERAL]


def by(checks: list[bool]) -> Verdict:
    return Verdict.REPRODUCED if all(checks) else Verdict.PARTLY if any(checks) else Verdict.NOT_REPRODUCED


def beats_general(v: Values) -> Verdict:
    ahead = [v[name] > 0 for name in names("overlap", "_low")]
    rest = [v[name] > -0.005 for name in names("ndcg", "_low")] + [v[name] > 0 for name in names("gap", "_low")]
    return by(ahead + rest) if all(ahead + rest) else Verdict.PARTLY if all(ahead) else Verdict.NOT_REPRODUCED


def seen_by_share(v: Values) -> Verdict:
    """At this scale 4 requests, and all of them; 0 stands for never."""
    least = v["least_share_shown_a_target_0"]
    return by([least > 0, 0 < least <= 4])


# Each rule once more, from the published values alone.
RULES: dict[str, Callable[[Values], Verdict]] = {
    "works-for-sequential": lambda v: by(
        [
            all(v[f"{kind}_{what}"] for what in ("seen", "share_holds", "overlap_holds", "ndcg_holds"))
            for kind in ("gru", "attention")
        ]
    ),
    "influence-beats-general": beats_general,
    "latency": lambda v: by([v["seconds"] < 1, v["ratio"] >= 20]),
    "sequential-decay": lambda v: by(
        [v[f"{kind}_fine_tune_loss"] - v[f"{kind}_scif_loss"] > 0.02 for kind in ("gru", "attention")]
    ),
    "sensitive-detectable": seen_by_share,
    "audit-calibrated": lambda v: by([0.9 <= v[name] <= 0.99 for name in ("canaries", "likelihood_ratio", "loss")]),
    "share-saturates": lambda v: by([v["hidden"] >= 0.5, v["hidden"] > 0]),
    "exact-removal": lambda v: by(
        [
            v["difference_EASE"] < 1e-8,
            v["difference_item_kNN"] == 0,
            v["difference_TIFU_kNN"] == 0,
            v["ials_overlap"] < 0.98,
        ]
    ),
    "damping-decides": lambda v: by(
        [
            v["lowest_eigenvalue_at_most"] < 0,
            v["kept_hessian"] < 0.5 or v["undone_hessian"] > 0,
            v["kept_gauss_newton"] >= 0.9,
        ]
    ),
    "membership-survives": lambda v: by(
        [
            v["none"] >= 0.85,
            v["scif"] >= v["retrained_largest"] + 0.15,
            abs(v["ndcg_lost_scif"]) <= 0.005,
            abs(v["calibrated"] - v["retrained"]) <= 0.15,
            abs(v["ndcg_lost_calibrated"]) <= 0.004,
        ]
    ),
}


@pytest.fixture(scope="module", params=[claim.id for claim in CLAIMS])
def run(request, unlearn_folder, tmp_path_factory):
    claim = CLAIMS[request.param]
    seeds = tuple(range(claim.seeds.get("smoke", 1)))
    return claim, CLAIMS.run(Context("smoke", seeds, tmp_path_factory.mktemp("work"), device="cpu"), claim.id)


def test_a_claim_measures_and_says_so(run):
    claim, evidence = run
    assert len(evidence.measured) > 20
    assert evidence.values
    assert evidence.verdict in (Verdict.REPRODUCED, Verdict.PARTLY, Verdict.NOT_REPRODUCED)
    if evidence.table is not None:
        assert as_table(evidence.table).columns
    assert claim.rule.endswith((".", "partly if some."))


def test_a_verdict_follows_from_the_values(run):
    claim, evidence = run
    assert evidence.verdict is RULES[claim.id](evidence.values)
