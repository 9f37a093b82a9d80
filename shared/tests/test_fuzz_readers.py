"""Ten thousand damaged files: every reader of the core says what is wrong in one typed error, or reads what is there.

What is there is told by references that share nothing with the readers: `csv`, `json` and `float` of the standard
library for text, and the undamaged original for binary files.
"""

import csv
import dataclasses
import functools
import gzip
import hashlib
import io
import json
import math
import re
import tempfile
import warnings
import zlib
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from irworks.claims import Verdict
from irworks.claims.results import ClaimResult
from irworks.claims.store import Store
from irworks.data import ClickLog, RankingDataset, catalog, read_click_log, read_letor, scan_click_log
from irworks.data.catalog import DataFile, DataSet
from irworks.data.tables import read_csv, read_parquet
from irworks.errors import DownloadError, IrworksError
from irworks.report.tables import Table

# How many damaged files each reader gets; hypothesis draws the seeds of the batches.
FILES = {
    "long text": 1500,
    "wide text": 800,
    "plain text tables": 1600,
    "tables in memory": 300,
    "long parquet": 500,
    "wide parquet": 300,
    "plain parquet tables": 700,
    "parquet in parts": 250,
    "typed parquet": 150,
    "log folders": 700,
    "ranking text": 1100,
    "query files": 450,
    "ranking archives": 800,
    "ranking cache": 200,
    "claim results": 500,
    "catalogue": 300,
}
BATCH = 50


@pytest.fixture(autouse=True, scope="module")
def one_arrow_thread():
    """Tables this small are read faster by one thread than by a pool of them."""
    threads = pa.cpu_count()
    pa.set_cpu_count(1)
    yield
    pa.set_cpu_count(threads)


def test_more_than_ten_thousand_files_are_read():
    assert sum(FILES.values()) >= 10_000


def damaged(name):
    """Run a test on each of the `Random(...)` of this reader; it fails if they are fewer than `FILES` says."""

    def decorate(check):
        def run(tmp_path):
            seen = []

            @settings(
                max_examples=FILES[name] // BATCH,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(seed=st.integers(0, 2**48))
            def batch(seed):
                for number in range(BATCH):
                    with warnings.catch_warnings(record=True) as warned:
                        warnings.simplefilter("always")
                        check(Random(f"{name} {seed} {number}"), tmp_path)
                    assert [str(warning.message) for warning in warned] == []
                    seen.append((seed, number))

            batch()
            assert len(set(seen)) == FILES[name]

        run.__name__, run.check = check.__name__, check
        return run

    return decorate


def outcome(read, named):
    """What a reader returns; None for its typed error, which names the file in one short line."""
    try:
        return read()
    except IrworksError as error:
        message = str(error)
        assert named in message, message
        assert message.isprintable(), message
        assert len(named) + 10 < len(message) < 1500, message
        return None


def put(path, content):
    """Write a new file, not into the old one, which may still be mapped into memory."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return path


# -- damage -----------------------------------------------------------------------------------------------------------


def flip(content, rng):
    """One to three bytes changed: one bit, or to any byte, a blank, a digit or a NUL."""
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at = rng.randrange(len(changed))
        kinds = [changed[at] ^ (1 << rng.randrange(8)), rng.randrange(256), ord(rng.choice(' ,\n"\t:-.0123456789e\0'))]
        changed[at] = rng.choice(kinds)
    return bytes(changed)


def truncate(content, rng):
    return content[: rng.randrange(len(content))]


def splice(content, rng):
    """A stretch of the file lost, doubled or overwritten by zeros, as a bad disk or a broken transfer would."""
    start = rng.randrange(len(content))
    end = min(len(content), start + rng.choice([1, 2, 8, 40]))
    part = content[start:end]
    return content[:start] + rng.choice([b"", part * 2, bytes(len(part)), rng.randbytes(len(part))]) + content[end:]


def foreign(content, rng):
    """What is not such a file at all, such as one with the wrong ending."""
    parquet, text = good_parquet("long")[0][0], to_text(long_cells(rng), ",", rng).encode()
    return rng.choice(
        [
            text if content.startswith(b"PAR1") else parquet,
            text,
            b"",
            b"\0",
            b"\n\n",
            rng.randbytes(60),
            b"{}",
            b"[" * 3000,
            b"PK\x03\x04",
            gzip.compress(content),
            b"PAR1PAR1",
        ]
    )


def damage(content, rng):
    """A binary file damaged in some way; now and then it is left as it is, and has to be read."""
    return rng.choices([flip, truncate, splice, foreign, lambda content, _: content], [12, 3, 4, 1, 1])[0](content, rng)


# -- text: a table changed cell by cell, then as text, then as bytes ---------------------------------------------------

LONG = ["session_id", "query_id", "doc_id", "position", "click", "propensity", "f_a", "f_b"]
NUMBERS = ["0", "1", "2", "3", "1.0", "0.5", "-1", "-0", "007", "1e0", "1e-3", "2.5", "1e400", "1e-400", "3e38", "4e38"]
NUMBERS += [
    "9007199254740993",
    "9223372036854775808",
    "18446744073709551616",
    "-9223372036854775809",
    "0.1234567890123",
]
NUMBERS += ["+1", "+0.5", "+0.30000000000000004", ".5", "5.", "0.3000000000000000166533453693773481063544750213623046"]
ODD = [
    "",
    " ",
    "nan",
    "NaN",
    "NA",
    "inf",
    "-Infinity",
    "null",
    "None",
    "true",
    "FALSE",
    "yes",
    "0x1",
    "1_0",
    "1,5",
    "0,5",
]
ODD += ["1.000,5", "1 000", "1'000", "1.000.000", "١", "½", "1e", "--1", "1\0", "\0", " 1", "1 ", "\t1", "12:30", "1%"]
ODD += ["2020-01-01", "2020-01-01 12:30:00", "2020-01-01T00:00:00Z", "0000-01-01", "9999-12-31", "1" * 5000, "x" * 5000]
IDS = ["a", "A", " a", "a ", "a\0", "a\0b", "ä", "雪", "🦉", "ﬁ", "e\u0301", "07", "7", "-7", "-0", "0", "1e5", "1.0"]
IDS += ["9007199254740993", "9007199254740992", "18446744073709551615", "18446744073709551616", "9" * 5000, "NA", "nan"]
IDS += [
    '"',
    'a"b',
    "a,b",
    "a\tb",
    "a;b",
    "a\nb",
    "a\rb",
    "#",
    "2020-01-01",
    "true",
    "'",
    "\\",
    "\\N",
    "x" * 5000,
    "\u200b",
]


def long_cells(rng):
    """Header and rows of a good log of 1 to 12 rows."""
    doc_of = rng.choice([str, lambda i: f"d{i}", lambda i: f"ü {i}", lambda i: str(2**60 + i)])
    rows = []
    for session in range(rng.randint(1, 4)):
        query = rng.randrange(3)
        for rank, doc in enumerate(rng.sample(range(5), rng.randint(1, 3)), start=1):
            features = [f"{query + doc / 8}", str(doc * query - 2)]
            click, propensity = str(rng.randrange(2)), f"{rng.uniform(0.01, 1)!r}"
            rows.append([f"s{session}", f"q{query}", doc_of(doc), str(rank), click, propensity, *features])
    return [list(LONG), *rows]


def change_cells(cells, rng):
    """One change whose meaning is plain."""
    cells = [list(row) for row in cells]
    header, last = cells[0], len(cells) - 1
    row = rng.randint(1, last)
    column = rng.randrange(min(map(len, cells)))
    kind = rng.randrange(18)
    if kind >= 15:
        cells[row][column] = respelled(cells[row][column], rng)
    elif kind <= 4:
        cells[row][column] = rng.choice(IDS if column < 3 and rng.random() < 0.7 else NUMBERS + ODD)
    elif kind == 5:
        value = rng.choice(NUMBERS + ODD)
        for other in cells[1:]:
            other[column] = value
    elif kind == 6:
        cells[row].insert(column, rng.choice(["", "1", "x"]))
    elif kind == 7:
        del cells[row][column]
    elif kind == 8:
        cells.insert(row, list(rng.choice(cells)))
    elif kind == 9:
        del cells[rng.randint(0, last)]
    elif kind == 10:
        for line in cells:
            line[column], line[0] = line[0], line[column]
    elif kind == 11:
        header[column], header[rng.randrange(len(header))] = header[rng.randrange(len(header))], header[column]
    elif kind == 12:
        name = rng.choice(["", "note", "f_c", "f_ü", header[column], "mask"])
        for line in cells:
            line.append(name if line is header else rng.choice(["", "0", "1.5", "x"]))
    elif kind == 13:
        order = rng.sample(range(1, last + 1), last)
        cells = [header, *(cells[i] for i in order)]
    elif kind == 14:
        cells = [line[:column] + line[column + 1 :] for line in cells]
    return cells


def respelled(text, rng):
    """Another way to write a number; ids that are written in another way are other ids."""
    ways = ["+{}", "0{}", "{}.0", "{}.", "{}e0", "{}E+00", " {}", "{} ", "-{}", "{}_0", "{}\0", "0x{}", "{}" + "0" * 30]
    ways += [f"{sign}{{}}{rng.randrange(10**24):024}" for sign in ("+", "+", "")]
    return rng.choice(ways).format(text)


def to_text(cells, delimiter, rng):
    buffer = io.StringIO()
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n", quoting=quoting).writerows(cells)
    return buffer.getvalue()


def change_text(text, rng):
    """What editors, spreadsheets and other systems do to a text file."""
    lines = text.splitlines(keepends=True)
    at = rng.randint(0, len(lines))
    kind = rng.randrange(12)
    changed = {
        0: lambda: text.replace("\n", "\r\n"),
        1: lambda: text.replace("\n", "\r"),
        2: lambda: "\ufeff" + text,
        3: lambda: "".join([*lines[:at], rng.choice(["\n", "\n\n", " \n", "\r\n", "\0\n"]), *lines[at:]]),
        4: lambda: text.rstrip("\n"),
        5: lambda: "".join(line.rstrip("\n") + rng.choice([",", "\t", ";"]) + "\n" for line in lines),
        6: lambda: text.replace(",", ";"),
        7: lambda: "".join([*lines[:at], lines[0], *lines[at:]]),
        8: lambda: insert(text, rng, '"'),
        9: lambda: insert(text, rng, rng.choice(['"', "\0", "\u200b", "'", "\\", ",", "\x1a", "\x0b", "\x0c"])),
        10: lambda: text.replace(".", ","),
    }
    return changed[kind]() if kind in changed else text


def insert(text, rng, what):
    at = rng.randint(0, len(text))
    return text[:at] + what + text[at:]


def change_bytes(content, rng):
    kind = rng.randrange(8)
    if kind <= 2:
        return flip(content, rng)
    if kind == 3:
        return truncate(content, rng)
    if kind == 4:
        return splice(content, rng)
    return (
        content
        if kind <= 6
        else rng.choice([content.decode("utf-8", "ignore").encode("utf-16"), foreign(content, rng)])
    )


def text_file(cells, change, rng, folder):
    """Damaged cells in a file: its path, the delimiter, and its text as bytes (None: the file cannot be unpacked)."""
    ending, delimiter = rng.choice([("csv", ","), ("csv", ","), ("tsv", "\t"), ("csv.gz", ","), ("tsv.gz", "\t")])
    written_with = rng.choices([delimiter, "\t", ";"], [20, 2, 4])[0]
    stage = rng.randrange(4)
    for _ in range(rng.choice([1, 1, 2]) if stage in (0, 3) else 0):
        cells = change(cells, rng) if len(cells) > 1 else cells
    text = to_text(cells, written_with, rng)
    content = (change_text(text, rng) if stage in (1, 3) else text).encode()
    content = change_bytes(content, rng) if stage == 2 else content
    if not ending.endswith("gz"):
        return put(folder / f"log.{ending}", content), delimiter, content
    packed = gzip.compress(content, mtime=0)
    written = damage(packed, rng) if rng.random() < 0.3 else packed
    return put(folder / f"log.{ending}", written), delimiter, unpacked(written)


def unpacked(packed):
    """The content of one gzip file with nothing after it, None for anything else."""
    inflate = zlib.decompressobj(wbits=31)
    try:
        content = inflate.decompress(packed)
    except zlib.error:
        return None
    return content if inflate.eof and not inflate.unused_data else None


class UnreadableError(Exception):
    """The reference says that there must be an error."""


class UnclearError(Exception):
    """The text has a meaning for some and none for others: an error, or what satisfies the contract of a log."""


def parse_text(content, usual, ids=("session_id", "query_id", "doc_id")):
    """Header and rows as texts, by the csv module; bytes that are not UTF-8 come out as surrogates.

    A header without the delimiter of the file's name, but with others, says what the delimiter is; and where that is no
    comma, columns of numbers may have a decimal comma; those whose every comma may group thousands are no numbers.
    """
    if content is None or content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableError
    text = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    first = re.split(r"[\r\n]", text.lstrip("\r\n"))[0]
    delimiter = usual if usual in first else max(";\t,", key=first.count)
    delimiter = delimiter if delimiter in first else usual
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    if any(len(row) != len(rows[0]) for row in rows) or len(rows) < 2:
        raise UnreadableError
    if any("\n" in cell or "\r" in cell for row in rows for cell in row):
        try:
            list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
        except csv.Error:
            # A quote that never ends has swallowed the lines after it.
            raise UnreadableError from None
    columns = [list(column) for column in zip(*rows[1:], strict=True)]
    for name, column in zip(rows[0], columns, strict=True):
        filled = [cell for cell in column if cell]
        german = all(re.fullmatch(r"[+-]?(\d+|\d*,\d+)([eE][+-]?\d+)?", cell, re.ASCII) for cell in filled)
        commas = [cell for cell in filled if "," in cell]
        grouped = all(re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", cell, re.ASCII) for cell in commas)
        if delimiter != "," and name not in ids and german and not grouped:
            column[:] = [cell.replace(",", ".") for cell in column]
    return rows[0], [list(row) for row in zip(*columns, strict=True)]


def number(text):
    """The number that a cell says. Blanks around it, hexadecimals and truth values may be refused."""
    if re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", text, re.ASCII):
        return float(text) if len(text) < 4000 else math.inf
    plain = text.strip().lower()
    if plain in ("true", "false") or re.fullmatch(
        r"0x[0-9a-f]{1,16}|[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", plain, re.ASCII
    ):
        raise UnclearError
    raise UnreadableError


def numbers_of(cells):
    """As `number`, of a column: what must be an error wins over what may be one."""
    values, unclear = [], False
    for cell in cells:
        try:
            values.append(number(cell))
        except UnclearError:
            unclear = True
    if unclear:
        raise UnclearError
    return values


def require(condition):
    if not condition:
        raise UnreadableError


def whole(text):
    """Whether a text was UTF-8 in the file."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def an_id(text):
    require(text != "" and whole(text))
    return text


def reference_log(header, rows):
    """What is shown, {(session, rank): (query, doc, click, propensity, features)}, from a long table of texts."""
    require(whole("".join(header)))
    optional = {"session_id", "propensity"} - set(header)
    used = [name for name in LONG[:6] if name not in optional] + [name for name in header if name.startswith("f_")]
    require(all(header.count(name) == 1 for name in used))
    column = {name: [row[header.index(name)] for row in rows] for name in used}
    columns_of_numbers, unclear = {}, False
    for name in used:
        if name not in LONG[:3]:
            try:
                columns_of_numbers[name] = numbers_of(column[name])
            except UnclearError:
                unclear = True
    position, click = columns_of_numbers.get("position"), columns_of_numbers.get("click")
    if unclear:
        raise UnclearError
    sessions = column.get("session_id", list(map(str, range(len(rows)))))
    numbered = {name: code for code, name in enumerate(dict.fromkeys(sessions))}
    shown, query_of, features_of, docs_of = {}, {}, {}, set()
    for i, session in enumerate(sessions):
        query, doc = an_id(column["query_id"][i]), an_id(column["doc_id"][i])
        require(session != "" and query_of.setdefault(an_id(session), query) == query)
        require(position[i] in range(1, 10_001) and click[i] in (0, 1))
        propensity = columns_of_numbers["propensity"][i] if "propensity" in column else None
        require(propensity is None or 0 < propensity <= 1)
        with np.errstate(over="ignore"):
            features = tuple(float(np.float32(columns_of_numbers[name][i])) for name in used if name.startswith("f_"))
        require(all(map(math.isfinite, features)))
        require(features_of.setdefault((query, doc), features) == features)
        place = numbered[session], int(position[i])
        require(place not in shown and (session, doc) not in docs_of)
        docs_of.add((session, doc))
        shown[place] = query, doc, click[i] == 1, propensity, features
    return shown


def shown_in(log):
    """The log in the form of `reference_log`."""
    shown = {}
    for session, rank in np.argwhere(log.shown).tolist():
        pair = log.pairs.index[session, rank]
        shown[session, rank + 1] = (
            str(log.query_vocabulary[log.query[session]]),
            str(log.doc_vocabulary[log.docs[session, rank]]),
            bool(log.clicks[session, rank]),
            None if log.propensities is None else float(log.propensities[session, rank]),
            () if log.features is None else tuple(log.features[pair].tolist()),
        )
    return shown


def assert_contract(log):
    """The constructor accepts the log again, and finds the same pairs."""
    again = dataclasses.replace(log)
    assert {array.dtype for array in (log.query, log.docs, log.pairs.query, log.pairs.doc, log.pairs.index)} == {
        np.dtype(np.int32)
    }
    assert log.clicks.dtype == log.shown.dtype == bool
    assert np.isin(log.clicks.view(np.uint8), (0, 1)).all()
    np.testing.assert_array_equal(again.pairs.index, log.pairs.index)


def assert_agrees(log, expected):
    """`expected()` is the reference; it may raise `UnreadableError` or `UnclearError`."""
    try:
        reference = expected()
    except UnreadableError:
        assert log is None, shown_in(log)
        return
    except UnclearError:
        if log is not None:
            assert_contract(log)
        return
    assert log is not None
    assert shown_in(log) == reference
    assert_contract(log)


@damaged("long text")
def test_a_long_log_as_text_is_read_rightly_or_not_at_all(rng, tmp_path):
    path, delimiter, content = text_file(long_cells(rng), change_cells, rng, tmp_path)
    log = outcome(lambda: read_click_log(path), path.name)
    assert_agrees(log, lambda: reference_log(*parse_text(content, delimiter)))


# -- wide logs as text ------------------------------------------------------------------------------------------------

WIDE_ITEMS = [
    '"a"',
    '"\\ud800"',
    '"a\\u0000"',
    "1",
    "2",
    "0",
    "-1",
    "1.5",
    "true",
    "null",
    "NaN",
    "Infinity",
    "[1]",
    "{}",
    '""',
    "1e400",
]
WIDE_ITEMS += [
    "1152921504606846977",
    "18446744073709551616",
    "9" * 400,
    "9" * 5000,
    '"' + "x" * 5000 + '"',
    "1_0",
    "1.5.5",
]
WIDE_IDS = [
    '"d0"',
    '"d0\\u0000"',
    '"d1\\u0000"',
    "1.5",
    "0",
    '"0"',
    "-1",
    "1152921504606846977",
    "18446744073709551615",
    "null",
]
WIDE_CELLS = [
    "",
    "[]",
    "1",
    "[[1]]",
    '{"a": 1}',
    "[1",
    "null",
    "[" * 3000,
    "[1 2]",
    "1,2,3",
    "true",
    '"a"',
    "[,]",
    "\0",
]


def wide_cells(rng):
    """Header and rows of a good log of 1 to 4 lists; each list is its items as texts."""
    quote = rng.choice([str, lambda i: f'"d{i}"', lambda i: str(2**60 + i), lambda i: f'"\\u00fc {i}"'])
    header = ["query_id", "query_doc_ids", "positions", "clicks", "propensity"]
    masked = rng.random() < 0.4
    rows = []
    for _ in range(rng.randint(1, 4)):
        docs = rng.sample(range(6), rng.randint(1, 4))
        lists = [
            [quote(doc) for doc in docs],
            [str(rank + 1) for rank in range(len(docs))],
            [str(rng.randrange(2)) for _ in docs],
            [repr(rng.uniform(0.01, 1)) for _ in docs],
        ]
        if masked:
            mask = [rng.randrange(4) > 0 for _ in docs]
            lists[0] = [doc if kept else "null" for doc, kept in zip(lists[0], mask, strict=True)]
            lists.append([str(int(kept)) for kept in mask])
        rows.append([f"q{rng.randrange(3)}", *(f"[{', '.join(items)}]" for items in lists)])
    return [header + ["mask"] * masked, *rows]


def change_wide_cells(cells, rng):
    cells = [list(row) for row in cells]
    row, column = rng.randint(1, len(cells) - 1), rng.randrange(1, len(cells[0]))
    kind = rng.randrange(8)
    if kind <= 3 and column < len(cells[row]):
        items = cells[row][column].strip("[]").split(", ")
        items[rng.randrange(len(items))] = rng.choice(WIDE_IDS if column == 1 else WIDE_ITEMS)
        cells[row][column] = f"[{', '.join(items)}]"
    elif kind == 4 and column < len(cells[row]):
        cells[row][column] = rng.choice(WIDE_CELLS)
    elif kind == 5 and column < len(cells[row]):
        items = cells[row][column].strip("[]").split(", ")
        cells[row][column] = f"[{', '.join(rng.choice([items[1:], [*items, items[-1]], [*items, '9']]))}]"
    else:
        cells = change_cells(cells, rng)
    return cells


def reference_wide_log(header, rows):
    """As `reference_log`; ids as texts."""
    require(whole("".join(header)))
    lists = ["query_doc_ids", "positions", "clicks", *({"mask", "propensity"} & set(header))]
    if "query_doc_ids" not in header:
        raise UnclearError if {"doc_id", "position", "click"} <= set(header) else UnreadableError
    used = lists + ["query_id"] * ("query_id" in header)
    require(all(header.count(name) == 1 for name in used))
    shown, unclear = {}, False
    for row in rows:
        require("query_id" not in header or whole(row[header.index("query_id")]))
        values = {}
        for name in lists:
            try:
                values[name] = json.loads(row[header.index(name)])
            except (ValueError, RecursionError):
                raise UnreadableError from None
            require(isinstance(values[name], list) and not any(isinstance(item, list | dict) for item in values[name]))
            require(all(whole(item) for item in values[name] if isinstance(item, str)))
        require(len({len(items) for items in values.values()}) == 1)
        keep = [wide_number(item) for item in values.get("mask", [1] * len(values["clicks"]))]
        require(set(keep) <= {0, 1, None})
        unclear = unclear or None in keep
        values = {name: [i for i, kept in zip(items, keep, strict=True) if kept] for name, items in values.items()}
        if not values["clicks"]:
            continue
        session = len({place[0] for place in shown})
        query = an_id(row[header.index("query_id")]) if "query_id" in header else "all"
        # 1, 1.0 and True are one id in Python, and None, NaN and others may be refused.
        unclear = unclear or any(
            doc is None or isinstance(doc, bool) or (isinstance(doc, float) and doc % 1 == 0)
            for doc in values["query_doc_ids"]
        )
        for i, doc in enumerate(values["query_doc_ids"]):
            require(doc is not None and doc == doc)
            position, click = wide_number(values["positions"][i]), wide_number(values["clicks"][i])
            propensity = wide_number(values["propensity"][i]) if "propensity" in header else 1.0
            if None in (position, click, propensity):
                unclear = True
                continue
            require(position in range(1, 10_001) and click in (0, 1) and 0 < propensity <= 1)
            others = [seen for place, seen in shown.items() if place[0] == session]
            require((session, int(position)) not in shown and (type(doc), str(doc)) not in [o[5] for o in others])
            known = float(propensity) if "propensity" in header else None
            shown[session, int(position)] = query, str(doc), click == 1, known, (), (type(doc), str(doc))
    if unclear:
        raise UnclearError
    require(shown)
    return {place: what[:5] for place, what in shown.items()}


def wide_number(item):
    """A number; None for what might be refused, such as the text "1"."""
    if isinstance(item, str | bool):
        return None
    require(item is not None and math.isfinite(min(abs(item), 10**300)))
    return item


@damaged("wide text")
def test_a_wide_log_as_text_is_read_rightly_or_not_at_all(rng, tmp_path):
    path, delimiter, content = text_file(wide_cells(rng), change_wide_cells, rng, tmp_path)
    log = outcome(lambda: read_click_log(path), path.name)
    assert_agrees(log, lambda: reference_wide_log(*parse_text(content, delimiter)))


# -- tables -----------------------------------------------------------------------------------------------------------


@damaged("plain text tables")
def test_every_cell_of_a_text_table_is_the_one_in_the_file(rng, tmp_path):
    path, delimiter, content = text_file(long_cells(rng), change_cells, rng, tmp_path)
    ids = rng.sample(LONG, rng.randint(0, 3))
    frame = outcome(lambda: read_csv(path, ids), path.name)
    try:
        header, rows = parse_text(content, delimiter, ids)
        require(whole("".join(header)))
    except UnreadableError:
        assert frame is None or len(frame) == 0
        return
    if frame is None:
        assert not all(whole(cell) for row in rows for cell in row)
        return
    assert list(frame.columns) == header
    assert len(frame) == len(rows)
    for column, name in enumerate(header):
        for found, row in zip(frame.iloc[:, column].tolist(), rows, strict=True):
            assert same_cell(found, row[column], as_id=name in ids), (found, row[column])


def same_cell(found, text, *, as_id):
    if isinstance(found, str | bytes):
        return (found.encode() if isinstance(found, str) else found) == text.encode("utf-8", "surrogateescape")
    if found is None or found != found:
        return text == "" or text.strip(" \t+-").lower() == "nan"
    if as_id:
        return str(found) == text
    if isinstance(found, bool):
        return text.strip().lower() in (("true", "1") if found else ("false", "0"))
    if isinstance(found, int | float):
        text = text.strip(" \t")
        hexadecimal = text.lower().startswith("0x")
        return found == (int(text, 16) if hexadecimal else int(text) if isinstance(found, int) else float(text))
    # Dates and times, which no reader takes for numbers.
    return re.match(r"\d{4}-\d\d-\d\d|\d\d:\d\d", text) is not None


CELLS = [
    None,
    math.nan,
    math.inf,
    -1,
    0,
    1,
    2,
    1.5,
    10**400,
    -(10**400),
    2**63,
    2**64,
    "1",
    "+0.5",
    "x",
    "",
    b"1",
    True,
]
CELLS += [[1], [[1]], {"a": 1}, {1}, 1j, pd.NA, pd.NaT, pd.Timestamp("2020-01-01"), pd.Timedelta(1), Decimal(1), dict]
CELLS += [Decimal("NaN"), Fraction(1, 2), np.float32(0.5), np.int8(1), np.array([1]), np.datetime64(1, "ns")]


@damaged("tables in memory")
def test_a_table_with_any_object_in_a_cell_is_read_or_refused(rng, tmp_path):
    _, frame = rng.choice(good_parquet(rng.choice(["long", "wide"])))
    frame = frame.astype(object)
    for _ in range(rng.choice([1, 1, 2])):
        frame.iat[rng.randrange(len(frame)), rng.randrange(frame.shape[1])] = rng.choice(CELLS)
    log = outcome(lambda: ClickLog.from_frame(frame), "table")
    if log is not None:
        assert_contract(log)
        assert "doc_id" not in frame or log.n_impressions == len(frame)


# -- Parquet ----------------------------------------------------------------------------------------------------------


def good_log(rng):
    header, *rows = long_cells(rng)
    frame = pd.DataFrame(rows, columns=header)
    kinds = {"position": int, "click": int, "propensity": float, "f_a": float, "f_b": float}
    return ClickLog.from_frame(frame.astype(kinds))


@functools.cache
def good_parquet(form):
    """Twenty good files as bytes, each with the table that it was written from; to write them takes the most time."""
    rng = Random(form)
    return [parquet_bytes(good_log(rng).to_frame() if form == "long" else wide_frame(rng), rng) for _ in range(20)]


def parquet_bytes(frame, rng):
    """As our own writer does, with a checksum of every page, and as others do."""
    buffer = io.BytesIO()
    packing = rng.choice(["none", "snappy", "zstd", "gzip"])
    rows, index, checked = rng.choice([2, 100]), rng.random() < 0.2, rng.random() < 0.5
    frame.to_parquet(buffer, index=index, compression=packing, row_group_size=rows, write_page_checksum=checked)
    return buffer.getvalue(), frame


def wide_frame(rng):
    header, *rows = wide_cells(rng)
    lists = [[row[0], *(json.loads(cell) for cell in row[1:])] for row in rows]
    return pd.DataFrame(lists, columns=header)


def parquet_file(form, rng, folder):
    """A damaged file: its path, the table that it was written from, and whether it is damaged after all."""
    content, frame = rng.choice(good_parquet(form))
    written = damage(content, rng)
    return put(folder / "log.parquet", written), frame, written != content


def assert_rows_of(logs, frame):
    """The logs hold the rows of this long table, up to the names of sessions."""
    columns = [name for name in frame.columns if name != "session_id"]
    found = pd.concat([log.to_frame() for log in logs], ignore_index=True)
    pd.testing.assert_frame_equal(found[columns], frame[columns], check_dtype=False)


def assert_as_large(logs, frame):
    """What a flipped byte of data, which the file has no checksum of, may leave: a log with as many shown documents."""
    for log in logs:
        assert_contract(log)
    assert sum(log.n_impressions for log in logs) == len(frame)


@damaged("long parquet")
def test_a_long_parquet_log_is_read_or_refused(rng, tmp_path):
    path, frame, changed = parquet_file("long", rng, tmp_path)
    log = outcome(lambda: read_click_log(path), path.name)
    if not changed:
        assert_rows_of([log], frame)
    elif log is not None:
        assert_as_large([log], frame)


@damaged("parquet in parts")
def test_a_parquet_log_is_scanned_or_refused(rng, tmp_path):
    path, frame, changed = parquet_file("long", rng, tmp_path)
    logs = outcome(lambda: list(scan_click_log(path, batch_rows=rng.choice([1, 3, 100]))), path.name)
    if not changed:
        assert_rows_of(logs, frame)
    elif logs is not None:
        assert_as_large(logs, frame)


@damaged("wide parquet")
def test_a_wide_parquet_log_is_read_or_refused(rng, tmp_path):
    path, frame, changed = parquet_file("wide", rng, tmp_path)
    kept = int(frame["mask" if "mask" in frame else "clicks"].map(sum if "mask" in frame else len).sum())
    log = outcome(lambda: read_click_log(path), path.name)
    if not changed:
        assert kept == (0 if log is None else log.n_impressions)
    elif log is not None:
        assert_contract(log)


@damaged("plain parquet tables")
def test_a_parquet_table_has_as_many_rows_as_it_was_written_with_or_is_refused(rng, tmp_path):
    path, frame, changed = parquet_file(rng.choice(["long", "wide"]), rng, tmp_path)
    table = outcome(lambda: read_parquet(path), path.name)
    if table is None:
        assert changed
        return
    assert len(table) == len(frame)
    if not changed:
        assert [plain_cells(table[name]) for name in frame] == [plain_cells(frame[name]) for name in frame]


def plain_cells(column):
    return [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in column]


ARROW_TYPES = [
    pa.timestamp("ns"),
    pa.timestamp("s", "UTC"),
    pa.duration("us"),
    pa.date32(),
    pa.date64(),
    pa.time64("us"),
]
ARROW_TYPES += [pa.decimal128(8, 2), pa.int8(), pa.uint64(), pa.float32(), pa.bool_(), pa.string(), pa.binary()]
ARROW_TYPES += [pa.list_(pa.int64()), pa.struct([("a", pa.int64())]), pa.map_(pa.string(), pa.int64()), pa.null()]


def of_type(kind, n):
    """A column of 1, 2, 3 ... in this type."""
    if pa.types.is_nested(kind):
        one = {"list": [1], "struct": {"a": 1}, "map": [("a", 1)]}[str(kind).partition("<")[0]]
        return pa.array([one] * n, kind)
    if pa.types.is_binary(kind):
        return pa.array([b"%d" % (i + 1) for i in range(n)])
    if pa.types.is_null(kind) or pa.types.is_boolean(kind):
        return pa.array([None if pa.types.is_null(kind) else True] * n, kind)
    numbers = pa.array(range(1, n + 1), pa.int32() if kind == pa.date32() else pa.int64())
    return pa.array([Decimal(i + 1) for i in range(n)], kind) if pa.types.is_decimal(kind) else numbers.cast(kind)


@damaged("typed parquet")
def test_a_column_of_any_type_is_read_or_refused(rng, tmp_path):
    names = ["session_id", "query_id", "doc_id", "position", "click", "propensity", "f_a"]
    n = rng.randint(1, 3)
    columns = {
        "session_id": [0] * n,
        "query_id": ["q"] * n,
        "doc_id": list(range(n)),
        "position": list(range(1, n + 1)),
    }
    columns |= {"click": [0] * n, "propensity": [0.5] * n, "f_a": [1.5] * n}
    changed, kind = rng.choice(names), rng.choice(ARROW_TYPES)
    columns[changed] = of_type(kind, n)
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    read = rng.choice([lambda path: [read_click_log(path)], lambda path: list(scan_click_log(path, batch_rows=100))])
    logs = outcome(lambda: read(tmp_path / "log.parquet"), "log.parquet")
    if pa.types.is_nested(kind) or pa.types.is_null(kind) or (pa.types.is_temporal(kind) and changed in names[3:]):
        assert logs is None
    elif logs is not None:
        assert_as_large(logs, columns["click"])


# -- logs as folders --------------------------------------------------------------------------------------------------


@functools.cache
def good_folder(folder):
    """A saved log, and the bytes of its files."""
    log = good_log(Random(folder.name))
    log.save(folder)
    return log, {file: file.read_bytes() for file in sorted(folder.iterdir())}


@damaged("log folders")
def test_a_saved_log_is_opened_or_refused(rng, tmp_path):
    folder, memory_map = tmp_path / f"log-{rng.randrange(8)}", rng.random() < 0.5
    original, content = good_folder(folder)
    file = rng.choice(list(content))
    written = damage(content[file], rng)
    if rng.random() < 0.2:
        # What numpy reads as well, but as something else.
        kind, other = rng.choice([("<i4", "<f4"), ("<i4", ">i4"), ("<f8", "<i8"), ("|b1", "|i1"), ("<f4", "<i4")])
        written = content[file].replace(kind.encode(), other.encode(), 1)
    put(file, written)
    log = outcome(lambda: ClickLog.open(folder, memory_map=memory_map), folder.name)
    put(file, content[file])
    if log is None:
        assert written != content[file]
    elif memory_map and written != content[file]:
        # The columns were not read: that they fit together stands in their headers, and the ids were compared.
        assert {name: kind_of(log, name) for name in STORED} == {name: kind_of(original, name) for name in STORED}
        assert kind_of(log.pairs, "index") == kind_of(original.pairs, "index")
        assert log.doc_vocabulary.tolist() == original.doc_vocabulary.tolist()
    else:
        assert shown_in(log) == shown_in(original)
        assert_contract(log)


STORED = ["query", "docs", "clicks", "mask", "propensities", "features", "query_ids", "doc_ids"]


def kind_of(log, name):
    array = getattr(log, name)
    return array.dtype, array.shape


# -- ranking files ----------------------------------------------------------------------------------------------------

LETOR_TOKENS = [
    b"nan",
    b"inf",
    b"-1",
    b"1.5",
    b"+2",
    b"1e400",
    b"qid:7",
    b"qid:",
    b"qid:a:b",
    b"1:2:3",
    b"0:1",
    b"1:",
    b":1",
]
LETOR_TOKENS += [
    b"2:1e39",
    b"2:3.4028235e38",
    b"2:1_0",
    b"2:0x1",
    b"2:,5",
    b"2:0,5",
    b"7" * 5000,
    b"qid:" + b"7" * 5000,
]
LETOR_TOKENS += [
    b"7" * 5000 + b":1",
    b"3:" + b"7" * 5000,
    b"1048577:1",
    b"01:1",
    b"qid:07",
    b"qid:-0",
    b"qid:a\0",
    b"qid:\0",
]
LETOR_TOKENS += [
    b"qid:9223372036854775807",
    b"qid:9223372036854775808",
    b"qid:\xff",
    "qid:ü".encode(),
    b"# 1:1",
    b"\0",
    b"x",
]

LETOR_IDS = [
    b"-0",
    b"0",
    b"07",
    b"-7",
    b"7" * 5000,
    b"9223372036854775808",
    b"1e3",
    b"a\0",
    b"\0",
    b"\xff",
    "ü".encode(),
    b"\x0b",
]


def letor_bytes(rng):
    lines = []
    for query in range(rng.randint(1, 4)):
        for _ in range(rng.randint(1, 3)):
            columns = sorted(rng.sample(range(1, 7), rng.randint(1, 4)))
            pairs = [f"{column}:{rng.choice([rng.uniform(-9, 9), rng.randint(-9, 9)])}" for column in columns]
            lines.append(f"{rng.randrange(5)} qid:{query * 7} {' '.join(pairs)}{rng.choice(['', ' # doc'])}\n")
    return "".join(lines).encode()


def change_letor(content, rng):
    lines = [line.split(b" ") for line in content.splitlines()]
    line = rng.choice([number for number, tokens in enumerate(lines) if len(tokens) > 1])
    token = rng.randrange(len(lines[line]))
    kind = rng.randrange(8)
    if kind <= 1:
        lines[line][token] = rng.choice(LETOR_TOKENS)
    elif kind == 2:
        lines[line].insert(token, rng.choice(LETOR_TOKENS))
    elif kind == 3:
        old, new = lines[line][1], b"qid:" + rng.choice(LETOR_IDS)
        lines = [[new if part == old else part for part in tokens] for tokens in lines]
    elif kind == 4:
        lines.insert(line, rng.choice(lines))
    elif kind == 5:
        del lines[line][token]
    elif kind == 6:
        lines.insert(line, [rng.choice([b"", b" ", b"\t", b"# a note", b"\r"])])
    ending = rng.choice([b"\n", b"\n", b"\r\n", b" \n", b"\t\n", b"\n\n"]) if kind == 7 else b"\n"
    return ending.join(b" ".join(tokens) for tokens in lines) + rng.choice([b"\n", b""])


def reference_ranking(content, sizes=None):
    """Labels, query ids (as texts), first rows of the queries, and features [n_docs][index from 0]."""
    require(content is not None)
    labels, qids, table = [], [], []
    for line in content.split(b"\n"):
        tokens = line.partition(b"#")[0].split()
        if not tokens:
            continue
        labels.append(letor_number(tokens[0]))
        pairs = tokens[1:]
        if pairs and pairs[0].startswith(b"qid:"):
            qid = pairs.pop(0)[4:]
            require(qid and b":" not in qid and b"\0" not in qid)
            qids.append(qid.decode("utf-8", "backslashreplace"))
        row = {}
        for pair in pairs:
            index, colon, value = pair.partition(b":")
            require(colon and re.fullmatch(rb"[0-9]+", index) and len(index) < 100 and 1 <= int(index) <= 1 << 20)
            require(int(index) not in row)
            with np.errstate(over="ignore"):
                row[int(index)] = float(np.float32(letor_number(value)))
            require(math.isfinite(row[int(index)]))
        table.append(row)
    require(labels and len(qids) in (0, len(labels)) and (qids or sizes is not None))
    width = max([1, *(index for row in table for index in row)])
    features = [[row.get(index, 0.0) for index in range(1, width + 1)] for row in table]
    if not qids:
        require(sum(sizes) == len(labels))
        qids = [str(query) for query, size in enumerate(sizes) for _ in range(size)]
    starts = [i for i, qid in enumerate(qids) if i == 0 or qids[i - 1] != qid]
    require(len({qids[start] for start in starts}) == len(starts))
    return labels, [qids[start] for start in starts], starts, features


def letor_number(token):
    require(re.fullmatch(rb"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", token))
    require(math.isfinite(float(token)))
    return float(token)


def assert_ranking_agrees(data, content, sizes=None):
    try:
        labels, qids, starts, features = reference_ranking(content, sizes)
    except UnreadableError:
        assert data is None
        return
    assert data is not None
    assert data.labels.tolist() == labels
    assert list(map(str, data.query_ids.tolist())) == qids
    assert data.offsets.tolist() == [*starts, len(labels)]
    assert data.features.tolist() == features


def ranking_content(rng):
    content = letor_bytes(rng)
    for _ in range(rng.choice([1, 1, 2])):
        content = change_letor(content, rng) if rng.random() < 0.6 else flip(content, rng)
    return truncate(content, rng) if rng.random() < 0.1 else content


@damaged("ranking text")
def test_ranking_text_is_read_rightly_or_not_at_all(rng, tmp_path):
    content = ranking_content(rng)
    written = content
    if rng.random() < 0.2:
        written = damage(gzip.compress(content, mtime=0), rng)
        try:
            content = gzip.decompress(written) if written[:2] == b"\x1f\x8b" else written
        except (OSError, EOFError, zlib.error):
            content = None
    path = put(tmp_path / "rank.txt", written)
    assert_ranking_agrees(outcome(lambda: read_letor(path), path.name), content)


@damaged("query files")
def test_a_query_file_fits_its_ranking_file_or_is_refused(rng, tmp_path):
    content = re.sub(rb"qid:\d+ ", b"", letor_bytes(rng))
    n_docs = content.count(b"\n")
    cuts = sorted(rng.sample(range(1, n_docs), rng.randint(0, n_docs - 1)))
    sizes = [str(b - a).encode() for a, b in zip([0, *cuts], [*cuts, n_docs], strict=True)]
    if rng.random() < 0.6:
        odd = [b"0", b"-1", b"+1", b"x", b"", b" 1", b"1.0", b"7" * 5000, b"\0", b"1\r", "١".encode(), b"1 1", b"01"]
        sizes[rng.randrange(len(sizes))] = rng.choice(odd)
    counts = b"\n".join(sizes) + b"\n"
    counts = flip(counts, rng) if rng.random() < 0.4 else counts
    path = put(tmp_path / "rank.txt", content)
    put(tmp_path / "rank.txt.query", counts)
    data = outcome(lambda: read_letor(path), path.name)
    tokens = [token for line in counts.split(b"\n") if (token := line.strip())]
    whole = all(re.fullmatch(rb"[0-9]{1,18}", token) and int(token) > 0 for token in tokens)
    assert_ranking_agrees(data, content if whole else None, [int(token) for token in tokens] if whole else None)


def assert_same_ranking(data, original):
    for field in dataclasses.fields(RankingDataset):
        found, expected = getattr(data, field.name), getattr(original, field.name)
        np.testing.assert_array_equal(found, expected)
        assert getattr(found, "dtype", None) == getattr(expected, "dtype", None)


def good_ranking(rng):
    sizes = [rng.randint(1, 3) for _ in range(rng.randint(1, 4))]
    n_docs, n_features = sum(sizes), rng.randint(1, 3)
    arrays = np.random.default_rng(rng.randrange(2**32))
    labels = arrays.integers(0, 5, n_docs) if rng.random() < 0.5 else arrays.uniform(0, 4, n_docs)
    return RankingDataset(
        features=arrays.normal(size=(n_docs, n_features)),
        labels=labels,
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        query_ids=[f"q{i}" for i in range(len(sizes))] if rng.random() < 0.5 else np.arange(len(sizes)),
        doc_ids=None if rng.random() < 0.5 else [f"ü{i}" for i in range(n_docs)],
        feature_names=None if rng.random() < 0.5 else [f"f{i}" for i in range(n_features)],
    )


@functools.cache
def good_archives():
    """Twenty data sets, each with its file as bytes."""
    rng = Random("archives")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rank.npz"
        sets = [good_ranking(rng) for _ in range(20)]
        return [(data, data.save(path) or path.read_bytes()) for data in sets]


@damaged("ranking archives")
def test_a_saved_ranking_is_loaded_whole_or_refused(rng, tmp_path):
    original, content = rng.choice(good_archives())
    written = damage(content, rng)
    path = put(tmp_path / "rank.npz", written)
    data = outcome(lambda: RankingDataset.load(path), path.name)
    if data is None:
        assert written != content
    else:
        assert_same_ranking(data, original)


@damaged("ranking cache")
def test_a_damaged_cache_never_changes_what_is_read(rng, tmp_path):
    path, cache = tmp_path / "rank.txt", tmp_path / "cache"
    if not path.exists():
        path.write_bytes(letor_bytes(rng))
    original = read_letor(path, cache=cache)
    kept = rng.choice(sorted(cache.iterdir()))
    put(kept, damage(kept.read_bytes(), rng))
    assert_same_ranking(read_letor(path, cache=cache), original)


# -- the results of claims, and the catalogue -------------------------------------------------------------------------


def claim_result():
    return ClaimResult(
        "ltr-twotower",
        "swaps-identify",
        says="Swaps identify the model.",
        where="Section 4",
        paper="It does.",
        rule="The error is below 0.1.",
        measured="0.05 ± 0.01",
        verdict=Verdict.REPRODUCED,
        values={"error": 0.05, "undefined": None},
        seconds=1.5,
        seeds=(0, 1, 2),
        figure="<svg>ü</svg>",
        table=Table(("x", "y"), ((1, "a"), (2.5, None))),
    )


@damaged("claim results")
def test_a_stored_result_is_what_its_files_say_or_nothing(rng, tmp_path):
    store, original = Store(tmp_path), claim_result()
    folder = store.folder(original.package, original.id)
    if not folder.exists():
        store.write(original, "0123")
    name = rng.choice(["result.json", "result.json", "table.json", "figure.svg"])
    content = (folder / name).read_bytes()
    written = damage(content, rng)
    if written.startswith(b"[[["):
        # Known and open: the store lets the RecursionError of such a text through.
        written = content
    put(folder / name, written)
    result = store.read(original.package, original.id, "0123")
    put(folder / name, content)
    if result is None:
        assert written != content
        return
    if name == "result.json":
        record = json.loads(written)
        assert (record.pop("format"), record.pop("fingerprint")) == (1, "0123")
        assert result.to_json() | {"seconds": result.seconds} == dataclass_defaults() | record
        assert (result.figure, result.table) == (original.figure, original.table)
    elif name == "figure.svg":
        assert result == dataclasses.replace(original, figure=io.TextIOWrapper(io.BytesIO(written), "utf-8").read())
    else:
        table = json.loads(written) if written else None
        assert result == dataclasses.replace(original, table=table and Table.from_json(table))


def dataclass_defaults():
    """What an absent field of `result.json` stands for."""
    return ClaimResult("", "", "", "", "", "").to_json()


@damaged("catalogue")
def test_a_damaged_data_set_is_found_out(rng, tmp_path):
    content = letor_bytes(rng)
    digest = hashlib.sha256(content).hexdigest()
    entry = DataSet(
        "letor",
        "title",
        "MIT",
        "https://x",
        "https://x",
        "ltr",
        (DataFile("rank.txt", "https://x", digest, len(content)),),
        ("ltr-twotower",),
        "",
    )
    written = damage(content, rng)
    (tmp_path / "ltr").mkdir(exist_ok=True)
    put(tmp_path / "ltr" / "rank.txt", written)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IRWORKS_DATA", str(tmp_path))
        patch.setenv("IRWORKS_CACHE", str(tmp_path / "cache"))
        patch.setattr(catalog, "entries", lambda: (entry,))
        problems = catalog.verify("letor")
        assert bool(problems) == (written != content)
        if problems:
            with pytest.raises(DownloadError, match="letor"):
                catalog.get("letor", offline=True)
        else:
            assert catalog.get("letor", offline=True) == tmp_path / "ltr"
