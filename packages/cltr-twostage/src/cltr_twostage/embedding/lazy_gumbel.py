"""Exact Plackett-Luce candidates of a huge catalogue from its best documents and a few others.

Give document i the key s_i - ln E_i with an independent unit exponential E_i (that is, s_i plus Gumbel noise): the k
largest keys, in order, are the first k ranks of a Plackett-Luce ranking. Let the *head* be documents found by a search
and `bound` a score that no document outside exceeds. Once k documents have keys of at least `floor`, a document outside
can only matter if E < exp(bound - floor). How many of them do is binomial, which ones is uniform, and their E is a
truncated exponential: so the others need not be looked at, and the result is still an exact draw.

The threshold falls while keys are found. So a first band of E, wide enough for about 2 k documents, raises the floor,
and a second one covers what the raised floor leaves open. Where that is a large part of the catalogue (a head that is
too small), all documents left are scored in blocks instead, each with an E beyond the first band, which the
exponential's lack of memory makes the right conditional draw.

Source of the lazy tail for the largest key: Mussmann, Levy, Ermon (2017), Fast amortized inference and learning in
log-linear models with randomly perturbed nearest neighbor search. The k largest, and the two bands, are ours.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irworks.simulate.plackett_luce import gumbel

__all__ = ["Catalogue", "Heads", "distinct", "draw_candidates"]

IntArray = NDArray[np.int32]
LongArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

# Numbers per working array: a few dozen megabytes at most.
CELLS, TAIL = 1 << 21, 1 << 21
# Numbers per gathered block of embeddings: small enough for the processor's cache.
GATHER = 1 << 18
SCANNED = 1 << 14
# Documents in the first band, as a multiple of k.
FIRST_BAND = 2
# Beyond this share of the documents left, reading all of them in order beats gathering some of them.
DENSE_SHARE = 1 / 8


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Documents as vectors, scored by s(q, d) = <u_q, v_d> / temperature in float64.

    Attributes:
        embeddings: float [n_docs, dim], of any precision and memory layout; may be a memory map.
        temperature: Above 0.
    """

    embeddings: NDArray[np.floating]
    temperature: float

    def __len__(self) -> int:
        return len(self.embeddings)

    def scores_at(self, vectors: FloatArray, query: LongArray, docs: LongArray) -> FloatArray:
        """Scores of single pairs.

        Args:
            vectors: float64 [n, dim], the queries.
            query: int64 [m], rows of `vectors`.
            docs: int64 [m], rows of the catalogue.

        Returns:
            float64 [m].
        """
        out = np.empty(len(docs))
        rows = max(1, GATHER // vectors.shape[1])
        for start in range(0, len(docs), rows):
            part = slice(start, start + rows)
            gathered = self.embeddings[docs[part]].astype(np.float64)
            np.einsum("ij,ij->i", gathered, vectors[query[part]], out=out[part])
        out /= self.temperature
        return out

    def block(self, vectors: FloatArray, start: int, stop: int) -> FloatArray:
        """Scores of the documents start:stop for each query: float64 [n, stop - start]."""
        return np.asarray(vectors @ self.embeddings[start:stop].astype(np.float64).T / self.temperature)


@dataclass(frozen=True, eq=False)
class Heads:
    """What a search found for each query.

    Attributes:
        docs: int64 [n, depth], rows of the catalogue in rising order, then `n_docs` where fewer were found.
        scores: float64 [n, depth], -inf where fewer were found.
        bound: float64 [n], a score that no document outside the head exceeds.
    """

    docs: LongArray
    scores: FloatArray
    bound: FloatArray

    @property
    def sizes(self) -> LongArray:
        """int64 [n], number of documents found."""
        return np.asarray(np.isfinite(self.scores).sum(axis=1))


def draw_candidates(
    catalogue: Catalogue, vectors: FloatArray, heads: Heads, k: int, n_samples: int, rng: np.random.Generator
) -> IntArray:
    """Draw the first `k` ranks of Plackett-Luce rankings of the whole catalogue.

    Exact if the bounds of the heads hold. Memory is bounded, whatever the number of samples and of documents.

    Args:
        catalogue: The documents.
        vectors: float64 [n, dim], the queries.
        heads: What a search found for the queries: nothing at all, or at least `k` places each.
        k: Number of candidates, at most the number of documents.
        n_samples: Number of draws for each query.
        rng: Source of randomness.

    Returns:
        int32 [n_samples, n, k], rows of the catalogue in rank order.
    """
    n = len(vectors)
    out = np.empty((n_samples, n, k), dtype=np.int32)
    at_once = max(1, CELLS // (max(heads.docs.shape[1], k) * max(n, 1)))
    for start in range(0, n_samples, at_once):
        part = out[start : start + at_once]
        part[:] = _Race(catalogue, vectors, heads, k, len(part), rng).result().reshape(part.shape)
    return out


class _Race:
    """The race for the `k` largest keys in each cell, a cell being one draw for one query."""

    def __init__(
        self,
        catalogue: Catalogue,
        vectors: FloatArray,
        heads: Heads,
        k: int,
        n_samples: int,
        rng: np.random.Generator,
    ) -> None:
        self.catalogue, self.vectors, self.heads, self.rng = catalogue, vectors, heads, rng
        n, self.depth = heads.docs.shape
        self.query = np.tile(np.arange(n), n_samples)
        self.bound = heads.bound[self.query]
        self.outside = (len(catalogue) - heads.sizes)[self.query]
        # Every E below `passed` that a document outside the head can have has been drawn already.
        self.passed = np.zeros(len(self.query))
        self.drawn = np.empty(0, dtype=np.int64)
        # The j-th document outside the head of a query is j + (number of head documents h_i with h_i - i <= j).
        shifted = heads.docs - np.arange(self.depth) + np.arange(n)[:, None] * (len(catalogue) + 1)
        self.shifted = shifted.ravel()
        self.keys, self.docs = self._race_of_heads(n_samples, k)

    def result(self) -> LongArray:
        """int64 [n_cells, k], the documents of the largest keys, largest first."""
        self._draw_first_band()
        self._settle()
        return np.take_along_axis(self.docs, np.argsort(-self.keys, axis=1), axis=1)

    def _race_of_heads(self, n_samples: int, k: int) -> tuple[FloatArray, LongArray]:
        if self.depth == 0:
            shape = (len(self.query), k)
            return np.full(shape, -np.inf), np.full(shape, len(self.catalogue))
        keys = gumbel((n_samples, *self.heads.scores.shape), self.rng)
        keys += self.heads.scores
        keys = keys.reshape(-1, self.depth)
        chosen = np.argpartition(keys, self.depth - k, axis=1)[:, -k:]
        return np.take_along_axis(keys, chosen, axis=1), self.heads.docs[self.query[:, None], chosen]

    def _limit(self) -> FloatArray:
        """float64 [n_cells], the E above which no document outside the head can matter any more."""
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(np.exp(self.bound - self.keys.min(axis=1)))

    def _draw_first_band(self) -> None:
        # With flat scores the k largest keys are those of the k smallest E: twice as many leave no second band.
        wanted = FIRST_BAND * self.keys.shape[1]
        limit = np.minimum(self._limit(), wanted / np.maximum(self.outside, 1))
        cells = np.flatnonzero((self.outside > 0) & (-np.expm1(-limit) <= DENSE_SHARE))
        self.drawn = self._draw_band(cells, limit[cells])

    def _settle(self) -> None:
        """Draw what is still open after the first band, the cheaper way for each cell."""
        left = self.outside - np.bincount(self.drawn // len(self.catalogue), minlength=len(self.query))
        limit = self._limit()
        share = np.where(left > 0, -np.expm1(-np.maximum(limit - self.passed, 0.0)), 0.0)
        few = np.flatnonzero((share > 0) & (share <= DENSE_SHARE))
        for cells in _groups(few, (share * left)[few], TAIL):
            self._draw_band(cells, limit[cells])
        many = np.flatnonzero(share > DENSE_SHARE)
        size = max(1, CELLS // min(SCANNED, len(self.catalogue)))
        for start in range(0, len(many), size):
            self._scan(many[start : start + size])

    def _draw_band(self, cells: LongArray, limit: FloatArray) -> LongArray:
        """Race the documents outside the head with passed <= E < limit; the places they were drawn at, as codes."""
        start = self.passed[cells]
        width = np.maximum(limit - start, 0.0)
        taken = np.bincount(self.drawn // len(self.catalogue), minlength=len(self.query))[cells]
        counts = self.rng.binomial(self.outside[cells] - taken, -np.expm1(-width))
        codes = self._distinct_places(cells, counts)
        self.passed[cells] = start + width
        cell = codes // len(self.catalogue)
        docs = self._docs_at(codes)
        # random() is in [0, 1): its complement keeps E above zero.
        fraction = 1.0 - self.rng.random(len(codes))
        of_cell = np.searchsorted(cells, cell)
        waits = start[of_cell] - np.log1p(fraction * np.expm1(-width[of_cell]))
        scores = self.catalogue.scores_at(self.vectors, self.query[cell], docs)
        self._enter(cell, docs, scores - np.log(waits))
        return codes

    def _distinct_places(self, cells: LongArray, counts: LongArray) -> LongArray:
        """Uniform distinct places outside the head, none of those drawn before: sorted codes cell * n_docs + place.

        Drawing again in place of duplicates treats all places alike, so every set is equally likely.
        """
        codes, short = np.empty(0, dtype=np.int64), counts
        while short.any():
            cell = np.repeat(cells, short)
            fresh = cell * len(self.catalogue) + self.rng.integers(0, self.outside[cell])
            codes = distinct(np.concatenate((codes, fresh[~_contains(self.drawn, fresh)])))
            short = counts - np.bincount(codes // len(self.catalogue), minlength=len(self.query))[cells]
        return codes

    def _docs_at(self, codes: LongArray) -> LongArray:
        """The documents at places outside the head."""
        query, place = self.query[codes // len(self.catalogue)], codes % len(self.catalogue)
        before = np.searchsorted(self.shifted, place + query * (len(self.catalogue) + 1), side="right")
        return np.asarray(place + before - query * self.depth)

    def _enter(self, cell: LongArray, docs: LongArray, keys: FloatArray) -> None:
        """Keep the largest keys of each cell among those held and new ones."""
        better = keys > self.keys.min(axis=1)[cell]
        if not better.any():
            return
        cells, k = distinct(cell[better]), self.keys.shape[1]
        all_cells = np.concatenate((np.repeat(cells, k), cell[better]))
        all_keys = np.concatenate((self.keys[cells].ravel(), keys[better]))
        all_docs = np.concatenate((self.docs[cells].ravel(), docs[better]))
        order = np.lexsort((-all_keys, all_cells))
        first = np.searchsorted(all_cells[order], cells)
        kept = order[first[:, None] + np.arange(k)]
        self.keys[cells], self.docs[cells] = all_keys[kept], all_docs[kept]

    def _scan(self, cells: LongArray) -> None:
        """Race every document that has not raced yet, block by block."""
        n_docs, k = len(self.catalogue), self.keys.shape[1]
        queries, query = np.unique(self.query[cells], return_inverse=True)
        seen_cell, seen_doc = self._raced(cells)
        keys, docs = self.keys[cells], self.docs[cells]
        for start in range(0, n_docs, SCANNED):
            stop = min(start + SCANNED, n_docs)
            fresh = self.rng.standard_exponential((len(cells), stop - start))
            fresh += self.passed[cells][:, None]
            np.log(fresh, out=fresh)
            np.subtract(self.catalogue.block(self.vectors[queries], start, stop)[query], fresh, out=fresh)
            here = slice(*np.searchsorted(seen_doc, (start, stop)))
            fresh[seen_cell[here], seen_doc[here] - start] = -np.inf
            joined = np.concatenate((keys, fresh), axis=1)
            chosen = np.argpartition(joined, joined.shape[1] - k, axis=1)[:, -k:]
            held = np.take_along_axis(docs, np.minimum(chosen, k - 1), axis=1)
            docs = np.where(chosen < k, held, chosen - k + start)
            keys = np.take_along_axis(joined, chosen, axis=1)
        self.keys[cells], self.docs[cells] = keys, docs

    def _raced(self, cells: LongArray) -> tuple[LongArray, LongArray]:
        """The documents that have raced, sorted: which of `cells` they raced in [m], and the documents [m]."""
        codes = self.drawn[np.isin(self.drawn // len(self.catalogue), cells)]
        place = np.searchsorted(cells, codes // len(self.catalogue))
        docs = np.concatenate((self.heads.docs[self.query[cells]].ravel(), self._docs_at(codes)))
        cell = np.concatenate((np.repeat(np.arange(len(cells)), self.depth), place))
        order = np.argsort(docs, kind="stable")
        return cell[order], docs[order]


def distinct(values: LongArray) -> LongArray:
    """The values sorted, each once; numpy's `unique` hashes, which takes many times longer for such codes."""
    ordered = np.sort(values)
    return np.asarray(ordered[np.concatenate((np.ones(min(len(ordered), 1), dtype=bool), ordered[1:] != ordered[:-1]))])


def _contains(ordered: LongArray, values: LongArray) -> NDArray[np.bool_]:
    """Which of `values` stand in a sorted array."""
    if len(ordered) == 0:
        return np.zeros(len(values), dtype=bool)
    place = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.asarray(ordered[place] == values)


def _groups(items: LongArray, sizes: FloatArray, limit: float) -> list[LongArray]:
    """Consecutive runs of `items` whose sizes sum up to about `limit`."""
    if len(items) == 0:
        return []
    group = (np.cumsum(sizes) // limit).astype(np.int64)
    return np.split(items, np.flatnonzero(np.diff(group)) + 1)
