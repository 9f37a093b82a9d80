"""Small encoders of the claims: what they learn from, how, and how they are measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from irworks.claims import Context
from irworks.encoders import TinySettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from irworks.data import Collection, Run
    from irworks.encoders import Bags, Cut, TinyEncoder
    from irworks.retrieval import Retriever

__all__ = [
    "DATA",
    "NOTE",
    "SIZES",
    "Remembered",
    "TrainedWorld",
    "index",
    "means",
    "of_run",
    "ranks",
    "trained",
    "trained_world",
]

DATA = ("masakhanews-amh", "amqa")
# Of texts so many tokens are read: a body's lead.
SIZES = TinySettings(query_length=32, doc_length=288)
# Of 3e-4, 1e-3 and 2e-3 the learning rate of each kind by which the validation headlines are found best.
RATES = {"single": 2e-3, "tokens": 3e-4}
NOTE = (
    "Learned from the training headlines with their articles, seven tenths of AmQA's questions with their paragraphs, "
    "and sentences of all bodies with the bodies they stand in (inverse cloze; bodies of the test part too, never "
    "their headlines). The best step, perhaps that before training, is chosen on the headlines of the development "
    "part, and by them the learning rate of each kind was: 2e-3 with one vector a text, 3e-4 with one a token. Tested "
    "on the headlines of the test part over all bodies, and on a fifth of the questions, none on a paragraph that was "
    "learned from, over all paragraphs."
)


@dataclass(frozen=True, eq=False)
class TrainedWorld:
    """What small encoders learn from and are measured on.

    Attributes:
        pairs: For training; no query of validation or test is among them.
        validation: Headlines of the development part.
        tests: By name: headlines of the test part over all bodies; questions on unseen paragraphs over all paragraphs.
        texts: Bodies and paragraphs that are not of the test part, and training headlines, for tokenizers.
    """

    pairs: Any
    validation: "Collection"
    tests: "dict[str, Collection]"
    texts: list[str]


def trained_world(ctx: Context, *, supervised: bool = True) -> TrainedWorld:
    """News and questions, each in its own parts; at scale smoke, some of them."""
    from amharic_ir.datasets import amqa, masakhanews, split
    from amharic_ir.text.folding import same_text
    from amharic_ir.train import Pairs, inverse_cloze

    folder = ctx.data("masakhanews-amh")
    some = ctx.pick(smoke=25, small=None, full=None)
    parts = [masakhanews(folder, part=part) for part in ("train", "validation", "test")]
    heads, validation, test = _some(parts, some)
    # AmQA's own parts share paragraphs.
    asked, _, unseen = _some([*split(amqa(ctx.data("amqa")), validation=0.1, test=0.2, seed=0)], some)
    tests = {"news": test, "questions": unseen}
    held = {same_text(text) for one in (*tests.values(), validation) for text in one.queries.values()}
    docs = heads.docs.to_dict()
    cloze = inverse_cloze(docs.values(), per_doc=ctx.pick(smoke=1, small=2, full=5), seed=0)
    known = Pairs.of(heads).joined(Pairs.of(asked)).joined(cloze) if supervised else cloze
    kept = [place for place, text in enumerate(known.queries) if same_text(text) not in held]
    pairs = Pairs([known.queries[place] for place in kept], [known.docs[place] for place in kept])
    bodies = [docs[doc] for doc in docs if doc not in test.queries]
    paragraphs = dict.fromkeys(asked.docs[doc] for judged in asked.qrels.values() for doc in judged)
    return TrainedWorld(pairs, validation, tests, [*bodies, *heads.queries.values(), *paragraphs])


def _some(parts: "Sequence[Collection]", n: int | None) -> "list[Collection]":
    """Of each part of a whole the first n queries, over the documents that they ask for."""
    from irworks.data import Documents

    if n is None:
        return list(parts)
    found = [part.of_queries(list(part.queries)[:n]) for part in parts]
    asked = dict.fromkeys(doc for part in found for judged in part.qrels.values() for doc in judged)
    docs = Documents.of({doc: parts[0].docs[doc] for doc in asked})
    return [replace(part, docs=docs) for part in found]


def trained(
    ctx: Context, world: TrainedWorld, base: "TinyEncoder", seed: int, kind: Literal["single", "tokens"], **changes: Any
) -> "TinyEncoder":
    """A small encoder with one vector a text, or one a token: the same pairs and steps, and each its learning rate."""
    from amharic_ir.train import TrainConfig, bi_encoder, late_interaction

    settings: dict[str, Any] = {"epochs": ctx.pick(smoke=1, small=2, full=4), "query_length": 16, "doc_length": 64}
    config = TrainConfig(**(settings | {"seed": seed, "learning_rate": RATES[kind]} | changes))
    train = bi_encoder if kind == "single" else late_interaction
    held = world.tests["news"]
    encoder, _ = train(world.pairs, base, config=config, validation=world.validation, held_out=held)
    return encoder  # type: ignore[return-value]


class Remembered:
    """A cut that remembers texts: those of every seed are the same.

    Args:
        cut: From texts to rows of a table.
    """

    def __init__(self, cut: "Cut") -> None:
        self.cut = cut
        self.known = cut.bags([])
        self.places: dict[str, int] = {}

    @property
    def size(self) -> int:
        """Rows of the table."""
        return self.cut.size

    def to_json(self) -> str:
        """Of what is remembered."""
        return self.cut.to_json()

    def bags(self, texts: "Sequence[str]") -> "Bags":
        """The tokens of texts."""
        import numpy as np

        if new := [text for text in dict.fromkeys(texts) if text not in self.places]:
            self.places |= {text: len(self.known) + place for place, text in enumerate(new)}
            self.known = self.known.joined(self.cut.bags(new))
        return self.known.take(np.array([self.places[text] for text in texts], dtype=np.int64))


def index(encoder: Any, kind: str, collection: "Collection") -> "Retriever":
    """The documents of a collection by one vector each, or one a token."""
    from irworks.retrieval import Dense, LateInteraction

    empty = Dense(encoder) if kind == "single" else LateInteraction(encoder)
    return empty.add(collection.docs.to_dict())


def ranks(retriever: "Retriever", collection: "Collection") -> "NDArray[np.float64]":
    """RR@10 of each query: float64 [n_queries]."""
    return of_run(retriever.search(collection.queries, 10), collection)


def of_run(run: "Run", collection: "Collection") -> "NDArray[np.float64]":
    """RR@10 of each query of a run: float64 [n_queries]."""
    from irworks.metrics import evaluate_run

    values: NDArray[np.float64] = evaluate_run(run, collection.qrels, ["RR@10"])["RR@10"].to_numpy()
    return values


def means(found: "Mapping[Any, NDArray[np.float64]]") -> dict[Any, float]:
    """The mean of each."""
    return {key: float(values.mean()) for key, values in found.items()}
