"""What the verbs that learn read: pairs, validation queries, negatives."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from amharic_ir.cli.collections import Fields, collection_of
from irworks.errors import ArgumentError, DataError

if TYPE_CHECKING:
    from amharic_ir.encoders import SentenceEncoder, TinyEncoder
    from amharic_ir.train import Pairs
    from irworks.data import Collection

__all__ = ["beginning", "cloze_parts", "collection", "labelled_parts", "read_mined", "write_mined"]

# Of the queries, where none are given to choose by.
_SHARE = 0.1


def collection(data: str | None, split: str, **fields: str | None) -> "Collection | None":
    """A collection of queries to choose by, or to be tested on, if there is one."""
    return None if data is None else collection_of(data, Fields(split=split, **fields))  # type: ignore[arg-type]


def beginning(
    base: str, tokenizer: str | None, pairs: "Pairs", seed: int, token_dim: int | None
) -> "TinyEncoder | SentenceEncoder":
    """What training begins with; a small encoder of pieces, where there is a tokenizer.

    Raises:
        ArgumentError: There is no such encoder or tokenizer.
        DataError: One is damaged.
    """
    from amharic_ir import tokenizers
    from amharic_ir.encoders import Pieces, tiny
    from amharic_ir.train.base import encoder_of

    if tokenizer is None:
        return encoder_of(base, pairs.docs, seed=seed, token_dim=token_dim)
    return tiny(Pieces(tokenizers.load(tokenizer)), docs=pairs.docs, seed=seed, device="auto", name="pieces")


def labelled_parts(
    data: Sequence[str], fields: Fields, validation: "Collection | None", mined: Path | None, seed: int
) -> "tuple[Pairs, Collection]":
    """Pairs to learn from, and validation queries: those that are given, or a tenth split off.

    Raises:
        ArgumentError: There is nothing to learn from, or the negatives are of other data.
        DataError: A file is malformed.
    """
    from amharic_ir.datasets import split
    from amharic_ir.train import Pairs

    if mined is not None and len(data) > 1:
        raise ArgumentError(f"--mined goes with one PAIRS, whose ids are in it; found {len(data)}")
    whole = _together([collection_of(one, fields) for one in data])
    negatives = None if mined is None else read_mined(mined, whole)
    if whole.split == "test":
        raise ArgumentError(f"{whole.name}: its queries are the test split; expected those for training")
    if validation is not None:
        return Pairs.of(whole, negatives), validation
    parts = split(whole, validation=_SHARE, test=0, seed=seed)
    return Pairs.of(parts.train, negatives), parts.validation


def cloze_parts(
    data: Sequence[str],
    text_field: str | None,
    validation: "Collection | None",
    held_out: "Collection | None",
    seed: int,
) -> "tuple[Pairs, Collection]":
    """The same of documents alone: sentences ask for the texts that they were taken from.

    What is to be tested on, or chosen by, is no sentence to learn from.

    Raises:
        ArgumentError: There are too few sentences.
        DataError: A file is malformed.
    """
    from amharic_ir.train import inverse_cloze
    from amharic_ir.train.cloze import cloze_split
    from irworks.data import Documents
    from irworks.data.text_files import read_documents

    texts = [text for one in data for text in read_documents(one, text_field=text_field).texts()]
    if validation is None:
        texts, validation = cloze_split(Documents.of(texts), share=_SHARE, seed=seed, name=Path(data[0]).stem)
    pairs = inverse_cloze(texts, seed=seed)
    others = [*validation.queries.values(), *(() if held_out is None else held_out.queries.values())]
    return pairs.without(others), validation


def _together(collections: "Sequence[Collection]") -> "Collection":
    """One collection of several, whose ids then begin with their number."""
    from irworks.data import Collection, Documents

    if len(collections) == 1:
        return collections[0]
    docs: dict[str, str] = {}
    queries: dict[str, str] = {}
    qrels: dict[str, Mapping[str, int]] = {}
    for number, each in enumerate(collections):
        docs |= {f"{number}:{doc}": text for doc, text in zip(each.docs.ids, each.docs.texts(), strict=True)}
        queries |= {f"{number}:{query}": text for query, text in each.queries.items()}
        for query, judged in each.qrels.items():
            qrels[f"{number}:{query}"] = {f"{number}:{doc}": label for doc, label in judged.items()}
    found = Collection(Documents.of(docs), queries, qrels, " + ".join(each.name for each in collections))
    return replace(found, split="test") if any(each.split == "test" for each in collections) else found


def write_mined(path: Path, negatives: Mapping[str, Sequence[str]]) -> None:
    """Write negatives as JSON lines."""
    import json

    from irworks.runtime.files import atomic_write

    with atomic_write(path) as file:
        for query, docs in negatives.items():
            file.write(f"{json.dumps({'query': query, 'negatives': list(docs)}, ensure_ascii=False)}\n")


def read_mined(path: Path, collection: "Collection") -> dict[str, list[str]]:
    """Read what `write_mined` wrote of a collection.

    Raises:
        DataError: A row is malformed, or of another collection.
    """
    from irworks.data.text_rows import json_rows

    found: dict[str, list[str]] = {}
    for place, row in json_rows(path):
        query, docs = row.get("query"), row.get("negatives")
        if not isinstance(query, str) or not isinstance(docs, list) or not all(isinstance(doc, str) for doc in docs):
            raise DataError(
                "no negatives", source=path, row=place, found=row, expected='{"query": ID, "negatives": [ID]}'
            )
        if query in found:
            raise DataError(f"query {query!r} stands twice", source=path, row=place)
        stranger = next((doc for doc in docs if doc not in collection.docs.places), None)
        if query not in collection.queries or stranger is not None:
            what = f"query {query!r}" if query not in collection.queries else f"document {stranger!r}"
            raise DataError(f"{collection.name} has no {what}", source=path, row=place, hint="Mine again")
        found[query] = docs
    return found
