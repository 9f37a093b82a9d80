"""What several verbs print."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from irworks.runtime.terminal import strict_json

if TYPE_CHECKING:
    from cltr_twostage.estimate import Estimate
    from irworks.data import ClickLog


def print_json(payload: dict[str, Any]) -> None:
    """Print JSON; what it has no number for is null."""
    typer.echo(strict_json(payload))


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
