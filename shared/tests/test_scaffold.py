"""Adding a package to a clone; that what is added installs and passes every check is shown in `integration-tests`."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from irworks.errors import ArgumentError, DataError, MissingDependencyError
from irworks.runtime import atomic_write
from irworks.scaffold import Names, Workspace, add_package
from irworks.scaffold.__main__ import app
from irworks.testing import Readme, run_main

ROOT = Path(__file__).parents[2]
SHARED = ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE")


def names(name="eleventh-paper", **changes):
    paper = {"title": "On Eleven", "authors": "E. Leven", "venue": "ECIR", "year": 2025, "url": "https://example.org"}
    return Names(name, **{**paper, **changes})


@pytest.fixture
def workspace(tmp_path):
    """What of the clone names its packages."""
    for file in SHARED:
        (tmp_path / file).write_bytes((ROOT / file).read_bytes())
    return Workspace.around(tmp_path)


def texts(workspace):
    return {file: (workspace.root / file).read_text(encoding="utf-8") for file in SHARED}


@pytest.mark.parametrize("name", ["aa-first", "eleventh-paper", "zz-last"])
def test_a_package_is_named_wherever_packages_are_named(workspace, name):
    before = tomllib.loads(texts(workspace)["pyproject.toml"])
    workspace.write(workspace.naming(names(name)))
    after, imported = tomllib.loads(texts(workspace)["pyproject.toml"]), name.replace("-", "_")
    assert set(after["project"]["dependencies"]) == {*before["project"]["dependencies"], name}
    assert after["tool"]["uv"]["sources"][name] == {"workspace": True}
    rules, earlier = after["tool"]["importlinter"], before["tool"]["importlinter"]
    assert set(rules["root_packages"]) == {*earlier["root_packages"], imported}
    assert rules["root_packages"][0] == "irworks"
    contracts = {contract["id"]: contract for contract in rules["contracts"]}
    assert imported in contracts["packages"]["layers"][0].split(" | ")
    assert f"{imported}.claims" in contracts["claims"]["protected_modules"]
    assert (
        f"| [`{name}`](packages/{name}/README.md) | On Eleven (ECIR 2025) | available |"
        in texts(workspace)["README.md"]
    )
    assert f"\n## {name}\n" in texts(workspace)["CHANGELOG.md"]


def test_nothing_else_of_those_files_changes(workspace):
    before = texts(workspace)
    workspace.write(workspace.naming(names()))
    for file, text in texts(workspace).items():
        kept = [line for line in before[file].splitlines() if line in text]
        changed = {"pyproject.toml": 6}.get(file, 0)
        assert len(before[file].splitlines()) - len(kept) <= changed


def test_a_planned_package_becomes_available(workspace):
    readme = workspace.root / "README.md"
    readme.write_text(texts(workspace)["README.md"] + "\n| `eleventh-paper` | eleven | planned |\n", encoding="utf-8")
    workspace.write(workspace.naming(names()))
    assert readme.read_text(encoding="utf-8").count("eleventh-paper") == 2
    assert "eleven | planned" not in readme.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", ["pyproject.toml", "README.md"])
def test_a_file_that_has_changed_its_form_changes_none(workspace, file):
    spoilt = {"pyproject.toml": "[tool.uv.workspace]\nmembers = []\n", "README.md": "# no table\n"}[file]
    (workspace.root / file).write_text(spoilt, encoding="utf-8")
    before = texts(workspace)
    with pytest.raises(DataError, match=file):
        add_package(workspace, names())
    assert texts(workspace) == before
    assert not (workspace.root / "packages").exists()


def everything(folder):
    """All files below a folder, with their content."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bar_in_a_title_ends_no_cell_of_the_table(workspace):
    workspace.write(workspace.naming(names(title="P(click | rank)")))
    (row,) = [line for line in texts(workspace)["README.md"].splitlines() if "eleventh-paper" in line]
    assert r"| P(click \| rank) (ECIR 2025) |" in row


def test_a_long_word_stays_whole():
    word = "https://example.org/" + "x" * 100
    filled = names(title=f"On {word} and so on").fill("title = ${title_literal}")
    variables = {}
    exec(filled, variables)
    assert variables["title"] == f"On {word} and so on"


def test_what_is_added_is_in_order_whatever_its_name(workspace):
    for name in ("aa-first", "zz-lists-of-lists"):
        folder = add_package(workspace, names(name))
        for command in (["check", "--quiet"], ["format", "--check", "--quiet"]):
            subprocess.run([Path(sys.executable).with_name("ruff"), *command, folder], check=True)


def test_the_readme_of_a_new_package_has_every_section_that_is_asked_for(workspace):
    readme = Readme(add_package(workspace, names()) / "README.md")
    for title in ("Install", "Command line", "How it scales", "Inside", "Citation"):
        assert readme.section(title).strip()


def test_without_ruff_nothing_is_added(workspace, monkeypatch):
    before = everything(workspace.root)
    monkeypatch.setattr("shutil.which", lambda *arguments, **options: None)
    with pytest.raises(MissingDependencyError, match=r"needs ruff.*irworks\[scaffold\]"):
        add_package(workspace, names())
    assert everything(workspace.root) == before


@pytest.mark.parametrize("failing", ["pyproject.toml", "README.md", "docs/reference/eleventh_paper.md"])
def test_where_a_file_cannot_be_written_nothing_is_added(workspace, monkeypatch, failing):
    before, full = everything(workspace.root), [workspace.root / failing]

    def write(path, whole=atomic_write):
        if path in full:
            full.remove(path)
            raise OSError(28, "No space left on device", str(path))
        return whole(path)

    monkeypatch.setattr("irworks.scaffold.workspace.atomic_write", write)
    with pytest.raises(OSError, match="No space left"):
        add_package(workspace, names())
    assert everything(workspace.root) == before
    assert not list((workspace.root / "packages").iterdir())


def test_a_package_that_is_there_is_not_written_over(workspace):
    folder = add_package(workspace, names())
    assert (folder / "src" / "eleventh_paper" / "py.typed").is_file()
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert "# eleventh-paper" in (workspace.root / "docs/packages/eleventh-paper.md").read_text(encoding="utf-8")
    assert "::: eleventh_paper" in (workspace.root / "docs/reference/eleventh_paper.md").read_text(encoding="utf-8")
    (folder / "README.md").write_text("mine", encoding="utf-8")
    with pytest.raises(ArgumentError, match=r"packages/eleventh-paper is there already"):
        add_package(workspace, names())
    assert (folder / "README.md").read_text(encoding="utf-8") == "mine"
    assert [path.name for path in folder.parent.iterdir()] == ["eleventh-paper"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Eleventh"}, "kebab-case"),
        ({"name": "eleventh_paper"}, "kebab-case"),
        ({"name": "11th"}, "kebab-case"),
        ({"name": "class"}, "kebab-case"),
        *(({"name": name}, "is a module here already") for name in ("irworks", "numpy", "json", "test")),
        ({"title": 'On "Eleven"'}, "title="),
        ({"authors": "A\nB"}, "authors="),
        ({"venue": " "}, "venue="),
    ],
)
def test_names_that_would_break_the_package_are_refused(changes, message):
    with pytest.raises(ArgumentError, match=message):
        names(**changes)


def test_outside_a_clone_the_command_says_so(tmp_path):
    with pytest.raises(ArgumentError, match="expected a folder in a clone of irworks"):
        Workspace.around(tmp_path)


def test_the_command_says_what_to_do_next(workspace):
    done = run_main(app, "scaffold", "eleventh-paper", "--root", workspace.root)
    assert done.status == 0
    assert "packages/eleventh-paper is there" in done.out
    assert "uv run pytest packages/eleventh-paper" in done.out
