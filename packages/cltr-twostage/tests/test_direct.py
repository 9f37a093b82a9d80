import numpy as np
import pytest

from cltr_twostage import ClickLog, DirectMethod, DoublyRobust, ExposureIPS, NaiveClicks, Pool, TwoStagePolicy
from irworks.errors import ArgumentError


def rates(log, pool, seen, smoothing=1.0):
    """Clicks over examinations of each row, shrunk to the mean, in plain Python."""
    clicks, examined = np.zeros(pool.n_rows), np.zeros(pool.n_rows)
    for rows, clicked in zip(log.docs, log.clicks, strict=True):
        for rank, row in enumerate(rows):
            if row >= 0:
                clicks[row] += clicked[rank]
                examined[row] += seen[rank]
    mean = clicks.sum() / examined.sum()
    return (clicks + smoothing * mean) / (examined + smoothing)


# -- the direct method and naive clicks -------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [DirectMethod, NaiveClicks])
@pytest.mark.parametrize("smoothing", [1.0, 20.0])
def test_the_value_is_exposure_times_the_click_rate(cls, smoothing, tiny_world):
    for seed in range(8):
        world = tiny_world(seed)
        log = world.simulate(100, seed)
        seen = world.examination if cls is DirectMethod else np.ones_like(world.examination)
        relevance = rates(log, world.pool, seen, smoothing)
        fitted = cls(world.examination, world.dcg, smoothing=smoothing, method="exact").fit(log, world.logging)
        np.testing.assert_allclose(fitted.relevance_, relevance, rtol=1e-12)
        share = np.bincount(log.query, minlength=world.pool.n_queries)[world.pool.owner()] / len(log)
        rho = world.target.exposure(world.dcg, "exact").value
        assert fitted.value(world.target).value == pytest.approx(share * rho @ relevance, rel=1e-12)


@pytest.mark.parametrize("cls", [DirectMethod, NaiveClicks])
@pytest.mark.parametrize(("smoothing", "handicap"), [(1.0, 0.0), (100.0, 6.0)])
def test_standard_errors_are_those_of_the_bootstrap(cls, smoothing, handicap, two_query_world, resampled):
    world = two_query_world
    # With a handicap the last document is hardly ever shown, and its relevance is all but the mean of the log.
    logging = world.logging.replace(candidate=world.logging.candidate_scores - handicap * (np.arange(9) == 8))
    log = world.simulate(500, 0, policy=logging)

    def estimate(log, weights=None):
        fitted = cls(world.examination, smoothing=smoothing, method="exact").fit(log, world.logging, weights=weights)
        return fitted.value(world.target)

    assert estimate(log).stderr == pytest.approx(resampled(estimate, log, 200), rel=0.15)


def test_with_true_relevance_the_direct_method_has_no_error_but_that_of_the_queries(two_query_world, hundred_worlds):
    for world, log, chances in hundred_worlds[:20]:
        fitted = DirectMethod(world.examination, relevance=world.relevance, method="exact")
        estimate = fitted.fit(log, weights=chances, pool=world.pool).value(world.target)
        assert estimate.value == pytest.approx(world.truth(), abs=1e-10)
    one_query = two_query_world.simulate(300, 0)
    one_query = one_query.select(one_query.query == 0)
    fitted = DirectMethod(two_query_world.examination, relevance=two_query_world.relevance, method="exact")
    assert fitted.fit(one_query, pool=two_query_world.pool).value(two_query_world.target).stderr == 0


def test_clicks_taken_at_their_word_are_biased(hundred_worlds):
    bias = []
    for world, log, chances in hundred_worlds:
        naive = NaiveClicks(world.examination, method="exact").fit(log, world.logging, weights=1e6 * chances)
        bias.append((naive.value(world.target).value - world.truth()) / world.truth())
    lists = np.array([world.logging.k > 1 for world, _, _ in hundred_worlds])
    assert np.median(np.abs(np.array(bias)[lists])) > 0.15


def test_the_direct_method_covers_where_every_document_is_shown_often(two_query_world, thousand_logs, on_trial):
    world = two_query_world
    estimator = DirectMethod(world.examination, method="exact", smoothing=0.01)
    trials = on_trial(
        lambda log: estimator.fit(log, world.logging).value(world.target), thousand_logs[:400], world.truth()
    )
    assert abs(trials.values.mean() - world.truth()) < 0.2 * trials.values.std()
    assert 0.91 <= trials.coverage <= 0.98


def test_documents_that_were_never_shown_have_the_mean_relevance():
    pool = Pool([0, 3])
    log = ClickLog([0, 0, 0, 0], [[0], [0], [1], [1]], [[1], [1], [0], [1]], doc_ids=pool.doc_ids)
    fitted = DirectMethod([1.0]).fit(log, pool=pool)
    np.testing.assert_allclose(fitted.relevance_, [2.75 / 3, 1.75 / 3, 0.75])


def test_monte_carlo_exposures_are_in_the_standard_error(two_query_world):
    world = two_query_world
    log = world.simulate(5000, 0)
    model = np.linspace(0, 1, 9)
    for cls in (DirectMethod, DoublyRobust):
        exact = cls(world.examination, relevance=model, method="exact").fit(log, world.logging).value(world.target)
        z = []
        for seed in range(40):
            estimator = cls(world.examination, relevance=model, method="mc", n_samples=16, seed=seed)
            estimate = estimator.fit(log, world.logging).value(world.target)
            z.append((estimate.value - exact.value) / np.sqrt(estimate.stderr**2 - exact.stderr**2))
        assert 0.75 <= np.std(z) <= 1.35, cls


@pytest.mark.parametrize("name", ["clip", "self_normalized", "support"])
def test_options_of_weights_are_refused_where_there_are_none(name):
    for cls in (DirectMethod, NaiveClicks):
        with pytest.raises(ArgumentError, match=f"{name}=.*without weights"):
            cls([1.0], **{name: None})


@pytest.mark.parametrize("cls", [DirectMethod, DoublyRobust])
@pytest.mark.parametrize("smoothing", [0, -1, np.nan, np.inf])
def test_bad_smoothing_is_refused(cls, smoothing):
    with pytest.raises(ArgumentError, match="smoothing="):
        cls([1.0], smoothing=smoothing)


@pytest.mark.parametrize("cls", [DirectMethod, DoublyRobust])
@pytest.mark.parametrize(
    ("relevance", "message"),
    [
        (np.ones(3), r"relevance has shape \(3,\); expected \[9\]"),
        (np.full(9, np.nan), "finite"),
        ("guess", "relevance='guess'"),
    ],
)
def test_bad_relevance_is_refused(cls, relevance, message, two_query_world):
    with pytest.raises(ArgumentError, match=message):
        cls(two_query_world.examination, relevance=relevance, method="exact").fit(
            two_query_world.simulate(20, 0), two_query_world.logging
        )


# -- doubly robust ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["examination", "dcg"])
@pytest.mark.parametrize("given", ["true", "wrong"])
def test_doubly_robust_is_unbiased_whatever_relevance_it_is_given(weights, given, hundred_worlds):
    worst = 0.0
    for number, (world, log, chances) in enumerate(hundred_worlds):
        rank_weights = getattr(world, weights)
        wrong = np.random.default_rng(number).normal(0.5, 1, world.pool.n_rows)
        estimator = DoublyRobust(
            world.examination,
            None if weights == "examination" else rank_weights,
            relevance=world.relevance if given == "true" else wrong,
            method="exact",
        )
        estimate = estimator.fit(log, world.logging, weights=chances).value(world.target)
        worst = max(worst, abs(estimate.value - world.truth(rank_weights=rank_weights)))
    assert worst < 1e-10


def test_true_relevance_needs_no_right_logging_policy(hundred_worlds):
    for world, log, chances in hundred_worlds[:20]:
        wrong = world.logging.replace(candidate=world.target.candidate_scores)
        estimator = DoublyRobust(world.examination, relevance=world.relevance, method="exact")
        estimate = estimator.fit(log, wrong, weights=chances).value(world.target)
        assert estimate.value == pytest.approx(world.truth(), abs=1e-10)


def test_it_is_the_mean_over_the_sessions(tiny_world):
    for seed in range(8):
        world = tiny_world(seed, k=2, n_candidates=3)
        log = world.simulate(150, seed)
        model = np.random.default_rng(seed).uniform(size=world.pool.n_rows)
        rho, rho_0 = (policy.exposure(world.examination, "exact").value for policy in (world.target, world.logging))
        modelled = np.add.reduceat(rho * model, world.pool.offsets[:-1])
        for clip in (None, 1.2):
            x = []
            for query, rows, clicks in zip(log.query, log.docs, log.clicks, strict=True):
                x.append(modelled[query])
                for rank, row in enumerate(rows):
                    if row >= 0:
                        weight = rho[row] / rho_0[row]
                        weight = weight if clip is None else min(weight, clip)
                        x[-1] += weight * (clicks[rank] - world.examination[rank] * model[row])
            estimator = DoublyRobust(world.examination, relevance=model, clip=clip, method="exact")
            estimate = estimator.fit(log, world.logging).value(world.target)
            assert estimate.value == pytest.approx(np.mean(x), rel=1e-12)
            assert estimate.stderr == pytest.approx(np.std(x, ddof=1) / np.sqrt(len(x)), rel=1e-9)


def test_cross_fitted_it_is_unbiased_and_covers(two_query_world, thousand_logs, on_trial):
    world = two_query_world
    estimator = DoublyRobust(world.examination, method="exact")
    trials = on_trial(lambda log: estimator.fit(log, world.logging).value(world.target), thousand_logs, world.truth())
    assert trials.standard_errors_off(world.truth()) < 4
    assert 0.92 <= trials.coverage <= 0.98
    assert 0.93 <= trials.inflation <= 1.07


def test_a_model_of_few_sessions_does_not_bias_it(tiny_world, on_trial):
    # Relevance fitted to the very 12 sessions that it corrects is eleven standard errors off here.
    world = tiny_world(7, sizes=(6,), n_candidates=2, k=1)
    estimator = DoublyRobust(world.examination, method="exact", smoothing=0.1)
    logs = [world.simulate(12, [3, number]) for number in range(600)]
    trials = on_trial(lambda log: estimator.fit(log, world.logging).value(world.target), logs, world.truth())
    assert trials.standard_errors_off(world.truth()) < 4


def test_it_varies_less_than_exposure_ips(two_query_world, thousand_logs, on_trial):
    world = two_query_world
    variance = {}
    for cls in (DoublyRobust, ExposureIPS):
        estimator = cls(world.examination, method="exact")
        logs = thousand_logs[:300]
        trials = on_trial(lambda log, one=estimator: one.fit(log, world.logging).value(world.target), logs, 0.0)
        variance[cls] = trials.values.var()
    assert variance[DoublyRobust] < 0.9 * variance[ExposureIPS]


def test_mixed_logs_are_unbiased_and_cover(two_query_world, thousand_logs, on_trial):
    world = two_query_world
    other = world.target.replace(ranker=-world.target.ranker_scores)
    pairs = [(log, world.simulate(200, [8, number], policy=other)) for number, log in enumerate(thousand_logs[:300])]
    wrong = np.linspace(0, 1, 9)
    for relevance in ("fit", wrong):
        estimator = DoublyRobust(world.examination, relevance=relevance, method="exact")
        trials = on_trial(
            lambda pair, one=estimator: one.fit(pair, [world.logging, other]).value(world.target),
            pairs,
            world.truth(),
        )
        assert trials.standard_errors_off(world.truth()) < 4
        assert 0.91 <= trials.coverage <= 0.98


def test_its_relevance_is_unbiased(hundred_worlds):
    for number, (world, log, chances) in enumerate(hundred_worlds[:20]):
        wrong = np.random.default_rng(number).normal(0.5, 1, world.pool.n_rows)
        fitted = DoublyRobust(world.examination, relevance=wrong, method="exact")
        fitted.fit(log, world.logging, weights=chances)
        np.testing.assert_allclose(fitted.relevance_, world.relevance, atol=1e-9)


def test_what_was_never_shown_is_worth_what_the_model_says():
    pool = Pool([0, 3])
    logging = TwoStagePolicy([0, 0, -np.inf], np.zeros(3), 2, 1, pool=pool)
    target = TwoStagePolicy([-np.inf, -np.inf, 0], np.zeros(3), 2, 1, pool=pool)
    log = ClickLog([0] * 4, [[0], [0], [1], [1]], [[1], [0], [0], [1]], doc_ids=pool.doc_ids)
    fitted = DoublyRobust([1.0], relevance=[0.1, 0.1, 0.7], support="drop", method="exact").fit(log, logging)
    estimate = fitted.value(target)
    assert estimate.value == pytest.approx(0.7)
    assert estimate.support_gap == pytest.approx(1)


def test_the_seed_splits_the_log(two_query_world):
    world, log = two_query_world, two_query_world.simulate(100, 0)

    def estimate(seed, folds=2):
        fitted = DoublyRobust(world.examination, method="exact", seed=seed, folds=folds).fit(log, world.logging)
        return fitted.value(world.target).value

    assert estimate(0) == estimate(0)
    assert estimate(0) != estimate(1)
    assert estimate(0) == pytest.approx(estimate(0, folds=20), abs=0.1)


@pytest.mark.parametrize("folds", [1, 0, 2.5, True, "2"])
def test_bad_folds_are_refused(folds):
    with pytest.raises(ArgumentError, match="folds="):
        DoublyRobust([1.0], folds=folds)


def test_it_has_no_mean_weight_to_divide_by():
    with pytest.raises(ArgumentError, match="self_normalized=True"):
        DoublyRobust([1.0], self_normalized=True)


def test_weights_that_are_not_whole_cannot_be_split(two_query_world):
    log = two_query_world.simulate(20, 0)
    with pytest.raises(ArgumentError, match="whole"):
        DoublyRobust(two_query_world.examination, method="exact").fit(
            log, two_query_world.logging, weights=np.full(20, 0.5)
        )
