"""The files of a new package."""

import keyword
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from irworks.errors import ArgumentError, MissingDependencyError
from irworks.runtime import atomic_folder
from irworks.scaffold.workspace import Workspace

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["Names", "add_package"]

_KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Names:
    """What a package is called, and the paper that it implements.

    Attributes:
        name: Of the distribution, its folder and its command, in kebab-case.
        title: Of the paper.
        authors: As they should be cited.
        venue: Where the paper appeared.
        year: Of publication.
        url: Where the paper can be read.

    Raises:
        ArgumentError: The name is not kebab-case, or Python cannot import it, or imports something else by it; or a
            text is empty, or not one line without double quotes and backslashes.
    """

    name: str
    title: str
    authors: str
    venue: str
    year: int
    url: str

    def __post_init__(self) -> None:
        if not _KEBAB.fullmatch(self.name) or keyword.iskeyword(self.name):
            raise ArgumentError(
                f"name={self.name!r}; expected kebab-case that Python can import, such as dense-scaling"
            )
        if self.import_name in sys.stdlib_module_names or find_spec(self.import_name) is not None:
            raise ArgumentError(f"name={self.name!r}, which is a module here already; expected a new name")
        for field in ("title", "authors", "venue", "url"):
            text = getattr(self, field)
            if not text.strip() or re.search(r'["\\\n]', text):
                raise ArgumentError(f"{field}={text!r}; expected one line without double quotes and backslashes")

    @property
    def import_name(self) -> str:
        """What Python imports."""
        return self.name.replace("-", "_")

    def fill(self, text: str) -> str:
        """A text of the template with `${name}` and its like filled in."""
        literals = {f"{field}_literal": _literal(getattr(self, field)) for field in ("title", "authors")}
        return Template(text).substitute(self.__dict__, import_name=self.import_name, **literals)


def _literal(text: str) -> str:
    """A text as Python writes it, on as many lines as it needs."""
    parts = textwrap.wrap(text, 90, break_on_hyphens=False, break_long_words=False)
    if len(parts) == 1:
        return f'"{text}"'
    lines = [f'            "{part} "' for part in parts[:-1]] + [f'            "{parts[-1]}"']
    return "\n".join(["(", *lines, "        )"])


def add_package(workspace: Workspace, names: Names) -> Path:
    """Write a package that works into `packages/<name>`, its pages into `docs`, and name it where packages are named.

    Args:
        workspace: The clone.
        names: Of the package and its paper.

    Returns:
        The folder of the package.

    Raises:
        ArgumentError: There is such a package already.
        DataError: A file that names the packages is not what it was when this was written.
        MissingDependencyError: tomlkit or ruff is not installed. On this error, as on any other, nothing is changed.
    """
    ruff = _ruff()
    folder = workspace.root / "packages" / names.name
    if folder.exists():
        raise ArgumentError(f"{folder.relative_to(workspace.root)} is there already; expected a new name")
    texts = workspace.naming(names)
    template = resources.files("irworks.scaffold") / "template" / "docs"
    texts[f"docs/packages/{names.name}.md"] = _filled(template / "page.md.txt", names)
    texts[f"docs/reference/{names.import_name}.md"] = _filled(template / "reference.md.txt", names)
    with atomic_folder(folder) as draft:
        _write_package(workspace, names, draft)
        _tidy(draft, ruff)
    try:
        workspace.write(texts)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _write_package(workspace: Workspace, names: Names, folder: Path) -> None:
    for place, text in _files(names):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text, encoding="utf-8")
    shutil.copyfile(workspace.root / "LICENSE", folder / "LICENSE")


def _ruff() -> str:
    """The program, of this environment or, if that has none, of the system."""
    beside = str(Path(sys.executable).parent)
    ruff = shutil.which("ruff", path=beside) or shutil.which("ruff")
    if ruff is None:
        raise MissingDependencyError("ruff", "adding a package", "irworks[scaffold]")
    return ruff


def _tidy(folder: Path, ruff: str) -> None:
    """Order imports and break lines, which depend on how long the name is and where the alphabet puts it."""
    for command in (["check", "--select", "I", "--fix"], ["format"]):
        subprocess.run([ruff, *command, "--quiet", "--no-cache", folder], check=False)


def _files(names: Names) -> Iterator[tuple[Path, str]]:
    """Place and text of each file."""
    template = resources.files("irworks.scaffold") / "template"
    source = Path("src") / names.import_name
    yield source / "py.typed", ""
    for folder, place in ((template, Path()), (template / "source", source), (template / "tests", Path("tests"))):
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if entry.is_file():
                yield place / entry.name.removesuffix(".txt"), _filled(entry, names)


def _filled(entry: "Traversable", names: Names) -> str:
    return names.fill(entry.read_text(encoding="utf-8"))
