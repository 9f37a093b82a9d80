"""`unlearn`: one call from a request to a model without it and a report of what was done."""

import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from irworks.errors import ArgumentError
from rec_unlearn.algorithms import make_algorithm
from rec_unlearn.algorithms.base import Algorithm, Step
from rec_unlearn.algorithms.controls import Retrain
from rec_unlearn.data import Interactions
from rec_unlearn.data.fingerprint import Fingerprint, OtherDataWarning, carry_over, difference, stand_for
from rec_unlearn.protocols import ExactlyRemovable, Recommender
from rec_unlearn.requests import DeletionRequest, Removal, resolve
from rec_unlearn.snapshot import Snapshot, is_finite, stored_copies

__all__ = ["Report", "choose_algorithm", "unlearn"]


@dataclass(frozen=True)
class Report:
    """What `unlearn` did.

    Attributes:
        algorithm: Its name.
        exact: Whether the model is now as if the rows had never been there; not, where it stood for other data and did
            not train again, since rows that it does not hold may have been taken from it.
        applied: False if the step was undone.
        reason: Why it was undone, or "".
        seconds: Wall time of the step: what a request costs.
        cpu_seconds: Processor time of the step.
        prepare_seconds: Wall time of what the algorithm had to measure or train before its first step (see
            `Algorithm.prepare`): paid once for an instance that is handed in again, 0 where it was done before.
        rows: How many interactions went.
        users: How many users lost some.
        touched: How many stored numbers could change.
        step_norm: Euclidean length of the change of all parameters; NaN where there are none.
        loss_before: Mean loss of the affected users on their rows as they were, before the step; NaN where the model
            has no loss.
        loss_after: The same after it.
        stored_copies: What of the model holds interactions themselves, or parameters of a single user or item, and
            whether the step removed the rows from it: a sentence each.
        settings: Of the algorithm.
        facts: Numbers of the step, see `Step.facts`.
        log: The log without the rows, for the next request.
    """

    algorithm: str
    exact: bool
    applied: bool
    reason: str
    seconds: float
    cpu_seconds: float
    prepare_seconds: float
    rows: int
    users: int
    touched: int
    step_norm: float
    loss_before: float
    loss_after: float
    stored_copies: tuple[str, ...]
    settings: Mapping[str, Any]
    facts: Mapping[str, float]
    log: Interactions = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """All but the log, as plain values."""
        return {
            name: (list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value)
            for name, value in vars(self).items()
            if name != "log"
        }

    def __str__(self) -> str:
        what = f"{self.rows:,} rows of {self.users:,} users"
        if not self.applied:
            return f"{self.algorithm}: {what} NOT removed, the model is as before: {self.reason}"
        how = "exactly" if self.exact else "approximately"
        prepared = f", after {self.prepare_seconds:.1f} s of preparation" if self.prepare_seconds >= 0.05 else ""
        return f"{self.algorithm}: {what} removed {how} in {1000 * self.seconds:.1f} ms{prepared}"


def unlearn(
    model: Recommender,
    request: DeletionRequest | Iterable[DeletionRequest],
    *,
    log: Interactions,
    algorithm: str | Algorithm = "auto",
    categories: Mapping[str, Iterable[Any]] | None = None,
    seed: int = 0,
) -> Report:
    """Make a model forget what a request asks for, in place.

    Args:
        model: Any of this package's, or one of your own with the methods of `rec_unlearn.protocols`.
        request: One, or several that are served as one step.
        log: What the model was trained on, as far as it has not been removed yet.
        algorithm: A name of `rec_unlearn.algorithms.ALGORITHMS`, an instance, or "auto": exact where the model allows
            it, a warm start for models trained in sweeps, else the Gauss-Newton influence step. An instance is
            prepared at its first call, and keeps its state for the next ones, on what is then left of the same model.
        categories: The items of each category, for requests that name one.
        seed: Of what the algorithm draws.

    Returns:
        What was done. A step that made a number infinite or NaN is undone, and the report says so.

    Raises:
        UnknownIdError: A user, an item or a category that is not known.
        EmptyRequestError: The log holds nothing of what is asked for.
        NotApplicableError: The model lacks what the algorithm needs.

    Warns:
        OtherDataWarning: The log is not the one that the model stands for, as after an earlier removal the data of
            before are not; models of one's own do not know theirs.
    """
    removal = resolve(request, log, categories=categories)
    chosen = choose_algorithm(model, algorithm)
    if other := difference(model, log):
        warnings.warn(f"{other} What is left of {log.name} is what it stands for now.", OtherDataWarning, stacklevel=2)
    snapshot = Snapshot.of(model)
    before = _loss(model, removal)
    _import_what_steps_need(model)
    rng = np.random.default_rng(seed)
    begin = wall = time.perf_counter()
    cpu = time.process_time()
    step: Step | None = None
    reason = ""
    try:
        if not chosen.prepared:
            chosen.prepare(model, log, rng)
            wall, cpu = time.perf_counter(), time.process_time()
        step = chosen.apply(model, removal, rng)
        if not is_finite(model):
            reason = "a parameter became infinite or NaN"
    except FloatingPointError as error:
        reason = str(error)
    except BaseException:
        snapshot.restore(model)
        raise
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    if reason:
        snapshot.restore(model)
    applied = not reason
    if applied:
        _stand_for_what_is_left(model, removal)
    return Report(
        algorithm=chosen.name,
        exact=chosen.exact and applied and (not other or isinstance(chosen, Retrain)),
        applied=applied,
        reason=reason,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        prepare_seconds=wall - begin,
        rows=len(removal),
        users=len(removal.users),
        touched=step.touched if step is not None and applied else 0,
        step_norm=step.norm if step is not None else float("nan"),
        loss_before=before,
        loss_after=_loss(model, removal),
        stored_copies=stored_copies(model),
        settings=chosen.settings(),
        facts=dict(step.facts) if step is not None else {},
        log=removal.after if applied else removal.before,
    )


def choose_algorithm(model: Recommender, algorithm: str | Algorithm) -> Algorithm:
    """What `unlearn` takes for `algorithm`."""
    if isinstance(algorithm, Algorithm):
        return algorithm
    if not isinstance(algorithm, str):
        raise ArgumentError(f"algorithm={algorithm!r}; expected a name or an Algorithm")
    if algorithm == "auto":
        if isinstance(model, ExactlyRemovable):
            return make_algorithm("exact")
        return make_algorithm("warm-start" if hasattr(model, "sweep") else "scif")
    return make_algorithm(algorithm)


def _import_what_steps_need(model: Recommender) -> None:
    """PyTorch imports hundreds of modules at a process's first step, for seconds: they are no part of a removal."""
    if any(hasattr(one, "losses") for one in (model, *getattr(model, "models_", ()))):
        import torch._dynamo  # noqa: F401


def _stand_for_what_is_left(model: Recommender, removal: Removal) -> None:
    if getattr(model, "fingerprint_", None) is None:
        return
    rows = removal.before.rows_of(removal.users)
    old, new = removal.before.keep(rows), removal.before.keep(rows[~removal.rows[rows]])
    carry_over(removal.after, Fingerprint.of(removal.before).changed(old, new))
    stand_for(model, removal.after)


def _loss(model: Recommender, removal: Removal) -> float:
    losses = getattr(model, "losses", None)
    if losses is None:
        return float("nan")
    import torch

    with torch.no_grad():
        return float(losses(removal.before, removal.users).mean())
