"""The probability that a user examines each rank: what every estimator divides by, and where it comes from."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.data.tables import read_table
from irworks.errors import ArgumentError, DataError
from irworks.simulate.plackett_luce import require_at_least_one

__all__ = [
    "AdditiveExamination",
    "checked_examination",
    "dcg_weights",
    "examination_from_additive",
    "inverse_rank",
    "read_examination",
]

FloatArray = NDArray[np.float64]

_EXPECTED = "a probability in (0, 1]"
_CONVERT = (
    "An additive two-tower model has P(click) = sigmoid(theta_k + gamma), so its theta is a logit and no probability "
    "of examination; fit combine='pbm', or convert explicitly, and approximately, with examination_from_additive"
)


def checked_examination(values: Any, name: str = "examination") -> FloatArray:
    """Examination probabilities, checked.

    Args:
        values: float [k], the probability that each rank is examined; or a fitted click model that says how it combines
            (`combine`, which must be "pbm") and has `examination_`, such as ltr-twotower's.
        name: What to call it in error messages.

    Returns:
        float64 [k], a copy.

    Raises:
        ArgumentError: Not a flat array of numbers in (0, 1]; or an additive model, whose theta is a logit; or a model
            that knows nothing of a rank, or cannot compare it with rank 1.
    """
    if hasattr(values, "combine"):
        if values.combine != "pbm":
            raise ArgumentError(f"{name} is a model with combine={values.combine!r}; expected 'pbm'. {_CONVERT}")
        groups = np.asarray(getattr(values, "labels_", 0))
        if (groups != groups.flat[0]).any() or (groups < 0).any():
            raise ArgumentError(
                f"{name} is a model whose ranks fall into groups {groups.tolist()} that cannot be compared; "
                "expected one group of all ranks"
            )
        values = _relative_to_most_examined(values.examination_)
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} is {values!r}; expected numbers [k], {_EXPECTED} for each rank") from None
    if array.ndim != 1 or len(array) == 0:
        raise ArgumentError(f"{name} has shape {array.shape}; expected [k], {_EXPECTED} for each rank")
    fault = _first_fault(array)
    if fault is not None:
        rank, hint = fault
        raise ArgumentError(f"{name} is {array[rank]} at rank {rank + 1}; expected {_EXPECTED}. {hint}")
    return array


def read_examination(path: str | Path) -> FloatArray:
    """Read examination probabilities from a saved click model or a table.

    Args:
        path: A folder that ltr-twotower wrote (`config.json`, `position_bias.csv`) for a model with combine="pbm":
            the examination relative to rank 1, or to the most examined rank if that is another. Or a CSV or Parquet
            file with the columns `position` (from 1) and `examination`, a row for each rank.

    Returns:
        float64 [k].

    Raises:
        DataError: The file or folder is missing or malformed; an additive model; ranks of a model that were never
            shown, or whose bias cannot be compared with that of rank 1; a value outside (0, 1].
    """
    source = Path(path)
    if not source.exists():
        raise DataError("no such file or folder", source=source)
    return _from_model(source) if source.is_dir() else _from_table(source)


@dataclass(frozen=True, eq=False)
class AdditiveExamination:
    """The click curve of an additive two-tower model, as if it were the examination of a position-based one.

    Attributes:
        examination: float64 [k], relative to rank 1.
        worst_deviation: Largest |e_k(d) / e_k - 1| over documents d and ranks k, where e_k(d) is the click curve of
            the document alone: 0 if the model were position-based. An estimate of relevance can be off by as much.
    """

    examination: FloatArray
    worst_deviation: float


def examination_from_additive(
    theta: ArrayLike, relevance_logits: ArrayLike, weights: ArrayLike | None = None
) -> AdditiveExamination:
    """Convert the position bias of an additive two-tower model, approximately.

    P(click at rank k on d) = sigmoid(theta_k + gamma_d) is no product of a rank and a document, so there is no exact
    answer. This is the marginal one: e_k = mean_d sigmoid(theta_k + gamma_d) / mean_d sigmoid(theta_1 + gamma_d), how
    much less often rank k is clicked than rank 1 when the documents of a population stand there. It depends on the
    population; `worst_deviation` says how far single documents are from it.

    Args:
        theta: float [k], bias logits by rank.
        relevance_logits: float [n], gamma of the documents of the population, intercept included.
        weights: float [n], share of each document, in any unit. Default: equal.

    Raises:
        ArgumentError: Not finite numbers of these shapes; weights that are negative or sum to 0; a rank that is clicked
            more than rank 1.
    """
    from scipy.special import log_expit, logsumexp

    bias = _finite("theta", theta)
    logits = _finite("relevance_logits", relevance_logits)
    share = _shares(weights, len(logits))
    # Documents without weight are not of the population, and must not count in the worst deviation.
    logits, share = logits[share > 0], share[share > 0]
    # In logarithms and rank by rank: clicks may be rare, and [n, k] of a large population would not fit.
    top = log_expit(bias[0] + logits)
    total = logsumexp(top, b=share)
    examination, worst = np.empty(len(bias)), 0.0
    for rank, shift in enumerate(bias):
        clicked = log_expit(shift + logits)
        level = logsumexp(clicked, b=share) - total
        examination[rank] = np.exp(level)
        worst = max(worst, float(np.abs(np.expm1(clicked - top - level)).max()))
    return AdditiveExamination(checked_examination(examination, "the converted examination"), worst)


def inverse_rank(k: int, power: float = 1.0) -> FloatArray:
    """The usual guess, (1 / rank) ** power: float64 [k].

    Args:
        k: Number of ranks.
        power: 0 is no position bias.

    Raises:
        ArgumentError: `k` is below 1, or `power` is negative or not finite.
    """
    if not (np.isfinite(power) and power >= 0):
        raise ArgumentError(f"power={power!r}; expected a finite number of at least 0")
    return np.asarray((1.0 / _ranks(k)) ** power)


def dcg_weights(k: int) -> FloatArray:
    """The rank weights of DCG, 1 / log2(rank + 1): float64 [k].

    Raises:
        ArgumentError: `k` is below 1.
    """
    return np.asarray(1.0 / np.log2(_ranks(k) + 1))


def _ranks(k: int) -> FloatArray:
    require_at_least_one("k", k)
    return np.arange(1, k + 1, dtype=np.float64)


def _first_fault(values: FloatArray) -> tuple[int, str] | None:
    """Index of the first value outside (0, 1], and what may be behind it; None if there is none."""
    bad = ~((values > 0) & (values <= 1))
    if not bad.any():
        return None
    index = int(np.flatnonzero(bad)[0])
    if not np.isfinite(values).all():
        return index, "A rank that was never shown has no known examination; cut the lists before it"
    if (values < 0).any():
        return index, f"Negative numbers look like log-probabilities or logits. {_CONVERT}"
    if (values == 0).any():
        return (
            index,
            "A click at a rank that is never examined cannot happen: the rank gives no information; cut it off",
        )
    return index, (
        "If these are probabilities relative to another rank, divide by the largest: relevance then is relative to the "
        "rank that is examined most. If they are logits, they cannot be used so"
    )


def _from_model(folder: Path) -> FloatArray:
    from irworks.data.columns import numbers

    _require_position_based(folder)
    file = folder / "position_bias.csv"
    frame, place = _table(file, ("position", "theta", "group"))
    order = _by_position(frame, place)
    group = numbers(frame, "group", place, "a group of ranks")[order]
    apart = np.flatnonzero((group != group[0]) | (group < 0))
    if len(apart):
        ranks = ", ".join(str(rank + 1) for rank in apart)
        raise DataError(
            "the model does not know the examination of every rank",
            source=file,
            found=f"ranks never shown, or not connected with rank 1: {ranks}",
            expected="every rank in one group",
            hint="Log some swapped documents, or cut the lists before these ranks",
        )
    theta = numbers(frame, "theta", place, "the log-examination of the rank")[order]
    return _checked_column(_relative_to_most_examined(np.exp(theta - theta[0])), order, "theta", place)


def _relative_to_most_examined(examination: ArrayLike) -> FloatArray:
    """A model knows examination up to its scale only: the largest becomes 1, so that noise at rank 2 is no fault."""
    array = np.asarray(examination, dtype=np.float64)
    # What is not finite must not spread to the other ranks: it is a fault of its own rank.
    return array / float(array.max(initial=1.0, where=np.isfinite(array)))


def _require_position_based(folder: Path) -> None:
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError("the folder is not a saved click model", source=folder, expected="a config.json") from None
    except (OSError, ValueError) as error:
        raise DataError(f"not readable: {error}", source=file) from None
    if not isinstance(config, dict) or "combine" not in config:
        raise DataError("the folder is not a saved click model", source=file, expected="the field 'combine'")
    if config["combine"] != "pbm":
        raise DataError(
            "not a position-based model", source=file, column="combine", found=config["combine"], expected="'pbm'",
            hint=_CONVERT,
        )  # fmt: skip


def _from_table(file: Path) -> FloatArray:
    from irworks.data.columns import numbers

    frame, place = _table(file, ("position", "examination"))
    order = _by_position(frame, place)
    values = numbers(frame, "examination", place, _EXPECTED)[order]
    return _checked_column(values, order, "examination", place)


def _table(file: Path, columns: tuple[str, ...]) -> tuple[Any, Any]:
    """The rows of a file (a data frame) with the wanted columns, and how to speak of them (a `Place`)."""
    from irworks.data.tables import is_parquet

    try:
        is_parquet(file)
    except DataError:
        expected = ".csv, .csv.gz, .tsv, .parquet, or the folder of a saved click model"
        raise DataError("not a table by its name", source=file, expected=expected) from None
    frame, place = read_table(file)
    for name in columns:
        if name not in frame.columns:
            found = ", ".join(map(str, frame.columns))
            hint = "For a saved click model, give its folder" if "theta" in frame.columns else None
            raise DataError("a column is missing", source=file, column=name, found=found, hint=hint)
    if len(frame) == 0:
        raise DataError("the table is empty", source=file, expected="a row for each rank")
    return frame, place


def _by_position(frame: Any, place: Any) -> NDArray[np.int64]:
    """Where each rank stands in the table, from rank 1 on."""
    from irworks.data.columns import numbers

    expected = f"each position from 1 to {len(frame)} once"
    position = numbers(frame, "position", place, expected)
    order = np.argsort(position, kind="stable")
    wrong = np.flatnonzero(position[order] != np.arange(1, len(order) + 1))
    if len(wrong):
        row = int(order[wrong[0]])
        raise place.error("positions do not count the ranks", row, "position", position[row], expected)
    return order


def _checked_column(values: FloatArray, order: NDArray[np.int64], column: str, place: Any) -> FloatArray:
    fault = _first_fault(values)
    if fault is not None:
        rank, hint = fault
        problem = f"the examination of rank {rank + 1} is out of range"
        raise place.error(problem, int(order[rank]), column, values[rank], _EXPECTED, hint)
    return values


def _finite(name: str, values: ArrayLike) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0 or not np.isfinite(array).all():
        raise ArgumentError(f"{name} has shape {array.shape}; expected finite numbers in a flat array, at least one")
    return array


def _shares(weights: ArrayLike | None, n: int) -> FloatArray:
    if weights is None:
        return np.full(n, 1.0 / n)
    array = _finite("weights", weights)
    if array.shape != (n,) or (array < 0).any() or array.sum() == 0:
        raise ArgumentError(f"weights has shape {array.shape}; expected [{n}], at least 0 and not all of them 0")
    return np.asarray(array / array.sum())
