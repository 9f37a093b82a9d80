"""Whether a log can be one of the policy that is said to have made it."""

import numpy as np
import pytest
from typer.testing import CliRunner

from cltr_twostage import MixturePolicy, Pool, TwoStagePolicy, check_logging, cli, write_scores
from cltr_twostage.scores import ScoreTable
from cltr_twostage.simulate import natural_world, tiny_world
from irworks.data import ClickLog
from irworks.errors import ArgumentError, DataError

METHODS = ["exact", "mc"]


def world_and_log(n_sessions=4000, seed=0, make=tiny_world):
    rng = np.random.default_rng(seed)
    world = make(rng)
    return world, world.simulate(n_sessions, rng)


@pytest.mark.parametrize("method", METHODS)
def test_a_log_agrees_with_the_policy_that_made_it(method):
    for seed in range(20):
        world, log = world_and_log(seed=seed)
        check = check_logging(log, world.logging, method=method, seed=seed)
        assert check.agrees
        assert check.text.startswith("The log could be one of its logging policy")


def test_a_log_of_many_queries_and_short_lists_agrees_too():
    rng = np.random.default_rng(1)
    policy = TwoStagePolicy(*rng.normal(size=(2, 9)), 4, 3, pool=[0, 1, 3, 9])
    query = rng.integers(3, size=3000)
    log = ClickLog(query, policy.sample(query, rng), np.zeros((3000, 3), dtype=bool))
    assert check_logging(log, policy).agrees


def test_a_list_in_a_hundred_may_be_cut_short():
    world, log = world_and_log()
    mask = log.shown.copy()
    mask[::150, -1] = False
    cut = ClickLog(log.query, log.docs, log.clicks & mask, mask, query_ids=log.query_ids, doc_ids=log.doc_ids)
    assert check_logging(cut, world.logging).agrees


def peaked_log(n_sessions, share_cut=0.01, sharpness=3.0):
    """A policy of six documents that nearly always shows the same three, and its log, of which lists are cut short."""
    rng = np.random.default_rng(0)
    scores = sharpness * np.arange(6.0, 0.0, -1.0)
    policy = TwoStagePolicy(scores, scores, 4, 3, pool=[0, 6])
    docs = policy.sample(np.zeros(n_sessions, int), rng)
    mask = np.ones(docs.shape, dtype=bool)
    mask[rng.permutation(n_sessions)[: int(share_cut * n_sessions)], -1] = False
    return policy, ClickLog(np.zeros(n_sessions, int), docs, np.zeros(docs.shape, bool), mask)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_sessions", [50_000, 200_000, 1_000_000])
def test_a_list_in_a_hundred_may_be_cut_short_in_a_log_of_any_size(n_sessions, method):
    policy, log = peaked_log(n_sessions)
    assert check_logging(log, policy, method=method).agrees


def test_more_than_a_list_in_a_hundred_may_not_be_cut():
    policy, log = peaked_log(200_000, share_cut=0.015)
    check = check_logging(log, policy)
    assert not check.agrees
    assert check.where == "query 0 fills rank 3"


@pytest.mark.parametrize("share_cut", [0.0, 0.01])
def test_a_policy_that_is_slightly_another_is_found_out_beside_cut_lists(share_cut):
    policy, log = peaked_log(200_000, share_cut)
    check = check_logging(log, policy.replace(ranker=1.1 * policy.ranker_scores))
    assert not check.agrees
    assert check.where.startswith("(query 0, document ")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "change",
    [
        lambda policy: policy.replace(ranker=3 * policy.ranker_scores),
        lambda policy: policy.replace(candidate=-policy.candidate_scores),
        lambda policy: TwoStagePolicy(policy.candidate_scores, policy.ranker_scores, 3, 3, pool=policy.pool),
        lambda policy: MixturePolicy([policy, policy.replace(ranker=-policy.ranker_scores)], [0.5, 0.5]),
    ],
    ids=["temperature", "generator", "n_candidates", "half of the traffic"],
)
def test_another_policy_is_found_out(method, change):
    world, log = world_and_log(20_000)
    check = check_logging(log, change(world.logging), method=method)
    assert not check.agrees
    assert abs(check.found - check.expected) > 100


@pytest.mark.parametrize("method", METHODS)
def test_impressions_that_were_left_out_are_found_by_their_rank(method):
    world, log = world_and_log()
    mask = log.shown.copy()
    mask[::10, 1] = False
    thinned = ClickLog(log.query, log.docs, log.clicks & mask, mask, query_ids=log.query_ids, doc_ids=log.doc_ids)
    check = check_logging(thinned, world.logging, method=method)
    assert not check.agrees
    assert "fills rank 2 in 3,600 of 4,000 sessions of the query, where the policy expects 4,000.0" in check.text


def test_documents_that_the_policy_never_shows_have_no_chance():
    log = ClickLog(np.zeros(5, int), np.tile([1, 0], (5, 1)), np.zeros((5, 2)))
    check = check_logging(log, TwoStagePolicy([0.0, -np.inf, 0.0], np.zeros(3), 2, 2, pool=[0, 3]))
    assert check.p_value < 1e-40
    assert (check.where, check.found, check.n_sessions) == ("(query 0, document 1) stands at rank 1", 5, 5)
    assert check.expected == pytest.approx(0, abs=1e-9)


def test_the_bound_is_that_of_chernoff():
    # One document of two at one rank: 90 of 100 sessions where half are expected.
    docs = np.where(np.arange(100) < 90, 0, 1)[:, None]
    log = ClickLog(np.zeros(100, int), docs, np.zeros((100, 1)))
    check = check_logging(log, TwoStagePolicy(np.zeros(2), np.zeros(2), 2, 1, pool=[0, 2]))
    divergence = 0.9 * np.log(0.9 / 0.5) + 0.1 * np.log(0.1 / 0.5)
    # Two documents and the rank itself, on either side.
    assert check.p_value == pytest.approx(6 * np.exp(-100 * divergence), rel=1e-5)
    # Of equally unlikely places either may be named.
    assert (check.found in (10, 90), check.expected) == (True, pytest.approx(50.0))


def test_the_log_may_be_longer_or_shorter_than_the_lists_of_the_policy():
    world, log = world_and_log()
    for k in (2, 4):
        policy = TwoStagePolicy(world.logging.candidate_scores, world.logging.ranker_scores, 4, k, pool=world.pool)
        assert not check_logging(log, policy).agrees


def test_queries_that_were_not_asked_say_nothing():
    world, log = world_and_log(3000, make=natural_world)
    assert check_logging(log.select(log.query == 0), world.logging).agrees


def test_a_log_of_other_documents_is_refused():
    _, log = world_and_log(50)
    other = TwoStagePolicy(np.zeros(6), np.zeros(6), 4, 3, pool=Pool([0, 6], doc_ids=list("abcdef")))
    with pytest.raises(DataError, match="that the pool lacks"):
        check_logging(log, other)


@pytest.mark.parametrize("right", [True, False])
def test_the_command_line_warns_of_a_policy_that_did_not_make_the_log(tmp_path, right):
    world, log = world_and_log(20_000)
    ranker = world.logging.ranker_scores * (1 if right else 3)
    log.to_parquet(tmp_path / "log.parquet")
    write_scores(ScoreTable(world.pool, world.logging.candidate_scores, ranker), tmp_path / "scores.csv")
    options = ["--n-candidates", "4", "--k", "3", "--examination", "inverse-rank"]
    scores = str(tmp_path / "scores.csv")
    command = ["evaluate", str(tmp_path / "log.parquet"), "--logging", scores, "--target", scores, *options]
    result = CliRunner().invoke(cli.app, command)
    assert result.exit_code == 0
    assert ("warning: log.parquet: The log is not one of its logging policy" in result.stderr) is not right


@pytest.mark.parametrize("n_samples", [3, None, "many"])
def test_arguments_that_cannot_be_are_named(n_samples):
    world = tiny_world(np.random.default_rng(0))
    log = world.simulate(20, np.random.default_rng(1))
    with pytest.raises(ArgumentError, match=f"n_samples={n_samples!r}; expected a whole number of at least 16"):
        check_logging(log, world.logging, n_samples=n_samples)
    with pytest.raises(ArgumentError, match="logging is a str; expected a TwoStagePolicy"):
        check_logging(log, "x")
    with pytest.raises(ArgumentError, match="log is a list; expected a ClickLog"):
        check_logging([log], world.logging)
