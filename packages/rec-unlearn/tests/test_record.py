import json

import pytest

from irworks.errors import DataError
from rec_unlearn import DeletionRequest
from rec_unlearn.service import RemovalRecord, SaltDestroyedError


def written(tmp_path, *requests, salt=None):
    record = RemovalRecord(tmp_path / "record.jsonl", salt)
    for request in requests:
        name, subjects = record.subjects(request)
        record.append(record.entry({"rows": 3, "requests": [{"id": "r1", "salt": name, "subjects": subjects}]}))
    return record


ACCOUNTS = [DeletionRequest(user=user) for user in ("alice", 7, "bob")]


def test_a_record_as_written_verifies(tmp_path):
    record = written(tmp_path, *ACCOUNTS)
    found = record.verify()
    assert found.ok
    assert (found.lines, found.head, found.broken_at) == (3, record.head, None)


def change(line, **values):
    return json.dumps({**json.loads(line), **values})


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda lines: [lines[0], change(lines[1], rows=4), lines[2]], "line 2: its hash is not that of its content"),
        (lambda lines: [lines[0], lines[2]], "line 2: it is number 3"),
        (lambda lines: [lines[1], lines[0], lines[2]], "line 1: it is number 2"),
        (lambda lines: [*lines[:2], change(lines[2], previous="0" * 64)], "line 3: it does not follow from the line"),
        (lambda lines: [lines[0], "{", lines[2]], "line 2: not the JSON that was written"),
    ],
)
def test_verification_says_where_the_chain_breaks(tmp_path, spoil, problem):
    record = written(tmp_path, *ACCOUNTS)
    lines = record.path.read_text().splitlines()
    record.path.write_text("".join(f"{line}\n" for line in spoil(lines)))
    assert problem in str(record.verify())


def test_a_chain_forged_from_the_start_has_another_head(tmp_path):
    record = written(tmp_path, *ACCOUNTS)
    noted = record.head
    record.path.unlink()
    assert written(tmp_path, *ACCOUNTS[:2]).verify().head != noted


def test_no_id_stands_in_the_record_and_equal_ids_of_two_records_differ(tmp_path):
    one, other = written(tmp_path / "a", ACCOUNTS[0]), written(tmp_path / "b", ACCOUNTS[0])
    assert "alice" not in one.path.read_text()
    first, second = (json.loads(record.path.read_text())["requests"][0]["subjects"] for record in (one, other))
    assert first != second


def test_one_can_ask_who_was_removed(tmp_path):
    record = written(
        tmp_path,
        *ACCOUNTS[:2],
        DeletionRequest(user="carol", items=["wine"]),
        DeletionRequest(items=["spam"]),
        DeletionRequest(pairs=[("dave", "beer")]),
    )
    assert record.was_removed("alice")
    assert record.was_removed("alice", "anything")
    assert record.was_removed(7)
    assert not record.was_removed("7")
    assert not record.was_removed("carol")
    assert record.was_removed("carol", "wine")
    assert record.was_removed("dave", "beer")
    assert record.was_removed(item="spam")
    assert record.was_removed("bob", "spam")
    assert not record.was_removed("bob", "wine")


def test_without_the_salt_nobody_can_tell_and_the_chain_still_verifies(tmp_path):
    record = written(tmp_path, ACCOUNTS[0], salt=tmp_path / "vault" / "salt")
    assert (tmp_path / "vault" / "salt").stat().st_mode & 0o077 == 0
    record.destroy_salt()
    assert not (tmp_path / "vault" / "salt").exists()
    with pytest.raises(SaltDestroyedError, match="nobody can tell any more"):
        record.was_removed("alice")
    assert record.verify().ok
    record = written(tmp_path, ACCOUNTS[2], salt=tmp_path / "vault" / "salt")
    assert record.was_removed("bob")
    assert record.verify().lines == 2
    with pytest.raises(SaltDestroyedError):
        record.was_removed("alice")


def test_a_salt_that_was_being_destroyed_is_not_used_again(tmp_path):
    record = written(tmp_path, ACCOUNTS[0])
    (tmp_path / "salt").write_bytes(bytes(64))
    with pytest.raises(SaltDestroyedError):
        record.was_removed("alice")
    assert written(tmp_path, ACCOUNTS[2]).was_removed("bob")


def test_an_entry_is_written_once_and_only_behind_the_one_it_follows(tmp_path):
    record = written(tmp_path, ACCOUNTS[0])
    entry = record.entry({"rows": 1})
    record.append(entry)
    record.append(entry)
    assert record.verify().lines == 2
    late = {**record.entry({"rows": 2}), "previous": "f" * 64}
    with pytest.raises(DataError, match="the record was changed"):
        record.append(late)


def test_a_torn_last_line_is_said_and_is_cut_off_by_the_next_entry(tmp_path):
    record = written(tmp_path, *ACCOUNTS)
    record.path.write_bytes(record.path.read_bytes()[:-9])
    assert str(record.verify()).startswith("broken at line 3: it breaks off")
    assert written(tmp_path, ACCOUNTS[2]).verify().lines == 3
