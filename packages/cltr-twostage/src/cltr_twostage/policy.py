"""Two-stage policies: a candidate generator picks documents, a ranker orders them; both Plackett-Luce."""

from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.data import Pool
from cltr_twostage.exposure import Exposure, Placement, checked_rank_weights
from cltr_twostage.sampling import sampled_placement
from cltr_twostage.scores import ScoreTable
from cltr_twostage.stage import Stage, stage_scores
from irworks.errors import ArgumentError
from irworks.simulate import PlackettLucePolicy
from irworks.simulate.plackett_luce import require_at_least_one

__all__ = ["N_SAMPLES", "Method", "Policy", "TwoStagePolicy", "require_same_pool"]

IntArray = NDArray[np.int32]
LongArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Method = Literal["auto", "exact", "mc"]

N_SAMPLES = 128
# "auto" computes exactly where that takes about this many seconds or less.
EXACT_SECONDS = 0.1


class Policy(Protocol):
    """What the estimators ask of a policy."""

    @property
    def pool(self) -> Pool:
        """The documents that can be shown."""
        ...

    @property
    def k(self) -> int:
        """Length of the shown lists."""
        ...

    def placement(
        self, method: Method = "auto", *, n_samples: int = N_SAMPLES, rng: np.random.Generator | None = None
    ) -> Placement:
        """Probability of each document at each rank."""
        ...

    def exposure(
        self,
        rank_weights: ArrayLike,
        method: Method = "auto",
        *,
        n_samples: int = N_SAMPLES,
        rng: np.random.Generator | None = None,
    ) -> Exposure:
        """Expected rank weight of each document."""
        ...

    def log_prob(self, query: ArrayLike, rows: ArrayLike) -> FloatArray:
        """Log-probability of complete lists."""
        ...


class TwoStagePolicy:
    """A candidate generator and a ranker: y_c ~ PL(generator) of `n_candidates`, then y ~ PL(ranker | y_c) of `k`.

    A query with fewer documents than `n_candidates` has all of them as candidates; one with fewer than `k` fills its
    list up with -1. Source: the two-stage setting of "Towards Two-Stage Counterfactual Learning to Rank" (2025).

    Args:
        candidate: float [n_rows] log-weights of the generator, or a `Stage`; -inf: never a candidate.
        ranker: float [n_rows] log-weights of the ranker, or a `Stage`; -inf: never shown.
        n_candidates: Size of the candidate list.
        k: Length of the shown list.
        pool: The documents, or their offsets [n_queries + 1].

    The scores, `candidate_scores` and `ranker_scores`, are read-only copies: exact exposures are computed once.

    Raises:
        ArgumentError: k > n_candidates, scores that do not fit the pool, NaN, +inf or beyond +-1e12, or a query without
            a document that can be shown.
    """

    def __init__(
        self,
        candidate: ArrayLike | Stage,
        ranker: ArrayLike | Stage,
        n_candidates: int,
        k: int,
        *,
        pool: Pool | ArrayLike,
    ) -> None:
        self.pool = Pool.of(pool)
        require_at_least_one("n_candidates", n_candidates)
        require_at_least_one("k", k)
        self.n_candidates, self.k = int(n_candidates), int(k)
        if self.k > self.n_candidates:
            raise ArgumentError(
                f"k={k} is larger than n_candidates={n_candidates}; expected a list no longer than its candidates"
            )
        self.candidate_scores = stage_scores("candidate", candidate, self.pool)
        self.ranker_scores = stage_scores("ranker", ranker, self.pool)
        self._require_something_to_show()
        # The core's policy over the generator's scores knows which rows can be candidates, and draws them.
        self.generator = PlackettLucePolicy(self.candidate_scores, self.pool.offsets, self.n_candidates)

    @classmethod
    def from_scores(cls, table: ScoreTable, n_candidates: int, k: int) -> "TwoStagePolicy":
        """The policy of a score table."""
        return cls(table.candidate_scores, table.ranker_scores, n_candidates, k, pool=table.pool)

    def save(self, folder: str | Path) -> None:
        """Write the policy as a folder of plain files: see `cltr_twostage.files.save_policy`."""
        from cltr_twostage.files import save_policy

        save_policy(self, folder)

    @classmethod
    def load(cls, folder: str | Path) -> "TwoStagePolicy":
        """Read a policy that `save` wrote.

        Raises:
            DataError: The folder is not a saved two-stage policy, or a file of it is damaged: which.
        """
        from cltr_twostage.files import TWO_STAGE, load_policy_of

        return load_policy_of(folder, cls, TWO_STAGE)

    def __repr__(self) -> str:
        return f"TwoStagePolicy({self.pool!r}, n_candidates={self.n_candidates}, k={self.k})"

    @property
    def offsets(self) -> LongArray:
        """int64 [n_queries + 1]."""
        return self.pool.offsets

    def replace(
        self, *, candidate: ArrayLike | Stage | None = None, ranker: ArrayLike | Stage | None = None
    ) -> "TwoStagePolicy":
        """The same policy with another generator or another ranker."""
        return TwoStagePolicy(
            self.candidate_scores if candidate is None else candidate,
            self.ranker_scores if ranker is None else ranker,
            self.n_candidates,
            self.k,
            pool=self.pool,
        )

    def ranker_only(self) -> "TwoStagePolicy":
        """The ranker with every document as a candidate: what one sees who does not know of the first stage."""
        everything = int(self.pool.sizes.max())
        return TwoStagePolicy(
            np.zeros(self.pool.n_rows), self.ranker_scores, max(everything, self.k), self.k, pool=self.pool
        )

    def sample_candidates(self, query: ArrayLike, rng: np.random.Generator) -> IntArray:
        """One candidate list for each query code [n], in the order of the draw: rows int32 [n, n_candidates]."""
        return self.generator.sample(query, rng)

    def sample(self, query: ArrayLike, rng: np.random.Generator) -> IntArray:
        """One shown list for each query code [n]: rows int32 [n, k], -1 after the last document."""
        candidates = self.sample_candidates(query, rng)
        return self._rank(candidates, rng)

    def _rank(self, candidates: IntArray, rng: np.random.Generator) -> IntArray:
        from irworks.simulate.plackett_luce import first_k, gumbel

        keys = np.where(candidates >= 0, self.ranker_scores[candidates], -np.inf)
        keys += gumbel(keys.shape, rng)
        places = first_k(keys, self.k)
        chosen = np.take_along_axis(candidates, np.maximum(places, 0), axis=1)
        return np.where(places >= 0, chosen, np.int32(-1))

    def inclusion(self) -> FloatArray:
        """Probability of each document to be a candidate, exact to about 1e-12: float64 [n_rows]."""
        return self.generator.inclusion()

    def placement(
        self, method: Method = "auto", *, n_samples: int = N_SAMPLES, rng: np.random.Generator | None = None
    ) -> Placement:
        """Probability of each document at each rank.

        Args:
            method: "exact" integrates, "mc" draws `n_samples` times for each query, "auto" integrates where that
                takes about a tenth of a second.
            n_samples: Draws a query for "mc", rounded up to a multiple of 16.
            rng: Source of randomness for "mc". Default: seeded with 0, so that policies share their random numbers.

        Raises:
            ArgumentError: An unknown method, or `n_samples` below 16.
        """
        if self._exactly(method):
            value = self._exact_placement.copy()
            return Placement(value, np.zeros_like(value))
        rng = np.random.default_rng(0) if rng is None else rng
        batches, stderr = sampled_placement(self, n_samples, rng)
        return Placement(batches.mean(axis=0), stderr, batches)

    def exposure(
        self,
        rank_weights: ArrayLike,
        method: Method = "auto",
        *,
        n_samples: int = N_SAMPLES,
        rng: np.random.Generator | None = None,
    ) -> Exposure:
        """Expected rank weight of each document, rho(d) = E_{y_c} E_{y | y_c}[rank_weights[rank of d]].

        Args:
            rank_weights: float [>= k], weight of each rank: examination probabilities, or 1 / log2(rank + 1).
            method: See `placement`.
            n_samples: See `placement`.
            rng: See `placement`.

        Returns:
            Exposures with their standard errors, zero where exact. They sum to the weights of the filled ranks of each
            query.

        Raises:
            ArgumentError: As `placement`; or weights that are too few, negative or not finite.
        """
        weights = checked_rank_weights(rank_weights, self.k)
        if self._exactly(method):
            value = self._exact_placement @ weights
            return Exposure(value, np.zeros_like(value))
        rng = np.random.default_rng(0) if rng is None else rng
        batches, stderr = sampled_placement(self, n_samples, rng, weights)
        return Exposure(batches.mean(axis=0), stderr, batches)

    def log_prob(self, query: ArrayLike, rows: ArrayLike) -> FloatArray:
        """Log-probability of each complete list [n, k] for its query [n], summed over the candidate sets behind it.

        -inf for a list that cannot be shown, such as one that ends early; see `two_stage_log_prob` for the accuracy.

        Raises:
            ArgumentError: Lists that are not [n, k], a row of another query, or a row twice in a list.
        """
        from cltr_twostage.quadrature.placement import two_stage_log_prob

        codes = self.generator.candidates.checked_queries(query)
        lists = np.asarray(rows)
        if lists.ndim != 2 or lists.shape[1] != self.k:
            raise ArgumentError(f"rows has shape {lists.shape}; expected [n, {self.k}], complete lists")
        out = np.empty(len(codes))
        order = np.argsort(codes, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(order) else []:
            own = self._rows_of(int(codes[group[0]]))
            places = np.where(lists[group] >= 0, lists[group] - own.start, -1)
            outside = (lists[group] < -1) | (places < -1) | (places >= own.stop - own.start)
            if outside.any():
                raise ArgumentError(
                    f"a list of query {codes[group[0]]} holds row {lists[group][outside][0]}; expected rows "
                    f"{own.start} to {own.stop - 1}"
                )
            out[group] = two_stage_log_prob(
                self.candidate_scores[own], self.ranker_scores[own], places, self.n_candidates
            )
        return out

    def _require_something_to_show(self) -> None:
        shown = np.isfinite(self.candidate_scores) & np.isfinite(self.ranker_scores)
        empty = np.flatnonzero(np.add.reduceat(shown, self.offsets[:-1], dtype=np.int64) == 0)
        if len(empty):
            raise ArgumentError(
                f"query {self.pool.query_ids[empty[0]]} has no document whose two scores are above -inf; "
                "expected one that can be shown"
            )

    def _rows_of(self, query: int) -> slice:
        return slice(int(self.offsets[query]), int(self.offsets[query + 1]))

    def _exactly(self, method: Method) -> bool:
        from cltr_twostage.quadrature.placement import two_stage_cost

        if method not in ("auto", "exact", "mc"):
            raise ArgumentError(f'method={method!r}; expected "auto", "exact" or "mc"')
        if method != "auto":
            return method == "exact"
        sizes, counts = np.unique(self.pool.sizes, return_counts=True)
        seconds = sum(
            count * two_stage_cost(int(n), self.n_candidates, self.k) for n, count in zip(sizes, counts, strict=True)
        )
        return bool(seconds <= EXACT_SECONDS)

    @cached_property
    def _exact_placement(self) -> FloatArray:
        from cltr_twostage.quadrature.placement import two_stage_placement

        out = np.zeros((self.pool.n_rows, self.k))
        for size in np.unique(self.pool.sizes):
            first = self.offsets[:-1][self.pool.sizes == size]
            rows = first[:, None] + np.arange(size)
            out[rows] = two_stage_placement(
                self.candidate_scores[rows], self.ranker_scores[rows], self.n_candidates, self.k
            )
        return out


def require_same_pool(found: Pool, expected: Pool, name: str) -> None:
    """Raise an ArgumentError unless two pools have the same rows in the same order."""
    if found is expected:
        return
    same = np.array_equal(found.offsets, expected.offsets)
    same = same and np.array_equal(found.query_ids, expected.query_ids)
    if not (same and np.array_equal(found.doc_ids, expected.doc_ids)):
        raise ArgumentError(
            f"{name} stand on different pools: {found!r} and {expected!r}; expected the same queries and documents in "
            "the same order (ScoreTable.aligned_to brings scores into the order of a pool)"
        )
