"""The files of a clone that name every package."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irworks.errors import ArgumentError, DataError, MissingDependencyError
from irworks.runtime import atomic_write

if TYPE_CHECKING:
    from irworks.scaffold.package import Names

__all__ = ["Workspace"]


@dataclass(frozen=True)
class Workspace:
    """A clone of the repository.

    Attributes:
        root: Its folder.
    """

    root: Path

    @classmethod
    def around(cls, folder: Path) -> "Workspace":
        """The clone that a folder is in.

        Raises:
            ArgumentError: It is in none.
        """
        start = folder.resolve()
        for place in (start, *start.parents):
            file = place / "pyproject.toml"
            if file.is_file() and "[tool.uv.workspace]" in file.read_text(encoding="utf-8"):
                return cls(place)
        raise ArgumentError(f"root={str(start)!r}; expected a folder in a clone of irworks")

    def naming(self, names: "Names") -> dict[str, str]:
        """The files that name all packages, by their place, as they are with one more.

        Raises:
            DataError: A file is not what it was when this was written.
            MissingDependencyError: tomlkit is not installed.
        """
        changes: dict[str, Callable[[str, Names], str]] = {
            "pyproject.toml": _in_settings,
            "README.md": _in_table,
            "CHANGELOG.md": _in_changelog,
        }
        return {file: change((self.root / file).read_text(encoding="utf-8"), names) for file, change in changes.items()}

    def write(self, texts: Mapping[str, str]) -> None:
        """Write files, each whole; where one cannot be, those before it become what they were."""
        before: dict[Path, str | None] = {}
        try:
            for file, text in texts.items():
                path = self.root / file
                before[path] = path.read_text(encoding="utf-8") if path.exists() else None
                _write(path, text)
        except BaseException:
            for path, text_before in before.items():
                if text_before is None:
                    path.unlink(missing_ok=True)
                else:
                    _write(path, text_before)
            raise


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as handle:
        handle.write(text)


def _in_settings(text: str, names: "Names") -> str:
    try:
        import tomlkit
    except ImportError as error:
        raise MissingDependencyError("tomlkit", "adding a package", "irworks[scaffold]") from error
    document: Any = tomlkit.parse(text)
    try:
        tool = document["tool"]
        _insert(document["project"]["dependencies"], names.name)
        tool["uv"]["sources"][names.name] = tomlkit.parse("source = { workspace = true }")["source"]
        _insert(tool["pytest"]["ini_options"]["filterwarnings"], f"error::DeprecationWarning:{names.import_name}")
        rules = tool["importlinter"]
        _insert(rules["root_packages"], names.import_name)
        contracts = {str(contract["id"]): contract for contract in rules["contracts"]}
        apart = [*contracts["packages"]["layers"][0].split(" | "), names.import_name]
        contracts["packages"]["layers"][0] = " | ".join(sorted(apart))
        _insert(contracts["claims"]["protected_modules"], f"{names.import_name}.claims")
    except KeyError as error:
        raise DataError("a table is missing", source="pyproject.toml", found=f"no {error}", expected="it") from None
    return tomlkit.dumps(document)


def _insert(array: Any, entry: str) -> None:
    """Insert an entry where the alphabet wants it; the core, where it leads, goes on to."""
    entries = [*map(str, array), entry]
    core = [one for one in entries[:1] if "irworks" in one]
    array.clear()
    array.extend([*core, *sorted(entries[len(core) :])])


def _in_table(text: str, names: "Names") -> str:
    # In a table, a bar ends the cell.
    paper = f"{names.title} ({names.venue} {names.year})".replace("|", r"\|")
    row = f"| [`{names.name}`](packages/{names.name}/README.md) | {paper} | available |"
    planned = re.compile(rf"^\| `{re.escape(names.name)}` \|.*$", flags=re.MULTILINE)
    if planned.search(text):
        return planned.sub(lambda _: row, text, count=1)
    rows = list(re.finditer(r"^\| \[?`.*\|$", text, flags=re.MULTILINE))
    if not rows:
        raise DataError("the table of packages is missing", source="README.md", expected="rows that begin with | `")
    return f"{text[: rows[-1].end()]}\n{row}{text[rows[-1].end() :]}"


def _in_changelog(text: str, names: "Names") -> str:
    section = f"## {names.name}\n\n### 0.1.0, unreleased\n\nFirst version, after *{names.title}* ({names.authors}).\n\n"
    first = re.search(r"^## ", text, flags=re.MULTILINE)
    return text + f"\n{section}" if first is None else text[: first.start()] + section + text[first.start() :]
