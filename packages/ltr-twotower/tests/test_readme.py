import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def test_the_example_runs_and_prints_the_numbers_that_the_text_states():
    (example,) = blocks("python")
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=True)
    before, after = re.search(r"falls from ([\d.]+) to ([\d.]+)", README).groups()
    assert "Policy bias." in done.stdout
    assert re.findall(r"mean error ([\d.]+)", done.stdout) == [before, after]


def test_the_commands_run_one_after_the_other(tmp_path):
    (commands,) = [block for block in blocks("bash") if block.startswith("ltr-twotower")]
    program = Path(sys.executable).with_name("ltr-twotower")
    for command in commands.splitlines():
        name, *arguments = command.split()
        assert name == "ltr-twotower"
        done = subprocess.run([program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert (tmp_path / "model" / "config.json").is_file()


def test_every_module_is_named_in_the_section_inside():
    inside = README.split("## Inside")[1].split("##")[0]
    rooms = {path.stem for path in (Path(__file__).parents[1] / "src" / "ltr_twotower").iterdir()}
    missing = {room for room in rooms if not room.startswith(("_", "py")) and f"`{room}`" not in inside} - {
        "cli",
        "lookup",
    }
    assert not missing


@pytest.mark.parametrize("word", ["TODO", "CLAIMS_TABLE", "SPEED_TABLE"])
def test_nothing_is_left_to_be_filled_in(word):
    assert word not in README
