"""Exposure IPS, item-position IPS and the ranker-only baseline: by enumeration, loops over the log, and simulation."""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest

from cltr_twostage import (
    ClickLog,
    ExposureIPS,
    ItemPositionIPS,
    MixturePolicy,
    Pool,
    RankerOnlyIPS,
    SupportWarning,
    TwoStagePolicy,
)
from irworks.errors import ArgumentError, DataError
from irworks.simulate import PositionBased, placement_probabilities, simulate_clicks

UNBIASED = [ExposureIPS, ItemPositionIPS]


def by_hand(log, target, logging, gain, unit, total=1.0, clip=None):
    """Per-session values and weights in plain Python: tables are [n_rows][k]; (x [n], b [n], impression weights)."""
    xs, bs, weights = [], [], []
    for rows, clicks in zip(log.docs, log.clicks, strict=True):
        x = b = 0.0
        for rank, (row, clicked) in enumerate(zip(rows, clicks, strict=True)):
            if row < 0:
                continue
            weight = target[row][rank] / logging[row][rank]
            weights.append(weight)
            weight = weight if clip is None else min(weight, clip)
            x += weight * gain[rank] * clicked
            b += weight * unit[rank]
        xs.append(x)
        bs.append(b)
    return np.array(xs), np.array(bs), np.array(weights)


def tables(world, cls, weights):
    """Target and logging tables [n_rows, k], and what a click and a weight count at each rank."""
    k = world.logging.k
    if cls is ItemPositionIPS:
        target, logging = (policy.placement("exact").value for policy in (world.target, world.logging))
        return target, logging, weights / world.examination, weights
    target = world.target.exposure(weights, "exact").value
    logging = world.logging.exposure(world.examination, "exact").value
    return np.tile(target[:, None], k), np.tile(logging[:, None], k), np.ones(k), world.examination


# -- what enumeration proves ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", UNBIASED)
@pytest.mark.parametrize("weights", ["examination", "dcg"])
def test_the_expected_estimate_is_the_true_value_on_a_hundred_random_instances(cls, weights, hundred_worlds):
    worst = 0.0
    for world, log, chances in hundred_worlds:
        rank_weights = getattr(world, weights)
        estimator = cls(world.examination, None if weights == "examination" else rank_weights, method="exact")
        estimate = estimator.fit(log, world.logging, weights=chances).value(world.target)
        worst = max(worst, abs(estimate.value - world.truth(rank_weights=rank_weights)))
    assert worst < 1e-10


def test_ignoring_the_first_stage_is_biased_where_it_leaves_documents_out(hundred_worlds):
    bias, matters = [], []
    for world, log, chances in hundred_worlds:
        estimator = RankerOnlyIPS(world.examination, method="exact").fit(log, world.logging, weights=chances)
        bias.append(abs(estimator.value(world.target).value - world.truth()) / world.truth())
        matters.append(world.pool.sizes.max() > world.logging.n_candidates)
    bias, matters = np.array(bias), np.array(matters)
    assert matters.sum() > 50
    assert bias[~matters].max() < 1e-10
    assert np.median(bias[matters]) > 0.05


def test_the_estimated_relevance_is_unbiased(hundred_worlds):
    for world, log, chances in hundred_worlds[:20]:
        fitted = ExposureIPS(world.examination, method="exact").fit(log, world.logging, weights=chances)
        np.testing.assert_allclose(fitted.relevance_, world.relevance, rtol=0, atol=1e-9)
        shares = world.query_weights / world.query_weights.sum()
        np.testing.assert_allclose(fitted.query_weights_, shares, atol=1e-12)


@pytest.mark.parametrize("cls", UNBIASED)
def test_any_two_stage_mixture_is_evaluated_without_bias(cls, hundred_worlds):
    for world, log, chances in hundred_worlds[:10]:
        mixture = MixturePolicy([world.logging, world.target], [0.3, 0.7])
        estimate = cls(world.examination, method="exact").fit(log, world.logging, weights=chances).value(mixture)
        truth = 0.3 * world.truth(world.logging) + 0.7 * world.truth()
        assert estimate.value == pytest.approx(truth, abs=1e-10)


# -- special cases that are known by other means ----------------------------------------------------------------------


def test_with_every_document_a_candidate_there_is_one_stage(tiny_world):
    world = tiny_world(5, sizes=(4, 4), n_candidates=4, k=2)
    log = world.simulate(300, 0)
    joint = ExposureIPS(world.examination, method="exact").fit(log, world.logging)
    single = RankerOnlyIPS(world.examination, method="exact").fit(log, world.logging)
    of_core = placement_probabilities(world.logging.ranker_scores.reshape(2, 4), 2).reshape(8, 2) @ world.examination
    np.testing.assert_allclose(joint.logging_exposure_, of_core, atol=1e-10)
    assert joint.value(world.target).value == pytest.approx(single.value(world.target).value, abs=1e-10)


def test_the_ranker_has_no_say_where_all_candidates_are_shown_and_ranks_weigh_equally(tiny_world):
    world = tiny_world(5, sizes=(5, 6), n_candidates=3, k=3)
    fitted = ExposureIPS(world.examination, np.ones(3), method="exact").fit(world.simulate(400, 0), world.logging)
    rankers = np.random.default_rng(0).normal(scale=3, size=(4, world.pool.n_rows))
    values = [fitted.value(world.target.replace(ranker=ranker)).value for ranker in rankers]
    np.testing.assert_allclose(values, values[0], rtol=1e-9)


def test_one_document_from_all_candidates_is_the_classic_importance_ratio(tiny_world):
    world = tiny_world(8, sizes=(4,), n_candidates=4, k=1)
    log = world.simulate(200, 0)
    pi, pi_0 = (
        np.exp(policy.ranker_scores) / np.exp(policy.ranker_scores).sum() for policy in (world.target, world.logging)
    )
    ratio = (pi / pi_0)[log.docs[:, 0]] * log.clicks[:, 0]
    for cls in UNBIASED:
        estimate = cls(world.examination, method="exact").fit(log, world.logging).value(world.target)
        assert estimate.value == pytest.approx(ratio.mean(), rel=1e-10)
        assert estimate.stderr == pytest.approx(ratio.std(ddof=1) / np.sqrt(len(ratio)), rel=1e-8)


def test_the_logging_policy_itself_is_worth_its_clicks(tiny_world):
    world = tiny_world(2, sizes=(5, 3), n_candidates=3, k=2)
    log = world.simulate(300, 0)
    for cls in UNBIASED:
        estimate = cls(world.examination, method="exact").fit(log, world.logging).value(world.logging)
        assert estimate.value == pytest.approx(log.clicks.sum() / len(log), rel=1e-12)
        assert estimate.max_weight == pytest.approx(1)
        assert estimate.ess == pytest.approx(estimate.n_weighted) == pytest.approx(log.n_impressions)


# -- the collapsed table says what the sessions say -------------------------------------------------------------------


@pytest.mark.parametrize("cls", UNBIASED)
@pytest.mark.parametrize("clip", [None, 1.2])
def test_the_table_gives_what_a_loop_over_the_sessions_gives(cls, clip, tiny_world):
    for seed in range(10):
        world = tiny_world(seed, k=3, n_candidates=3)
        log = world.simulate(250, seed)
        weights = world.dcg if seed % 2 else world.examination
        target, logging, gain, unit = tables(world, cls, weights)
        x, _, ratios = by_hand(log, target, logging, gain, unit, clip=clip)
        estimator = cls(world.examination, weights, clip=clip, method="exact").fit(log, world.logging)
        estimate = estimator.value(world.target)
        used = ratios if clip is None else np.minimum(ratios, clip)
        assert estimate.value == pytest.approx(x.mean(), rel=1e-12, abs=1e-12)
        assert estimate.stderr == pytest.approx(x.std(ddof=1) / np.sqrt(len(x)), rel=1e-9)
        assert estimate.ess == pytest.approx(used.sum() ** 2 / (used**2).sum(), rel=1e-12)
        assert estimate.max_weight == pytest.approx(used.max(), rel=1e-12)
        assert estimate.clipped == pytest.approx(0 if clip is None else (ratios > clip).mean(), abs=1e-12)
        assert estimate.n_weighted == log.n_impressions
        assert estimate.n_sessions == len(log)
        assert estimate.support_gap == 0


@pytest.mark.parametrize("cls", UNBIASED)
@pytest.mark.parametrize("clip", [None, 1.2])
def test_self_normalisation_divides_by_the_mean_weight(cls, clip, tiny_world):
    for seed in range(10):
        world = tiny_world(seed, k=2, n_candidates=3)
        log = world.simulate(250, seed)
        weights = world.dcg if seed % 2 else world.examination
        target, logging, gain, unit = tables(world, cls, weights)
        x, b, _ = by_hand(log, target, logging, gain, unit, clip=clip)
        total = target @ weights if cls is ItemPositionIPS else target[:, 0]
        a = np.add.reduceat(total, world.pool.offsets[:-1])[log.query]
        estimator = cls(world.examination, weights, clip=clip, self_normalized=True, method="exact")
        estimate = estimator.fit(log, world.logging).value(world.target)
        assert estimate.value == pytest.approx(x.mean() * a.mean() / b.mean(), rel=1e-12)


def test_weights_stand_for_repeated_sessions(tiny_world):
    world = tiny_world(4, sizes=(5,), n_candidates=3, k=2)
    log = world.simulate(60, 0)
    counts = np.random.default_rng(0).integers(0, 4, len(log))
    repeated = log.select(np.repeat(np.arange(len(log)), counts))
    for cls in UNBIASED:
        weighted = cls(world.examination, method="exact").fit(log, world.logging, weights=counts).value(world.target)
        expected = cls(world.examination, method="exact").fit(repeated, world.logging).value(world.target)
        for name in ("value", "stderr", "ess", "max_weight", "n_sessions", "n_weighted"):
            assert getattr(weighted, name) == pytest.approx(getattr(expected, name), rel=1e-12), name


@pytest.mark.parametrize("cls", UNBIASED)
def test_an_array_of_logging_probabilities_does_what_the_policy_does(cls, tiny_world):
    world = tiny_world(4, sizes=(5, 4), n_candidates=3, k=2)
    log = world.simulate(200, 0)
    array = (
        world.logging.placement("exact").value
        if cls is ItemPositionIPS
        else world.logging.exposure(world.examination, "exact").value
    )
    by_array = cls(world.examination, method="exact").fit(log, array, pool=world.pool).value(world.target)
    by_policy = cls(world.examination, method="exact").fit(log, world.logging).value(world.target)
    assert by_array == by_policy


# -- support, and what is refused -------------------------------------------------------------------------------------


def unsupported():
    """A logging policy that never shows the last document of query b, and a target that does."""
    pool = Pool([0, 2, 5], ["a", "b"], ["x", "y", "x", "y", "z"])
    logging = TwoStagePolicy([0, 0, 0, 0, -np.inf], np.zeros(5), 2, 1, pool=pool)
    target = TwoStagePolicy(np.zeros(5), np.zeros(5), 2, 1, pool=pool)
    log = simulate_clicks(
        logging,
        PositionBased([1.0]),
        np.zeros(5),
        4000,
        np.random.default_rng(0),
        query_ids=pool.query_ids,
        doc_ids=pool.doc_ids,
    )
    return pool, logging, target, log


def test_a_document_that_was_never_shown_is_dropped_on_request_and_its_share_reported():
    _, logging, target, log = unsupported()
    estimate = ExposureIPS([1.0], support="drop", method="exact").fit(log, logging).value(target)
    share = np.mean(log.query == 1) / 3
    assert estimate.support_gap == pytest.approx(share, rel=1e-9)
    # All documents are relevant at .5: what is dropped counts as zero.
    assert estimate.value == pytest.approx(0.5 * (1 - share), abs=0.03)
    normalized = (
        ExposureIPS([1.0], support="drop", self_normalized=True, method="exact").fit(log, logging).value(target)
    )
    assert normalized.value == pytest.approx(0.5 * (1 - share), abs=0.03)
    assert normalized.support_gap == estimate.support_gap


def test_ranks_that_were_never_logged_are_gaps_of_item_position_ips(tiny_world):
    world = tiny_world(0, sizes=(3,), n_candidates=3, k=2)
    log = ClickLog([0, 0, 0], [[0, 1], [1, 0], [0, 1]], np.array([[1, 0], [0, 1], [1, 1]]))
    fitted = ItemPositionIPS([1, 0.5], method="exact", support="drop").fit(log, "counts", pool=world.pool)
    placement = world.target.placement("exact").value
    estimate = fitted.value(world.target)
    assert estimate.support_gap == pytest.approx(placement[2] @ [1, 0.5] / 1.5, rel=1e-9)
    rates = np.array([[1.0, 1.0], [0.0, 0.5], [0.0, 0.0]])
    assert estimate.value == pytest.approx((placement * rates).sum(), rel=1e-9)


def test_a_gap_in_a_query_that_is_never_asked_is_no_gap():
    _, logging, target, log = unsupported()
    only_a = log.select(log.query == 0)
    assert ExposureIPS([1.0]).fit(only_a, logging).value(target).support_gap == 0


def test_a_logged_document_that_the_policy_cannot_show_is_named():
    pool, logging, _, _ = unsupported()
    log = ClickLog([0, 1], [[0], [4]], [[1], [0]], query_ids=pool.query_ids, doc_ids=pool.doc_ids)
    for cls in [*UNBIASED, RankerOnlyIPS]:
        candidate = logging if cls is not RankerOnlyIPS else logging.replace(ranker=[0, 0, 0, 0, -np.inf])
        with pytest.raises(DataError, match=r"\(query b, document z\)"):
            cls([1.0]).fit(log, candidate)


def test_item_position_ips_cannot_speak_of_ranks_that_were_not_logged(tiny_world):
    world = tiny_world(0, sizes=(4,), n_candidates=4, k=2)
    fitted = ItemPositionIPS([1, 0.5, 0.3]).fit(world.simulate(50, 0), world.logging)
    longer = TwoStagePolicy(np.zeros(4), np.zeros(4), 4, 3, pool=world.pool)
    with pytest.raises(ArgumentError, match="shows 3 documents and the log 2"):
        fitted.value(longer)


def test_longer_lists_than_logged_are_no_matter_to_exposure_ips(tiny_world):
    world = tiny_world(0, sizes=(4,), n_candidates=4, k=2)
    log, chances = world.sessions()
    examination = [*world.examination, 0.1]
    longer = TwoStagePolicy(np.zeros(4), np.zeros(4), 4, 3, pool=world.pool)
    estimate = ExposureIPS(examination, method="exact").fit(log, world.logging, weights=chances).value(longer)
    assert estimate.value == pytest.approx(world.truth(longer, np.array(examination)), abs=1e-10)


@pytest.mark.parametrize("cls", UNBIASED)
def test_a_log_cut_off_at_a_rank_is_not_taken_for_that_of_the_policy(cls, tiny_world):
    world = tiny_world(0, sizes=(4,), n_candidates=4, k=3)
    log = world.simulate(50, 0)
    cut = ClickLog(log.query, log.docs[:, :2], log.clicks[:, :2], doc_ids=log.doc_ids, query_ids=log.query_ids)
    with pytest.raises(ArgumentError, match=r"3 documents|shows 3"):
        cls(world.examination, method="exact").fit(cut, world.logging)
    shorter = TwoStagePolicy(np.zeros(4), np.zeros(4), 4, 2, pool=world.pool)
    with pytest.raises((ArgumentError, DataError), match=r"shows 2|cannot show"):
        cls(world.examination, method="exact").fit(log, shorter)


@pytest.mark.parametrize("cls", UNBIASED)
def test_queries_with_fewer_documents_than_the_list_is_long_are_fine(cls, tiny_world):
    world = tiny_world(9, sizes=(2, 1), n_candidates=4, k=3)
    log, chances = world.sessions()
    estimate = cls(world.examination, method="exact").fit(log, world.logging, weights=chances).value(world.target)
    assert estimate.value == pytest.approx(world.truth(), abs=1e-10)
    narrow = ClickLog(log.query, log.docs[:, :2], log.clicks[:, :2], query_ids=log.query_ids, doc_ids=log.doc_ids)
    same = cls(world.examination, method="exact").fit(narrow, world.logging, weights=chances).value(world.target)
    assert same.value == pytest.approx(estimate.value, abs=1e-12)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.ones(3), r"logging has shape \(3,\); expected \[5\]"),
        ([0.5, 0.5, -0.1, 0.5, 0.5], r"logging is -0\.1 for \(query b, document x\)"),
        ([0.5, 0.5, 0.5, 0.5, np.nan], r"logging is nan for \(query b, document z\)"),
        ([0.5, 0.5, 0.5, 0.5, 1.5], r"logging is 1\.5"),
        ("guess", "'guess'; expected a policy, an array, or"),
    ],
)
def test_logging_tables_that_are_no_probabilities_are_refused(table, message):
    pool, _, _, log = unsupported()
    with pytest.raises(ArgumentError, match=message):
        ExposureIPS([1.0]).fit(log, table, pool=pool)


@pytest.mark.parametrize("cls", [ExposureIPS, RankerOnlyIPS])
def test_a_document_is_not_examined_more_often_than_any_rank(cls):
    pool, _, _, log = unsupported()
    with pytest.raises(ArgumentError, match=r"logging is 0\.6 for \(query b, document x\); expected at most 0\.5"):
        cls([0.5]).fit(log, [0.5, 0.5, 0.6, 0.5, 0.5], pool=pool)


def test_scores_of_ten_thousand_stay_finite(tiny_world):
    pool = Pool([0, 5])
    rng = np.random.default_rng(0)
    logging = TwoStagePolicy(np.zeros(5), np.zeros(5), 3, 2, pool=pool)
    log = simulate_clicks(logging, PositionBased([1, 0.5]), rng.normal(size=5), 300, rng)
    sharp = TwoStagePolicy([1e4, 0, -1e4, 5e3, -np.inf], [-1e4, 1e4, 0, 0, 0], 3, 2, pool=pool)
    for cls in UNBIASED:
        estimate = cls([1, 0.5], method="exact").fit(log, logging).value(sharp)
        assert np.isfinite([estimate.value, estimate.stderr, estimate.ess, estimate.max_weight]).all()
    # Candidates 0, 3, 1, shown in the order 1, 3.
    relevance = ExposureIPS([1, 0.5], method="exact").fit(log, logging).relevance_
    joint = ExposureIPS([1, 0.5], method="exact").fit(log, logging).value(sharp)
    assert joint.value == pytest.approx(relevance[1] + 0.5 * relevance[3], rel=1e-6)


def test_documents_all_but_impossible_in_the_log_do_not_spoil_the_diagnostics():
    pool = Pool([0, 3])
    log = ClickLog([0, 0, 0], [[0], [1], [0]], [[1], [0], [1]], doc_ids=pool.doc_ids)
    target = TwoStagePolicy(np.zeros(3), np.zeros(3), 3, 1, pool=pool)
    with np.errstate(all="raise"):
        estimate = ExposureIPS([1.0], method="exact").fit(log, [0.6, 0.4, 1e-200], pool=pool).value(target)
    assert estimate.ess == pytest.approx((2 / 0.6 + 1 / 0.4) ** 2 / (2 / 0.36 + 1 / 0.16))
    assert estimate.value == pytest.approx(2 / 3 * (1 / 3) / 0.6)


# -- what is handed out, and policies of one's own ---------------------------------------------------------------------


def test_what_is_handed_out_cannot_change_other_estimates(tiny_world):
    world = tiny_world(3)
    fitted = ExposureIPS(world.examination).fit(world.simulate(100, 0), world.logging)
    with pytest.raises(ValueError, match="read-only"):
        fitted.logging_exposure_[0] = 1.0


def test_an_array_in_the_order_of_another_pool_is_told():
    rng = np.random.default_rng(0)
    policy = TwoStagePolicy(*rng.normal(scale=2, size=(2, 12)), 4, 2, pool=[0, 6, 12])
    query = rng.integers(2, size=2000)
    shown = policy.sample(query, rng)
    ids = {"query_ids": policy.pool.query_ids, "doc_ids": policy.pool.doc_ids}
    log = ClickLog(query, shown, rng.random(shown.shape) < 0.3, **ids)
    exposure = policy.exposure([1, 0.5]).value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ExposureIPS([1, 0.5]).fit(log, exposure, pool=policy.pool)
    mixed = np.sort(exposure)[::-1] + 1e-6
    with pytest.warns(SupportWarning, match=r"logging sums to .* lists of 2 to 1\.5: is the array in the order"):
        ExposureIPS([1, 0.5]).fit(log, mixed, pool=policy.pool)


def test_an_array_that_was_given_may_be_changed_afterwards(tiny_world):
    world = tiny_world(3)
    array = world.logging.exposure(world.examination, "exact").value
    fitted = ExposureIPS(world.examination, method="exact").fit(world.simulate(100, 0), array, pool=world.pool)
    before = fitted.value(world.target)
    array *= 2
    assert fitted.value(world.target) == before


@dataclass
class Mine:
    """A policy of the user's own, which cannot be hashed."""

    inner: TwoStagePolicy

    @property
    def pool(self):
        return self.inner.pool

    @property
    def k(self):
        return self.inner.k

    def placement(self, *args, **options):
        return self.inner.placement(*args, **options)

    def exposure(self, *args, **options):
        return self.inner.exposure(*args, **options)

    def log_prob(self, query, rows):
        return self.inner.log_prob(query, rows)


@pytest.mark.parametrize("cls", UNBIASED)
def test_a_policy_of_ones_own_need_not_be_hashable(cls, tiny_world):
    world = tiny_world(3)
    log = world.simulate(100, 0)
    mine = cls(world.examination, support="drop").fit(log, Mine(world.logging)).value(Mine(world.target))
    assert mine == cls(world.examination, support="drop").fit(log, world.logging).value(world.target)
