"""What collection a path is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from irworks.errors import ArgumentError, DataError

if TYPE_CHECKING:
    from irworks.data import Collection

__all__ = ["HELP", "SCHEMES", "Fields", "collection_of", "is_index"]

HELP = (
    "A BEIR folder; a SQuAD-like .json; a table (.csv, .tsv or .jsonl) with --query-field and --text-field; or "
    "documents, or an index, with --topics and --qrels; data:amqa, data:masakhanews-amh or data:masakhanews-tir, "
    "fetched once; or hub:NAME, the paper's news, 2AIRTC, or any data set of the hub with --query-field and "
    "--text-field."
)


@dataclass(frozen=True)
class Fields:
    """What the options say about a path.

    Attributes:
        topics: File of TREC topics, or of queries in a table.
        qrels: File of TREC judgements.
        query_field: Column of the queries in a table of pairs.
        text_field: Column of the texts.
        split: Of a BEIR folder.
    """

    topics: Path | None = None
    qrels: Path | None = None
    query_field: str | None = None
    text_field: str | None = None
    split: str = "test"

    def __post_init__(self) -> None:
        if (self.topics is None) != (self.qrels is None):
            raise ArgumentError("--topics and --qrels go together; expected both or neither")
        if (self.query_field is None) != (self.text_field is None):
            raise ArgumentError("--query-field and --text-field go together; expected both or neither")
        if self.topics is not None and self.query_field is not None:
            raise ArgumentError("--topics and --query-field name two kinds of collection; expected one of them")


def _of_catalog(name: str, fields: Fields) -> "Collection":
    """A data set that `irworks data` knows."""
    from amharic_ir.datasets import amqa, masakhanews
    from irworks.data import catalog

    known: dict[str, Callable[[Path], Collection]] = {
        "amqa": amqa,
        "masakhanews-amh": masakhanews,
        "masakhanews-tir": lambda path: masakhanews(path, "ti"),
    }
    if name not in known:
        raise ArgumentError(f"data:{name} is no collection; expected data: and one of: {', '.join(known)}")
    return known[name](catalog.get(name))


def _of_hub(name: str, fields: Fields) -> "Collection":
    """A data set of the Hugging Face hub."""
    from amharic_ir.datasets import HUB_AIRTC, HUB_NEWS, airtc, amharic_news, read_hub

    if fields.query_field is not None and fields.text_field is not None:
        return read_hub(name, fields.split, text=fields.text_field, query=fields.query_field)
    if name == HUB_AIRTC:
        return airtc()
    if name in (HUB_NEWS, f"{HUB_NEWS}-with-negatives"):
        return amharic_news(name, part="train" if fields.split == "train" else "test")
    raise ArgumentError(f"hub:{name} needs --query-field and --text-field, columns of the data set")


# From what stands before a colon to a reader of what stands after it.
SCHEMES: "dict[str, Callable[[str, Fields], Collection]]" = {"data": _of_catalog, "hub": _of_hub}


def collection_of(data: str, fields: Fields) -> "Collection":
    """Read a collection, by what the path is and what the options say.

    Raises:
        ArgumentError: It is no path, nothing says what the queries are, or nothing reads such a name.
        DataError: A file is malformed: with file and line.
    """
    from irworks.data.text_files import read_beir, read_pairs, read_squad

    path = Path(data)
    scheme, colon, name = data.partition(":")
    if colon and not path.exists():
        if scheme not in SCHEMES:
            known = "".join(f", {one}:NAME" for one in SCHEMES)
            raise ArgumentError(f"there is no {data}; expected a file or folder{known}")
        return SCHEMES[scheme](name, fields)
    if not path.exists():
        raise DataError("no such file or folder", source=path)
    if fields.topics is not None and fields.qrels is not None:
        return _trec(path, fields.topics, fields.qrels)
    if path.is_dir():
        if is_index(path):
            raise ArgumentError(f"{path} is an index, which has no queries; expected --topics and --qrels with it")
        if not (path / "corpus.jsonl").is_file():
            raise DataError(
                "no collection is in the folder",
                source=path,
                expected="corpus.jsonl, queries.jsonl and qrels, as of BEIR; or documents with --topics and --qrels",
            )
        return read_beir(path, fields.split)
    if fields.query_field is not None and fields.text_field is not None:
        return read_pairs(path, fields.query_field, fields.text_field)
    if path.suffix.lower() == ".json":
        return read_squad(path, name=path.stem)
    raise ArgumentError(
        f"{path}: nothing says what the queries are; expected --query-field and --text-field of a table of pairs, or "
        "--topics and --qrels of documents"
    )


def is_index(path: Path) -> bool:
    """Whether a folder is one that `index` wrote."""
    return (path / "searcher.json").is_file()


def _trec(path: Path, topics: Path, qrels: Path) -> "Collection":
    from irworks.data.text_files import read_documents, read_trec

    if not is_index(path):
        return read_trec(read_documents(path), topics, qrels)
    from amharic_ir.search import Searcher

    return read_trec(Searcher.open(path).docs, topics, qrels)
