"""Two-stage policies: their samples, exposures and probabilities against enumeration; stages; mixtures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from cltr_twostage import MixturePolicy, Pool, ScoreTable, Stage, TwoStagePolicy, enumerate_two_stage
from irworks.errors import ArgumentError
from irworks.simulate import PositionBased, placement_probabilities, simulate_clicks

DCG = 1 / np.log2(np.arange(2, 12))
# Below it, "exact" is a matter of rounding.
EXACT = 1e-8


def random_policy(seed: int, *, scale: float = 1.0, holes: bool = True) -> TwoStagePolicy:
    """A policy that can be enumerated: 3 queries of unequal size, some documents that a stage never takes."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 8, 3)
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    n_candidates = int(rng.integers(1, 6))
    candidate, ranker = scale * rng.normal(size=(2, offsets[-1]))
    if holes:
        # One document of each query stays.
        lost = rng.random((2, offsets[-1])) < 0.15
        lost[:, offsets[:-1]] = False
        candidate[lost[0]], ranker[lost[1]] = -np.inf, -np.inf
    return TwoStagePolicy(candidate, ranker, n_candidates, int(rng.integers(1, n_candidates + 1)), pool=offsets)


def filled_ranks(policy: TwoStagePolicy) -> np.ndarray:
    """Expected number of filled places at each rank, summed over queries, by enumeration: [k]."""
    every = enumerate_two_stage(policy)
    return (every.probability[:, None] * (every.rows >= 0)).sum(axis=0)


# -- exposure ---------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1.0, 4.0, 1e4]))
def test_exact_placement_and_exposure_equal_enumeration(seed, scale):
    policy = random_policy(seed, scale=scale)
    every = enumerate_two_stage(policy)
    np.testing.assert_allclose(policy.placement("exact").value, every.placement(), atol=EXACT)
    exposure = policy.exposure(DCG, "exact")
    np.testing.assert_allclose(exposure.value, every.exposure(DCG), atol=EXACT)
    assert exposure.exact
    assert not exposure.stderr.any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_exact_placement_times_weights_is_the_exposure_and_fills_the_ranks(seed):
    policy = random_policy(seed)
    weights = np.random.default_rng(seed).random(policy.k)
    placement = policy.placement("exact").value
    exposure = policy.exposure(weights, "exact").value
    np.testing.assert_allclose(placement @ weights, exposure, atol=1e-12)
    np.testing.assert_allclose(placement.sum(axis=0), filled_ranks(policy), atol=1e-6)
    assert exposure.sum() == pytest.approx(filled_ranks(policy) @ weights, abs=1e-6)


@pytest.mark.parametrize("method", ["exact", "mc"])
def test_adding_a_constant_to_a_querys_scores_changes_nothing(method):
    policy = random_policy(1)
    shift = np.array([3.0, -50.0, 1e4])[policy.pool.owner()]
    shifted = policy.replace(candidate=policy.candidate_scores + shift, ranker=policy.ranker_scores - shift)
    before, after = policy.placement(method).value, shifted.placement(method).value
    np.testing.assert_allclose(after, before, atol=1e-7)


def test_every_document_as_a_candidate_leaves_the_ranker_alone():
    scores = np.random.default_rng(0).normal(size=(2, 12))
    policy = TwoStagePolicy(scores[0], scores[1], 12, 3, pool=[0, 12])
    np.testing.assert_allclose(policy.placement("exact").value, placement_probabilities(scores[1], 3), atol=1e-12)


def test_as_many_candidates_as_places_leave_the_generator_alone_under_equal_weights():
    rng = np.random.default_rng(0)
    candidate = rng.normal(size=9)
    one, other = (TwoStagePolicy(candidate, rng.normal(size=9), 3, 3, pool=[0, 9]) for _ in range(2))
    np.testing.assert_allclose(one.exposure(np.ones(3)).value, other.exposure(np.ones(3)).value, atol=EXACT)
    np.testing.assert_allclose(one.exposure(np.ones(3)).value, one.inclusion(), atol=EXACT)


def test_the_ranker_alone_has_every_document_as_a_candidate():
    policy = random_policy(5, holes=False)
    alone = policy.ranker_only()
    rows = slice(0, int(policy.pool.sizes[0]))
    expected = placement_probabilities(policy.ranker_scores[rows], policy.k)
    np.testing.assert_allclose(alone.placement("exact").value[rows], expected, atol=1e-10)


def test_auto_is_exact_for_small_problems_and_samples_large_ones():
    small = random_policy(0)
    scores = np.random.default_rng(0).normal(size=(2, 60_000))
    large = TwoStagePolicy(scores[0], scores[1], 100, 10, pool=np.arange(0, 60_001, 600))
    assert small.exposure(DCG).exact
    assert not large._exactly("auto")


def test_what_a_policy_returns_is_the_callers_to_change():
    policy = random_policy(2)
    before = policy.exposure(DCG, "exact").value
    policy.placement("exact").value[:] = 7.0
    assert np.array_equal(policy.exposure(DCG, "exact").value, before)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -0.1, 0.1], [1.0, np.nan, 0.1], [1.0, np.inf, 1.0], [[1.0] * 3], 1.0])
def test_bad_rank_weights_are_refused(weights):
    policy = TwoStagePolicy(np.zeros(4), np.zeros(4), 3, 3, pool=[0, 4])
    with pytest.raises(ArgumentError, match="rank_weights"):
        policy.exposure(weights)


def test_unknown_methods_and_too_few_samples_are_refused():
    policy = random_policy(0)
    with pytest.raises(ArgumentError, match="method='fast'"):
        policy.placement("fast")
    for n_samples in (15, 0, -1, 20.5, True, "many"):
        with pytest.raises(ArgumentError, match="n_samples"):
            policy.placement("mc", n_samples=n_samples)


# -- samples ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_samples_follow_the_enumerated_distribution(seed):
    policy = random_policy(seed)
    every = enumerate_two_stage(policy)
    draws = 20_000
    for query in range(policy.pool.n_queries):
        here = every.query == query
        number = {tuple(rows): i for i, rows in enumerate(every.rows[here].tolist())}
        sample = policy.sample(np.full(draws, query), np.random.default_rng(seed))
        counts = np.bincount([number[tuple(rows)] for rows in sample.tolist()], minlength=len(number))
        expected = every.probability[here] * draws
        # The rare lists together, as a chi-square needs some of each.
        rare = expected < 10
        seen = np.append(counts[~rare], counts[rare].sum())
        wanted = np.append(expected[~rare], expected[rare].sum())
        seen, wanted = seen[wanted > 0], wanted[wanted > 0]
        assert len(seen) == 1 or chisquare(seen, wanted * seen.sum() / wanted.sum()).pvalue > 1e-4


def test_candidates_are_included_as_often_as_the_inclusion_says():
    policy = random_policy(3)
    query = np.repeat(np.arange(3), 20_000)
    rows = policy.sample_candidates(query, np.random.default_rng(0))
    often = np.bincount(rows[rows >= 0], minlength=policy.pool.n_rows) / 20_000
    np.testing.assert_allclose(often, policy.inclusion(), atol=4 * 0.5 / 20_000**0.5)


def test_shown_documents_are_among_the_candidates_of_their_query_and_distinct():
    policy = random_policy(8)
    query = np.arange(300) % 3
    rows = policy.sample(query, np.random.default_rng(0))
    assert rows.shape == (300, policy.k)
    assert rows.dtype == np.int32
    for code, shown in zip(query, rows.tolist(), strict=True):
        docs = [row for row in shown if row >= 0]
        assert len(set(docs)) == len(docs)
        assert shown[len(docs) :] == [-1] * (policy.k - len(docs))
        assert all(policy.offsets[code] <= row < policy.offsets[code + 1] for row in docs)
        assert np.isfinite(policy.candidate_scores[docs]).all()
        assert np.isfinite(policy.ranker_scores[docs]).all()


def test_a_query_with_fewer_documents_than_places_is_padded():
    policy = TwoStagePolicy(np.zeros(3), [0.0, 0.0, -np.inf], 5, 4, pool=[0, 1, 3])
    rows = policy.sample([0, 1], np.random.default_rng(0))
    assert rows.tolist() == [[0, -1, -1, -1], [1, -1, -1, -1]]
    assert policy.placement("exact").value.tolist() == [[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(policy.placement("mc").value, policy.placement("exact").value, atol=1e-12)


def test_enormous_scores_make_a_policy_that_sorts():
    policy = TwoStagePolicy([1e4, -1e4, 0.0, 5e3, 1e12], [-1e4, 1e4, 0.0, 5e3, -np.inf], 4, 2, pool=[0, 5])
    assert policy.sample([0] * 9, np.random.default_rng(0)).tolist() == [[3, 2]] * 9
    for method in ("exact", "mc"):
        placement = policy.placement(method)
        assert np.isfinite(placement.value).all()
        np.testing.assert_allclose(placement.value[3:1:-1], np.eye(2), atol=1e-9)


def test_the_same_seed_gives_the_same_lists():
    policy = random_policy(4)
    one, other = (policy.sample(np.arange(99) % 3, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("query", [[3], [-1], [0.5], [[0]], "x"])
def test_queries_that_are_not_there_are_refused(query):
    policy = random_policy(0)
    mixture = MixturePolicy([policy, policy], [0.5, 0.5])
    for one in (policy, mixture):
        with pytest.raises(ArgumentError, match="query"):
            one.sample(query, np.random.default_rng(0))


def test_a_policy_makes_a_click_log_whose_clicks_are_exposure_times_relevance():
    policy = random_policy(6)
    examination = np.array([0.9, 0.6, 0.4, 0.3, 0.2])[: policy.k]
    logits = np.random.default_rng(0).normal(size=policy.pool.n_rows)
    n = 40_000
    log = simulate_clicks(policy, PositionBased(examination), logits, n, np.random.default_rng(1))
    query, rows = policy.pool.locate(log)
    clicks = np.bincount(rows[log.clicks], minlength=policy.pool.n_rows)
    asked = np.bincount(query, minlength=3)[policy.pool.owner()]
    expected = policy.exposure(examination).value / (1 + np.exp(-logits))
    np.testing.assert_allclose(clicks / asked, expected, atol=5 * 0.5 / (n / 3) ** 0.5)


# -- probabilities of lists -------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_log_probabilities_are_those_of_enumeration_and_sum_to_one(seed):
    policy = random_policy(seed)
    every = enumerate_two_stage(policy)
    probability = np.exp(policy.log_prob(every.query, every.rows))
    np.testing.assert_allclose(probability, every.probability, atol=EXACT)
    np.testing.assert_allclose(np.bincount(every.query, probability), 1.0, atol=1e-8)


def test_lists_that_cannot_be_shown_have_probability_zero():
    policy = TwoStagePolicy([0.0, 0.0, -np.inf], np.zeros(3), 2, 2, pool=[0, 3])
    assert policy.log_prob([0, 0], [[0, 2], [2, 1]]).tolist() == [-np.inf, -np.inf]
    assert policy.log_prob([], np.empty((0, 2), dtype=int)).shape == (0,)


@pytest.mark.parametrize("rows", [[[0]], [[0, 1, 2]], [0, 1], [[0, 0]], [[0, 3]], [[0, -2]], [[-1, 0]]])
def test_lists_that_are_no_lists_are_refused(rows):
    policy = TwoStagePolicy(np.zeros(4), np.zeros(4), 2, 2, pool=[0, 3, 4])
    with pytest.raises(ArgumentError):
        policy.log_prob([0], rows)


# -- construction -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_candidates", "k"), [(2, 3), (0, 1), (3, 0), (-1, -1), (2.0, 1), (True, 1), (3, "2")])
def test_bad_sizes_are_refused(n_candidates, k):
    with pytest.raises(ArgumentError, match=r"(n_candidates|k)="):
        TwoStagePolicy(np.zeros(4), np.zeros(4), n_candidates, k, pool=[0, 4])


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e13, -1e13])
@pytest.mark.parametrize("stage", ["candidate", "ranker"])
def test_a_bad_score_is_named_by_its_query_and_document(bad, stage):
    scores = {"candidate": np.zeros(3), "ranker": np.zeros(3)}
    scores[stage] = np.array([0.0, bad, 0.0])
    pool = Pool([0, 1, 3], ["x", "y"], ["a", "b", "c"])
    with pytest.raises(ArgumentError, match=rf"{stage} scores \(query y, document b\) with"):
        TwoStagePolicy(**scores, n_candidates=2, k=1, pool=pool)


@pytest.mark.parametrize("scores", [np.zeros(2), np.zeros((3, 2)), 0.0, []])
def test_scores_of_another_shape_than_the_pool_are_refused(scores):
    with pytest.raises(ArgumentError, match=r"ranker gives scores of shape .*expected \[3\]"):
        TwoStagePolicy(np.zeros(3), scores, 2, 1, pool=[0, 3])


@pytest.mark.parametrize(("candidate", "ranker"), [([0, -np.inf], [0, 0]), ([0, 0], [0, -np.inf])])
def test_a_query_that_can_show_nothing_is_refused(candidate, ranker):
    with pytest.raises(ArgumentError, match="query 1"):
        TwoStagePolicy(candidate, ranker, 1, 1, pool=[0, 1, 2])


def test_a_generator_and_a_ranker_that_agree_on_no_document_are_refused():
    with pytest.raises(ArgumentError, match="query x has no document"):
        TwoStagePolicy([0, -np.inf], [-np.inf, 0], 1, 1, pool=Pool([0, 2], ["x"]))


def test_a_replaced_stage_leaves_the_other():
    policy = random_policy(1, holes=False)
    scores = np.arange(policy.pool.n_rows)
    assert policy.replace(ranker=scores).ranker_scores.tolist() == scores.tolist()
    assert np.array_equal(policy.replace(ranker=scores).candidate_scores, policy.candidate_scores)
    assert policy.replace(candidate=scores).candidate_scores.tolist() == scores.tolist()
    assert policy.replace(candidate=scores).pool is policy.pool


@pytest.mark.parametrize("stage", ["candidate_scores", "ranker_scores"])
def test_scores_do_not_change_under_exposures_that_were_computed(stage):
    scores = np.zeros(6)
    policy = TwoStagePolicy(scores, scores, 4, 3, pool=[0, 6])
    before = policy.exposure(DCG[:3], "exact").value
    scores[0] = 5.0
    np.testing.assert_array_equal(policy.exposure(DCG[:3], "exact").value, before)
    with pytest.raises(ValueError, match="read-only"):
        getattr(policy, stage)[0] = 5.0


def test_a_policy_of_a_score_table_has_its_scores():
    table = ScoreTable(Pool([0, 2]), np.array([0.0, 1.0]), np.array([2.0, 3.0]))
    policy = TwoStagePolicy.from_scores(table, 2, 1)
    assert policy.candidate_scores.tolist() == [0.0, 1.0]
    assert policy.ranker_scores.tolist() == [2.0, 3.0]
    assert policy.pool is table.pool


# -- stages -----------------------------------------------------------------------------------------------------------


def test_a_stage_divides_by_its_temperature():
    assert Stage([1.0, -np.inf, 3.0], temperature=0.5).scores.tolist() == [2.0, -np.inf, 6.0]


def test_a_low_temperature_sorts_and_a_high_one_shuffles():
    scores = np.arange(5.0)
    cold = TwoStagePolicy(Stage(scores, temperature=1e-6), Stage(scores, temperature=1e-6), 3, 3, pool=[0, 5])
    hot = TwoStagePolicy(Stage(scores, temperature=1e9), Stage(scores, temperature=1e9), 3, 3, pool=[0, 5])
    np.testing.assert_allclose(cold.placement("exact").value[:1:-1], np.eye(3), atol=1e-9)
    np.testing.assert_allclose(hot.placement("exact").value, 0.2, atol=1e-6)


def test_a_stage_may_be_a_function_of_features():
    X = np.arange(6.0).reshape(3, 2)
    assert Stage(lambda x: x @ [1.0, 10.0], X).scores.tolist() == [10.0, 32.0, 54.0]
    assert Stage(lambda x: x[:, :1], X).scores.tolist() == [0.0, 2.0, 4.0]


def test_a_function_with_scores_of_the_wrong_shape_is_told_by_its_stage():
    with pytest.raises(ArgumentError, match=r"ranker gives scores of shape \(3, 2\)"):
        TwoStagePolicy(np.zeros(3), Stage(lambda x: x, np.ones((3, 2))), 2, 1, pool=[0, 3])


@pytest.mark.parametrize("temperature", [0, -1, np.nan, np.inf])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature):
    with pytest.raises(ArgumentError, match="temperature"):
        Stage([0.0], temperature=temperature)


def test_a_function_needs_features_and_a_table_has_none():
    with pytest.raises(ArgumentError, match="a function and X is missing"):
        Stage(lambda x: x)
    with pytest.raises(ArgumentError, match="a table of scores and X is given"):
        Stage([0.0], np.ones((1, 2)))


@pytest.mark.parametrize("source", [object(), ["a", "b"], [[1.0], [2.0, 3.0]]])
def test_a_stage_that_is_no_table_of_numbers_is_named_by_its_type(source):
    with pytest.raises(ArgumentError, match=rf"a stage is a {type(source).__name__}; expected scores \[n_rows\]"):
        TwoStagePolicy(source, np.zeros(2), 2, 1, pool=[0, 2])


def test_scores_that_still_have_their_graph_are_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(ArgumentError, match=r"a stage is a Tensor; .*detach"):
        TwoStagePolicy(torch.zeros(2, requires_grad=True), np.zeros(2), 2, 1, pool=[0, 2])


def test_a_torch_module_is_scored_in_batches_in_evaluation_mode_without_gradients():
    torch = pytest.importorskip("torch")

    class Recorder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(2, 1, dtype=torch.float64)
            self.dropout = torch.nn.Dropout(0.5)
            self.calls: list[tuple[int, bool, bool, object]] = []

        def forward(self, x):
            self.calls.append((len(x), self.dropout.training, torch.is_grad_enabled(), x.dtype))
            return self.dropout(self.linear(x))

    module = Recorder().train()
    X = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    scores = Stage(module, X, batch_size=3).scores
    weight, bias = (part.detach().numpy() for part in (module.linear.weight, module.linear.bias))
    np.testing.assert_allclose(scores, X.astype(np.float64) @ weight[0] + bias, atol=1e-12)
    assert module.calls == [(size, False, False, torch.float64) for size in (3, 3, 1)]
    assert module.training
    assert module.dropout.training
    assert scores.dtype == np.float64


def test_scoring_leaves_the_mode_of_each_part_of_a_module_as_it_was():
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5), torch.nn.Linear(2, 1))
    module.train()
    module[0].eval()
    with pytest.raises(ArgumentError, match=r"module does not score X, which has shape \(3, 5\): .*shapes"):
        Stage(module, np.ones((3, 5), dtype=np.float32)).scores  # noqa: B018
    Stage(module, np.ones((3, 2), dtype=np.float32)).scores  # noqa: B018
    assert [part.training for part in module] == [False, True, True]
    module.eval()
    Stage(module, np.ones((3, 2), dtype=np.float32)).scores  # noqa: B018
    assert not module.training


def test_a_trained_module_gives_new_scores():
    torch = pytest.importorskip("torch")
    module = torch.nn.Linear(2, 1)
    stage = Stage(module, np.ones((3, 2), dtype=np.float32))
    before = stage.scores
    with torch.no_grad():
        module.bias += 1.0
    np.testing.assert_allclose(stage.scores, before + 1.0, atol=1e-6)


# -- mixtures ---------------------------------------------------------------------------------------------------------


def mixture(weights: object = (0.25, 0.75)) -> MixturePolicy:
    one = random_policy(11)
    scores = np.random.default_rng(5).normal(size=(2, one.pool.n_rows))
    return MixturePolicy([one, one.replace(candidate=scores[0], ranker=scores[1])], weights)


PER_QUERY = [[0.0, 0.5, 1.0], [1.0, 0.5, 0.0]]


@pytest.mark.parametrize("weights", [(0.25, 0.75), (1.0, 0.0), PER_QUERY], ids=["equal", "one", "per query"])
def test_a_mixture_is_the_weighted_sum_of_its_policies(weights):
    policy = mixture(weights)
    assert policy.pool.n_queries == 3
    table = np.asarray(weights) if np.ndim(weights) == 2 else np.repeat(np.array(weights)[:, None], 3, axis=1)
    share = table[:, policy.pool.owner()]
    parts = [enumerate_two_stage(part).placement() for part in policy.policies]
    expected = share[0][:, None] * parts[0] + share[1][:, None] * parts[1]
    np.testing.assert_allclose(policy.placement("exact").value, expected, atol=EXACT)
    np.testing.assert_allclose(policy.exposure(DCG, "exact").value, expected @ DCG[: policy.k], atol=EXACT)
    sampled = policy.exposure(DCG, "mc", n_samples=1024)
    assert (np.abs(sampled.value - expected @ DCG[: policy.k]) <= 5 * sampled.stderr + 1e-6).mean() >= 0.99
    np.testing.assert_allclose(sampled.batches.mean(axis=0), sampled.value, atol=1e-12)


def test_samples_of_a_mixture_follow_its_placement():
    policy = mixture(PER_QUERY)
    n = 60_000
    rows = policy.sample(np.arange(n) % 3, np.random.default_rng(0))
    placement = policy.placement("exact").value
    for rank in range(policy.k):
        shown = rows[:, rank]
        often = np.bincount(shown[shown >= 0], minlength=policy.pool.n_rows) / (n / 3)
        np.testing.assert_allclose(often, placement[:, rank], atol=5 * 0.5 / (n / 3) ** 0.5)


def test_list_probabilities_of_a_mixture_are_those_of_its_policies_mixed():
    policy = mixture(PER_QUERY)
    every = [enumerate_two_stage(part) for part in policy.policies]
    query, rows = np.concatenate([e.query for e in every]), np.concatenate([e.rows for e in every])
    expected = sum(
        np.array(PER_QUERY)[number, query] * np.exp(part.log_prob(query, rows))
        for number, part in enumerate(policy.policies)
    )
    np.testing.assert_allclose(np.exp(policy.log_prob(query, rows)), expected, atol=1e-12)


def test_the_error_of_a_mixture_of_one_policy_with_itself_is_smaller_than_its_own():
    policy = TwoStagePolicy(*np.random.default_rng(0).normal(size=(2, 20)), 6, 3, pool=[0, 20])
    twice = MixturePolicy([policy, policy], [0.5, 0.5])
    alone = policy.exposure(DCG, "mc").stderr
    np.testing.assert_allclose(twice.exposure(DCG, "mc").stderr, alone / 2**0.5, rtol=0.4)
    exact = policy.exposure(DCG, "exact").value
    error = [
        MixturePolicy([policy, policy], [0.5, 0.5]).exposure(DCG, "mc", rng=np.random.default_rng(seed)).value - exact
        for seed in range(40)
    ]
    np.testing.assert_allclose(np.std(error, axis=0), alone / 2**0.5, rtol=0.5)


def test_the_rankers_of_a_mixture_are_mixed_alone():
    policy = mixture(PER_QUERY)
    alone = policy.ranker_only()
    assert np.array_equal(alone.weights, policy.weights)
    assert alone.policies[1].n_candidates >= policy.pool.sizes.max()


@pytest.mark.parametrize(
    "weights",
    [[0.5], [0.5, 0.6], [-0.5, 1.5], [np.nan, 1.0], [np.inf, 0.0], [[0.5], [0.5]], [[1, 1, 1], [0, 0, 0.1]], []],
)
def test_bad_mixture_weights_are_refused(weights):
    with pytest.raises(ArgumentError, match="weights"):
        mixture(weights)


def test_a_mixture_is_made_of_pairs():
    with pytest.raises(ArgumentError, match="policies holds a MixturePolicy; expected TwoStagePolicy"):
        MixturePolicy([mixture()], [1.0])
    with pytest.raises(ArgumentError, match="policies holds a str"):
        MixturePolicy("pair", [0.25] * 4)
    pair = mixture().policies[0]
    with pytest.raises(ArgumentError, match="policies is a TwoStagePolicy; expected a list"):
        MixturePolicy(pair, [1])
    with pytest.raises(ArgumentError, match="weights is 'ab'; expected numbers"):
        MixturePolicy([pair, pair], "ab")


def test_a_mixture_knows_its_candidates_where_its_policies_agree():
    pairs = [TwoStagePolicy(np.zeros(4), np.zeros(4), n, 2, pool=[0, 4]) for n in (3, 3, 4)]
    assert MixturePolicy(pairs[:2], [0.5, 0.5]).n_candidates == 3
    assert MixturePolicy(pairs, [0.5, 0.25, 0.25]).n_candidates is None


def test_the_weights_of_a_mixture_do_not_change_with_what_they_were_made_from():
    weights = np.array(PER_QUERY)
    policy = mixture(weights)
    before = policy.exposure(np.ones(policy.k), "exact").value
    weights[:] = weights[::-1].copy()
    np.testing.assert_array_equal(policy.exposure(np.ones(policy.k), "exact").value, before)
    with pytest.raises(ValueError, match="read-only"):
        policy.weights[0] = 1.0


def test_policies_that_do_not_belong_together_do_not_mix():
    one = TwoStagePolicy(np.zeros(4), np.zeros(4), 2, 2, pool=[0, 4])
    shorter = TwoStagePolicy(np.zeros(4), np.zeros(4), 2, 1, pool=[0, 4])
    elsewhere = TwoStagePolicy(np.zeros(4), np.zeros(4), 2, 2, pool=[0, 2, 4])
    renamed = TwoStagePolicy(np.zeros(4), np.zeros(4), 2, 2, pool=Pool([0, 4], doc_ids=[0, 1, 3, 2]))
    with pytest.raises(ArgumentError, match="at least one"):
        MixturePolicy([], [])
    with pytest.raises(ArgumentError, match="lists of 2 and 1 documents"):
        MixturePolicy([one, shorter], [0.5, 0.5])
    for other in (elsewhere, renamed):
        with pytest.raises(ArgumentError, match="different pools"):
            MixturePolicy([one, other], [0.5, 0.5])
