"""Can this click log identify a two-tower model, and how precisely?

With one relevance per (query, document) pair, theta is identified up to one constant exactly if the swap graph is
connected: ranks are its vertices, and two ranks are joined when some pair was shown at both (Section 4 of the paper).
Connected is not the same as precise: eliminating the relevances from the information matrix leaves a weighted Laplacian
of that graph, whose pseudo-inverse gives a standard error for every pair of ranks.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import connected_components

from irworks.data import ClickLog
from irworks.errors import ArgumentError
from ltr_twotower.cells import Cells
from ltr_twotower.features import feature_table
from ltr_twotower.information import contrast_stderr, linear_information, null_directions, swap_information
from ltr_twotower.newton import Problem, solve_newton
from ltr_twotower.overlap import feature_overlap
from ltr_twotower.swaps import SwapGraph, connected_labels, groups_of, renumber, swap_graph

if TYPE_CHECKING:
    from ltr_twotower.plan import Swap

__all__ = [
    "IdentifiabilityReport",
    "IdentifiedGroups",
    "Tower",
    "check_identifiability",
    "identified_groups",
    "nothing_to_learn",
    "with_bias_features",
]

FloatArray = NDArray[np.float64]
Tower = Literal["embedding", "linear", "deep"]


@dataclass(frozen=True, eq=False, repr=False)
class IdentifiabilityReport:
    """What a log can tell about theta, for one kind of relevance tower.

    Attributes:
        tower: The relevance tower that was assumed.
        ok: Whether all differences between the shown ranks are identified, and there are clicks to learn them from.
        graph: The swap graph (one relevance per pair).
        information: float64 [n_ranks, n_ranks], Fisher information of theta after eliminating the relevance tower.
        null_space: float64 [n_ranks, m], orthonormal directions in which theta can move without changing the fit, apart
            from the constant one. m = 0 if `ok`.
        se_theta: float64 [n_ranks, n_ranks], standard error of theta_a - theta_b; inf where not identified. For a deep
            tower those of the per-pair tower, which are an upper bound.
        overlap: float64 [n_ranks, n_ranks] for a deep tower: share of the pairs at rank a with a pair of rank b
            nearby in feature space; None for the others.
        labels: int32 [n_ranks], group of ranks whose differences are identified; -1 where nothing was shown.
    """

    tower: Tower
    ok: bool
    graph: SwapGraph
    information: FloatArray
    null_space: FloatArray
    se_theta: FloatArray
    labels: NDArray[np.int32]
    overlap: FloatArray | None
    _curvature: FloatArray

    def __repr__(self) -> str:
        return f"IdentifiabilityReport({self.summary()!r})"

    @property
    def components(self) -> list[list[int]]:
        """Groups of ranks (from 1) whose differences this tower identifies."""
        return groups_of(self.labels)

    @property
    def silent(self) -> bool:
        """Whether no impression was clicked, or every one, at two ranks or more: then no clicks tell ranks apart."""
        return _is_silent(self.graph.cells)

    @property
    def fiedler(self) -> float:
        """Algebraic connectivity of the information about theta: 0 if not identified, larger is more precise.

        One over the largest variance of any normalised combination of theta differences; with an embedding tower the
        second-smallest eigenvalue of `information`.
        """
        shown = self.labels >= 0
        if not self.ok:
            return 0.0
        if shown.sum() < 2:
            return float("inf")
        centre = np.eye(int(shown.sum())) - 1 / shown.sum()
        if not np.isfinite(variance := self.se_theta[np.ix_(shown, shown)] ** 2).all():
            return 0.0
        return float(1 / np.linalg.eigvalsh(-0.5 * centre @ variance @ centre)[-1])

    @property
    def worst(self) -> tuple[int, int, float]:
        """The two ranks (from 1) whose difference is least certain, and its standard error."""
        shown = np.flatnonzero(self.labels >= 0)
        part = self.se_theta[np.ix_(shown, shown)]
        a, b = np.unravel_index(int(np.argmax(part)), part.shape)
        return int(shown[min(a, b)]) + 1, int(shown[max(a, b)]) + 1, float(part[a, b])

    def suggest_swaps(self, budget: int) -> "list[Swap]":
        """Which randomised swaps would most reduce the worst standard error.

        Args:
            budget: Number of sessions in which two ranks may be swapped, in all.

        Returns:
            At most 200 swaps, in the order chosen; see `ltr_twotower.plan.plan_swaps`.

        Raises:
            ArgumentError: `budget` is not positive.
        """
        from ltr_twotower.plan import plan_swaps

        return plan_swaps(self.graph.cells, self.information, self._curvature, budget)

    def summary(self) -> str:
        """The findings in a few sentences."""
        head = f"Relevance tower: {self.tower}. Ranks shown: {int((self.labels >= 0).sum())}."
        if not self.ok:
            return f"{head} NOT IDENTIFIED: {' '.join(self._why_not())}"
        if (self.labels >= 0).sum() < 2:
            return f"{head} Only one rank was shown: there is no position bias to identify."
        a, b, se = self.worst
        if np.isinf(se):
            return (
                f"{head} Identified by overlapping features, if relevance is a smooth function of them. No document "
                "was swapped between some ranks, so there is no bound on the standard errors."
            )
        text = f"{head} Identified. The least certain difference is theta_{a} - theta_{b}, standard error {se:.3g}."
        if se > 0.5:
            text += " That is too wide to be of use: the ranks are connected, but by few clicks."
        # With one query there is nothing to learn from the fact that it cannot be missed.
        several = len(self.graph.cells.query_ids) > 1
        bridges = self.graph.bridges if self.tower == "embedding" and several else []
        if bridges:
            names = ", ".join(str(bridge.query) for bridge in bridges[:5])
            text += f" Without any one of these queries the ranks would fall apart: {names}."
        return text

    def _why_not(self) -> list[str]:
        reasons = [f"{nothing_to_learn(self.graph.cells)}."] if self.silent else []
        if len(self.components) > 1:
            groups = "; ".join(_span(group) for group in self.components)
            reasons.append(
                f"theta can be compared only within these groups of ranks: {groups}. Show some documents at ranks of "
                "different groups (randomise a few swaps), or use a relevance tower on features that overlap between "
                "ranks."
            )
        return reasons

    def to_dict(self) -> dict[str, Any]:
        """The findings as plain numbers and lists, for JSON. Infinite standard errors are None."""
        a, b, se = self.worst
        return {
            "tower": self.tower,
            "identified": self.ok,
            "components": self.components,
            "algebraic_connectivity": (
                self.graph.algebraic_connectivity if np.isfinite(self.graph.algebraic_connectivity) else None
            ),
            "fiedler_information": self.fiedler if np.isfinite(self.fiedler) else None,
            "null_directions": int(self.null_space.shape[1]),
            "worst": {"ranks": [a, b], "stderr": se if np.isfinite(se) else None},
            "stderr_to_rank_1": [float(x) if np.isfinite(x) else None for x in self.se_theta[0]],
            "bridges": [{"query": str(bridge.query), "components": bridge.components} for bridge in self.graph.bridges],
            "n_pairs": self.graph.cells.n_pairs,
            "pairs_at_several_ranks": int((np.bincount(self.graph.cells.pair) > 1).sum()),
        }


def check_identifiability(
    log: ClickLog | Cells,
    features: ArrayLike | None = None,
    tower: Tower = "embedding",
    *,
    l2: float = 0.1,
    caliper: float | None = None,
    min_overlap: float = 0.05,
) -> IdentifiabilityReport:
    """Check whether, and how precisely, a log identifies the position bias of a two-tower model.

    Args:
        log: The click log, or its cells.
        features: float [n_pairs, n_features], for the linear and deep towers. Default: the log's own.
        tower: "embedding": one relevance per pair; identified if the swap graph is connected. "linear": identified if
            [onehot(rank), x] has no null direction besides the constant one. "deep": identified if the supports of the
            features overlap between ranks in a connected way; a near neighbour counts as overlap.
        l2: Ridge of the quick fit whose click probabilities weigh the information.
        caliper: Deep tower: distance in standardised features below which two pairs count as overlapping. Default: the
            median distance of a pair to its nearest neighbour.
        min_overlap: Deep tower: share of the pairs of a rank that must have a neighbour at another rank to join the
            two.

    Raises:
        ArgumentError: `tower` is unknown, or it needs features and there are none.
    """
    if tower not in ("embedding", "linear", "deep"):
        raise ArgumentError(f"tower={tower!r}; expected 'embedding', 'linear' or 'deep'")
    graph = swap_graph(log)
    cells = graph.cells
    X = None if tower == "embedding" else _feature_matrix(cells, features)
    groups = identified_groups(graph, X, tower, caliper=caliper, min_overlap=min_overlap)
    # A deep tower is bounded by the per-pair one: no function of the features is freer than a value for each pair.
    linear_X = X if tower == "linear" else None
    problem = Problem(cells, X=linear_X, l2=l2)
    solution = solve_newton(problem)
    curvature = problem.curvature(solution.v, solution.u)
    if linear_X is None:
        information = swap_information(cells, curvature)
    else:
        information = linear_information(cells, linear_X, curvature)
    return IdentifiabilityReport(
        tower=tower,
        ok=int(groups.labels.max()) == 0 and not _is_silent(cells),
        graph=graph,
        information=information,
        null_space=groups.null_space,
        se_theta=contrast_stderr(information, graph.labels if tower == "deep" else groups.labels),
        labels=groups.labels,
        overlap=groups.overlap,
        _curvature=curvature,
    )


@dataclass(frozen=True, eq=False)
class IdentifiedGroups:
    """Which ranks can be compared; the fields are those of `IdentifiabilityReport`."""

    labels: NDArray[np.int32]
    null_space: FloatArray
    overlap: FloatArray | None = None


def identified_groups(
    graph: SwapGraph, X: FloatArray | None, tower: Tower, *, caliper: float | None = None, min_overlap: float = 0.05
) -> IdentifiedGroups:
    """The groups of ranks whose differences a tower identifies; depends on what was shown, not on the clicks.

    Args:
        graph: The swap graph of the log.
        X: float64 [n_pairs, n_features]; None for "embedding".
        tower: The relevance tower.
        caliper: See `check_identifiability`.
        min_overlap: See `check_identifiability`.
    """
    shown = graph.labels >= 0
    if tower == "embedding":
        return IdentifiedGroups(graph.labels, _component_directions(graph.labels))
    assert X is not None
    if tower == "linear":
        information = linear_information(graph.cells, X, graph.cells.impressions)
        null = null_directions(information, shown, float(graph.cells.rank_impressions.max()))
        return IdentifiedGroups(_labels_of_null(null, shown), null)
    overlap = feature_overlap(graph.cells, X, caliper)
    labels = np.where(shown, connected_labels((overlap >= min_overlap) | (graph.shared > 0)), -1).astype(np.int32)
    return IdentifiedGroups(labels, _component_directions(labels), overlap)


def with_bias_features(groups: IdentifiedGroups, A: FloatArray) -> IdentifiedGroups:
    """The groups under a bias tower theta = A v: only what theta can do within the columns of A can go unnoticed.

    Features of the ranks tie groups together that the log leaves apart, but not all of them: where no rank is joined to
    another, every v fits alike.

    Args:
        groups: What the log identifies with one free theta per rank.
        A: float64 [n_ranks, n_bias].
    """
    shown = groups.labels >= 0
    unnoticed = np.column_stack([groups.null_space, shown / np.sqrt(shown.sum())])
    reachable = scipy.linalg.orth(A * shown[:, None])
    basis, cosine, _ = np.linalg.svd(reachable.T @ unnoticed)
    common = reachable @ basis[:, : len(cosine)][:, cosine > 1 - 1e-9]
    common -= np.outer(shown, common[shown].mean(axis=0))
    directions, singular, _ = np.linalg.svd(common, full_matrices=False)
    null = directions[:, singular > 1e-6]
    return IdentifiedGroups(_labels_of_null(null, shown), null, groups.overlap)


def _feature_matrix(cells: Cells, features: ArrayLike | None) -> FloatArray:
    table = cells.features if features is None else features
    if table is None:
        raise ArgumentError(
            "this tower needs features and the log has none; pass features [n_pairs, n_features], or read the log with "
            "features=[...] (--feature on the command line)"
        )
    return feature_table("features", table, cells.n_pairs)


def _is_silent(cells: Cells) -> bool:
    return cells.all_alike and int((cells.rank_impressions > 0).sum()) > 1


def nothing_to_learn(cells: Cells) -> str:
    """Why a log whose impressions were all clicked, or none of them, teaches nothing about theta."""
    what = "not one document was clicked" if not cells.clicks.any() else "every document was clicked"
    return f"there is nothing to learn theta from: in this log {what}, so nothing tells one rank from another"


def _span(ranks: list[int]) -> str:
    if len(ranks) > 2 and ranks == list(range(ranks[0], ranks[-1] + 1)):
        return f"{ranks[0]}-{ranks[-1]}"
    return ", ".join(map(str, ranks))


def _component_directions(labels: NDArray[np.int32]) -> FloatArray:
    """Orthonormal basis of the shifts of whole components, without the shift of all."""
    shown = labels >= 0
    n_groups = int(labels.max()) + 1
    indicator = (labels[:, None] == np.arange(n_groups)).astype(float)
    constant = shown / np.sqrt(shown.sum())
    rest = indicator - np.outer(constant, constant @ indicator)
    basis, singular, _ = np.linalg.svd(rest, full_matrices=False)
    return np.asarray(basis[:, : n_groups - 1] if n_groups > 1 else basis[:, singular > np.inf])


def _labels_of_null(null: FloatArray, shown: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Ranks stand in one group if no null direction moves them apart."""
    if null.shape[1] == 0:
        return np.where(shown, 0, -1).astype(np.int32)
    moved = np.abs(null[:, None, :] - null[None, :, :]).max(axis=2) > 1e-6
    _, raw = connected_components(scipy.sparse.csr_array(~moved), directed=False)
    return renumber(raw, shown)
