"""Whole files and folders where something is in the way; the rest of it stands in `test_runtime.py`."""

import pytest

from irworks.data.damage import refused
from irworks.errors import DataError, MissingDependencyError
from irworks.runtime import atomic_folder, atomic_write


def test_a_folder_in_the_way_of_a_file_is_named_and_not_the_temporary_file(tmp_path):
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(OSError, match=r"out\.csv") as caught, atomic_write(tmp_path / "out.csv") as handle:
        handle.write("text")
    assert caught.value.filename == str(tmp_path / "out.csv")
    assert ".irworks-tmp-" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_a_link_to_a_folder_stays_one_and_what_it_points_at_is_replaced(tmp_path):
    (tmp_path / "disk" / "old").mkdir(parents=True)
    (tmp_path / "disk" / "old" / "a.txt").write_text("old")
    (tmp_path / "model").symlink_to(tmp_path / "disk" / "old")
    with atomic_folder(tmp_path / "model") as scratch:
        (scratch / "b.txt").write_text("new")
    assert (tmp_path / "model").is_symlink()
    assert [path.name for path in (tmp_path / "disk" / "old").iterdir()] == ["b.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "model"]
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["old"]


def test_a_library_that_is_missing_is_no_damage_of_the_file(tmp_path):
    with pytest.raises(MissingDependencyError, match="pip install"), refused("it is damaged", tmp_path / "a.json"):
        raise MissingDependencyError("tokenizers", "cutting text", "amharic-ir[tokenizers]")
    with pytest.raises(DataError, match=r"a\.json: it is damaged"), refused("it is damaged", tmp_path / "a.json"):
        raise ImportError("of something in the file")
