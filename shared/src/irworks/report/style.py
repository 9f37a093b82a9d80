"""The look of irworks figures: quiet axes, colours that colour-blind readers can tell apart, no background."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from irworks.errors import MissingDependencyError
from irworks.report.svg import INK, figure_to_svg

__all__ = ["INK", "PALETTE", "STYLE_FILE", "context", "figure_to_svg"]

# What matplotlib reads, directly or through the variable MATPLOTLIBRC.
STYLE_FILE = Path(__file__).with_name("figures.mplstyle")

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

    parameters: Any = dict(overrides or {})
    return mpl.rc_context(parameters, fname=str(STYLE_FILE))
