"""2AIRTC (Yeshambel, Mothe and Assabie 2020): 12,586 documents and 240 topics, judged by hand."""

import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from amharic_ir.datasets.hub import hub_rows, open_hub
from irworks.data import Collection, Documents
from irworks.data.text_files import read_qrels, read_topics
from irworks.data.text_rows import blocks, elements, lines
from irworks.data.text_rows import field as field_of
from irworks.errors import ArgumentError, DataError

__all__ = ["HUB_AIRTC", "airtc"]

HUB_AIRTC = "rasyosef/2AIRTC-Amharic-Adhoc-Information-Retrieval-Test-Collection"
# Fields of a topic, and their columns on the hub.
_FIELDS = {
    "title": "relevant_topic_titles",
    "desc": "relevant_topic_descriptions",
    "narr": "relevant_topic_narratives",
}
_LONGEST = 1_200


def airtc(
    path: str | Path = "hub",
    *,
    field: Literal["title", "desc", "narr"] = "title",
    as_published: bool = False,
    duplicates: Literal["keep", "merge"] = "keep",
) -> Collection:
    """The Amharic test collection for ad-hoc retrieval.

    About a tenth of the documents have the text of another one. The paper's evaluation keeps them, so that a copy that
    was not judged counts as irrelevant; so does this by default, with a warning that says how many there are.

    Args:
        path: "hub", or another data set of that form: doc_no, doc_text, relevant_topic_nos and, for each field of a
            topic, relevant_topic_titles, relevant_topic_descriptions or relevant_topic_narratives. Or a folder of
            TREC: documents, topics and judgements, each a file or folder with doc, topic or qrel in its name.
        field: Of the topics, what is asked.
        as_published: Prepare texts as the authors' notebook does: NFKD, and no document of 1,200 words or more.
        duplicates: "keep", or "merge": equal texts, white space aside, are one document with all of their judgements.

    Raises:
        ArgumentError: Another field or treatment of duplicates.
        MissingDependencyError: The library `datasets` is not installed.
        DownloadError: It cannot be had from the hub.
        DataError: A file or column is missing, or a row is malformed.
    """
    if field not in _FIELDS or duplicates not in ("keep", "merge"):
        raise ArgumentError(
            f"field={field!r}, duplicates={duplicates!r}; expected one of: {', '.join(_FIELDS)}; and 'keep' or 'merge'"
        )
    folder = Path(path)
    of_trec = folder.is_dir() and any("qrel" in each.name.lower() for each in folder.iterdir())
    texts, queries, qrels = _trec(folder, field) if of_trec else _hub(HUB_AIRTC if path == "hub" else path, field)
    if as_published:
        texts = {doc: unicodedata.normalize("NFKD", text) for doc, text in texts.items()}
        texts = {doc: text for doc, text in texts.items() if len(text.split()) < _LONGEST}
    kept = _first_of_equals(texts)
    if duplicates == "keep":
        if copies := sum(doc != first for doc, first in kept.items()):
            warnings.warn(
                f"{copies:,} of {len(texts):,} documents of 2AIRTC have the text of another; they are kept, as in the "
                "paper's evaluation, and count as irrelevant where nobody judged them; duplicates='merge' makes one of "
                "them",
                stacklevel=2,
            )
        kept = {doc: doc for doc in texts}
    judged = {query: _of_documents(of, kept) for query, of in qrels.items()}
    docs = Documents.of({doc: texts[doc] for doc in dict.fromkeys(kept.values())})
    return Collection(docs, queries, {query: of for query, of in judged.items() if of}, "2AIRTC", "test")


def _first_of_equals(texts: dict[str, str]) -> dict[str, str]:
    """From each document to the first one with its text."""
    firsts: dict[str, str] = {}
    return {doc: firsts.setdefault(" ".join(text.split()), doc) for doc, text in texts.items()}


def _of_documents(judged: dict[str, int], kept: dict[str, str]) -> dict[str, int]:
    labels: dict[str, int] = {}
    for doc, label in judged.items():
        if doc in kept:
            labels[kept[doc]] = max(label, labels.get(kept[doc], label))
    return labels


Parts = tuple[dict[str, str], dict[str, str], dict[str, dict[str, int]]]


def _hub(path: str | Path, field: str) -> Parts:
    texts: dict[str, str] = {}
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    column, source = _FIELDS[field], Path(path)
    # Copies without the description of the data set have one split, which the library calls train.
    table = open_hub(path, ("documents", "train"), ("doc_no", "doc_text", "relevant_topic_nos", column))
    for place, row in hub_rows(table):
        doc = field_of(row, "doc_no", source, place)
        if doc in texts:
            raise DataError(f"document {doc!r} stands twice", source=source, row=place)
        texts[doc] = field_of(row, "doc_text", source, place)
        numbers, asked = row["relevant_topic_nos"] or [], row[column] or []
        if len(numbers) != len(asked):
            raise DataError(
                "topics and their texts differ in number",
                source=source,
                row=place,
                found=f"{len(numbers)} and {len(asked)}",
            )
        for number, text in zip(map(str, numbers), asked, strict=True):
            queries.setdefault(number, text)
            qrels.setdefault(number, {})[doc] = 1
    return texts, queries, qrels


def _trec(folder: Path, field: str) -> Parts:
    qrels = read_qrels(_one(folder, "judgements", lambda name: "qrel" in name))
    topics = read_topics(_one(folder, "topics", lambda name: "topic" in name and "qrel" not in name), field=field)
    documents = _one(folder, "documents", lambda name: "doc" in name and "qrel" not in name and "topic" not in name)
    files = sorted(each for each in documents.rglob("*") if each.is_file()) if documents.is_dir() else [documents]
    texts: dict[str, str] = {}
    for file in files:
        _add_documents(file, texts)
    return texts, topics, {query: judged for query, judged in qrels.items() if query in topics}


def _one(folder: Path, what: str, fits: Callable[[str], bool]) -> Path:
    found = sorted(each for each in folder.iterdir() if fits(each.name.lower()))
    if len(found) != 1:
        names = ", ".join(each.name for each in found) or "none"
        raise DataError(f"no telling which are the {what}", source=folder, found=names, expected="one by its name")
    return found[0]


def _add_documents(file: Path, texts: dict[str, str]) -> None:
    """The `<DOC>` elements of a file; a file without any is one document, by its name."""
    before = len(texts)
    for place, block in blocks(file, "doc"):
        parts = elements(block)
        doc = parts.get("docno") or parts.get("doc_no")
        if not doc or doc in texts:
            problem = f"document {doc!r} stands twice" if doc else "a document has no <docno>"
            raise DataError(problem, source=file, row=place)
        texts[doc] = "\n".join(parts[name] for name in ("title", "headline", "text", "body") if name in parts)
    if len(texts) == before:
        if file.stem in texts:
            raise DataError(f"document {file.stem!r} stands twice", source=file)
        texts[file.stem] = "".join(line for _, line in lines(file))
