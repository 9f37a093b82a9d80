from importlib.metadata import entry_points
from pathlib import Path

import pytest

import irworks
from irworks.claims import Context, Verdict
from irworks.testing import Readme, run_main, run_python

README = Readme(Path(__file__).parents[1] / "README.md")
SOURCE = Path(irworks.__file__).parent


def test_the_example_simulates_a_log_and_measures_a_ranking():
    log, interval = run_python(README.blocks("python")[0]).splitlines()
    assert log.startswith("(1000000, 5) [")
    assert 0 < float(interval.split()[0]) < 1


def test_the_example_searches_and_an_index_is_read_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bm25, hybrid, reranked, found = run_python(README.blocks("python")[1]).splitlines()
    assert bm25 == "Run('BM25', queries=2, documents=2) [0.0, 1.0]"
    assert hybrid.endswith("[1.0, 1.0]")
    assert reranked.endswith("[1.0, 1.0]")
    assert found.startswith("[('c', ")


def test_the_claim_of_the_example_is_measured_and_reproduced(tmp_path):
    names = {}
    exec(README.blocks("python")[2], names)
    evidence = names["CLAIMS"].run(Context("small", (0, 1, 2), tmp_path), "intervals-cover")
    assert evidence.verdict is Verdict.REPRODUCED


def test_every_command_that_is_shown_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (program,) = entry_points(group="console_scripts", name="irworks")
    (commands,) = [block for block in README.blocks("bash") if block.startswith("irworks")]
    for command in commands.splitlines():
        words = [word for word in command.partition("#")[0].split()[1:] if not word.startswith("--")]
        done = run_main(program.load(), "irworks", *words[:2] if words[:1] == ["data"] else words, "--help")
        assert done.status == 0, command


def test_every_room_is_named_in_the_section_inside():
    rooms = {path.stem for path in SOURCE.iterdir() if not path.name.startswith(("_", "py"))}
    assert not {room for room in rooms if f"`{room}`" not in README.section("Inside")}


@pytest.mark.parametrize("section", ["Install", "Ten lines", "Command line", "Search", "Claims", "Inside"])
def test_the_sections_that_every_readme_has_are_there(section):
    assert README.section(section).strip()
