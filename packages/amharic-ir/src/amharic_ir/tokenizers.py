"""Tokenizers of language models: train four kinds, and see what any of them makes of Amharic."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np

from amharic_ir.text.analyzer import Analyzer
from irworks.data.damage import one_line, refused
from irworks.errors import ArgumentError, DataError, MissingDependencyError
from irworks.runtime.files import atomic_path

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FOLDED", "Kind", "PieceTokenizer", "fertility", "load", "train"]

Kind = Literal["bpe", "unigram", "wordpiece", "byte"]
UNKNOWN, PADDING, MASK = "[UNK]", "[PAD]", "[MASK]"
# What text is rewritten by before pieces are learned and looked up: spelling alone.
FOLDED = Analyzer(steps=("nfc", "fold"), tokens="whitespace")


class PieceTokenizer:
    """A tokenizer of the `tokenizers` library, and how text is rewritten before it.

    Attributes:
        inner: The tokenizer.
        normalize: From a text to what is cut into pieces; None: as it is.
        name: For tables.
    """

    def __init__(self, inner: Any, normalize: Analyzer | None = None, name: str = "tokenizer") -> None:
        self.inner, self.normalize, self.name = inner, normalize, name

    def pieces(self, text: str) -> list[str]:
        """The pieces of a text; a token of an index as well as of a model."""
        found: list[str] = self.inner.encode(self._rewritten(text), add_special_tokens=False).tokens
        return found

    __call__ = pieces

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The numbers of the pieces of texts."""
        rewritten = list(texts) if self.normalize is None else self.normalize.normalize_many(texts)
        return [one.ids for one in self.inner.encode_batch(rewritten, add_special_tokens=False)]

    def _rewritten(self, text: str) -> str:
        return text if self.normalize is None else self.normalize.normalize(text)

    @classmethod
    def from_json(cls, text: str, normalize: Analyzer | None = None, name: str = "tokenizer") -> Self:
        """A tokenizer of what the `tokenizers` library writes."""
        return cls(library().Tokenizer.from_str(text), normalize, name)

    def __len__(self) -> int:
        """Number of pieces it knows."""
        return int(self.inner.get_vocab_size())

    def save(self, path: str | Path) -> None:
        """Write the tokenizer as one JSON file of the `tokenizers` library, and beside it how text is rewritten."""
        with atomic_path(path) as temporary:
            self.inner.save(str(temporary))
        if self.normalize is None:
            # Of a tokenizer that stood there before.
            _beside(Path(path)).unlink(missing_ok=True)
            return
        with atomic_path(_beside(Path(path))) as temporary:
            temporary.write_text(self.normalize.to_json(), encoding="utf-8")


def train(
    texts: Iterable[str],
    kind: Kind = "bpe",
    *,
    vocab_size: int = 8_000,
    normalize: Analyzer | None = FOLDED,
    name: str | None = None,
) -> PieceTokenizer:
    """Train a tokenizer from nothing.

    Args:
        texts: What to learn from.
        kind: "bpe" (Sennrich et al. 2016), "unigram" (Kudo 2018), "wordpiece" (Schuster and Nakajima 2012), or "byte",
            BPE over bytes, which knows every text.
        vocab_size: Pieces, at most; but of "wordpiece" no fewer than letters, at the beginning of words and inside.
        normalize: How text is rewritten first, here and whenever the tokenizer is used; None: not at all.
        name: For tables; by default the kind and the size.

    Raises:
        ArgumentError: The kind is unknown, or there is no text.
        MissingDependencyError: The library `tokenizers` is not installed.
    """
    if kind not in get_args(Kind):
        raise ArgumentError(f"kind={kind!r}; expected one of: {', '.join(get_args(Kind))}")
    kept = [text for text in texts if text.strip()]
    if not kept:
        raise ArgumentError("there is no text to learn from")
    inner, trainer = _parts(kind, vocab_size)
    inner.train_from_iterator(kept if normalize is None else normalize.normalize_many(kept), trainer)
    return PieceTokenizer(inner, normalize, name or f"{kind} {vocab_size:,}")


def _parts(kind: Kind, vocab_size: int) -> tuple[Any, Any]:
    lib = library()
    special = [PADDING, UNKNOWN, MASK]
    options: dict[str, Any] = {"vocab_size": vocab_size, "special_tokens": special, "show_progress": False}
    if kind == "wordpiece":
        inner = lib.Tokenizer(lib.models.WordPiece(unk_token=UNKNOWN))
        trainer = lib.trainers.WordPieceTrainer(**options)
        inner.pre_tokenizer = lib.pre_tokenizers.WhitespaceSplit()
        return inner, trainer
    if kind == "byte":
        inner = lib.Tokenizer(lib.models.BPE())
        inner.pre_tokenizer = lib.pre_tokenizers.ByteLevel(add_prefix_space=True)
        inner.decoder = lib.decoders.ByteLevel()
        return inner, lib.trainers.BpeTrainer(initial_alphabet=lib.pre_tokenizers.ByteLevel.alphabet(), **options)
    if kind == "unigram":
        inner = lib.Tokenizer(lib.models.Unigram())
        trainer = lib.trainers.UnigramTrainer(unk_token=UNKNOWN, **options)
    else:
        inner = lib.Tokenizer(lib.models.BPE(unk_token=UNKNOWN))
        trainer = lib.trainers.BpeTrainer(**options)
    inner.normalizer = lib.normalizers.NFKC()
    inner.pre_tokenizer = lib.pre_tokenizers.Metaspace()
    inner.decoder = lib.decoders.Metaspace()
    return inner, trainer


def load(source: str | Path, *, normalize: Analyzer | None = None, name: str | None = None) -> PieceTokenizer:
    """Read a tokenizer: a JSON file of the `tokenizers` library, a folder with tokenizer.json, or a name on the hub.

    Args:
        source: Where it is.
        normalize: How text is rewritten first; by default as it was saved, else not at all.
        name: For tables; by default the source: of a file its name, of a folder as well.

    Raises:
        ArgumentError: There is no such file, nor one of that name on the hub.
        DataError: A file is damaged, or the folder has none.
    """
    lib, path = library(), Path(source)
    name = name or (path.stem if path.is_file() else path.name if path.is_dir() else str(source))
    if path.is_dir():
        path = path / "tokenizer.json"
        if not path.is_file():
            raise DataError("no tokenizer is in the folder", source=source, expected="tokenizer.json")
    if path.is_file():
        if normalize is None and _beside(path).is_file():
            with refused("it does not say how text is rewritten", _beside(path), expected="what save wrote"):
                normalize = Analyzer.from_json(_beside(path).read_text(encoding="utf-8"))
        with refused("no tokenizer can be read from it", path, expected="JSON of the library tokenizers"):
            inner = lib.Tokenizer.from_file(str(path))
    else:
        inner = _of_hub(lib, str(source))
    # Of a model that reads so many pieces: its file says to cut texts there, and to fill up shorter ones.
    inner.no_truncation()
    inner.no_padding()
    return PieceTokenizer(inner, normalize, name)


def _of_hub(lib: Any, source: str) -> Any:
    from huggingface_hub import try_to_load_from_cache

    from irworks.encoders.hub import reaches_hub

    try:
        if isinstance(cached := try_to_load_from_cache(source, "tokenizer.json"), str):
            return lib.Tokenizer.from_file(cached)
        if not reaches_hub():
            raise OSError("there is no network")
        return lib.Tokenizer.from_pretrained(source)
    except Exception as error:
        raise ArgumentError(
            f"{source} is no file, and no tokenizer of that name can be had from the hub: {one_line(error)}"
        ) from None


def fertility(
    tokenizers: Mapping[str, PieceTokenizer] | Sequence[PieceTokenizer], texts: Sequence[str], *, limit: int = 512
) -> "pd.DataFrame":
    """What tokenizers make of texts.

    Args:
        tokenizers: By name, or each with its own.
        texts: Some hundred of them do.
        limit: Of pieces, of a model that reads so many.

    Returns:
        A row a tokenizer: pieces a word (words stand between spaces), its interval over texts by 1,000 bootstrap
        samples, share of pieces that are unknown, of words that are more than one piece, pieces a character, share of
        the pieces beyond `limit`, and UTF-8 bytes a piece.

    Raises:
        ArgumentError: There is no word in the texts, or two tokenizers have one name.
    """
    import pandas as pd

    named = tokenizers if isinstance(tokenizers, Mapping) else {one.name: one for one in tokenizers}
    if len(named) < len(tokenizers):
        raise ArgumentError(f"two tokenizers have one name: {', '.join(one.name for one in tokenizers)}")  # type: ignore[union-attr]
    words = np.array([len(text.split()) for text in texts])
    if not words.sum():
        raise ArgumentError("there is no word in the texts")
    drawn = np.random.default_rng(0).integers(0, len(texts), (1_000, len(texts)))
    rows = []
    for name, one in named.items():
        cut = [one.pieces(text) for text in texts]
        pieces = np.array([len(each) for each in cut])
        ratios = pieces[drawn].sum(axis=1) / np.maximum(words[drawn].sum(axis=1), 1)
        low, high = np.quantile(ratios, [0.025, 0.975])
        single = _words_in_one_piece(one.pieces, texts)
        rows.append(
            {
                "tokenizer": name,
                "vocabulary": len(one),
                "pieces a word": pieces.sum() / words.sum(),
                "low": low,
                "high": high,
                "unknown": sum(piece == UNKNOWN or piece == "<unk>" for each in cut for piece in each) / pieces.sum(),
                "words continued": 1 - single / words.sum(),
                "pieces a character": pieces.sum() / sum(map(len, texts)),
                "truncated": np.maximum(pieces - limit, 0).sum() / pieces.sum(),
                "bytes a piece": sum(len(text.encode()) for text in texts) / pieces.sum(),
            }
        )
    return pd.DataFrame(rows).set_index("tokenizer")


def _words_in_one_piece(pieces: Callable[[str], list[str]], texts: Sequence[str]) -> int:
    known: dict[str, bool] = {}
    total = 0
    for text in texts:
        for word in text.split():
            if word not in known:
                known[word] = len(pieces(word)) == 1
            total += known[word]
    return total


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}.analyzer.json")


def library() -> Any:
    """The library `tokenizers`.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import tokenizers
        from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers  # noqa: F401
    except ModuleNotFoundError:
        raise MissingDependencyError(
            "tokenizers", "training and comparing tokenizers", "amharic-ir[tokenizers]"
        ) from None
    return tokenizers
