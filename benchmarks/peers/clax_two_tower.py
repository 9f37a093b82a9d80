"""CLAX on the benchmark's world. Runs inside CLAX's own environment, started by `benchmarks/ltr_twotower.py`.

CLAX has no additive-logit model (its PositionBasedModel multiplies two probabilities), so the model here is the
smallest subclass that has one. Everything else is the library's: parameters, loss, trainer, early stopping, collator;
with one kindness, `KeepBest`.

Two ways of feeding it are timed, because feeding dominates:
    loader    a torch DataLoader over sessions with CLAX's SessionCollator, as in its examples
    prepared  batches sliced from arrays, which the trainer accepts too: kinder than the library's own way
"""

import sys
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import jax
import jax.monitoring
import numpy as np
import optax
from clax import PositionBasedModel, Trainer
from clax.datasets.utils import SessionCollator
from flax import nnx
from flax.training.early_stopping import EarlyStopping
from meter import cpu_seconds, peak_mebibytes, serve
from torch.utils.data import DataLoader, Dataset

EVAL_BATCH = 4096
COLLATOR = SessionCollator(
    query_features={"n": np.int16},
    doc_features={"query_doc_ids": np.int32, "positions": np.int16, "mask": np.bool_, "clicks": np.float16},
)


class AdditiveTwoTower(PositionBasedModel):
    """P(click) = sigmoid(theta_k + gamma_qd) on CLAX's parameters."""

    name = "additive two-tower"

    def predict_conditional_clicks(self, batch: dict[str, Any]) -> jax.Array:
        """Log click probabilities [n, k], minus infinity where masked."""
        log_prob = nnx.log_sigmoid(self.examination.logit(batch) + self.attraction.logit(batch))
        return jax.numpy.where(batch["mask"], log_prob, -jax.numpy.inf)


class Sessions(Dataset):
    """Sessions one by one, in the form of CLAX's own data sets. Ids and positions count from 1: 0 is padding."""

    def __init__(self, docs: np.ndarray, clicks: np.ndarray) -> None:
        self.docs, self.clicks = docs, clicks
        self.mask = np.ones(docs.shape[1], dtype=bool)
        self.positions = np.arange(1, docs.shape[1] + 1, dtype=np.int16)

    def __len__(self) -> int:
        return len(self.docs)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {
            "query_doc_ids": self.docs[row],
            "clicks": self.clicks[row],
            "mask": self.mask,
            "positions": self.positions,
            "n": len(self.mask),
        }


class PreparedBatches:
    """The same batches without work per session: one slice of each array per batch."""

    def __init__(self, docs: np.ndarray, clicks: np.ndarray, batch_size: int, rng: np.random.Generator | None) -> None:
        self.docs, self.clicks, self.batch_size, self.rng = docs, clicks.astype(np.float16), batch_size, rng
        self.positions = np.broadcast_to(np.arange(1, docs.shape[1] + 1, dtype=np.int16), docs.shape)
        self.mask = np.ones(docs.shape, dtype=bool)

    def __len__(self) -> int:
        return -(-len(self.docs) // self.batch_size)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        rows = np.arange(len(self.docs)) if self.rng is None else self.rng.permutation(len(self.docs))
        for start in range(0, len(rows), self.batch_size):
            part = rows[start : start + self.batch_size]
            yield {
                "query_doc_ids": self.docs[part],
                "clicks": self.clicks[part],
                "positions": self.positions[: len(part)],
                "mask": self.mask[: len(part)],
            }


class KeepBest:
    """CLAX's early stopping, which also keeps a copy of the parameters at the best epoch.

    The trainer means to go back to them, but in these versions the state it keeps is a view of the live parameters, so
    that it ends on the last epoch. Restoring from a copy gives the peer the better of the two.
    """

    def __init__(self, stopping: EarlyStopping, model: nnx.Module) -> None:
        self.stopping, self.model, self.best = stopping, model, _copy_state(model)

    def __deepcopy__(self, memo: dict[int, Any]) -> "KeepBest":
        return self

    def update(self, metric: jax.Array) -> "KeepBest":
        """Note the loss of an epoch."""
        self.stopping = self.stopping.update(metric)
        if self.stopping.has_improved:
            self.best = _copy_state(self.model)
        return self

    @property
    def has_improved(self) -> bool:
        """Whether the last epoch was the best so far."""
        return self.stopping.has_improved

    @property
    def should_stop(self) -> bool:
        """Whether patience has run out."""
        return self.stopping.should_stop


class CompileClock:
    """Seconds that JAX spends on tracing, lowering and compiling, as JAX itself reports them."""

    def __init__(self) -> None:
        self.spans: list[tuple[float, float]] = []
        jax.monitoring.register_event_duration_secs_listener(self._note)

    def _note(self, event: str, seconds: float, **_: Any) -> None:
        if event.startswith("/jax/core/compile/"):
            now = perf_counter()
            self.spans.append((now - seconds, now))

    def seconds(self, start: float, end: float) -> float:
        """Length of the union of the spans within [start, end]: spans nest, so that their sum would count twice."""
        total, reached = 0.0, start
        for first, last in sorted(self.spans):
            first, last = max(first, reached), min(last, end)
            total += max(0.0, last - first)
            reached = max(reached, last)
        return total


def fit(
    world: Any, *, feed: str, batch_size: int, learning_rate: float, patience: int, epochs: int, seed: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """One CLAX training with early stopping on the selection split.

    Args:
        world: Arrays `fit_docs`, `fit_clicks`, `select_docs`, `select_clicks` [n, k], `n_docs`.
        feed: "loader" or "prepared".
        batch_size: Sessions per step.
        learning_rate: Of AdamW.
        patience: Epochs without improvement that early stopping allows; CLAX's default is 0.
        epochs: At most so many.
        seed: Of initial values and shuffling.

    Returns:
        Measurements, and `theta` [k] (theta_1 = 0) and `gamma` [n_docs].
    """
    clock = CompileClock()
    train = _feed(world["fit_docs"] + 1, world["fit_clicks"], feed, batch_size, seed)
    select = _feed(world["select_docs"] + 1, world["select_clicks"], feed, EVAL_BATCH, None)
    n_docs, ranks = int(world["n_docs"]), world["fit_docs"].shape[1]
    before = peak_mebibytes()
    cpu, start = cpu_seconds(), perf_counter()
    model = AdditiveTwoTower(positions=ranks, query_doc_pairs=n_docs, rngs=nnx.Rngs(seed))
    stopping = KeepBest(EarlyStopping(patience=patience, min_delta=1e-5), model)
    trainer = Trainer(optax.adamw(learning_rate), epochs=epochs, early_stopping=stopping)
    history = trainer.train(model, train, select)
    nnx.update(model, stopping.best)
    jax.block_until_ready(nnx.state(model))
    end = perf_counter()
    cpu = cpu_seconds() - cpu
    peak = peak_mebibytes()
    own = float(trainer.test_clicks(model, select)["test_loss"].iloc[0])
    theta = _logits(model.examination, "positions", ranks)
    gamma = _logits(model.attraction, "query_doc_ids", n_docs)
    measured = {
        "fit_seconds": end - start,
        "compile_seconds": clock.seconds(start, end),
        "cpu_seconds": cpu,
        "epochs": len(history),
        "select_nll_by_peer": own,
        "select_nll_by_epoch": [float(value) for value in history["val_loss"]],
        "peak_mebibytes": peak,
        "peak_mebibytes_before_fit": before,
        "versions": {"jax": jax.__version__, "python": sys.version.split()[0]},
    }
    return measured, {"theta": theta - theta[0], "gamma": gamma + theta[0]}


def _feed(docs: np.ndarray, clicks: np.ndarray, feed: str, batch_size: int, seed: int | None) -> Any:
    docs = docs.astype(np.int32)
    if feed == "prepared":
        return PreparedBatches(docs, clicks, batch_size, None if seed is None else np.random.default_rng(seed))
    return DataLoader(Sessions(docs, clicks), batch_size=batch_size, shuffle=seed is not None, collate_fn=COLLATOR)


def _logits(parameter: Any, feature: str, count: int) -> np.ndarray:
    return np.asarray(parameter.logit({feature: np.arange(1, count + 1)}), dtype=np.float64)


def _copy_state(model: nnx.Module) -> Any:
    return jax.tree.map(jax.numpy.copy, nnx.state(model))


if __name__ == "__main__":
    serve({"fit": fit}, lambda: None)
