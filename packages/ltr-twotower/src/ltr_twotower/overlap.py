"""Do the documents at two ranks look alike? The identification of flexible relevance towers rests on it."""

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from ltr_twotower.cells import Cells
from ltr_twotower.features import Scaling

__all__ = ["feature_overlap"]

FloatArray = NDArray[np.float64]


def feature_overlap(
    cells: Cells, X: FloatArray, caliper: float | None = None, *, max_pairs: int = 2000, seed: int = 0
) -> FloatArray:
    """Share of the pairs at rank a that have a pair of rank b within `caliper` in standardised feature space.

    A function that may be anything is pinned down at rank b only near what was shown there (Section 4.2 of the paper:
    overlapping supports). How near is near is the caliper's to say, and the user's to vary.

    Args:
        cells: The counts.
        X: float64 [n_pairs, n_features].
        caliper: Distance in units of feature standard deviations. Default: the median distance from a pair to its
            nearest neighbour among all pairs.
        max_pairs: At most this many pairs per rank, drawn at random, are compared.
        seed: Of that draw.

    Returns:
        float64 [n_ranks, n_ranks]; 1 on the diagonal of shown ranks, 0 where nothing was shown.

    Raises:
        ArgumentError: `caliper` is negative.
    """
    from scipy.spatial import KDTree

    if caliper is not None and not caliper >= 0:
        raise ArgumentError(f"caliper={caliper}; expected a distance of at least 0")
    rng = np.random.default_rng(seed)
    if X.shape[1] == 0:
        X = np.zeros((len(X), 1))  # a k-d tree needs a dimension
    Z = Scaling.of(X).apply(X)
    if caliper is None:
        caliper = _typical_distance(Z, rng, max_pairs)
    members = [cells.pair[cells.rank == rank] for rank in range(cells.n_ranks)]
    members = [rng.choice(rows, max_pairs, replace=False) if len(rows) > max_pairs else rows for rows in members]
    trees = [KDTree(Z[rows]) if len(rows) else None for rows in members]
    overlap = np.zeros((cells.n_ranks, cells.n_ranks))
    for a, rows in enumerate(members):
        for b, tree in enumerate(trees):
            if tree is not None and len(rows):
                distance, _ = tree.query(Z[rows], distance_upper_bound=caliper * (1 + 1e-9) + 1e-12)
                overlap[a, b] = np.isfinite(distance).mean()
    return overlap


def _typical_distance(Z: FloatArray, rng: np.random.Generator, max_pairs: int) -> float:
    from scipy.spatial import KDTree

    rows = Z if len(Z) <= max_pairs else Z[rng.choice(len(Z), max_pairs, replace=False)]
    if len(rows) < 2:
        return 0.0
    distance, _ = KDTree(Z).query(rows, k=2)
    return float(np.median(distance[:, 1]))
