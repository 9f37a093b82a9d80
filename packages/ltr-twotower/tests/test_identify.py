import json

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.data import ClickLog
from irworks.errors import ArgumentError
from ltr_twotower import Cells, check_identifiability, swap_graph
from ltr_twotower.information import contrast_stderr, linear_information, null_directions, swap_information

seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=60, deadline=None)


def design_of(cells, X=None):
    """One row per cell, dense: the one-hot rank beside the one-hot pair, or beside the features."""
    ranks = np.eye(cells.n_ranks)[cells.rank]
    relevance = np.eye(cells.n_pairs)[cells.pair] if X is None else X[cells.pair]
    return np.hstack([ranks, relevance])


def estimable(cells, X=None):
    """bool [n_ranks, n_ranks]: whether theta_a - theta_b is a function of the logits, by matrix rank alone."""
    J = design_of(cells, X)
    J = J / np.maximum(np.abs(J).max(axis=0), 1e-300)
    rank = np.linalg.matrix_rank(J)
    k = cells.n_ranks
    answer = np.zeros((k, k), dtype=bool)
    for a in range(k):
        for b in range(k):
            contrast = np.zeros(J.shape[1])
            contrast[a] += 1
            contrast[b] -= 1
            answer[a, b] = a == b or np.linalg.matrix_rank(np.vstack([J, contrast])) == rank
    return answer


def brute_stderr(cells, curvature, X=None):
    """Standard errors of the estimable differences, from the pseudo-inverse of the whole Fisher matrix."""
    J = design_of(cells, X)
    size = np.abs(J).max(axis=0)
    size[size == 0] = 1
    J = J / size
    covariance = np.linalg.pinv(J.T @ (J * curvature[:, None]), rcond=1e-13, hermitian=True) / np.outer(size, size)
    covariance = covariance[: cells.n_ranks, : cells.n_ranks]
    diagonal = np.diag(covariance)
    variance = np.maximum(diagonal[:, None] + diagonal - 2 * covariance, 0)
    return np.where(estimable(cells, X), np.sqrt(variance), np.inf)


def together(report):
    """bool [n_ranks, n_ranks]: whether the report says that two ranks can be compared."""
    labels = report.labels
    same = (labels[:, None] == labels) & (labels >= 0)[:, None]
    return same | np.eye(len(labels), dtype=bool)


def main_rank(cells):
    """The rank of each pair where the ranker is deterministic."""
    rank = np.zeros(cells.n_pairs)
    rank[cells.pair] = cells.rank
    return rank


# -- embedding tower --------------------------------------------------------------------------------------------------


@quick
@given(seed=seeds)
def test_embedding_groups_are_the_components_of_the_swap_graph(seed, random_log):
    log = random_log(seed)
    report = check_identifiability(log)
    assert report.components == [sorted(c) for c in nx.connected_components(swap_graph(log).to_networkx())]
    assert report.ok == (len(report.components) == 1 and not report.silent)
    np.testing.assert_array_equal(together(report), estimable(Cells.from_log(log)))


@quick
@given(seed=seeds)
def test_embedding_information_is_the_schur_complement_of_the_whole_fisher_matrix(seed, random_log):
    cells = Cells.from_log(random_log(seed))
    curvature = np.random.default_rng(seed).uniform(0.1, 10, len(cells))
    J = design_of(cells)
    F = J.T @ (J * curvature[:, None])
    k = cells.n_ranks
    expected = F[:k, :k] - F[:k, k:] @ np.linalg.inv(F[k:, k:]) @ F[k:, :k]
    np.testing.assert_allclose(swap_information(cells, curvature), expected, atol=1e-9)


@quick
@given(seed=seeds)
def test_embedding_stderr_is_that_of_the_inverted_fisher_matrix(seed, random_log):
    log = random_log(seed)
    report = check_identifiability(log)
    cells = Cells.from_log(log)
    expected = brute_stderr(cells, report._curvature)
    shown = report.labels >= 0
    np.testing.assert_allclose(report.se_theta[np.ix_(shown, shown)], expected[np.ix_(shown, shown)], rtol=1e-6)
    assert np.isinf(report.se_theta[~shown]).all()


def test_curvature_is_that_of_the_fitted_click_probabilities(additive_log):
    """n p (1 - p) near the truth: with many clicks p is near the click-through rate of the cell."""
    log = additive_log(1, n=100_000, n_queries=2, k=3)
    report = check_identifiability(log)
    cells = report.graph.cells
    rate = cells.clicks / cells.n
    np.testing.assert_allclose(report._curvature, cells.n * rate * (1 - rate), rtol=0.1)


def test_stderr_shrinks_with_the_root_of_the_number_of_sessions(additive_log):
    log = additive_log(2, n=3000)
    fourfold = log.select(np.tile(np.arange(3000), 4))
    first, second = (check_identifiability(part, l2=1e-3).se_theta for part in (log, fourfold))
    off_diagonal = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(first[off_diagonal] / second[off_diagonal], 2, rtol=0.01)


def test_estimates_scatter_by_the_stderr(additive_log):
    from ltr_twotower.newton import Problem, solve_newton

    logs = [additive_log(seed, n=4000, n_queries=3, k=3) for seed in range(60)]
    thetas = np.array([solve_newton(Problem(Cells.from_log(log), l2=1e-2)).v for log in logs])
    expected = np.mean([check_identifiability(log, l2=1e-2).se_theta[0, 1:] for log in logs], axis=0)
    found = (thetas[:, 1:] - thetas[:, :1]).std(axis=0, ddof=1)
    np.testing.assert_allclose(found, expected, rtol=0.3)


def test_a_rank_without_impressions_is_in_no_group_and_has_no_stderr():
    log = ClickLog([0, 0], [[0, -1, 1], [1, -1, 0]], [[1, 0, 0], [0, 0, 1]])
    report = check_identifiability(log)
    assert report.ok
    assert report.components == [[1, 3]]
    assert np.isinf(report.se_theta[1]).all()
    assert np.isinf(report.se_theta[:, 1]).all()
    assert report.worst[:2] == (1, 3)


# -- linear tower -----------------------------------------------------------------------------------------------------


def columns_of(kind, top, rng):
    """One or two features [n_pairs, ...] of a kind; `top` is where the ranker put the pair."""
    n, k = len(top), int(top.max()) + 1
    normal = rng.normal(size=n)
    return {
        "normal": [normal],
        "constant": [np.full(n, rng.choice([1.0, 0.37, -4096.0]))],
        "zero": [np.zeros(n)],
        "marks a rank": [(top == rng.integers(k)).astype(float)],
        "marks the top ranks": [2.5 * (top <= rng.integers(k))],
        "the rank itself": [top],
        "collinear": [normal, 3 * normal],
        "collinear with a shift": [normal, 3 * normal + 1],
        "sparse": [normal * (rng.random(n) < 0.2)],
        "large mean": [normal + 1000],
        "tiny": [normal * 1e-6],
    }[kind]


KINDS = [
    "normal",
    "constant",
    "zero",
    "marks a rank",
    "marks the top ranks",
    "the rank itself",
    "collinear",
    "collinear with a shift",
    "sparse",
    "large mean",
    "tiny",
]


def random_features(seed, cells):
    rng = np.random.default_rng(seed)
    kinds = rng.choice(KINDS, int(rng.integers(0, 4)))
    columns = [column for kind in kinds for column in columns_of(kind, main_rank(cells), rng)]
    return np.column_stack(columns) if columns else np.zeros((cells.n_pairs, 0))


@pytest.mark.filterwarnings("ignore:An ill-conditioned matrix")
@settings(max_examples=100, deadline=None)
@given(seed=seeds, temperature=st.sampled_from([0.0, 0.0, 0.1]))
def test_linear_groups_are_the_differences_that_the_design_matrix_determines(seed, temperature, random_log):
    log = random_log(seed, temperature=temperature)
    cells = Cells.from_log(log)
    X = random_features(seed, cells)
    report = check_identifiability(log, X, "linear")
    expected = estimable(cells, X)
    np.testing.assert_array_equal(together(report), expected)
    shown = report.labels >= 0
    identified = expected[np.ix_(shown, shown)].all()
    assert report.ok == (identified and not report.silent)
    assert (report.null_space.shape[1] == 0) == identified
    np.testing.assert_allclose(report.null_space.T @ report.null_space, np.eye(report.null_space.shape[1]), atol=1e-9)


@pytest.mark.filterwarnings("ignore:An ill-conditioned matrix")
@settings(max_examples=100, deadline=None)
@given(seed=seeds, temperature=st.sampled_from([0.0, 0.1]))
def test_linear_stderr_is_that_of_the_inverted_fisher_matrix(seed, temperature, random_log):
    log = random_log(seed, temperature=temperature)
    cells = Cells.from_log(log)
    X = random_features(seed, cells)
    report = check_identifiability(log, X, "linear")
    expected = brute_stderr(cells, report._curvature, X)
    same = together(report) & ((report.labels >= 0)[:, None])
    np.testing.assert_allclose(report.se_theta[same], expected[same], rtol=1e-4, atol=1e-9)
    assert np.isinf(report.se_theta[~same]).all()


def test_random_features_leave_some_logs_identified_and_some_not(random_log):
    """The tests above would pass on one kind only."""
    answers = []
    for seed in range(60):
        log = random_log(seed, temperature=0.0)
        cells = Cells.from_log(log)
        information = linear_information(cells, random_features(seed, cells), cells.impressions)
        shown = cells.rank_impressions > 0
        answers.append(null_directions(information, shown, float(cells.rank_impressions.max())).shape[1] == 0)
    assert 10 < sum(answers) < 55


def deterministic_log(seed=0, n=200, k=4, n_queries=30):
    rng = np.random.default_rng(seed)
    query = rng.integers(0, n_queries, n)
    return ClickLog(query, query[:, None] * k + np.arange(k), rng.random((n, k)) < 0.3)


def test_overlapping_features_identify_a_deterministic_log():
    log = deterministic_log()
    X = np.random.default_rng(1).normal(size=(len(log.pairs), 3))
    assert not check_identifiability(log).ok
    assert check_identifiability(log, X, "linear").ok


def test_a_feature_that_marks_a_rank_leaves_that_rank_free():
    log = deterministic_log()
    top = main_rank(Cells.from_log(log))
    X = np.column_stack([np.random.default_rng(1).normal(size=len(top)), top == 2])
    report = check_identifiability(log, X, "linear")
    assert not report.ok
    assert report.components == [[1, 2, 4], [3]]
    assert np.isinf(report.se_theta[2, [0, 1, 3]]).all()
    assert np.isfinite(report.se_theta[0, [1, 3]]).all()
    (direction,) = report.null_space.T
    np.testing.assert_allclose(np.abs(direction), np.array([1, 1, 3, 1]) / np.sqrt(12), atol=1e-9)


def test_the_rank_as_a_feature_leaves_every_rank_free():
    log = deterministic_log()
    report = check_identifiability(log, main_rank(Cells.from_log(log))[:, None], "linear")
    assert report.components == [[1], [2], [3], [4]]


@pytest.mark.parametrize("constant", [1.0, 0.1, -1e6])
def test_a_constant_feature_takes_nothing_but_the_common_shift(constant):
    log = deterministic_log()
    X = np.random.default_rng(1).normal(size=(len(log.pairs), 2))
    with_constant = np.column_stack([X, np.full(len(X), constant)])
    report = check_identifiability(log, with_constant, "linear")
    assert report.ok
    curvature = report._curvature
    expected = brute_stderr(Cells.from_log(log), curvature, np.column_stack([X, np.ones(len(X))]))
    np.testing.assert_allclose(report.se_theta, expected, rtol=1e-6)


@pytest.mark.parametrize("mean", [1e3, 1e6, 1e9])
def test_a_shift_of_a_feature_changes_no_difference(mean):
    """A constant moves between the relevances and all thetas alike."""
    cells = Cells.from_log(deterministic_log())
    rng = np.random.default_rng(1)
    X = rng.normal(size=(cells.n_pairs, 3))
    curvature = rng.uniform(1, 2, len(cells))
    plain, shifted = (
        contrast_stderr(linear_information(cells, table, curvature), np.zeros(4, np.int32)) for table in (X, X + mean)
    )
    np.testing.assert_allclose(plain, brute_stderr(cells, curvature, X), rtol=1e-9)
    np.testing.assert_allclose(shifted, plain, rtol=1e-6)


def test_more_features_than_documents_identify_nothing():
    log = ClickLog([0], [[0, 1, 2]], [[1, 0, 0]])
    X = np.random.default_rng(0).normal(size=(3, 10))
    report = check_identifiability(log, X, "linear")
    assert report.components == [[1], [2], [3]]


def test_no_feature_at_all_identifies_everything():
    log = deterministic_log()
    report = check_identifiability(log, np.zeros((len(log.pairs), 0)), "linear")
    assert report.ok
    p = report._curvature  # every theta is a free intercept of its own rank
    by_rank = np.bincount(report.graph.cells.rank, p)
    assert report.se_theta[0, 1] == pytest.approx(np.sqrt(1 / by_rank[0] + 1 / by_rank[1]))


def test_features_of_the_log_are_the_default(random_log):
    log = random_log(8, features=True)
    given_, own = (check_identifiability(log, X, "linear") for X in (log.features, None))
    np.testing.assert_allclose(given_.se_theta, own.se_theta)


def test_stderr_within_a_group_does_not_count_the_other_groups_as_known():
    """Two groups of ranks, joined by a feature: {1, 2} and {3, 4}, apart by the mark of ranks 3 and 4."""
    log = deterministic_log(n=60, n_queries=10)
    cells = Cells.from_log(log)
    top = main_rank(cells)
    X = np.column_stack([np.random.default_rng(3).normal(size=len(top)) + top, top >= 2])
    report = check_identifiability(log, X, "linear")
    assert report.components == [[1, 2], [3, 4]]
    expected = brute_stderr(cells, report._curvature, X)
    np.testing.assert_allclose(report.se_theta, expected, rtol=1e-6)


# -- deep tower -------------------------------------------------------------------------------------------------------


def test_a_deep_tower_is_identified_where_documents_of_different_ranks_look_alike():
    log = deterministic_log(n=300, n_queries=100)
    rng = np.random.default_rng(2)
    top = main_rank(Cells.from_log(log))
    alike = rng.normal(size=(len(top), 2))
    apart = alike + 100 * top[:, None]
    assert check_identifiability(log, alike, "deep").ok
    report = check_identifiability(log, apart, "deep")
    assert report.components == [[1], [2], [3], [4]]
    assert report.null_space.shape == (4, 3)


def test_deep_overlap_joins_ranks_through_others():
    """Documents at ranks 1 and 2 look alike, those at 2 and 3 do, those at 1 and 3 do not."""
    log = deterministic_log(n=300, k=3, n_queries=100)
    top = main_rank(Cells.from_log(log)).astype(int)
    rng = np.random.default_rng(2)
    X = np.where(rng.random(len(top)) < 0.5, np.array([0, 0, 9])[top], np.array([0, 9, 9])[top])[:, None].astype(float)
    report = check_identifiability(log, X, "deep", caliper=0.1)
    assert (report.overlap[0, 2], report.overlap[2, 0]) == (0, 0)
    assert report.ok


def test_swaps_identify_a_deep_tower_whatever_the_features(additive_log):
    log = additive_log(0, temperature=0.3)
    X = np.random.default_rng(0).normal(size=(len(log.pairs), 30)) * np.arange(len(log.pairs))[:, None]
    report = check_identifiability(log, X, "deep", caliper=0.0)
    assert report.ok
    embedding = check_identifiability(log)
    np.testing.assert_allclose(report.se_theta, embedding.se_theta)


def test_a_deep_tower_promises_no_precision_where_only_features_join_the_ranks():
    log = deterministic_log(n=300, n_queries=100)
    X = np.random.default_rng(2).normal(size=(len(log.pairs), 1))
    report = check_identifiability(log, X, "deep")
    assert report.ok
    assert np.isinf(report.se_theta[~np.eye(4, dtype=bool)]).all()
    assert "no bound on the standard errors" in report.summary()


def test_min_overlap_decides_how_much_likeness_joins():
    log = deterministic_log(n=300, k=2, n_queries=100)
    top = main_rank(Cells.from_log(log))
    X = top[:, None] * 50.0
    X[np.flatnonzero(top == 1)[:10]] = 0  # a tenth of the documents at rank 2 look like those at rank 1
    X[np.flatnonzero(top == 0), 0] += np.linspace(0, 1e-3, int((top == 0).sum()))
    answers = [check_identifiability(log, X, "deep", caliper=0.1, min_overlap=share).ok for share in (0.05, 0.5, 1.0)]
    assert answers == [True, True, True]  # all documents at rank 1 have a twin at rank 2
    X[np.flatnonzero(top == 0)[5:]] = -50
    answers = [check_identifiability(log, X, "deep", caliper=0.1, min_overlap=share).ok for share in (0.04, 0.11)]
    assert answers == [True, False]


# -- the report -------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(seed=seeds, tower=st.sampled_from(["embedding", "linear", "deep"]))
def test_the_report_is_complete_for_every_log(seed, tower, random_log):
    report = check_identifiability(random_log(seed, features=True), tower=tower)
    payload = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert payload["identified"] == report.ok
    assert payload["components"] == report.components
    assert payload["null_directions"] == report.null_space.shape[1] == len(report.components) - 1 or tower == "linear"
    text = report.summary()
    assert ("NOT IDENTIFIED" in text) == (not report.ok)
    assert (report.fiedler == 0) == (not report.ok) or tower == "deep"
    shown = report.labels >= 0
    assert (np.diag(report.se_theta)[shown] == 0).all()
    np.testing.assert_allclose(report.se_theta, report.se_theta.T)
    a, b, worst = report.worst
    assert worst == report.se_theta[np.ix_(shown, shown)].max()
    assert report.se_theta[a - 1, b - 1] == pytest.approx(worst)


def test_the_summary_names_the_groups_that_cannot_be_compared():
    lists = np.array([[0, 1, 2, 3, 4, 5], [1, 0, 2, 3, 4, 5], [0, 2, 1, 3, 4, 5]])
    report = check_identifiability(ClickLog(np.zeros(3, int), lists, np.zeros((3, 6))))
    assert "groups of ranks: 1-3; 4; 5; 6" in report.summary()


def test_the_summary_warns_of_bridges_and_of_too_few_clicks():
    queries = np.array([0] * 50 + [1] * 50 + [0])
    lists = np.array([[0, 1]] * 50 + [[2, 3]] * 50 + [[1, 0]])
    clicks = np.random.default_rng(0).random((101, 2)) < 0.3
    report = check_identifiability(ClickLog(queries, lists, clicks, query_ids=np.array(["shaky", "still"])))
    assert report.ok
    assert "shaky" in report.summary()
    assert "still" not in report.summary()
    assert "too wide to be of use" in report.summary()


def test_one_rank_is_no_problem():
    report = check_identifiability(ClickLog([0, 1], [[0], [1]], [[1], [0]]))
    assert report.ok
    assert "Only one rank" in report.summary()
    assert report.to_dict()["fiedler_information"] is None


@pytest.mark.parametrize("tower", ["embedding", "linear", "deep"])
def test_documents_with_only_or_no_clicks_leave_every_number_finite(tower):
    lists = np.array([[0, 1], [1, 0]] * 20)
    clicks = lists == 0  # document 0 always, document 1 never
    log = ClickLog(np.zeros(40, int), lists, clicks).with_doc_features([[1.0], [2.0]])
    report = check_identifiability(log, tower=tower)
    assert report.ok
    assert np.isfinite(report.se_theta).all()
    assert report.se_theta[0, 1] > 0


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_an_unknown_tower_is_refused(random_log):
    with pytest.raises(ArgumentError, match="tower='tall'; expected 'embedding', 'linear' or 'deep'"):
        check_identifiability(random_log(0), tower="tall")


@pytest.mark.parametrize("tower", ["linear", "deep"])
def test_a_tower_on_features_needs_features(tower, random_log):
    log = random_log(0)
    n = len(log.pairs)
    with pytest.raises(ArgumentError, match="needs features"):
        check_identifiability(log, tower=tower)
    for bad in (np.zeros(n), np.zeros((n + 1, 2)), np.zeros((n, 2, 1))):
        with pytest.raises(ArgumentError, match=rf"expected \[{n}, n_features\]"):
            check_identifiability(log, bad, tower)
    for value in (np.nan, np.inf):
        with pytest.raises(ArgumentError, match=r"features\[0, 0\] is (nan|inf); expected finite"):
            check_identifiability(log, np.full((n, 1), value), tower)


@pytest.mark.parametrize("l2", [0, -1, np.nan, np.inf])
def test_a_ridge_that_is_not_positive_is_refused(l2, random_log):
    with pytest.raises(ArgumentError, match="expected a positive ridge"):
        check_identifiability(random_log(0), l2=l2)
