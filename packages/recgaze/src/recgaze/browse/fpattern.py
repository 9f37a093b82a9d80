"""The F-pattern as a regression: do looks fall off down the rows, and along them?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.browse.estimates import Estimate
from recgaze.browse.patterns import Mass, Part
from recgaze.browse.tally import Resampled, nothing

__all__ = ["FPattern", "f_pattern", "fit_counts"]

FloatArray = NDArray[np.float64]

# Newton's method on a concave likelihood from its flat start needs 5 to 8 steps.
_STEPS = 30


@dataclass(frozen=True, eq=False)
class FPattern:
    """How counts change over the grid, on the scale of the regression and at the middle of the grid.

    Attributes:
        beta_row: Change by one carousel down.
        beta_column: Change by one position to the right.
        interaction: Change of `beta_row` by one position to the right.
        part: Of the grid.
        of: What was counted.
        verdict: "F": less downwards and to the right; "vertical only": less downwards, the fall to the right not shown;
            "horizontal only"; "none". By the intervals.
    """

    beta_row: Estimate
    beta_column: Estimate
    interaction: Estimate
    part: Part
    of: Mass
    verdict: str

    def __str__(self) -> str:
        return f"{self.verdict} ({self.part}: row {self.beta_row}, column {self.beta_column})"


def f_pattern(study: Resampled, of: Mass = "examined", *, part: Part = "first") -> FPattern:
    """Regress counts on row, column and their product, centred, with intervals from drawing users again.

    Fixated posters (`of="examined"`) are a binomial number of the screens on which their page came into view, with a
    logit; anything else counts as Poisson, with a logarithm. The intervals do not rest on that variance, only the
    estimates on that mean.

    Args:
        study: Counts.
        of: What is counted.
        part: "first": the first page of each carousel. "swiped": the other pages, by place on the page and given that
            the page came into view, with a term for the page; looks fall off "vertically only" where the first part is
            an F and this one is not. "all": positions over all pages, whether in view or not.

    Raises:
        ArgumentError: Nothing was counted, no swiped page came into view, or an unknown part.
    """
    counts, exposure, design = _cells(study, of, part)
    beta = fit_counts(counts, exposure, design)
    row, column, product = (study.estimate(beta[:, index], of=of) for index in (1, 2, 3))
    down, across = row.below(0), column.below(0)
    verdict = {(True, True): "F", (True, False): "vertical only", (False, True): "horizontal only"}
    return FPattern(row, column, product, part, of, verdict.get((down, across), "none"))


def fit_counts(counts: FloatArray, exposure: FloatArray | None, design: FloatArray) -> FloatArray:
    """Maximum likelihood of many regressions with one design at once, by Newton's method.

    Args:
        counts: float [n_fits, n_cells].
        exposure: float [n_fits, n_cells], trials of a binomial with a logit; None: Poisson with a logarithm.
        design: float [n_cells, n_terms], the first column all ones.

    Returns:
        float64 [n_fits, n_terms]; NaN where there is no maximum.
    """
    n_terms = design.shape[1]
    square = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    beta = np.zeros((len(counts), n_terms))
    trials = np.ones_like(counts) if exposure is None else exposure
    mean = counts.sum(axis=1) / np.maximum(trials.sum(axis=1), 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        beta[:, 0] = np.log(mean) if exposure is None else np.log(mean / (1 - mean))
    bad = ~np.isfinite(beta[:, 0])
    beta[bad] = 0
    for _ in range(_STEPS):
        linear = np.clip(beta @ design.T, -30, 30)
        rate = np.exp(linear) if exposure is None else 1 / (1 + np.exp(-linear))
        weight = rate if exposure is None else trials * rate * (1 - rate)
        slope = (counts - trials * rate) @ design
        curve = (weight @ square).reshape(-1, n_terms, n_terms)
        # Terms have sizes between 1 and 100, so that this ridge changes nothing but a singular matrix.
        curve += 1e-9 * np.trace(curve, axis1=1, axis2=2)[:, None, None] * np.eye(n_terms) + 1e-300 * np.eye(n_terms)
        step = np.linalg.solve(curve, slope[:, :, None])[:, :, 0]
        beta += np.clip(step, -3, 3)
        if not bad.all() and np.abs(step[~bad]).max() < 1e-9:
            break
    beta[bad | (np.abs(beta @ design.T).max(axis=1) > 28)] = np.nan
    return beta


def _cells(study: Resampled, of: Mass, part: Part) -> tuple[FloatArray, FloatArray | None, FloatArray]:
    """Counts and exposures of each draw, [1 + n_draws, n_cells], and the design, [n_cells, n_terms]."""
    tally = study.tally
    rows, columns, visible = tally.rows, tally.columns, tally.visible
    if part not in ("all", "first", "swiped"):
        raise ArgumentError(f'part={part!r}; expected "all", "first" or "swiped"')
    if part == "swiped" and tally.pages < 2:
        raise ArgumentError("the carousels have one page; expected several for what swiped pages show")
    cut = {"all": slice(None), "first": slice(visible), "swiped": slice(visible, None)}[part]
    counts = study.total(of)[:, :, cut]
    place = np.arange(columns)[cut]
    exposure = None
    if of == "examined" and "screens" in study:
        screens = study.total("screens")[:, None, None]
        exposure = np.broadcast_to(screens, counts.shape)
        if part != "all":
            exposure = np.repeat(study.total("reached"), visible, axis=2)[:, :, cut]
        if not exposure[0].any():
            raise ArgumentError("no swiped page came into view; expected some")
    if not counts[0].any():
        raise ArgumentError(nothing(of, part))
    column = place if part == "all" else place % visible
    r, c = (each.ravel().astype(np.float64) for each in np.meshgrid(np.arange(rows), column, indexing="ij"))
    r, c = r - r.mean(), c - c.mean()
    terms = [np.ones(len(r)), r, c, r * c]
    if part == "swiped" and tally.pages > 2:
        page = np.tile(place // visible, rows)
        terms.append(page - page.mean())
    flat = counts.reshape(len(counts), -1)
    trials = None if exposure is None else exposure.reshape(len(counts), -1)
    return flat, trials, np.column_stack(terms)
