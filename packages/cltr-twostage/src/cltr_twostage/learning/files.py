"""A fitted learner as a folder of plain files, without pickle: what scores new documents, and how it was learned.

`config.json` holds the settings and says what each stage is. Beside it stand, for a linear stage, its weights
(`candidate.npy`, `ranker.npy`); for a torch module its learned state (`candidate.safetensors`), and for a tower of
`mlp_tower` the state that learning began with (`candidate_start.safetensors`); `learned_policy`, the pair as
`save_policy` writes it; `policy`, where that is another one, as with `safe`; and `history.csv`.
"""

import copy
import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cltr_twostage.files import CONFIG, FORMAT, PACKAGE, load_policy, read_config, save_policy
from cltr_twostage.learning.ascent import STAGES, Progress
from cltr_twostage.learning.models import LinearScorer, Scorer
from cltr_twostage.learning.neural import ModuleScorer, is_module
from cltr_twostage.learning.objective import StageName
from cltr_twostage.learning.safe import Safe
from cltr_twostage.learning.towers import empty_tower, tower_sizes
from cltr_twostage.policy import TwoStagePolicy
from irworks.errors import ArgumentError, DataError, MissingDependencyError
from irworks.runtime import atomic_folder, atomic_write
from irworks.runtime.outputs import require_replaceable

if TYPE_CHECKING:
    import torch

    from cltr_twostage.train import TwoStageLearner

__all__ = ["HISTORY", "load_learner", "save_learner", "write_history"]

KIND = "two-stage learner"
POLICY, LEARNED, HISTORY = "policy", "learned_policy", "history.csv"
LINEAR, MODULE = "linear", "module"
COLUMNS = ["step", "objective", "held_out"]
# Of the process that learned, not of what it learned.
UNSAVED = ("_", "accelerator")


def save_learner(learner: "TwoStageLearner", folder: str | Path) -> None:
    """Write a fitted learner; the folder appears whole or not at all, and may take the place of a saved learner.

    Of a torch module its state is saved, not its code, and it has to be handed to `load_learner` again; a tower of
    `mlp_tower` is saved whole. `held_out_` and `accelerator` are not saved.

    Args:
        learner: The learner.
        folder: Where to.

    Raises:
        ArgumentError: The learner is not fitted, or the state of a module or an id of the policy cannot be saved.
        DataError: `folder` exists and holds something else.
        MissingDependencyError: A module without safetensors.
    """
    if not hasattr(learner, "learned_policy_"):
        raise ArgumentError("the learner is not fitted; call fit first")
    target = Path(folder)
    require_replaceable(target, "a saved learner", header=CONFIG, is_ours=_is_ours)
    with atomic_folder(target) as scratch:
        config: dict[str, Any] = {"format": FORMAT, "package": PACKAGE, "kind": KIND, "best_step": learner.best_step_}
        config |= {"settings": _settings(learner), "has_mixture": learner.policy_ is not learner.learned_policy_}
        config["stages"] = {stage: _write_stage(learner, stage, scratch) for stage in STAGES}
        save_policy(learner.learned_policy_, scratch / LEARNED)
        if config["has_mixture"]:
            save_policy(learner.policy_, scratch / POLICY)
        write_history(learner.history_, scratch / HISTORY)
        (scratch / CONFIG).write_text(json.dumps(config, indent=1, default=_plain), encoding="utf-8")


def load_learner(
    folder: str | Path,
    candidate: "torch.nn.Module | None",
    ranker: "torch.nn.Module | None",
    kind: "type[TwoStageLearner]",
) -> Any:
    """Read a learner that `save_learner` wrote.

    Args:
        folder: The folder.
        candidate: The module of the generator, as it was before learning, if it was one of your own; a copy gets the
            learned state.
        ranker: Likewise for the ranker.
        kind: The class of the learner.

    Returns:
        The learner as it was after `fit`, but for `accelerator` and `held_out_`, which are None.

    Raises:
        ArgumentError: A module is missing, or given where none was learned, or is not the one that was learned.
        DataError: The folder is not a saved learner of this format, or a file of it is damaged: which.
        MissingDependencyError: A module without torch or safetensors.
    """
    root = Path(folder)
    config = read_config(root, "a saved learner", _is_ours, KIND)
    with _told(root / CONFIG):
        settings, stages = dict(config["settings"]), {stage: dict(config["stages"][stage]) for stage in STAGES}
        settings["safe"] = None if settings["safe"] is None else Safe(**settings["safe"])
        best_step, has_mixture = int(config["best_step"]), bool(config["has_mixture"])
    scorers: dict[StageName, Scorer | None] = {}
    given = {"candidate": candidate, "ranker": ranker}
    for stage in STAGES:
        module = _module(root, stage, stages[stage], settings.get(stage) == MODULE, given[stage])
        settings[stage] = settings.get(stage) if module is None else module
        scorers[stage] = _read_scorer(root, stage, stages[stage], module)
    with _told(root / CONFIG):
        learner = kind(**settings)
    learner.learned_policy_ = TwoStagePolicy.load(root / LEARNED)
    learner.policy_ = load_policy(root / POLICY) if has_mixture else learner.learned_policy_
    learner.candidate_scorer_, learner.ranker_scorer_ = (scorers[stage] for stage in STAGES)
    learner.history_, learner.best_step_ = _read_history(root / HISTORY), best_step
    learner.held_out_ = None
    return learner


# -- writing ----------------------------------------------------------------------------------------------------------


def _is_ours(config: dict[str, Any]) -> bool:
    return config.get("package") == PACKAGE and config.get("kind") == KIND


def _settings(learner: "TwoStageLearner") -> dict[str, Any]:
    settings = {f.name: getattr(learner, f.name) for f in fields(learner) if f.init and f.name not in UNSAVED}
    settings |= {stage: MODULE for stage in STAGES if is_module(settings[stage])}
    return settings | {"safe": None if learner.safe is None else asdict(learner.safe)}


def _write_stage(learner: "TwoStageLearner", stage: StageName, folder: Path) -> dict[str, Any]:
    """The files of a stage, and what the configuration says of it."""
    setting, scorer = getattr(learner, stage), getattr(learner, f"{stage}_scorer_")
    about: dict[str, Any] = {"scorer": None, "tower": tower_sizes(setting) if is_module(setting) else None}
    if about["tower"] is not None:
        _write_state(setting, _start_file(folder, stage))
    if isinstance(scorer, LinearScorer):
        np.save(folder / f"{stage}.npy", scorer.weights, allow_pickle=False)
        return about | {"scorer": LINEAR, "n_features": len(scorer.weights)}
    if isinstance(scorer, ModuleScorer):
        _write_state(scorer.module, _state_file(folder, stage))
        return about | {"scorer": MODULE, "n_features": scorer.n_features}
    return about


def _state_file(folder: Path, stage: StageName) -> Path:
    return folder / f"{stage}.safetensors"


def _start_file(folder: Path, stage: StageName) -> Path:
    return folder / f"{stage}_start.safetensors"


def _write_state(module: "torch.nn.Module", file: Path) -> None:
    try:
        _safetensors().save_model(module, str(file))
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise ArgumentError(f"the state of the module cannot be saved as {file.name}: {error}") from error


def write_history(history: Sequence[Progress], file: Path) -> None:
    """Write the looks at a policy while it was learned as CSV: `step, objective, held_out`."""
    with atomic_write(file) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([look.step, float(look.objective), float(look.held_out)] for look in history)


def _plain(value: object) -> object:
    """A numpy number as one that JSON has."""
    if isinstance(value, np.generic):
        return value.item()
    raise ArgumentError(f"{value!r} of {type(value)} cannot be saved")


# -- reading ----------------------------------------------------------------------------------------------------------


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """Tell by its file what cannot be made of what it says."""
    try:
        yield
    except KeyError as error:
        raise DataError("a field is missing", source=file, column=str(error.args[0])) from None
    except (ArgumentError, AttributeError, TypeError, ValueError) as error:
        raise DataError(f"damaged: {error}", source=file) from None


def _module(
    root: Path, stage: StageName, about: dict[str, Any], wanted: bool, given: "torch.nn.Module | None"
) -> "torch.nn.Module | None":
    """The module that learning began with; None for a stage without one."""
    sizes = about.get("tower")
    if given is not None and (not wanted or sizes is not None):
        what = "no torch module" if not wanted else "a tower, which is saved whole"
        raise ArgumentError(f"{stage}= is a module, but {root} has {what}, for this stage; expected {stage}=None")
    if not wanted or given is not None:
        return given
    if sizes is None:
        raise ArgumentError(f"{stage} was a module of your own, and {root} has its state alone; pass it as {stage}=")
    with _told(root / CONFIG):
        _safetensors()
        tower = empty_tower([int(size) for size in sizes])
    _read_state(tower, _start_file(root, stage))
    return tower


def _read_scorer(
    root: Path, stage: StageName, about: dict[str, Any], module: "torch.nn.Module | None"
) -> Scorer | None:
    if about.get("scorer") is None:
        return None
    if about["scorer"] == LINEAR:
        return LinearScorer(_read_weights(root / f"{stage}.npy", about.get("n_features")))
    with _told(root / CONFIG):
        n_features = int(about["n_features"])
    if about["scorer"] != MODULE or module is None:
        raise DataError("a stage is damaged", source=root / CONFIG, column=stage, found=about["scorer"])
    learned = copy.deepcopy(module).cpu()
    _read_state(learned, _state_file(root, stage))
    return ModuleScorer(learned.eval(), n_features)


def _read_weights(file: Path, n_features: int | None) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    try:
        weights = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"not a readable array: {error}", source=file) from None
    if weights.ndim != 1 or weights.dtype != np.float64 or not np.isfinite(weights).all():
        raise DataError("no weights", source=file, found=weights.shape, expected="finite float64 [n_features]")
    # Not every saved learner says how many there are.
    if n_features is not None and len(weights) != n_features:
        raise DataError("weights are missing or added", source=file, found=len(weights), expected=str(n_features))
    return np.asarray(weights)


def _read_state(module: "torch.nn.Module", file: Path) -> None:
    from safetensors import SafetensorError

    try:
        _safetensors().load_model(module, str(file))
    except (OSError, SafetensorError) as error:
        raise DataError(f"not a readable state of a module: {error}", source=file) from None
    except RuntimeError as error:
        raise ArgumentError(f"the module is not the one whose state {file} holds: {error}") from error


def _read_history(file: Path) -> tuple[Progress, ...]:
    # Not by pandas, some versions of which read numbers a last digit off.
    try:
        with file.open(encoding="utf-8", newline="") as handle:
            header, *rows = csv.reader(handle)
        history = tuple(Progress(int(step), float(objective), float(held_out)) for step, objective, held_out in rows)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"not a readable history: {error}", source=file) from None
    if header != COLUMNS:
        raise DataError("other columns", source=file, found=", ".join(header), expected=", ".join(COLUMNS))
    return history


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise MissingDependencyError("safetensors", "saving a neural policy", "cltr-twostage[torch]") from error
    return safetensors.torch
