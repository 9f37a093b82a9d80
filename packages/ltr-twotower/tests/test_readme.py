import re
from pathlib import Path

import pytest

from irworks.testing import Readme, run_python

README = Readme(Path(__file__).parents[1] / "README.md")


def test_the_example_runs_and_prints_the_numbers_that_the_text_states():
    example, _ = README.blocks("python")
    printed = run_python(example)
    before, after = re.search(r"falls from ([\d.]+) to ([\d.]+)", README.text).groups()
    assert "Policy bias." in printed
    assert re.findall(r"mean error ([\d.]+)", printed) == [before, after]


def test_the_commands_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    README.run_commands("ltr-twotower")
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert (tmp_path / "model" / "config.json").is_file()
    _, use = README.blocks("python")
    assert -1 < float(run_python(use).splitlines()[-1]) < 0


def test_every_module_is_named_in_the_section_inside():
    inside = README.section("Inside")
    rooms = {path.stem for path in (Path(__file__).parents[1] / "src" / "ltr_twotower").iterdir()}
    missing = {room for room in rooms if not room.startswith(("_", "py")) and f"`{room}`" not in inside}
    assert missing == {"cli"}


@pytest.mark.parametrize("word", ["TODO", "CLAIMS_TABLE", "SPEED_TABLE"])
def test_nothing_is_left_to_be_filled_in(word):
    assert not re.search(rf"\b{word}\b", README.text)
