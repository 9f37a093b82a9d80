"""How well click probabilities predict clicks: cell by cell, and as one choice from the screen."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.impressions import Impressions
from recgaze.models.keys import as_blocks

__all__ = ["Score", "ScreenScores", "score_blocks", "score_screens"]

FloatArray = NDArray[np.float64]

# A click on what had no chance at all costs 27.6 nats, not infinitely many.
_FLOOR = 1e-12


@dataclass(frozen=True)
class Score:
    """Fit of a model to clicks.

    Cells are taken to be clicked independently of each other. Where every screen ends with its only click, as in the
    RecGaze study, that is not so: given a click on one cell the others cannot have one. The likelihood of cells is
    then a composite one: it still ranks models by how well they predict each cell's rate, but it counts the same fact
    (one click) once a cell, so that its curvature is no standard error. `choice` is the exact reading for such
    data: the model of independent cells, given that precisely one of the screen's was clicked, chooses cell i with
    probability p_i / (1 - p_i) over the sum of these odds, which no factor common to all cells can change much.

    Attributes:
        cells: Number of cells.
        log_likelihood: Mean a cell, nats.
        choices: Number of screens with precisely one click.
        choice: Mean log-likelihood a choice, nats; NaN without choices.
    """

    cells: int
    log_likelihood: float
    choices: int
    choice: float

    @property
    def perplexity(self) -> float:
        """Of the choices: exp(-choice); R C for a uniform model."""
        return float(np.exp(-self.choice))


@dataclass(frozen=True, eq=False)
class ScreenScores:
    """Sums of each screen.

    Attributes:
        log_likelihood: float64 [n], sum over the cells.
        choice: float64 [n], log probability of the choice; NaN without precisely one click.
    """

    log_likelihood: FloatArray
    choice: FloatArray


def score_screens(probability: FloatArray, impressions: Impressions) -> ScreenScores:
    """Score click probabilities [n, R, C].

    Raises:
        ArgumentError: A probability is not known, because its position was never shown when the model was fitted.
    """
    if np.isnan(probability).any():
        row, column = (int(at) + 1 for at in np.argwhere(np.isnan(probability))[0][1:])
        raise ArgumentError(
            f"carousel {row}, position {column} has no click probability: nothing was shown there when the model was "
            "fitted; fit it on screens that show something at every position"
        )
    p = np.clip(probability, _FLOOR, 1 - _FLOOR).reshape(len(impressions), -1)
    clicked = impressions.clicked.reshape(len(impressions), -1)
    log_rest = np.log1p(-p)
    log_odds = np.where(clicked, np.log(p) - log_rest, 0)
    chosen = log_odds.sum(axis=1)
    with np.errstate(invalid="ignore"):
        choice = np.where(clicked.sum(axis=1) == 1, chosen - np.log((p / (1 - p)).sum(axis=1)), np.nan)
    return ScreenScores(chosen + log_rest.sum(axis=1), choice)


def score_blocks(
    click_prob: Callable[[Impressions], FloatArray], impressions: "Impressions | Iterable[Impressions]"
) -> Score:
    """Score a model on a study that comes as a whole or in blocks."""
    cells, total, choices, chosen = 0, 0.0, 0, 0.0
    for block in as_blocks(impressions):
        scores = score_screens(click_prob(block), block)
        cells += block.clicked.size
        total += float(scores.log_likelihood.sum())
        choices += int(np.isfinite(scores.choice).sum())
        chosen += float(np.nansum(scores.choice))
    if not cells:
        raise ArgumentError("there are no screens to score; expected at least one")
    return Score(cells, total / cells, choices, chosen / choices if choices else float("nan"))
