"""Claims on the tokenizers of language models: what is lost where the language is not the one they were made for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from amharic_ir.claims.paper import CLAIMS
from amharic_ir.claims.worlds import collections
from irworks.claims import Context, Evidence, NotRun, verdict_from

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from amharic_ir.tokenizers import PieceTokenizer
    from irworks.data import Collection
    from irworks.retrieval.tokens import Tokens

# Of a model that reads so many pieces.
LIMIT = 512
_DATA = ("masakhanews-amh", "masakhanews-tir", "amqa", "ntrex")


def references(ctx: Context) -> list[str]:
    """Text of 130 languages and varieties for the multilingual tokenizer."""
    from amharic_ir.datasets import multilingual

    n = ctx.pick(smoke=10, small=100, full=100)
    given = ctx.options.get("ntrex")
    folder = Path(given) if given else ctx.data("ntrex")
    if not given and not (folder / "multi_100.tsv").is_file():
        raise NotRun(
            "the data set 'ntrex' holds three of the 130 references of NTREX-128, of which a multilingual tokenizer is "
            "trained; --option ntrex=FOLDER names a copy of the repository",
            command="git clone https://github.com/MicrosoftTranslator/NTREX",
        )
    return multilingual(folder, n)


def _sizes(ctx: Context) -> tuple[int, int]:
    return ctx.pick(smoke=(1_000, 2_000), small=(8_000, 32_000), full=(8_000, 32_000))


def tokenizers_of(ctx: Context) -> "dict[str, PieceTokenizer]":
    """Tokenizers by name: of Amharic and of 130 languages in two sizes, of English bytes in one.

    The Amharic ones learn from bodies and headlines of the articles that are not in the test part.
    """
    from amharic_ir.datasets import masakhanews, ntrex
    from amharic_ir.tokenizers import train

    folder = ctx.data("masakhanews-amh")
    news, unseen = masakhanews(folder), masakhanews(folder, part="test").queries
    bodies = news.docs.to_dict()
    amharic = [text for doc, head in news.queries.items() if doc not in unseen for text in (bodies[doc], head)]
    small, large = _sizes(ctx)
    many = references(ctx)
    plan = (
        (f"Amharic {small:,}", amharic, "bpe", small),
        (f"Amharic {large:,}", amharic, "bpe", large),
        (f"multilingual {small:,}", many, "bpe", small),
        (f"multilingual {large:,}", many, "bpe", large),
        (f"English bytes {small:,}", ntrex(ctx.data("ntrex"))["en"], "byte", small),
    )
    texts = ctx.pick(smoke=120, small=None, full=None)
    return {
        name: train(learned[:texts] if kind == "bpe" and learned is amharic else learned, kind, vocab_size=size)
        for name, learned, kind, size in ctx.progress(plan, "tokenizers")
    }


@CLAIMS.claim(
    id="tokenizer-fertility",
    says="Tokenizers made for Amharic cut its words into far fewer pieces than multilingual or English ones.",
    where="Section 1.2 of the package's reference, from the authors' notebooks",
    paper=(
        "Pieces a word on 10,000 passages: RoBERTa Amharic 1.46, BERT Amharic 1.55; e5, gte-multilingual and Arctic "
        "2.35; gte-modernbert 13.80"
    ),
    rule=(
        "Pieces a word on 200 bodies of Amharic test articles, which no tokenizer has seen: byte-pair encodings of "
        "Amharic against those of 130 languages at 8,000 and 32,000 pieces, and these at 8,000 against English bytes. "
        "Reproduced if the bootstrap intervals over bodies of all three ratios are above 1, partly if "
        "some are."
    ),
    data=_DATA,
    needs=("tokenizers",),
    cost=12,
)
def tokenizer_fertility(ctx: Context) -> Evidence:
    """Five tokenizers on bodies of the test part; spelling folded before training and cutting."""
    from amharic_ir.datasets import masakhanews
    from amharic_ir.tokenizers import fertility
    from irworks.stats import bootstrap

    made = tokenizers_of(ctx)
    docs = masakhanews(ctx.data("masakhanews-amh"), part="test")
    bodies = [docs.docs[doc] for doc in list(docs.queries)[: ctx.pick(smoke=20, small=200, full=200)]]
    table = fertility(made, bodies, limit=LIMIT)
    counts = {name: np.array([len(ids) for ids in one.ids(bodies)]) for name, one in made.items()}
    # Equal tokens are unequal text: how much of a body stands in as many pieces as a model reads.
    table[f"of a body in {LIMIT} pieces"] = [np.minimum(LIMIT / counts[name], 1).mean() for name in table.index]
    small, large = _sizes(ctx)
    compared = {
        f"multilingual {small:,}": f"Amharic {small:,}",
        f"multilingual {large:,}": f"Amharic {large:,}",
        f"English bytes {small:,}": f"multilingual {small:,}",
    }
    values: dict[str, float] = {_key(name): value for name, value in table["pieces a word"].items()}
    checks = {}
    for more, fewer in compared.items():
        ratio = bootstrap(np.stack([counts[more], counts[fewer]], axis=1), statistic=_ratio, rng=ctx.rng(0))
        checks[more] = ratio.low > 1
        values |= {f"{_key(more)}_ratio": ratio.estimate, f"{_key(more)}_ratio_low": ratio.low}
    told = ", ".join(f"{name} {value:.2f}" for name, value in table["pieces a word"].items())
    times = " and ".join(f"{values[f'{_key(more)}_ratio']:.2f}" for more in list(compared)[:2])
    return Evidence(
        measured=f"Pieces a word: {told}; multilingual over Amharic {times} times",
        verdict=verdict_from(checks),
        values=values,
        table=table.reset_index(),
        notes=(
            "The multilingual tokenizers are trained on the first 100 sentences of each of 130 references of "
            "NTREX-128, the English one on its source; those of the paper's models on far more text, and most are of "
            "more pieces."
        ),
    )


def _ratio(counts: Any, axis: int) -> Any:
    """Pieces of one tokenizer over those of another: [..., n_texts, 2] to [...]."""
    total = counts.sum(axis=axis)
    return total[..., 0] / total[..., 1]


def _key(name: object) -> str:
    return str(name).lower().replace(",", "").replace(" ", "_")


# -- retrieval --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pieces:
    """A tokenizer as an analyzer of BM25, for texts that were cut before, all at once.

    Attributes:
        ids: {text: the numbers of its pieces}.
        names: The piece of each number.
        limit: How many of a text count.
    """

    ids: dict[str, list[int]]
    names: list[str]
    limit: int | None = None

    @classmethod
    def of(cls, tokenizer: "PieceTokenizer", texts: Sequence[str]) -> Self:
        """With the pieces of texts."""
        names = [str(tokenizer.inner.id_to_token(number)) for number in range(len(tokenizer))]
        return cls(dict(zip(texts, tokenizer.ids(texts), strict=True)), names)

    def __call__(self, text: str) -> list[str]:
        return [self.names[number] for number in self.ids[text][: self.limit]]

    def many(self, texts: Sequence[str]) -> "Tokens":
        """The pieces of texts."""
        from irworks.retrieval.tokens import Tokens

        parts = [np.array(self.ids[text][: self.limit], dtype=np.int32) for text in texts]
        offsets = np.append(0, np.cumsum([len(part) for part in parts], dtype=np.int64))
        return Tokens(np.concatenate(parts), offsets, self.names)


def _ranks(collection: "Collection", pieces: _Pieces) -> "NDArray[np.float64]":
    """RR@10 of each query by BM25 over pieces: float64 [n_queries]."""
    from irworks.metrics import evaluate_run
    from irworks.retrieval import BM25

    docs = collection.docs.to_dict()
    run = BM25(pieces).add(docs).search(dict(collection.queries), 10)
    values: NDArray[np.float64] = evaluate_run(run, collection.qrels, ["RR@10"])["RR@10"].to_numpy()
    return values


@CLAIMS.claim(
    id="tokenizer-sparse",
    says="(Ours.) What a tokenizer makes of Amharic decides what retrieval can find by its pieces.",
    where="The offline form of the paper's comparison of language-specific with multilingual models",
    paper="Not measured; RoBERTa-Base-Amharic-Embed over the strongest multilingual model +17.6% MRR@10",
    rule=(
        "BM25 over the pieces of whole texts, on Amharic news (headlines of the test part over all bodies) and Amharic "
        "questions: Amharic pieces above multilingual ones at 8,000 and at 32,000, and multilingual ones above English "
        "bytes at 8,000. Reproduced if the paired bootstrap intervals of all six differences in RR@10 are above 0, "
        "partly if some are."
    ),
    data=_DATA,
    needs=("tokenizers",),
    cost=18,
)
def tokenizer_sparse(ctx: Context) -> Evidence:
    """Five tokenizers, two collections, over whole texts and over the first 512 pieces of each."""
    import pandas as pd

    from amharic_ir.datasets import masakhanews
    from irworks.stats import bootstrap

    made = tokenizers_of(ctx)
    of_test = masakhanews(ctx.data("masakhanews-amh"), part="test").queries
    small, large = _sizes(ctx)
    pairs = (
        (f"Amharic {small:,}", f"multilingual {small:,}"),
        (f"Amharic {large:,}", f"multilingual {large:,}"),
        (f"multilingual {small:,}", f"English bytes {small:,}"),
    )
    rows: list[dict[str, Any]] = []
    checks: dict[str, bool] = {}
    values: dict[str, float] = {}
    told = []
    known = collections(ctx)
    test = known["Amharic news"].of_queries(query for query in known["Amharic news"].queries if query in of_test)
    for name in ("Amharic news", "Amharic questions"):
        collection = known[name]
        texts = [*collection.docs.texts(), *collection.queries.values()]
        asked = np.array([name == "Amharic questions" or query in of_test for query in collection.queries])
        ranks: dict[str, NDArray[np.float64]] = {}
        for label, tokenizer in ctx.progress(made.items(), name):
            pieces = _Pieces.of(tokenizer, texts)
            whole = _ranks(collection, pieces)
            ranks[label] = found = whole[asked]
            row = {"collection": name, "tokenizer": label, "queries": len(found)}
            row |= {"RR@10": found.mean(), "R@10": (found > 0).mean()}
            if name == "Amharic news":
                row[f"RR@10, {LIMIT} pieces"] = _ranks(test, replace(pieces, limit=LIMIT)).mean()
                row["RR@10, all headlines"] = whole.mean()
            rows.append(row)
        for better, worse in pairs:
            gain = bootstrap(ranks[better] - ranks[worse], rng=ctx.rng(0))
            key = f"{name} {better} over {worse}"
            checks[key] = gain.low > 0
            values |= {_key(key): gain.estimate, f"{_key(key)}_low": gain.low}
        told.append(f"{name}: " + ", ".join(f"{label} {found.mean():.3f}" for label, found in ranks.items()))
    return Evidence(
        measured="; ".join(told),
        verdict=verdict_from(checks),
        values=values,
        table=pd.DataFrame(rows),
        notes=(
            f"Equal text beside equal pieces: {LIMIT} are more text to a tokenizer that cuts words into fewer. "
            "All headlines include those that the Amharic tokenizers were trained on."
        ),
    )
