"""What the methods of `benchmarks/amharic_ir.py` work on, with numpy alone: news, passages of its sentences, tokens."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

_BETWEEN_SENTENCES = re.compile(r"(?<=[\u1362!?])\s*|\s*\n+\s*")
_FEWEST, _MOST = 3, 60


def packed(texts: Sequence[str]) -> np.ndarray:
    """Texts without the character of code 0, as uint8 [n], which an archive of arrays keeps."""
    return np.frombuffer("\0".join(texts).encode(), dtype=np.uint8)


def unpacked(array: np.ndarray) -> list[str]:
    """The inverse of `packed`, but for no texts at all."""
    return array.tobytes().decode().split("\0")


def document_tokens(data: Mapping[str, np.ndarray]) -> list[list[str]]:
    """The tokens of each document, from their numbers `ids`, `offsets` and the packed `vocabulary`."""
    vocabulary = unpacked(data["vocabulary"])
    flat = [vocabulary[number] for number in data["ids"].tolist()]
    return [flat[begin:end] for begin, end in pairwise(data["offsets"].tolist())]


def query_tokens(data: Mapping[str, np.ndarray]) -> list[list[str]]:
    """The tokens of each query, which stand packed with spaces between."""
    return [text.split(" ") for text in unpacked(data["queries"])]


def read_news() -> tuple[list[str], list[str]]:
    """Articles of MasakhaNEWS and their headlines, each article once."""
    from irworks.data import catalog
    from irworks.data.text_files import read_pairs

    folder = catalog.locate("masakhanews-amh")
    found: dict[str, str] = {}
    for name in ("test.tsv", "dev.tsv", "train_50_per_class.tsv"):
        part = read_pairs(folder / name, "headline", "text")
        for query, judged in part.qrels.items():
            for doc in judged:
                found.setdefault(part.docs[doc].replace("\0", ""), part.queries[query].replace("\0", ""))
    return list(found), list(found.values())


def passages(articles: Sequence[str], number: int, words: int, seed: int) -> list[str]:
    """Passages of about so many words, made of sentences of 3 to 60 words drawn with replacement from all articles."""
    rng = np.random.default_rng(seed)
    sentences = [sentence for article in articles for sentence in _BETWEEN_SENTENCES.split(article) if sentence]
    sizes = np.array([len(sentence.split()) for sentence in sentences])
    kept = np.flatnonzero((sizes >= _FEWEST) & (sizes <= _MOST))
    # Half a sentence early is as near to the number as half a sentence late.
    enough = words - sizes[kept].mean() / 2
    made = []
    for _ in range(number):
        drawn = kept[rng.integers(len(kept), size=words // _FEWEST + 1)]
        until = int(np.searchsorted(np.cumsum(sizes[drawn]), enough)) + 1
        made.append(" ".join(sentences[each] for each in drawn[:until]))
    return made
