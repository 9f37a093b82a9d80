"""Readers of text collections, in the forms that people have them: every malformed line is one error that names it."""

import html
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from irworks.data.collection import Collection, Documents
from irworks.data.text_rows import Row, blocks, elements, field, json_file, json_rows, label, lines, rows_of, table_rows
from irworks.errors import DataError

__all__ = [
    "read_beir",
    "read_documents",
    "read_jsonl",
    "read_pairs",
    "read_qrels",
    "read_squad",
    "read_topics",
    "read_trec",
]

_TEXT_FILES = (".txt", ".md", ".html", ".htm")
_IDS = ("id", "_id", "doc_id", "docno", "query_id")
_TEXTS = ("text", "contents", "body", "passage", "doc_text", "context")
_TITLES = ("title", "headline")
_TAG = re.compile(r"(?is)<(script|style)\b.*?</\1>|<[^>]+>")


def read_documents(
    path: str | Path, *, id_field: str | None = None, text_field: str | None = None, title_field: str | None = None
) -> Documents:
    """Read documents, by what the path is.

    Args:
        path: A folder of .txt, .md and .html files, whose names are the ids, without hidden ones; a folder of BEIR, of
            which corpus.jsonl is read; .jsonl; .csv (with commas, semicolons or tabs) or .tsv, with a header and
            quotes; .parquet; or a TREC file of `<DOC>` elements.
        id_field: Of the ids; by default one of id, _id, doc_id, docno, query_id; without these, rows are numbered.
        text_field: Of the texts; by default one of text, contents, body, passage, doc_text, context.
        title_field: Of the titles; by default title or headline, if there is one.

    Raises:
        DataError: There is nothing to read, a row is malformed, or an id stands twice: with file and line.
        OSError: A file or folder may not be read.
    """
    source = Path(path)
    if source.is_dir() and (source / "corpus.jsonl").is_file():
        source /= "corpus.jsonl"
    if source.is_dir():
        return _folder(source)
    if not source.is_file():
        raise DataError("no such file or folder", source=source)
    suffix = source.suffix.lower()
    if suffix in (".jsonl", ".json", ".ndjson", ".csv", ".tsv", ".parquet", ".pq"):
        return _documents(source, rows_of(source), id_field, text_field, title_field)
    if suffix in (".trec", ".sgml", ".xml", ".dat"):
        return _trec_documents(source)
    if suffix in _TEXT_FILES:
        return Documents.of({source.stem: _text(source)})
    expected = "a folder, .jsonl, .csv, .tsv, .parquet, .trec, .txt, .md or .html"
    raise DataError("no form of documents by its name", source=source, found=source.suffix, expected=expected)


def read_jsonl(path: str | Path) -> Documents:
    """Read JSON lines with an id, a text and perhaps a title; see `read_documents`."""
    return _documents(Path(path), json_rows(Path(path)), None, None, None)


def read_beir(folder: str | Path, split: str = "test") -> Collection:
    """Read a collection of BEIR (Thakur et al. 2021): corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv.

    Raises:
        DataError: A file is missing or malformed.
    """
    root = Path(folder)
    docs = read_documents(root / "corpus.jsonl")
    queries = dict(_queries(root / "queries.jsonl"))
    file = root / "qrels" / f"{split}.tsv"
    if not file.is_file():
        there = sorted(each.stem for each in (root / "qrels").glob("*.tsv"))
        raise DataError(
            f"no judgements of split {split!r}", source=root / "qrels", expected=f"one of: {', '.join(there)}"
        )
    qrels: dict[str, dict[str, int]] = {}
    for place, row in table_rows(file):
        query, doc, score = (row.get(name) for name in ("query-id", "corpus-id", "score"))
        if query is None or doc is None or score is None:
            raise DataError(
                "a judgement has three fields", source=file, row=place, expected="query-id, corpus-id, score"
            )
        qrels.setdefault(query, {})[doc] = label(score, file, place)
    return Collection(docs, {query: queries[query] for query in qrels if query in queries}, qrels, root.name, split)


def read_trec(
    docs: str | Path | Documents, topics: str | Path, qrels: str | Path, *, field: str = "title"
) -> Collection:
    """Read a collection of TREC: documents, topics and judgements.

    Judgements of documents or topics that are not there are left out, as where a part of a corpus is searched.

    Args:
        docs: As `read_documents`.
        topics: As `read_topics`.
        qrels: As `read_qrels`.
        field: Of the topics, what is asked: title, desc or narr.
    """
    found = docs if isinstance(docs, Documents) else read_documents(docs)
    queries, judged = read_topics(topics, field=field), read_qrels(qrels)
    known = found.places
    kept = {query: {doc: label for doc, label in of.items() if doc in known} for query, of in judged.items()}
    return Collection(found, queries, {query: of for query, of in kept.items() if query in queries}, Path(qrels).stem)


def read_topics(path: str | Path, *, field: str = "title") -> dict[str, str]:
    """Read topics: TREC's `<top>` elements, JSON lines, or a table of id and text.

    Raises:
        DataError: A topic has no number or no such field.
    """
    source = Path(path)
    if source.suffix.lower() in (".jsonl", ".json", ".csv", ".tsv"):
        return dict(_queries(source))
    topics: dict[str, str] = {}
    for place, block in blocks(source, "top"):
        parts = elements(block)
        number = parts.get("num", "").removeprefix("Number:").strip()
        if not number or field not in parts:
            raise DataError(
                "a topic lacks its number or field", source=source, row=place, expected=f"<num> and <{field}>"
            )
        topics[number] = parts[field]
    if not topics:
        raise DataError("no topic is in it", source=source, expected="<top> ... </top>")
    return topics


def read_qrels(path: str | Path) -> dict[str, dict[str, int]]:
    """Read TREC judgements: query, iteration, document and label, with spaces between.

    Raises:
        DataError: A line has other fields, or a label is no whole number.
    """
    source = Path(path)
    qrels: dict[str, dict[str, int]] = {}
    for number, line in lines(source):
        parts = line.split()
        if not parts:
            continue
        if len(parts) != 4:
            found = line.strip()
            raise DataError(
                "a judgement has four fields", source=source, row=number, found=found, expected="query 0 doc label"
            )
        query, _, doc, value = parts
        qrels.setdefault(query, {})[doc] = label(value, source, number)
    return qrels


def read_pairs(path: str | Path, query: str, text: str, *, name: str | None = None) -> Collection:
    """Read a table in which each row is a query and the one text that answers it, such as a headline and its article.

    Equal texts are one document, and equal queries one query with all of their texts; white space at the ends and runs
    of it make no difference to what is equal.

    Args:
        path: .csv or .tsv with a header and quotes, .jsonl or .parquet.
        query: Column of the queries.
        text: Column of the texts.
        name: Of the collection; by default that of the file.

    Raises:
        DataError: A column is missing, or a row is malformed.
    """
    source = Path(path)
    docs: dict[str, tuple[str, str]] = {}
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for place, row in rows_of(source):
        asked, answer = field(row, query, source, place), field(row, text, source, place)
        doc = docs.setdefault(" ".join(answer.split()), (str(len(docs)), answer))[0]
        known = queries.setdefault(" ".join(asked.split()), str(len(queries)))
        qrels.setdefault(known, {})[doc] = 1
    if not docs:
        raise DataError("no row is in it", source=source)
    return Collection(
        Documents.of(dict(docs.values())), {of: asked for asked, of in queries.items()}, qrels, name or source.stem
    )


def read_squad(*paths: str | Path, name: str = "squad") -> Collection:
    """Read questions on paragraphs, as of SQuAD: each paragraph is a document, each question asks for its own.

    Files of that form differ in small ways, which are taken as they come: lists where others have one object, and the
    other way round.

    Raises:
        DataError: A file is no JSON, or has no paragraphs.
    """
    docs: dict[str, tuple[str, str]] = {}
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for path in paths:
        source, before = Path(path), len(docs)
        for paragraph in _paragraphs(json_file(source)):
            context = paragraph["context"]
            doc = docs.setdefault(" ".join(context.split()), (str(len(docs)), context))[0]
            for question in _listed(paragraph.get("qas", [])):
                number = str(len(queries))
                queries[number] = question["question"]
                qrels[number] = {doc: 1}
        if len(docs) == before:
            raise DataError("no paragraph is in it", source=source, expected="data, paragraphs, context and qas")
    return Collection(Documents.of(dict(docs.values())), queries, qrels, name)


# -- documents -------------------------------------------------------------------------------------------------------


def _text(source: Path) -> str:
    """A whole file; of HTML what is seen."""
    text = "".join(line for _, line in lines(source))
    if source.suffix.lower() in (".html", ".htm"):
        text = html.unescape(_TAG.sub(" ", text))
    return text


def _folder(folder: Path) -> Documents:
    files = sorted(file for file in _files(folder) if file.suffix.lower() in _TEXT_FILES and file.is_file())
    if not files:
        raise DataError("no document is in the folder", source=folder, expected=", ".join(_TEXT_FILES))
    return Documents.of({file.relative_to(folder).as_posix(): _text(file) for file in files})


def _files(folder: Path) -> Iterator[Path]:
    """What is in a folder and below; hidden names, such as .git, are the tools' and not the user's."""

    def refuse(error: OSError) -> None:
        raise error

    for root, below, names in os.walk(folder, onerror=refuse):
        below[:] = [name for name in below if not name.startswith(".")]
        yield from (Path(root, name) for name in names if not name.startswith("."))


def _documents(source: Path, rows: Iterable[Row], doc_id: str | None, text: str | None, title: str | None) -> Documents:
    ids: dict[str, str] = {}
    texts, titles = [], []
    for number, (place, row) in enumerate(rows):
        key = doc_id or next((name for name in _IDS if name in row), None)
        value = str(number) if key is None else field(row, key, source, place)
        if value in ids:
            raise DataError(
                f"document {value!r} stands twice", source=source, row=place, expected=f"it once; it is {ids[value]}"
            )
        ids[value] = place
        body = text or next((name for name in _TEXTS if name in row), None)
        if body is None:
            expected = f"one of: {', '.join(_TEXTS)}"
            raise DataError(
                "no field holds the text", source=source, row=place, found=", ".join(row), expected=expected
            )
        texts.append(field(row, body, source, place))
        head = title or next((name for name in _TITLES if name in row), None)
        titles.append("" if head is None else str(row.get(head) or ""))
    if not ids:
        raise DataError("no document is in it", source=source)
    named = dict(zip(ids, titles, strict=True)) if any(titles) else None
    return Documents.of(dict(zip(ids, texts, strict=True)), titles=named)


def _queries(source: Path) -> Iterator[tuple[str, str]]:
    hint = "The first line of a table names its columns" if source.suffix.lower() in (".csv", ".tsv") else None
    for place, row in rows_of(source):
        key = next((name for name in _IDS if name in row), None)
        if key is None:
            raise DataError(
                "a query has no id",
                source=source,
                row=place,
                found=", ".join(row),
                expected=f"one of: {', '.join(_IDS)}",
                hint=hint,
            )
        text = next((name for name in ("text", "query", "question") if name in row), None)
        if text is None:
            raise DataError(
                "a query has no text",
                source=source,
                row=place,
                found=", ".join(row),
                expected="text, query or question",
            )
        yield field(row, key, source, place), field(row, text, source, place)


def _trec_documents(source: Path) -> Documents:
    texts: dict[str, str] = {}
    titles: dict[str, str] = {}
    for place, block in blocks(source, "doc"):
        parts = elements(block)
        number = parts.get("docno") or parts.get("doc_no")
        if not number:
            raise DataError("a document has no <docno>", source=source, row=place)
        if number in texts:
            raise DataError(f"document {number!r} stands twice", source=source, row=place)
        texts[number] = parts.get("text") or parts.get("body") or ""
        titles[number] = parts.get("title") or parts.get("headline") or ""
    if not texts:
        raise DataError("no document is in it", source=source, expected="<DOC> ... </DOC>")
    return Documents.of(texts, titles=titles if any(titles.values()) else None)


# -- SQuAD ------------------------------------------------------------------------------------------------------------


def _paragraphs(found: Any) -> Iterator[dict[str, Any]]:
    """Objects with a context, wherever they stand."""
    if isinstance(found, dict) and isinstance(found.get("context"), str):
        yield found
    elif isinstance(found, dict):
        for value in found.values():
            yield from _paragraphs(value)
    elif isinstance(found, list):
        for value in found:
            yield from _paragraphs(value)


def _listed(found: Any) -> Sequence[dict[str, Any]]:
    return found if isinstance(found, list) else [found]
