"""Can clicks (or gaze) of these screens tell examination from attraction? It depends on what was shown where.

Clicks see P = theta_p a_k only for the positions p at which a key k was shown. In logarithms, log theta_p + log a_k is
known on the edges of the bipartite graph of keys and positions, so that each connected component has its own scale:
theta can rise and a fall by one factor without any change of the fit. One component leaves one scale, which is a matter
of convention; more leave the shape of theta open. With theta = row x column, what the components leave open has to be
a row times a column too. With gaze, theta is seen directly.

How well it is identified is another question: eliminating the attractions from the information matrix leaves a weighted
Laplacian of the positions, and with it a standard error for log theta of each position against the best known one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.impressions import Impressions
from recgaze.models.attraction import Features, Fixed, given_keying, named_keying
from recgaze.models.base import feature_matrix
from recgaze.models.keys import KEYS, KeyName
from recgaze.models.tally import Tally

__all__ = ["Component", "IdentifiabilityReport", "Verdict", "identifiability", "identifiability_of_tally"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
Verdict = Literal["identifiable", "identifiable up to scale", "not identifiable"]

_WIDE = 0.5
_CHUNK = 4096
_TINY = 1e-9


@dataclass(frozen=True)
class Component:
    """Positions that share keys, directly or through others.

    Attributes:
        positions: (carousel, position) from 1.
        keys: Number of keys shown there.
    """

    positions: tuple[tuple[int, int], ...]
    keys: int


@dataclass(frozen=True, eq=False, repr=False)
class IdentifiabilityReport:
    """What a design, and the clicks on it, can tell about a position-based model.

    Attributes:
        verdict: "identifiable"; "identifiable up to scale": all but one constant a factor, fixed by convention; or "not
            identifiable": some positions cannot be compared, whatever the number of screens.
        examination: "cell" (theta_rc), "row x column" (theta_r phi_c), or "observed" (gaze).
        attraction: What attraction belongs to.
        free_scales: Constants that the likelihood leaves open; 0 with gaze or held attraction, else at least 1 (cell)
            or 2 (row x column).
        components: Connected components of the graph of keys and positions, largest first.
        linking_keys: Number of keys shown at more than one position: only these compare positions.
        never_shown: Positions (from 1) at which nothing was shown.
        never_examined: With gaze, number of keys that nobody looked at, whose attraction stays a guess; else 0.
        stderr: float64 [R, C], standard error of log theta against `reference`: inf where they cannot be compared, NaN
            where nothing was shown. None if precision was not asked for.
        reference: The position (from 1) with most information.
    """

    verdict: Verdict
    examination: Literal["cell", "row x column", "observed"]
    attraction: str
    free_scales: int
    components: tuple[Component, ...]
    linking_keys: int
    n_keys: int
    never_shown: tuple[tuple[int, int], ...]
    never_examined: int = 0
    stderr: FloatArray | None = field(default=None)
    reference: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"IdentifiabilityReport({self.text!r})"

    def __str__(self) -> str:
        return self.text

    def weakest(self, n: int = 5) -> list[tuple[int, int, float]]:
        """The n positions (carousel, position from 1, standard error) whose log theta is least certain."""
        if self.stderr is None:
            return []
        flat = np.where(np.isnan(self.stderr), -1, self.stderr).ravel()
        order = np.argsort(-flat, kind="stable")[:n]
        columns = self.stderr.shape[1]
        return [(int(at) // columns + 1, int(at) % columns + 1, float(flat[at])) for at in order if flat[at] >= 0]

    @property
    def text(self) -> str:
        """The findings in a few sentences."""
        parts = [self._head(), *self._precision()]
        if self.never_shown:
            parts.append(f"At {len(self.never_shown)} positions nothing was shown.")
        if self.never_examined:
            parts.append(
                f"{self.never_examined:,} of {self.n_keys:,} keys were never looked at: their attraction is that of "
                "the mean."
            )
        return " ".join(parts)

    def _head(self) -> str:
        if self.examination == "observed":
            return "Identifiable: gaze shows examination itself, and attraction is what looks turn into clicks."
        if self.verdict == "identifiable":
            return "Identifiable: attraction is given, and examination is what is left."
        if self.verdict == "identifiable up to scale":
            return (
                "Identifiable up to scale: keys of attraction connect all positions; clicks give examination relative "
                "to one position, not its level."
            )
        reason = (
            f"{self.linking_keys:,} of {self.n_keys:,} keys ({self.attraction}) were shown at more than one position"
        )
        if self.linking_keys == 0:
            reason = f"every key ({self.attraction}) was shown at one position only"
        return (
            f"Not identifiable: {reason}, so that clicks leave {self.free_scales} constants of examination "
            f"({self.examination}) open; its {len(self.components)} groups of positions cannot be compared. "
            "Let cells share attraction (user_genre, genre, rating, Features), hold it, or use gaze (OEPBM)."
        )

    def _precision(self) -> list[str]:
        weakest = self.weakest(1)
        if not weakest or self.verdict != "identifiable up to scale" or self.reference is None:
            return []
        row, column, stderr = weakest[0]
        text = (
            f"Least certain: log theta at carousel {row}, position {column} against carousel {self.reference[0]}, "
            f"position {self.reference[1]}, standard error {stderr:.2g}"
        )
        return [f"{text}: too wide to be of use without a ridge." if stderr > _WIDE else f"{text}."]

    def to_dict(self) -> dict[str, Any]:
        """The findings as plain numbers, lists and text, for JSON."""
        return {
            "verdict": self.verdict,
            "examination": self.examination,
            "attraction": self.attraction,
            "free_scales": self.free_scales,
            "components": [
                {"positions": [list(at) for at in one.positions], "keys": one.keys} for one in self.components
            ],
            "keys": self.n_keys,
            "linking_keys": self.linking_keys,
            "never_shown": [list(at) for at in self.never_shown],
            "never_examined": self.never_examined,
            "weakest": [
                [row, column, stderr if np.isfinite(stderr) else None] for row, column, stderr in self.weakest()
            ],
            "text": self.text,
        }


def identifiability(
    impressions: "Impressions | Iterable[Impressions]",
    attraction: "KeyName | Features | Fixed" = "user_genre",
    observed_examination: bool = False,
    *,
    separable: bool = False,
) -> IdentifiabilityReport:
    """Check whether, and how precisely, screens identify a position-based model.

    Args:
        impressions: The screens, as a whole or in blocks.
        attraction: "movie", "genre", "user_genre", "rating", `Features` or `Fixed`, as in the models.
        observed_examination: Whether the model sees the gaze (OEPBM).
        separable: Whether examination is a row times a column (RCPBM).

    Raises:
        ArgumentError: `attraction` is unknown, or there are no cells with a known key.
    """
    if isinstance(attraction, (Features, Fixed)):
        keying = given_keying(attraction)
    elif attraction in KEYS:
        keying = named_keying(attraction)
    else:
        raise ArgumentError(f"attraction={attraction!r}; expected one of {', '.join(KEYS)}, Features or Fixed")
    tally = Tally.collect(impressions, keying)
    if not len(tally):
        raise ArgumentError(f"no cell has a known key ({attraction}); expected at least one")
    return identifiability_of_tally(
        tally,
        linear=isinstance(attraction, Features),
        fixed=isinstance(attraction, Fixed),
        separable=separable,
        observed=observed_examination,
    )


def identifiability_of_tally(
    tally: Tally,
    *,
    linear: bool = False,
    fixed: bool = False,
    separable: bool = False,
    observed: bool = False,
    precision: bool = True,
) -> IdentifiabilityReport:
    """As `identifiability`, from counts.

    Args:
        tally: The counts.
        linear: Attraction is logistic in the columns of the table. Counted as log-linear: that a logistic curve bends
            would tell theta from attraction in theory, but never in practice.
        fixed: Attraction is given.
        separable: Examination is a row times a column.
        observed: Gaze is used.
        precision: Whether to work out standard errors.
    """
    shown = tally.by_position(tally.shown) > 0
    labels, components = _components(tally)
    design = _position_design(tally.shape, separable)
    known = observed or fixed
    null = np.zeros((design.shape[1], 0)) if known else _null_space(tally, design, labels, linear)
    # Constants that are conventions: one for theta against a, one more for rows against columns.
    conventions = 0 if known else 1 + separable
    verdict: Verdict = "identifiable" if known else "identifiable up to scale"
    if not known and null.shape[1] > conventions:
        verdict = "not identifiable"
    stderr, reference = None, None
    if precision:
        stderr, reference = _standard_errors(tally, design, null, linear=linear, fixed=fixed, observed=observed)
    examination: Any = "observed" if observed else "row x column" if separable else "cell"
    return IdentifiabilityReport(
        verdict=verdict,
        examination=examination,
        attraction="features" if linear else "given" if fixed else " x ".join(tally.table),
        free_scales=int(null.shape[1]),
        components=components,
        linking_keys=int((np.bincount(tally.key, minlength=tally.n_keys) > 1).sum()),
        n_keys=tally.n_keys,
        never_shown=tuple(_cells(np.flatnonzero(~shown), tally.shape)),
        never_examined=int((tally.by_key(tally.seen) == 0).sum()) if observed else 0,
        stderr=stderr,
        reference=reference,
    )


def _components(tally: Tally) -> tuple[LongArray, tuple[Component, ...]]:
    """int64 [P], component of each position (-1: nothing shown there), and the components, largest first."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = tally.n_positions + tally.n_keys
    edges = coo_array(
        (np.ones(len(tally)), (tally.position, tally.n_positions + tally.key.astype(np.int64))), shape=(n, n)
    )
    _, raw = connected_components(edges, directed=False)
    shown = tally.by_position(tally.shown) > 0
    present, inverse = np.unique(raw[: tally.n_positions][shown], return_inverse=True)
    labels = inverse.astype(np.int64)
    order = np.argsort(-np.bincount(labels), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    of_position = np.full(tally.n_positions, -1, dtype=np.int64)
    of_position[shown] = rank[labels]
    place = np.full(int(raw.max()) + 1, -1, dtype=np.int64)
    place[present] = rank
    keys = np.bincount(place[raw[tally.n_positions :]], minlength=len(order))
    groups = np.split(
        np.argsort(of_position, kind="stable")[(~shown).sum() :], np.cumsum(np.sort(np.bincount(labels))[::-1])[:-1]
    )
    return of_position, tuple(
        Component(tuple(_cells(group, tally.shape)), int(count)) for group, count in zip(groups, keys, strict=True)
    )


def _position_design(shape: tuple[int, int], separable: bool) -> FloatArray:
    """float64 [P, d]: log theta of the positions, from its parameters."""
    if not separable:
        return np.eye(shape[0] * shape[1])
    row, column = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    return np.hstack([np.eye(shape[0])[row], np.eye(shape[1])[column]])


def _null_space(tally: Tally, design: FloatArray, labels: LongArray, linear: bool) -> FloatArray:
    """float64 [d, m], orthonormal changes of log theta's parameters that attraction can undo on all that was shown."""
    shown = labels >= 0
    used = np.abs(design[shown]).sum(axis=0) > 0
    if linear:
        gram = design.T @ _information(tally, np.ones(len(tally)), linear=True) @ design
        size, basis = np.linalg.eigh(gram[np.ix_(used, used)])
        inner = basis[:, size < _TINY * max(float(size.max()), 1.0)]
    else:
        # Attraction can follow any change that is constant within components, and no other.
        matrix = design[shown][:, used]
        member = (labels[shown][:, None] == np.arange(labels.max() + 1)).astype(float)
        centred = matrix - member @ ((member.T @ matrix) / member.sum(axis=0)[:, None])
        _, singular, right = np.linalg.svd(centred, full_matrices=True)
        rank = int((singular > _TINY * max(float(singular.max(initial=0)), 1.0)).sum())
        inner = right[rank:].T
    null = np.zeros((design.shape[1], inner.shape[1]))
    null[used] = inner
    return null


def _information(tally: Tally, weight: FloatArray, *, linear: bool) -> FloatArray:
    """float64 [P, P], information about log theta, of weights [m], after eliminating the attraction."""
    from scipy.sparse import csr_array

    total = np.bincount(tally.position, weights=weight, minlength=tally.n_positions)
    result: FloatArray = np.diag(total)
    table = csr_array((weight, (tally.key, tally.position)), shape=(tally.n_keys, tally.n_positions))
    if linear:
        features = np.column_stack([feature_matrix(tally.table), np.ones(tally.n_keys)])
        cross = np.asarray(table.T @ features)
        gram = features.T @ (features * np.asarray(table.sum(axis=1)).ravel()[:, None])
        return np.asarray(result - cross @ np.linalg.pinv(gram, hermitian=True) @ cross.T)
    # Dense chunks of keys: the product of sparse matrices would be slower where keys are shown at many positions.
    for start in range(0, tally.n_keys, _CHUNK):
        part = table[start : start + _CHUNK].toarray()
        result -= part.T @ (part / np.maximum(part.sum(axis=1, keepdims=True), 1e-300))
    return result


def _standard_errors(
    tally: Tally, design: FloatArray, null: FloatArray, *, linear: bool, fixed: bool, observed: bool
) -> tuple[FloatArray, tuple[int, int]]:
    """float64 [R, C], of log theta against the position with most information, and that position from 1."""
    shown = tally.by_position(tally.shown)
    hits = tally.by_position(tally.seen if observed else tally.clicked)
    rate = (hits + 0.5) / (shown + 1)
    if observed:
        information = np.diag(shown * rate / (1 - rate))
    else:
        p = _smooth_rate(tally, rate)
        weight = tally.shown * p / (1 - p)
        if fixed:
            information = np.diag(np.bincount(tally.position, weights=weight, minlength=tally.n_positions))
        else:
            information = _information(tally, weight, linear=linear)
    reference = int(np.argmax(np.where(shown > 0, np.diag(information), -1)))
    contrast = design - design[reference]
    matrix = design.T @ information @ design
    # Contrasts that the data know are orthogonal to the null space, so that what is added there does not count.
    inverse = np.linalg.pinv(matrix + np.trace(matrix) / len(matrix) * null @ null.T, hermitian=True)
    variance = np.einsum("pd,de,pe->p", contrast, inverse, contrast)
    unknown = np.abs(contrast @ null).max(axis=1, initial=0) > 1e-6
    stderr = np.where(unknown, np.inf, np.sqrt(np.maximum(variance, 0)))
    return np.where(shown > 0, stderr, np.nan).reshape(tally.shape), _cells(np.array([reference]), tally.shape)[0]


def _smooth_rate(tally: Tally, rate: FloatArray) -> FloatArray:
    """float64 [m], click rates as a product of that of the position and that of the key: clicks of one are too few."""
    overall = tally.clicked.sum() / tally.shown.sum()
    shown = tally.by_key(tally.shown)
    lift = (tally.by_key(tally.clicked) + 0.5) / (shown * max(overall, 1e-9) + 0.5)
    return np.asarray(np.clip(rate[tally.position] * lift[tally.key], 1e-9, 0.95))


def _cells(positions: LongArray, shape: tuple[int, int]) -> list[tuple[int, int]]:
    return [(int(at) // shape[1] + 1, int(at) % shape[1] + 1) for at in positions]
