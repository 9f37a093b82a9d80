import contextlib
import io
import re
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SOURCE = Path(__file__).parents[1] / "src" / "recgaze"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def run(example: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, "README.md", "exec"), {"__name__": "__main__"})
    return printed.getvalue()


def test_the_example_runs_and_prints_the_numbers_that_the_text_states():
    printed = run(blocks("python")[0])
    share, uniform = re.search(
        r"golden triangle holds ([\d.]+ \[[\d., ]+\]) of the looks.* has ([\d.]+);", README
    ).groups()
    assert f"Golden triangle of looks: {share} (uniform {uniform})" in printed
    assert "Not identifiable" in printed
    assert re.search(r"^OEPBM .*\n^RCPBM ", printed, flags=re.MULTILINE)


def test_the_example_on_raw_gaze_finds_the_posters():
    printed = run(blocks("python")[1])
    assert printed.startswith("10 [1 ")
    assert printed.strip().endswith("5]")


def test_the_commands_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    (commands,) = [block for block in blocks("bash") if block.startswith("recgaze")]
    monkeypatch.chdir(tmp_path)
    (program,) = entry_points(group="console_scripts", name="recgaze")
    for command in commands.splitlines():
        arguments = command.split()
        assert arguments[0] == program.name
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            program.load()()
        assert not ended.value.code, f"{command}: {capsys.readouterr().err}"
    for page in ("report.html", "view.html"):
        assert 100_000 < (tmp_path / page).stat().st_size < 5_000_000


def test_every_module_is_named_in_the_section_inside():
    inside = README.split("## Inside")[1].split("##")[0]
    rooms = {path.stem for path in SOURCE.iterdir() if not path.name.startswith(("_", "py"))} - {"cli"}
    assert not {room for room in rooms if f"`{room}`" not in inside}


@pytest.mark.parametrize("word", ["TODO", "CLAIMS_TABLE", "SPEED_TABLE"])
def test_nothing_is_left_to_be_filled_in(word):
    assert not re.search(rf"\b{word}\b", README)
