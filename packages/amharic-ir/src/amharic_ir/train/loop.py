"""The loop of training: one for vectors of texts and of tokens; imports torch."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from amharic_ir.train.batches import Batch, Batches
from amharic_ir.train.config import TrainConfig
from amharic_ir.train.losses import Score, contrastive, distilled, of_tokens
from amharic_ir.train.validation import Validation
from irworks.encoders.network import Embedded, Wanted
from irworks.errors import ArgumentError, DataError
from irworks.runtime.bars import progress
from irworks.runtime.files import atomic_path

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["History", "Training"]


@dataclass(frozen=True)
class History:
    """What happened in training.

    Attributes:
        losses: Mean loss of each epoch.
        checks: (step, nDCG@10 on the validation queries) of each check; empty without such queries.
        best_step: The step whose numbers were kept.
    """

    losses: list[float]
    checks: list[tuple[int, float]]
    best_step: int


class Training:
    """One training.

    Args:
        encoder: Has `network`, `prepare` and `embed`; see `irworks.encoders.TinyEncoder`.
        batches: What it learns from.
        scores: From embedded queries and documents to scores; the loss is the mean over them.
        config: Settings.
        distil: Whether scores follow a teacher's rather than who answers whom.
        quality: Measures the encoder on validation queries; None: the last numbers are kept.
        checkpoint: File that the state is kept in after each epoch, and from which training goes on if it is there: an
            epoch that is interrupted begins again; None: nowhere.
        accelerator: Of the library `accelerate`, in each of several processes; each takes a share of every batch, and
            its pairs are negatives of one another.
    """

    def __init__(
        self,
        encoder: Any,
        batches: Batches,
        scores: Sequence[Score],
        config: TrainConfig,
        *,
        distil: bool = False,
        quality: Validation | None = None,
        checkpoint: Path | None = None,
        accelerator: "Accelerator | None" = None,
    ) -> None:
        self.encoder, self.batches, self.scores, self.config = encoder, batches, scores, config
        self.distil, self.quality, self.checkpoint, self.accelerator = distil, quality, checkpoint, accelerator
        self.network = encoder.network
        self.wanted: Wanted = "tokens" if of_tokens in self.scores else "vectors"
        self.parameters = [each for each in self.network.parameters() if each.requires_grad]
        self.device = self.parameters[0].device
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=self.device.type in ("cpu", "cuda"),
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "float16")
        self.queries = encoder.prepare(batches.queries, "query", config.query_length)
        self.docs = encoder.prepare(batches.texts, "doc", config.doc_length)
        self.total = config.epochs * len(batches)
        self.epoch, self.losses, self.checks = 0, [], []  # type: ignore[var-annotated]
        self.best: dict[str, torch.Tensor] | None = None
        self.best_step = 0
        # Read before the first step.
        self._of = "" if checkpoint is None else self._fingerprint()

    def run(self) -> History:
        """Train, from the checkpoint if there is one; the network has the best numbers afterwards.

        Raises:
            ArgumentError: Numbers are no longer finite.
            DataError: The checkpoint is of another training, or not the same for all processes.
        """
        self._resume()
        self._require_agreement()
        epochs = range(self.epoch, self.config.epochs)
        # Dropout draws from the generator of torch itself, which afterwards is as it was.
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            if self.quality is not None and not self.checks:
                # What training does not better is left as it was.
                self._check(0)
            for epoch in progress(epochs, "training", total=len(epochs)) if len(epochs) > 1 else epochs:
                if self._stops():
                    break
                self._train_epoch(epoch)
                self.epoch = epoch + 1
                self._keep()
        if self.best is not None:
            self.network.load_state_dict(self.best)
        self.network.eval()
        return History(self.losses, self.checks, self.best_step if self.checks else self.epoch * len(self.batches))

    def _train_epoch(self, epoch: int) -> None:
        # The state of dropout belongs to the epoch, so that one that was interrupted is the same again.
        self._seed(self.config.seed * 100_003 + epoch)
        every = math.ceil(len(self.batches) / self.config.checks_per_epoch)
        losses: list[float] = []
        for batch in self.batches.epoch(epoch, *self._process()):
            step = epoch * len(self.batches) + len(losses)
            self.network.train()
            losses.append(self._step(batch, step))
            if not math.isfinite(losses[-1]):
                raise self._not_finite(f"the loss is {losses[-1]}", step)
            last = len(losses) == len(self.batches)
            if last and not all(bool(each.isfinite().all()) for each in self.parameters):
                raise self._not_finite("numbers of the encoder are not finite", step)
            if self.quality is not None and (len(losses) % every == 0 or last):
                self._check(step + 1)
                if self._stops():
                    break
        self.losses.append(sum(losses) / len(losses))

    def _not_finite(self, what: str, step: int) -> ArgumentError:
        return ArgumentError(
            f"{what} at step {step}; expected a finite number: a lower learning_rate than "
            f"{self.config.learning_rate}, or precision='float32'"
        )

    def _process(self) -> tuple[int, int]:
        """Which process this is, and of how many."""
        if self.accelerator is None:
            return 0, 1
        return int(self.accelerator.process_index), int(self.accelerator.num_processes)

    # -- one step -----------------------------------------------------------------------------------------------------

    def _step(self, batch: Batch, step: int) -> float:
        warm = max(round(self.config.warmup * self.total), 1)
        if step < warm:
            share = (step + 1) / warm
        else:
            share = (1 + math.cos(math.pi * (step - warm) / max(self.total - warm, 1))) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * share
        self.optimizer.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=self.device)
        if len(batch.queries):
            loss = self._through(batch) if self.config.chunk is None else self._by_chunks(batch, self.config.chunk)
        if self._process()[1] > 1:
            loss = self._together(loss, batch.share)
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.parameters, self.config.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return float(loss)

    def _together(self, loss: torch.Tensor, share: float) -> torch.Tensor:
        """The loss of all processes, by their shares; gradients likewise."""
        assert self.accelerator is not None
        there = torch.tensor([float(each.grad is not None) for each in self.parameters], device=self.device)
        somewhere = self.accelerator.reduce(there, "sum").tolist()
        for each, wanted in zip(self.parameters, somewhere, strict=True):
            # What no loss depends on has no gradient, so that it does not decay either.
            if wanted:
                grad = torch.zeros_like(each) if each.grad is None else each.grad * share
                each.grad = self.accelerator.reduce(grad, "sum")
        total: torch.Tensor = self.accelerator.reduce(loss.reshape(1) * share, "sum")[0]
        return total

    def _through(self, batch: Batch) -> torch.Tensor:
        with self._precision():
            queries = self.encoder.embed(self.queries.take(batch.queries), "query", self.wanted)
            docs = self.encoder.embed(self.docs.take(batch.docs), "doc", self.wanted)
        loss = self._loss(queries, docs, batch)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _by_chunks(self, batch: Batch, size: int) -> torch.Tensor:
        """The same gradient with memory for `size` texts: vectors first, then each chunk again with its gradient."""
        wanted = (("query", self.queries, batch.queries), ("doc", self.docs, batch.docs))
        parts = [
            (kind, source.take(rows[begin : begin + size]))
            for kind, source, rows in wanted
            for begin in range(0, len(rows), size)
        ]
        n_queries = -(-len(batch.queries) // size)
        found: list[Embedded] = []
        states = []
        for kind, texts in parts:
            states.append(self._drawing())
            with torch.no_grad(), self._precision():
                found.append(self.encoder.embed(texts, kind, self.wanted))
        leaves = [
            Embedded(each.vectors.detach().requires_grad_(), each.tokens.detach().requires_grad_(), each.mask)
            for each in found
        ]
        loss = self._loss(_joined(leaves[:n_queries]), _joined(leaves[n_queries:]), batch)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        for (kind, texts), state, leaf in zip(parts, states, leaves, strict=True):
            self._draw_from(state)
            with self._precision():
                again = self.encoder.embed(texts, kind, self.wanted)
            pairs = [(again.vectors, leaf.vectors.grad), (again.tokens, leaf.tokens.grad)]
            kept = [(value, grad) for value, grad in pairs if grad is not None]
            torch.autograd.backward([value for value, _ in kept], [grad.to(value.dtype) for value, grad in kept])
        return loss.detach()

    def _loss(self, queries: Embedded, docs: Embedded, batch: Batch) -> torch.Tensor:
        queries, docs = _full(queries), _full(docs)
        own, answers, repeated, taught, known = (
            torch.from_numpy(each).to(self.device)
            for each in (batch.own, batch.answers, batch.repeated, batch.taught, batch.known)
        )
        temperature = self.config.temperature
        parts = []
        for score in self.scores:
            scores = score(queries, docs)
            if self.distil:
                parts.append(distilled(scores.gather(1, own), taught, known, temperature=temperature))
                continue
            symmetric = self.config.symmetric
            parts.append(
                contrastive(scores, own[:, 0], answers, repeated, temperature=temperature, symmetric=symmetric)
            )
        return torch.stack(parts).mean()

    def _seed(self, seed: int) -> None:
        if self.device.type == "cuda":
            with torch.cuda.device(self.device):
                torch.cuda.manual_seed(seed)
        elif self.device.type == "mps":
            torch.mps.manual_seed(seed)
        torch.default_generator.manual_seed(seed)

    def _drawing(self) -> torch.Tensor:
        """The state that dropout draws from."""
        if self.device.type == "cuda":
            return torch.cuda.get_rng_state(self.device)
        return torch.mps.get_rng_state() if self.device.type == "mps" else torch.get_rng_state()

    def _draw_from(self, state: torch.Tensor) -> None:
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state, self.device)
        elif self.device.type == "mps":
            torch.mps.set_rng_state(state)
        else:
            torch.set_rng_state(state)

    def _precision(self) -> torch.autocast:
        dtype = getattr(torch, self.config.precision)
        return torch.autocast(self.device.type, dtype=dtype, enabled=self.config.precision != "float32")

    # -- what is kept -------------------------------------------------------------------------------------------------

    def _check(self, step: int) -> None:
        assert self.quality is not None
        self.network.eval()
        value = self.quality()
        if self.accelerator is not None and self._process()[1] > 1:
            # Devices round in their own ways, and one process must not stop where the others wait for it.
            found = torch.tensor([value], dtype=torch.float64, device=self.device)
            value = float(self.accelerator.reduce(found, "mean"))
        if not self.checks or value > max(found for _, found in self.checks):
            self.best = {name: each.detach().clone() for name, each in self.network.state_dict().items()}
            self.best_step = step
        self.checks.append((step, value))

    def _stops(self) -> bool:
        if self.config.patience is None or not self.checks:
            return False
        since = sum(step > self.best_step for step, _ in self.checks)
        return bool(since >= self.config.patience)

    def _keep(self) -> None:
        if self.checkpoint is not None and self._process()[0] == 0:
            self._write(self.checkpoint)
        if self.accelerator is not None:
            # Nobody reads, in a training to come, what is still to be written.
            self.accelerator.wait_for_everyone()

    def _write(self, path: Path) -> None:
        state = {
            "of": self._of,
            "epoch": self.epoch,
            "losses": self.losses,
            "checks": self.checks,
            "best_step": self.best_step,
            "best": self.best,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        # By a handle, as torch makes something of a file's name.
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            torch.save(state, file)

    def _resume(self) -> None:
        if self.checkpoint is None or not self.checkpoint.is_file():
            return
        try:
            state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
            of = state["of"]
        except Exception as error:
            raise DataError("no checkpoint can be read from it", source=self.checkpoint, found=str(error)) from None
        if of != self._of:
            raise DataError(
                "the checkpoint is of another training: other pairs, queries to choose by, encoder, epochs or settings",
                source=self.checkpoint,
                hint="Remove it, or give another checkpoint.",
            )
        self.epoch, self.losses = state["epoch"], state["losses"]
        self.checks = [(step, value) for step, value in state["checks"]]
        self.best, self.best_step = state["best"], state["best_step"]
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])

    def _require_agreement(self) -> None:
        """Check that all processes begin in the same place: their file may be on disks of their own."""
        if self._process()[1] < 2 or self.accelerator is None:
            return
        found = self.accelerator.gather(torch.tensor([self.epoch], device=self.device)).tolist()
        if len(set(found)) > 1:
            raise DataError(
                "the processes do not find the same checkpoint",
                source=self.checkpoint,
                found=f"epochs {found}",
                expected="a file that all of them see",
            )

    def _fingerprint(self) -> str:
        scores = [
            [each.func.__name__, each.keywords] if isinstance(each, partial) else [getattr(each, "__name__", "")]
            for each in self.scores
        ]
        digest = hashlib.sha256(json.dumps([asdict(self.config), scores, self.distil, self._process()[1]]).encode())
        digest.update(self.batches.digest())
        digest.update(b"" if self.quality is None else self.quality.digest())
        for name, each in self.network.state_dict().items():
            numbers = each.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
            digest.update(f"{name} {list(each.shape)} {each.dtype}".encode() + numbers.tobytes())
        return digest.hexdigest()


def _full(embedded: Embedded) -> Embedded:
    return Embedded(embedded.vectors.float(), embedded.tokens.float(), embedded.mask)


def _joined(parts: Sequence[Embedded]) -> Embedded:
    longest = max(part.mask.shape[1] for part in parts)
    pad = torch.nn.functional.pad
    tokens = torch.cat([pad(part.tokens, (0, 0, 0, longest - part.tokens.shape[1])) for part in parts])
    mask = torch.cat([pad(part.mask, (0, longest - part.mask.shape[1])) for part in parts])
    return Embedded(torch.cat([part.vectors for part in parts]), tokens, mask)
