"""Which model predicts clicks that it has not seen? Cross-validation with users as replicates, options tuned inside."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from irworks.stats import Interval, bootstrap
from recgaze.arguments import require_generator, require_kind
from recgaze.impressions import Impressions
from recgaze.models.base import PositionModel
from recgaze.models.keys import as_blocks
from recgaze.models.scoring import score_screens
from recgaze.models.tally import Tally, TallySum

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["By", "HeldOut", "compare", "held_out"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
By = Literal["user", "screen"]
Models = Sequence[PositionModel] | Mapping[str, PositionModel]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Held-out scores of several models, by user.

    Intervals draw users. They hold for these fits: that the training parts of the folds overlap is not in them.

    Attributes:
        users: [U], ids.
        cells: int64 [U], cells of each user.
        choices: int64 [U], screens with precisely one click.
        log_likelihood: Model to float64 [U], sums over the user's cells, nats.
        choice: Model to float64 [U], sums over the user's choices, nats; see `recgaze.models.scoring.Score`.
        options: Model to what was chosen in each fold for its tuned option.
    """

    users: NDArray[Any]
    cells: LongArray
    choices: LongArray
    log_likelihood: dict[str, FloatArray]
    choice: dict[str, FloatArray]
    options: dict[str, tuple[float, ...]]

    def difference(
        self, model: str, baseline: str, rng: np.random.Generator, *, choice: bool = False, level: float = 0.95
    ) -> Interval:
        """Mean log-likelihood of `model` minus that of `baseline`, a cell (or a choice), with the users' bootstrap.

        Raises:
            ArgumentError: There is no such model.
        """
        values, size = (self.choice, self.choices) if choice else (self.log_likelihood, self.cells)
        for name in (model, baseline):
            if name not in values:
                raise ArgumentError(f"there is no model {name!r}; expected one of {', '.join(values)}")
        return _ratio(values[model] - values[baseline], size, rng, level)

    def frame(self, rng: np.random.Generator, baseline: str | None = None, level: float = 0.95) -> "pd.DataFrame":
        """A row a model, in the order given.

        Args:
            rng: Source of the bootstrap.
            baseline: The model that the others are compared with. Default: the first.
            level: Confidence of the intervals.

        Returns:
            Index `model`; columns `log_likelihood` (held out, nats a cell), `low, high`; `difference` (to the baseline,
            NaN for itself), `difference_low, difference_high`; `choice` (nats a choice); `tuned` (the median over
            folds).
        """
        import pandas as pd

        reference = next(iter(self.log_likelihood)) if baseline is None else baseline
        rows = []
        for name, values in self.log_likelihood.items():
            own = _ratio(values, self.cells, rng, level)
            other = Interval(np.nan, np.nan, np.nan)
            if name != reference:
                other = self.difference(name, reference, rng, level=level)
            total = self.choices.sum()
            rows.append(
                {
                    "model": name,
                    "log_likelihood": own.estimate,
                    "low": own.low,
                    "high": own.high,
                    "difference": other.estimate,
                    "difference_low": other.low,
                    "difference_high": other.high,
                    "choice": self.choice[name].sum() / total if total else np.nan,
                    "tuned": float(np.median(self.options[name])),
                }
            )
        return pd.DataFrame(rows).set_index("model")


def compare(
    models: Models,
    impressions: "Impressions | Iterable[Impressions]",
    *,
    rng: np.random.Generator,
    folds: int = 5,
    by: By = "user",
    tune: bool = True,
    baseline: str | None = None,
) -> "pd.DataFrame":
    """Compare models by held-out log-likelihood of clicks; arguments as `held_out`, result as `HeldOut.frame`."""
    result = held_out(models, impressions, rng=rng, folds=folds, by=by, tune=tune)
    return result.frame(rng, baseline)


def held_out(
    models: Models,
    impressions: "Impressions | Iterable[Impressions]",
    *,
    rng: np.random.Generator,
    folds: int = 5,
    by: By = "user",
    tune: bool = True,
) -> HeldOut:
    """Score every screen by models that were fitted to the other folds.

    The option that a model calls its `tuned` (the ridge of CPBM and RCPBM, the shrinkage of OEPBM) is chosen in every
    fold among `tuning`: by fits to all but two folds, scored on one of these; then the model is fitted to all but one.
    For the fixed-attraction setting pass models whose attraction is a model, such as `CPBM(OEPBM("user_genre"))`:
    their attraction too sees the training folds only.

    Args:
        models: The models, by name or not; they stay unfitted.
        impressions: The study, as a whole or in blocks that can be gone through twice (a list, not a generator). Only
            counts are kept of it.
        rng: Source of the folds.
        folds: Number of folds, at least 3.
        by: "user": whole users are held out, who have no attraction of their own then (`user_genre` becomes the mean of
            the genre). "screen": screens of known users are.
        tune: Whether to choose options; else they stay as given.

    Raises:
        ArgumentError: Options out of range, two models of one name, blocks that cannot be gone through twice, or too
            few users or screens.
    """
    require_generator(rng)
    named = _named(models)
    if by not in get_args(By) or folds < 3:
        raise ArgumentError(f"by={by!r}, folds={folds}; expected 'user' or 'screen', and at least 3 folds")
    blocks = [impressions] if isinstance(impressions, Impressions) else impressions
    if iter(blocks) is blocks:
        raise ArgumentError("impressions is an iterator, which can be gone through once; expected a list of blocks")
    tallies, assigned = _count(named, blocks, folds, by, rng)
    fitted, options = {}, {}
    for name, model in named.items():
        parts = tallies[_key_id(model)]
        results = [_fit_fold(model, parts, fold, tune) for fold in range(folds)]
        fitted[name] = results
        options[name] = tuple(float(getattr(result, result.tuned)) for result in results)
    return _score(fitted, blocks, assigned, options)


def _named(models: Models) -> dict[str, PositionModel]:
    for model in models.values() if isinstance(models, Mapping) else models:
        require_kind("models", model, PositionModel, "CPBM(), RCPBM() or OEPBM() in a list or a mapping")
    if isinstance(models, Mapping):
        named = dict(models)
    else:
        names = [type(model).__name__ for model in models]
        if len(set(names)) < len(names):
            names = [repr(model.with_options()).replace(", not fitted", "") for model in models]
        if len(set(names)) < len(names):
            raise ArgumentError(f"two models are called {names}; expected a mapping of names to models")
        named = dict(zip(names, models, strict=True))
    if not named:
        raise ArgumentError(f"models={list(named)}; expected at least one CPBM, RCPBM or OEPBM")
    return named


def _key_id(model: PositionModel) -> object:
    """What models that can share counts have in common."""
    if isinstance(model.attraction, PositionModel):
        return _key_id(model.attraction)
    return model.attraction if isinstance(model.attraction, str) else id(model.attraction)


def _count(
    named: Mapping[str, PositionModel], blocks: Iterable[Impressions], folds: int, by: By, rng: np.random.Generator
) -> tuple[dict[object, list[Tally]], list[LongArray]]:
    """Counts of every fold, for each kind of keys; and the fold of each screen of each block."""
    keyings = {_key_id(model): model.keying() for model in named.values()}
    sums = {key: [TallySum() for _ in range(folds)] for key in keyings}
    folder = _Folder(folds, by, rng)
    assigned = []
    for block in as_blocks(blocks):
        fold = folder.assign(block)
        assigned.append(fold)
        for number in np.unique(fold):
            part = block.where(fold == number)
            for key, keying in keyings.items():
                sums[key][number].add(Tally.of(part, keying))
    if len(np.unique(np.concatenate(assigned))) < folds:
        raise ArgumentError(f"folds={folds} for too few {by}s; expected at least one {by} a fold")
    return {key: [part.total() for part in parts] for key, parts in sums.items()}, assigned


class _Folder:
    """Deals users, or the screens of each user, out to folds of like size."""

    def __init__(self, folds: int, by: By, rng: np.random.Generator) -> None:
        self.folds, self.by, self.rng = folds, by, rng
        self.known: dict[Any, int] = {}

    def assign(self, block: Impressions) -> LongArray:
        """int64 [n]."""
        present, user = np.unique(block.user, return_inverse=True)
        if self.by == "screen":
            order = np.lexsort((self.rng.random(len(block)), user))
            starts = np.searchsorted(user[order], np.arange(len(present)))
            rank = np.empty(len(block), dtype=np.int64)
            rank[order] = np.arange(len(block)) - starts[user[order]]
            return (rank + self.rng.integers(self.folds, size=len(present))[user]) % self.folds
        ids = block.users[present].tolist()
        new = [one for one in ids if one not in self.known]
        offset = len(self.known)
        places = (offset + self.rng.permutation(len(new))) % self.folds
        self.known.update(zip(new, places.tolist(), strict=True))
        return np.array([self.known[one] for one in ids], dtype=np.int64)[user]


def _fit_fold(model: PositionModel, parts: Sequence[Tally], fold: int, tune: bool) -> PositionModel:
    """The model, fitted to all folds but one, its option chosen on the next."""
    chosen = model.with_options()
    if tune:
        check = (fold + 1) % len(parts)
        inner = _sum([part for at, part in enumerate(parts) if at not in (fold, check)])
        candidates = [model.with_options(**{model.tuned: value}) for value in model.tuning]
        scores = [one.fit_tally(inner).tally_log_likelihood(parts[check]) for one in candidates]
        best = float(model.tuning[int(np.argmax(np.nan_to_num(scores, nan=-np.inf)))])
        chosen = model.with_options(**{model.tuned: best})
    return chosen.fit_tally(_sum([part for at, part in enumerate(parts) if at != fold]))


def _sum(parts: Sequence[Tally]) -> Tally:
    total = TallySum()
    for part in parts:
        total.add(part)
    return total.total()


def _score(
    fitted: Mapping[str, Sequence[PositionModel]],
    blocks: Iterable[Impressions],
    assigned: Sequence[LongArray],
    options: dict[str, tuple[float, ...]],
) -> HeldOut:
    ids, sums = [], []
    for block, fold in zip(as_blocks(blocks), assigned, strict=True):
        user, columns = _score_block(fitted, block, fold)
        ids.append(user)
        sums.append(columns)
    users, place = np.unique(np.concatenate(ids), return_inverse=True)
    columns = np.concatenate(sums)
    totals: FloatArray = np.stack([np.bincount(place, weights=column) for column in columns.T], axis=1)
    names, n = list(fitted), len(fitted)
    return HeldOut(
        users=users,
        cells=totals[:, 0].astype(np.int64),
        choices=totals[:, 1].astype(np.int64),
        log_likelihood={name: totals[:, 2 + at] for at, name in enumerate(names)},
        choice={name: totals[:, 2 + n + at] for at, name in enumerate(names)},
        options=options,
    )


def _score_block(
    fitted: Mapping[str, Sequence[PositionModel]], block: Impressions, fold: LongArray
) -> tuple[NDArray[Any], FloatArray]:
    """Ids [u] of the block's users, and [u, 2 + 2 models]: cells, choices, and both sums of every model."""
    present, user = np.unique(block.user, return_inverse=True)
    columns = np.zeros((len(block), 2 + 2 * len(fitted)))
    columns[:, 0] = block.clicked[0].size
    columns[:, 1] = block.clicked.sum(axis=(1, 2)) == 1
    for number in np.unique(fold):
        part = fold == number
        screens = block.where(part)
        for at, models in enumerate(fitted.values()):
            scores = score_screens(models[number].click_prob(screens), screens)
            columns[part, 2 + at] = scores.log_likelihood
            columns[part, 2 + len(fitted) + at] = np.nan_to_num(scores.choice)
    return block.users[present], np.stack([np.bincount(user, weights=column) for column in columns.T], axis=1)


def _ratio(total: FloatArray, size: LongArray, rng: np.random.Generator, level: float) -> Interval:
    """Mean a case of sums of users, with the interval of drawing users."""

    def mean(sample: FloatArray, axis: int) -> FloatArray:
        sums = sample.sum(axis=axis)
        return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1))

    return bootstrap(np.column_stack([total, size]), rng=rng, statistic=mean, level=level)
