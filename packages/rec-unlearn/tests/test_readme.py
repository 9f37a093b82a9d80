import re
from pathlib import Path

from irworks.testing import Readme, run_python

README = Readme(Path(__file__).parents[1] / "README.md")
SOURCE = Path(__file__).parents[1] / "src" / "rec_unlearn"


def test_the_examples_run_one_after_the_other_and_print_what_the_text_says():
    printed = run_python("\n".join(README.blocks("python")))
    lines = printed.splitlines()
    (rows,) = re.findall(r"The user's (\d+) rows are gone", README.text)
    assert lines[0] == f"exact True {rows} rows"
    assert lines[1] == "True"
    assert lines[2] == "calibrated False True"
    assert lines[3] == "removed within noise"
    assert "share shown a target" in printed


def test_the_commands_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    README.run_commands("rec-unlearn")


def test_every_module_is_named_in_the_section_inside():
    rooms = {path.stem for path in SOURCE.iterdir() if not path.name.startswith(("_", "py"))} - {"cli"}
    assert not {room for room in rooms if f"`{room}`" not in README.section("Inside")}
