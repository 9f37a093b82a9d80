import re
from pathlib import Path

import pytest

from irworks.testing import Readme, run_python

README = Readme(Path(__file__).parents[1] / "README.md")
SOURCE = Path(__file__).parents[1] / "src" / "cltr_twostage"


def test_the_example_runs_and_prints_the_numbers_that_the_text_states():
    printed = run_python(README.blocks("python")[0])
    learned, logging = re.search(r"earns ([\d.]+) DCG a session against ([\d.]+) in production", README.text).groups()
    assert re.search(r"logging ([\d.]+) \[", printed)[1] == logging
    assert re.search(r"learned ([\d.]+) \[", printed)[1] == learned
    assert "Ship both." in printed


def test_the_proof_shows_one_estimator_unbiased_and_the_other_not():
    exposure, ranker_only = (float(line.split()[1]) for line in run_python(README.blocks("python")[1]).splitlines())
    assert abs(exposure) < 1e-10
    assert abs(ranker_only) > 0.01


def test_the_generator_over_embeddings_runs_as_written():
    pytest.importorskip("faiss")
    assert "(5, 200)" in run_python(README.blocks("python")[2])


def test_the_commands_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    README.run_commands("cltr-twostage")
    assert (tmp_path / "page.html").stat().st_size > 10_000
    assert (tmp_path / "learned" / "policy" / "config.json").is_file()


def test_every_module_is_named_in_the_section_inside():
    inside = README.section("Inside")
    rooms = {path.stem for path in SOURCE.iterdir() if not path.name.startswith(("_", "py"))} - {"cli"}
    assert not {room for room in rooms if f"`{room}`" not in inside}


@pytest.mark.parametrize("word", ["TODO", "CLAIMS_TABLE", "SPEED_TABLE", "COMMANDS", "INSIDE", "LEARNED", "LOGGING"])
def test_nothing_is_left_to_be_filled_in(word):
    assert not re.search(rf"\b{word}\b", README.text)
