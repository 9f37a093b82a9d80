import re
from pathlib import Path

import amharic_ir
from irworks.testing import Readme, run_python

README = Readme(Path(__file__).parents[1] / "README.md")
SOURCE = Path(amharic_ir.__file__).parent


def test_the_example_prints_the_number_that_the_text_states():
    printed = run_python(README.blocks("python")[0])
    (stated,) = re.findall(r"The rate of this log is ([\d.]+)", README.text)
    assert printed.startswith(stated)


def test_the_commands_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written, estimated = README.run_commands("amharic-ir")
    assert "clicks.csv" in written
    assert float(estimated.split()[0]) > 0.1


def test_every_module_is_named_in_the_section_inside():
    rooms = {path.stem for path in SOURCE.iterdir() if not path.name.startswith(("_", "py"))} - {"cli"}
    assert not {room for room in rooms if f"`{room}`" not in README.section("Inside")}
