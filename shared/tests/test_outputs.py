import json

import pytest

from irworks.errors import ArgumentError, DataError
from irworks.runtime import atomic_folder
from irworks.runtime.outputs import require_apart, require_replaceable


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "users.csv").write_text("id\n1\n")
    (tmp_path / "log.csv").write_text("query_id\n1\n")


@pytest.mark.parametrize("out", ["log.csv", "./study/../log.csv", "study", "."])
def test_what_is_read_is_not_overwritten(out):
    with pytest.raises(ArgumentError, match="would overwrite"):
        require_apart(out, [None, "log.csv", "study/users.csv"])


def test_a_link_to_what_is_read_is_what_is_read(tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "log.csv")
    with pytest.raises(ArgumentError, match=r"^--to link\.csv would overwrite log\.csv"):
        require_apart("link.csv", ["log.csv"], name="--to")


def test_a_file_of_a_folder_that_is_read_is_not_overwritten():
    with pytest.raises(ArgumentError, match=r"study/users\.csv would overwrite study"):
        require_apart("study/users.csv", ["study"])
    require_apart("study/new.csv", ["study"])


def test_files_may_be_put_beside_what_is_read():
    require_apart(".", ["log.csv", "study"], whole=False)
    with pytest.raises(ArgumentError, match="would overwrite study"):
        require_apart("study", ["study"], whole=False)


def test_words_are_no_paths():
    require_apart("out", ["inverse", "1," * 500, None, "no\0path"])
    require_apart(None, ["log.csv"])


def check(folder, **options):
    require_replaceable(
        folder, "a saved model", header="config.json", is_ours=lambda config: config.get("package") == "ours", **options
    )


def test_a_folder_that_is_absent_empty_or_ours_may_be_replaced(tmp_path):
    check("absent")
    (tmp_path / "empty").mkdir()
    check("empty")
    with atomic_folder("model") as scratch:
        (scratch / "config.json").write_text('{"package": "ours"}')
    check("model")
    check("model", names=[])


@pytest.mark.parametrize("header", [None, "{", "[]", '{"package": "theirs"}', b"\xff\xfe\x00"])
def test_what_others_wrote_survives(tmp_path, header):
    if header is not None:
        (tmp_path / "study" / "config.json").write_bytes(header if isinstance(header, bytes) else header.encode())
    with pytest.raises(DataError, match=r"^study: the folder exists and is not a saved model") as caught:
        check("study")
    assert "a new folder, or a saved model to replace" in str(caught.value)


def test_what_a_user_put_beside_ours_survives(tmp_path):
    (tmp_path / "study" / "config.json").write_text(json.dumps({"package": "ours"}))
    check("study", names=["users.csv"])
    with pytest.raises(DataError, match=r"also holds other files \(found 'users\.csv'\)"):
        check("study", names=["weights.npy"])


def test_a_file_is_no_folder():
    with pytest.raises(DataError, match=r"log\.csv: a file stands where the folder should be"):
        check("log.csv")


def test_the_folder_one_stands_in_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for place in (".", tmp_path, "/"):
        with pytest.raises(DataError, match="cannot be replaced as a whole"):
            check(place)
