"""Lists of words of the Ge'ez Frontier Foundation."""

from collections.abc import Iterator
from pathlib import Path

from irworks.data.text_rows import lines
from irworks.errors import DataError

__all__ = ["abbreviations", "homonyms"]

# How the files are called here, and in the repository.
_HOMONYMS = ("homonyms.txt", "amharic/homonyms/GirmaGetahun-Homonyms-20071124.txt")
_ABBREVIATIONS = ("abbreviations.txt", "amharic/abbreviations/Lingua-AM-Abbreviate-19990516.txt")


def homonyms(path: str | Path) -> list[tuple[str, ...]]:
    """Words that are spelled in several ways, each with two spellings at least (Girma Getahun's list: 106).

    Args:
        path: homonyms.txt, its folder, or a copy of the repository: spellings with tabs between.

    Raises:
        DataError: There is no such file, or nothing is in it.
    """
    rows = [tuple(part for part in parts if part) for _, _, parts in _rows(Path(path), _HOMONYMS)]
    return [row for row in rows if len(row) > 1]


def abbreviations(path: str | Path) -> dict[str, str]:
    """Abbreviations and what they stand for (30).

    Args:
        path: abbreviations.txt, its folder, or a copy of the repository: short form, tab, what it stands for.

    Raises:
        DataError: There is no such file, or a line has other fields.
    """
    found: dict[str, str] = {}
    for file, place, parts in _rows(Path(path), _ABBREVIATIONS):
        if len(parts) != 2 or not all(parts):
            raise DataError("no abbreviation", source=file, row=place, found=parts, expected="short<tab>full")
        found[parts[0]] = parts[1]
    return found


def _rows(path: Path, names: tuple[str, ...]) -> Iterator[tuple[Path, str, list[str]]]:
    file = path if path.is_file() else next((path / name for name in names if (path / name).is_file()), path / names[0])
    empty = True
    for place, line in lines(file):
        if line.strip():
            empty = False
            yield file, place, [part.strip() for part in line.rstrip("\r\n").split("\t")]
    if empty:
        raise DataError("nothing is in it", source=file)
