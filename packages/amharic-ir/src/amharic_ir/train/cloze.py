"""Documents alone: what to learn from, and sentences of others to choose by."""

import random

from amharic_ir.text.folding import same_text
from amharic_ir.text.sentences import sentences
from irworks.data import Collection, Documents
from irworks.errors import ArgumentError

__all__ = ["cloze_split"]


def cloze_split(
    docs: Documents, *, share: float = 0.1, words: int = 24, seed: int = 0, name: str = "documents"
) -> tuple[list[str], Collection]:
    """Divide documents into those for `inverse_cloze`, and some that a sentence of theirs asks for.

    Args:
        docs: All; of equal texts one is kept.
        share: Of the documents with two sentences, to be asked for.
        words: Of a sentence, at most.
        seed: Of the draw.
        name: Of the collection.

    Returns:
        The texts to learn from; and the validation queries, over all documents: those that are asked for do not have
        the sentence any more.

    Raises:
        ArgumentError: Share is out of range, or there are too few documents with two sentences of three words.
    """
    if not 0 < share < 1 or words < 1:
        raise ArgumentError(f"share={share}, words={words}; expected above 0 and below 1, and at least 1")
    draw = random.Random(seed)
    texts = list({same_text(text): text for text in docs.texts()}.values())
    spans = [[(b, e) for b, e in sentences(text) if len(text[b:e].split()) >= 3] for text in texts]
    able = [place for place, found in enumerate(spans) if len(found) > 1]
    if len(able) < 2:
        raise ArgumentError(
            f"{len(able)} of {len(texts):,} documents have two sentences of three words; expected at least 2"
        )
    asked = sorted(draw.sample(able, min(max(round(share * len(able)), 1), len(able) - 1)))
    learned = [text for place, text in enumerate(texts) if place not in set(asked)]
    queries = {}
    for place in asked:
        text, (begin, end) = texts[place], draw.choice(spans[place])
        queries[str(place)] = " ".join(text[begin:end].split()[:words])
        texts[place] = f"{text[:begin]} {text[end:]}".strip()
    return learned, Collection(Documents.of(texts), queries, {q: {q: 1} for q in queries}, name, "validation")
