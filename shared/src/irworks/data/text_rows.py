"""Rows and elements of text files, each with the line where it stands."""

import csv
import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from irworks.errors import DataError

__all__ = ["Row", "blocks", "elements", "field", "json_file", "json_rows", "label", "lines", "rows_of", "table_rows"]

# How to speak of it, and what it holds.
Row = tuple[str, Mapping[str, Any]]

_ELEMENT = re.compile(r"(?is)<(?P<name>docno|doc_no|num|title|text|headline|body|desc|narr)[^>]*>(?P<value>.*?)(?=<|$)")
_LARGEST_FIELD = 1 << 24


def lines(source: Path) -> Iterator[tuple[str, str]]:
    """Lines of a text file, with how to speak of them."""
    if not source.is_file():
        raise DataError("no such file", source=source)
    with source.open("rb") as handle:
        for number, raw in enumerate(handle, start=1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise DataError(
                    "not UTF-8",
                    source=source,
                    row=f"line {number}",
                    found=raw[error.start : error.start + 1],
                    expected="text in UTF-8",
                    hint="Convert it first",
                ) from None
            yield f"line {number}", line


def json_rows(source: Path) -> Iterator[Row]:
    """Objects of JSON lines."""
    for place, line in lines(source):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"no JSON: {error.msg}", source=source, row=place, found=line.strip()) from None
        if not isinstance(row, dict):
            raise DataError("no JSON object", source=source, row=place, found=row, expected='{"id": ..., "text": ...}')
        yield place, row


def table_rows(source: Path) -> Iterator[Row]:
    """Rows of a table with a header; quotes hold separators and line breaks, and a field may be long."""
    before = csv.field_size_limit(_LARGEST_FIELD)
    try:
        reader = csv.reader(
            (line for _, line in lines(source)),
            delimiter="\t" if source.suffix.lower() == ".tsv" else ",",
            strict=True,
        )
        header: list[str] | None = None
        while True:
            start = reader.line_num + 1
            try:
                fields = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                raise DataError(f"no table: {error}", source=source, row=f"line {start}") from None
            if header is None:
                header = [name.strip() for name in fields]
            elif fields:
                if len(fields) != len(header):
                    expected = f"{len(header)}: {', '.join(header)}"
                    raise DataError(
                        "a row has other fields",
                        source=source,
                        row=f"line {start}",
                        found=len(fields),
                        expected=expected,
                    )
                yield f"line {start}", dict(zip(header, fields, strict=True))
        if header is None:
            raise DataError("the file is empty", source=source)
    finally:
        csv.field_size_limit(before)


def rows_of(source: Path) -> Iterator[Row]:
    """Rows of a table or of JSON lines, by the name of the file."""
    if source.suffix.lower() in (".jsonl", ".json", ".ndjson"):
        return json_rows(source)
    if source.suffix.lower() in (".csv", ".tsv"):
        return table_rows(source)
    raise DataError("no table by its name", source=source, found=source.suffix, expected=".csv, .tsv or .jsonl")


def field(row: Mapping[str, Any], name: str, source: Path, place: str) -> str:
    """A field of a row, as text."""
    value = row.get(name)
    if value is None:
        raise DataError(f"there is no {name!r}", source=source, row=place, found=", ".join(map(str, row)))
    if isinstance(value, (dict, list)):
        raise DataError(f"{name!r} is no text", source=source, row=place, found=value)
    return str(value)


def label(value: object, source: Path, place: str) -> int:
    """A whole number."""
    try:
        return int(str(value))
    except ValueError:
        raise DataError("the label is no whole number", source=source, row=place, found=value) from None


def blocks(source: Path, name: str) -> Iterator[tuple[str, str]]:
    """What stands between <name> and </name>, with the line where it begins."""
    begin = ""
    parts: list[str] | None = None
    opening, closing = f"<{name}>", f"</{name}>"
    for place, line in lines(source):
        low = line.lower()
        if opening in low:
            begin, parts = place, []
        elif closing in low and parts is not None:
            yield begin, "".join(parts)
            parts = None
        elif parts is not None:
            parts.append(line)
    if parts is not None:
        raise DataError(f"<{name}> is not closed", source=source, row=begin, expected=closing)


def elements(block: str) -> dict[str, str]:
    """The elements of a block by name, their white space as single spaces; the first of each that is not empty."""
    found: dict[str, str] = {}
    for match in _ELEMENT.finditer(block):
        value = " ".join(html.unescape(match["value"]).split())
        if value:
            found.setdefault(match["name"].lower(), value)
    return found


def json_file(source: Path) -> Any:
    """What a JSON file holds."""
    try:
        return json.loads("".join(line for _, line in lines(source)))
    except json.JSONDecodeError as error:
        raise DataError(f"no JSON: {error.msg}", source=source, row=f"line {error.lineno}") from None
