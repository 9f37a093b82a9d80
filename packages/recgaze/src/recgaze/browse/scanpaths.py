"""The order in which areas were looked at, as strings, and how alike two orders are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.browse.estimates import Estimate
from recgaze.browse.screens import Joined, Screens
from recgaze.browse.tally import Tally, ratio
from recgaze.impressions import Impressions
from recgaze.layout import Aoi
from recgaze.visits import Visits

__all__ = ["Scanpaths", "edit_distance", "scanmatch", "scanpath_similarity", "scanpaths"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
_Loss = Callable[[LongArray, LongArray], FloatArray]

_CELLS_AT_ONCE = 1 << 21


@dataclass(frozen=True, eq=False)
class Scanpaths:
    """Sequences of posters, one for each screen that has any.

    Attributes:
        users: [n_users], ids.
        user: int64 [n_paths], code in `users`.
        task: int16 [n_paths].
        cell: int16 [n], place in the flat grid, from 0, path after path.
        sizes: int64 [n_paths].
        columns: Positions of a carousel.
        visible: Posters of a carousel that are visible at a time.
    """

    users: NDArray[np.generic]
    user: LongArray
    task: NDArray[np.int16]
    cell: NDArray[np.int16]
    sizes: LongArray
    columns: int
    visible: int

    def __len__(self) -> int:
        return len(self.sizes)

    def strings(self) -> list[str]:
        """One for each path: carousels in letters, positions in numbers, such as "A1 A2 B1"."""
        row, column = np.divmod(self.cell, self.columns)
        words = [f"{_letters(r)}{c + 1}" for r, c in zip(row.tolist(), column.tolist(), strict=True)]
        ends = np.cumsum(self.sizes).tolist()
        return [" ".join(words[end - size : end]) for end, size in zip(ends, self.sizes.tolist(), strict=True)]

    def padded(self, chosen: LongArray, longest: int) -> tuple[LongArray, LongArray]:
        """Some paths, [n, longest], -1 beyond their end; and their sizes [n]. What is longer is cut."""
        sizes = np.minimum(self.sizes[chosen], longest)
        width = int(sizes.max(initial=0))
        at = (np.cumsum(self.sizes) - self.sizes)[chosen][:, None] + np.arange(width)
        inside = np.arange(width) < sizes[:, None]
        return np.where(inside, self.cell[np.where(inside, at, 0)], -1).astype(np.int64), sizes


def scanpaths(
    impressions: Impressions, fixations: Visits, *, collapse: bool = True, bin_seconds: float | None = None
) -> Scanpaths:
    """The posters that gaze went to, screen by screen.

    Args:
        impressions: The screens.
        fixations: Their fixations.
        collapse: Several fixations of one poster in a row count once.
        bin_seconds: Repeat each poster for every so many seconds of its fixation, as ScanMatch does (50 ms there), at
            least once; then nothing is collapsed.

    Raises:
        ArgumentError: `bin_seconds` that is not positive, or a visit beyond the grid.
    """
    if bin_seconds is not None and not bin_seconds > 0:
        raise ArgumentError(f"bin_seconds={bin_seconds!r}; expected a positive number of seconds")
    screens = Screens.of(impressions)
    posters = screens.join(fixations).of_kind(Aoi.MOVIE)
    if bin_seconds is not None:
        times = np.maximum(np.rint(posters.duration / bin_seconds), 1).astype(np.int64)
        posters = posters.where(np.repeat(np.arange(len(posters)), times))
    elif collapse:
        posters = posters.where(_changes(posters))
    screen, sizes = np.unique(posters.screen, return_counts=True)
    return Scanpaths(
        screens.users,
        screens.user[screen],
        impressions.task[screen],
        posters.cell.astype(np.int16),
        sizes.astype(np.int64),
        screens.grid[1],
        impressions.visible,
    )


def edit_distance(first: LongArray, second: LongArray, sizes: tuple[LongArray, LongArray]) -> LongArray:
    """Levenshtein distance of pairs of sequences: insertions, deletions and substitutions.

    All pairs go through the table row by row together: time n_pairs * width_1 * width_2 in numpy, no loop over pairs.

    Args:
        first: int [n_pairs, width_1], what lies beyond a sequence's end is ignored.
        second: int [n_pairs, width_2].
        sizes: int [n_pairs] each.

    Returns:
        int64 [n_pairs].
    """
    cost = _align(first, second, sizes, lambda a, b: (a[:, None] != b).astype(np.float64), gap=1.0)
    return np.rint(cost).astype(np.int64)


def scanmatch(
    first: LongArray,
    second: LongArray,
    sizes: tuple[LongArray, LongArray],
    *,
    columns: int,
    visible: int,
    threshold: float = 2.0,
    gap: float = 0.0,
) -> FloatArray:
    """Similarity of pairs of sequences of posters that counts near posters as partly the same.

    Needleman-Wunsch alignment, a pair of posters scoring 1 - distance / threshold, a gap `gap`, over the score of the
    longer sequence with itself (Cristino, Mathôt, Theeuwes & Gilchrist, "ScanMatch", Behavior Research Methods 2010).
    Distance: posters as the crow flies on the screen, one page apart like one poster apart. Time as `edit_distance`.

    Args:
        first: int [n_pairs, width_1], places in the flat grid.
        second: int [n_pairs, width_2].
        sizes: int [n_pairs] each.
        columns: Positions of a carousel.
        visible: Posters of a carousel that are visible at a time.
        threshold: Distance at which posters are no more alike than a gap of 0.
        gap: Score of a gap, at most 0.

    Returns:
        float64 [n_pairs], 1 for equal sequences.

    Raises:
        ArgumentError: `threshold` is not positive or `gap` is positive.
    """
    if not threshold > 0 or not gap <= 0:
        raise ArgumentError(f"threshold={threshold!r}, gap={gap!r}; expected a positive number, and one of at most 0")

    def loss(a: LongArray, b: LongArray) -> FloatArray:
        column, other = a % columns, b % columns
        down = a[:, None] // columns - b // columns
        across = column[:, None] % visible - other % visible
        turn = column[:, None] // visible - other // visible
        return np.asarray(np.sqrt(down**2 + across**2 + turn**2) / threshold - 1)

    longest = np.maximum(*sizes)
    return ratio(-_align(first, second, sizes, loss, gap=-gap), longest.astype(np.float64))


def scanpath_similarity(
    paths: Scanpaths,
    *,
    rng: np.random.Generator,
    measure: Literal["edit", "scanmatch"] = "scanmatch",
    pairs: int = 2000,
    longest: int = 100,
    n: int = 2000,
    level: float = 0.95,
) -> Estimate:
    """How alike the paths of two users are: on the same screen, on different ones, and the difference, [3].

    Random pairs of paths of different users; edit distance is turned into 1 - distance / length of the longer one. A
    draw of users weighs a pair by both of its users.

    Args:
        paths: The paths.
        rng: Source of pairs and draws.
        measure: "edit" or "scanmatch".
        pairs: How many pairs of each kind; time grows with pairs * longest^2: a second for the defaults.
        longest: What goes beyond so many posters is cut.
        n: Number of draws.
        level: Confidence.

    Raises:
        ArgumentError: An unknown measure, no paths, or no two users that share a screen, or none with different ones.
    """
    if measure not in ("edit", "scanmatch"):
        raise ArgumentError(f'measure={measure!r}; expected "edit" or "scanmatch"')
    if not len(paths):
        raise ArgumentError("there is no scanpath, as no poster was fixated; expected some")
    found = [_random_pairs(paths, same, pairs, rng) for same in (True, False)]
    if not all(len(pair) for pair in found):
        raise ArgumentError("no two users with the same screen, or none with different ones; expected both")
    weights = Tally(paths.users, 1, 1, 1, {}).resample(rng, n, level).weights.astype(np.float64)
    means = []
    for pair in found:
        values = _similarities(paths, pair, measure, longest)
        weight = weights[:, paths.user[pair[:, 0]]] * weights[:, paths.user[pair[:, 1]]]
        means.append(ratio(weight @ values, weight.sum(axis=1)))
    draws = np.stack([*means, means[0] - means[1]], axis=1)
    return Estimate.of_draws(
        draws,
        len(np.unique(paths.user)),
        level,
        (("paths", ("same screen", "different screens", "difference")),),
    )


def _similarities(paths: Scanpaths, pair: LongArray, measure: str, longest: int) -> FloatArray:
    parts = []
    width = min(longest, int(paths.sizes.max(initial=1)))
    for start in range(0, len(pair), max(1, _CELLS_AT_ONCE // width)):
        (a, m), (b, k) = (paths.padded(side, longest) for side in pair[start : start + _CELLS_AT_ONCE // width].T)
        if measure == "edit":
            parts.append(1 - edit_distance(a, b, (m, k)) / np.maximum(m, k))
        else:
            parts.append(scanmatch(a, b, (m, k), columns=paths.columns, visible=paths.visible))
    return np.concatenate(parts)


def _random_pairs(paths: Scanpaths, same: bool, pairs: int, rng: np.random.Generator) -> LongArray:
    """Pairs of paths [k, 2], k <= pairs, of different users, on the same screen or on different ones."""
    order = np.lexsort((rng.random(len(paths)), paths.task))
    task = paths.task[order]
    first = rng.integers(len(paths), size=4 * pairs)
    if same:
        low, high = np.searchsorted(task, task[first], side="left"), np.searchsorted(task, task[first], side="right")
        second = low + (rng.random(len(first)) * (high - low)).astype(np.int64)
    else:
        second = rng.integers(len(paths), size=len(first))
    first, second = order[first], order[second]
    fits = (paths.user[first] != paths.user[second]) & ((paths.task[first] == paths.task[second]) == same)
    return np.stack([first[fits], second[fits]], axis=1)[:pairs]


def _align(
    first: LongArray, second: LongArray, sizes: tuple[LongArray, LongArray], loss: _Loss, gap: float
) -> FloatArray:
    """Least total loss of an alignment of each pair, float64 [n_pairs].

    Within a row of the table, D[j] = min_k<=j (T[k] + gap (j - k)), a running minimum, so that only the rows are a
    loop.
    """
    n, width = second.shape
    steps = gap * np.arange(width + 1)
    row = np.tile(steps, (n, 1))
    result = row[np.arange(n), sizes[1]].copy()
    for place in range(first.shape[1]):
        step = np.empty_like(row)
        step[:, 0] = row[:, 0] + gap
        step[:, 1:] = np.minimum(row[:, 1:] + gap, row[:, :-1] + loss(first[:, place], second))
        row = np.minimum.accumulate(step - steps, axis=1) + steps
        ended = sizes[0] == place + 1
        result[ended] = row[ended, sizes[1][ended]]
    return result


def _changes(posters: Joined) -> NDArray[np.bool_]:
    keep = np.ones(len(posters), dtype=bool)
    keep[1:] = ~posters.follows | (posters.cell[1:] != posters.cell[:-1])
    return keep


def _letters(row: int) -> str:
    """A to Z, then AA, AB."""
    return chr(65 + row) if row < 26 else _letters(row // 26 - 1) + chr(65 + row % 26)
