import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from irworks.claims import Claim, Context, Evidence, NotRun, Verdict
from irworks.errors import DataError
from irworks.report.page import as_table
from irworks.report.svg import figure_to_svg
from irworks.report.tables import typeset
from recgaze.claims import CLAIMS
from recgaze.simulate import simulate_study

PUBLISHED = ["published-counts", "published-browsing", "published-models"]
Values = Mapping[str, float]

# Each rule once more, as checks of the published values alone.
RULES: dict[str, Callable[[Values], list[bool]]] = {
    "golden-triangle": lambda v: [
        v["triangle_excess_low"] > 0,
        v["l_excess_low"] > 0,
        0.90 <= v["coverage"] <= 0.99,
        v["power"] >= 0.95,
    ],
    "f-pattern": lambda v: [
        v["power"] >= 0.95,
        v["swiped_false"] <= 0.10,
        v["uniform_false"] <= 0.05,
        v["real_row_high"] < 0 and v["real_column_high"] < 0,
    ],
    "l-pattern": lambda v: [v["power"] == 1, v["size"] <= 0.10],
    "examination-hypothesis": lambda v: [
        v["size"] <= 0.07,
        v["power"] >= 0.9,
        v["drawn_size"] <= 0.07,
        v["drawn_power"] >= 0.9,
        v["naive_slope_high"] < 0,
    ],
    "carousel-over-list": lambda v: [
        v["coarse_ccm"] < v["coarse_tcm"] - 0.005,
        v["fine_ccm"] < v["fine_tcm"] - 0.005,
        v["perplexity_ccm"] < v["perplexity_tcm"] - 0.05,
    ],
    "observed-examination-best": lambda v: [
        v["oepbm_over_rcpbm_low"] > 0,
        v["rcpbm_over_cpbm_low"] > 0,
        v["ordered"] >= 0.9,
        v["lowest_correlation"] > 0.99,
    ],
    "gradient-over-em": lambda v: [
        v["least_gain"] >= -1e-6,
        v["largest_fall"] <= 1e-9,
        v["least_gain_over_40"] > 0,
    ],
    "not-identifiable": lambda v: [
        v["audit"] == 1,
        v["likelihood_gap"] < 1e-6 and v["film_correlation"] < 0.5,
        v["genre_correlation"] > 0.99,
        v["gaze_correlation"] > 0.99,
    ],
    "coder-agreement": lambda v: [True] * int(v["equal"]) + [False] * (9 - int(v["equal"])),
    "detector-agreement": lambda v: [
        v["ivt_mn"] >= 0.80 and v["ivt_ra"] >= 0.72,
        v["held_out_mn"] >= 0.80 and v["held_out_ra"] >= 0.72,
        v["img_ivt_slow"] >= 0.827,
        v["dots_ivt_slow"] >= 0.797 and v["video_ivt_slow"] >= 0.843,
    ],
    "gaze-profile": lambda v: [v["gain_low"] > 0, v["control_high"] < 0, 0.45 <= v["control_alone"] <= 0.55],
    "rerank-after-swipe": lambda v: [
        v["over_order_low"] > 0,
        v["over_map_low"] > 0,
        v["control"] < v["over_order"] / 10,
    ],
    "published-counts": lambda v: [v["users"] == 87, v["interactions"] == 3_477, v["lost"] == 3, v["failed"] == 7],
    "published-models": lambda v: [v["oepbm_over_rcpbm_low"] > 0, v["rcpbm_over_cpbm_low"] > 0],
}


def context(claim: Claim, folder: Path, **options: str) -> Context:
    return Context(scale="smoke", seeds=claim.seeds_at("smoke"), run_dir=folder, options=options)


def measure(claim_id: str, folder: Path, **options: str) -> Evidence:
    claim = CLAIMS[claim_id]
    return claim.function(context(claim, folder, **options))


def require_evidence(claim_id: str, evidence: Evidence) -> None:
    assert evidence.measured
    assert all(np.isfinite(value) for value in evidence.values.values())
    if claim_id in RULES:
        checks = RULES[claim_id](evidence.values)
        expected = Verdict.REPRODUCED if all(checks) else Verdict.PARTLY if any(checks) else Verdict.NOT_REPRODUCED
        assert evidence.verdict is expected
    if evidence.table is not None:
        assert all(len(column.cells) == len(evidence.table) for column in typeset(as_table(evidence.table)))
    if evidence.figure is not None:
        assert figure_to_svg(evidence.figure).startswith("<svg")
        assert evidence.caption


@pytest.mark.parametrize("claim_id", [claim.id for claim in CLAIMS if not claim.data and claim.id not in PUBLISHED])
def test_every_simulated_claim_is_judged_by_its_rule_at_scale_smoke(claim_id, tmp_path):
    require_evidence(claim_id, measure(claim_id, tmp_path))


@pytest.mark.data
@pytest.mark.parametrize("claim_id", [claim.id for claim in CLAIMS if claim.data])
def test_claims_on_real_data_run_where_it_is(claim_id, tmp_path):
    root = os.environ.get("IRWORKS_DATA")
    if root is None or not (Path(root) / "recgaze" / "lund2013").is_dir():
        pytest.skip("recgaze is not under IRWORKS_DATA: the real data sets are elsewhere or absent")
    require_evidence(claim_id, measure(claim_id, tmp_path))


@pytest.mark.parametrize("claim_id", PUBLISHED)
def test_without_the_published_files_their_claims_say_how_to_run_them(claim_id, tmp_path):
    with pytest.raises(NotRun, match="published data files") as raised:
        measure(claim_id, tmp_path)
    assert "--option recgaze=FOLDER" in raised.value.command
    with pytest.raises(DataError, match="no such folder"):
        measure(claim_id, tmp_path, recgaze=str(tmp_path / "nowhere"))


def test_claims_on_the_published_files_run_on_a_study_in_their_form(tmp_path):
    simulate_study(87, rng=np.random.default_rng(0)).dataset.save(tmp_path)
    for claim_id in PUBLISHED:
        evidence = measure(claim_id, tmp_path, recgaze=str(tmp_path))
        require_evidence(claim_id, evidence)
        if claim_id == "published-counts":
            assert evidence.verdict is Verdict.REPRODUCED


def test_every_claim_has_its_rule_checked_here_or_is_on_published_browsing():
    assert {claim.id for claim in CLAIMS} - set(RULES) == {"published-browsing"}


def test_claims_of_ours_are_told_from_those_of_papers():
    sources = ("arXiv", "Abstract", "Andersson")
    for claim in CLAIMS:
        assert claim.says.startswith("(Ours.)") or any(source in claim.where for source in sources), claim.id
