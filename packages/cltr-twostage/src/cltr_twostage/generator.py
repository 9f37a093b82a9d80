"""Candidates from embeddings: exact Plackett-Luce draws from catalogues of millions of documents."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.data import Pool
from cltr_twostage.embedding.arguments import distinct_ids, float_table, longest_row, within
from cltr_twostage.embedding.faiss_index import build_index, check_index, is_exact, search
from cltr_twostage.embedding.lazy_gumbel import CELLS, GATHER, Catalogue, Heads, draw_candidates
from cltr_twostage.embedding.pool import included_pairs, indices, missed_documents, pool_pairs
from irworks.data import ClickLog
from irworks.errors import ArgumentError
from irworks.simulate.plackett_luce import MAX_SCORE, require_at_least_one

if TYPE_CHECKING:
    import faiss

__all__ = ["EmbeddingGenerator", "GeneratedPool", "IndexCheck"]

IntArray = NDArray[np.int32]
LongArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

# A float32 inner product is off by a few units in the last place of |u| |v|.
ROUNDING = 8 * float(np.finfo(np.float32).eps)
# Document rows are int32, as in every list of the package.
MAX_DOCS = int(np.iinfo(np.int32).max)


class GeneratedPool(NamedTuple):
    """The documents that a two-stage policy over a huge catalogue is cut down to.

    Attributes:
        pool: Best documents first within each query; `doc_ids` are those of the generator.
        scores: float64 [n_rows], the generator's scores: `candidate` of a `TwoStagePolicy`.
        left_out: float64 [n_queries], the expected share of the generator's candidates that are not in the pool,
            estimated from draws; NaN without draws. 0.1 says that a tenth of the candidates is cut off.
    """

    pool: Pool
    scores: FloatArray
    left_out: FloatArray


class IndexCheck(NamedTuple):
    """What an approximate index misses, by comparison with all scores.

    Attributes:
        missed: int64 [n], documents outside the search result that score above its lowest document.
        missed_mass: float64 [n], their share of the sum of exp(score) over the catalogue. They are drawn too rarely.
    """

    missed: LongArray
    missed_mass: FloatArray


class EmbeddingGenerator:
    """Draws candidates from a Plackett-Luce model over embeddings, s(q, d) = <u_q, v_d> / temperature.

    A search finds the `depth` best documents of a query; the others are raced lazily (see `lazy_gumbel`), so that a
    draw is exact without a look at every document. With an index that compares all documents (`"flat"`; `exact` tells)
    the law is the Plackett-Luce law itself. With an approximate one (IVF, HNSW, PQ) documents that the search misses
    are drawn too rarely; `check` says which share of the mass that concerns. Scores are computed from `doc_embeddings`
    in float64, so that a quantised index changes which documents are found, not their scores.

    faiss uses as many threads as `OMP_NUM_THREADS` says. Wheels of faiss and torch each bring an OpenMP of their own:
    where both in one process crash, as has been seen on macOS, run it with `OMP_NUM_THREADS=1`.

    Args:
        doc_embeddings: float [n_docs, dim], of any precision and memory layout; may be a memory map. Kept by reference
            and read in blocks: do not change it. A flat index holds a float32 copy in memory.
        n_candidates: Length of the lists.
        temperature: Above 0; near 0 the candidates are the best documents, towards infinity they are uniform.
        depth: Number of documents searched for, from `n_candidates` to any; `n_docs` and more scores all documents.
            It changes the speed, not the law. Default: max(4 n_candidates, 1000, sqrt(n_docs n_candidates)), with
            which about as many documents at most are raced as are searched for, whatever the scores.
        index: `"flat"`, a string for faiss's `index_factory` such as `"IVF1024,Flat"`, or a ready index over the
            inner product whose ids are the rows of `doc_embeddings`.
        search_options: Options of the index for faiss's `ParameterSpace`, such as `"nprobe=64"` or `"efSearch=256"`;
            they are set on a ready index, too. By default an inverted file probes an eighth of its lists, and
            as many as hold 4 `depth` documents on average.
        doc_ids: [n_docs], distinct original ids, for pools. Default: the row numbers.

    Attributes:
        index: The faiss index.
        exact: Whether draws follow the Plackett-Luce law exactly: the index or the depth covers all documents.
        longest: The largest norm of the documents.

    Raises:
        ArgumentError: Embeddings that are not a table of finite numbers, a number out of range, or an index that does
            not fit the embeddings.
        MissingDependencyError: faiss is not installed.
    """

    def __init__(
        self,
        doc_embeddings: ArrayLike,
        *,
        n_candidates: int,
        temperature: float = 1.0,
        depth: int | None = None,
        index: "str | faiss.Index" = "flat",
        search_options: str | None = None,
        doc_ids: ArrayLike | None = None,
    ) -> None:
        embeddings = float_table("doc_embeddings", doc_embeddings)
        n_docs = len(embeddings)
        if not 0 < n_docs <= MAX_DOCS:
            raise ArgumentError(f"doc_embeddings has {n_docs:,} rows; expected from 1 to {MAX_DOCS:,}")
        self.n_candidates = within("n_candidates", n_candidates, n_docs)
        if isinstance(temperature, bool) or not (np.isfinite(temperature) and temperature > 0):
            raise ArgumentError(f"temperature={temperature!r}; expected a finite number above 0")
        self.temperature = float(temperature)
        self.depth = self._checked_depth(depth, n_docs)
        self.doc_ids = None if doc_ids is None else distinct_ids("doc_ids", doc_ids, n_docs)
        self.search_options = search_options
        self.catalogue = Catalogue(embeddings, self.temperature)
        self.longest = longest_row(embeddings)
        self.index: Any
        if isinstance(index, str):
            self.index_name = index
            self.index = build_index(embeddings, index, search_options, self.depth)
        else:
            self.index = check_index(index, embeddings, search_options)
            self.index_name = type(self.index).__name__
        self.exact: bool = is_exact(self.index) or self.depth == n_docs

    def _checked_depth(self, depth: int | None, n_docs: int) -> int:
        if depth is None:
            depth = max(4 * self.n_candidates, 1000, int(np.ceil(np.sqrt(n_docs * self.n_candidates))))
        require_at_least_one("depth", depth)
        if depth < self.n_candidates:
            raise ArgumentError(f"depth={depth}; expected at least n_candidates={self.n_candidates}")
        return min(int(depth), n_docs)

    @property
    def n_docs(self) -> int:
        """Number of documents."""
        return len(self.catalogue)

    @property
    def dim(self) -> int:
        """Length of the embeddings."""
        return int(self.catalogue.embeddings.shape[1])

    def __repr__(self) -> str:
        return (
            f"EmbeddingGenerator({self.n_docs:,} documents of dimension {self.dim}, n_candidates={self.n_candidates}, "
            f"temperature={self.temperature:g}, depth={self.depth}, index={self.index_name!r}, exact={self.exact})"
        )

    def sample(self, query_embeddings: ArrayLike, rng: np.random.Generator, n_samples: int | None = None) -> IntArray:
        """Draw candidate lists.

        Args:
            query_embeddings: float [n, dim].
            rng: Source of randomness.
            n_samples: Number of draws for each query; they share one search, which repeated rows would not.

        Returns:
            int32 [n, n_candidates], document rows in rank order; with `n_samples` [n_samples, n, n_candidates].

        Raises:
            ArgumentError: Embeddings of another dimension or that are not finite, or `n_samples` below 1.
        """
        vectors = self._queries(query_embeddings)
        if n_samples is not None:
            require_at_least_one("n_samples", n_samples)
        draws = int(n_samples or 1)
        out = np.empty((draws, len(vectors), self.n_candidates), dtype=np.int32)
        for part in self._query_blocks(len(vectors), max(self.depth, self.n_candidates)):
            heads = self._heads(vectors[part])
            out[:, part] = draw_candidates(self.catalogue, vectors[part], heads, self.n_candidates, draws, rng)
        return out[0] if n_samples is None else out

    def top(self, query_embeddings: ArrayLike, k: int) -> tuple[IntArray, FloatArray]:
        """The `k` best documents of each query, as far as the index finds them.

        Args:
            query_embeddings: float [n, dim].
            k: Number of documents.

        Returns:
            int32 [n, k], document rows, best first, and float64 [n, k], their scores; -1 and -inf where an
            approximate index found fewer.

        Raises:
            ArgumentError: Embeddings of another dimension or that are not finite, or `k` outside 1 to n_docs.
        """
        vectors = self._queries(query_embeddings)
        k = within("k", k, self.n_docs)
        docs, scores = np.empty((len(vectors), k), dtype=np.int32), np.empty((len(vectors), k))
        for part in self._query_blocks(len(vectors), k):
            found, values = self._search(vectors[part], k)
            order = np.argsort(-values, axis=1, kind="stable")
            scores[part] = np.take_along_axis(values, order, axis=1)
            docs[part] = np.where(np.isfinite(scores[part]), np.take_along_axis(found, order, axis=1), -1)
        return docs, scores

    def scores(self, query_embeddings: ArrayLike, docs: ArrayLike) -> FloatArray:
        """Scores of given documents.

        Args:
            query_embeddings: float [n, dim].
            docs: int [n, m], document rows.

        Returns:
            float64 [n, m].

        Raises:
            ArgumentError: Embeddings of another dimension or that are not finite, or no such document.
        """
        vectors = self._queries(query_embeddings)
        rows = np.asarray(docs)
        if rows.ndim != 2 or len(rows) != len(vectors):
            raise ArgumentError(f"docs has shape {rows.shape}; expected [{len(vectors)}, m], a row for each query")
        flat = indices("docs", rows.ravel(), self.n_docs)
        return self.catalogue.scores_at(vectors, np.repeat(np.arange(len(vectors)), rows.shape[1]), flat).reshape(
            rows.shape
        )

    def pool(
        self,
        query_embeddings: ArrayLike,
        depth: int,
        *,
        query_ids: ArrayLike | None = None,
        include: ClickLog | tuple[ArrayLike, ArrayLike] | None = None,
        n_samples: int = 16,
        seed: int = 0,
    ) -> GeneratedPool:
        """The best documents of each query as a pool, on which the estimators and learners of the package work.

        A pool cuts off the rest of the catalogue, so a two-stage policy over it is not quite the generator:
        `left_out` says how far it is from it, and a greater `depth` brings it nearer.

        Args:
            query_embeddings: float [n_queries, dim].
            depth: Number of documents of each query.
            query_ids: [n_queries], distinct original ids. Default: 0, 1, ...
            include: Documents that the pool must have beside the best: those of a click log (by original ids), or two
                arrays [m], query indices and document rows.
            n_samples: Draws per query that `left_out` is estimated from; 0 for none.
            seed: Of those draws.

        Returns:
            The pool, its scores and what it leaves out; unpacks to these three.

        Raises:
            ArgumentError: A bad number, embedding or id, no queries, or a query that the index finds nothing for.
            DataError: The log has a query or document that is not among `query_ids` or `doc_ids`.
        """
        vectors = self._queries(query_embeddings)
        n = len(vectors)
        depth = within("depth", depth, self.n_docs)
        ids = np.arange(n) if query_ids is None else distinct_ids("query_ids", query_ids, n)
        if n == 0:
            raise ArgumentError("query_embeddings has no rows; expected at least one query")
        if n_samples != 0:
            require_at_least_one("n_samples", n_samples)
        extra = included_pairs(include, ids, self.doc_ids, self.n_docs)
        found, _ = self.top(vectors, depth)
        query, docs = pool_pairs(found, extra, self.n_docs)
        scores = self.catalogue.scores_at(vectors, query, docs)
        order = np.lexsort((docs, -scores, query))
        offsets = np.concatenate(([0], np.cumsum(np.bincount(query, minlength=n))))
        names = docs if self.doc_ids is None else self.doc_ids[docs]
        pool = Pool(offsets, ids, names[order])
        left_out = self._share_outside(vectors, query * self.n_docs + docs, n_samples, seed)
        return GeneratedPool(pool, scores[order], left_out)

    def check(self, query_embeddings: ArrayLike) -> IndexCheck:
        """Compare the search of each query with all scores: slow, for a few queries.

        Args:
            query_embeddings: float [n, dim].

        Returns:
            What the index misses; nothing at all where it is exact, up to ties within float32 rounding.

        Raises:
            ArgumentError: Embeddings of another dimension or that are not finite.
        """
        vectors = self._queries(query_embeddings)
        missed, mass = np.zeros(len(vectors), dtype=np.int64), np.zeros(len(vectors))
        for part in self._query_blocks(len(vectors), max(self.depth, GATHER)):
            missed[part], mass[part] = missed_documents(self.catalogue, vectors[part], self._heads(vectors[part]))
        return IndexCheck(missed, mass)

    def save(self, folder: str | Path, *, embeddings: bool = True) -> None:
        """Write the generator as plain files; the folder appears whole or not at all.

        Files: `config.json`, `doc_embeddings.npy` (unless `embeddings` is False: then hand them to `load`),
        `doc_ids.npy` if there are ids, and `index.faiss` unless the index is flat, which is made again from the
        embeddings.

        Raises:
            ArgumentError: Document ids of mixed types.
            DataError: `folder` exists and holds something else.
        """
        from cltr_twostage.embedding.files import save_generator

        save_generator(self, folder, embeddings=embeddings)

    @classmethod
    def load(cls, folder: str | Path, doc_embeddings: ArrayLike | None = None) -> "EmbeddingGenerator":
        """Read a generator written by `save`; saved embeddings stay on disk as a memory map.

        Args:
            folder: The folder.
            doc_embeddings: float [n_docs, dim], where they were not saved.

        Raises:
            DataError: The folder is not a saved generator, a file of it is damaged, or the embeddings are others.
            ArgumentError: The embeddings were not saved and are not given.
            MissingDependencyError: faiss is not installed.
        """
        from cltr_twostage.embedding.files import load_generator

        return load_generator(folder, doc_embeddings)

    def _queries(self, query_embeddings: ArrayLike) -> FloatArray:
        table = float_table("query_embeddings", query_embeddings)
        if table.shape[1] != self.dim:
            raise ArgumentError(
                f"query_embeddings has dimension {table.shape[1]}; expected {self.dim}, as doc_embeddings has"
            )
        vectors = np.ascontiguousarray(table, dtype=np.float64)
        largest = longest_row(vectors, "query_embeddings") * self.longest
        if largest / self.temperature > MAX_SCORE:
            raise ArgumentError(
                f"scores reach {largest / self.temperature:.1e} at temperature={self.temperature:g}; "
                f"expected at most {MAX_SCORE:.0e}"
            )
        return vectors

    def _query_blocks(self, n: int, width: int) -> list[slice]:
        size = max(1, CELLS // width)
        return [slice(start, min(start + size, n)) for start in range(0, n, size)]

    def _search(self, vectors: FloatArray, k: int) -> tuple[LongArray, FloatArray]:
        """Rows [n, k] in rising order, then n_docs where fewer were found, and their scores, -inf there."""
        docs = search(self.index, vectors, k)
        docs[docs < 0] = self.n_docs
        docs.sort(axis=1)
        scores = np.full(docs.shape, -np.inf)
        there = docs < self.n_docs
        scores[there] = self.catalogue.scores_at(vectors, np.nonzero(there)[0], docs[there])
        return docs, scores

    def _heads(self, vectors: FloatArray) -> Heads:
        n = len(vectors)
        if self.depth == self.n_docs:
            return Heads(np.empty((n, 0), dtype=np.int64), np.empty((n, 0)), np.full(n, np.inf))
        docs, scores = self._search(vectors, self.depth)
        lowest = np.where(np.isfinite(scores), scores, np.inf).min(axis=1)
        slack = ROUNDING * np.linalg.norm(vectors, axis=1) * self.longest / self.temperature
        return Heads(docs, scores, lowest + slack)

    def _share_outside(self, vectors: FloatArray, codes: LongArray, n_samples: int, seed: int) -> FloatArray:
        """Share of drawn candidates whose code query * n_docs + doc is not among the sorted `codes`: float64 [n]."""
        if n_samples == 0:
            return np.full(len(vectors), np.nan)
        outside = np.zeros(len(vectors))
        rng = np.random.default_rng(seed)
        for part in self._query_blocks(len(vectors), n_samples * self.n_candidates):
            drawn = self.sample(vectors[part], rng, n_samples)
            drawn_codes = drawn + np.arange(part.start, part.stop)[:, None] * self.n_docs
            place = np.minimum(np.searchsorted(codes, drawn_codes), len(codes) - 1)
            outside[part] = (codes[place] != drawn_codes).mean(axis=(0, 2))
        return outside
