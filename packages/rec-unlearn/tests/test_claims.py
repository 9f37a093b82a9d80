"""The claims at scale smoke: each measures something, and its verdict is the one that its values ask for."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest

from irworks.claims import Context, Verdict
from irworks.errors import ArgumentError
from irworks.report.page import as_table
from rec_unlearn.claims import CLAIMS
from rec_unlearn.claims.sequential import GENERAL
from rec_unlearn.simulate import simulate_baskets

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


@pytest.fixture(scope="module")
def instacart(tmp_path_factory):
    """Made-up baskets of 15 products, of which two are wine, in Instacart's files."""
    folder = tmp_path_factory.mktemp("instacart")
    log = simulate_baskets(np.random.default_rng(5), n_users=900, n_items=15, n_categories=3).log
    rows = pd.DataFrame({"user_id": log.user, "order_number": log.step, "product_id": log.item})
    orders = rows[["user_id", "order_number"]].drop_duplicates(ignore_index=True)
    orders["order_id"] = orders.index
    lines = rows.merge(orders, on=["user_id", "order_number"])[["order_id", "product_id"]]
    orders.to_csv(folder / "orders.csv", index=False)
    lines[:-10].to_csv(folder / "order_products__prior.csv", index=False)
    lines[-10:].to_csv(folder / "order_products__train.csv", index=False)
    pd.DataFrame({"aisle_id": [1, 28], "aisle": ["bread", "wine"]}).to_csv(folder / "aisles.csv", index=False)
    products = pd.DataFrame({"product_id": range(15), "aisle_id": [28 if i in (3, 7) else 1 for i in range(15)]})
    products.to_csv(folder / "products.csv", index=False)
    return folder


def test_claims_run_on_the_data_of_the_paper_from_the_users_path(instacart, tmp_path):
    def run_on(**options):
        options = {"instacart": str(instacart), **options}
        return CLAIMS.run(Context("smoke", (0,), tmp_path, device="cpu", options=options), "sensitive-detectable")

    evidence = run_on(users="140")
    assert evidence.values["least_log_probability_of_the_targets_0"] > 0
    with pytest.raises(ArgumentError, match="category='cheese'; expected one of: bread, wine, alcohol, baby, meat"):
        run_on(category="cheese")
    with pytest.raises(ArgumentError, match="users=many: expected a number from 1 to"):
        run_on(users="many")
