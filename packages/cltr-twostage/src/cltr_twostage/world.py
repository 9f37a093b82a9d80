"""A world: a population of queries and documents, its user and its logging policy, of which everything is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.data import Pool
from cltr_twostage.examination import checked_examination, dcg_weights, inverse_rank
from cltr_twostage.policy import N_SAMPLES, Method, Policy, TwoStagePolicy
from irworks.data import ClickLog
from irworks.errors import ArgumentError
from irworks.simulate import PositionBased, simulate_clicks
from irworks.simulate.policies import RankingSampler

__all__ = ["World", "dcg_world"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class World:
    """A population of queries and documents with known relevance, a user, and the policy that is in production.

    The user examines rank k with probability `examination[k]` and clicks what is examined and relevant. A policy is
    worth U = sum_q p(q) sum_d rho(d) R(d), where rho(d) is the expected rank weight of document d.

    Attributes:
        name: In kebab-case.
        about: How it is built, for the reader of a report; a constructed case says so.
        pool: The documents of each query.
        relevance: float64 [n_rows], R, the probability that an examined document is clicked.
        generator_features: float32 [n_rows, n_generator_features], what a candidate generator may see.
        ranker_features: float32 [n_rows, n_ranker_features], what a ranker may see.
        logging: The policy in production; it has the sizes `n_candidates` and `k`.
        examination: float64 [k], in (0, 1].
        rank_weights: float64 [k], the weight of each rank in the utility.
        query_weights: float64 [n_queries], p(q), given in any unit and kept as shares that sum to one.

    Raises:
        ArgumentError: An array has another shape, or relevance, examination or weights are out of range.
    """

    name: str
    about: str
    pool: Pool
    relevance: FloatArray
    generator_features: NDArray[np.float32]
    ranker_features: NDArray[np.float32]
    logging: TwoStagePolicy
    examination: FloatArray
    rank_weights: FloatArray
    query_weights: FloatArray

    def __post_init__(self) -> None:
        n_rows, k = self.pool.n_rows, self.logging.k
        relevance = _checked("relevance", self.relevance, (n_rows,), highest=1.0)
        examination = checked_examination(self.examination)
        query_weights = _checked("query_weights", self.query_weights, (self.pool.n_queries,))
        if query_weights.sum() == 0:
            raise ArgumentError("query_weights sum to 0; expected a positive weight")
        checked = {
            "relevance": relevance,
            "examination": _checked("examination", examination, (k,)),
            "rank_weights": _checked("rank_weights", self.rank_weights, (k,)),
            "query_weights": query_weights / query_weights.sum(),
            "generator_features": _checked_features("generator_features", self.generator_features, n_rows),
            "ranker_features": _checked_features("ranker_features", self.ranker_features, n_rows),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def n_candidates(self) -> int:
        """Size of the candidate list."""
        return self.logging.n_candidates

    @property
    def k(self) -> int:
        """Length of the shown list."""
        return self.logging.k

    def __repr__(self) -> str:
        return f"World({self.name!r}, {self.pool!r}, n_candidates={self.n_candidates}, k={self.k})"

    def simulate(self, n_sessions: int, rng: np.random.Generator, *, policy: RankingSampler | None = None) -> ClickLog:
        """Log clicks.

        Args:
            n_sessions: Number of sessions; queries are drawn by `query_weights`.
            rng: Source of randomness.
            policy: Shows the lists, over this world's pool. Default: the logging policy.

        Returns:
            A log whose codes are the queries and rows of the pool, with the pool's ids.

        Raises:
            ArgumentError: `n_sessions` is below 1, or the policy's documents or list length are not this world's.
        """
        policy = self.logging if policy is None else policy
        with np.errstate(divide="ignore"):
            logits = np.log(self.relevance) - np.log1p(-self.relevance)
        return simulate_clicks(
            policy,
            PositionBased(self.examination),
            logits,
            n_sessions,
            rng,
            query_weights=self.query_weights,
            query_ids=self.pool.query_ids,
            doc_ids=self.pool.doc_ids,
        )

    def value(
        self,
        policy: Policy,
        method: Method = "auto",
        *,
        n_samples: int = N_SAMPLES,
        rng: np.random.Generator | None = None,
    ) -> float:
        """The true utility of a policy, sum_q p(q) sum_d rho(d) R(d).

        Args:
            policy: Over this world's pool.
            method: How to compute exposure: "exact", "mc" by `n_samples` lists a query, or "auto".
            n_samples: See `method`.
            rng: Source of randomness for "mc".

        Raises:
            ArgumentError: The policy stands on another pool, or what its `exposure` raises.
        """
        if not np.array_equal(policy.pool.offsets, self.pool.offsets):
            raise ArgumentError(f"policy stands on {policy.pool!r}; expected the pool of the world, {self.pool!r}")
        exposure = policy.exposure(self.rank_weights, method, n_samples=n_samples, rng=rng).value
        return float(np.repeat(self.query_weights, self.pool.sizes) @ (exposure * self.relevance))

    def ideal(self) -> float:
        """The utility of the best lists: each query's most relevant documents at the ranks of the largest weights.

        A two-stage policy with free scores reaches it, since the k best documents fit among the candidates; one that
        sees only the features may not.
        """
        owner = self.pool.owner()
        order = np.lexsort((-self.relevance, owner))
        rank = np.arange(len(order)) - self.pool.offsets[owner]
        top = rank < self.k
        weights = np.sort(self.rank_weights)[::-1]
        gain = self.query_weights[owner[top]] * weights[rank[top]] * self.relevance[order[top]]
        return float(gain.sum())


def dcg_world(
    name: str,
    about: str,
    relevance: FloatArray,
    features: tuple[NDArray[np.float32], NDArray[np.float32]],
    logging: TwoStagePolicy,
    query_weights: FloatArray | None = None,
) -> World:
    """A world whose user examines rank k with probability 1 / k, and whose utility is DCG.

    Args:
        name: As in `World`.
        about: As in `World`; a sentence about the user is added.
        relevance: float [n_rows], in [0, 1].
        features: What the generator and what the ranker sees, each float [n_rows, n_features].
        logging: The policy in production; gives the pool and the sizes.
        query_weights: float [n_queries]. Default: equal.

    Raises:
        ArgumentError: As `World`.
    """
    return World(
        name=name,
        about=f"{about}. The user examines rank k with probability 1 / k; the utility is DCG@{logging.k}.",
        pool=logging.pool,
        relevance=relevance,
        generator_features=features[0],
        ranker_features=features[1],
        logging=logging,
        examination=inverse_rank(logging.k),
        rank_weights=dcg_weights(logging.k),
        query_weights=np.ones(logging.pool.n_queries) if query_weights is None else query_weights,
    )


def _checked(name: str, values: FloatArray, shape: tuple[int, ...], highest: float = np.inf) -> FloatArray:
    array = np.array(values, dtype=np.float64)
    if array.shape != shape:
        raise ArgumentError(f"{name} has shape {array.shape}; expected {list(shape)}, as the pool and policy have it")
    bad = ~((array >= 0) & (array <= highest) & np.isfinite(array))
    if bad.any():
        place = int(np.flatnonzero(bad)[0])
        expected = "a finite number of at least 0" if highest == np.inf else f"a number in [0, {highest:g}]"
        raise ArgumentError(f"{name} is {array[place]} at {place}; expected {expected}")
    return array


def _checked_features(name: str, values: NDArray[np.float32], n_rows: int) -> NDArray[np.float32]:
    array = np.asarray(values, dtype=np.float32)
    if array.ndim != 2 or len(array) != n_rows or not np.isfinite(array).all():
        raise ArgumentError(f"{name} has shape {array.shape}; expected finite numbers [{n_rows}, n_features]")
    return array
