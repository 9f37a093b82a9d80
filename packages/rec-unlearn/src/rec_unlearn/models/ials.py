"""iALS: implicit-feedback matrix factorisation, by the library `implicit`."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from irworks.errors import ArgumentError, MissingDependencyError
from rec_unlearn.data import Interactions
from rec_unlearn.data.fingerprint import stand_for
from rec_unlearn.models.base import ArrayModel, without_gone
from rec_unlearn.models.counting import BLOCK

__all__ = ["IALS"]

FloatArray = NDArray[np.float64]


class IALS(ArrayModel):
    """Alternating least squares: Hu, Koren and Volinsky (2008), Collaborative Filtering for Implicit Feedback Datasets.

    Users and items get factors that minimise sum over all pairs of c_ui (p_ui - x_u y_i)^2 + l2 (|X|^2 + |Y|^2), where
    c_ui = 1 + alpha r_ui, r_ui is how often u used i, and p_ui is 1 where it did and 0 elsewhere. Only item factors are
    stored: a user's are the solution for the history that one asks with (fold-in), so no user has to be known.

    There is no exact removal: item factors are the end of a path of sweeps from a random start, on which the user was.
    `rec_unlearn.algorithms.warm.WarmStart` sweeps on without the user, approximately.

    Attributes:
        factors: Size of a factor.
        l2: Regularisation, the same for users and items however many rows they have.
        alpha: What a row adds to the confidence of 1.
        sweeps: How often `fit` solves for all users and then all items.
        item_factors_: float64 [n_items, factors]; 0 for items that nobody uses.
    """

    def __init__(self, factors: int = 32, *, l2: float = 10.0, alpha: float = 10.0, sweeps: int = 15) -> None:
        if factors < 1 or sweeps < 1:
            raise ArgumentError(f"factors={factors}, sweeps={sweeps}; expected at least 1 of each")
        if not (0 < l2 < np.inf and 0 <= alpha < np.inf):
            raise ArgumentError(f"l2={l2}, alpha={alpha}; expected a positive number, and one that is not negative")
        self.factors, self.l2, self.alpha, self.sweeps = factors, float(l2), float(alpha), sweeps

    def settings(self) -> dict[str, Any]:
        """The arguments that build this model again, for its file."""
        return {"factors": self.factors, "l2": self.l2, "alpha": self.alpha, "sweeps": self.sweeps}

    def fit(self, log: Interactions, *, seed: int = 0) -> Self:
        """Sweep from a random start, which depends on the seed and the number of users and items with a code.

        Raises:
            MissingDependencyError: The library `implicit` is not installed.
        """
        factors = self._swept(log, None, self.sweeps, seed)
        self.item_factors_, self.gone_ = factors, ~log.active_items
        self._fitted(log, seed)
        return self

    def sweep(self, log: Interactions, n: int = 1) -> Self:
        """Sweep on from the factors that there are, on a log with the same items.

        Raises:
            ArgumentError: n is below 1, or the log has other items.
            MissingDependencyError: The library `implicit` is not installed.
        """
        self._check_log(log)
        if n < 1:
            raise ArgumentError(f"n={n} sweeps; expected at least 1")
        factors = self._swept(log, self.item_factors_, n, self.seed_)
        self.item_factors_, self.gone_ = factors, ~log.active_items
        stand_for(self, log)
        return self

    def user_factors(self, log: Interactions, users: NDArray[np.integer]) -> FloatArray:
        """The best factors for users with the history that `log` holds of them, given those of items.

        Solves (Y'Y + l2 I + sum_i (c_ui - 1) y_i y_i') x = sum_i c_ui y_i for each user.

        Returns:
            float64 [n, factors]; 0 for users without rows.
        """
        self._check_log(log)
        given = self.item_factors_
        gram = given.T @ given + self.l2 * np.eye(self.factors)
        used = log.matrix(users)
        right = (used * self.alpha + used.sign()) @ given
        found = np.zeros((used.shape[0], self.factors))
        for begin in range(0, used.shape[0], BLOCK):
            part = slice(begin, begin + BLOCK)
            block = (used[part] * self.alpha).tocsr()
            items, column = np.unique(block.indices, return_inverse=True)
            outer = (given[items, :, None] * given[items, None, :]).reshape(len(items), -1)
            narrow = sparse.csr_array((block.data, column, block.indptr), shape=(block.shape[0], len(items)))
            left = gram + (narrow @ outer).reshape(-1, self.factors, self.factors)
            found[part] = np.linalg.solve(left, right[part, :, None])[:, :, 0]
        return found

    def scores(self, log: Interactions, users: NDArray[np.int32]) -> FloatArray:
        """As `rec_unlearn.protocols.Recommender.scores`; float64, -inf for items that nobody uses."""
        return without_gone(self.user_factors(log, users) @ self.item_factors_.T, self.gone_)

    def objective(self, log: Interactions) -> float:
        """What is minimised, at the best factors of the users of `log`; smaller is better."""
        users = self.user_factors(log, np.arange(log.n_users))
        given, used = self.item_factors_, log.matrix()
        at = np.repeat(np.arange(log.n_users), np.diff(used.indptr))
        product = np.einsum("ij,ij->i", users[at], given[used.indices])
        everywhere = float(np.sum((users.T @ users) * (given.T @ given)))
        confidence = 1 + self.alpha * used.data
        observed = float(np.sum(confidence * (1 - product) ** 2 - product**2))
        return everywhere + observed + self.l2 * float((users**2).sum() + (given**2).sum())

    def stored_copies(self) -> tuple[str, ...]:
        """What of the model could hold interactions."""
        return ("item_factors_: no factors of users are stored; what sweeps learned from them fades with later sweeps",)

    def state(self) -> dict[str, NDArray[Any]]:
        """The item factors."""
        self._check_fitted()
        return {"item_factors": self.item_factors_, "gone": self.gone_}

    def set_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take what `state` gave."""
        factors, gone = arrays["item_factors"], arrays["gone"]
        if factors.shape != (self.n_items_, self.factors) or gone.shape != (self.n_items_,):
            raise ValueError(f"item_factors have the shape {factors.shape}, not {(self.n_items_, self.factors)}")
        self.item_factors_, self.gone_ = factors, gone

    def _swept(self, log: Interactions, start: FloatArray | None, sweeps: int, seed: int) -> FloatArray:
        model, limits = _implicit(self, sweeps, seed)
        confidence = log.matrix()
        confidence.data = 1 + self.alpha * confidence.data
        if start is not None:
            # A sweep begins with the users, so nothing of what stands there now is read.
            model.user_factors = np.zeros((log.n_users, self.factors))
            model.item_factors = start.copy()
        with limits(1, "blas"):
            model.fit(sparse.csr_matrix(confidence), show_progress=False)
        return np.array(model.item_factors, dtype=np.float64)


def _implicit(model: IALS, sweeps: int, seed: int) -> tuple[Any, Any]:
    """The library's model, exact in its steps and in float64, and what holds BLAS to one thread meanwhile."""
    try:
        from implicit.cpu.als import AlternatingLeastSquares
        from threadpoolctl import threadpool_limits
    except ImportError:
        raise MissingDependencyError("implicit", "IALS", "rec-unlearn[ials]") from None
    # implicit warns, when its model is made, of a BLAS with several threads beside its own.
    with threadpool_limits(1, "blas"):
        made = AlternatingLeastSquares(
            factors=model.factors,
            regularization=model.l2,
            alpha=1.0,
            dtype=np.float64,
            use_cg=False,
            iterations=sweeps,
            random_state=seed,
        )
    return made, threadpool_limits
