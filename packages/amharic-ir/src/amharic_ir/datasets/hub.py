"""Data sets of the Hugging Face hub, or copies of them on disk, by their columns."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from irworks.data import Collection, Documents
from irworks.data.damage import one_line
from irworks.data.text_rows import Row, field
from irworks.errors import ArgumentError, DataError, DownloadError, MissingDependencyError

__all__ = ["hub_rows", "open_hub", "read_hub"]

# What `load_dataset` calls the forms of files, by their endings.
_FORMS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv"}


def read_hub(
    name: str | Path,
    split: str = "train",
    *,
    text: str = "text",
    query: str | None = None,
    doc_id: str | None = None,
    query_id: str | None = None,
    title: str | None = None,
    config: str | None = None,
    revision: str | None = None,
) -> Collection:
    """Read a data set in which a row is a document, or a query and the document that answers it.

    Without ids, equal texts are one document and equal queries one query, white space aside.

    Args:
        name: On the hub; or a folder or file of Parquet, JSON lines or CSV.
        split: As the data set calls it.
        text: Column of the documents.
        query: Column of the queries; None: there are documents alone.
        doc_id: Column of the ids of the documents; None: they are numbered.
        query_id: Column of the ids of the queries; None: they are numbered.
        title: Column of the titles.
        config: Which of several data sets under one name.
        revision: Which commit.

    Raises:
        ArgumentError: There is no such split.
        MissingDependencyError: The library `datasets` is not installed.
        DownloadError: It cannot be had from the hub.
        DataError: A column is missing, or an id stands for two texts.
    """
    columns = [column for column in (text, query, doc_id, query_id, title) if column is not None]
    table = open_hub(name, split, columns, config=config, revision=revision)
    source = Path(name)
    docs, queries = _Once("document", source), _Once("query", source)
    titles: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for place, row in hub_rows(table):
        doc = docs.add(row, text, doc_id, place)
        if title is not None:
            titles.setdefault(doc, str(row[title] or ""))
        if query is not None:
            qrels.setdefault(queries.add(row, query, query_id, place), {})[doc] = 1
    if not docs.texts:
        raise DataError("no row is in it", source=source)
    kept = Documents.of(docs.texts, titles=titles if any(titles.values()) else None)
    return Collection(kept, queries.texts, qrels, source.name, split)


class _Once:
    """Texts by their ids, each once."""

    def __init__(self, what: str, source: Path) -> None:
        self.what, self.source = what, source
        self.texts: dict[str, str] = {}
        self._known: dict[str, str] = {}

    def add(self, row: Any, column: str, id_column: str | None, place: str) -> str:
        """The id of the text of a row."""
        text = field(row, column, self.source, place)
        if id_column is None:
            key = self._known.setdefault(" ".join(text.split()), str(len(self._known)))
        else:
            key = field(row, id_column, self.source, place)
        if id_column is not None and self.texts.get(key, text) != text:
            raise DataError(f"{self.what} {key!r} stands for two texts", source=self.source, row=place)
        self.texts.setdefault(key, text)
        return key


def open_hub(
    name: str | Path,
    split: str | Sequence[str],
    columns: Sequence[str],
    *,
    config: str | None = None,
    revision: str | None = None,
) -> Any:
    """A split of a data set, or the first of several that is there, as a `datasets.Dataset`; see `read_hub`."""
    try:
        import datasets
    except ModuleNotFoundError:
        raise MissingDependencyError("datasets", "reading data sets of the hub", "amharic-ir[hub]") from None
    path, options = Path(name), {"name": config, "revision": revision}
    given: tuple[str, dict[str, Any]] = (str(name), options)
    if path.is_file():
        if path.suffix.lower() not in _FORMS:
            raise DataError("no data set by its name", source=path, found=path.suffix, expected=", ".join(_FORMS))
        given = (_FORMS[path.suffix.lower()], {"data_files": str(path)})
    try:
        splits = datasets.load_dataset(given[0], **given[1])
    except Exception as error:
        if path.exists():
            raise DataError(f"no data set can be read from it: {one_line(error)}", source=path) from None
        raise DownloadError(
            f"data set {str(name)!r} is no file or folder, and cannot be had from the hub: {one_line(error)}"
        ) from None
    wanted = (split,) if isinstance(split, str) else split
    there = next((one for one in wanted if one in splits), None)
    if there is None:
        raise ArgumentError(f"split={wanted[0]!r} is not in {name}; expected one of: {', '.join(splits)}")
    table = splits[there]
    if missing := [column for column in columns if column not in table.column_names]:
        found = ", ".join(table.column_names)
        expected = ", ".join(columns)
        raise DataError(f"the data set has no column {missing[0]!r}", source=str(name), found=found, expected=expected)
    return table


def hub_rows(table: Any) -> Iterator[Row]:
    """Rows of a data set, with how to speak of them."""
    for number, row in enumerate(table):
        yield f"row {number}", row
