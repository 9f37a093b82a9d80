"""The examination hypothesis: given that a poster was looked at, does its place still matter for the click?"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.arguments import require_generator
from recgaze.browse.choice import ChoiceSets, ConditionalLogit, choice_sets
from recgaze.browse.estimates import Estimate
from recgaze.browse.tally import Tally
from recgaze.impressions import Impressions

__all__ = ["ExaminationTest", "Films", "Method", "examination_hypothesis"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
LongArray = NDArray[np.int64]
Method = Literal["choice", "independent"]
Films = Literal["drawn", "given"]

_STARS = 6


@dataclass(frozen=True, eq=False)
class ExaminationTest:
    """Whether clicks on what was looked at depend on the place.

    Attributes:
        method: How clicks were modelled.
        films: Whether the variance takes the films for drawn.
        statistic: Score test of all places' terms at once, with variance from whole users, and from whole screens where
            films are drawn.
        df: Its degrees of freedom.
        p_value: By chi-square.
        likelihood_ratio: 2 (l - l0).
        p_likelihood_ratio: By chi-square, as if the screens of a user were independent.
        effects: [terms], change of the log odds of a click by one carousel down (row), one place to the right on its
            page (column), one swipe page on (page), given attraction.
        n_clicks: On one of several posters.
        n_posters: Looked at, that they were chosen from.
        level: At which `verdict` decides.
        verdict: "violated" or "not rejected".
    """

    method: Method
    films: Films
    statistic: float
    df: int
    p_value: float
    likelihood_ratio: float
    p_likelihood_ratio: float
    effects: Estimate
    n_clicks: int
    n_posters: int
    level: float
    verdict: str

    def __str__(self) -> str:
        return f"{self.verdict} (p = {self.p_value:.3g}, {self.n_clicks:,} clicks among {self.n_posters:,} posters)"


def examination_hypothesis(
    data: Impressions | ChoiceSets,
    *,
    rng: np.random.Generator,
    method: Method | None = None,
    films: Films | None = None,
    n: int = 2000,
    level: float = 0.95,
) -> ExaminationTest:
    """Test P(click | examined, r, c) = P(click | examined), given how attractive the poster's genre is to the user.

    Which method is right depends on how a screen ends:

    - "choice": the user looks around, then clicks one of the posters looked at, and the screen ends. The click is
      modelled among the posters of the screen, with terms for the stars of their genres. The chance of a poster
      depends on how many others were looked at, and low carousels are looked at on long screens only, so that click
      rates fall with the place even where place has no effect; conditioning on the set removes that.
    - "independent": each look may end in a click, whatever else was looked at. Clicks are modelled within the posters
      of one user and one number of stars, given how many of them were clicked.

    Where users stop at the first poster they like, the click is always on the last poster that they came to: "choice"
    then finds an effect of the place although there is none; `recgaze.browse.last_look` shows how common that is.
    A film stands at one place for all users, so that good films at the right seem to be a good right side; the more
    users, the surer. Where films are "drawn", the variance has that luck in it: it is taken over whole users and whole
    screens (Cameron, Gelbach and Miller 2011, two-way). Where films are "given", over whole users alone, and the test
    asks for any effect of these places with these films. Of drawn films the test still picks up what repeats from
    screen to screen: films of a RecGaze carousel are sorted by votes, so that an effect of the column may be one of the
    films. Carousels are balanced over genres, so that an effect of the row is none of the genres.

    Looks at an arrow that the tracker's error puts onto the poster beside it end in no click, and look like an effect
    of the place. `choice_sets` leaves most of them out if it is given fixations and clicks; from screens alone the
    test picks them up.

    Leave out direct searches, where the film was given: their clicks follow the target, not attraction.

    Args:
        data: What `choice_sets` keeps of screens; or screens, looks at clicked arrows included.
        rng: Source of the draws of users.
        method: Default: "choice" if no screen has several clicks.
        films: Default: "drawn" for "choice", and "given", which alone it knows, for "independent".
        n: Draws of users for the intervals, by one Newton step from the estimate, widened to the variance of the test.
        level: Confidence of the intervals; `verdict` is "violated" if p < 1 - level.

    Raises:
        ArgumentError: An unknown method, several clicks on a screen with "choice", films drawn with "independent" or
            from fewer than two screens, or too few clicks: fewer than two users have one on a screen with several
            posters, or places do not vary.
    """
    require_generator(rng)
    sets = data if isinstance(data, ChoiceSets) else choice_sets(data)
    several = bool((sets.clicks > 1).any())
    if method is None:
        method = "independent" if several else "choice"
    if method not in ("choice", "independent"):
        raise ArgumentError(f'method={method!r}; expected "choice" or "independent"')
    if method == "choice" and several:
        raise ArgumentError('a screen has several clicks; method="choice" expects one, method="independent" any number')
    films = films or ("drawn" if method == "choice" else "given")
    if films not in ("drawn", "given") or (films, method) == ("drawn", "independent"):
        raise ArgumentError(f'films={films!r}; expected "drawn" or "given", with method="independent" "given"')
    logit, names, place, users = _choice(sets) if method == "choice" else _independent(sets)
    screen = _screens(sets) if films == "drawn" else None
    null, free = logit.fit(~place), np.ones(len(place), dtype=bool)
    statistic, df = _score_test(logit, null, place, screen)
    beta = logit.fit(free)
    ratio = max(2 * (logit.at(beta)[0] - logit.at(null)[0]), 0.0)
    p_value = _tail(statistic, df)
    effects = _effects(logit, beta, place, users, names, rng, n, level, screen)
    verdict = "violated" if p_value < 1 - level else "not rejected"
    chosen = int(logit.chosen.sum())
    posters = len(logit.kind)
    return ExaminationTest(
        method, films, statistic, df, p_value, ratio, _tail(ratio, df), effects, chosen, posters, level, verdict
    )


def _chosen(sets: ChoiceSets) -> ChoiceSets:
    """The screens with one click among several posters."""
    return sets.where((sets.clicks == 1) & (sets.sizes > 1))


def _screens(sets: ChoiceSets) -> LongArray:
    """int64 [n_sets], the screen of each choice, from 0."""
    screens, code = np.unique(_chosen(sets).task, return_inverse=True)
    if len(screens) < 2:
        raise ArgumentError(f"{len(screens)} screens of films; expected several to draw from, or films='given'")
    return code.astype(np.int64)


def _choice(sets: ChoiceSets) -> tuple[ConditionalLogit, tuple[str, ...], BoolArray, LongArray]:
    kept = _chosen(sets)
    users, group = _clusters(kept, kept.user)
    places, names = _places(kept)
    # A kind of poster is a cell and a number of stars; dummies for the stars but the first carry the attraction.
    stars = np.tile(np.eye(_STARS)[:, 1:], (len(places), 1))
    table = np.hstack([np.repeat(places, _STARS, axis=0), stars])
    kind = kept.cell.astype(np.int64) * _STARS + kept.rating
    place = np.arange(table.shape[1]) < len(names)
    return ConditionalLogit(kept.starts, kind, kept.clicked, group, table), names, place, users


def _independent(sets: ChoiceSets) -> tuple[ConditionalLogit, tuple[str, ...], BoolArray, LongArray]:
    user = np.repeat(sets.user, sets.sizes)
    key = user.astype(np.int64) * _STARS + sets.rating
    _, stratum = np.unique(key, return_inverse=True)
    clicks, sizes = np.bincount(stratum, sets.clicked), np.bincount(stratum)
    informative = ((clicks > 0) & (clicks < sizes))[stratum] if len(stratum) else np.zeros(0, dtype=bool)
    order = np.flatnonzero(informative)[np.argsort(stratum[informative], kind="stable")]
    starts = np.flatnonzero(np.diff(stratum[order], prepend=-1))
    users, group = _clusters(sets, user[order][starts])
    places, names = _places(sets)
    place = np.ones(len(names), dtype=bool)
    logit = ConditionalLogit(starts, sets.cell[order].astype(np.int64), sets.clicked[order], group, places)
    return logit, names, place, users


def _clusters(sets: ChoiceSets, user: NDArray[np.int32]) -> tuple[LongArray, LongArray]:
    users, group = np.unique(user, return_inverse=True)
    if len(users) < 2:
        raise ArgumentError(
            f"{len(users)} users of {len(np.unique(sets.user))} clicked one of several fixated posters; expected 2"
        )
    return users.astype(np.int64), group.astype(np.int64)


def _places(sets: ChoiceSets) -> tuple[FloatArray, tuple[str, ...]]:
    """Terms of the place of each cell, [R C, terms], without those that never vary."""
    cell = np.arange(sets.rows * sets.columns)
    row, column = np.divmod(cell, sets.columns)
    found = np.column_stack([row, column % sets.visible, column // sets.visible]).astype(np.float64)
    varies = (np.ptp(found[np.unique(sets.cell)], axis=0) > 0) if len(sets.cell) else np.zeros(3, dtype=bool)
    if not varies.any():
        raise ArgumentError("all fixated posters stand at one place; expected several places")
    found = found[:, varies] - found[:, varies].mean(axis=0)
    return found, tuple(np.array(["row", "column", "page"])[varies].tolist())


def _score_test(
    logit: ConditionalLogit, null: FloatArray, place: BoolArray, screen: LongArray | None = None
) -> tuple[float, int]:
    """Rao's test with the variance of whole users' scores, and whole screens', after what the nuisance terms explain.

    Args:
        logit: The model; its groups are users.
        null: float [terms], fitted without the terms of the place.
        place: bool [terms], these.
        screen: int [n_sets], the screen of each set; None: the variance is that of users alone.
    """
    _, _, information = logit.at(null)
    rest, moves = ~place, np.eye(len(place))[:, place]
    if rest.any():
        inverse = np.linalg.pinv(information[np.ix_(rest, rest)], hermitian=True)
        moves[rest] -= inverse @ information[np.ix_(rest, place)]
    total, spread = _spread(logit, null, moves, screen)
    return float(total @ np.linalg.pinv(spread, hermitian=True) @ total), int(np.linalg.matrix_rank(spread))


def _spread(
    logit: ConditionalLogit, beta: FloatArray, moves: FloatArray, screen: LongArray | None
) -> tuple[FloatArray, FloatArray]:
    """Sum of combinations of scores, float64 [k], and its variance, [k, k], from whole users and whole screens."""
    by_user = logit.at(beta)[1] @ moves
    spread = by_user.T @ by_user
    if screen is not None:
        by_screen = replace(logit, group=screen).at(beta)[1] @ moves
        # What a user does on a screen is in both.
        alone = replace(logit, group=np.arange(len(screen))).at(beta)[1] @ moves
        both = spread + by_screen.T @ by_screen
        less = both - alone.T @ alone
        # A difference of variances can be none; then it is left at their sum, which is too much.
        spread = less if np.linalg.eigvalsh(less)[0] > 0 else both
    return by_user.sum(axis=0), spread


def _effects(
    logit: ConditionalLogit,
    beta: FloatArray,
    place: BoolArray,
    users: LongArray,
    names: tuple[str, ...],
    rng: np.random.Generator,
    n: int,
    level: float,
    screen: LongArray | None,
) -> Estimate:
    _, score, information = logit.at(beta)
    to_place: FloatArray = np.linalg.pinv(information, hermitian=True)[:, place].astype(np.float64)
    study = Tally(users, 1, 1, 1, {}).resample(rng, n, level)
    drawn = study.weigh(score @ to_place)
    if screen is not None:
        alone, both = (np.diag(_spread(logit, beta, to_place, which)[1]) for which in (None, screen))
        drawn *= np.sqrt(np.maximum(both / np.where(alone > 0, alone, 1), 1))
    return study.estimate(beta[place] + drawn, (("term", names),))


def _tail(statistic: float, df: int) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(df, statistic)) if df else float("nan")
