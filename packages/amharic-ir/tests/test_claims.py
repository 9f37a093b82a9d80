import pytest
from amharic_ir.claims import CLAIMS

from irworks.claims import Context, Verdict


@pytest.mark.parametrize("claim", [claim.id for claim in CLAIMS])
def test_every_claim_is_measured_at_scale_smoke(claim, tmp_path):
    evidence = CLAIMS.run(Context("smoke", (0, 1), tmp_path), claim)
    assert evidence.verdict in (Verdict.REPRODUCED, Verdict.PARTLY)
    assert evidence.values


def test_the_claim_fails_where_intervals_are_too_short(tmp_path, monkeypatch):
    from functools import partial

    from amharic_ir import claims

    monkeypatch.setattr(claims, "click_rate", partial(claims.click_rate, level=0.5))
    evidence = CLAIMS.run(Context("smoke", (0, 1), tmp_path), "intervals-cover")
    assert evidence.verdict is Verdict.NOT_REPRODUCED
