"""What the integration tests share: the packages of the workspace, and child processes as a user would start them."""

import os
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
HIDDEN = {"PYTHONPATH", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "IRWORKS_DATA"}


@dataclass(frozen=True)
class Member:
    """One distribution of the workspace, with its pyproject.toml."""

    folder: Path
    config: Mapping[str, Any]

    @property
    def project(self) -> Mapping[str, Any]:
        return self.config["project"]

    @property
    def name(self) -> str:
        return self.project["name"]

    @property
    def source(self) -> Path:
        (initialiser,) = self.folder.glob("src/*/__init__.py")
        return initialiser.parent

    @property
    def import_name(self) -> str:
        return self.source.name


def _member(folder: Path) -> Member:
    return Member(folder, tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")))


CORE = _member(ROOT / "shared")
PACKAGES = [_member(path.parent) for path in sorted(ROOT.glob("packages/*/pyproject.toml"))]


@dataclass(frozen=True)
class Shell:
    """Starts commands in a folder, without the variables of the environment that the tests run in."""

    folder: Path

    def __call__(self, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command; whether it succeeded is in `returncode`."""
        clean = {name: value for name, value in os.environ.items() if name not in HIDDEN}
        return subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env={**clean, "OMP_NUM_THREADS": "1", **variables},
            capture_output=True,
            text=True,
            timeout=300,
        )

    def output(self, *command: str | Path, **variables: str) -> str:
        """Run a command that has to succeed and return what it printed."""
        done = self(*command, **variables)
        assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def import_seconds(self, interpreter: str | Path, module: str, *, limit: float, attempts: int = 4) -> float:
        """Import a module in fresh processes; the least processor time that it took.

        Processor time, as a machine that is busy with something else says nothing about the package. It grows a little
        with the load all the same: the first import within `limit` is enough.
        """
        code = f"import time; begin = time.process_time(); import {module}; print(time.process_time() - begin)"
        quickest = float("inf")
        for _ in range(attempts):
            quickest = min(quickest, float(self.output(interpreter, "-c", code)))
            if quickest < limit:
                break
        return quickest

    def loaded_by(self, interpreter: str | Path, *modules: str) -> set[str]:
        """Import modules in a fresh process; the top-level modules that are loaded then."""
        code = f"import sys, {', '.join(modules)}; print(*{{name.partition('.')[0] for name in sys.modules}})"
        return set(self.output(interpreter, "-c", code).split())


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def members() -> list[Member]:
    """The core, then the packages."""
    return [CORE, *PACKAGES]


@pytest.fixture(params=PACKAGES, ids=lambda package: package.name)
def package(request: pytest.FixtureRequest) -> Member:
    """Each package in turn."""
    return request.param


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell in an empty folder outside the workspace."""
    return Shell(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="session")
def uv() -> str:
    found = os.environ.get("UV") or shutil.which("uv")
    if not found:
        pytest.skip("uv is not installed")
    return found
