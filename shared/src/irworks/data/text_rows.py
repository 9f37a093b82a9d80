"""Rows and elements of text files, each with the line where it stands."""

import codecs
import csv
import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from irworks.data.damage import refused
from irworks.errors import DataError

__all__ = [
    "Row",
    "blocks",
    "elements",
    "field",
    "json_file",
    "json_rows",
    "label",
    "lines",
    "parquet_rows",
    "rows_of",
    "table_rows",
]

# How to speak of it, and what it holds.
Row = tuple[str, Mapping[str, Any]]

_ELEMENT = re.compile(r"(?is)<(?P<name>docno|doc_no|num|title|text|headline|body|desc|narr)[^>]*>(?P<value>.*?)(?=<|$)")
_LARGEST_FIELD = 1 << 24
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def lines(source: Path) -> Iterator[tuple[str, str]]:
    """Lines of a text file, with how to speak of them."""
    if not source.is_file():
        raise DataError("no such file", source=source)
    with source.open("rb") as handle:
        for number, raw in enumerate(handle, start=1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                byte = raw[error.start : error.start + 1]
                raise DataError(
                    "not UTF-8",
                    source=source,
                    row=f"line {number}",
                    found="UTF-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else byte,
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
    """Rows of a table with a header; quotes hold separators and line breaks, and a field may be long.

    A .csv is separated by what its header has of comma, semicolon (spreadsheets in many languages) and tab, in this
    order.

    In a .tsv whose lines all have as many fields as the header no field holds a line break, so that each line is a row
    whatever quotes stand in it: text that was written without quoting, and has quotes of its own, stays apart.
    """
    delimiter = "\t" if source.suffix.lower() == ".tsv" else _delimiter(source)
    apart = delimiter == "\t" and _lines_are_rows(source)
    header: list[str] | None = None
    for place, fields in _lines_as_rows(source) if apart else _quoted_rows(source, delimiter):
        if header is None:
            header = [name.strip() for name in fields]
            if twice := [name for name in header if name and header.count(name) > 1]:
                raise DataError(
                    f"column {twice[0]!r} stands twice", source=source, row=place, expected="each name once"
                )
        elif fields:
            if len(fields) != len(header):
                expected = f"{len(header)}: {', '.join(header)}"
                raise DataError(
                    "a row has other fields", source=source, row=place, found=len(fields), expected=expected
                )
            yield place, dict(zip(header, fields, strict=True))
    if header is None:
        raise DataError("the file is empty", source=source)


def _delimiter(source: Path) -> str:
    _, header = next(lines(source), ("", ""))
    return next((mark for mark in ",;\t" if mark in header), ",")


def _lines_are_rows(source: Path) -> bool:
    tabs = {line.count("\t") for _, line in lines(source) if line.strip("\r\n")}
    return len(tabs) == 1 and 0 not in tabs


def _lines_as_rows(source: Path) -> Iterator[tuple[str, list[str]]]:
    for place, line in lines(source):
        if bare := line.strip("\r\n"):
            yield place, [_unquoted(value) for value in bare.split("\t")]


def _unquoted(value: str) -> str:
    return value[1:-1].replace('""', '"') if _QUOTED.fullmatch(value) else value


def _quoted_rows(source: Path, delimiter: str) -> Iterator[tuple[str, list[str]]]:
    before = csv.field_size_limit(_LARGEST_FIELD)
    try:
        reader = csv.reader((line for _, line in lines(source)), delimiter=delimiter, strict=True)
        while True:
            start = reader.line_num + 1
            try:
                yield f"line {start}", next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise DataError(f"no table: {error}", source=source, row=f"line {start}") from None
    finally:
        csv.field_size_limit(before)


def parquet_rows(source: Path) -> Iterator[Row]:
    """Rows of a Parquet file."""
    import pyarrow.parquet as pq

    if not source.is_file():
        raise DataError("no such file", source=source)
    with refused("not a readable Parquet file", source):
        rows = pq.read_table(source).to_pylist()
    for number, row in enumerate(rows):
        yield f"row {number}", row


def rows_of(source: Path) -> Iterator[Row]:
    """Rows of a table or of JSON lines, by the name of the file."""
    suffix = source.suffix.lower()
    if suffix in (".jsonl", ".json", ".ndjson"):
        return json_rows(source)
    if suffix in (".csv", ".tsv"):
        return table_rows(source)
    if suffix in (".parquet", ".pq"):
        return parquet_rows(source)
    expected = ".csv, .tsv, .jsonl or .parquet"
    raise DataError("no table by its name", source=source, found=source.suffix, expected=expected)


def field(row: Mapping[str, Any], name: str, source: Path, place: str) -> str:
    """A field of a row, as text."""
    value = row.get(name)
    if value is None and name in row:
        raise DataError(f"{name!r} is null", source=source, row=place, expected="a text or a number")
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
    tag = re.compile(f"<(/?){name}>", re.IGNORECASE)
    for place, line in lines(source):
        at = 0
        for match in tag.finditer(line):
            if parts is not None and match[1]:
                yield begin, "".join([*parts, line[at : match.start()]])
                parts = None
            elif parts is not None:
                raise DataError(f"<{name}> is not closed", source=source, row=begin, found=place, expected=f"</{name}>")
            elif not match[1]:
                begin, parts, at = place, [], match.end()
        if parts is not None:
            parts.append(line[at:])
    if parts is not None:
        raise DataError(f"<{name}> is not closed", source=source, row=begin, expected=f"</{name}>")


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
