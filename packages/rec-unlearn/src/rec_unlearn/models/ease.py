"""EASE: a linear autoencoder in closed form, from which users are removed exactly in milliseconds."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions
from rec_unlearn.models.base import ArrayModel, without_gone
from rec_unlearn.models.counting import BLOCK, affected, binary, not_held
from rec_unlearn.requests import Removal

__all__ = ["EASE"]

IntArray = NDArray[np.int32]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
# 1 - x'Px is 0 where G without x is singular.
SINGULAR = 1e-9
DRIFT = 1e-9


class EASE(ArrayModel):
    """Embarrassingly shallow autoencoder: Steck (2019), Embarrassingly Shallow Autoencoders for Sparse Data, WWW.

    With X [n_users, n_items], 1 where a user used an item, G = X'X + l2 I and P = G^-1, the weights are
    B_ij = -P_ij / P_jj off the diagonal and 0 on it. They are not stored: a history x scores x B = x - (x P) / diag P.

    A user's row is a part of rank 1 of G, and so of P (Sherman and Morrison 1950): removing it takes n_items^2
    operations; several rows at once take the blocked form (Woodbury). One triangle of P is kept up to date, the other
    is filled in when scores are asked for. X is not stored, so a removal needs the log.

    Attributes:
        l2: Regularisation.
        refit_every: Fit again instead of the so-manieth removal; None: only where an update would lose accuracy.
        users_: int64 [n_items], how many users used each item.
        refits_: How often `remove` had to fit again since `fit`.
    """

    def __init__(self, l2: float = 500.0, *, refit_every: int | None = None) -> None:
        if not 0 < l2 < np.inf:
            raise ArgumentError(f"l2={l2}; expected a positive number")
        if refit_every is not None and refit_every < 1:
            raise ArgumentError(f"refit_every={refit_every}; expected at least 1, or None")
        self.l2, self.refit_every = float(l2), refit_every

    def settings(self) -> dict[str, Any]:
        """The arguments that build this model again, for its file."""
        return {"l2": self.l2, "refit_every": self.refit_every}

    def fit(self, log: Interactions, *, seed: int = 0) -> Self:
        """Invert G.

        Args:
            log: What to learn from; how often a user used an item makes no difference.
            seed: Of no use here, as nothing is drawn.
        """
        self.refits_ = 0
        self._fit(log)
        self._fitted(log, seed)
        return self

    def _fit(self, log: Interactions) -> None:
        from scipy.linalg import lapack

        used = binary(log)
        gram = (used.T @ used).astype(np.float64).toarray(order="F")
        self.users_ = np.diag(gram).astype(np.int64)
        np.fill_diagonal(gram, np.diag(gram) + self.l2)
        factor, info = lapack.dpotrf(gram, lower=1, overwrite_a=1)
        inverse, info_inverse = lapack.dpotri(factor, lower=1, overwrite_c=1) if not info else (factor, info)
        if info or info_inverse:
            raise ArgumentError(f"l2={self.l2} is too small for this log: X'X + l2 I is not positive definite")
        self._inverse, self._mirrored = inverse, False
        # X'Xz of integers is an integer, so what drift is measured against never drifts itself.
        self._probe = used.T @ (used @ self._z(log.n_items))
        self._served = 0

    @property
    def inverse_(self) -> FloatArray:
        """P, float64 [n_items, n_items], both triangles; not to be written to."""
        self._check_fitted()
        if not self._mirrored:
            _mirror(self._inverse)
            self._mirrored = True
        inverse: FloatArray = self._inverse
        return inverse

    @property
    def gone_(self) -> BoolArray:
        """Bool [n_items], which items nobody uses: they have left the catalogue."""
        self._check_fitted()
        return np.asarray(self.users_ == 0)

    def scores(self, log: Interactions, users: IntArray) -> FloatArray:
        """As `rec_unlearn.protocols.Recommender.scores`; float64, -inf for items that nobody uses."""
        self._check_log(log)
        inverse, used = self.inverse_, binary(log, users)
        # A symmetric matrix in columns is the same matrix in rows, which the sparse product wants.
        scores = used @ inverse.T
        scores /= -np.diag(inverse)
        scores += used
        return without_gone(np.asarray(scores), self.gone_)

    def remove(self, removal: Removal) -> int:
        """Take the rows out, in place, by a rank-1 update for each history that goes and each that is left.

        The model is fitted again on `removal.after` where the update is not safe (1 - x'Px up to 1e-9), where the
        inverse is more than 1e-9 off at a probe vector afterwards, where more histories change than there are items,
        and at every `refit_every`.

        Returns:
            How many stored numbers changed: one triangle of P.

        Raises:
            ArgumentError: The model does not hold these rows; it was not changed.
        """
        self._check_log(removal.before)
        old, new = self._histories(removal)
        if not old.shape[0]:
            return 0
        left = self.users_ - np.asarray(old.sum(axis=0) - new.sum(axis=0))
        if (left < 0).any():
            raise not_held()
        self._served += 1
        emptied = (left == 0) & (self.users_ > 0)
        due = self.refit_every is not None and self._served >= self.refit_every
        cheap = old.shape[0] + new.shape[0] <= self.n_items_
        if due or not cheap or not self._update(old, new, emptied):
            self.refits_ += 1
            self._fit(removal.after)
        self.users_ = left
        self._removed(removal)
        return self.n_items_ * (self.n_items_ + 1) // 2

    def drift(self) -> float:
        """How far P is off: max |P G z - z| at a vector z of -1 and 1."""
        from scipy.linalg import blas

        z = self._z(self.n_items_)
        return float(np.abs(blas.dsymv(1.0, self._inverse, self._probe + self.l2 * z, lower=1) - z).max())

    def stored_copies(self) -> tuple[str, ...]:
        """What of the model could hold interactions."""
        return ("inverse_: of sums over users, from which removed rows were taken exactly; no row of a user is stored",)

    def state(self) -> dict[str, NDArray[Any]]:
        """One triangle of P, and counts."""
        from scipy.linalg import lapack

        self._check_fitted()
        packed, _ = lapack.dtrttp(self._inverse, uplo="L")
        return {"triangle": packed, "users": self.users_, "probe": self._probe}

    def set_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take what `state` gave."""
        from scipy.linalg import lapack

        n = self.n_items_
        for name, size in (("triangle", n * (n + 1) // 2), ("users", n), ("probe", n)):
            if arrays[name].shape != (size,):
                raise ValueError(f"{name} has the shape {arrays[name].shape}, not ({size},)")
        self._inverse, _ = lapack.dtpttr(n, arrays["triangle"], uplo="L")
        self._mirrored = False
        self.users_, self._probe = arrays["users"], arrays["probe"]
        self.refits_ = self._served = 0

    @staticmethod
    def _z(n: int) -> NDArray[np.int64]:
        return np.random.default_rng(0).integers(0, 2, n) * 2 - 1

    @staticmethod
    def _histories(removal: Removal) -> tuple[sparse.csr_array, sparse.csr_array]:
        """Rows of X that go, and those that come in their place without the empty ones: [m, n_items] each."""
        before, after = affected(removal)
        old, new = binary(before, removal.users), binary(after, removal.users)
        changed = np.diff(old.indptr) != np.diff(new.indptr)
        return old[changed], new[changed & (np.diff(new.indptr) > 0)]

    def _update(self, old: sparse.csr_array, new: sparse.csr_array, emptied: BoolArray) -> bool:
        """Whether P is now that without `old` and with `new`; if not, it is of no use any more."""
        self._mirrored = False
        z = self._z(self.n_items_)
        self._probe = self._probe + new.T @ (new @ z) - old.T @ (old @ z)
        # Rows that come first keep G far from singular while others go.
        if not (self._add(new, 1.0) and self._add(old, -1.0)):
            return False
        # What is left of an item without users is the regularisation alone, and rounding: that goes too.
        self._inverse[emptied, :] = 0
        self._inverse[:, emptied] = 0
        self._inverse[emptied, emptied] = 1 / self.l2
        return self.drift() <= DRIFT

    def _add(self, rows: sparse.csr_array, sign: float) -> bool:
        for begin in range(0, rows.shape[0], BLOCK):
            block = rows[begin : begin + BLOCK]
            if not (self._add_one if block.shape[0] == 1 else self._add_block)(block, sign):
                return False
        return True

    def _add_one(self, row: sparse.csr_array, sign: float) -> bool:
        from scipy.linalg import blas

        x = row.toarray()[0].astype(np.float64)
        projected = blas.dsymv(1.0, self._inverse, x, lower=1)
        divisor = 1 + sign * float(x @ projected)
        if divisor <= SINGULAR:
            return False
        self._inverse = blas.dsyr(-sign / divisor, projected, lower=1, a=self._inverse, overwrite_a=1)
        return True

    def _add_block(self, rows: sparse.csr_array, sign: float) -> bool:
        """P - s W W' with W = P X' L^-T, where L L' = I + s X P X'."""
        from scipy.linalg import blas, eigvalsh, solve_triangular

        dense = rows.toarray().T.astype(np.float64, order="F")
        projected = blas.dsymm(1.0, self._inverse, dense, lower=1)
        middle = np.eye(rows.shape[0]) + sign * (rows @ projected)
        if sign < 0 and eigvalsh(middle, subset_by_index=(0, 0))[0] <= SINGULAR:
            return False
        factor = np.linalg.cholesky(middle)
        weighted = np.asfortranarray(solve_triangular(factor, projected.T, lower=True).T)
        self._inverse = blas.dsyrk(-sign, weighted, beta=1.0, c=self._inverse, lower=1, overwrite_c=1)
        return True


def _mirror(lower: FloatArray) -> None:
    """Copy the lower triangle to the upper one, in place, in blocks that stay in the cache."""
    n = len(lower)
    for begin in range(0, n, BLOCK):
        end = min(begin + BLOCK, n)
        lower[begin:end, end:] = lower[end:, begin:end].T
        corner = lower[begin:end, begin:end]
        upper = np.triu_indices(end - begin, 1)
        corner[upper] = corner.T[upper]
