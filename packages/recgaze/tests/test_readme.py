import re
from pathlib import Path

import pytest

from irworks.testing import Readme, run_python

README = Readme(Path(__file__).parents[1] / "README.md")
SOURCE = Path(__file__).parents[1] / "src" / "recgaze"


def test_the_example_runs_and_prints_the_numbers_that_the_text_states():
    printed = run_python(README.blocks("python")[0])
    share, uniform = re.search(
        r"golden triangle holds ([\d.]+ \[[\d., ]+\]) of the looks.* has ([\d.]+);", README.text
    ).groups()
    assert f"Golden triangle of looks: {share} (uniform {uniform})" in printed
    assert "Not identifiable" in printed
    assert re.search(r"^OEPBM .*\n^RCPBM ", printed, flags=re.MULTILINE)


def test_the_example_on_raw_gaze_finds_the_posters():
    printed = run_python(README.blocks("python")[1])
    assert printed.startswith("10 [1 ")
    assert printed.strip().endswith("5]")


def test_the_commands_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    README.run_commands("recgaze")
    for page in ("report.html", "view.html"):
        assert 100_000 < (tmp_path / page).stat().st_size < 5_000_000


def test_every_module_is_named_in_the_section_inside():
    inside = README.section("Inside")
    rooms = {path.stem for path in SOURCE.iterdir() if not path.name.startswith(("_", "py"))} - {"cli"}
    assert not {room for room in rooms if f"`{room}`" not in inside}


@pytest.mark.parametrize("word", ["TODO", "CLAIMS_TABLE", "SPEED_TABLE"])
def test_nothing_is_left_to_be_filled_in(word):
    assert not re.search(rf"\b{word}\b", README.text)
