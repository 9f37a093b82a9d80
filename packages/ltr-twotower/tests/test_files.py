"""Saved models: bit for bit the same predictions, damage told, nothing half-written, nothing foreign destroyed."""

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from irworks.data import ClickLog
from irworks.errors import ArgumentError, DataError
from ltr_twotower import NotFittedError, PlacementPropensity, TwoTowerClickModel
from ltr_twotower.simulate import linear_world


@pytest.fixture(scope="module")
def log() -> ClickLog:
    rng = np.random.default_rng(0)
    return linear_world(rng, n_queries=10, k=4, n_features=3).simulate(1500, rng, temperature=0.4)


@pytest.fixture(scope="module")
def deterministic() -> ClickLog:
    rng = np.random.default_rng(1)
    return linear_world(rng, n_queries=10, k=4, n_features=3).simulate(1500, rng, temperature=0.0)


@pytest.fixture(scope="module")
def named(log: ClickLog) -> ClickLog:
    """The same log with ids of text, whose order is not that of the codes."""
    table = log.to_frame()
    table["query_id"] = [f"query {chr(0x430 + code % 7)}{code}" for code in table["query_id"]]
    table["doc_id"] = [f"https://ex.org/ü?{97 * code % 41}&{code}" for code in table["doc_id"]]
    return ClickLog.from_frame(table)


KINDS: dict[str, dict[str, Any]] = {
    "embedding": {},
    "linear": {"relevance": "linear"},
    "pbm": {"combine": "pbm"},
    "linear pbm": {"combine": "pbm", "relevance": "linear"},
    "weighted": {"sample_weight": PlacementPropensity("known", clip=20.0)},
    "rank features": {"bias": np.log(np.arange(1, 5))[:, None], "relevance": "linear"},
    "bias-reduced": {"bias_reduction": True},
    "two ridges": {"relevance_l2": 3.0},
    "component-normalize": {"on_unidentified": "component-normalize"},
    "numpy options": {"l2": np.float32(0.5), "random_state": np.int64(7)},
}


def assert_same(loaded: TwoTowerClickModel, model: TwoTowerClickModel, *logs: ClickLog) -> None:
    for part in logs:
        np.testing.assert_array_equal(loaded.predict_relevance(part), model.predict_relevance(part))
        np.testing.assert_array_equal(loaded.predict_proba(part), model.predict_proba(part))
        assert loaded.score(part) == model.score(part)
    np.testing.assert_array_equal(loaded.position_bias_, model.position_bias_)
    np.testing.assert_array_equal(loaded.stderr_, model.stderr_)
    np.testing.assert_array_equal(loaded.labels_, model.labels_)
    np.testing.assert_array_equal(loaded.gamma_, model.gamma_)
    assert str(loaded.contrast(1, 3)) == str(model.contrast(1, 3))
    assert loaded.converged_ == model.converged_
    assert loaded.weights_ == model.weights_


def with_a_stranger(log: ClickLog) -> ClickLog:
    """The log with a query and documents that no model has seen."""
    table = log.select(slice(0, 40)).to_frame()
    strange = table[table["session_id"] == 0].copy()
    strange["session_id"], strange["query_id"] = 99, -5 if log.query_vocabulary.dtype.kind == "i" else "new"
    return ClickLog.from_frame(pd.concat([table, strange], ignore_index=True))


@pytest.mark.parametrize("ids", ["numbers", "text"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_predicts_bit_for_bit_the_same(
    log: ClickLog, named: ClickLog, tmp_path: Path, kind: str, ids: str
) -> None:
    data = log if ids == "numbers" else named
    model = TwoTowerClickModel(**KINDS[kind]).fit(data)

    model.save_pretrained(tmp_path / "model")
    loaded = TwoTowerClickModel.from_pretrained(tmp_path / "model")

    assert_same(loaded, model, data, with_a_stranger(data))
    if model.combine == "pbm":
        np.testing.assert_array_equal(loaded.examination_, model.examination_)
    if model.coef_ is not None:
        features = np.random.default_rng(0).normal(size=(5, 3))
        np.testing.assert_array_equal(loaded.predict_relevance(features), model.predict_relevance(features))


@pytest.mark.filterwarnings("ignore::ltr_twotower.NotIdentifiedWarning")
@pytest.mark.parametrize("policy", ["warn", "component-normalize"])
def test_a_model_of_several_components_comes_back_with_its_silences(
    deterministic: ClickLog, log: ClickLog, tmp_path: Path, policy: Any
) -> None:
    model = TwoTowerClickModel(on_unidentified=policy).fit(deterministic)

    model.save_pretrained(tmp_path / "model")
    loaded = TwoTowerClickModel.from_pretrained(tmp_path / "model")

    assert_same(loaded, model, deterministic, log)
    assert np.isnan(loaded.contrast(1, 2)[0])
    assert np.isnan(loaded.predict_proba(log)[log.shown]).any() == (policy == "component-normalize")


def test_a_model_with_a_gap_in_its_ranks_comes_back(log: ClickLog, tmp_path: Path) -> None:
    mask = np.tile([True, False, True, True], (len(log), 1))
    gap = ClickLog(query=log.query, docs=np.where(mask, log.docs, -1), clicks=log.clicks & mask)
    model = TwoTowerClickModel().fit(gap)

    model.save_pretrained(tmp_path / "model")

    assert_same(TwoTowerClickModel.from_pretrained(tmp_path / "model"), model, gap, log)


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_model_is_fitted_again_with_the_same_options(log: ClickLog, tmp_path: Path, kind: str) -> None:
    model = TwoTowerClickModel(**KINDS[kind]).fit(log)
    model.save_pretrained(tmp_path / "model")

    again = TwoTowerClickModel.from_pretrained(tmp_path / "model").fit(log)

    assert_same(again, model, log)


def test_a_loaded_model_has_no_counts_and_says_so(log: ClickLog, tmp_path: Path) -> None:
    TwoTowerClickModel().fit(log).save_pretrained(tmp_path / "model")
    loaded = TwoTowerClickModel.from_pretrained(tmp_path / "model")

    for use in (lambda: loaded.partial_fit(log), loaded.identifiability):
        with pytest.raises(NotFittedError, match="counts"):
            use()


def test_the_files_are_plain_and_say_what_the_model_learnt(named: ClickLog, tmp_path: Path) -> None:
    mask = np.tile([True, False, True, True], (len(named), 1))
    gap = ClickLog(
        query=named.query,
        docs=np.where(mask, named.docs, -1),
        clicks=named.clicks & mask,
        query_ids=named.query_ids,
        doc_ids=named.doc_ids,
    )
    model = TwoTowerClickModel().fit(gap)

    model.save_pretrained(tmp_path / "model")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    config = json.loads((tmp_path / "model" / "config.json").read_text(), parse_constant=refuse)
    ranks = pd.read_csv(tmp_path / "model" / "position_bias.csv")
    relevance = pd.read_parquet(tmp_path / "model" / "relevance.parquet")
    assert config["package"] == "ltr-twotower"
    assert ranks["position"].tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(ranks["theta"], model.position_bias_)
    assert relevance["gamma"].tolist() == model.gamma_.tolist()
    assert set(relevance["doc_id"]) == set(named.doc_vocabulary[model.cells_.pair_doc])


def test_the_folder_is_as_readable_as_any_other(log: ClickLog, tmp_path: Path) -> None:
    TwoTowerClickModel().fit(log).save_pretrained(tmp_path / "model")
    (tmp_path / "other").mkdir()

    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("model", "other")]

    assert modes[0] == modes[1]


# -- writing ----------------------------------------------------------------------------------------------------------


def test_a_second_save_replaces_the_first_as_a_whole(log: ClickLog, tmp_path: Path) -> None:
    TwoTowerClickModel("linear").fit(log).save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "left over").write_text("x")
    model = TwoTowerClickModel().fit(log)

    model.save_pretrained(tmp_path / "model")

    assert_same(TwoTowerClickModel.from_pretrained(tmp_path / "model"), model, log)
    assert not (tmp_path / "model" / "left over").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_missing_parent_folders_are_made_and_an_empty_folder_is_filled(log: ClickLog, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    model = TwoTowerClickModel().fit(log)

    for folder in (tmp_path / "a" / "b" / "model", tmp_path / "empty"):
        model.save_pretrained(folder)
        assert_same(TwoTowerClickModel.from_pretrained(folder), model, log)


@pytest.mark.parametrize(
    "files",
    [
        {"notes.txt": "mine"},
        {"config.json": '{"model_type": "bert"}', "model.safetensors": "weights"},
        {"config.json": "[]"},
        {"config.json": "not json", "data.csv": "1,2"},
    ],
    ids=["text", "another model", "list", "broken"],
)
def test_a_folder_of_something_else_is_left_alone(log: ClickLog, tmp_path: Path, files: dict[str, str]) -> None:
    target = tmp_path / "precious"
    target.mkdir()
    for name, text in files.items():
        (target / name).write_text(text)

    with pytest.raises(DataError, match="not a saved model"):
        TwoTowerClickModel().fit(log).save_pretrained(target)

    assert {path.name: path.read_text() for path in target.iterdir()} == files
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_file_in_the_way_is_left_alone(log: ClickLog, tmp_path: Path) -> None:
    (tmp_path / "model").write_text("mine")

    with pytest.raises(DataError, match="a file stands where the folder should be"):
        TwoTowerClickModel().fit(log).save_pretrained(tmp_path / "model")

    assert (tmp_path / "model").read_text() == "mine"


@pytest.mark.parametrize("before", [False, True])
def test_a_save_that_breaks_off_leaves_what_was_there(
    log: ClickLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    target = tmp_path / "model"
    first = TwoTowerClickModel("linear").fit(log)
    if before:
        first.save_pretrained(target)

    def break_off(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pd.DataFrame, "to_parquet", break_off)
    with pytest.raises(KeyboardInterrupt):
        TwoTowerClickModel().fit(log).save_pretrained(target)

    if before:
        assert_same(TwoTowerClickModel.from_pretrained(target), first, log)
    assert [path.name for path in tmp_path.iterdir()] == (["model"] if before else [])


def test_a_bias_module_of_the_user_is_refused_before_anything_is_written(log: ClickLog, tmp_path: Path) -> None:
    model = TwoTowerClickModel().fit(log)
    model.bias = abs

    with pytest.raises(ArgumentError, match="module"):
        model.save_pretrained(tmp_path / "model")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "kind",
    [lambda i: i if i % 2 else f"d{i}", lambda i: 2**70 + i, lambda i: (i, "a"), lambda i: frozenset([i])],
    ids=["mixed", "larger than 64 bits", "tuples", "sets"],
)
@pytest.mark.parametrize("what", ["query", "document"])
def test_ids_that_a_file_would_not_give_back_are_refused_with_a_reason(
    log: ClickLog, tmp_path: Path, kind: Any, what: str
) -> None:
    field, size = ("query_ids", log.n_queries) if what == "query" else ("doc_ids", log.n_docs)
    ids = np.empty(size, dtype=object)
    ids[:] = [kind(i) for i in range(size)]
    model = TwoTowerClickModel().fit(replace(log, **{field: ids}))

    with pytest.raises(DataError, match=f"the {what} ids of the log cannot be saved"):
        model.save_pretrained(tmp_path / "model")

    assert list(tmp_path.iterdir()) == []


def test_a_model_saved_before_names_of_features_were_kept_takes_them_as_they_come(
    log: ClickLog, tmp_path: Path
) -> None:
    model = TwoTowerClickModel("linear").fit(log)
    model.save_pretrained(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    del config["feature_names"]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))

    loaded = TwoTowerClickModel.from_pretrained(tmp_path / "model")

    assert_same(loaded, model, log)
    assert loaded.feature_names_ is None
    renamed = replace(log, feature_names=("a", "b", "c"))
    np.testing.assert_array_equal(loaded.predict_relevance(renamed), model.predict_relevance(log))


# -- reading ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(log: ClickLog, tmp_path: Path) -> Path:
    TwoTowerClickModel(sample_weight=PlacementPropensity()).fit(log).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")

    for name in ("empty", "file", "missing"):
        with pytest.raises(DataError, match=name):
            TwoTowerClickModel.from_pretrained(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", '{"model_type": "bert"}', '{"format": 1}', "\x00\xff"],
    ids=repr,
)
def test_a_config_of_something_else_is_told(saved: Path, text: str) -> None:
    (saved / "config.json").write_text(text, encoding="latin-1")

    with pytest.raises(DataError, match="model"):
        TwoTowerClickModel.from_pretrained(saved)


@pytest.mark.parametrize("change", [{"format": 2}, {"package": "negir"}])
def test_a_model_of_another_format_or_package_is_told(saved: Path, change: dict[str, Any]) -> None:
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config | change))

    with pytest.raises(DataError, match="package and format"):
        TwoTowerClickModel.from_pretrained(saved)


def test_every_missing_entry_of_the_config_is_told(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())

    for name in config.keys() - {"feature_names"}:
        (saved / "config.json").write_text(json.dumps({key: value for key, value in config.items() if key != name}))
        with pytest.raises(DataError, match=name):
            TwoTowerClickModel.from_pretrained(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"labels": []},
        {"labels": [0]},
        {"labels": "zero"},
        {"position_bias": [0.0]},
        {"position_bias": ["a", "b", "c", "d"]},
        {"covariance": [[1.0]]},
        {"stderr": None},
        {"n_ranks": 2},
        {"sample_weight": {"method": "guess"}},
        {"sample_weight": [1]},
        {"train": {"speed": 3}},
        {"coef": "x"},
    ],
    ids=str,
)
def test_entries_that_do_not_fit_together_are_told(saved: Path, change: dict[str, Any]) -> None:
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config | change))

    with pytest.raises(DataError):
        TwoTowerClickModel.from_pretrained(saved)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.95])
def test_a_truncated_relevance_file_is_told(saved: Path, keep: float) -> None:
    data = (saved / "relevance.parquet").read_bytes()
    (saved / "relevance.parquet").write_bytes(data[: int(keep * len(data))])

    with pytest.raises(DataError, match=r"not a readable saved model"):
        TwoTowerClickModel.from_pretrained(saved)


def test_a_missing_or_foreign_relevance_file_is_told(saved: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(saved / "relevance.parquet")
    with pytest.raises(DataError, match="query_id"):
        TwoTowerClickModel.from_pretrained(saved)

    (saved / "relevance.parquet").unlink()
    with pytest.raises(DataError, match=r"relevance\.parquet"):
        TwoTowerClickModel.from_pretrained(saved)
