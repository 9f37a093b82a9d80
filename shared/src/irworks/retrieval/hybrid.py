"""Several retrievers as one, and retrievers whose best documents are judged again."""

from collections.abc import Mapping, Sequence
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from irworks.data.collection import Collection
from irworks.data.runs import Run
from irworks.encoders.protocol import Encoder, Scorer, TokenEncoder
from irworks.errors import ArgumentError
from irworks.metrics.runs import evaluate_run
from irworks.retrieval.fusion import fuse
from irworks.retrieval.maxsim import maxsim_many
from irworks.retrieval.protocol import Retriever, as_queries
from irworks.retrieval.ranking import checked_depth

__all__ = ["EncoderScorer", "Hybrid", "Rerank"]

_SHARES = tuple(round(share / 20, 2) for share in range(21))


class Hybrid:
    """Weighted sum of standardised scores of several retrievers; see `fuse`.

    Attributes:
        arms: By name.
        weights: Of the arms; by default all the same.
        depth: Documents that each arm is asked for, at least.
    """

    def __init__(
        self, arms: Mapping[str, Retriever], weights: Mapping[str, float] | None = None, *, depth: int = 100
    ) -> None:
        if not arms:
            raise ArgumentError("there is no arm; expected at least one retriever")
        shares = dict.fromkeys(arms, 1 / len(arms)) if weights is None else dict(weights)
        if set(shares) != set(arms):
            raise ArgumentError(f"weights are of {sorted(shares)}; expected of {sorted(arms)}")
        if min(shares.values()) < 0 or not sum(shares.values()) > 0:
            raise ArgumentError(f"weights are {shares}; expected none below 0, and one above")
        self.arms, self.weights, self.depth = dict(arms), shares, depth

    @classmethod
    def validated(
        cls,
        arms: Mapping[str, Retriever],
        validation: Collection,
        *,
        measure: str = "RR@10",
        depth: int = 100,
        shares: Sequence[float] = _SHARES,
    ) -> Self:
        """Two arms with a weight chosen on queries kept for that.

        Not the weight that measures best, which on few queries is so by chance, but the nearest to the better arm alone
        that is within a standard error of it (Breiman et al. 1984, on trees), and no worse than that arm: a weaker arm
        gets the weight that it has shown to deserve.

        Args:
            arms: Two, by name.
            validation: Judged queries on the documents that the arms find; none that is tested on.
            measure: What is to be best.
            depth: Documents that each arm is asked for.
            shares: Weights of the second arm that are tried, of 1 in all.

        Raises:
            ArgumentError: There are not two arms, the queries are those of the test split, or none is judged.
        """
        if len(arms) != 2:
            raise ArgumentError(f"{len(arms)} arms; a weight is validated for two")
        if not all(0 <= share <= 1 for share in shares):
            raise ArgumentError(f"shares={tuple(shares)}; expected numbers from 0 to 1")
        if validation.split == "test":
            raise ArgumentError(
                f"{validation.name}: its queries are the test split; expected others to choose a weight by"
            )
        asked = {query: validation.queries[query] for query in validation.qrels}
        runs = [arm.search(asked, depth) for arm in arms.values()]
        values = {
            share: evaluate_run(_fused(runs, [1 - share, share]), validation.qrels, [measure])[measure].to_numpy()
            for share in dict.fromkeys([0.0, *shares, 1.0])
        }
        means = {share: float(each.mean()) for share, each in values.items()}
        better = 0.0 if means[0.0] >= means[1.0] else 1.0
        best = max(means, key=lambda share: (means[share], -abs(share - better)))

        def near(share: float) -> bool:
            lost = values[best] - values[share]
            error = lost.std(ddof=1) / np.sqrt(len(lost)) if len(lost) > 1 else 0.0
            return bool(means[share] >= means[better] and lost.mean() <= error)

        chosen = min(filter(near, means), key=lambda share: abs(share - better))
        return cls(arms, dict(zip(arms, (1 - chosen, chosen), strict=True)), depth=depth)

    def search(self, queries: Mapping[str, str] | Sequence[str] | str, k: int = 10) -> Run:
        """As `Retriever.search`."""
        checked_depth(k)
        asked = as_queries(queries)
        used = [name for name, weight in self.weights.items() if weight > 0]
        runs = [self.arms[name].search(asked, max(k, self.depth)) for name in used]
        return _fused(runs, [self.weights[name] for name in used]).top(k)


def _fused(runs: Sequence[Run], weights: Sequence[float]) -> Run:
    """As `fuse`, without what only arms of no weight find: it would tie with the last of the others."""
    used = [place for place, weight in enumerate(weights) if weight > 0]
    return fuse([runs[place] for place in used], [weights[place] for place in used], name="Hybrid")


class Texts(Protocol):
    """Documents by id: a mapping, or `irworks.data.Documents`."""

    def __getitem__(self, doc: str, /) -> str: ...


class Rerank:
    """The best documents of a retriever, in the order of a scorer that reads query and document together.

    Attributes:
        first: Finds documents.
        scorer: Judges them: a `Scorer`, such as a `CrossEncoder` or an index of theirs; or an encoder, as
            `EncoderScorer` takes it.
        docs: {id: text}.
        depth: Documents that are judged; those below stay below.
    """

    def __init__(
        self, first: Retriever, scorer: Scorer | Encoder | TokenEncoder, docs: Texts, *, depth: int = 50
    ) -> None:
        if depth < 1:
            raise ArgumentError(f"depth={depth}; expected at least 1")
        self.first, self.docs, self.depth = first, docs, depth
        self.scorer = scorer if isinstance(scorer, Scorer) else EncoderScorer(scorer)

    def search(self, queries: Mapping[str, str] | Sequence[str] | str, k: int = 10) -> Run:
        """As `Retriever.search`; scores are the scorer's, and below the depth lower than any of them."""
        checked_depth(k)
        asked = as_queries(queries)
        found = self.first.search(asked, max(k, self.depth))
        result: dict[str, dict[str, float]] = {}
        for query, text in asked.items():
            ranking = found.get(query)
            judged = {doc: self._text(doc) for doc, _ in ranking[: self.depth]}
            scores = np.asarray(self.scorer.score(text, judged), dtype=np.float64)
            if scores.shape != (len(judged),):
                raise ArgumentError(f"the scorer made scores {scores.shape}; expected [{len(judged)}], one a document")
            # Minus infinity, of a document without a token, is below the other scores and above what was not judged.
            floor = float(scores[np.isfinite(scores)].min(initial=np.inf))
            floor = 0.0 if floor == np.inf else floor
            values = dict(zip(judged, np.where(scores == -np.inf, floor - 1, scores).tolist(), strict=True))
            rest = {doc: floor - 2 - place for place, (doc, _) in enumerate(ranking[self.depth :])}
            result[query] = values | rest
        return Run.of(result, name=f"Rerank({self.first.__class__.__name__})").top(k)

    def _text(self, doc: str) -> str:
        try:
            return self.docs[doc]
        except KeyError:
            raise ArgumentError(f"there is no text of document {doc!r}, which was found; expected it in docs") from None


class EncoderScorer:
    """Judges documents by the vectors of an encoder: of tokens where it has them, else of texts.

    It encodes documents anew for each query; an index, such as `Dense` or `LateInteraction`, is a scorer as well, and
    has the vectors of its documents already. `Dense` judges by the vectors of texts, whatever else its encoder has.
    """

    def __init__(self, encoder: Encoder | TokenEncoder) -> None:
        self.encoder = encoder

    def score(self, query: str, docs: Mapping[str, str]) -> NDArray[np.float32]:
        """As `Scorer.score`."""
        texts = list(docs.values())
        if isinstance(self.encoder, TokenEncoder):
            asked = self.encoder.encode_tokens([query], "query")
            found: NDArray[np.float32] = maxsim_many(asked, self.encoder.encode_tokens(texts, "doc"))[0]
        else:
            found = self.encoder.encode(texts, "doc") @ self.encoder.encode([query], "query")[0]
        return found
