"""A package that was added by the scaffold installs, passes every check, and is in the report, as it stands."""

import json
import subprocess
import tarfile
from dataclasses import replace

import pytest

NAME = "eleventh-paper"


@pytest.fixture(scope="module")
def clone(root, uv, workshop, tmp_path_factory):
    """A shell in a copy of the working tree with an eleventh package, and an environment that has it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("the working tree is no git checkout")
    folder = tmp_path_factory.mktemp("clone")
    archive = folder.with_suffix(".tar")
    with tarfile.open(archive, "w") as bundle:
        for name in listed.stdout.splitlines():
            if (root / name).is_file():
                bundle.add(root / name, name)
    with tarfile.open(archive) as bundle:
        bundle.extractall(folder, filter="data")
    shell = replace(workshop, folder=folder)
    shell.output(uv, "sync", "--quiet", "--locked")
    shell.output(uv, "run", "--no-sync", "python", "-m", "irworks.scaffold", NAME, "--title", "On Eleven Papers")
    shell.output(uv, "lock", "--quiet")
    shell.output(uv, "sync", "--quiet", "--locked")
    return shell


@pytest.fixture(scope="module")
def run(clone, uv):
    """Runs a tool of the copy's environment; it has to succeed."""
    return lambda *command: clone.output(uv, "run", "--no-sync", *command)


def test_it_passes_the_checks_of_the_house(run):
    run("ruff", "check", f"packages/{NAME}")
    run("ruff", "format", "--check", f"packages/{NAME}")
    run("mypy", f"packages/{NAME}/src")
    run("lint-imports", "--no-cache")


def test_its_own_tests_pass_and_those_of_the_plan_and_of_its_page(run):
    page = f"integration-tests/test_docs.py::test_a_page_shows_what_its_examples_print[{NAME}]"
    places = [f"packages/{NAME}", "integration-tests/test_house.py", page]
    printed = run("pytest", "-q", "-n", "0", *places, "-k", "not quick_and_light")
    assert " passed" in printed
    assert " failed" not in printed


def test_it_is_listed_and_its_claim_is_in_the_report(run, clone):
    listed = json.loads(run("irworks", "list", "--json"))
    assert NAME in {package["package"] for package in listed["packages"]}
    run("irworks", "reproduce", NAME, "--scale", "smoke", "--out", "report")
    (claim,) = json.loads((clone.folder / "report" / "results.json").read_text(encoding="utf-8"))["claims"]
    assert claim["verdict"] == "reproduced"
    page = (clone.folder / "report" / "index.html").read_text(encoding="utf-8")
    assert "On Eleven Papers" in page
    assert f'id="{NAME}-{claim["id"]}"' in page
