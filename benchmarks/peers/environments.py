"""Environments of peers: made by uv on first use under `benchmarks/.envs/`, apart from the workspace and its lock.

Standard library only: benchmarks import it, and tests load it by path.
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent.parent / ".envs"
HOUR = 3600


class PeerUnavailableError(Exception):
    """A peer's environment cannot be made; the message says why."""


@dataclass(frozen=True)
class PeerEnvironment:
    """What an environment holds.

    Attributes:
        name: Folder under `benchmarks/.envs/`.
        label: What the peer is called in output.
        python: Interpreters that will do, as uv reads them.
        steps: Arguments of `uv pip install`, one list for each call, in order.
        fallback: Steps to take where `steps` fail. Default: none.
    """

    name: str
    label: str
    python: str
    steps: tuple[tuple[str, ...], ...]
    fallback: tuple[tuple[str, ...], ...] = ()

    def interpreter(self, folder: Path = FOLDER, seconds: float = HOUR) -> Path:
        """The interpreter of the environment, which is made if it is not there or holds other packages.

        Args:
            folder: Where environments live.
            seconds: What one call of uv may take.

        Raises:
            PeerUnavailableError: No uv, no such interpreter, or the packages cannot be had.
        """
        home = folder / self.name
        if self._stands(home):
            return _python(home)
        uv = os.environ.get("UV") or shutil.which("uv")
        if uv is None:
            raise PeerUnavailableError("uv is not on the path: pip install uv")
        folder.mkdir(parents=True, exist_ok=True)
        # Made aside and renamed: a second process that makes it meanwhile, or a kill, leaves no half of one.
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{self.name}-") as scratch:
            made = Path(scratch) / self.name
            failure = self._make(uv, made, seconds)
            if failure:
                raise PeerUnavailableError(f"the environment of {self.label} cannot be made: {failure}")
            shutil.rmtree(home, ignore_errors=True)
            try:
                made.rename(home)
            except OSError as error:
                if not self._stands(home):
                    raise PeerUnavailableError(f"the environment of {self.label} cannot be kept: {error}") from None
        return _python(home)

    def _stands(self, home: Path) -> bool:
        stamp = home / "requirements.txt"
        return stamp.exists() and stamp.read_text() == self._wanted() and _python(home).exists()

    def _wanted(self) -> str:
        return "".join(" ".join(step) + "\n" for step in self.steps)

    def _make(self, uv: str, home: Path, seconds: float) -> str | None:
        """Make the environment; uv's message if it failed."""
        failure = _uv_failure([uv, "venv", "--no-project", "--python", self.python, str(home)], seconds)
        if failure:
            return failure
        failure = self._install(uv, home, self.steps, seconds)
        if failure and self.fallback:
            failure = self._install(uv, home, self.fallback, seconds)
        if failure is None:
            (home / "requirements.txt").write_text(self._wanted())
        return failure

    def _install(self, uv: str, home: Path, steps: tuple[tuple[str, ...], ...], seconds: float) -> str | None:
        for step in steps:
            failure = _uv_failure([uv, "pip", "install", "--python", str(_python(home)), *step], seconds)
            if failure:
                return failure
        return None


_CLAX = ("clax-models==0.1.1", "jax==0.7.2", "jaxlib==0.7.2", "flax==0.11.2", "optax==0.2.8")

_LENSKIT = ("lenskit==2025.8.1", "numpy==2.4.6", "scipy==1.17.1", "pandas==2.3.3")
_RECBOLE = (
    *("recbole==1.2.1", "numpy==1.26.4", "torch==2.5.1", "ray==2.6.3", "pandas==2.2.3", "scipy==1.13.1"),
    *("scikit-learn==1.5.2", "setuptools<81"),
)
_PYLATE = ("pylate==1.6.0", "numpy==2.4.6")

CLAX = PeerEnvironment(
    name="clax",
    label="CLAX",
    python=">=3.11,<3.14",
    # CLAX uses torch's DataLoader only: the build without CUDA is ten times smaller, but stands on torch's own index.
    steps=(("--torch-backend", "cpu", *_CLAX),),
    fallback=(_CLAX,),
)

OBP = PeerEnvironment(
    name="obp",
    label="Open Bandit Pipeline",
    python=">=3.10,<3.12",
    # obp declares Python below 3.11 and torch 1.12, and needs neither for its slate estimators: without its
    # dependencies, as if for 3.10. What the estimators do need has the versions that obp pins.
    steps=(
        ("--no-deps", "--python-version", "3.10", "obp==0.5.7"),
        ("numpy==1.23.5", "pandas==1.5.2", "scikit-learn==1.1.3", "scipy==1.9.3"),
    ),
)

PYMOVEMENTS = PeerEnvironment(
    name="pymovements",
    label="pymovements",
    python=">=3.11,<3.14",
    steps=(("pymovements==0.28.0", "numpy==2.4.6", "polars==2.1.0"),),
)


LENSKIT = PeerEnvironment(
    name="lenskit",
    label="LensKit",
    python=">=3.11,<3.14",
    # Of torch it needs one factorisation: as above, the build without CUDA where it can be had.
    steps=(("--torch-backend", "cpu", *_LENSKIT),),
    fallback=(_LENSKIT,),
)

RECBOLE = PeerEnvironment(
    name="recbole",
    label="RecBole",
    python=">=3.10,<3.13",
    # RecBole 1.2.1 names types that NumPy 2 no longer has, loads files as torch before 2.6 did, and imports
    # pkg_resources, which newer setuptools do not bring; it is older than pandas 3.
    steps=(("--torch-backend", "cpu", *_RECBOLE),),
    fallback=(_RECBOLE,),
)

# The workspace has bm25s too, as an oracle; this one has what makes its search fast.
BM25S = PeerEnvironment(
    name="bm25s",
    label="bm25s with numba",
    python=">=3.11,<3.14",
    steps=(("bm25s==0.3.16", "numba==0.68.1", "numpy==2.4.6", "scipy==1.17.1"),),
)

PYLATE = PeerEnvironment(
    name="pylate",
    label="PyLate",
    python=">=3.11,<3.14",
    # It pins torch back, so that the workspace cannot have it beside its own: as above, without CUDA if possible.
    steps=(("--torch-backend", "cpu", *_PYLATE),),
    fallback=(_PYLATE,),
)


def _python(home: Path) -> Path:
    return home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _uv_failure(command: list[str], seconds: float) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (last_line(done.stderr) or f"exit code {done.returncode}")


def last_line(text: str) -> str:
    """The last line that says something: the exception of a traceback, the error of uv without its hints."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("hint:")]
    return lines[-1] if lines else ""
