"""The text of SVMlight / LETOR lines, `label [qid:Q] index:value ... [# comment]`, parsed a block of lines at a time.

`parse_block` works on whole arrays of bytes and knows only tidy text. Whatever it does not recognise goes through
`parse_lines`, which is slow, accepts everything the format allows, and names the line of what it does not.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from irworks.errors import DataError

__all__ = ["MAX_FEATURES", "Block", "Grammar", "ZeroIndexError", "parse_block", "parse_lines"]

MAX_FEATURES = 1 << 20

_NUMBER = re.compile(rb"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
# No longer than an int64 is; -0 is not the way to write a number.
_INTEGER = re.compile(rb"0|-?[1-9]\d{0,18}")
_COMMENT = re.compile(rb"#[^\n]*")
# All that `bytes.split`, and so `parse_lines`, takes for a blank.
_BLANKS = bytes.maketrans(b"\t\r\v\f", b"    ")
_SPACE, _COLON, _NEWLINE, _ZERO = b" :\n0"
# Nine digits fit an int32 and eighteen an int64, whatever they are.
_INDEX_DIGITS, _QID_DIGITS = 9, 18
_LARGEST = float(np.finfo(np.float32).max)

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


class ZeroIndexError(Exception):
    """A feature has index 0 although indices were taken to count from 1."""


@dataclass(frozen=True)
class Block:
    """What some consecutive lines say.

    Attributes:
        labels: float64 [n].
        qids: [n], int64 or str; None where the lines have none.
        lines: int64 [n], line number of each document, from 1.
        row: int64 [n_values], document of each value, from 0 in this block.
        column: int64 [n_values], feature of each value, from 0.
        values: float32 [n_values].
    """

    labels: NDArray[np.float64]
    qids: NDArray[Any] | None
    lines: Ints
    row: Ints
    column: Ints
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Grammar:
    """What the lines of a file may hold.

    Attributes:
        source: The file, for messages.
        first_index: The number of the first feature, 0 or 1.
        guess_index: Whether to raise `ZeroIndexError`, not `DataError`, on a first index 0.
        n_features: The most features there may be.
    """

    source: Path
    first_index: int = 1
    guess_index: bool = False
    n_features: int = MAX_FEATURES


def parse_block(text: bytes, first_line: int, grammar: Grammar) -> Block:
    """Parse whole lines.

    Args:
        text: Lines, each ended by a newline.
        first_line: Number of the first of them.
        grammar: What they may hold.

    Raises:
        DataError: A line breaks the format; names it, what was found and what was expected.
        ZeroIndexError: As `Grammar.guess_index` says.
    """
    tidy = _tidy(text)
    # Arrays of texts lose NULs at the end of an id; line by line they are refused.
    block = None if b"\0" in tidy else _parse_tidy(tidy, first_line, grammar)
    return parse_lines(tidy, first_line, grammar) if block is None else block


def _tidy(text: bytes) -> bytes:
    if b"#" in text:
        text = _COMMENT.sub(b"", text)
    if any(blank in text for blank in (b"\r", b"\t", b"\v", b"\f")):
        text = text.translate(_BLANKS)
    return text


def _parse_tidy(text: bytes, first_line: int, grammar: Grammar) -> Block | None:
    raw = np.frombuffer(text, dtype=np.uint8)
    tokens = _tokens(raw)
    if tokens is None:
        return None
    start, end, heads, sizes, line = tokens
    labels = _floats(text, start[heads], end[heads])
    others = np.ones(len(start), dtype=np.bool_)
    others[heads] = False
    pairs = (sizes - 1) // 2
    qids: NDArray[Any] | None = None
    if (pairs > 0).all() and _spell_qid(raw, start[heads + 1], end[heads + 1]):
        qids = _qid_values(raw, text, start[heads + 2], end[heads + 2])
        others[heads + 1] = others[heads + 2] = False
        pairs = pairs - 1
    # What is left alternates: index, value, index, value ...
    start, end = start[others], end[others]
    index = _digits(raw, start[0::2], end[0::2], _INDEX_DIGITS)
    numbers = _floats(text, start[1::2], end[1::2])
    if index is None or labels is None or numbers is None:
        return None
    row = np.repeat(np.arange(len(heads), dtype=np.int64), pairs)
    column = index - grammar.first_index
    with np.errstate(over="ignore"):
        values = numbers.astype(np.float32)
    sound = np.isfinite(values).all() and np.isfinite(labels).all()
    if not sound or _misplaced(row, column, grammar.n_features):
        return None
    return Block(labels=labels, qids=qids, lines=line + first_line, row=row, column=column, values=values)


def _tokens(raw: Bytes) -> tuple[Ints, Ints, Ints, Ints, Ints] | None:
    """Where the tokens of each line are: start [n], end [n], first of each line, number in each line, line from 0.

    None unless every line is a plain token followed by `key:value` pairs.
    """
    separators = np.flatnonzero((raw == _SPACE) | (raw == _COLON) | (raw == _NEWLINE))
    kind = raw[separators]
    colon = kind == _COLON
    length = np.diff(separators, prepend=-1) - 1
    empty = length == 0
    # A colon with nothing on one of its sides, or two colons around one token.
    if (empty & colon).any() or ((empty | colon)[1:] & colon[:-1]).any():
        return None
    newlines = np.flatnonzero(kind == _NEWLINE)
    token = np.flatnonzero(~empty)
    bounds = np.searchsorted(token, np.concatenate([[0], newlines + 1]))
    sizes = np.diff(bounds)
    line = np.flatnonzero(sizes)
    heads, sizes = bounds[:-1][line], sizes[line]
    # Every colon joins two tokens; as many plain ones are left as there are lines if each line has just its label.
    n_plain = len(token) - 2 * np.count_nonzero(colon)
    if n_plain != len(heads) or colon[token[heads]].any():
        return None
    end = separators[token]
    return end - length[token], end, heads, sizes, line


def _spell_qid(raw: Bytes, start: Ints, end: Ints) -> bool:
    letters = (raw[start] == ord("q")) & (raw[start + 1] == ord("i")) & (raw[start + 2] == ord("d"))
    return bool(((end - start == 3) & letters).all())


def _digits(raw: Bytes, start: Ints, end: Ints, limit: int) -> Ints | None:
    """Read unsigned integers of at most `limit` digits; None if a token is anything else."""
    lengths = end - start
    value = np.zeros(len(start), dtype=np.int64)
    longest = int(lengths.max(initial=0))
    if longest > limit:
        return None
    for place in range(longest):
        inside = slice(None) if place == 0 else np.flatnonzero(lengths > place)
        # Bytes below "0" wrap around to large numbers, so that one comparison finds every byte that is no digit.
        digit = raw[end[inside] - 1 - place] - np.uint8(_ZERO)
        if (digit > 9).any():
            return None
        value[inside] += digit.astype(np.int64) * 10**place
    return value


def _qid_values(raw: Bytes, text: bytes, start: Ints, end: Ints) -> NDArray[Any]:
    leading_zero = (raw[start] == _ZERO) & (end - start > 1)
    numbers = None if leading_zero.any() else _digits(raw, start, end, _QID_DIGITS)
    if numbers is not None:
        return numbers
    return _exact_ids([text[low:high] for low, high in zip(start.tolist(), end.tolist(), strict=True)])


def _exact_ids(tokens: list[bytes]) -> NDArray[Any]:
    """Query ids as int64 where that keeps every one of them distinct and whole, else as texts."""
    if all(_INTEGER.fullmatch(token) for token in tokens):
        numbers = [int(token) for token in tokens]
        if all(-(1 << 63) <= number < 1 << 63 for number in numbers):
            return np.array(numbers, dtype=np.int64)
    return np.array([token.decode("utf-8", "backslashreplace") for token in tokens], dtype=np.str_)


def _floats(text: bytes, start: Ints, end: Ints) -> NDArray[np.float64] | None:
    """Read numbers, correctly rounded; None if a token is none."""
    import pyarrow as pa

    n = len(start)
    if n == 0:
        return np.empty(0)
    # A text array over the block itself: every second entry is a number, those between are what separates them and
    # are marked null (the bits of 0x55 are 1, 0, 1, 0 ...), so that nothing is copied and nothing else is parsed.
    offsets = np.empty(2 * n + 1, dtype=np.int32)
    offsets[0:-1:2], offsets[1::2], offsets[-1] = start, end, end[-1]
    valid = np.full((2 * n + 7) // 8, 0x55, dtype=np.uint8)
    buffers = [pa.py_buffer(valid), pa.py_buffer(offsets), pa.py_buffer(text)]
    try:
        numbers = pa.Array.from_buffers(pa.utf8(), 2 * n, buffers, null_count=n).cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    return np.frombuffer(numbers.buffers()[1], dtype=np.float64)[: 2 * n : 2]


def _misplaced(row: Ints, column: Ints, n_features: int) -> bool:
    """Whether a column is out of range or appears twice in a row."""
    if len(column) == 0:
        return False
    if column.min() < 0 or column.max() >= n_features:
        return True
    key = row * n_features + column
    step = np.diff(key)
    return bool((step <= 0).any()) and bool((np.diff(np.sort(key)) == 0).any())


def parse_lines(text: bytes, first_line: int, grammar: Grammar) -> Block:
    """As `parse_block`, line by line and pair by pair: for text that is unusual, and to name the place of an error."""
    labels: list[float] = []
    qids: list[bytes] = []
    lines: list[int] = []
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    for number, line in enumerate(text.split(b"\n"), start=first_line):
        tokens = line.split()
        if not tokens:
            continue
        place = _Place(grammar, number)
        label, qid, pairs = place.read(tokens)
        if bool(qid) != bool(qids) and labels:
            place.fail("some lines have a query id and others none", tokens[0] + b" ...", "qid:Q on all lines or none")
        rows.extend([len(labels)] * len(pairs))
        columns.extend(pairs)
        values.extend(pairs.values())
        labels.append(label)
        lines.append(number)
        qids.extend([qid] if qid else [])
    return Block(
        labels=np.array(labels, dtype=np.float64),
        qids=_exact_ids(qids) if qids else None,
        lines=np.array(lines, dtype=np.int64),
        row=np.array(rows, dtype=np.int64),
        column=np.array(columns, dtype=np.int64),
        values=np.array(values, dtype=np.float32),
    )


@dataclass(frozen=True)
class _Place:
    grammar: Grammar
    line: int

    def fail(self, problem: str, found: bytes, expected: str, hint: str | None = None) -> NoReturn:
        raise DataError(
            problem,
            source=self.grammar.source,
            row=f"line {self.line}",
            found=found.decode("utf-8", "backslashreplace"),
            expected=expected,
            hint=hint,
        )

    def read(self, tokens: list[bytes]) -> tuple[float, bytes, dict[int, float]]:
        label = self.number(tokens[0], "the label is not a finite number", "a number, such as 0 or 2.5")
        pairs = tokens[1:]
        qid = b""
        if pairs and pairs[0].startswith(b"qid:"):
            qid = pairs.pop(0)[4:]
            if not qid or b":" in qid:
                self.fail("the query id is not whole", b"qid:" + qid, "qid:Q")
            if b"\0" in qid:
                self.fail("the query id holds a NUL", b"qid:" + qid, "a text without NULs")
        return label, qid, self.features(pairs)

    def features(self, pairs: list[bytes]) -> dict[int, float]:
        features: dict[int, float] = {}
        for pair in pairs:
            column = self.column(pair)
            if column in features:
                self.fail("a feature index appears twice", pair, "every index once a line")
            problem = f"the value of feature {column + self.grammar.first_index} is not a finite number"
            value = self.number(pair.partition(b":")[2], problem, "index:value, such as 3:0.25")
            if abs(value) > _LARGEST:
                self.fail(problem, pair, f"a float32, at most {_LARGEST:.3g}")
            features[column] = value
        return features

    def number(self, token: bytes, problem: str, expected: str) -> float:
        value = float(token) if _NUMBER.fullmatch(token) else math.nan
        if not math.isfinite(value):
            self.fail(problem, token, expected)
        return value

    def column(self, pair: bytes) -> int:
        index, colon, _ = pair.partition(b":")
        if not colon:
            self.fail("a field is not index:value", pair, "index:value", "Only the label stands without an index")
        if index == b"qid":
            self.fail("the query id is not where it belongs", pair, "one qid:Q right after the label")
        if not re.fullmatch(rb"\d+", index):
            expected = f"a whole number from {self.grammar.first_index}"
            self.fail("a feature index is not a whole number", pair, expected)
        # Python refuses to read thousands of digits; as many as here are too large whatever they are.
        column = int(index.lstrip(b"0")[: _INDEX_DIGITS + 1] or b"0") - self.grammar.first_index
        if column < 0:
            if self.grammar.guess_index:
                raise ZeroIndexError
            self.fail(
                "a feature index is 0", pair, "indices from 1", "Pass zero_based=True for files that count from 0"
            )
        if column >= self.grammar.n_features:
            last = self.grammar.n_features - 1 + self.grammar.first_index
            self.fail("a feature index is too large", pair, f"indices up to {last}")
        return column
