import re
from pathlib import Path

import amharic_ir
from irworks.testing import Readme, run_python

README = Readme(Path(__file__).parents[1] / "README.md")
SOURCE = Path(amharic_ir.__file__).parent


def test_the_examples_and_commands_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = run_python("\n".join(README.blocks("python"))).splitlines()
    assert [re.search(r"-> (\S+)", line)[1] for line in printed[:4]] == [
        "peace.txt",
        "peace.txt",
        "asmara.md",
        "capital.txt",
    ]
    assert "[ሠላም] [ለዓለም]" in printed[0]
    assert printed[4] == "ሰላም ለአለም ሰላም 1992"
    _, found, as_json, steps = README.run_commands("amharic-ir")
    assert "peace.txt" in found
    assert '"doc": "capital.txt"' in as_json
    assert "ሰላም ለአለም" in steps


def test_every_module_is_named_in_the_section_inside():
    rooms = {path.stem for path in SOURCE.iterdir() if not path.name.startswith(("_", "py"))} - {"cli"}
    assert not {room for room in rooms if f"`{room}`" not in README.section("Inside")}
