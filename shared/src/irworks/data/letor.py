"""Reader and writer of SVMlight / LETOR ranking files: MSLR-WEB, Istella, Yahoo, LightGBM's examples, LETOR 3 and 4.

A line is `label qid:Q index:value index:value ... # comment`. Files without `qid:` come with a query file that holds
the number of documents of each query, one a line.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from irworks.data.folders import cache_folder
from irworks.data.letor_cache import LetorCache
from irworks.data.letor_text import MAX_FEATURES, Block, Grammar, ZeroIndexError, parse_block
from irworks.data.ranking import RankingDataset
from irworks.errors import ArgumentError, DataError
from irworks.runtime import atomic_path

__all__ = ["read_letor", "write_letor"]

# Small enough for the intermediate arrays to stay in the processor's cache.
_READ_AT_ONCE = 1 << 19
# Below this, parsing takes less time than the cache saves.
_WORTH_CACHING = 1 << 22


def read_letor(
    path: str | Path,
    *,
    query_file: str | Path | None = None,
    n_features: int | None = None,
    zero_based: bool | Literal["auto"] = False,
    cache: bool | str | Path = True,
) -> RankingDataset:
    """Read a ranking file in SVMlight / LETOR format, plain or gzip.

    Values are rounded to float64 and then to float32, as `sklearn.datasets.load_svmlight_file(dtype=float32)` does; a
    feature that a line leaves out is 0. Query ids are kept exactly: int64 where all of them are such numbers, else
    text. Memory peaks near the size of the result.

    Args:
        path: The file.
        query_file: Number of documents of each query, one a line, for files without `qid:`; by default `<path>.query`
            where that exists. Queries are then called 0, 1, 2 ...
        n_features: Number of features, for files that always leave the last ones out; by default the highest index.
        zero_based: Whether feature indices count from 0. "auto": they do if one of them is 0.
        cache: Keep the parsed arrays for the next read: True for files of 4 MB and more, in the folder `IRWORKS_CACHE`
            or the platform's; a folder to keep them there, whatever their size; False to neither look nor keep. A
            cached copy is used only while the size, time and both ends of the source are what they were.

    Raises:
        DataError: A line breaks the format, a query's documents do not stand together, or the query file does not fit;
            names file, line, what was found and what was expected.
        ArgumentError: `n_features` or `zero_based` is out of range.
    """
    source = Path(path)
    if zero_based not in (True, False, "auto"):
        raise ArgumentError(f"zero_based={zero_based!r}; expected True, False or 'auto'")
    if n_features is not None and not 1 <= n_features <= MAX_FEATURES:
        raise ArgumentError(f"n_features={n_features}; expected 1 to {MAX_FEATURES}")
    counts = _query_file(source, query_file)
    kept = _cache(source, counts, cache, {"n_features": n_features, "zero_based": zero_based})
    dataset = kept.load() if kept is not None else None
    if dataset is None:
        grammar = Grammar(source, int(zero_based is not True), zero_based == "auto", n_features or MAX_FEATURES)
        dataset = _read(grammar, counts, explicit=query_file is not None, n_features=n_features)
        if kept is not None:
            kept.store(dataset)
    return dataset


def _query_file(source: Path, given: str | Path | None) -> Path | None:
    if not source.is_file():
        raise DataError("no such file", source=source)
    if given is not None:
        if not Path(given).is_file():
            raise DataError("no such file", source=given)
        return Path(given)
    names = [f"{source.name}.query", f"{source.name.removesuffix('.gz')}.query"]
    found = [source.with_name(name) for name in names if source.with_name(name).is_file()]
    return found[0] if found else None


def _cache(source: Path, counts: Path | None, cache: bool | str | Path, options: dict[str, Any]) -> LetorCache | None:
    if cache is False or (cache is True and source.stat().st_size < _WORTH_CACHING):
        return None
    folder = cache_folder() / "letor" if cache is True else Path(cache)
    return LetorCache(folder, [source] if counts is None else [source, counts], options)


def _read(grammar: Grammar, counts: Path | None, *, explicit: bool, n_features: int | None) -> RankingDataset:
    try:
        parts = _parse(grammar, n_features)
    except ZeroIndexError:
        parts = _parse(replace(grammar, first_index=0), n_features)
    if parts.runs is not None and explicit:
        raise DataError(
            "the lines have query ids and there is a query file too", source=grammar.source, found=str(counts)
        )
    if parts.runs is not None:
        offsets, query_ids = _offsets_of_runs(grammar.source, parts)
    elif counts is not None:
        offsets = _offsets_of_counts(counts, grammar.source, len(parts.labels))
        query_ids = np.arange(len(offsets) - 1)
    else:
        raise DataError(
            "the lines have no query id",
            source=grammar.source,
            expected="qid:Q after the label",
            hint=f"Or give the number of documents of each query in {grammar.source.name}.query (or query_file=)",
        )
    return RankingDataset(parts.features, _whole_if_possible(parts.labels), offsets, query_ids)


@dataclass(frozen=True)
class _Runs:
    """Consecutive lines of one query id: the id, the first document and its line."""

    ids: NDArray[Any]
    starts: NDArray[np.int64]
    lines: NDArray[np.int64]


@dataclass(frozen=True)
class _Parts:
    features: NDArray[np.float32]
    labels: NDArray[np.float64]
    runs: _Runs | None


def _parse(grammar: Grammar, n_features: int | None) -> _Parts:
    features = np.zeros((0, n_features or 1), dtype=np.float32)
    labels: list[NDArray[np.float64]] = []
    runs: list[_Runs] = []
    line = 1
    for text in _blocks(grammar.source):
        block = parse_block(text, line, grammar)
        line += text.count(b"\n")
        if len(block.labels) == 0:
            continue
        if labels and (block.qids is None) == bool(runs):
            found = f"{'no ' if block.qids is None else ''}qid from line {block.lines[0]} on"
            raise DataError(
                "some lines have a query id and others none",
                source=grammar.source,
                row=f"line {block.lines[0]}",
                found=found,
                expected="qid:Q on all lines or none",
            )
        if block.qids is not None:
            runs.append(_runs(block, len(features)))
        features = _append(features, block)
        labels.append(block.labels)
    if not labels:
        raise DataError(
            "no line with a document", source=grammar.source, expected="lines `label qid:Q index:value ...`"
        )
    return _Parts(features, np.concatenate(labels), _join(runs) if runs else None)


def _blocks(source: Path) -> Iterator[bytes]:
    """Whole lines, `_READ_AT_ONCE` bytes of them at a time."""
    rest = b""
    try:
        with _open(source) as handle:
            while chunk := handle.read(_READ_AT_ONCE):
                cut = chunk.rfind(b"\n") + 1
                if cut:
                    yield rest + chunk[:cut]
                rest = chunk[cut:] if cut else rest + chunk
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot be read: {error}", source=source, expected="plain text or a whole gzip file") from None
    if rest:
        yield rest + b"\n"


def _open(source: Path) -> IO[bytes]:
    with source.open("rb") as handle:
        packed = handle.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(source, "rb")) if packed else source.open("rb")


def _append(features: NDArray[np.float32], block: Block) -> NDArray[np.float32]:
    n_old, width = features.shape
    needed = int(block.column.max(initial=-1)) + 1
    if needed > width:
        wider = np.zeros((n_old, needed), dtype=np.float32)
        wider[:, :width] = features
        features, width = wider, needed
    # Growing in place: the allocator moves pages, not bytes, so that there is never a second copy of what was read.
    features.resize((n_old + len(block.labels), width), refcheck=False)
    features[n_old:].reshape(-1)[block.row * width + block.column] = block.values
    return features


def _runs(block: Block, first_doc: int) -> _Runs:
    ids = cast(NDArray[Any], block.qids)
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    return _Runs(ids[starts], starts + first_doc, block.lines[starts])


def _join(runs: list[_Runs]) -> _Runs:
    texts = any(part.ids.dtype.kind == "U" for part in runs)
    ids = np.concatenate([part.ids.astype(np.str_) if texts else part.ids for part in runs])
    starts = np.concatenate([part.starts for part in runs])
    lines = np.concatenate([part.lines for part in runs])
    # A query that two blocks share makes two runs of the same id, one after the other.
    new = np.concatenate([[True], ids[1:] != ids[:-1]])
    return _Runs(ids[new], starts[new], lines[new])


def _offsets_of_runs(source: Path, parts: _Parts) -> tuple[NDArray[np.int64], NDArray[Any]]:
    runs = cast(_Runs, parts.runs)
    distinct, first = np.unique(runs.ids, return_index=True)
    if len(distinct) < len(runs.ids):
        again = np.setdiff1d(np.arange(len(runs.ids)), first)[0]
        before = np.flatnonzero(runs.ids == runs.ids[again])[0]
        raise DataError(
            "the documents of a query do not stand together",
            source=source,
            row=f"line {runs.lines[again]}",
            found=f"qid:{runs.ids[again]}, which line {runs.lines[before]} began and another query ended",
            expected="all lines of a query one after the other",
            hint="Sort the lines by query first, such as with `sort -s -k2,2`",
        )
    return np.append(runs.starts, len(parts.labels)), runs.ids


def _offsets_of_counts(path: Path, source: Path, n_docs: int) -> NDArray[np.int64]:
    counts: list[int] = []
    for number, text in enumerate(path.read_bytes().split(b"\n"), start=1):
        token = text.strip()
        if not token:
            continue
        if not token.isdigit() or len(token) > 18 or int(token) < 1:
            found = token.decode("utf-8", "backslashreplace")
            expected = "a number of documents, at least 1"
            raise DataError("not a query size", source=path, row=f"line {number}", found=found, expected=expected)
        counts.append(int(token))
    if sum(counts) != n_docs:
        expected = f"{n_docs}, the documents of {source.name}"
        raise DataError("the query sizes do not add up", source=path, found=sum(counts), expected=expected)
    return np.concatenate([[0], np.cumsum(np.array(counts, dtype=np.int64))])


def _whole_if_possible(labels: NDArray[np.float64]) -> NDArray[Any]:
    whole = (labels == np.rint(labels)) & (np.abs(labels) < 1 << 31)
    return labels.astype(np.int32) if whole.all() else labels


def write_letor(dataset: RankingDataset, path: str | Path) -> None:
    """Write `label qid:Q index:value ...` lines, indices from 1, zeros left out; gzip if the name ends in `.gz`.

    `read_letor` gives back the same features, labels and query ids; document ids and feature names are not kept.

    Raises:
        ArgumentError: A query id is a text that cannot stand in such a line.
    """
    for query in dataset.query_ids.tolist():
        text = str(query)
        if not text or any(character.isspace() or character in ":#" for character in text):
            raise ArgumentError(f"query id {query!r} cannot be written; expected a text without spaces, ':' and '#'")
    target = Path(path)
    opened = gzip.open if target.suffix == ".gz" else open
    with atomic_path(target) as scratch, opened(scratch, "wb") as handle:
        handle.writelines(line.encode() for line in _lines(dataset))


def _lines(dataset: RankingDataset) -> Iterator[str]:
    queries = dataset.query_ids.tolist()
    query_of_doc = dataset.query_of_doc.tolist()
    labels = dataset.labels.tolist()
    for doc, features in enumerate(dataset.features):
        columns = np.flatnonzero(features)
        if doc == 0 and features[-1:] == 0:
            # One line has to name the last feature, or a reader could not know that it exists.
            columns = np.append(columns, dataset.n_features - 1)
        values = features[columns].astype(np.str_).tolist()
        pairs = [f"{column}:{value}" for column, value in zip((columns + 1).tolist(), values, strict=True)]
        yield " ".join([str(labels[doc]), f"qid:{queries[query_of_doc[doc]]}", *pairs]) + "\n"
