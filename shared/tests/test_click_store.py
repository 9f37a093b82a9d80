import json
import os
import stat

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irworks.data import ClickLog
from irworks.errors import DataError

EVERY_FILE = ["query", "docs", "clicks", "mask", "propensities", "features", "pairs_query", "pairs_doc", "pairs_index"]
every_way = pytest.mark.parametrize("memory_map", [True, False], ids=["memory-mapped", "in memory"])


def make_log(seed=0, **changes):
    rng = np.random.default_rng(seed)
    n, k = 12, 3
    docs = np.stack([rng.permutation(6)[:k] for _ in range(n)])
    mask = rng.random((n, k)) < 0.8
    mask[0] = True
    parts = {
        "query": rng.integers(0, 4, n),
        "docs": docs,
        "clicks": (rng.random((n, k)) < 0.5) & mask,
        "mask": mask,
        "query_ids": np.array(["ä", "b", "c", "d"], dtype=object),
        "doc_ids": np.arange(6) + 2**60,
        "propensities": rng.uniform(0.1, 1, (n, k)),
        "source": "my log",
    }
    parts |= changes
    n_pairs = len(ClickLog(**parts).pairs)
    return ClickLog(**parts, features=rng.normal(size=(n_pairs, 2)), feature_names=("age", "size"))


def assert_equal_logs(log, other):
    for name in ("query", "docs", "clicks", "mask", "propensities", "features"):
        first, second = getattr(log, name), getattr(other, name)
        if first is None:
            assert second is None
            continue
        np.testing.assert_array_equal(first, second, err_msg=name)
        assert first.dtype == second.dtype
    for name in ("query", "doc", "index"):
        np.testing.assert_array_equal(getattr(log.pairs, name), getattr(other.pairs, name))
    for first, second in ((log.query_ids, other.query_ids), (log.doc_ids, other.doc_ids)):
        assert [(type(x), x) for x in first.tolist()] == [(type(x), x) for x in second.tolist()]
    assert log.feature_names == other.feature_names
    assert log.source == other.source


@every_way
def test_an_opened_log_equals_the_saved_one(memory_map, tmp_path):
    log = make_log()
    log.save(tmp_path / "new" / "folders" / "log")
    assert_equal_logs(ClickLog.open(tmp_path / "new" / "folders" / "log", memory_map=memory_map), log)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_every_log_survives_saving_over_another(seed, tmp_path):
    log = make_log(seed)
    log.save(tmp_path / "log")
    assert_equal_logs(ClickLog.open(tmp_path / "log"), log)


@every_way
def test_a_log_without_propensities_and_features_has_none_when_opened(memory_map, tmp_path):
    make_log().save(tmp_path / "log")
    bare = ClickLog([0], [[0, 1]], [[1, 0]])
    bare.save(tmp_path / "log")
    opened = ClickLog.open(tmp_path / "log", memory_map=memory_map)
    assert_equal_logs(opened, bare)
    assert opened.features is None
    assert opened.propensities is None


@pytest.mark.parametrize(
    "ids",
    [
        np.array([1, "1", 2, "x"], dtype=object),
        np.array([1.5, 2, "2", 3], dtype=object),
        np.array([2**70, 2**64 - 1, 3, 4], dtype=object),
        np.array([np.int64(5), np.str_("ü"), np.float64(0.5), "🦉"], dtype=object),
        np.array(["a", "bcd", "", "x"]),
        np.array([2**64 - 1, 2, 3, 4], dtype=np.uint64),
        np.array([5, 6, 7, 8], dtype=np.int32),
        np.asarray(pd.Index(["a", "b", "c", "d"]), dtype=object),
    ],
    ids=["numbers and words", "floats", "large", "numpy scalars", "fixed width", "unsigned", "int32", "pandas"],
)
def test_ids_keep_value_and_type(ids, tmp_path):
    log = make_log(query_ids=ids)
    log.save(tmp_path / "log")
    opened = ClickLog.open(tmp_path / "log")
    assert [(type(x), x) for x in opened.query_ids.tolist()] == [
        (type(x), x) for x in np.array([getattr(i, "item", lambda i=i: i)() for i in ids.tolist()], object)
    ]


def test_an_opened_log_is_read_from_the_disk_on_demand(tmp_path):
    make_log().save(tmp_path / "log")
    opened = ClickLog.open(tmp_path / "log")
    for column in (opened.docs, opened.clicks, opened.query, opened.features, opened.pairs.index):
        assert isinstance(column, np.memmap)
        assert not column.flags.writeable
    assert not isinstance(ClickLog.open(tmp_path / "log", memory_map=False).docs, np.memmap)


def test_an_opened_log_does_what_a_log_does(tmp_path):
    log = make_log()
    log.save(tmp_path / "log")
    opened = ClickLog.open(tmp_path / "log")
    assert repr(opened) == repr(log)
    pd.testing.assert_frame_equal(opened.to_frame(), log.to_frame())
    rows = [0, 3, 5]
    assert_equal_logs(opened.select(rows), log.select(rows))
    table = np.arange(6.0)[:, None]
    assert_equal_logs(opened.with_doc_features(table), log.with_doc_features(table))


def test_a_log_can_be_saved_over_the_folder_that_it_is_read_from(tmp_path):
    log = make_log()
    log.save(tmp_path / "log")
    opened = ClickLog.open(tmp_path / "log")
    opened.select(slice(0, 5)).save(tmp_path / "log")
    assert_equal_logs(ClickLog.open(tmp_path / "log"), log.select(slice(0, 5)))
    opened.save(tmp_path / "log")
    assert_equal_logs(ClickLog.open(tmp_path / "log"), log)


def test_saving_leaves_nothing_else_behind(tmp_path):
    for seed in (0, 1):
        make_log(seed).save(tmp_path / "log")
    assert os.listdir(tmp_path) == ["log"]  # noqa: PTH208 - hidden leftovers count


def test_a_save_that_fails_leaves_the_old_log_and_nothing_else(tmp_path, monkeypatch):
    log = make_log()
    log.save(tmp_path / "log")
    saved = []

    def failing(path, array, save=np.save):
        if len(saved) == 4:
            raise OSError("no space left on device")
        saved.append(path)
        save(path, array)

    monkeypatch.setattr(np, "save", failing)
    with pytest.raises(OSError, match="no space left"):
        make_log(1).save(tmp_path / "log")
    assert len(saved) == 4
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["log"]  # noqa: PTH208
    assert_equal_logs(ClickLog.open(tmp_path / "log"), log)


def test_a_saved_folder_is_as_open_as_other_new_folders(tmp_path):
    make_log().save(tmp_path / "log")
    (tmp_path / "other").mkdir()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("log", "other")]
    assert modes[0] == modes[1]


def test_a_foreign_folder_is_not_overwritten(tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.txt").write_text("years of work")
    with pytest.raises(DataError, match="exists and is not a saved click log") as caught:
        make_log().save(folder)
    assert caught.value.source == folder
    assert (folder / "chapter.txt").read_text() == "years of work"
    assert os.listdir(tmp_path) == ["thesis"]  # noqa: PTH208


def test_a_folder_of_another_program_with_a_file_of_this_name_is_not_overwritten(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "log.json").write_text('{"epochs": 3}')
    with pytest.raises(DataError, match="exists and is not a saved click log"):
        make_log().save(tmp_path / "log")
    assert (tmp_path / "log" / "log.json").read_text() == '{"epochs": 3}'


def test_a_foreign_file_is_not_overwritten(tmp_path):
    (tmp_path / "log").write_text("mine")
    with pytest.raises(DataError, match="a file stands where the folder should be"):
        make_log().save(tmp_path / "log")
    assert (tmp_path / "log").read_text() == "mine"


# -- damage -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    make_log().save(tmp_path / "log")
    return tmp_path / "log"


def assert_unreadable(folder, memory_map):
    with pytest.raises(DataError) as caught:
        ClickLog.open(folder, memory_map=memory_map)
    assert str(caught.value).startswith(str(folder))


@every_way
@pytest.mark.parametrize("name", EVERY_FILE)
@pytest.mark.parametrize("keep", [0, 5, 60, 130, -1])
def test_a_truncated_column_is_a_data_error(name, keep, memory_map, saved):
    file = saved / f"{name}.npy"
    file.write_bytes(file.read_bytes()[:keep])
    assert_unreadable(saved, memory_map)


@every_way
@pytest.mark.parametrize("name", EVERY_FILE)
def test_a_column_that_is_something_else_is_a_data_error(name, memory_map, saved):
    (saved / f"{name}.npy").write_bytes(b"not an array at all, but long enough to be one" * 10)
    assert_unreadable(saved, memory_map)


@every_way
@pytest.mark.parametrize("name", [name for name in EVERY_FILE if name not in ("propensities", "features")])
def test_a_lost_column_is_a_data_error(name, memory_map, saved):
    (saved / f"{name}.npy").unlink()
    assert_unreadable(saved, memory_map)


@every_way
@pytest.mark.parametrize("name", EVERY_FILE)
def test_a_column_of_another_log_is_a_data_error(name, memory_map, saved):
    array = np.load(saved / f"{name}.npy")
    np.save(saved / f"{name}.npy", np.concatenate([array, array]))
    assert_unreadable(saved, memory_map)


@every_way
@pytest.mark.parametrize("name", ["query_ids.json", "doc_ids.npy"])
def test_lost_ids_are_a_data_error(name, memory_map, saved):
    (saved / name).unlink()
    assert_unreadable(saved, memory_map)


@pytest.mark.parametrize(
    "header",
    ["", "{", "[1]", "3", "null", '{"format": 2}', '{"format": 2, "feature_names": null, "crc32": {}}', "\x00\xff"],
)
def test_a_damaged_header_is_a_data_error(header, saved):
    (saved / "log.json").write_bytes(header.encode("latin-1"))
    assert_unreadable(saved, True)


def test_a_folder_of_a_later_format_says_so(saved):
    header = json.loads((saved / "log.json").read_text())
    (saved / "log.json").write_text(json.dumps(header | {"format": 99}))
    with pytest.raises(DataError, match=r"found 99; expected 2\)"):
        ClickLog.open(saved)


def test_what_is_not_a_saved_log_is_a_data_error(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for name in ("absent", "file", "empty"):
        assert_unreadable(tmp_path / name, True)


# -- what test_fuzz_readers.py found -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*(f"{name}.npy" for name in EVERY_FILE), "query_ids.json", "doc_ids.npy"])
def test_a_flipped_bit_is_noticed_where_a_file_is_read(name, saved):
    content = bytearray((saved / name).read_bytes())
    content[-1] ^= 1
    (saved / name).write_bytes(content)
    assert_unreadable(saved, memory_map=False)
    if name in ("query_ids.json", "doc_ids.npy"):
        assert_unreadable(saved, memory_map=True)


@every_way
@pytest.mark.parametrize("name", ["propensities", "features"])
def test_a_lost_optional_column_is_not_taken_for_one_that_never_was(name, memory_map, saved):
    (saved / f"{name}.npy").unlink()
    assert_unreadable(saved, memory_map)


@every_way
@pytest.mark.parametrize(
    ("name", "kind", "other"), [("docs", "<i4", "<f4"), ("docs", "<i4", ">i4"), ("mask", "|b1", "|i1")]
)
def test_a_column_of_another_type_is_a_data_error(name, kind, other, memory_map, saved):
    file = saved / f"{name}.npy"
    file.write_bytes(file.read_bytes().replace(kind.encode(), other.encode()))
    assert_unreadable(saved, memory_map)
