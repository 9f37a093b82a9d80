import numpy as np
import pandas as pd
import pytest

from irworks.errors import ArgumentError, DataError
from rec_unlearn import Interactions
from rec_unlearn.data.fingerprint import Fingerprint
from rec_unlearn.data.store import forget_ids, load, save


def log_of(users, items, time=None):
    frame = pd.DataFrame({"user": users, "item": items})
    if time is not None:
        frame["time"] = time
    return Interactions.from_pandas(frame, time=None if time is None else "time", name="shop")


def same(one, other):
    columns = ("user", "item", "sequence", "step")
    return (
        all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns)
        and one.user_ids.tolist() == other.user_ids.tolist()
        and one.item_ids.tolist() == other.item_ids.tolist()
        and one.name == other.name
    )


def test_a_log_comes_back_as_it_was(tmp_path):
    log = log_of(["ann", "bö", "ann"], [5, 6, 7], [1.5, 2.5, 3.5])
    save(log, tmp_path / "log.npz")
    again = load(tmp_path / "log.npz")
    assert same(log, again)
    assert again.time.tolist() == [1.5, 3.5, 2.5]
    assert again.item_code(6) == 1
    assert again.item_ids.dtype == np.int64


def test_ids_of_users_without_rows_are_not_written_and_codes_stay(tmp_path):
    log = log_of(["ann", "secret", "zoe"], ["x", "y", "z"]).without(users=["secret"])
    save(log, tmp_path / "log.npz")
    again = load(tmp_path / "log.npz")
    assert again.user_ids.tolist() == ["ann", None, "zoe"]
    assert again.user_code("zoe") == 2
    assert again.item_ids.tolist() == ["x", "y", "z"]
    assert b"secret" not in (tmp_path / "log.npz").read_bytes()
    assert same(again, forget_ids(log))


def test_integers_of_64_bits_without_a_sign_are_ids_and_longer_ones_are_refused(tmp_path):
    ids = [2**63 + 5, 3, 2**64 - 1]
    log = log_of(np.array(ids, dtype=np.uint64), ["x", "y", "z"])
    save(log, tmp_path / "log.npz")
    assert load(tmp_path / "log.npz").user_ids.tolist() == sorted(ids)
    save(log.without(users=[3]), tmp_path / "log.npz")
    again = load(tmp_path / "log.npz")
    assert again.user_ids.tolist() == [None, 2**63 + 5, 2**64 - 1]
    assert Fingerprint._of_rows(again) == Fingerprint._of_rows(log.without(users=[3]))
    with pytest.raises(ArgumentError, match="ids of users cannot be stored: integers of more than 64 bits"):
        save(log_of([2**64, 3], ["x", "y"]), tmp_path / "log.npz")


def test_integer_ids_stay_integers_when_some_are_gone(tmp_path):
    log = log_of([10, 20, 30], ["x", "y", "z"]).without(users=[20])
    save(log, tmp_path / "log.npz")
    again = load(tmp_path / "log.npz")
    assert again.user_ids.tolist() == [10, None, 30]
    assert again.user_code(30) == 2
    save(again.without(users=[10]), tmp_path / "log.npz")
    assert load(tmp_path / "log.npz").user_ids.tolist() == [None, None, 30]


def test_a_log_that_loses_everything_can_be_kept(tmp_path):
    save(log_of([1, 2], [3, 4]).without(users=[1, 2]), tmp_path / "log.npz")
    assert len(load(tmp_path / "log.npz")) == 0


def test_ids_of_other_types_are_refused_without_being_named(tmp_path):
    with pytest.raises(ArgumentError, match="ids of users cannot be stored: found float"):
        save(log_of([1.5, 2.5], [3, 4]), tmp_path / "log.npz")
    assert not (tmp_path / "log.npz").exists()


def test_a_damaged_file_is_an_error_or_as_it_was(tmp_path):
    log = log_of(["ann", "bob", "ann"], [5, 6, 7])
    path = tmp_path / "log.npz"
    save(log, path)
    content = path.read_bytes()
    errors = []
    for place in range(0, len(content), 23):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x5A]) + content[place + 1 :])
        try:
            assert same(load(path), log)
        except DataError as error:
            errors.append(str(error))
    assert len(errors) > 50
    assert not [error for error in errors if "log.npz" not in error]
    for length in (0, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match="not readable as interactions"):
            load(path)


def test_a_missing_file_and_another_npz_are_errors(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", a=np.arange(3))
    with pytest.raises(DataError, match=r"other.npz: no interactions, but something else"):
        load(tmp_path / "other.npz")
