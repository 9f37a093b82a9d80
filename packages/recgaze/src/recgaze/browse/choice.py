"""Which of the posters that a user looked at was clicked: choice sets, and the conditional logit of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.browse.screens import Screens
from recgaze.impressions import Impressions
from recgaze.layout import Aoi
from recgaze.visits import Visits

__all__ = ["ChoiceSets", "ConditionalLogit", "choice_sets"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Seconds by which a click may come after the look that it belongs to: times are written in milliseconds.
_CLOCK = 2e-3


@dataclass(frozen=True, eq=False)
class ChoiceSets:
    """The posters that users looked at, screen by screen, in about four bytes each.

    Attributes:
        users: [n_users], ids.
        user: int32 [n_screens], code in `users`.
        task: int16 [n_screens], the screen.
        sizes: int32 [n_screens], posters looked at; at least one.
        cell: int16 [n_posters], place in the flat grid, from 0.
        rating: int8 [n_posters], stars of the user for the carousel's genre, 0: unknown.
        clicked: bool [n_posters].
        rows: Carousels, R.
        columns: Positions, C.
        visible: Posters of a carousel that are visible at a time.
    """

    users: NDArray[Any]
    user: NDArray[np.int32]
    task: NDArray[np.int16]
    sizes: NDArray[np.int32]
    cell: NDArray[np.int16]
    rating: NDArray[np.int8]
    clicked: BoolArray
    rows: int
    columns: int
    visible: int

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def starts(self) -> LongArray:
        """int64 [n_screens], first poster of each screen."""
        return np.cumsum(self.sizes, dtype=np.int64) - self.sizes

    @cached_property
    def clicks(self) -> LongArray:
        """int64 [n_screens], clicks of each screen."""
        if not len(self):
            return np.empty(0, dtype=np.int64)
        return np.asarray(np.add.reduceat(self.clicked, self.starts, dtype=np.int64))

    def where(self, keep: BoolArray) -> "ChoiceSets":
        """Some of the screens, by a mask [n_screens]."""
        posters = np.repeat(keep, self.sizes)
        return replace(
            self,
            user=self.user[keep],
            task=self.task[keep],
            sizes=self.sizes[keep],
            cell=self.cell[posters],
            rating=self.rating[posters],
            clicked=self.clicked[posters],
        )

    @classmethod
    def merge(cls, parts: "Sequence[ChoiceSets]") -> "ChoiceSets":
        """Several blocks as one; users with one id are one user.

        Raises:
            ArgumentError: No parts, or parts of different grids.
        """
        if len({(part.rows, part.columns, part.visible) for part in parts}) != 1:
            raise ArgumentError(f"{len(parts)} choice sets; expected at least one, and one grid")
        users, code = np.unique(np.concatenate([part.users for part in parts]), return_inverse=True)
        starts = np.cumsum([0, *(len(part.users) for part in parts)])
        user = [code[start:][part.user] for start, part in zip(starts, parts, strict=False)]
        arrays: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("task", "sizes", "cell", "rating", "clicked")
        }
        return replace(parts[0], users=users, user=np.concatenate(user).astype(np.int32), **arrays)


def choice_sets(impressions: Impressions, fixations: Visits | None = None, clicks: Visits | None = None) -> ChoiceSets:
    """The posters that were fixated on each screen; a clicked one was, whatever the tracker says.

    So was an arrow when it was clicked. The error of a tracker puts many of these looks onto the poster beside it,
    where nobody would have clicked it: with fixations and clicks they are left out.

    Args:
        impressions: The screens.
        fixations: Of gaze, by the rule of the impressions.
        clicks: On posters and arrows.
    """
    rows, columns = impressions.rows, impressions.columns
    looked = impressions.examined
    if fixations is not None and clicks is not None:
        looked = _without_arrows(impressions, fixations, clicks)
    flat = (looked | impressions.clicked).reshape(len(impressions), -1)
    sizes = flat.sum(axis=1)
    screen, cell = np.nonzero(flat)
    some = sizes > 0
    return ChoiceSets(
        impressions.users,
        impressions.user[some],
        impressions.task[some],
        sizes[some].astype(np.int32),
        cell.astype(np.int16),
        impressions.rating[screen, cell // columns],
        impressions.clicked.reshape(len(impressions), -1)[screen, cell],
        rows,
        columns,
        impressions.visible,
    )


def _without_arrows(impressions: Impressions, fixations: Visits, clicks: Visits) -> BoolArray:
    """Bool [n, R, C], whether a poster was fixated at another time than when the arrow beside it was clicked."""
    screens = Screens.of(impressions)
    looks, pressed = screens.join(fixations), screens.join(clicks).of_kind(Aoi.FORWARD, Aoi.BACKWARD)
    keep = np.ones(len(looks), dtype=bool)
    if len(looks) and len(pressed):
        # One key for screen and time: a screen is longer than all of its times.
        longest = float(max(looks.time.max(), pressed.time.max())) + 1.0
        at = np.searchsorted(looks.screen * longest + looks.time, pressed.screen * longest + pressed.time, "right") - 1
        at = np.maximum(at, 0)
        during = (looks.screen[at] == pressed.screen) & (pressed.time <= (looks.time + looks.duration)[at] + _CLOCK)
        edge = np.where(pressed.kind == Aoi.FORWARD, impressions.visible - 1, 0)
        beside = (looks.row[at] == pressed.row) & (looks.place[at] == edge)
        keep[at[during & beside]] = False
    posters = looks.where(keep).of_kind(Aoi.MOVIE)
    looked = np.zeros_like(impressions.examined)
    looked[posters.screen, posters.row - 1, posters.column - 1] = True
    return looked


@dataclass(frozen=True, eq=False)
class ConditionalLogit:
    """Likelihood of which members of each set are chosen, given how many are.

    l(b) = sum_s [sum_chosen x'b - m_s log sum_members exp(x'b)]: McFadden's (1974) for one choice a set, Breslow's
    approximation for several, which is close where few of many are chosen.

    Attributes:
        starts: int64 [n_sets], first member of each set.
        kind: int64 [n_members], row of `table` that describes a member.
        chosen: bool [n_members].
        group: int64 [n_sets], cluster of each set, from 0.
        table: float [n_kinds, n_terms].
    """

    starts: LongArray
    kind: LongArray
    chosen: BoolArray
    group: LongArray
    table: FloatArray

    @cached_property
    def _counts(self) -> tuple[LongArray, LongArray, FloatArray]:
        """Size of each set, its choices, and how often each kind was chosen."""
        sizes = np.diff(np.append(self.starts, len(self.kind)))
        choices = np.add.reduceat(self.chosen, self.starts, dtype=np.int64)
        kinds = np.bincount(self.kind[self.chosen], minlength=len(self.table)).astype(np.float64)
        return sizes, choices, kinds

    def at(self, beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Log-likelihood, score of each cluster [n_clusters, n_terms] and information [n_terms, n_terms]."""
        sizes, choices, kinds = self._counts
        utility = self.table @ beta
        utility -= utility.max()
        weight = np.exp(utility)
        sums = np.add.reduceat(weight[self.kind], self.starts)
        # Chances times the choices of the set, so that they add up to its choices.
        chance = weight[self.kind] * np.repeat(choices / sums, sizes)
        value = float(kinds @ utility - choices @ np.log(sums))
        expected = np.bincount(self.kind, chance, minlength=len(self.table))
        information = self.table.T @ (self.table * expected[:, None])
        means = np.empty((len(self.starts), self.table.shape[1]))
        score = np.empty((int(self.group.max()) + 1, self.table.shape[1]))
        for term in range(self.table.shape[1]):
            values = self.table[:, term][self.kind]
            means[:, term] = np.add.reduceat(chance * values, self.starts)
            found = np.add.reduceat(self.chosen * values, self.starts)
            score[:, term] = np.bincount(self.group, found - means[:, term])
        information -= means.T @ (means / np.maximum(choices, 1)[:, None])
        return value, score, information

    def fit(self, free: BoolArray, steps: int = 50) -> FloatArray:
        """The maximum over the free terms, float64 [n_terms], the others 0.

        Terms that the data does not tell apart share the least squares solution.
        """
        beta = np.zeros(self.table.shape[1])
        if not free.any():
            return beta
        value, score, information = self.at(beta)
        for _ in range(steps):
            step = np.zeros_like(beta)
            step[free] = np.linalg.pinv(information[np.ix_(free, free)], hermitian=True) @ score.sum(axis=0)[free]
            for _ in range(20):
                after = self.at(beta + step)
                if after[0] >= value - 1e-9:
                    break
                step /= 2
            gain, beta = after[0] - value, beta + step
            value, score, information = after
            if gain < 1e-9 * (1 + abs(value)):
                break
        return beta
