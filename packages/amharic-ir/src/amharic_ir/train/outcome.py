"""Whether an encoder is worth having: measured before and after training, beside BM25."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from amharic_ir.train.validation import Validation
from irworks.data import Collection
from irworks.stats import Interval, bootstrap

if TYPE_CHECKING:
    from amharic_ir.encoders import SentenceEncoder, TinyEncoder

__all__ = ["Outcome", "sparse_values"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """nDCG@10 of each validation query.

    Attributes:
        before: Of the encoder as it was: float64 [n].
        after: Of the one that was trained: float64 [n].
        sparse: Of BM25 over n-grams: float64 [n].
    """

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    sparse: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        before: NDArray[np.float64],
        encoder: "TinyEncoder | SentenceEncoder",
        validation: Collection,
        *,
        late: bool,
    ) -> "Outcome":
        """Measure what was trained, and BM25."""
        return cls(before, Validation(encoder, validation, late).values(), sparse_values(validation))

    def interval(self, values: NDArray[np.float64]) -> Interval:
        """The mean of such values, with its interval over queries; a single query has none."""
        if len(values) < 2:
            return Interval(float(values.mean()), math.nan, math.nan)
        return bootstrap(values, rng=np.random.default_rng(0))

    @property
    def gain(self) -> Interval:
        """What training brought."""
        return self.interval(self.after - self.before)

    @property
    def verdict(self) -> str:
        """In words: better, no telling, by whether the interval of the gain holds 0, or as it was.

        It is not worse: the best step is chosen by the same queries, the first among them.
        """
        if self.gain.low > 0:
            return "the trained encoder is better than it was"
        if np.array_equal(self.before, self.after):
            return "training made it no better: the encoder finds what it found before"
        why = "the interval holds 0" if len(self.before) > 1 else "there is one validation query"
        return f"no telling whether the trained encoder is better than it was: {why}"


def sparse_values(validation: Collection) -> NDArray[np.float64]:
    """nDCG@10 of BM25 over n-grams: float64 [n]."""
    from amharic_ir.search import Searcher
    from irworks.metrics import evaluate_run

    asked = {query: validation.queries[query] for query in validation.qrels}
    found = evaluate_run(Searcher.build(validation.docs).search(asked, 10), validation.qrels, ["nDCG@10"])
    return found["nDCG@10"].to_numpy(dtype=np.float64)
