"""Numbers that others reported, made ready to stand beside those that are measured here."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from amharic_ir.measure.evaluation import label_of
from irworks.data import Collection
from irworks.errors import ArgumentError
from irworks.metrics import parse_measure

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["reported_frame", "reported_on"]

_FACTS = ("collection", "mark", "source", "parameters")


def reported_frame(
    reported: "pd.DataFrame | Mapping[str, Mapping[str, float]] | None", measures: Sequence[str]
) -> "pd.DataFrame":
    """A row a system, the index its name: mark, collection, source, and a column a measure, NaN where missing.

    Args:
        reported: {system: {measure: value}}; or a frame whose index, or column "system", names systems, and whose
            other columns are measures and perhaps collection, mark, source and parameters.
        measures: The measures to keep; a measure may have another of its names in `reported`.

    Raises:
        ArgumentError: A column is neither a measure nor one of these, a value is no number, or none of the measures
            is reported.
    """
    import pandas as pd

    facts = ["mark", "collection", "source"]
    if reported is None:
        return pd.DataFrame(columns=[*facts, *measures], index=pd.Index([], name="system"), dtype=object)
    given = reported if isinstance(reported, pd.DataFrame) else pd.DataFrame.from_dict(dict(reported), orient="index")
    if "system" in given:
        given = given.set_index("system")
    columns = {str(parse_measure(str(column))): column for column in given if column not in _FACTS}
    kept = pd.DataFrame(index=pd.Index(given.index.astype(str), name="system"))
    for fact in facts:
        kept[fact] = given[fact].fillna("").astype(str).to_numpy() if fact in given else ""
    kept.loc[kept["mark"] == "", "mark"] = "reported"
    for measure in measures:
        column = columns.get(str(parse_measure(measure)))
        kept[measure] = math.nan if column is None else _numbers(given[column], measure)
    kept = kept[kept[list(measures)].notna().any(axis=1)]
    if kept.empty:
        raise ArgumentError(f"reported has none of the measures {', '.join(measures)}; found {', '.join(columns)}")
    return kept


def _numbers(column: "pd.Series[float]", measure: str) -> list[float]:
    try:
        values = [float(value) for value in column]
    except (TypeError, ValueError):
        raise ArgumentError(f"reported: a value of {measure} is no number") from None
    if wrong := [value for value in values if math.isinf(value) or not (math.isnan(value) or value >= 0)]:
        raise ArgumentError(f"reported: {measure} is {wrong[0]}; expected a number of at least 0")
    return values


def reported_on(reported: "pd.DataFrame", collection: Collection) -> "pd.DataFrame":
    """The rows that go with one collection: those on it, with or without its split, or on none in particular."""
    return reported[reported["collection"].isin(["", collection.name, label_of(collection)])]
