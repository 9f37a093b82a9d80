import os
from datetime import UTC, datetime, timedelta

import pytest

from irworks.errors import ArgumentError, DataError
from rec_unlearn import DeletionRequest
from rec_unlearn.service import Outcome, RequestQueue

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVERY_KIND = [
    DeletionRequest(user="ä/ü ", received=NOON),
    DeletionRequest(user=17, items=[3, 4], received=NOON, deadline=NOON + timedelta(days=30)),
    DeletionRequest(items=["milk"], received=NOON),
    DeletionRequest(user=17, category="alcohol", received=NOON),
    DeletionRequest(pairs=[(1, "a"), ("1", "b")], received=NOON),
]


def files(queue):
    return sorted(path.name for path in (queue.folder / "waiting").iterdir())


def test_what_was_asked_for_is_found_again_by_another_process(tmp_path):
    ids = RequestQueue(tmp_path).extend(EVERY_KIND)
    queue = RequestQueue(tmp_path)
    assert [queue.request(request_id) for request_id in ids] == EVERY_KIND
    assert [entry.state for entry in queue.entries()] == ["waiting"] * 5


def test_two_objects_on_one_folder_see_what_the_other_did(tmp_path):
    one, other = RequestQueue(tmp_path), RequestQueue(tmp_path)
    first = one.add(DeletionRequest(user="a"))
    second = other.add(DeletionRequest(user="b"))
    assert (first, second) == ("r000001", "r000002")
    other.settle(1, [Outcome(first, "applied")])
    assert [entry.id for entry in one.waiting()] == [second]


def test_deadlines_come_first_then_who_came_first(tmp_path):
    queue = RequestQueue(tmp_path)
    times = [(NOON, None), (NOON - timedelta(1), None), (NOON, NOON + timedelta(9)), (NOON, NOON + timedelta(2))]
    a, b, c, d = queue.extend(DeletionRequest(user=1, received=when, deadline=end) for when, end in times)
    assert [entry.id for entry in queue.waiting()] == [d, c, b, a]


def test_a_moment_without_a_zone_is_taken_for_utc(tmp_path):
    queue = RequestQueue(tmp_path)
    request_id = queue.add(DeletionRequest(user=1, received=NOON.replace(tzinfo=None)))
    assert queue.entry(request_id).received == NOON


def test_once_served_or_refused_nothing_is_left_of_what_was_asked_for(tmp_path):
    queue = RequestQueue(tmp_path)
    a, b, c, d = queue.extend(DeletionRequest(user=f"secret-{n}") for n in range(4))
    queue.settle(1, [Outcome(a, "applied"), Outcome(b, "refused", "why"), Outcome(c, "undone", "nan")])
    assert files(queue) == [f"{c}.json", f"{d}.json"]
    assert "secret" not in (tmp_path / "journal.jsonl").read_text()
    assert queue.entry(b).reason == "why"
    with pytest.raises(ArgumentError, match="r000001 is applied: what it asked for is not kept"):
        queue.request(a)


def test_settling_a_step_again_changes_nothing(tmp_path):
    queue = RequestQueue(tmp_path)
    a, b = queue.extend([DeletionRequest(user=1), DeletionRequest(user=2)])
    outcomes = [Outcome(a, "applied"), Outcome(b, "undone", "nan")]
    queue.settle(1, outcomes)
    before = queue.entries()
    queue.settle(1, outcomes)
    assert queue.entries() == before
    assert queue.entry(b).attempts == 1
    queue.settle(2, [Outcome(b, "failed", "nan")])
    assert (queue.entry(b).attempts, queue.entry(b).state) == (2, "refused")


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_line_torn_by_a_kill_is_cut_off_and_its_request_was_never_taken_in(tmp_path, cut):
    queue = RequestQueue(tmp_path)
    queue.add(DeletionRequest(user=1))
    queue.add(DeletionRequest(user=2))
    journal = tmp_path / "journal.jsonl"
    os.truncate(journal, journal.stat().st_size - cut)
    queue = RequestQueue(tmp_path)
    assert [entry.id for entry in queue.entries()] == ["r000001"]
    assert files(queue) == ["r000001.json"]
    assert queue.add(DeletionRequest(user=3)) == "r000002"
    assert RequestQueue(tmp_path).request("r000002").user == 3


def test_requests_that_came_together_are_all_taken_in_or_none(tmp_path):
    queue = RequestQueue(tmp_path)
    queue.extend(DeletionRequest(user=n) for n in range(5))
    journal = tmp_path / "journal.jsonl"
    os.truncate(journal, journal.stat().st_size - 30)
    queue = RequestQueue(tmp_path)
    assert queue.entries() == []
    assert files(queue) == []


def test_what_a_kill_left_of_a_request_that_was_not_taken_in_is_removed(tmp_path):
    queue = RequestQueue(tmp_path)
    (tmp_path / "waiting" / "r000009.json").write_text("someone")
    (tmp_path / "waiting" / ".irworks-tmp-1-r000010.json").write_text("someone")
    RequestQueue(tmp_path)
    assert files(queue) == []


def test_damage_before_the_end_is_an_error_with_its_line(tmp_path):
    queue = RequestQueue(tmp_path)
    for n in range(5):
        queue.add(DeletionRequest(user=n))
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"r000003", b"r000008")
    journal.write_bytes(b"".join(lines))
    with pytest.raises(DataError, match=r"journal.jsonl, line 3: damaged"):
        RequestQueue(tmp_path)


def test_a_damaged_request_is_an_error_with_its_file(tmp_path):
    queue = RequestQueue(tmp_path)
    request_id = queue.add(DeletionRequest(user="someone"))
    path = tmp_path / "waiting" / f"{request_id}.json"
    path.write_bytes(path.read_bytes().replace(b"someone", b"another"))
    with pytest.raises(DataError, match=r"r000001.json: request r000001 is damaged"):
        queue.request(request_id)


def test_an_id_that_json_cannot_keep_is_refused_before_anything_is_written(tmp_path):
    queue = RequestQueue(tmp_path)
    with pytest.raises(ArgumentError, match="an id is float; expected an integer or a text"):
        queue.extend([DeletionRequest(user=1), DeletionRequest(user=1.5)])
    assert queue.entries() == []
    assert files(queue) == []


def test_an_unknown_request_is_an_error(tmp_path):
    with pytest.raises(ArgumentError, match="no request 'r000007'; it has 0"):
        RequestQueue(tmp_path).entry("r000007")
