"""Information about theta after eliminating the relevance tower, and the standard errors that follow from it."""

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ltr_twotower.cells import Cells
from ltr_twotower.features import Scaling

__all__ = [
    "contrast_stderr",
    "contrast_variance",
    "linear_information",
    "null_directions",
    "rank_gram",
    "swap_information",
]

FloatArray = NDArray[np.float64]


def swap_information(cells: Cells, curvature: FloatArray) -> FloatArray:
    """Schur complement of theta with one free relevance per pair: D - B^T H^-1 B.

    It is a weighted Laplacian of the swap graph: rows sum to zero, and two ranks have a negative entry exactly if some
    pair was shown at both.

    Args:
        cells: The counts.
        curvature: float64 [n_cells], information per cell: n p (1 - p), or n for a graph of impressions.

    Returns:
        float64 [n_ranks, n_ranks].
    """
    by_pair = np.bincount(cells.pair, curvature, minlength=cells.n_pairs)[cells.pair]
    scaled = np.divide(curvature, np.sqrt(by_pair), out=np.zeros_like(curvature), where=by_pair > 0)
    shape = (cells.n_pairs, cells.n_ranks)
    information = -rank_gram(scipy.sparse.csr_array((scaled, (cells.pair, cells.rank)), shape=shape))
    information = (information + information.T) / 2
    # Summing the off-diagonal keeps rows at exactly zero, where subtracting two large numbers would not.
    np.fill_diagonal(information, 0)
    np.fill_diagonal(information, -information.sum(axis=1))
    return np.asarray(information)


def linear_information(cells: Cells, X: FloatArray, curvature: FloatArray) -> FloatArray:
    """Schur complement of theta with a linear relevance tower.

    Args:
        cells: The counts.
        X: float64 [n_pairs, n_features].
        curvature: float64 [n_cells], information per cell.

    Returns:
        float64 [n_ranks, n_ranks], for differences of thetas only: a shift of all of them depends on the means of the
        features, which are taken out. Its null space is what no amount of such data identifies.
    """
    # Taking the mean out only moves a constant between the relevances and all thetas: no difference of thetas notices,
    # and features with a large mean (years, identifiers) would otherwise all look constant, and alike.
    X = Scaling.of(X).apply(X)
    by_pair = np.bincount(cells.pair, curvature, minlength=cells.n_pairs)
    by_rank = np.bincount(cells.rank, curvature, minlength=cells.n_ranks)
    B = scipy.sparse.csr_array((curvature, (cells.pair, cells.rank)), shape=(cells.n_pairs, cells.n_ranks))
    cross = B.T @ X
    gram = X.T @ (X * by_pair[:, None])
    information = np.diag(by_rank) - cross @ np.linalg.pinv(gram, rcond=1e-12, hermitian=True) @ cross.T
    return np.asarray((information + information.T) / 2)


def null_directions(
    information: FloatArray, shown: NDArray[np.bool_], scale: float, tolerance: float = 1e-9
) -> FloatArray:
    """Orthonormal null directions of theta up to a constant, float64 [n_ranks, m], zero at ranks not shown.

    Args:
        information: float64 [n_ranks, n_ranks].
        shown: bool [n_ranks], ranks at which something was shown.
        scale: Information about a single theta if the relevance were known: what rounding errors are proportional to.
        tolerance: Eigenvalues below this share of `scale` count as zero.
    """
    values, vectors = np.linalg.eigh(information[np.ix_(shown, shown)])
    null = vectors[:, values <= tolerance * scale]
    # Centring drops the constant where it is null, and keeps what moves ranks apart where it is not: a feature that
    # marks one rank leaves that rank's theta free although no shift of all ranks goes unnoticed.
    basis, singular, _ = np.linalg.svd(null - null.mean(axis=0), full_matrices=False)
    directions = np.zeros((len(shown), int((singular > 1e-6).sum())))
    directions[shown] = basis[:, singular > 1e-6]
    return directions


def rank_gram(matrix: scipy.sparse.csr_array) -> FloatArray:
    """Matrix' matrix, float64 [n_ranks, n_ranks], of a sparse matrix [n_pairs, n_ranks]."""
    # Dense arithmetic wins by far where most pairs were shown at most ranks, and needs no more memory than the cells.
    if matrix.nnz * 4 >= matrix.shape[0] * matrix.shape[1]:
        dense = matrix.toarray()
        return np.asarray(dense.T @ dense)
    return np.asarray((matrix.T @ matrix).toarray())


def contrast_variance(covariance: FloatArray) -> FloatArray:
    """Variance of theta_a - theta_b for all a and b from a covariance of theta, both float64 [n_ranks, n_ranks]."""
    diagonal = np.diag(covariance)
    variance = np.maximum(diagonal[:, None] + diagonal[None, :] - 2 * covariance, 0)
    np.fill_diagonal(variance, 0)
    return variance


def contrast_stderr(information: FloatArray, labels: NDArray[np.int32]) -> FloatArray:
    """Standard errors of theta_a - theta_b: inf between groups and where nothing was shown.

    Args:
        information: float64 [n_ranks, n_ranks].
        labels: int32 [n_ranks], group of ranks whose differences are identified; -1 where nothing was shown.

    Returns:
        float64 [n_ranks, n_ranks], zero on the diagonal of shown ranks.
    """
    stderr = np.full(information.shape, np.inf)
    shown = np.flatnonzero(labels >= 0)
    inner = information[np.ix_(shown, shown)]
    diagonal = np.diag(inner)
    largest = max(float(diagonal.max()), 1e-300)
    # Scaled, so that ranks with little information are not taken for null beside ranks with much. All groups at once:
    # under a linear tower the ranks of other groups are unknown too, and knowing them would help.
    size = np.sqrt(np.where(diagonal > 1e-12 * largest, diagonal, largest))
    inverse = np.linalg.pinv(inner / np.outer(size, size), rcond=1e-10, hermitian=True) / np.outer(size, size)
    together = labels[shown, None] == labels[shown]
    within = np.sqrt(contrast_variance(np.asarray(inverse, dtype=np.float64)))
    stderr[np.ix_(shown, shown)] = np.where(together, within, np.inf)
    return stderr
