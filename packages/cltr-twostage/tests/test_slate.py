import numpy as np
import pytest

from cltr_twostage import ClickLog, MixturePolicy, Pool, SlateIPS, SupportError, SupportWarning, TwoStagePolicy
from irworks.errors import ArgumentError, DataError


def by_hand(world, log, lists_of, rank_weights, clip=None):
    """Weights and rewards of the sessions, one by one, with list probabilities from brute force."""
    target, logging = lists_of(world.target), lists_of(world.logging)
    weights, rewards = [], []
    for query, rows, clicks in zip(log.query, log.docs, log.clicks, strict=True):
        key = (int(query), tuple(int(row) for row in rows if row >= 0))
        weights.append(target[key] / logging[key])
        rewards.append(sum(rank_weights[rank] / world.examination[rank] for rank in np.flatnonzero(clicks)))
    return np.array(weights) if clip is None else np.minimum(weights, clip), np.array(rewards)


def test_the_expected_estimate_is_the_true_value_on_a_hundred_random_instances(hundred_worlds, lists_of):
    worst = 0.0
    for number, (world, log, chances) in enumerate(hundred_worlds):
        # Integrals take their time: most of the probabilities are from brute force.
        logging, target = (
            Known(policy, {} if number < 25 else lists_of(policy)) for policy in (world.logging, world.target)
        )
        for weights in (None, world.dcg):
            estimate = SlateIPS(world.examination, weights, method="exact").fit(log, logging, weights=chances)
            worst = max(worst, abs(estimate.value(target).value - world.truth(rank_weights=weights)))
    assert worst < 1e-10


@pytest.mark.parametrize("clip", [None, 1.3])
def test_the_estimate_is_the_mean_over_the_sessions(clip, tiny_world, lists_of):
    for seed in range(4):
        world = tiny_world(seed, k=2, n_candidates=3)
        log = world.simulate(200, seed)
        rank_weights = world.dcg if seed % 2 else world.examination
        weight, reward = by_hand(world, log, lists_of, rank_weights, clip)
        estimator = SlateIPS(world.examination, rank_weights, clip=clip, method="exact").fit(log, world.logging)
        estimate, x = estimator.value(world.target), weight * reward
        assert estimate.value == pytest.approx(x.mean(), rel=1e-9)
        assert estimate.stderr == pytest.approx(x.std(ddof=1) / np.sqrt(len(x)), rel=1e-8)
        assert estimate.ess == pytest.approx(weight.sum() ** 2 / (weight**2).sum(), rel=1e-8)
        assert estimate.max_weight == pytest.approx(weight.max(), rel=1e-8)
        assert estimate.n_weighted == len(log)
        unclipped = by_hand(world, log, lists_of, rank_weights)[0]
        assert estimate.clipped == pytest.approx(0 if clip is None else (unclipped > clip).mean())
        normalized = SlateIPS(world.examination, rank_weights, clip=clip, self_normalized=True, method="exact")
        estimate = normalized.fit(log, world.logging).value(world.target)
        value = x.sum() / weight.sum()
        assert estimate.value == pytest.approx(value, rel=1e-9)
        influence = weight * (reward - value) / weight.mean()
        assert estimate.stderr == pytest.approx(np.sqrt((influence**2).mean() / (len(x) - 1)), rel=1e-8)


@pytest.mark.parametrize("self_normalized", [False, True])
def test_intervals_cover_the_truth(self_normalized, two_query_world, thousand_logs, on_trial):
    world = two_query_world
    estimator = SlateIPS(world.examination, self_normalized=self_normalized, method="exact")
    # Probabilities are those of the policies; that they are is shown above.
    logging, target = Known(world.logging), Known(world.target)
    trials = on_trial(lambda log: estimator.fit(log, logging).value(target), thousand_logs[:400], world.truth())
    assert trials.standard_errors_off(world.truth()) < 4
    assert 0.91 <= trials.coverage <= 0.98
    assert 0.9 <= trials.inflation <= 1.1


class Known:
    """A policy that remembers the probability of every list that it was asked for, or is told."""

    def __init__(self, policy, chances=None):
        self.pool, self.k, self.exposure, self.policy = policy.pool, policy.k, policy.exposure, policy
        self.known = {key: np.log(chance) for key, chance in (chances or {}).items()}

    def log_prob(self, query, rows):
        lists = [tuple(row for row in one if row >= 0) for one in rows.tolist()]
        keys = list(zip(query.tolist(), lists, strict=True))
        new = [number for number, key in enumerate(keys) if key not in self.known]
        if new:
            found = self.policy.log_prob(query[new], rows[new])
            self.known.update({keys[number]: float(one) for number, one in zip(new, found, strict=True)})
        return np.array([self.known[key] for key in keys])


@pytest.mark.filterwarnings("ignore::cltr_twostage.SupportWarning")
def test_mixed_and_counted_logs_have_the_standard_error_of_the_bootstrap(two_query_world, resampled):
    world = two_query_world
    policies = [Known(world.logging), Known(world.target.replace(ranker=-world.target.ranker_scores))]
    target = Known(world.target)
    log = world.simulate(900, 0)
    for self_normalized in (False, True):
        estimator = SlateIPS(world.examination, self_normalized=self_normalized, method="exact", support="drop")

        def counted(log, weights=None, estimator=estimator):
            return estimator.fit(log, "counts", pool=world.pool, weights=weights).value(target)

        assert counted(log).stderr == pytest.approx(resampled(counted, log, 200), rel=0.15)
        logs = [log, world.simulate(900, 1, policy=policies[1].policy)]

        def mixed(log, weights=None, estimator=estimator, logs=logs):
            rng = np.random.default_rng(0 if weights is None else int(weights @ np.arange(len(weights))))
            other = np.ones(900) if weights is None else rng.multinomial(900, np.full(900, 1 / 900))
            first = np.ones(900) if weights is None else weights
            return estimator.fit(logs, policies, weights=[first, other]).value(target)

        assert mixed(log).stderr == pytest.approx(resampled(mixed, log, 200), rel=0.15)


def test_several_logs_are_weighed_by_the_mixture_that_was_used(tiny_world, lists_of):
    world = tiny_world(6, sizes=(4,), n_candidates=3, k=2)
    other = world.target.replace(ranker=-world.target.ranker_scores)
    logs = [world.simulate(100, 0), world.simulate(300, 1, policy=other)]
    estimate = SlateIPS(world.examination, method="exact").fit(logs, [world.logging, other]).value(world.target)
    mixture = MixturePolicy([world.logging, other], [0.25, 0.75])
    joined = ClickLog(
        np.concatenate([log.query for log in logs]),
        np.concatenate([log.docs for log in logs]),
        np.concatenate([log.clicks for log in logs]),
        query_ids=world.pool.query_ids,
        doc_ids=world.pool.doc_ids,
    )
    known = SlateIPS(world.examination, method="exact").fit(joined, mixture).value(world.target)
    assert estimate.value == pytest.approx(known.value, rel=1e-9)


def test_probabilities_of_sessions_do_what_the_policy_does(tiny_world, lists_of):
    world = tiny_world(7, sizes=(4, 3), n_candidates=3, k=2)
    log = world.simulate(150, 0)
    chances = lists_of(world.logging)
    given = [
        chances[int(query), tuple(int(row) for row in rows)] for query, rows in zip(log.query, log.docs, strict=True)
    ]
    by_array = SlateIPS(world.examination, method="exact").fit(log, given, pool=world.pool).value(world.target)
    by_policy = SlateIPS(world.examination, method="exact").fit(log, world.logging).value(world.target)
    assert by_array.value == pytest.approx(by_policy.value, rel=1e-8)
    assert by_policy.support_gap == 0
    assert np.isnan(by_array.support_gap)


def test_counts_are_the_shares_of_the_lists(tiny_world, lists_of):
    world = tiny_world(7, sizes=(4,), n_candidates=4, k=1)
    log = world.simulate(300, 0)
    counts, clicks = np.bincount(log.docs[:, 0], minlength=4), np.bincount(log.docs[log.clicks], minlength=4)
    pi = np.array([lists_of(world.target)[0, (row,)] for row in range(4)])
    with pytest.warns(SupportWarning, match="cannot say which lists are missing"):
        fitted = SlateIPS(world.examination, method="exact").fit(log, "counts", pool=world.pool)
    estimate = fitted.value(world.target)
    assert estimate.value == pytest.approx(pi @ (clicks / counts), rel=1e-9)
    assert np.isnan(estimate.support_gap)


@pytest.mark.filterwarnings("ignore::cltr_twostage.SupportWarning")
def test_a_document_that_a_counted_log_lacks_is_told():
    log = ClickLog([0] * 2, [[0, 1], [1, 0]], np.ones((2, 2)), doc_ids=[0, 1, 2])
    target = TwoStagePolicy(np.zeros(3), np.zeros(3), 3, 2, pool=[0, 3])
    fitted = SlateIPS([1, 0.5], method="exact").fit(log, "counts", pool=target.pool)
    with pytest.raises(SupportError, match="document 2"):
        fitted.value(target)


@pytest.mark.parametrize("k", [3, 2])
def test_queries_with_fewer_documents_than_the_list_is_long_are_fine(k, tiny_world):
    world = tiny_world(9, sizes=(2, 1), n_candidates=4, k=3)
    log, chances = world.sessions()
    cut = ClickLog(log.query, log.docs[:, :k], log.clicks[:, :k], query_ids=log.query_ids, doc_ids=log.doc_ids)
    estimate = SlateIPS(world.examination, method="exact").fit(cut, world.logging, weights=chances)
    assert estimate.value(world.target).value == pytest.approx(world.truth(), abs=1e-10)


def test_a_list_that_the_policy_cannot_show_is_named():
    pool = Pool([0, 2, 5], ["a", "b"], ["x", "y", "x", "y", "z"])
    logging = TwoStagePolicy([0, 0, 0, 0, -np.inf], np.zeros(5), 2, 2, pool=pool)
    log = ClickLog([0, 1], [[0, 1], [2, 1]], [[1, 0], [0, 0]], query_ids=["a", "b"], doc_ids=["x", "y", "z"])
    with pytest.raises(DataError, match=r"query b, documents z, y"):
        SlateIPS([1.0, 0.5], method="exact").fit(log, logging)


@pytest.mark.parametrize("score", [400.0, 1e4])
def test_a_list_that_the_policy_all_but_never_shows_is_named_with_its_log_probability(score):
    pool = Pool([0, 4])
    even = TwoStagePolicy(np.zeros(4), np.zeros(4), 3, 2, pool=pool)
    sharp = even.replace(ranker=[score, 0, 0, 0])
    log = ClickLog([0, 0], [[0, 1], [1, 0]], [[1, 0], [1, 1]], doc_ids=pool.doc_ids)
    with (
        np.errstate(all="raise", under="ignore"),
        pytest.raises(DataError, match=rf"documents 1, 0, log-probability -{score:.0f}.*expected .* at least -300"),
    ):
        SlateIPS([1, 0.5], method="exact").fit(log, sharp)


def test_lists_that_the_target_never_shows_weigh_nothing(tiny_world):
    world = tiny_world(3, sizes=(4,), n_candidates=4, k=2)
    log = world.simulate(200, 0)
    narrow = TwoStagePolicy([0, 0, -np.inf, -np.inf], np.zeros(4), 4, 2, pool=world.pool)
    estimate = SlateIPS(world.examination, method="exact").fit(log, world.logging).value(narrow)
    shown = np.isin(log.docs, [0, 1]).all(axis=1)
    weights = 0.5 / np.exp(world.logging.log_prob(log.query[shown], log.docs[shown]))
    assert estimate.value == pytest.approx((weights * log.clicks[shown].sum(axis=1)).sum() / 200, rel=1e-9)


@pytest.mark.parametrize(
    ("logging", "message"),
    [
        (np.full(3, 0.5), r"logging has shape \(3,\); expected \[4\]"),
        ([0.5, 0.5, np.nan, 0.5], "outside"),
        ([0.5, 0.5, 1.2, 0.5], "outside"),
        ([0.5, 0.5, 0.4, 0.5], "different probabilities"),
        ("guess", "'guess'"),
        ({"p_list": 1}, "logging is a dict; expected a policy"),
    ],
)
def test_bad_probabilities_of_sessions_are_refused(logging, message):
    log = ClickLog([0, 0, 0, 0], [[0, 1], [1, 0], [0, 1], [1, 0]], np.zeros((4, 2), dtype=bool))
    with pytest.raises(ArgumentError, match=message):
        SlateIPS([1.0, 0.5]).fit(log, logging, pool=Pool([0, 2]))


def test_lists_of_another_length_are_refused(tiny_world):
    world = tiny_world(3, sizes=(4,), n_candidates=4, k=2)
    log = world.simulate(50, 0)
    fitted = SlateIPS([1, 0.5, 0.3], method="exact").fit(log, world.logging)
    shorter, longer = (TwoStagePolicy(np.zeros(4), np.zeros(4), 4, k, pool=world.pool) for k in (1, 3))
    with pytest.raises(ArgumentError, match="shows 1 documents and the log 2"):
        fitted.value(shorter)
    with pytest.raises(ArgumentError, match="shows 3 documents and the log 2"):
        fitted.value(longer)
    with pytest.raises(ArgumentError, match="the logging policy shows 3"):
        SlateIPS([1, 0.5, 0.3], method="exact").fit(log, longer)
    with pytest.raises(ArgumentError, match="the logging policy shows 1"):
        SlateIPS([1, 0.5, 0.3]).fit(log, shorter)


def test_lists_with_gaps_are_refused(tiny_world):
    world = tiny_world(3, sizes=(4,), n_candidates=4, k=2)
    log = ClickLog([0, 0], [[-1, 2], [0, 1]], [[0, 1], [0, 0]], doc_ids=world.pool.doc_ids)
    with pytest.raises(ArgumentError):
        SlateIPS(world.examination).fit(log, world.logging)
