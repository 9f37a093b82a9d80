"""The shapes of browsing: golden triangle, L, and whether rows and columns are separable."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.browse.estimates import Estimate
from recgaze.browse.screens import Screens
from recgaze.browse.tally import Resampled, nothing, ratio

__all__ = [
    "LPattern",
    "Mass",
    "Part",
    "Separability",
    "Share",
    "count_l",
    "golden_triangle",
    "in_triangle",
    "l_pattern",
    "l_share",
    "mass_of",
    "separability",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Mass = Literal["examined", "dwell", "clicked", "first", "seen"]
Part = Literal["all", "first", "swiped"]


@dataclass(frozen=True, eq=False)
class Share:
    """Share of a region of the grid in what is counted, beside the share of a uniform spread.

    Attributes:
        share: Of the counts.
        uniform: Of the cells.
        excess: share - uniform.
        verdict: "more than uniform", "less than uniform" or "not told apart", by the interval.
    """

    share: Estimate
    uniform: float
    excess: Estimate
    verdict: str

    def __str__(self) -> str:
        return f"{self.share} (uniform {self.uniform:.3f}): {self.verdict}"


@dataclass(frozen=True, eq=False)
class LPattern:
    """Given a click at (r*, c*): share of the other looks above r* in the first two columns, or in row r* before c*.

    Attributes:
        share: Mean over screens.
        uniform: The same if the other looks were spread evenly over all cells.
        swapped: The same if another one of the posters looked at on the screen had been clicked, the mean over all.
        excess: share - swapped.
        n_screens: With one click and a look at another poster.
        verdict: "L", "no L" or "not told apart", by the interval of the excess.
    """

    share: Estimate
    uniform: Estimate
    swapped: Estimate
    excess: Estimate
    n_screens: int
    verdict: str

    def __str__(self) -> str:
        return f"{self.share} (uniform {self.uniform}, clicks swapped {self.swapped}): {self.verdict}"


@dataclass(frozen=True)
class Separability:
    """Test of n_rc = n a_r b_c: whether row and column say all there is to say.

    Attributes:
        g2: Likelihood-ratio statistic of independence.
        df: Degrees of freedom.
        p_value: As if every count were independent.
        design_effect: How much more the counts vary than independent ones, as they are several of one user.
        p_clustered: Of g2 / design_effect (Rao & Scott 1984, first-order correction).
    """

    g2: float
    df: int
    p_value: float
    design_effect: float
    p_clustered: float


def in_triangle(rows: int, columns: int) -> BoolArray:
    """The golden triangle, [rows, columns]: (r - 1) / rows + (c - 1) / columns < 1."""
    # In whole numbers: sums of fractions that are 1 must not come out below it.
    down, across = np.arange(rows)[:, None] * columns, np.arange(columns) * rows
    return np.asarray(down + across < rows * columns)


def golden_triangle(study: Resampled, of: Mass = "examined", *, part: Part = "all") -> Share:
    """Share of the upper left triangle of the grid.

    Args:
        study: Counts.
        of: What is counted.
        part: "all" positions, or the "first" page of each carousel with the triangle of that page.

    Returns:
        The interval covers `uniform` as often as its level says where looks are spread evenly.

    Raises:
        ArgumentError: Nothing was counted, or `part` is "swiped".
    """
    counts = mass_of(study, of, part)
    return _share(study, counts, in_triangle(*counts.shape[1:]), of)


def l_share(study: Resampled, of: Mass = "clicked", *, part: Part = "all") -> Share:
    """Share of the first row and the first column together, as `golden_triangle`."""
    counts = mass_of(study, of, part)
    region = np.zeros(counts.shape[1:], dtype=bool)
    region[0] = region[:, 0] = True
    return _share(study, counts, region, of)


def l_pattern(study: Resampled) -> LPattern:
    """Whether looks lie on the way to the click: down the first two columns, then along its row.

    The clicked poster is left out, as it is looked at on any way to it. Looks at the top left lie on the way to nearly
    all clicks, and deep clicks come with deep looks; `swapped` has both in it, as it keeps the looks of each screen and
    moves only the click among them. Its expectation is exact: no permutation is drawn. The interval draws users, not
    films: with hundreds of users good films on the way are an L as well, though a small one.

    Raises:
        ArgumentError: No screen has one click and a look at another poster.
    """
    n = study.total("l_screens")
    if not n[0]:
        raise ArgumentError("no screen has one click and a fixation on another poster; expected some")
    share, swapped, even = (ratio(study.total(name), n) for name in ("l_mass", "l_swapped", "l_uniform"))
    excess = study.estimate(share - swapped, of="l_screens")
    verdict = "L" if excess.above(0) else "no L" if excess.below(0) else "not told apart"
    shown, uniform, null = (study.estimate(draws, of="l_screens") for draws in (share, even, swapped))
    return LPattern(shown, uniform, null, excess, int(n[0]), verdict)


def separability(study: Resampled, of: Mass = "clicked", *, part: Part = "all") -> Separability:
    """Test whether rows and columns are independent in plain counts.

    Rows and columns without a count are left out.

    Raises:
        ArgumentError: Counts in fewer than two rows or columns, or fewer than two users.
    """
    from scipy.special import chdtrc

    by_user = _cut(study.tally[of], study.tally.visible, part)
    total = by_user.sum(axis=0)
    by_user = by_user[:, total.any(axis=1)][:, :, total.any(axis=0)]
    total = by_user.sum(axis=0)
    if min(total.shape) < 2 or len(by_user) < 2:
        raise ArgumentError(
            f"there are counts in {total.shape[0]} rows and {total.shape[1]} columns, of {len(by_user)} users; "
            "expected at least two of each"
        )
    n, down, across = total.sum(), total.sum(axis=1), total.sum(axis=0)
    expected = np.outer(down, across) / n
    found = total > 0
    g2 = float(2 * (total[found] * np.log(total[found] / expected[found])).sum())
    df = (total.shape[0] - 1) * (total.shape[1] - 1)
    # A user's part of the residual, with what the user does to the expectation.
    rows, columns = by_user.sum(axis=2), by_user.sum(axis=1)
    shift = rows[:, :, None] * across + down[:, None] * columns[:, None, :]
    moved = by_user - shift / n + by_user.sum(axis=(1, 2))[:, None, None] * expected / n
    moved = (moved - moved.mean(axis=0)) / np.sqrt(expected)
    effect = float((moved**2).sum() * len(by_user) / (len(by_user) - 1) / df)
    corrected = chdtrc(df, g2 / effect) if effect > 0 else np.nan
    return Separability(g2, df, float(chdtrc(df, g2)), effect, float(corrected))


def mass_of(study: Resampled, of: Mass, part: Part) -> FloatArray:
    """Sums of counts over users, float64 [1 + n_draws, R, C of the part].

    Raises:
        ArgumentError: Nothing was counted.
    """
    counts = _cut(study.total(of), study.tally.visible, part)
    if not counts[0].any():
        raise ArgumentError(nothing(of, part))
    return counts


def _cut(counts: FloatArray, visible: int, part: Part) -> FloatArray:
    if part not in ("all", "first"):
        raise ArgumentError(f'part={part!r}; expected "all" or "first"')
    return counts[:, :, :visible] if part == "first" else counts


def _share(study: Resampled, counts: FloatArray, region: BoolArray, of: str) -> Share:
    draws = ratio(counts[:, region].sum(axis=1), counts.sum(axis=(1, 2)))
    uniform = float(region.mean())
    excess = study.estimate(draws - uniform, of=of)
    more, less = excess.above(0), excess.below(0)
    verdict = "more than uniform" if more else "less than uniform" if less else "not told apart"
    return Share(study.estimate(draws, of=of), uniform, excess, verdict)


def count_l(screens: Screens) -> dict[str, FloatArray]:
    """Sums of each user over screens with one click and other looks: `l_mass, l_swapped, l_uniform, l_screens`."""
    block = screens.impressions
    rows, columns = screens.grid
    clicks = block.clicked.reshape(len(block), -1)
    looked = block.examined.reshape(len(block), -1) | clicks
    chosen = np.flatnonzero((clicks.sum(axis=1) == 1) & (looked.sum(axis=1) > 1))
    looks = looked[chosen].astype(np.float64)
    region = _l_regions(rows, columns).reshape(rows * columns, -1).astype(np.float64)
    others = looks.sum(axis=1) - 1
    # Of a click anywhere, the share of the other looks on the way to it.
    share = looks @ region.T / others[:, None]
    target = clicks[chosen].argmax(axis=1)
    some = screens.where(chosen)
    return {
        "l_mass": some.sum(share[np.arange(len(chosen)), target]),
        "l_swapped": some.sum((share * looks).sum(axis=1) / (others + 1)),
        "l_uniform": some.sum(region.sum(axis=1)[target] / (rows * columns - 1)),
        "l_screens": some.sum(np.ones(len(chosen))),
    }


def _l_regions(rows: int, columns: int) -> BoolArray:
    """[R, C, R, C], for each place of a click, the L that leads to it."""
    row, column = np.arange(rows), np.arange(columns)
    above = (row < row[:, None])[:, None, :, None] & (column < 2)
    along = (row == row[:, None])[:, None, :, None] & (column < column[:, None])[None, :, None, :]
    return np.asarray(above | along)
