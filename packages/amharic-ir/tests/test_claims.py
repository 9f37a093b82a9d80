"""The claims at scale smoke: each measures something, and its verdict is the one that its values ask for."""

from functools import cache

import pytest

from amharic_ir import tokenizers
from amharic_ir.claims import CLAIMS
from amharic_ir.claims.analysis import Together
from amharic_ir.datasets import masakhanews, ntrex
from amharic_ir.text.analyzer import Analyzer
from irworks.claims import Context, NotRun, Verdict

# At scale full alone; see test_claims_hub.py.
AT_FULL = {
    "2airtc",
    "amharic-embed-beats-multilingual",
    "colbert-on-hub",
    "compact-models",
    "same-pairs-both-backbones",
}
RULES = {
    "analysis-matters": lambda v: [value > 0 for name, value in v.items() if name.endswith("_low")],
    "folding-is-invariance": lambda v: [v["same"], v["fall"] > 0.02 and v["fall_low"] > 0, abs(v["clean"]) < 0.02],
    "layout-and-slips": lambda v: [
        v["same"] and v["whitespace_wordspace"] < 0.1,
        v["ngrams_nospace"] > 0.8 and v["words_nospace"] < 0.2,
        v["slips_gain_low"] > 0,
    ],
    "tokenizer-fertility": lambda v: [value > 1 for name, value in v.items() if name.endswith("_ratio_low")],
    "tokenizer-sparse": lambda v: [value > 0 for name, value in v.items() if name.endswith("_low")],
    "late-interaction": lambda v: [value > 0 for name, value in v.items() if "_gain_low_" in name],
    "tokenizer-dense": lambda v: [value > 0 for name, value in v.items() if name.endswith("_low")],
    "hybrid": lambda v: [
        v["worst"] >= -0.01,
        *(v[f"{name}_hybrid_low"] > 0 for name in ("news", "questions")),
        *(v[f"{name}_rrf_high"] < 0 for name in ("news", "questions")),
    ],
    "small-from-scratch": lambda v: [value > 0 for name, value in v.items() if name.endswith("_low")],
}


@pytest.fixture(scope="module")
def found(amharic, tmp_path_factory):
    """What each claim finds at scale smoke, measured once."""
    return cache(lambda claim: CLAIMS.run(Context("smoke", (0,), tmp_path_factory.mktemp("run"), device="cpu"), claim))


@pytest.mark.parametrize("claim", [claim.id for claim in CLAIMS if claim.id not in AT_FULL])
def test_a_claim_measures_and_its_verdict_follows_from_its_values(claim, found):
    evidence = found(claim)
    checks = RULES[claim](evidence.values)
    assert evidence.verdict is (
        Verdict.REPRODUCED if all(checks) else Verdict.PARTLY if any(checks) else Verdict.NOT_REPRODUCED
    )
    assert len(evidence.measured) > 20


def test_the_table_of_analysers_has_intervals_against_both_baselines(found):
    table = found("analysis-matters").table
    assert len(table) == 3 * table["analyser"].nunique() == 48
    for baseline in ("whitespace", "words"):
        assert (table[f"{baseline}, low"] <= table[f"over {baseline}"]).all()
        assert (table[f"over {baseline}"] <= table[f"{baseline}, high"]).all()
        assert (table.loc[table["analyser"] == baseline, f"over {baseline}"] == 0).all()
    assert (table["RR@10"] <= table["R@10"]).all()


def test_as_much_text_is_as_much_in_search_as_in_training(amharic, tmp_path, monkeypatch):
    from amharic_ir.claims import dense

    seen = []

    def untrained(_ctx, _world, base, _seed, _kind, **lengths):
        seen.append({**lengths, "search": (base.settings.query_length, base.settings.doc_length)})
        return base

    monkeypatch.setattr(dense, "trained", untrained)
    evidence = CLAIMS.run(Context("smoke", (0,), tmp_path, device="cpu"), "tokenizer-dense")
    assert [each["search"] for each in seen[:3]] == [(32, 288)] * 3
    query, doc = seen[3]["search"]
    assert query > 32
    assert doc / 288 == pytest.approx(query / 32, rel=0.02) == pytest.approx(seen[3]["doc_length"] / 64, rel=0.02)
    assert evidence.table["read"].tolist() == ["as many pieces"] * 3 + ["as much text"]


def test_tokens_of_several_analysers_are_apart_and_as_of_one_text_after_the_other():
    both = Together((Analyzer(n=2), Analyzer(tokens="word")))
    texts = ["ሠላም ለዓለም", "ቤት", ""]
    assert both.many(texts).lists() == [both(text) for text in texts]
    assert both("ቤት") == ["0_ቤ", "0ቤት", "0ት_", "1ቤት"]


def test_tokenizers_are_as_in_the_reference_table(amharic):
    # Those of many languages take half a minute to train; the claim has them at scale small.
    news, unseen = masakhanews(amharic / "masakhanews"), masakhanews(amharic / "masakhanews", part="test")
    bodies = dict(zip(news.docs.ids, news.docs.texts(), strict=True))
    learned = [text for doc, head in news.queries.items() if doc not in unseen.queries for text in (bodies[doc], head)]
    english = ntrex(amharic / "ntrex")["en"]
    made = {
        8_000: tokenizers.train(learned, vocab_size=8_000),
        32_000: tokenizers.train(learned, vocab_size=32_000),
        "bytes": tokenizers.train(english, "byte", vocab_size=8_000),
    }
    pieces = tokenizers.fertility(made, [bodies[doc] for doc in list(unseen.queries)[:200]])["pieces a word"]
    for name, expected in {8_000: 1.63, 32_000: 1.35, "bytes": 13.49}.items():
        assert pieces[name] == pytest.approx(expected, abs=0.05)


def test_without_the_references_the_claim_says_how_to_get_them(amharic, tmp_path, monkeypatch):
    for name in ("masakhanews", "ntrex"):
        copy = tmp_path / "amharic" / name
        copy.mkdir(parents=True)
        for file in (amharic / name).iterdir():
            if file.name != "multi_100.tsv":
                (copy / file.name).symlink_to(file)
    monkeypatch.setenv("IRWORKS_DATA", str(tmp_path))
    with pytest.raises(NotRun, match="option ntrex=FOLDER") as told:
        CLAIMS.run(Context("smoke", (0,), tmp_path, device="cpu"), "tokenizer-fertility")
    assert told.value.command == "git clone https://github.com/MicrosoftTranslator/NTREX"
    ctx = Context("smoke", (0,), tmp_path, device="cpu", options={"ntrex": str(amharic / "ntrex")})
    assert CLAIMS.run(ctx, "tokenizer-fertility").values["amharic_1000"] > 1
