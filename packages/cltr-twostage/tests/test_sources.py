"""Score tables, policies and logs from files, brought onto one pool."""

from pathlib import Path

import numpy as np
import pytest

from cltr_twostage import ClickLog, MixturePolicy, Pool, ScoreTable, TwoStagePolicy, write_scores
from cltr_twostage.sources import PolicySource, on_one_pool, read_policy_source
from irworks.errors import ArgumentError, DataError

RNG = np.random.default_rng(0)
POOL = Pool([0, 3, 5, 8], ["x", "y", "z"], ["a", "b", "c", "a", "b", "a", "b", "c"])


def pair(pool: Pool = POOL) -> TwoStagePolicy:
    return TwoStagePolicy(RNG.normal(size=pool.n_rows), RNG.normal(size=pool.n_rows), 2, 1, pool=pool)


def source(policy: TwoStagePolicy, name: str = "scores") -> PolicySource:
    table = ScoreTable(policy.pool, policy.candidate_scores, policy.ranker_scores)
    return PolicySource(name, (table,), (policy.n_candidates,), policy.k)


def shuffled(policy: TwoStagePolicy) -> PolicySource:
    """The same scores, queries and documents in another order."""
    frame = source(policy).tables[0].to_frame().sample(frac=1, random_state=3)
    return PolicySource("shuffled", (ScoreTable.from_frame(frame),), (2,), 1)


def log_of(*queries: str) -> ClickLog:
    """One session of each query, which shows document a."""
    n = len(queries)
    return ClickLog(
        np.arange(n), np.zeros((n, 1), dtype=int), np.ones((n, 1), dtype=bool), query_ids=queries, doc_ids=["a"]
    )


def test_tables_take_the_order_of_the_first_and_the_queries_of_the_log() -> None:
    policy = pair()

    _, (first, second) = on_one_pool([log_of("z", "x")], [source(policy), shuffled(policy)])

    assert first.pool.query_ids.tolist() == ["x", "z"]
    assert second.pool is first.pool
    rows = [0, 1, 2, 5, 6, 7]
    for one in (first, second):
        assert np.array_equal(one.tables[0].candidate_scores, policy.candidate_scores[rows])
        assert np.array_equal(one.tables[0].ranker_scores, policy.ranker_scores[rows])


def test_all_queries_are_kept_where_they_are_wanted() -> None:
    _, (first,) = on_one_pool([log_of("z")], [source(pair())], logged_only=False)

    assert first.pool is POOL


def test_a_mixture_keeps_its_shares_of_each_query(tmp_path: Path) -> None:
    parts = [pair(), pair()]
    shares = np.array([[0.1, 0.2, 0.3], [0.9, 0.8, 0.7]])
    MixturePolicy(parts, shares).save(tmp_path / "mixture")
    write_scores(shuffled(parts[0]).tables[0], tmp_path / "scores.csv")
    sources = [read_policy_source(tmp_path / "scores.csv"), read_policy_source(tmp_path / "mixture")]

    _, (scores, mixture) = on_one_pool([log_of("z", "x")], sources)

    found = mixture.policy()
    assert isinstance(found, MixturePolicy)
    order = scores.pool.query_ids.tolist()
    assert sorted(order) == ["x", "z"]
    assert found.weights[0].tolist() == [{"x": 0.1, "z": 0.3}[query] for query in order]
    expected = MixturePolicy(parts, shares).exposure([1.0], "exact").value
    by_pair = dict(zip(zip(POOL.query_ids[POOL.owner()], POOL.doc_ids, strict=True), expected, strict=True))
    exposure = found.exposure([1.0], "exact").value
    names = zip(scores.pool.query_ids[scores.pool.owner()], scores.pool.doc_ids, strict=True)
    assert exposure == pytest.approx([by_pair[name] for name in names], rel=1e-9)


def test_a_table_takes_sizes_and_a_saved_policy_keeps_its_own(tmp_path: Path) -> None:
    policy = pair()
    policy.save(tmp_path / "policy")
    write_scores(source(policy).tables[0], tmp_path / "scores.parquet")

    table, saved = read_policy_source(tmp_path / "scores.parquet"), read_policy_source(tmp_path / "policy")

    assert (saved.policy(5, 4).n_candidates, saved.policy(5, 4).k) == (2, 1)  # type: ignore[union-attr]
    assert (table.policy(3, 2).n_candidates, table.policy(3, 2).k) == (3, 2)  # type: ignore[union-attr]
    with pytest.raises(ArgumentError, match=r"scores\.parquet say nothing of list sizes"):
        table.policy(3)


def test_what_a_table_lacks_or_has_beyond_the_first_is_told() -> None:
    smaller = Pool([0, 2, 4, 7], ["x", "y", "z"], ["a", "b", "a", "b", "a", "b", "c"])
    whole, part = source(pair(), "whole"), source(pair(smaller), "part")
    log = log_of("x", "y")

    with pytest.raises(DataError, match=r"scores part lack.*\(query x, document c\), and 0 more"):
        on_one_pool([log], [whole, part])
    with pytest.raises(DataError, match=r"scores whole have documents that the scores part lack.*document c\).*-inf"):
        on_one_pool([log], [part, whole])
    on_one_pool([log_of("y", "z")], [whole, part])


def test_a_log_of_other_queries_is_refused() -> None:
    with pytest.raises(DataError, match=r"no query in common.*query w in the log, x in the scores"):
        on_one_pool([log_of("w")], [source(pair())])


def test_numbers_and_text_are_the_same_ids() -> None:
    numbers = Pool([0, 2], [7], [1, 2])
    log = ClickLog([0], [[0]], [[True]], query_ids=np.array(["7"], dtype=object), doc_ids=np.array(["2"], dtype=object))

    (text,), (one,) = on_one_pool([log], [source(pair(numbers))])

    assert one.pool.query_ids.tolist() == ["7"]
    assert one.pool.doc_ids.tolist() == ["1", "2"]
    assert one.pool.locate(text)[1].tolist() == [[1]]
