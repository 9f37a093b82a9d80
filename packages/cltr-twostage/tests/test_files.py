"""Saved policies: the same numbers and ids, damage told by file, nothing half-written, nothing foreign destroyed."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cltr_twostage import MixturePolicy, Pool, Stage, TwoStagePolicy, read_scores
from cltr_twostage.files import load_policy, save_policy
from irworks.errors import ArgumentError, DataError

POOL = Pool([0, 2, 3, 6], ["x", "y", "z"], ["a", "b", "a", "c", "b", "a"])
CANDIDATE = np.array([1 / 3, -np.inf, 0.0, 1e12, -1e12, 1e-300])
RANKER = np.array([0.1, 0.2, -7.5, 0.3, -np.inf, 2.0])


def policy(pool: Pool = POOL) -> TwoStagePolicy:
    return TwoStagePolicy(CANDIDATE, RANKER, 3, 2, pool=pool)


def mixture() -> MixturePolicy:
    return MixturePolicy([policy(), policy().replace(ranker=np.zeros(6))], [[0.1, 1.0, 1 / 3], [0.9, 0.0, 2 / 3]])


def same(one: TwoStagePolicy, other: TwoStagePolicy) -> bool:
    return (
        (one.n_candidates, one.k) == (other.n_candidates, other.k)
        and one.pool.offsets.tolist() == other.pool.offsets.tolist()
        and one.pool.query_ids.tolist() == other.pool.query_ids.tolist()
        and one.pool.doc_ids.tolist() == other.pool.doc_ids.tolist()
        and one.candidate_scores.tolist() == other.candidate_scores.tolist()
        and one.ranker_scores.tolist() == other.ranker_scores.tolist()
    )


def test_a_policy_comes_back_bit_for_bit(tmp_path):
    policy().save(tmp_path / "p")
    back = TwoStagePolicy.load(tmp_path / "p")
    assert same(back, policy())
    query = np.arange(30) % 3
    rows = [one.sample(query, np.random.default_rng(0)) for one in (back, policy())]
    assert np.array_equal(*rows)


def test_a_policy_is_plain_files_that_other_programs_read(tmp_path):
    policy().save(tmp_path / "p")
    assert sorted(file.name for file in (tmp_path / "p").iterdir()) == ["config.json", "scores.parquet"]
    config = json.loads((tmp_path / "p" / "config.json").read_text())
    assert (config["format"], config["n_candidates"], config["k"]) == (1, 3, 2)
    table = pd.read_parquet(tmp_path / "p" / "scores.parquet")
    assert table.columns.tolist() == ["query_id", "doc_id", "score_c", "score_r"]
    assert table["doc_id"].tolist() == POOL.doc_ids.tolist()
    assert read_scores(tmp_path / "p" / "scores.parquet").ranker_scores.tolist() == RANKER.tolist()


IDS = {
    "default": (None, None),
    "integers": ([7, 3, 2**62], np.array([5, 1, 5, 2, 3, 1])),
    "large": (np.array([1, 2, 2**64 - 1], dtype=np.uint64), None),
    "fractions": ([0.5, 1.5, 1e300], None),
    "text": (["007", "7", "é/&\n"], ["", " ", "x", "null", "NaN", "1"]),
    "numpy text": (np.array(["q1", "q2", "q3"]), None),
    "mixed": (np.array([1, "1", 2.5], dtype=object), np.array([1, "1", True, 0, "0", "False"], dtype=object)),
    "integers beyond 64 bits": (np.array([2**70, 1, 2], dtype=object), None),
    "numpy objects": (np.array([np.int64(1), np.int64(2), "3"], dtype=object), None),
}


@pytest.mark.parametrize("name", IDS)
def test_ids_of_any_type_are_kept(tmp_path, name):
    query_ids, doc_ids = IDS[name]
    before = policy(Pool(POOL.offsets, query_ids, doc_ids))
    before.save(tmp_path / "p")
    back = TwoStagePolicy.load(tmp_path / "p")
    assert same(back, before)
    for one, other in ((back.pool.query_ids, before.pool.query_ids), (back.pool.doc_ids, before.pool.doc_ids)):
        assert [isinstance(value, str) for value in one.tolist()] == [
            isinstance(value, str) for value in other.tolist()
        ]
    # A policy that was loaded can be compared with one that was not.
    MixturePolicy([back, before], [0.5, 0.5])


def test_ids_that_plain_files_do_not_hold_are_refused_and_nothing_is_left(tmp_path):
    ids = np.empty(3, dtype=object)
    ids[:] = [("a", 1), ("a", 2), ("b", 1)]
    with pytest.raises(ArgumentError, match=r"query_ids holds \('a', 1\)"):
        policy(Pool(POOL.offsets, ids)).save(tmp_path / "p")
    assert list(tmp_path.iterdir()) == []


def test_of_a_stage_that_is_computed_the_scores_are_saved(tmp_path):
    X = np.arange(12.0).reshape(6, 2)
    one = TwoStagePolicy(Stage(lambda x: x @ [1.0, 2.0], X, temperature=3.0), RANKER, 3, 2, pool=POOL)
    one.save(tmp_path / "p")
    assert TwoStagePolicy.load(tmp_path / "p").candidate_scores.tolist() == one.candidate_scores.tolist()


def test_a_mixture_comes_back_with_its_policies_and_weights(tmp_path):
    mixture().save(tmp_path / "m")
    back = MixturePolicy.load(tmp_path / "m")
    assert back.weights.tolist() == mixture().weights.tolist()
    assert all(same(one, other) for one, other in zip(back.policies, mixture().policies, strict=True))
    names = sorted(str(file.relative_to(tmp_path / "m")) for file in (tmp_path / "m").rglob("*") if file.is_file())
    parts = [f"policy_{number}/{name}" for number in (0, 1) for name in ("config.json", "scores.parquet")]
    assert names == ["config.json", *parts, "weights.parquet"]


def test_either_kind_is_loaded_by_what_the_folder_says(tmp_path):
    save_policy(policy(), tmp_path / "p")
    save_policy(mixture(), tmp_path / "m")
    assert isinstance(load_policy(tmp_path / "p"), TwoStagePolicy)
    assert isinstance(load_policy(tmp_path / "m"), MixturePolicy)
    with pytest.raises(DataError, match="not a mixture policy"):
        MixturePolicy.load(tmp_path / "p")
    with pytest.raises(DataError, match="not a two-stage policy"):
        TwoStagePolicy.load(tmp_path / "m")


def test_a_saved_policy_is_replaced_and_an_empty_folder_filled(tmp_path):
    (tmp_path / "p").mkdir()
    mixture().save(tmp_path / "p")
    policy().save(tmp_path / "p")
    assert same(TwoStagePolicy.load(tmp_path / "p"), policy())
    assert not (tmp_path / "p" / "policy_0").exists()


@pytest.mark.parametrize("content", ["{}", '{"package": "ltr-twotower", "kind": "two-stage policy"}', "[1]", "no json"])
def test_a_folder_that_holds_something_else_survives(tmp_path, content):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "config.json").write_text(content)
    with pytest.raises(DataError, match="exists and is not a saved policy"):
        policy().save(tmp_path / "p")
    assert (tmp_path / "p" / "config.json").read_text() == content


def test_a_file_of_the_name_survives(tmp_path):
    (tmp_path / "p").write_text("mine")
    with pytest.raises(DataError, match="a file stands where the folder should be"):
        policy().save(tmp_path / "p")
    assert (tmp_path / "p").read_text() == "mine"


def test_a_failed_save_leaves_the_old_policy_and_no_scraps(tmp_path, monkeypatch):
    policy().save(tmp_path / "p")

    def full(*arguments: object, **options: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    with pytest.raises(OSError, match="disk full"):
        mixture().save(tmp_path / "p")
    assert [file.name for file in tmp_path.iterdir()] == ["p"]
    assert same(TwoStagePolicy.load(tmp_path / "p"), policy())


def test_a_folder_without_a_policy_is_told(tmp_path):
    with pytest.raises(DataError, match="not a saved policy") as caught:
        load_policy(tmp_path / "absent")
    assert str(caught.value.source) == str(tmp_path / "absent")


CONFIG_DAMAGE = {
    "not JSON": "{",
    "a list": "[]",
    "another package": {"package": "ltr-twotower"},
    "another kind": {"kind": "cascade"},
    "a later format": {"format": 2},
    "no k": {"k": None},
    "k is text": {"k": "2"},
    "k is true": {"k": True},
    "n_candidates is a fraction": {"n_candidates": 2.5},
}


@pytest.mark.parametrize("name", CONFIG_DAMAGE)
def test_a_damaged_configuration_is_told_by_its_file(tmp_path, name):
    policy().save(tmp_path / "p")
    file, damage = tmp_path / "p" / "config.json", CONFIG_DAMAGE[name]
    file.write_text(damage if isinstance(damage, str) else json.dumps(json.loads(file.read_text()) | damage))
    with pytest.raises(DataError) as caught:
        load_policy(tmp_path / "p")
    assert str(caught.value.source) == str(file)


def test_sizes_that_do_not_fit_are_told_by_the_folder(tmp_path):
    policy().save(tmp_path / "p")
    file = tmp_path / "p" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"k": 9}))
    with pytest.raises(DataError, match="k=9 is larger than n_candidates=3") as caught:
        load_policy(tmp_path / "p")
    assert str(caught.value.source) == str(tmp_path / "p")


def rewritten(file: Path, change: object) -> None:
    change(pd.read_parquet(file)).to_parquet(file, index=False)  # type: ignore[operator]


SCORE_DAMAGE = {
    "rows lost": (lambda t: t.iloc[:-1], "rows are missing or added"),
    "a row twice": (lambda t: pd.concat([t, t.iloc[:1]]), "twice"),
    "a column lost": (lambda t: t.drop(columns="score_r"), "a column is missing"),
    "NaN": (lambda t: t.assign(score_c=np.nan), "not a number"),
    "too large": (lambda t: t.assign(score_r=1e13), "out of range"),
    "no rows": (lambda t: t.iloc[:0], "the table is empty"),
}


@pytest.mark.parametrize("name", SCORE_DAMAGE)
def test_damaged_scores_are_told_by_their_file(tmp_path, name):
    change, message = SCORE_DAMAGE[name]
    mixture().save(tmp_path / "m")
    file = tmp_path / "m" / "policy_1" / "scores.parquet"
    rewritten(file, change)
    with pytest.raises(DataError, match=message) as caught:
        load_policy(tmp_path / "m")
    assert str(caught.value.source) == str(file)


@pytest.mark.parametrize("name", ["scores.parquet", "weights.parquet", "policy_0/scores.parquet"])
def test_a_truncated_or_missing_table_is_told_by_its_file(tmp_path, name):
    (policy() if name == "scores.parquet" else mixture()).save(tmp_path / "p")
    file = tmp_path / "p" / name
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DataError, match="not a readable Parquet file") as caught:
        load_policy(tmp_path / "p")
    assert str(caught.value.source) == str(file)
    file.unlink()
    with pytest.raises(DataError, match="no such file") as caught:
        load_policy(tmp_path / "p")
    assert str(caught.value.source) == str(file)


def test_damaged_weights_and_queries_of_a_mixture_are_told(tmp_path):
    mixture().save(tmp_path / "m")
    file = tmp_path / "m" / "weights.parquet"
    before = file.read_bytes()
    rewritten(file, lambda t: t.assign(weight_0=0.5))
    with pytest.raises(DataError, match="weights sum to"):
        load_policy(tmp_path / "m")
    file.write_bytes(before)
    rewritten(file, lambda t: t.assign(query_id=["x", "z", "y"]))
    with pytest.raises(DataError, match="queries are not those of the policies"):
        load_policy(tmp_path / "m")


def test_a_mixture_within_a_mixture_is_no_saved_mixture(tmp_path):
    mixture().save(tmp_path / "m")
    mixture().save(tmp_path / "m" / "policy_1")
    with pytest.raises(DataError, match="not a two-stage policy"):
        load_policy(tmp_path / "m")
