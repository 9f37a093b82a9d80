"""Small encoders from scratch: a table of token vectors, read by a few transformer layers or by none."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from irworks.data.damage import refused
from irworks.encoders.bags import Bags, Cut, HashedNgrams
from irworks.encoders.protocol import Kind
from irworks.encoders.vectors import TokenVectors
from irworks.errors import ArgumentError, MissingDependencyError
from irworks.runtime.files import atomic_folder
from irworks.runtime.hardware import device as choose_device

if TYPE_CHECKING:
    from irworks.encoders.network import BagNetwork, Embedded, Wanted

__all__ = ["TinyEncoder", "TinySettings", "tiny"]

_FORMAT = 1


@dataclass(frozen=True)
class TinySettings:
    """Sizes of a small encoder.

    Attributes:
        dim: Of a text's vector and of the table.
        token_dim: Of a token's vector in late interaction.
        layers: Of a transformer; 0: a token's vector does not depend on its neighbours.
        heads: Of each layer; divides `dim`.
        query_length: Tokens of a query that are read.
        doc_length: Tokens of a document.
    """

    dim: int = 128
    token_dim: int = 64
    layers: int = 0
    heads: int = 4
    query_length: int = 64
    doc_length: int = 512

    def __post_init__(self) -> None:
        for name, least in (("dim", 1), ("token_dim", 1), ("layers", 0), ("query_length", 1), ("doc_length", 1)):
            if (value := getattr(self, name)) < least:
                raise ArgumentError(f"{name}={value}; expected at least {least}")
        if self.layers and (self.heads < 1 or self.dim % self.heads):
            raise ArgumentError(f"dim={self.dim}, heads={self.heads}; expected heads that divide dim")

    def length(self, kind: Kind) -> int:
        """Tokens that are read of a text of this kind."""
        return self.query_length if kind == "query" else self.doc_length


class TinyEncoder:
    """A small encoder of one vector a text and one a token; `Encoder` and `TokenEncoder` both.

    Attributes:
        cut: From texts to rows of the table.
        settings: Sizes.
        network: A `torch.nn.Module`, from bags to vectors; what training trains.
        name: For tables.
    """

    def __init__(self, cut: Cut, settings: TinySettings, network: "BagNetwork", name: str = "tiny") -> None:
        self.cut, self.settings, self.network, self.name = cut, settings, network, name

    @property
    def dim(self) -> int:
        """Of the vectors of texts."""
        return self.settings.dim

    @property
    def token_dim(self) -> int:
        """Of the vectors of tokens."""
        return self.settings.token_dim

    def parameters(self) -> int:
        """How many numbers are learned."""
        return sum(each.numel() for each in self.network.parameters())

    # -- texts to vectors ---------------------------------------------------------------------------------------------

    def prepare(self, texts: Sequence[str], kind: Kind, length: int | None = None) -> Bags:
        """Cut texts once, to be embedded in batches of `take`; at most `length` tokens, and what the settings allow."""
        longest = min(length or self.settings.length(kind), self.settings.length(kind))
        # A word between spaces has at least one token, unless it is punctuation alone.
        firsts = [_first_words(text, 2 * longest) for text in texts]
        bags = self.cut.bags(firsts)
        cut_short = np.array([len(first) < len(text) for first, text in zip(firsts, texts, strict=True)], dtype=bool)
        if (cut_short & (np.diff(bags.text_offsets) < longest)).any():
            bags = self.cut.bags(texts)
        return bags.take(np.arange(len(bags)), longest)

    def embed(self, batch: Bags, kind: Kind, wanted: "Wanted" = "both") -> "Embedded":
        """Vectors of a batch, with gradients."""
        found: Embedded = self.network(batch, kind, wanted)
        return found

    def encode(self, texts: Sequence[str], kind: Kind = "doc") -> NDArray[np.float32]:
        """As `Encoder.encode`."""
        parts = [batch.vectors.cpu().numpy() for batch in self._batches(texts, kind, "vectors")]
        return np.concatenate([np.zeros((0, self.dim), dtype=np.float32), *parts])

    def encode_tokens(self, texts: Sequence[str], kind: Kind = "doc") -> TokenVectors:
        """As `TokenEncoder.encode_tokens`."""
        parts, sizes = [np.zeros((0, self.token_dim), dtype=np.float32)], [np.zeros(0, dtype=np.int64)]
        for batch in self._batches(texts, kind, "tokens"):
            parts.append(batch.tokens[batch.mask].cpu().numpy())
            sizes.append(batch.mask.sum(dim=1).cpu().numpy())
        offsets = np.append(0, np.cumsum(np.concatenate(sizes))).astype(np.int64)
        return TokenVectors(np.concatenate(parts), offsets)

    def _batches(self, texts: Sequence[str], kind: Kind, wanted: "Wanted", size: int = 256) -> "Iterator[Embedded]":
        import torch

        self.network.eval()
        for begin in range(0, len(texts), size):
            batch = self.prepare(texts[begin : begin + size], kind)
            with torch.inference_mode():
                yield self.embed(batch, kind, wanted)

    # -- on disk ------------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the model as a folder, whole or not at all: its sizes, its numbers, and how it cuts text."""
        _, files = _libraries()
        with atomic_folder(path) as folder:
            facts = {"format": _FORMAT, "name": self.name, "size": self.cut.size, **asdict(self.settings)}
            (folder / "tiny.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
            (folder / "cut.json").write_text(self.cut.to_json(), encoding="utf-8")
            state = {name: each.detach().cpu().contiguous() for name, each in self.network.state_dict().items()}
            files.save_file(state, str(folder / "network.safetensors"))

    @classmethod
    def load(cls, path: str | Path, cut: Cut, *, device: str = "cpu") -> Self:
        """Read what `save` wrote.

        Args:
            path: The folder.
            cut: How text was cut in training; `cut.json` has its settings.
            device: See `irworks.runtime.device`.

        Raises:
            FileNotFoundError: There is no such folder.
            DataError: It holds something else, or is damaged.
            MissingDependencyError: torch or safetensors is not installed.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}")
        chosen = choose_device(device)
        _, files = _libraries()
        with refused("no encoder can be read from it", folder, expected="a folder that TinyEncoder.save wrote"):
            facts = json.loads((folder / "tiny.json").read_text(encoding="utf-8"))
            if facts.pop("format", None) != _FORMAT:
                raise ValueError(f"its format is not {_FORMAT}")
            name, size = facts.pop("name"), facts.pop("size")
            if size != cut.size or cut.to_json() != (folder / "cut.json").read_text(encoding="utf-8"):
                raise ValueError("text was cut in another way when it was trained")
            settings = TinySettings(**facts)
            network = _network(size, settings)
            network.load_state_dict(files.load_file(str(folder / "network.safetensors")))
        return cls(cut, settings, network.to(chosen), name)


def tiny(
    cut: Cut | None = None,
    settings: TinySettings | None = None,
    *,
    docs: Sequence[str] = (),
    seed: int = 0,
    device: str = "cpu",
    name: str = "tiny",
) -> TinyEncoder:
    """A small encoder with random numbers in it, to be trained.

    Args:
        cut: How it reads text; by default words as bags of hashed n-grams.
        settings: Sizes.
        docs: Texts by whose number of occurrences tokens have their importance at first: the logarithm of the inverse
            document frequency, as BM25 has it; without texts all have the same.
        seed: Of the numbers.
        device: See `irworks.runtime.device`.
        name: For tables.

    Raises:
        MissingDependencyError: torch or safetensors is not installed.
    """
    cut, settings, chosen = cut or HashedNgrams(), settings or TinySettings(), choose_device(device)
    torch, _ = _libraries()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = _network(cut.size, settings)
    if len(docs):
        weights = torch.from_numpy(_rarity(cut.bags(docs), cut.size)).log()
        network.importance.weight.data = weights[:, None]
    return TinyEncoder(cut, settings, network.to(chosen), name)


def _rarity(bags: Bags, size: int) -> NDArray[np.float32]:
    """Inverse document frequency of each row of the table, over its mean: float32 [size]."""
    n = len(bags)
    text = np.repeat(np.repeat(np.arange(n), np.diff(bags.text_offsets)), np.diff(bags.token_offsets))
    df = np.bincount(np.unique(text * size + bags.rows) % size, minlength=size)
    idf = np.log1p((n - df + 0.5) / (df + 0.5))
    return np.asarray(np.maximum(idf, 1e-3) / idf.mean(), dtype=np.float32)


def _first_words(text: str, n: int) -> str:
    """A text up to its n-th word, as it stands."""
    parts = text.split(None, n)
    return text[: len(text) - len(parts[n])] if len(parts) > n else text


def _network(size: int, settings: TinySettings) -> "BagNetwork":
    from irworks.encoders.network import BagNetwork

    length = max(settings.query_length, settings.doc_length)
    return BagNetwork(size, settings.dim, settings.token_dim, settings.layers, settings.heads, length)


def _libraries() -> tuple[Any, Any]:
    """torch, and the library of the files that networks are kept in."""
    try:
        return import_module("torch"), import_module("safetensors.torch")
    except ModuleNotFoundError as error:
        raise MissingDependencyError(str(error.name), "an encoder", "irworks[encoders]") from None
