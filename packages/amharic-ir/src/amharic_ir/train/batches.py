"""Pairs as arrays, and the batches of an epoch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from amharic_ir.train.pairs import Pairs, same_text

if TYPE_CHECKING:
    from amharic_ir.train.config import TrainConfig

__all__ = ["Batch", "Batches"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Batch:
    """One step of training.

    Attributes:
        queries: int64 [n]: places of the pairs.
        docs: int64 [m]: numbers of texts; the first n are the pairs' own, in order.
        excluded: bool [n, m]: documents that answer the query as well, its own left out.
        own: int64 [n, c]: columns of each query's document and its negatives; those it lacks repeat the first.
        known: bool [n, c]: which of them there are.
        taught: float32 [n, c]: the teacher's scores, standardised for each query; empty without a teacher.
    """

    queries: Ints
    docs: Ints
    excluded: NDArray[np.bool_]
    own: Ints
    known: NDArray[np.bool_]
    taught: NDArray[np.float32]


class Batches:
    """The pairs of a training, each text once.

    Attributes:
        queries: Texts, one a pair.
        texts: Different documents, positive and negative.
    """

    def __init__(self, pairs: Pairs, config: "TrainConfig") -> None:
        self.config = config
        self.queries: Sequence[str] = pairs.queries
        numbers: dict[str, int] = {}
        self.texts: list[str] = []

        def number(text: str) -> int:
            key = same_text(text)
            if key not in numbers:
                numbers[key] = len(numbers)
                self.texts.append(text)
            return numbers[key]

        self._query, _ = pairs.keys()
        self._doc = np.array([number(text) for text in pairs.docs], dtype=np.int64)
        self._negatives = [np.array([number(text) for text in texts], dtype=np.int64) for texts in pairs.negatives]
        self._scores = [np.array(scores, dtype=np.float32) for scores in pairs.scores]
        self._answers = np.unique(self._query * (len(self.texts) + 1) + self._doc)

    def __len__(self) -> int:
        """Steps of an epoch."""
        whole, rest = divmod(len(self.queries), self.config.batch_size)
        return max(whole + (rest > 1), 1)

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of an epoch: every pair once, in an order that depends on the seed and the epoch."""
        rng = np.random.default_rng([self.config.seed, number])
        order = rng.permutation(len(self.queries))
        for step in range(len(self)):
            yield self._batch(order[step * self.config.batch_size : (step + 1) * self.config.batch_size], rng)

    def _batch(self, rows: Ints, rng: np.random.Generator) -> Batch:
        n, docs, own = len(rows), [self._doc[rows]], [[place] for place in range(len(rows))]
        drawn: list[Any] = [np.zeros(0, dtype=np.int64)] * n
        if self._negatives and self.config.negatives:
            for place, row in enumerate(rows):
                there = len(self._negatives[row])
                drawn[place] = rng.permutation(there)[: self.config.negatives]
                begin = sum(map(len, docs))
                docs.append(self._negatives[row][drawn[place]])
                own[place] += range(begin, begin + len(drawn[place]))
        columns = np.concatenate(docs)
        answers = self._query[rows][:, None] * (len(self.texts) + 1) + columns
        excluded = np.isin(answers, self._answers)
        excluded[np.arange(n), np.arange(n)] = False
        width = max(map(len, own))
        known = np.array([[place < len(each) for place in range(width)] for each in own], dtype=bool)
        places = np.array([each + [each[0]] * (width - len(each)) for each in own], dtype=np.int64)
        taught = np.zeros((n, 0), dtype=np.float32)
        if self._scores:
            taught = np.zeros((n, width), dtype=np.float32)
            for place, row in enumerate(rows):
                scores = self._scores[row][np.append(0, 1 + drawn[place]).astype(np.int64)]
                taught[place, : len(scores)] = (scores - scores.mean()) / max(float(scores.std()), 1e-6)
        return Batch(rows, columns, excluded, places, known, taught)
