"""The look of irworks figures: quiet axes, colours that colour-blind readers can tell apart, no background."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from irworks.errors import MissingDependencyError
from irworks.report.svg import INK, figure_to_svg

__all__ = ["INK", "PALETTE", "context", "figure_to_svg"]

# After Okabe and Ito, "Color Universal Design" (2008), shifted to keep a contrast of 3 to 1 on a light and on a dark
# page; their yellow and sky blue cannot, and give way to grey and to the colour of the text.
PALETTE = ("#1b7fc0", "#d55e00", "#009e73", "#b5628f", "#c78500", "#7d858f", INK)


def context(overrides: Mapping[str, Any] | None = None) -> AbstractContextManager[None]:
    """Return a context within which figures are made in this style.

    Figures of claims are made inside it without further ado.

    Args:
        overrides: matplotlib parameters that take the place of the style's: `{"figure.figsize": (4, 3)}`.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingDependencyError("matplotlib", "drawing a figure", "irworks[report]") from error

    parameters: Any = {**_parameters(), **(overrides or {})}
    return mpl.rc_context(parameters)


def _parameters() -> dict[str, Any]:
    from cycler import cycler

    ink = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK)
    clear = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none")
    return {
        **ink,
        **clear,
        "figure.figsize": (6.4, 3.6),
        "figure.constrained_layout.use": True,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 10.5,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.titlepad": 10,
        "axes.labelpad": 6,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.color": INK,
        "grid.alpha": 0.14,
        "grid.linewidth": 0.7,
        "xtick.major.width": 0.8,
        "ytick.major.width": 0.8,
        "lines.linewidth": 1.8,
        "lines.markersize": 5,
        "legend.frameon": False,
        "legend.fontsize": 9.5,
        "axes.prop_cycle": cycler(color=PALETTE),
        "image.cmap": "cividis",
    }
