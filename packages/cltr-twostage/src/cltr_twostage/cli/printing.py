"""What the verbs print: JSON without infinities, tables, warnings of one line."""

import json
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from cltr_twostage.estimate import Estimate
    from irworks.data import ClickLog


def print_json(payload: dict[str, Any]) -> None:
    """Print JSON; what it has no number for is null."""
    typer.echo(as_json(payload))


def as_json(payload: dict[str, Any]) -> str:
    """JSON text; what it has no number for is null."""
    return json.dumps(_strict(payload), indent=1, allow_nan=False, default=str)


def sizes(logs: "Sequence[ClickLog]") -> dict[str, Any]:
    """How large some logs are together."""
    return {
        "sessions": sum(log.n_sessions for log in logs),
        "impressions": sum(log.n_impressions for log in logs),
        "clicks": sum(int(log.clicks.sum()) for log in logs),
        "ranks": max(log.n_ranks for log in logs),
    }


def estimate_fields(estimate: "Estimate") -> dict[str, Any]:
    """An estimate as plain values."""
    names = ("value", "stderr", "ess", "n_weighted", "max_weight", "support_gap", "clipped", "n_sessions")
    ends = {"low": estimate.ci.low, "high": estimate.ci.high, "level": estimate.ci.level}
    return {name: getattr(estimate, name) for name in names} | ends


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Warnings as one line each on standard error, once, without the source line that means nothing to a user."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        typer.echo(f"warning: {message}", err=True)


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _strict(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(part) for part in value]
    if hasattr(value, "tolist"):
        return _strict(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
