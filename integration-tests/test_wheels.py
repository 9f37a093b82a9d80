"""The wheels as a user gets them: built from the sources, installed by themselves, without the workspace or torch."""

import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

# What uv says when it cannot reach an index; anything else that goes wrong is our fault.
UNREACHABLE = re.compile(
    "error sending request|dns error|connection refused|timed out|network (connectivity is|was) disabled",
    re.IGNORECASE,
)
SHIPPED = {".py", ".typed", ".toml", ".j2", ".html", ".js", ".css", ".mplstyle", ".txt"}


@pytest.fixture(scope="module")
def wheels(uv, root, workshop):
    """The wheels of all members by name, built from a copy of the sources so that nothing is left in the tree."""
    copy = workshop.folder / "sources"
    copy.mkdir()
    shutil.copy(root / "pyproject.toml", copy)
    for folder in ("shared", "packages"):
        shutil.copytree(root / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", ".*", "dist"))
    built = workshop(uv, "build", "--all-packages", "--directory", copy, "--out-dir", "dist")
    _skip_where_the_index_is_out_of_reach(built)
    assert built.returncode == 0, built.stderr
    return {path.name.partition("-")[0]: path for path in (copy / "dist").glob("*.whl")}


@pytest.fixture(scope="module")
def installed(uv, root, workshop, wheels):
    """The folder of the programs in an empty virtual environment that the wheels were installed into.

    The versions of what they need are those of the lock file: the ones that everything else was tested with, and that
    are in uv's cache.
    """
    environment = workshop.folder / "environment"
    pins = workshop.folder / "pins.txt"
    export = (uv, "export", "--directory", root, "--frozen", "--all-packages", "--no-emit-workspace", "--no-hashes")
    pins.write_text(workshop.output(*export))
    workshop.output(uv, "venv", "--python", sys.executable, environment)
    done = workshop(uv, "pip", "install", "--python", environment, "--constraint", pins, *wheels.values())
    _skip_where_the_index_is_out_of_reach(done)
    assert done.returncode == 0, done.stderr
    return environment / ("Scripts" if sys.platform == "win32" else "bin")


def _skip_where_the_index_is_out_of_reach(done):
    if done.returncode and (reason := UNREACHABLE.search(done.stderr)):
        pytest.skip(f"uv cannot reach the package index: {reason.group()}")


def test_every_member_is_built(wheels, members):
    assert set(wheels) == {member.import_name for member in members}


def test_wheels_hold_the_library_and_nothing_else(wheels, members):
    for member in members:
        with zipfile.ZipFile(wheels[member.import_name]) as wheel:
            names = [Path(name) for name in wheel.namelist() if not name.endswith("/")]
        library = {name for name in names if name.parts[0] == member.import_name}
        others = {name.parts[1:] for name in names if name not in library}
        assert others == {("licenses", "LICENSE"), ("WHEEL",), ("METADATA",), ("RECORD",), ("entry_points.txt",)}
        assert {name.relative_to(member.import_name) for name in library} == {
            path.relative_to(member.source)
            for path in member.source.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert Path(member.import_name, "py.typed") in library
        assert {name.suffix for name in library} <= SHIPPED
        # Those that the scaffold writes into a new package are templates, and no tests of this one.
        assert not any("tests" in name.parts for name in library if "scaffold" not in name.parts)


def test_the_core_ships_its_templates_and_its_catalogue_of_data(wheels):
    with zipfile.ZipFile(wheels["irworks"]) as wheel:
        names = set(wheel.namelist())
    assert {"irworks/data/catalog.toml", "irworks/report/templates/claims.html.j2"} <= names


def test_torch_and_ray_are_not_installed(installed, workshop):
    code = "from importlib.util import find_spec; print(*map(find_spec, ['torch', 'ray']))"
    assert workshop.output(installed / "python", "-c", code).split() == ["None", "None"]


def test_the_wheels_are_what_is_imported(installed, workshop, members, root):
    for member in members:
        found = workshop.output(installed / "python", "-c", f"import {member.import_name} as m; print(m.__file__)")
        assert Path(found.strip()).is_relative_to(installed.parent)
        assert not Path(found.strip()).is_relative_to(root)


def test_the_command_lines_answer(installed, workshop, members):
    irworks, *packages = members
    assert workshop.output(installed / "irworks", "--version").split() == ["irworks", irworks.project["version"]]
    for package in packages:
        (program,) = package.project["scripts"]
        assert "Usage" in workshop.output(installed / program, "--help")


def test_the_claims_of_the_installed_packages_are_found(installed, workshop, members):
    listed = json.loads(workshop.output(installed / "irworks", "list", "--json"))
    assert [entry["package"] for entry in listed["packages"]] == [package.name for package in members[1:]]
    assert all(entry["claims"] for entry in listed["packages"])
    assert listed["broken"] == {}


def test_the_readme_examples_run(installed, workshop, members):
    for member in members:
        readme = (member.folder / "README.md").read_text(encoding="utf-8")
        example = re.search(r"^```python\n(.*?)^```", readme, flags=re.DOTALL | re.MULTILINE)
        assert example, f"{member.name}: no python example in its README"
        assert workshop.output(installed / "python", "-c", example.group(1)).strip()


def test_importing_is_quick_and_brings_no_torch(installed, workshop, package):
    python = installed / "python"
    assert workshop.import_seconds(python, "irworks", limit=0.3) < 0.3
    assert workshop.import_seconds(python, package.import_name, limit=1.0) < 1.0
    assert "torch" not in workshop.loaded_by(python, package.import_name)
