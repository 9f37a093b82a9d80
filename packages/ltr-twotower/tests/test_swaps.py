import time
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.data import ClickLog
from ltr_twotower import Cells, swap_graph
from ltr_twotower.information import swap_information

seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=60, deadline=None)


def ranks_of_pairs(log, without=None):
    """The ranks (from 1) at which each (query, document) was shown, by a plain loop."""
    ranks = {}
    for i in range(log.n_sessions):
        for j in range(log.n_ranks):
            if log.shown[i, j] and log.query[i] != without:
                ranks.setdefault((log.query[i], log.docs[i, j]), set()).add(j + 1)
    return ranks


def brute_graph(log, without=None):
    """networkx: an edge between two ranks for every document that was shown at both; all shown ranks are nodes."""
    graph = nx.Graph()
    graph.add_nodes_from(j + 1 for j in range(log.n_ranks) if log.shown[:, j].any())
    for ranks in ranks_of_pairs(log, without).values():
        graph.add_edges_from(combinations(ranks, 2))
    return graph


def groups(graph):
    return sorted(sorted(group) for group in nx.connected_components(graph))


# -- components and edges ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(200))
def test_edges_and_components_are_those_of_networkx(seed, random_log):
    log = random_log(seed)
    expected = brute_graph(log)
    graph = swap_graph(log)
    assert graph.components == groups(expected)
    assert graph.n_components == nx.number_connected_components(expected)
    assert graph.connected == nx.is_connected(expected)
    assert graph.n_ranks == log.n_ranks
    mine = graph.to_networkx()
    assert set(mine.nodes) == set(expected.nodes)
    assert {frozenset(edge) for edge in mine.edges} == {frozenset(edge) for edge in expected.edges}
    for a, b, pairs in mine.edges(data="pairs"):
        assert pairs == sum({a, b} <= ranks for ranks in ranks_of_pairs(log).values())


@quick
@given(seed=seeds)
def test_shared_counts_the_pairs_at_both_ranks(seed, random_log):
    log = random_log(seed)
    ranks = ranks_of_pairs(log).values()
    k = log.n_ranks
    expected = [[sum({a, b} <= where for where in ranks) for b in range(1, k + 1)] for a in range(1, k + 1)]
    assert swap_graph(log).shared.tolist() == expected


@pytest.mark.parametrize("seed", range(20))
def test_a_deterministic_ranker_leaves_every_rank_alone(seed, additive_log):
    k = 2 + seed % 5
    graph = swap_graph(additive_log(seed, n=300, k=k, temperature=0.0))
    assert graph.components == [[rank] for rank in range(1, k + 1)]
    assert not graph.connected
    assert graph.algebraic_connectivity == 0
    assert not graph.laplacian.any()
    assert graph.bridges == []


def test_one_swap_of_every_two_neighbours_connects_all_ranks_and_each_is_needed():
    k = 6
    swaps = np.arange(k - 1)
    lists = np.tile(np.arange(k), (2 * len(swaps), 1))
    lists[swaps, swaps], lists[swaps, swaps + 1] = swaps + 1, swaps
    log = ClickLog(np.tile(swaps, 2), lists + np.tile(swaps, 2)[:, None] * k, np.zeros(lists.shape))
    graph = swap_graph(log)
    assert graph.components == [list(range(1, k + 1))]
    assert {frozenset(edge) for edge in graph.to_networkx().edges} == {frozenset((j, j + 1)) for j in range(1, k)}
    assert [bridge.query for bridge in graph.bridges] == swaps.tolist()


def test_the_same_document_under_two_queries_joins_nothing():
    log = ClickLog([0, 1], [[0, 1], [1, 0]], np.zeros((2, 2)))
    assert swap_graph(log).components == [[1], [2]]
    assert swap_graph(ClickLog([0, 0], [[0, 1], [1, 0]], np.zeros((2, 2)))).components == [[1, 2]]


def test_ranks_at_which_nothing_was_shown_are_in_no_component():
    graph = swap_graph(ClickLog([0, 0], [[-1, 0, -1, 1, -1], [-1, 1, -1, 0, -1]], np.zeros((2, 5))))
    assert graph.components == [[2, 4]]
    assert graph.labels.tolist() == [-1, 0, -1, 0, -1]
    assert graph.connected
    assert sorted(graph.to_networkx().nodes) == [2, 4]


def test_a_single_rank_is_connected():
    graph = swap_graph(ClickLog([0, 1], [[0], [1]], [[1], [0]]))
    assert (graph.components, graph.connected, graph.bridges) == ([[1]], True, [])
    assert graph.algebraic_connectivity == float("inf")


def test_components_are_numbered_by_their_first_rank():
    log = ClickLog([0, 0, 0], [[0, 1, 2, 3], [0, 3, 2, 1], [0, 1, 2, 3]], np.zeros((3, 4)))
    assert swap_graph(log).labels.tolist() == [0, 1, 2, 1]


@quick
@given(seed=seeds)
def test_the_graph_of_the_cells_is_the_graph_of_the_log(seed, random_log):
    log = random_log(seed)
    graph, of_cells = swap_graph(log), swap_graph(Cells.from_log(log))
    assert graph.labels.tolist() == of_cells.labels.tolist()
    np.testing.assert_array_equal(graph.laplacian, of_cells.laplacian)


@quick
@given(seed=seeds)
def test_clicks_and_the_order_of_sessions_do_not_matter(seed, random_log):
    log = random_log(seed)
    order = np.random.default_rng(seed).permutation(log.n_sessions)
    other = ClickLog(log.query[order], log.docs[order], np.zeros(log.docs.shape), log.shown[order])
    assert swap_graph(other).shared.tolist() == swap_graph(log).shared.tolist()


# -- the Laplacian ----------------------------------------------------------------------------------------------------


def schur_complement(cells, weight):
    """Of the ranks in the full matrix over ranks and pairs, one dense row and column each."""
    k = cells.n_ranks
    full = np.zeros((k + cells.n_pairs, k + cells.n_pairs))
    for pair, rank, w in zip(cells.pair, cells.rank, weight, strict=True):
        design = np.zeros(len(full))
        design[rank] = design[k + pair] = 1
        full += w * np.outer(design, design)
    return full[:k, :k] - full[:k, k:] @ np.linalg.inv(full[k:, k:]) @ full[k:, :k]


@quick
@given(seed=seeds)
def test_the_laplacian_is_the_schur_complement_of_the_relevances(seed, random_log):
    cells = Cells.from_log(random_log(seed))
    laplacian = swap_graph(cells).laplacian
    np.testing.assert_allclose(laplacian, schur_complement(cells, cells.impressions), atol=1e-9)
    weight = np.random.default_rng(seed).uniform(1e-3, 1e3, len(cells))
    scale = weight.max() * len(cells)
    np.testing.assert_allclose(
        swap_information(cells, weight), schur_complement(cells, weight), rtol=0, atol=1e-12 * scale
    )


@quick
@given(seed=seeds)
def test_rows_of_the_laplacian_sum_to_zero_and_edges_are_negative(seed, random_log):
    log = random_log(seed)
    graph = swap_graph(log)
    off_diagonal = graph.laplacian - np.diag(np.diag(graph.laplacian))
    np.testing.assert_allclose(graph.laplacian.sum(axis=1), 0, atol=1e-12 * log.n_impressions)
    np.testing.assert_array_equal(graph.laplacian, graph.laplacian.T)
    joined = (graph.shared > 0) & ~np.eye(log.n_ranks, dtype=bool)
    assert (off_diagonal[joined] < 0).all()
    assert (off_diagonal[~joined] == 0).all()


@quick
@given(seed=seeds)
def test_the_laplacian_has_a_zero_eigenvalue_per_component(seed, random_log):
    graph = swap_graph(random_log(seed))
    shown = graph.labels >= 0
    values = np.linalg.eigvalsh(graph.laplacian[np.ix_(shown, shown)])
    assert (values > -1e-9).all()
    assert (values < 1e-9).sum() == graph.n_components


@quick
@given(seed=seeds)
def test_algebraic_connectivity_is_that_of_networkx(seed, random_log):
    graph = swap_graph(random_log(seed))
    weighted = nx.Graph()
    weighted.add_nodes_from(np.flatnonzero(graph.labels >= 0))
    for a, b in np.argwhere(np.triu(graph.laplacian, 1)):
        weighted.add_edge(a, b, weight=-graph.laplacian[a, b])
    if len(weighted) > 1:
        expected = np.sort(nx.laplacian_spectrum(weighted))[1]
        assert graph.algebraic_connectivity == pytest.approx(expected, abs=1e-9)


# -- bridges ----------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(seed=seeds, temperature=st.sampled_from([0.05, 0.15, 0.3]))
def test_bridges_are_the_queries_whose_removal_disconnects_ranks(seed, temperature, random_log):
    log = random_log(seed, temperature=temperature)
    before = brute_graph(log)
    expected = {}
    for query in np.unique(log.query):
        after = groups(brute_graph(log, without=query))
        if len(after) > nx.number_connected_components(before):
            expected[int(query)] = after
    found = {bridge.query: bridge.components for bridge in swap_graph(log).bridges}
    assert found == expected


def test_random_logs_have_bridges_to_find(random_log):
    """The test above would pass on nothing."""
    with_bridges = sum(bool(swap_graph(random_log(seed, temperature=0.15)).bridges) for seed in range(200))
    assert 20 < with_bridges < 180


def test_bridges_carry_original_ids_and_the_ranks_that_would_remain():
    queries = np.array([0, 0, 1, 1, 2, 2])
    lists = [[0, 1, 2], [1, 0, 2], [3, 4, 5], [3, 5, 4], [6, 7, 8], [6, 8, 7]]
    log = ClickLog(queries, lists, np.zeros((6, 3)), query_ids=np.array(["alone", "twin", "other twin"], dtype=object))
    (bridge,) = swap_graph(log).bridges
    assert bridge.query == "alone"
    assert bridge.components == [[1], [2, 3]]


def test_several_documents_of_one_query_are_one_bridge():
    """Ranks 1-2 hang on one document of the query, ranks 2-3 on another."""
    log = ClickLog([0, 0, 0], [[0, 1, 2], [1, 0, 2], [0, 2, 1]], np.zeros((3, 3)), query_ids=np.array([77]))
    (bridge,) = swap_graph(log).bridges
    assert (bridge.query, bridge.components) == (77, [[1], [2], [3]])
    assert type(bridge.query) is int


# -- speed ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("private_docs", [True, False])
def test_two_million_impressions_take_less_than_two_seconds(private_docs):
    rng = np.random.default_rng(0)
    n, k, n_queries = 200_000, 10, 2000
    query = rng.integers(0, n_queries, n)
    owner = query if private_docs else query % 400
    docs = rng.permuted(np.tile(np.arange(k), (n, 1)), axis=1) + owner[:, None] * k
    log = ClickLog(query, docs, rng.random((n, k)) < 0.2)
    assert log.n_impressions == 2_000_000
    start = time.process_time()  # not the wall clock, which counts what else the machine does
    graph = swap_graph(log)
    bridges = graph.bridges
    assert time.process_time() - start < 2
    assert graph.connected
    assert bridges == []
    assert graph.cells.impressions.sum() == 2_000_000
