"""Logs and fitted models in a few numbers and lines, for the command line."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irworks.data import ClickLog
    from ltr_twotower.model import TwoTowerClickModel

__all__ = ["model_numbers", "sizes", "theta_lines"]


def sizes(log: "ClickLog") -> dict[str, Any]:
    """How much a log holds."""
    return {
        "sessions": log.n_sessions,
        "impressions": log.n_impressions,
        "clicks": int(log.clicks.sum()),
        "queries": log.n_queries,
        "documents": log.n_docs,
        "ranks": log.n_ranks,
    }


def model_numbers(model: "TwoTowerClickModel") -> dict[str, Any]:
    """What a model learnt about position."""
    from ltr_twotower.swaps import groups_of

    return {
        "combine": model.combine,
        "position_bias": model.position_bias_,
        "stderr": model.stderr_,
        "comparable_ranks": groups_of(model.labels_),
        "converged": model.converged_,
        "ess": None if model.weights_ is None else model.weights_.ess,
    }


def theta_lines(model: "TwoTowerClickModel") -> list[str]:
    """A row per rank, with its group where there are several: a zero must not look like no position bias."""
    from ltr_twotower.swaps import groups_of

    name = "log examination" if model.combine == "pbm" else "theta"
    groups = groups_of(model.labels_)
    several = len(groups) > 1
    width = max(8, len(name))
    lines = [f"{'rank':>4}  {'group  ' if several else ''}{name:>{width}}  {'stderr':>8}"]
    for rank, (theta, stderr) in enumerate(zip(model.position_bias_, model.stderr_, strict=True), start=1):
        group = next((f"{number:>5}  " for number, ranks in enumerate(groups, start=1) if rank in ranks), f"{'-':>5}  ")
        lines.append(f"{rank:>4}  {group if several else ''}{theta:>{width}.4f}  {stderr:>8.4f}")
    if several:
        zero = ", whose first rank is set to 0" if model.on_unidentified == "component-normalize" else ""
        lines.append(f"{name} can be compared only between ranks of the same group{zero}")
    if model.combine == "pbm" or model.relevance == "deep":
        what = "position-based model" if model.combine == "pbm" else "neural tower"
        lines.append(f"standard errors are nan: there are none for a {what}")
    return lines
