"""Pairs as arrays, and the batches of an epoch."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from amharic_ir.text.folding import same_text
from amharic_ir.train.pairs import Pairs

if TYPE_CHECKING:
    from amharic_ir.train.config import TrainConfig

__all__ = ["Batch", "Batches"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Batch:
    """One step of training.

    Attributes:
        queries: int64 [n]: places of the pairs.
        docs: int64 [m]: numbers of texts, each once, so that none counts twice as a negative.
        answers: bool [n, m]: documents that answer the query, its own among them.
        repeated: bool [n]: queries that ask what another one before them asks.
        own: int64 [n, c]: columns of each query's document and its negatives; those it lacks repeat the first.
        known: bool [n, c]: which of them there are.
        taught: float32 [n, c]: the teacher's scores, standardised for each query; empty without a teacher.
        share: Of the pairs of the step, where several processes divide it.
    """

    queries: Ints
    docs: Ints
    answers: NDArray[np.bool_]
    repeated: NDArray[np.bool_]
    own: Ints
    known: NDArray[np.bool_]
    taught: NDArray[np.float32]
    share: float = 1.0


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
            # A negative stands with many pairs, and to fold it takes longer than to look it up.
            if text not in numbers:
                key = same_text(text)
                if key not in numbers:
                    numbers[key] = len(self.texts)
                    self.texts.append(text)
                numbers[text] = numbers[key]
            return numbers[text]

        asked: dict[str, int] = {}
        self._query = np.array([asked.setdefault(same_text(text), len(asked)) for text in pairs.queries], np.int64)
        self._doc = np.array([number(text) for text in pairs.docs], dtype=np.int64)
        self._negatives = [np.array([number(text) for text in texts], dtype=np.int64) for texts in pairs.negatives]
        self._scores = [np.array(scores, dtype=np.float32) for scores in pairs.scores]
        self._answers = np.unique(self._query * (len(self.texts) + 1) + self._doc)

    def digest(self) -> bytes:
        """What tells these pairs from others."""
        found = hashlib.sha256()
        for text in (*self.queries, *self.texts):
            raw = text.encode("utf-8", "surrogatepass")
            found.update(len(raw).to_bytes(8, "little") + raw)
        for part in ([self._query], [self._doc], self._negatives, self._scores):
            found.update(len(part).to_bytes(8, "little"))
            for each in part:
                found.update(len(each).to_bytes(8, "little") + each.tobytes())
        return found.digest()

    def __len__(self) -> int:
        """Steps of an epoch; a pair that would be left alone joins those of the last step."""
        whole, rest = divmod(len(self.queries), self.config.batch_size)
        return max(whole + (rest > 1), 1)

    def epoch(self, number: int, process: int = 0, processes: int = 1) -> Iterator[Batch]:
        """The batches of an epoch: every pair once, in an order that depends on the seed and the epoch.

        Args:
            number: Of the epoch.
            process: Which of several processes asks, each for its part of every batch.
            processes: How many there are.
        """
        rng = np.random.default_rng([self.config.seed, number])
        order = rng.permutation(len(self.queries))
        for step in range(len(self)):
            begin = step * self.config.batch_size
            rows = order[begin : begin + self.config.batch_size] if step + 1 < len(self) else order[begin:]
            drawn = self._drawn(rows, rng)
            share = len(rows[process::processes]) / len(rows)
            yield self._batch(rows[process::processes], drawn[process::processes], share)

    def _drawn(self, rows: Ints, rng: np.random.Generator) -> list[Ints]:
        """Which of its negatives each pair has this time."""
        if not self._negatives or not self.config.negatives:
            return [np.zeros(0, dtype=np.int64)] * len(rows)
        return [rng.permutation(len(self._negatives[row]))[: self.config.negatives] for row in rows]

    def _batch(self, rows: Ints, drawn: list[Ints], share: float) -> Batch:
        n = len(rows)
        parts = [
            np.append(self._doc[row], self._negatives[row][picked] if len(picked) else self._doc[:0])
            for row, picked in zip(rows, drawn, strict=True)
        ]
        sizes = np.array([len(part) for part in parts], dtype=np.int64)
        known = sizes[:, None] > np.arange(sizes.max(initial=1))
        docs, places = np.unique(np.concatenate([self._doc[:0], *parts]), return_inverse=True)
        own = np.zeros(known.shape, dtype=np.int64)
        own[known] = places
        own = np.where(known, own, own[:, :1])
        answers = self._query[rows][:, None] * (len(self.texts) + 1) + docs
        nearest = np.minimum(np.searchsorted(self._answers, answers), len(self._answers) - 1)
        repeated = np.ones(n, dtype=bool)
        repeated[np.unique(self._query[rows], return_index=True)[1]] = False
        taught = np.zeros((n, 0), dtype=np.float32)
        if self._scores:
            taught = np.zeros(known.shape, dtype=np.float32)
            for place, row in enumerate(rows):
                scores = self._scores[row][np.append(0, 1 + drawn[place]).astype(np.int64)]
                taught[place, : len(scores)] = (scores - scores.mean()) / max(float(scores.std()), 1e-6)
        return Batch(rows, docs, self._answers[nearest] == answers, repeated, own, known, taught, share)
