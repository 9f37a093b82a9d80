"""Small worlds that several tests share, and oracles that share no code with the package."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations, product
from math import exp

import numpy as np
import pytest

from cltr_twostage import ClickLog, Pool, TwoStagePolicy, enumerate_two_stage
from irworks.simulate import PositionBased, simulate_clicks

Lists = dict[tuple[int, tuple[int, ...]], float]
Sessions = dict[tuple[int, tuple[int, ...], tuple[bool, ...]], float]


@dataclass(frozen=True, eq=False)
class TinyWorld:
    """A world small enough to enumerate: two policies over one pool, and how users click."""

    pool: Pool
    logging: TwoStagePolicy
    target: TwoStagePolicy
    relevance: np.ndarray
    examination: np.ndarray
    query_weights: np.ndarray

    @property
    def dcg(self) -> np.ndarray:
        return 1 / np.log2(np.arange(2, self.logging.k + 2))

    def truth(self, policy: TwoStagePolicy | None = None, rank_weights: np.ndarray | None = None) -> float:
        """The value of a policy: a sum over the lists that it shows."""
        weights = self.examination if rank_weights is None else rank_weights
        shares = self.query_weights / self.query_weights.sum()
        return sum(
            chance * shares[query] * sum(weights[rank] * self.relevance[row] for rank, row in enumerate(rows))
            for (query, rows), chance in list_chances(self.target if policy is None else policy).items()
        )

    def sessions(self) -> tuple[ClickLog, np.ndarray]:
        """Every session that can happen under the logging policy, and how likely it is."""
        return enumerate_two_stage(self.logging).log(self.relevance, self.examination, self.query_weights)

    def simulate(self, n: int, seed: int | list[int], policy: TwoStagePolicy | None = None) -> ClickLog:
        """A log of the logging policy, or of another."""
        return simulate_clicks(
            self.logging if policy is None else policy,
            PositionBased(self.examination),
            np.log(self.relevance / (1 - self.relevance)),
            n,
            np.random.default_rng(seed),
            query_weights=self.query_weights,
            query_ids=self.pool.query_ids,
            doc_ids=self.pool.doc_ids,
        )


def list_chances(policy: TwoStagePolicy) -> Lists:
    """The probability of each (query, list), by going through every order of every candidate list."""
    out: Lists = defaultdict(float)
    for query in range(policy.pool.n_queries):
        rows = range(int(policy.offsets[query]), int(policy.offsets[query + 1]))
        sets: dict[frozenset[int], float] = defaultdict(float)
        for members, chance in _orders(rows, policy.candidate_scores, policy.n_candidates):
            sets[frozenset(members)] += chance
        for members, of_set in sets.items():
            for shown, chance in _orders(members, policy.ranker_scores, policy.k):
                out[query, shown] += of_set * chance
    return dict(out)


def session_chances(world: TinyWorld) -> Sessions:
    """The probability of each (query, list, clicks) under the logging policy."""
    shares = world.query_weights / world.query_weights.sum()
    out: Sessions = {}
    for (query, rows), chance in list_chances(world.logging).items():
        for clicks in product([False, True], repeat=len(rows)):
            of_clicks = 1.0
            for rank, clicked in enumerate(clicks):
                seen = world.examination[rank] * world.relevance[rows[rank]]
                of_clicks *= seen if clicked else 1 - seen
            out[query, rows, clicks] = shares[query] * chance * of_clicks
    return out


def _orders(rows, scores, length):
    """Every order of the first `length` rows that a Plackett-Luce model draws, and its probability."""
    weight = {row: exp(scores[row]) for row in rows if np.isfinite(scores[row])}
    for order in permutations(weight, min(length, len(weight))):
        left, chance = sum(weight.values()), 1.0
        for row in order:
            chance *= weight[row] / left
            left -= weight[row]
        yield order, chance


def make_world(
    seed: int,
    *,
    sizes: tuple[int, ...] | None = None,
    n_candidates: int | None = None,
    k: int | None = None,
    scale: float = 1.0,
) -> TinyWorld:
    """A random world; of what is not given, at most 6 documents, 4 candidates, lists of 3 and 2 queries."""
    rng = np.random.default_rng(seed)
    sizes = tuple(rng.integers(2, 7, size=int(rng.integers(1, 3)))) if sizes is None else sizes
    k = int(rng.integers(1, 4)) if k is None else k
    n_candidates = int(rng.integers(k, 5)) if n_candidates is None else n_candidates
    pool = Pool(np.concatenate(([0], np.cumsum(sizes))))
    scores = rng.normal(scale=scale, size=(4, pool.n_rows))
    return TinyWorld(
        pool=pool,
        logging=TwoStagePolicy(scores[0], scores[1], n_candidates, k, pool=pool),
        target=TwoStagePolicy(scores[2], scores[3], n_candidates, k, pool=pool),
        relevance=rng.uniform(0.05, 0.95, pool.n_rows),
        examination=1 / np.arange(1, k + 1) ** rng.uniform(0.3, 1.5),
        query_weights=rng.uniform(0.5, 2, pool.n_queries),
    )


@pytest.fixture(scope="session")
def tiny_world() -> Callable[..., TinyWorld]:
    return make_world


@pytest.fixture(scope="session")
def lists_of() -> Callable[[TwoStagePolicy], Lists]:
    return list_chances


@pytest.fixture(scope="session")
def sessions_of() -> Callable[[TinyWorld], Sessions]:
    return session_chances


@pytest.fixture(scope="session")
def hundred_worlds() -> list[tuple[TinyWorld, ClickLog, np.ndarray]]:
    """A hundred random worlds, each with every session that can happen and its probability."""
    worlds = [make_world(seed) for seed in range(100)]
    return [(world, *world.sessions()) for world in worlds]


@pytest.fixture(scope="session")
def two_query_world() -> TinyWorld:
    """Two queries of unequal worth, candidate lists that leave documents out."""
    return make_world(4, sizes=(4, 5), n_candidates=3, k=2, scale=0.6)


@pytest.fixture(scope="session")
def thousand_logs(two_query_world) -> list[ClickLog]:
    """Logs of 500 sessions of the world with two queries."""
    return [two_query_world.simulate(500, [7, number]) for number in range(1000)]


@dataclass(frozen=True, eq=False)
class Trials:
    """What an estimator said of many logs."""

    values: np.ndarray
    stderrs: np.ndarray
    covered: np.ndarray

    def standard_errors_off(self, truth: float) -> float:
        return float(abs(self.values.mean() - truth) / (self.values.std(ddof=1) / np.sqrt(len(self.values))))

    @property
    def coverage(self) -> float:
        return float(self.covered.mean())

    @property
    def inflation(self) -> float:
        """Reported standard error over the real one."""
        return float(np.sqrt((self.stderrs**2).mean()) / self.values.std(ddof=1))


@pytest.fixture(scope="session")
def on_trial() -> Callable[..., Trials]:
    def run(estimate, logs, truth: float) -> Trials:
        estimates = [estimate(log) for log in logs]
        return Trials(
            np.array([one.value for one in estimates]),
            np.array([one.stderr for one in estimates]),
            np.array([truth in one.ci for one in estimates]),
        )

    return run


@pytest.fixture(scope="session")
def resampled() -> Callable[..., float]:
    """Standard deviation of an estimate over bootstrap resamples of a log's sessions."""

    def run(estimate, log: ClickLog, n: int = 1000, seed: int = 0) -> float:
        rng = np.random.default_rng(seed)
        sessions = len(log)
        weights = rng.multinomial(sessions, np.full(sessions, 1 / sessions), size=n)
        return float(np.std([estimate(log, one.astype(float)).value for one in weights]))

    return run
