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


# Each rule once more, as checks of the published values alone.
RULES: dict[str, Callable[[Values], list[bool]]] = {
    "latency": lambda v: [v["seconds"] < 1, v["ratio"] >= 20],
    "sequential-decay": lambda v: [
        v[f"{kind}_fine_tune_loss"] - v[f"{kind}_scif_loss"] > 0.02 for kind in ("gru", "attention")
    ],
    "exact-removal": lambda v: [
        v["difference_EASE"] < 1e-8,
        v["difference_item_kNN"] == 0,
        v["difference_TIFU_kNN"] == 0,
        v["ials_overlap"] < 0.98,
    ],
    "membership-survives": lambda v: [
        v["none"] >= 0.85,
        v["scif"] >= v["retrained_largest"] + 0.15,
        abs(v["ndcg_lost"]) <= 0.005,
        abs(v["calibrated"] - v["retrained"]) <= 0.15,
    ],
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
    if claim.id not in RULES:
        pytest.skip("its rule needs more than the published values")
    checks = RULES[claim.id](evidence.values)
    expected = Verdict.REPRODUCED if all(checks) else Verdict.PARTLY if any(checks) else Verdict.NOT_REPRODUCED
    assert evidence.verdict is expected
