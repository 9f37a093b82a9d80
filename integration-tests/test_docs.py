"""The documents: every page of the site is built without a warning, and every example in it runs as it stands."""

import contextlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from irworks.data import catalog
from irworks.errors import DownloadError
from irworks.testing import Readme

PAGES = sorted(path for path in (Path(__file__).parents[1] / "docs").rglob("*.md") if path.parent.name != "reference")
EXAMPLES = [path for path in PAGES if Readme(path).blocks("python")]

# An example, with what it prints if that is there.
OUTPUT = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n.*?^```\n)?", flags=re.DOTALL | re.MULTILINE)

# A block that is not run as it stands, and where it is run instead.
ELSEWHERE = {
    "pip install uv && uv run irworks reproduce": "test_house.py: the command is the README's, which CI runs",
    "pip install ltr-twotower": "test_wheels.py installs every wheel in an environment of its own",
    "pip install cltr-twostage": "test_wheels.py",
    "pip install recgaze": "test_wheels.py",
    "pip install rec-unlearn": "test_wheels.py",
    "pip install amharic-ir": "test_wheels.py",
    "pip install 'amharic-ir[dense]'": "test_wheels.py",
    "uv run python -m irworks.scaffold": "test_scaffold.py runs these on a package of another name",
    "uv lock": "test_scaffold.py",
    "uv run pytest packages/negir": "test_scaffold.py",
    "uv run irworks reproduce negir": "test_scaffold.py",
}


@pytest.fixture
def data():
    """The data sets that the tutorials use, or a skip where they are neither here nor can be fetched."""
    for name in ("obd", "letor", "lund2013", "carousel-selections", "tafeng", "amqa"):
        try:
            catalog.locate(name, offline=not os.environ.get("IRWORKS_TEST_NETWORK"))
        except DownloadError as error:
            pytest.skip(f"{name}: {error}")


@pytest.mark.data
@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.stem)
def test_a_page_shows_what_its_examples_print(page, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    text = re.sub(OUTPUT, lambda found: shown(found[1], names), page.read_text(encoding="utf-8"))
    if os.environ.get("IRWORKS_UPDATE_DOCS"):
        page.write_text(text, encoding="utf-8")
    there, here = words(page.read_text(encoding="utf-8")), words(text)
    assert len(there) == len(here)
    for one, other in zip(there, here, strict=True):
        # Libraries of linear algebra differ in their last digits, and the sums of a long fit with them.
        assert other == (pytest.approx(one, rel=0.02, abs=0.02) if isinstance(one, float) else one)


def shown(example, names):
    """An example and what it prints, as a page has it."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(example, "page.md", "exec"), names)
    output = f"\n```text\n{printed.getvalue().rstrip()}\n```\n" if printed.getvalue().strip() else ""
    return f"```python\n{example}```\n{output}"


def words(text):
    """The words of a text, numbers as numbers."""
    parts = re.split(r"(-?\d+\.?\d*(?:e[+-]?\d+)?)|\s+", text)
    return [float(part) if re.fullmatch(r"-?\d+\.?\d*(e[+-]?\d+)?", part) else part for part in parts if part]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_is_run(page, tmp_path):
    for block in Readme(page).blocks("bash"):
        for line in block.splitlines():
            if any(line.startswith(known) for known in ELSEWHERE):
                continue
            program, *words = line.split()
            assert program == "irworks", line
            if words[:2] == ["data", "get"]:
                words += ["--help"]  # fetched by the fixture above
            command = [Path(sys.executable).with_name(program), *words]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_no_block_is_of_a_kind_that_nothing_runs():
    for page in PAGES:
        kinds = set(re.findall(r"^```(\w*)\n", page.read_text(encoding="utf-8"), flags=re.MULTILINE)) - {""}
        assert kinds <= {"python", "bash", "toml", "text"}, page


def test_every_package_has_its_page_and_its_reference(root, members):
    for member in members[1:]:
        assert (root / "docs" / "packages" / f"{member.name}.md").is_file()
        assert f"::: {member.import_name}\n" in (root / "docs" / "reference" / f"{member.import_name}.md").read_text()


def test_the_first_page_tells_claims_that_failed_from_those_that_were_not_run(root, tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("hooks", root / "docs" / "hooks.py")
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    monkeypatch.setattr(hooks, "REPORT", tmp_path)
    assert "irworks reproduce" in hooks.verdicts()
    outcomes = [
        ("one", "reproduced", None),
        ("one", "not run", None),
        ("one", "not run", "Traceback"),
        ("two", "partly", None),
    ]
    claims = [dict(zip(("package", "verdict", "error"), outcome, strict=True)) for outcome in outcomes]
    (tmp_path / "results.json").write_text(json.dumps({"scale": "small", "claims": claims}))
    header, _, one, two = hooks.verdicts().splitlines()[:4]
    assert header == "| package | reproduced | partly | not run | errored |"
    assert one.endswith("| 1 |  | 1 | 1 |")
    assert two.endswith("|  | 1 |  |  |")


def test_the_site_is_built_without_a_warning(root, tmp_path):
    mkdocs = shutil.which("mkdocs", path=Path(sys.executable).parent)
    if mkdocs is None:
        pytest.skip("mkdocs is not installed")
    command = [mkdocs, "build", "--strict", "--site-dir", tmp_path / "site"]
    clean = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=root, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    page = (tmp_path / "site" / "reference" / "ltr_twotower" / "index.html").read_text(encoding="utf-8")
    assert "check_identifiability" in page
