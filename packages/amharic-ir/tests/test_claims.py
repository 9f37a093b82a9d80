"""The claims at scale smoke: each measures something, and its verdict is the one that its values ask for."""

import pytest

from amharic_ir.claims import CLAIMS
from irworks.claims import Context, Verdict

RULES = {
    "analysis-matters": lambda v: [value > 0 for name, value in v.items() if name.endswith("_low")],
    "folding-is-invariance": lambda v: [v["same"], v["fall"] > 0.02 and v["fall_low"] > 0, abs(v["clean"]) < 0.02],
    "layout-and-slips": lambda v: [
        v["same"] and v["whitespace_wordspace"] < 0.1,
        v["ngrams_nospace"] > 0.8 and v["words_nospace"] < 0.2,
        v["slips_gain_low"] > 0,
    ],
}


@pytest.mark.parametrize("claim", [claim.id for claim in CLAIMS])
def test_a_claim_measures_and_its_verdict_follows_from_its_values(claim, amharic, tmp_path):
    evidence = CLAIMS.run(Context("smoke", (0,), tmp_path, device="cpu"), claim)
    checks = RULES[claim](evidence.values)
    assert evidence.verdict is (
        Verdict.REPRODUCED if all(checks) else Verdict.PARTLY if any(checks) else Verdict.NOT_REPRODUCED
    )
    assert len(evidence.measured) > 20
