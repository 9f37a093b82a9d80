"""Encoders for text in the Ge'ez script: small ones that read folded text, and those of the hub by name."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from amharic_ir.text.analyzer import Analyzer
from amharic_ir.tokenizers import PieceTokenizer
from irworks.encoders import Bags, CrossEncoder, HashedNgrams, SentenceEncoder, TinyEncoder, TinySettings, tiny
from irworks.errors import ArgumentError, DataError

__all__ = ["CrossEncoder", "Ngrams", "Pieces", "SentenceEncoder", "TinyEncoder", "TinySettings", "load", "tiny"]


class Ngrams:
    """Folded words as bags of hashed n-grams: no tokenizer to train, no unknown word.

    Args:
        n: Letters of the n-grams, from ... to; a word's boundaries count as letters.
        buckets: Rows of the table.
        analyzer: How text is rewritten and cut into words.
    """

    def __init__(self, n: tuple[int, int] = (3, 4), buckets: int = 1 << 15, analyzer: Analyzer | None = None) -> None:
        self.analyzer = analyzer or Analyzer(tokens="word")
        self.hashed = HashedNgrams(n, buckets)

    @property
    def size(self) -> int:
        """Rows of the table."""
        return self.hashed.size

    def bags(self, texts: Sequence[str]) -> Bags:
        """The words of texts, as bags of n-grams."""
        return self.hashed.bags_of([self.analyzer.words_of(text) for text in self.analyzer.normalize_many(texts)])

    def to_json(self) -> str:
        """The settings, with those of the analyzer."""
        settings = {"n": list(self.hashed.n), "buckets": self.hashed.buckets}
        return json.dumps({"kind": "ngrams", **settings, "analyzer": json.loads(self.analyzer.to_json())})


class Pieces:
    """The pieces of a tokenizer, a row of the table each.

    Args:
        tokenizer: Trained by `amharic_ir.tokenizers.train`, or loaded.
    """

    def __init__(self, tokenizer: PieceTokenizer) -> None:
        self.tokenizer = tokenizer

    @property
    def size(self) -> int:
        """Rows of the table."""
        return len(self.tokenizer)

    def bags(self, texts: Sequence[str]) -> Bags:
        """The pieces of texts."""
        return Bags.of(self.tokenizer.ids(texts))

    def to_json(self) -> str:
        """The tokenizer, and how text is rewritten before it."""
        normalize = None if self.tokenizer.normalize is None else json.loads(self.tokenizer.normalize.to_json())
        inner = json.loads(self.tokenizer.inner.to_str())
        return json.dumps({"kind": "pieces", "name": self.tokenizer.name, "normalize": normalize, "tokenizer": inner})


def load(source: str | Path, *, device: str = "auto", **options: Any) -> TinyEncoder | SentenceEncoder:
    """An encoder: a folder that training wrote, a folder of sentence-transformers, or a name on the hub.

    Args:
        source: Where it is.
        device: See `irworks.runtime.device`.
        options: As of `SentenceEncoder`.

    Raises:
        ArgumentError: There is none of that name.
        DataError: The folder holds no encoder, or is damaged.
        MissingDependencyError: What it needs is not installed.
    """
    folder = Path(source)
    if folder.is_dir() and not any((folder / name).is_file() for name in ("tiny.json", "modules.json", "config.json")):
        raise DataError(
            "no encoder is in the folder", source=folder, expected="what training wrote, or a model's files"
        )
    if not (folder / "tiny.json").is_file():
        return SentenceEncoder(str(source), device=device, **options)
    if options:
        raise ArgumentError(f"{source} is a small encoder; it takes no {', '.join(options)}")
    return TinyEncoder.load(folder, _cut(folder / "cut.json"), device=device)


def _cut(path: Path) -> Ngrams | Pieces:
    from irworks.data.damage import refused

    with refused("it does not say how text is cut", path, expected="what training wrote"):
        settings = json.loads(path.read_text(encoding="utf-8"))
        kind, name = settings["kind"], "analyzer" if settings["kind"] == "ngrams" else "normalize"
        analyzer = None if settings[name] is None else Analyzer.from_json(json.dumps(settings[name]))
        if kind == "ngrams":
            return Ngrams(tuple(settings["n"]), settings["buckets"], analyzer)
        if kind != "pieces":
            raise ValueError(f"kind {kind!r}")
        return Pieces(PieceTokenizer.from_json(json.dumps(settings["tokenizer"]), analyzer, settings["name"]))
