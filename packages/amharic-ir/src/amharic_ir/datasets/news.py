"""News: headlines that ask for their articles."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from amharic_ir.datasets.hub import hub_rows, open_hub
from irworks.data import Collection, Documents
from irworks.data.text_rows import field as field_of
from irworks.data.text_rows import table_rows
from irworks.errors import ArgumentError, DataError

__all__ = ["HUB_NEWS", "News", "Part", "amharic_news", "masakhanews"]

Part = Literal["", "train", "validation", "test"]
HUB_NEWS = "rasyosef/amharic-passage-retrieval-dataset"
# Of the languages, in the repository of MasakhaNEWS.
_FOLDERS = {"am": "amh", "ti": "tir"}
# What is read, in this order: an article that stands in two parts is of the first.
_FILES: dict[str, tuple[str, ...]] = {
    "test": ("test.tsv",),
    "validation": ("dev.tsv",),
    "train": ("train.tsv", "train_50_per_class.tsv"),
}
# As the authors' notebooks divide their news.
_TEST_SHARE, _TEST_SEED = 0.1, 16


@dataclass(frozen=True, eq=False, repr=False)
class News(Collection):
    """A collection of news.

    Attributes:
        categories: {query: category}, as `split` takes them.
    """

    categories: Mapping[str, str] = field(default_factory=dict)


# -- MasakhaNEWS ------------------------------------------------------------------------------------------------------


def masakhanews(path: str | Path, lang: Literal["am", "ti"] = "am", *, part: Part = "") -> News:
    """MasakhaNEWS (Adelani et al. 2023): each article once, whose headline asks for it.

    Two articles with one headline are two queries. All articles are documents, whichever part is asked for; which of
    the files test.tsv, dev.tsv and train.tsv (or train_50_per_class.tsv) are not there, is not read.

    Args:
        path: The folder of these files, or a copy of the repository; or one file.
        lang: "am" (Amharic) or "ti" (Tigrinya): which folder of the repository.
        part: Whose headlines are asked: "train", "validation" (dev.tsv), "test"; "": all.

    Raises:
        ArgumentError: Another language, or a part that is not there.
        DataError: There is no such file, or a row is malformed.
    """
    if lang not in _FOLDERS:
        raise ArgumentError(f"lang={lang!r}; expected one of: {', '.join(_FOLDERS)}")
    files = _files(Path(path), _FOLDERS[lang])
    if part and part not in files:
        raise ArgumentError(
            f"part={part!r} is not in {path}; expected one of: {', '.join(filter(None, files)) or repr('')}"
        )
    texts: dict[str, str] = {}
    queries: dict[str, str] = {}
    categories: dict[str, str] = {}
    parts: dict[str, str] = {}
    for name, file in files.items():
        for place, row in table_rows(file):
            headline, text, category = (field_of(row, key, file, place) for key in ("headline", "text", "category"))
            if (key := " ".join(text.split())) in texts:
                continue
            number = str(len(texts))
            texts[key], queries[number] = text, " ".join(headline.split())
            categories[number], parts[number] = category, name
    if not texts:
        raise DataError("no article is in it", source=Path(path))
    kept = [query for query in queries if not part or parts[query] == part]
    return News(
        Documents.of(list(texts.values())),
        {query: queries[query] for query in kept},
        {query: {query: 1} for query in kept},
        f"MasakhaNEWS {lang}",
        part,
        {query: categories[query] for query in kept},
    )


def _files(path: Path, folder: str) -> dict[str, Path]:
    if path.is_file():
        return {"": path}
    places = (path, path / "data" / folder, path / folder)
    root = next((place for place in places if any(place.glob("*.tsv"))), None)
    if root is None:
        raise DataError("no news are in it", source=path, expected="test.tsv, dev.tsv or train.tsv")
    files = {}
    for part, names in _FILES.items():
        there = [root / name for name in names if (root / name).is_file()]
        if there:
            files[part] = there[0]
    if not files:
        raise DataError("no news are in it", source=root, expected="test.tsv, dev.tsv or train.tsv")
    return files


# -- the paper's news -------------------------------------------------------------------------------------------------


def amharic_news(path: str | Path = HUB_NEWS, *, part: Literal["", "train", "test"] = "") -> News:
    """The paper's Amharic news: headlines that ask for their passages, all passages being documents.

    Where a row has `negative_passages` (as in the set whose name ends in -with-negatives), these are judged 0. A query
    id that stands twice with other passages has all of them.

    Args:
        path: Name on the hub, or a folder or file of a copy: columns query_id, passage_id, query, passage, category.
        part: "test": the tenth that the authors' notebooks evaluate on, drawn as they draw it (by category, seed 16);
            "train": the rest; "": all.

    Raises:
        ArgumentError: Another part.
        MissingDependencyError: The library `datasets` is not installed.
        DownloadError: It cannot be had from the hub.
        DataError: A column is missing, or an id stands for two texts.
    """
    if part not in ("", "train", "test"):
        raise ArgumentError(f"part={part!r}; expected 'train', 'test' or ''")
    table = open_hub(path, "train", ("query_id", "passage_id", "query", "passage", "category"))
    whole = _whole(table, str(path))
    if not part:
        return whole
    encoded = table.select_columns(["query_id", "category"]).class_encode_column("category")
    parts = encoded.train_test_split(test_size=_TEST_SHARE, seed=_TEST_SEED, stratify_by_column="category")
    kept = list(dict.fromkeys(str(query) for query in parts[part]["query_id"]))
    chosen = whole.of_queries(kept)
    categories = {query: whole.categories[query] for query in kept}
    return replace(whole, queries=chosen.queries, qrels=chosen.qrels, split=part, categories=categories)


def _whole(table: object, source: str) -> News:
    texts: dict[str, str] = {}
    queries: dict[str, str] = {}
    categories: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    negatives: dict[str, list[str]] = {}
    for place, row in hub_rows(table):
        query, doc, asked, text, category = (
            field_of(row, key, Path(source), place)
            for key in ("query_id", "passage_id", "query", "passage", "category")
        )
        if texts.setdefault(doc, text) != text or queries.setdefault(query, asked) != asked:
            raise DataError("one id stands for two texts", source=source, row=place, found=f"{query}, {doc}")
        qrels.setdefault(query, {})[doc] = 1
        categories[query] = category
        for other in row.get("negative_passages") or ():
            number = field_of(other, "passage_id", Path(source), place)
            negatives.setdefault(query, []).append(number)
            texts.setdefault(number, field_of(other, "passage", Path(source), place))
    for query, others in negatives.items():
        for doc in others:
            qrels[query].setdefault(doc, 0)
    return News(Documents.of(texts), queries, qrels, source.rsplit("/", 1)[-1], "", categories)
