"""The swap graph: ranks, joined by documents that were shown at both (Section 4.1 of the paper)."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from irworks.data import ClickLog
from ltr_twotower.cells import Cells
from ltr_twotower.ids import plain
from ltr_twotower.information import swap_information

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Bridge", "SwapGraph", "connected_labels", "groups_of", "renumber", "swap_graph"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Bridge:
    """A query without which the ranks would fall apart.

    Attributes:
        query: Original id of the query.
        components: The groups of ranks (from 1) that would remain without it.
    """

    query: Any
    components: list[list[int]]


@dataclass(frozen=True, eq=False, repr=False)
class SwapGraph:
    """Which ranks are joined by documents that were shown at both.

    Attributes:
        shared: int64 [n_ranks, n_ranks], number of (query, document) pairs shown at both ranks; on the diagonal, at
            this rank.
        labels: int32 [n_ranks], component of each rank; -1 for a rank at which nothing was shown.
        laplacian: float64 [n_ranks, n_ranks], Laplacian of the graph weighted by effective swaps: the information about
            theta that the log would hold if every impression carried one unit, after eliminating the relevances.
        cells: The counts that the graph was read from.
    """

    shared: NDArray[np.int64]
    labels: NDArray[np.int32]
    laplacian: FloatArray
    cells: Cells

    def __repr__(self) -> str:
        return f"SwapGraph({self.n_ranks} ranks, components {self.components})"

    @property
    def n_ranks(self) -> int:
        """Number of ranks of the log, shown or not."""
        return len(self.labels)

    @property
    def components(self) -> list[list[int]]:
        """The connected groups of ranks, counted from 1."""
        return groups_of(self.labels)

    @property
    def n_components(self) -> int:
        """Number of connected groups; theta is comparable within one only."""
        return int(self.labels.max()) + 1

    @property
    def connected(self) -> bool:
        """Whether all ranks at which something was shown hang together."""
        return self.n_components == 1

    @property
    def algebraic_connectivity(self) -> float:
        """Second-smallest eigenvalue of `laplacian` over the shown ranks (Fiedler value): 0 if not connected."""
        if not self.connected:
            return 0.0
        shown = self.labels >= 0
        if shown.sum() < 2:
            return float("inf")
        return float(np.linalg.eigvalsh(self.laplacian[np.ix_(shown, shown)])[1])

    @cached_property
    def bridges(self) -> list[Bridge]:
        """Queries whose removal would disconnect ranks that hang together now."""
        return _find_bridges(self.cells, self.labels)

    def to_networkx(self) -> "nx.Graph[int]":
        """The graph over ranks counted from 1, with `pairs` (shared documents) on the edges. Needs networkx."""
        import networkx as nx

        graph: nx.Graph[int] = nx.Graph()
        graph.add_nodes_from(int(rank) + 1 for rank in np.flatnonzero(self.labels >= 0))
        for a, b in np.argwhere(np.triu(self.shared, 1) > 0):
            graph.add_edge(int(a) + 1, int(b) + 1, pairs=int(self.shared[a, b]))
        return graph


def swap_graph(log: ClickLog | Cells) -> SwapGraph:
    """The swap graph of a log: ranks joined by (query, document) pairs that were shown at both.

    Args:
        log: The click log, or its cells.

    Returns:
        The graph. A log of a deterministic ranker has as many components as ranks.
    """
    cells = log if isinstance(log, Cells) else Cells.from_log(log)
    presence = _presence(cells, cells.pair, cells.n_pairs)
    shared = (presence.T @ presence).toarray().astype(np.int64)
    return SwapGraph(
        shared=shared,
        labels=connected_labels(shared),
        laplacian=swap_information(cells, cells.impressions),
        cells=cells,
    )


def _presence(cells: Cells, row: NDArray[Any], n_rows: int) -> scipy.sparse.csr_array:
    matrix = scipy.sparse.csr_array((np.ones(len(cells)), (row, cells.rank)), shape=(n_rows, cells.n_ranks))
    matrix.data[:] = 1
    return matrix


def connected_labels(shared: NDArray[Any]) -> NDArray[np.int32]:
    """Component of each rank, int32 [n_ranks], from a matrix [n_ranks, n_ranks] that is positive where joined.

    Components are numbered by their first rank; -1 where the diagonal is zero.
    """
    _, raw = connected_components(scipy.sparse.csr_array(shared > 0), directed=False)
    return renumber(raw, np.diag(shared) > 0)


def renumber(raw: NDArray[Any], shown: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number components by their first shown rank, int32 [n_ranks]; -1 where nothing was shown."""
    labels = np.full(len(raw), -1, dtype=np.int32)
    _, first, code = np.unique(raw[shown], return_index=True, return_inverse=True)
    labels[shown] = np.argsort(np.argsort(first))[code]
    return labels


def groups_of(labels: NDArray[np.int32]) -> list[list[int]]:
    """The ranks, counted from 1, of each component."""
    return [(np.flatnonzero(labels == label) + 1).tolist() for label in range(int(labels.max()) + 1)]


def _find_bridges(cells: Cells, labels: NDArray[np.int32]) -> list[Bridge]:
    """Queries whose edges alone hold a component together.

    A chain through the ranks of each pair connects the same ranks as all its edges do. An edge that two queries share
    survives the loss of either; contract those. Only a query that owns an edge of a spanning forest of what is left can
    disconnect anything, and a forest has fewer edges than there are ranks.
    """
    same = cells.pair[1:] == cells.pair[:-1]
    edges = np.stack([cells.rank[:-1][same], cells.rank[1:][same]], axis=1).astype(np.int64)
    query = cells.pair_query[cells.pair[:-1][same]].astype(np.int64)
    n_queries = len(cells.query_ids)
    owned = np.unique((edges[:, 0] * cells.n_ranks + edges[:, 1]) * n_queries + query)
    edge, owner = owned // n_queries, owned % n_queries
    ends = np.stack([edge // cells.n_ranks, edge % cells.n_ranks], axis=1)
    forest_owners = _forest_owners(ends, edge, owner, cells.n_ranks)
    found = []
    for candidate in forest_owners:
        rest = _edge_labels(ends[owner != candidate], cells.n_ranks)
        rest = renumber(rest, labels >= 0)
        if rest.max() > labels.max():
            found.append(Bridge(query=plain(cells.query_ids[candidate]), components=groups_of(rest)))
    return found


def _forest_owners(
    ends: NDArray[np.int64], edge: NDArray[np.int64], owner: NDArray[np.int64], n_ranks: int
) -> list[int]:
    _, inverse, count = np.unique(edge, return_inverse=True, return_counts=True)
    single = count[inverse] == 1
    block = _edge_labels(ends[~single], n_ranks)
    owners: list[int] = []
    for (a, b), query in zip(ends[single], owner[single], strict=True):
        if block[a] != block[b]:
            block[block == block[b]] = block[a]
            owners.append(int(query))
    return sorted(set(owners))


def _edge_labels(ends: NDArray[np.int64], n_ranks: int) -> NDArray[np.int32]:
    graph = scipy.sparse.csr_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(n_ranks, n_ranks))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int32)
