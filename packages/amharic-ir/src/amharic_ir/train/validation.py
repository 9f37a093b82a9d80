"""What chooses the best step: how well an encoder finds what validation queries ask for."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irworks.data import Collection
from irworks.errors import ArgumentError

if TYPE_CHECKING:
    from amharic_ir.encoders import SentenceEncoder, TinyEncoder

__all__ = ["Validation", "require_judged"]


def require_judged(collection: Collection) -> None:
    """Check that the best step may be chosen by a collection.

    Raises:
        ArgumentError: Its queries are the test split, or none has a relevant document.
    """
    if collection.split == "test":
        raise ArgumentError(
            f"{collection.name}: its queries are the test split; expected others to choose the best step by, such as "
            "those of datasets.split(...).validation"
        )
    if not any(label > 0 for judged in collection.qrels.values() for label in judged.values()):
        raise ArgumentError(f"{collection.name}: no document is relevant to a validation query")


@dataclass(frozen=True, eq=False)
class Validation:
    """Judged queries that an encoder is measured on.

    Attributes:
        encoder: What is measured, as it is at the time.
        collection: Queries and the documents they are asked of.
        late: Whether by one vector a token; else a text.
    """

    encoder: "TinyEncoder | SentenceEncoder"
    collection: Collection
    late: bool = False

    def values(self) -> NDArray[np.float64]:
        """nDCG@10 of each judged query: float64 [n]."""
        from irworks.metrics import evaluate_run
        from irworks.retrieval import Dense, LateInteraction

        docs = self.collection.docs
        texts = docs.to_dict()
        index = LateInteraction(self.encoder) if self.late else Dense(self.encoder)
        asked = {query: self.collection.queries[query] for query in self.collection.qrels}
        found = evaluate_run(index.add(texts).search(asked, 10), self.collection.qrels, ["nDCG@10"])
        return found["nDCG@10"].to_numpy(dtype=np.float64)

    def __call__(self) -> float:
        """Their mean."""
        return float(self.values().mean())

    def digest(self) -> bytes:
        """What tells these queries from others."""
        found = hashlib.sha256()
        for text in (*self.collection.queries.values(), *self.collection.docs.texts()):
            raw = text.encode("utf-8", "surrogatepass")
            found.update(len(raw).to_bytes(8, "little") + raw)
        qrels = {query: dict(judged) for query, judged in self.collection.qrels.items()}
        found.update(f"{list(self.collection.queries)} {self.collection.docs.ids} {qrels}".encode("utf-8", "replace"))
        return found.digest()
