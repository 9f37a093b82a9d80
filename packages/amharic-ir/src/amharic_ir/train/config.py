"""How encoders are trained."""

import math
from dataclasses import dataclass

from irworks.errors import ArgumentError

__all__ = ["PAPER", "TrainConfig"]


@dataclass(frozen=True)
class TrainConfig:
    """Settings of training; defaults are for small encoders from scratch. `PAPER` is for models of the hub.

    Attributes:
        epochs: Passes over the pairs.
        batch_size: Pairs a step; each is a negative of the others.
        learning_rate: Of AdamW, at its highest.
        weight_decay: Of AdamW.
        warmup: Share of the steps in which the learning rate rises; then it falls to 0 as a cosine.
        temperature: Scores are divided by it before the softmax; late interaction takes the mean over query tokens.
        symmetric: Whether documents also have to find their queries.
        query_length: Tokens of a query that training reads; None: as many as the encoder. Small encoders only.
        doc_length: Of a document.
        negatives: Mined ones a pair, drawn anew each time; 0: those of the batch alone. On the command line 4 where
            some were mined.
        clip: Largest norm of the gradient.
        chunk: Pairs that are embedded at once, for batches that do not fit into memory (Gao et al. 2021, gradients
            cached); None: all of a batch.
        seed: Of the first numbers of an encoder from scratch, of the order of the pairs and of dropout.
        precision: "float32", "bfloat16" or "float16".
        checks_per_epoch: How often the encoder is measured on the validation queries.
        patience: Stop after so many checks in a row that are no better; None: never.
    """

    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    temperature: float = 0.05
    symmetric: bool = True
    query_length: int | None = None
    doc_length: int | None = None
    negatives: int = 0
    clip: float = 1.0
    chunk: int | None = None
    seed: int = 0
    precision: str = "float32"
    checks_per_epoch: int = 1
    patience: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 2), ("negatives", 0), ("checks_per_epoch", 1), ("seed", 0)):
            if (value := getattr(self, name)) < least:
                raise ArgumentError(f"{name}={value}; expected at least {least}")
        for name in ("query_length", "doc_length", "chunk", "patience"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ArgumentError(f"{name}={value}; expected at least 1, or None")
        for name in ("learning_rate", "temperature", "clip"):
            if not 0 < (value := getattr(self, name)) < math.inf:
                raise ArgumentError(f"{name}={value}; expected above 0")
        if not 0 <= self.weight_decay < math.inf:
            raise ArgumentError(f"weight_decay={self.weight_decay}; expected at least 0")
        if not 0 <= self.warmup < 1:
            raise ArgumentError(f"warmup={self.warmup}; expected within [0, 1)")
        if self.precision not in ("float32", "bfloat16", "float16"):
            raise ArgumentError(f"precision={self.precision!r}; expected float32, bfloat16 or float16")


# The paper's recipe, in numbers of 32 bits, which every device has, and by chunks, which fit into the memory of most.
PAPER = TrainConfig(epochs=5, batch_size=128, learning_rate=5e-5, chunk=32)
