"""A policy that draws for each session which of several two-stage policies serves it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.exposure import Exposure, Placement
from cltr_twostage.policy import N_SAMPLES, Method, TwoStagePolicy, require_same_pool
from irworks.errors import ArgumentError

__all__ = ["MixturePolicy"]

IntArray = NDArray[np.int32]
LongArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


class MixturePolicy:
    """A policy that serves each session by one of several policies, drawn with given probabilities.

    Args:
        policies: The policies, over one pool, with lists of one length.
        weights: float [n_policies] or [n_policies, n_queries], how likely each is; they sum to one.

    Raises:
        ArgumentError: No policy, one that is not a `TwoStagePolicy`, pools or list lengths that differ, or weights that
            are no numbers, negative, NaN, or do not sum to one.
    """

    def __init__(self, policies: Sequence[TwoStagePolicy], weights: ArrayLike) -> None:
        if not isinstance(policies, Sequence):
            raise ArgumentError(f"policies is a {type(policies).__name__}; expected a list of TwoStagePolicy")
        if not policies:
            raise ArgumentError("policies is empty; expected at least one")
        for policy in policies:
            if not isinstance(policy, TwoStagePolicy):
                raise ArgumentError(f"policies holds a {type(policy).__name__}; expected TwoStagePolicy throughout")
        self.policies = tuple(policies)
        self.pool, self.k = policies[0].pool, policies[0].k
        for policy in policies[1:]:
            require_same_pool(policy.pool, self.pool, "policies")
            if policy.k != self.k:
                raise ArgumentError(f"policies show lists of {self.k} and {policy.k} documents; expected one length")
        self.weights = _mixture_weights(weights, len(policies), self.pool.n_queries)

    def save(self, folder: str | Path) -> None:
        """Write the mixture as a folder of plain files: see `cltr_twostage.files.save_policy`."""
        from cltr_twostage.files import save_policy

        save_policy(self, folder)

    @classmethod
    def load(cls, folder: str | Path) -> "MixturePolicy":
        """Read a mixture that `save` wrote.

        Raises:
            DataError: The folder is not a saved mixture, or a file of it is damaged: which.
        """
        from cltr_twostage.files import MIXTURE, load_policy_of

        return load_policy_of(folder, cls, MIXTURE)

    def __repr__(self) -> str:
        return f"MixturePolicy({self.pool!r}, n_policies={len(self.policies)}, k={self.k})"

    @property
    def n_candidates(self) -> int | None:
        """Size of the candidate list; None where the policies differ in it."""
        sizes = {policy.n_candidates for policy in self.policies}
        return sizes.pop() if len(sizes) == 1 else None

    @property
    def offsets(self) -> LongArray:
        """int64 [n_queries + 1]."""
        return self.pool.offsets

    def sample(self, query: ArrayLike, rng: np.random.Generator) -> IntArray:
        """One shown list for each query code [n]: rows int32 [n, k], -1 after the last document."""
        codes = self._checked_queries(query)
        cumulative = np.cumsum(self.weights, axis=0)[:, codes]
        chosen = np.minimum((rng.random(len(codes)) >= cumulative).sum(axis=0), len(self.policies) - 1)
        rows = np.empty((len(codes), self.k), dtype=np.int32)
        for number, policy in enumerate(self.policies):
            here = np.flatnonzero(chosen == number)
            rows[here] = policy.sample(codes[here], rng)
        return rows

    def placement(
        self, method: Method = "auto", *, n_samples: int = N_SAMPLES, rng: np.random.Generator | None = None
    ) -> Placement:
        """Probability of each document at each rank; see `TwoStagePolicy.placement`."""
        # One source for all, as the errors of the parts are summed as independent ones.
        rng = np.random.default_rng(0) if rng is None else rng
        parts = [policy.placement(method, n_samples=n_samples, rng=rng) for policy in self.policies]
        shares = self._row_weights()[:, :, None]
        return Placement(
            _weighted([part.value for part in parts], shares),
            np.sqrt(_weighted([part.stderr**2 for part in parts], shares**2)),
            _weighted_batches([part.batches for part in parts], [part.value for part in parts], shares),
        )

    def exposure(
        self,
        rank_weights: ArrayLike,
        method: Method = "auto",
        *,
        n_samples: int = N_SAMPLES,
        rng: np.random.Generator | None = None,
    ) -> Exposure:
        """Expected rank weight of each document; see `TwoStagePolicy.exposure`."""
        rng = np.random.default_rng(0) if rng is None else rng
        parts = [policy.exposure(rank_weights, method, n_samples=n_samples, rng=rng) for policy in self.policies]
        shares = self._row_weights()
        return Exposure(
            _weighted([part.value for part in parts], shares),
            np.sqrt(_weighted([part.stderr**2 for part in parts], shares**2)),
            _weighted_batches([part.batches for part in parts], [part.value for part in parts], shares),
        )

    def log_prob(self, query: ArrayLike, rows: ArrayLike) -> FloatArray:
        """Log-probability of each complete list [n, k] for its query [n]."""
        codes = self._checked_queries(query)
        with np.errstate(divide="ignore"):
            parts = [
                np.log(self.weights[number, codes]) + policy.log_prob(codes, rows)
                for number, policy in enumerate(self.policies)
            ]
        return np.asarray(np.logaddexp.reduce(parts, axis=0))

    def ranker_only(self) -> "MixturePolicy":
        """The same mixture of the rankers alone; see `TwoStagePolicy.ranker_only`."""
        return MixturePolicy([policy.ranker_only() for policy in self.policies], self.weights)

    def _checked_queries(self, query: ArrayLike) -> LongArray:
        return self.policies[0].generator.candidates.checked_queries(query)

    def _row_weights(self) -> FloatArray:
        return np.repeat(self.weights, self.pool.sizes, axis=1)


def _weighted(parts: Sequence[FloatArray], shares: FloatArray) -> FloatArray:
    total: FloatArray = sum(share * part for share, part in zip(shares, parts, strict=True))
    return total


def _weighted_batches(
    batches: Sequence[FloatArray | None], values: Sequence[FloatArray], shares: FloatArray
) -> FloatArray | None:
    """Batches of a mixture; what is exact is the same in each."""
    if all(batch is None for batch in batches):
        return None
    return _weighted(
        [value[None] if batch is None else batch for batch, value in zip(batches, values, strict=True)], shares
    )


def _mixture_weights(weights: ArrayLike, n_policies: int, n_queries: int) -> FloatArray:
    try:
        table = np.array(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"weights is {weights!r}; expected numbers [{n_policies}] that sum to 1") from None
    if table.shape == (n_policies,):
        table = np.repeat(table[:, None], n_queries, axis=1)
    if table.shape != (n_policies, n_queries):
        raise ArgumentError(f"weights has shape {table.shape}; expected [{n_policies}] or [{n_policies}, {n_queries}]")
    bad = ~(np.isfinite(table) & (table >= 0))
    if bad.any():
        raise ArgumentError(f"weights holds {table[bad][0]}; expected finite numbers of at least 0")
    sums = table.sum(axis=0)
    if not np.allclose(sums, 1.0):
        raise ArgumentError(f"weights sum to {sums[~np.isclose(sums, 1.0)][0]}; expected 1")
    table.setflags(write=False)
    return table
