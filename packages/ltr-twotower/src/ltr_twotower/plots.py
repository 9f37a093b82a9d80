"""Figures of this package, and the HTML page of a logging policy report."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from irworks.report.figures import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ltr_twotower.explain import LoggingPolicyReport
    from ltr_twotower.swaps import SwapGraph

__all__ = ["residual_figure", "swap_figure", "theta_figure", "write_report_page"]


def theta_figure(curves: Mapping[str, tuple[ArrayLike, ArrayLike | None]], truth: ArrayLike | None = None) -> "Figure":
    """Position bias by rank.

    Args:
        curves: By name, theta [n_ranks] and its standard errors [n_ranks] (drawn as 95% intervals) or None.
        truth: True theta [n_ranks], where it is known.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = canvas()
    if truth is not None:
        true = np.asarray(truth, dtype=float)
        axes.plot(np.arange(1, len(true) + 1), true, color="0.5", linestyle="--", label="true")
    for i, (name, (theta, stderr)) in enumerate(curves.items()):
        values = np.asarray(theta, dtype=float)
        # Shifted a little, so that intervals of several fits do not cover each other.
        ranks = np.arange(1, len(values) + 1) + 0.08 * (i - (len(curves) - 1) / 2)
        error = None if stderr is None else 1.96 * np.where(np.isfinite(np.asarray(stderr)), stderr, 0)
        axes.errorbar(ranks, values, error, marker="o", markersize=4, capsize=2, label=name)
    axes.set(xlabel="rank", ylabel="position bias θ (logits)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


def residual_figure(bins: Any) -> "Figure":
    """Residual click rate against relative placement: flat around zero if nothing is missing."""
    figure, axes = canvas()
    axes.axhline(0, color="0.5", linewidth=0.8)
    axes.plot(bins["placement"], bins["residual"], marker="o")
    axes.set(xlabel="usual placement: ranks above others shown there", ylabel="clicks − expected, per impression")
    return figure


def swap_figure(graph: "SwapGraph") -> "Figure":
    """The swap graph as a matrix: how many pairs were shown at both ranks."""
    figure, axes = canvas(width=4.6, height=3.9)
    axes.grid(visible=False)
    shared = graph.shared.astype(float)
    np.fill_diagonal(shared, np.nan)
    extent = (0.5, graph.n_ranks + 0.5, graph.n_ranks + 0.5, 0.5)
    image = axes.imshow(np.where(shared > 0, shared, np.nan), extent=extent)
    figure.colorbar(image, label="pairs shown at both ranks")
    axes.set(xlabel="rank", ylabel="rank")
    return figure


def write_report_page(report: "LoggingPolicyReport", path: str | Path) -> None:
    """Write a logging policy report as one self-contained HTML page, atomically."""
    from irworks.report import Section, figure_to_svg, page
    from irworks.report.style import context
    from irworks.runtime import atomic_write

    table = report.thetas
    with context():
        curves: dict[str, tuple[ArrayLike, ArrayLike | None]] = {
            name: (table[name].to_numpy(), table[f"{name}_stderr"].to_numpy()) for name in ("naive", "weighted")
        }
        if table["uniform"].notna().any():
            curves["uniform policy"] = (table["uniform"].to_numpy(), None)
        theta = figure_to_svg(theta_figure(curves))
        residual = figure_to_svg(residual_figure(report.bins))
        swaps = figure_to_svg(swap_figure(report.identifiability.graph))
    verdict, _, evidence = report.text.partition("\n")
    sections = [
        Section(title="Evidence", text=evidence.replace("\n", "\n\n")),
        Section(
            title="Position bias",
            figure_svg=theta,
            caption=(
                "Theta of the model as it is (naive), of the same model with inverse placement propensities "
                "(weighted), and what it would learn under a uniformly random policy. Where naive leaves the other "
                "two, the logging policy has bent it."
            ),
            table=table.round(4),
        ),
        Section(
            title="What the model misses, by placement",
            figure_svg=residual,
            caption=(
                "Clicks beyond the model's expectation, by how high the policy usually places a document compared "
                "with others at the same rank. A rising line: the policy knows something the relevance tower does not."
            ),
        ),
        Section(
            title="Can the log identify the model?",
            text=report.identifiability.summary(),
            figure_svg=swaps,
            caption="Swap graph: pairs of ranks at which the same document of a query was seen. Empty: never.",
        ),
    ]
    html = page(title="Logging policy report", lead=verdict, sections=sections, footer="Made by ltr-twotower.")
    with atomic_write(path) as handle:
        handle.write(html)
