"""What retrieval is measured on: documents, queries, and which document is relevant to which query."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Self

from irworks.errors import ArgumentError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Collection", "Documents"]


class Documents:
    """Documents in an Arrow table, so that those of a file that is mapped into memory need no memory of their own.

    Attributes:
        table: Columns id and text, both text; and title, where there are titles.
    """

    def __init__(self, table: "pa.Table") -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        for name in ("id", "text"):
            if name not in table.column_names:
                raise ArgumentError(f"the table has columns {table.column_names}; expected id, text, and perhaps title")
        names = [name for name in ("id", "title", "text") if name in table.column_names]
        self.table = table.select(names).cast(pa.schema([(name, pa.large_string()) for name in names]))
        if "title" in names:
            # A document without a title, among others that have one.
            place = names.index("title")
            self.table = self.table.set_column(place, "title", pc.fill_null(self.table["title"], ""))
        for name in names:
            if self.table[name].null_count:
                raise ArgumentError(f"column {name!r} has {self.table[name].null_count} missing values; expected text")

    @classmethod
    def of(
        cls, texts: Mapping[str, str] | Sequence[str], *, titles: Mapping[str, str] | Sequence[str] | None = None
    ) -> Self:
        """From {id: text}, or from texts alone, whose ids are then "0", "1", ...; titles in the same way.

        Raises:
            ArgumentError: There are not as many titles.
        """
        import pyarrow as pa

        if not isinstance(texts, Mapping):
            texts = {str(number): text for number, text in enumerate(texts)}
            if titles is not None and not isinstance(titles, Mapping):
                titles = {str(number): title for number, title in enumerate(titles)}
        columns = {"id": [str(each) for each in texts], "text": list(texts.values())}
        if titles is not None:
            if not isinstance(titles, Mapping) or set(map(str, titles)) != set(columns["id"]):
                raise ArgumentError(f"{len(titles)} titles of {len(texts)} documents; expected one for each, by its id")
            columns["title"] = [dict(titles)[each] for each in texts]
        return cls(pa.table({name: pa.array(values, pa.large_string()) for name, values in columns.items()}))

    @cached_property
    def ids(self) -> list[str]:
        """Of the documents, in order."""
        found: list[str] = self.table["id"].to_pylist()
        return found

    @cached_property
    def places(self) -> dict[str, int]:
        """From an id to its place.

        Raises:
            ArgumentError: An id stands twice.
        """
        places = {each: place for place, each in enumerate(self.ids)}
        if len(places) < len(self.ids):
            seen: set[str] = set()
            twice = next(each for each in self.ids if each in seen or seen.add(each))  # type: ignore[func-returns-value]
            raise ArgumentError(f"document {twice!r} stands twice; expected each id once")
        return places

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def to_dict(self) -> dict[str, str]:
        """{id: text} of all, as `texts` gives them.

        Raises:
            ArgumentError: An id stands twice.
        """
        return dict(zip(self.places, self.texts(), strict=True))

    def __getitem__(self, doc: str) -> str:
        """The text of a document by its id, behind its title, if it has one."""
        return next(self.texts([self.places[doc]]))

    def texts(self, places: Sequence[int] | None = None) -> Iterator[str]:
        """The texts of documents, by place or of all, each behind its title, if it has one, and a line break."""
        table = self.table if places is None else self.table.take(list(places))
        for batch in table.to_batches(max_chunksize=4096):
            texts = batch.column("text").to_pylist()
            if "title" not in batch.schema.names:
                yield from texts
                continue
            for title, text in zip(batch.column("title").to_pylist(), texts, strict=True):
                yield f"{title}\n{text}" if title else text

    def __repr__(self) -> str:
        return f"Documents({len(self):,})"


@dataclass(frozen=True, eq=False)
class Collection:
    """Documents, queries and judgements.

    Attributes:
        docs: The documents.
        queries: {query: text}.
        qrels: {query: {document: label}}; labels above 0 are relevant.
        name: For tables.
        split: Which part of a whole the queries are, such as "train", "validation" or "test"; "" if none.

    Raises:
        ArgumentError: A judged query or document is not there.
    """

    docs: Documents
    queries: Mapping[str, str] = field(default_factory=dict)
    qrels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    name: str = "collection"
    split: str = ""

    def __post_init__(self) -> None:
        if strangers := self.qrels.keys() - self.queries.keys():
            raise ArgumentError(f"{self.name}: query {min(strangers)!r} is judged and not among the queries")
        places = self.docs.places
        for query, judged in self.qrels.items():
            for doc in judged:
                if doc not in places:
                    raise ArgumentError(f"{self.name}: document {doc!r}, judged for query {query!r}, is not there")

    def of_queries(self, queries: Iterable[str]) -> "Collection":
        """The same documents, with some of the queries."""
        kept = list(queries)
        return Collection(
            self.docs,
            {query: self.queries[query] for query in kept},
            {query: self.qrels[query] for query in kept if query in self.qrels},
            self.name,
            self.split,
        )

    def __repr__(self) -> str:
        judged = sum(map(len, self.qrels.values()))
        return (
            f"Collection({self.name!r}, documents={len(self.docs):,}, queries={len(self.queries):,}, judged={judged:,})"
        )
