"""Figures of this package: the gain by stage, and the weights that an estimate stands on."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from cltr_twostage.attribution import Attribution
from irworks.errors import ArgumentError
from irworks.report.figures import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["gain_figure", "weight_figure"]

_PARTS = {
    "generator": "new generator,\nold ranker",
    "ranker": "old generator,\nnew ranker",
    "interaction": "interaction",
    "gain": "both new",
}
_BINS = 40


def gain_figure(attribution: Attribution) -> "Figure":
    """What each stage brings alone, what they bring together, and the whole gain, with intervals around zero."""
    figure, axes = canvas(height=2.9)
    estimates = [getattr(attribution, part) for part in _PARTS]
    places = np.arange(len(estimates))[::-1]
    middle = np.array([estimate.value for estimate in estimates])
    # An infinite interval, from a single session, has no end that could be drawn.
    reach = np.array([[e.value - e.ci.low, e.ci.high - e.value] for e in estimates]).T
    reach = np.where(np.isfinite(reach), reach, 0.0)
    axes.axvline(0, color="0.5", linewidth=0.8, linestyle="--")
    axes.errorbar(middle, places, xerr=reach, fmt="o", markersize=5, capsize=3)
    axes.set_yticks(places, list(_PARTS.values()))
    axes.set(xlabel="gain over the old pair", ylim=(-0.6, len(places) - 0.4))
    return figure


def weight_figure(weights: ArrayLike, impressions: ArrayLike, *, clip: float | None = None) -> "Figure":
    """How many logged impressions have which weight.

    Args:
        weights: float [n], weight of a document, exposure under the target over exposure in the log.
        impressions: float [n], how often the document was logged.
        clip: Largest weight that is used, drawn as a line. Default: none.

    Raises:
        ArgumentError: The shapes differ.
    """
    weight, count = np.asarray(weights, dtype=np.float64), np.asarray(impressions, dtype=np.float64)
    if weight.shape != count.shape or weight.ndim != 1:
        raise ArgumentError(f"weights have shape {weight.shape} and impressions {count.shape}; expected equal, [n]")
    figure, axes = canvas(height=2.9)
    drawn = (count > 0) & (weight > 0) & np.isfinite(weight)
    if drawn.any():
        low, high = np.log10(weight[drawn].min()), np.log10(weight[drawn].max())
        # One weight for all would leave bins without width.
        edges = np.logspace(min(low, -0.1) - 0.02, max(high, 0.1) + 0.02, _BINS + 1)
        axes.hist(weight[drawn], bins=edges.tolist(), weights=count[drawn])
        axes.set_xscale("log")
    axes.axvline(1, color="0.5", linewidth=0.8, linestyle="--")
    if clip is not None:
        axes.axvline(clip, linewidth=0.8, linestyle=":", label="clip")
        axes.legend()
    axes.set(xlabel="weight: exposure under the new pair / in the log", ylabel="logged impressions")
    return figure
