"""Taste from gaze, placing for swipes, measures of a grid: optimal by brute force, with a negative control."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from recgaze import Aoi, Impressions, Visits, browse, simulate_study
from recgaze.browse import Planted, planted_study
from recgaze.recommend import (
    GazeProfile,
    SwipeModel,
    click_profile,
    compare_profiles,
    evaluate,
    genre_auc,
    page_order,
    rerank,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def halves(study):
    return study.where(study.task <= 20), study.where(study.task > 20)


def screens_of(examined, clicked, *, users):
    """Impressions of one carousel with two pages in view: arrays [n, 10], the screens of each user together."""
    n = len(examined)
    return Impressions(
        users=np.arange(users),
        genres=("Drama",),
        user=np.repeat(np.arange(users), n // users),
        task=np.tile(np.arange(n // users), users),
        examined=examined[:, None],
        dwell=examined[:, None],
        clicked=clicked[:, None],
        genre=np.zeros((n, 1)),
        movie=np.arange(n * 10).reshape(n, 1, 10),
        rating=np.full((n, 1), 3),
        pages=np.full((n, 1), 2),
        visible=5,
    )


def planted(draw, *, theta, attraction, users=60, screens=20):
    """Screens with known examination of the places of their second page, and known attraction of its films."""
    looked, liked = np.zeros((2, users * screens, 10), dtype=bool)
    looked[:, 5:] = draw.random((len(looked), 5)) < theta
    liked[:, 5:] = draw.random((len(looked), 5)) < attraction
    return screens_of(looked, looked & liked, users=users)


def test_gaze_beats_clicks_on_held_out_screens_where_it_tells_taste():
    train, test = halves(planted_study(rng(1), Planted(telling=1.0)))
    gaze, clicks = GazeProfile().fit(train), click_profile(train)
    assert compare_profiles(gaze, clicks, test, rng=rng()).above(0)
    assert genre_auc(clicks, test, rng=rng()).above(0.5)


def test_gaze_does_not_beat_clicks_where_it_says_nothing_of_taste():
    train, test = halves(planted_study(rng(1), Planted(telling=0.0)))
    gaze, clicks = GazeProfile().fit(train), click_profile(train)
    assert compare_profiles(gaze, clicks, test, rng=rng()).below(0)
    assert 0.5 in genre_auc(gaze, test, rng=rng()).interval


def test_profiles_shrink_to_what_is_usual_and_do_not_take_the_place_of_a_carousel_for_taste():
    study = planted_study(rng(2), Planted(telling=1.0, users=40))
    weak, strong = GazeProfile(1e-6).fit(study), GazeProfile(1e9).fit(study)
    np.testing.assert_allclose(strong.profile_, np.tile(strong.usual_, (40, 1)), rtol=1e-6)
    assert weak.profile_.std() > 0.3
    # Looks that fall off down the rows, slow and quick users, and nothing else.
    row = 1 / (1 + np.arange(10))
    pace = (1 + study.user % 3)[:, None, None]
    by_place = replace(study, dwell=pace * row[:, None] * np.ones(15))
    np.testing.assert_allclose(GazeProfile(0.1).fit(by_place).profile_, 1, atol=1e-5)


def test_unseen_users_and_unknown_genres_get_what_is_usual():
    study = planted_study(rng(3), Planted(users=6, screens=4))
    profile = GazeProfile().fit(study.where(study.user < 5))
    scores = profile.scores(study)
    stranger = study.user == 5
    np.testing.assert_allclose(scores[stranger], profile.usual_[study.genre[stranger]])
    np.testing.assert_allclose(scores[0], profile.profile_[0, study.genre[0]])
    unknown = replace(study, genre=np.full_like(study.genre, -1))
    assert (profile.scores(unknown) == 1).all()


def test_the_auc_counts_the_carousels_that_the_clicked_one_beats():
    study = planted_study(rng(4), Planted(users=4, screens=3))
    profile = click_profile(study)
    found = []
    for scores, clicked in zip(profile.scores(study), study.clicked, strict=True):
        if clicked.any():
            own = int(np.flatnonzero(clicked.any(axis=1))[0])
            others = np.delete(scores, own)
            found.append(np.mean((scores[own] > others) + 0.5 * (scores[own] == others)))
    assert genre_auc(profile, study, rng=rng(), n=10).value == pytest.approx(np.mean(found))


# -- placing ----------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_other_order_has_more_expected_clicks(seed):
    draw = rng(seed)
    scores, looks = draw.random((2, 4)).round(1), draw.random((2, 4)).round(1)
    order = rerank(scores, looks)
    ours = evaluate(np.take_along_axis(scores, order, axis=1), looks, "expected_clicks")
    best = sum(max(s[list(p)] @ e for p in permutations(range(4))) for s, e in zip(scores, looks, strict=True))
    assert ours == pytest.approx(best)
    np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(np.arange(4), (2, 1)))


def test_placing_for_swipes_raises_the_clicks_of_another_study():
    """Where gaze enters a swiped page at the right, the best films of the page belong there."""
    truth = Planted(swiped_fall=-0.5)
    counts = browse.tally(planted_study(rng(5), truth))
    looks = counts["examined"].sum(axis=0) / counts["screens"].sum()
    scores = np.sort(rng(6).beta(1, 8, size=(10, 15)), axis=1)[:, ::-1]
    order = rerank(scores, looks, SwipeModel.fit(counts))
    other = planted_study(rng(7), truth).examined.mean(axis=0)
    before, after, best = (
        evaluate(np.take_along_axis(scores, each, axis=1), other, "expected_clicks")
        for each in (np.tile(np.arange(15), (10, 1)), order, rerank(scores, other))
    )
    assert before < after <= best
    assert after - before > 0.9 * (best - before)


def test_the_swipe_model_is_the_reach_times_the_looks_given_the_page():
    study = planted_study(rng(8), Planted(users=30))
    model = SwipeModel.fit(browse.tally(study), prior=1e-9)
    np.testing.assert_allclose(model.reach[:, 1], (study.pages >= 2).mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(model.reach[:, 0], 1)
    looks = model.examination(study.examined.mean(axis=0))
    np.testing.assert_allclose(looks[:, :5], study.examined.mean(axis=0)[:, :5])
    assert looks[:, 5:].sum() == pytest.approx(study.examined[:, :, 5:].mean(axis=0).sum(), rel=1e-6)


def test_expected_clicks_are_sums_of_examination_and_attraction():
    # All look at places 1 and 3; each user clicks on place 3 on one of two screens.
    looked, clicked = np.zeros((2, 40, 10), dtype=bool)
    looked[:, [5, 7]] = True
    clicked[::2, 7] = True
    screens = screens_of(looked, clicked, users=20)
    found = page_order(screens, rng=rng(8), n=200)
    assert found.order == (1, 3, 2, 4, 5)
    assert (found.as_shown.estimate, found.reordered.estimate) == pytest.approx((500, 500))
    # Attraction of 1/4 in the mean, falling by a tenth from film to film.
    falling = page_order(screens, rng=rng(8), attraction="falling", n=200)
    unit = 250 / np.mean(0.9 ** np.arange(5))
    assert falling.as_shown.estimate == pytest.approx(unit * (1 + 0.81))
    assert falling.reordered.estimate == pytest.approx(unit * (1 + 0.9))
    assert falling.gain.estimate == pytest.approx(unit * 0.09)


def test_gaze_finds_the_planted_order_and_its_gain():
    theta, attraction = np.array([0.6, 0.2, 0.1, 0.3, 0.5]), np.array([0.05, 0.1, 0.2, 0.3, 0.4])
    found = page_order(planted(rng(8), theta=theta, attraction=attraction, users=100, screens=40), rng=rng(8))
    assert found.order == (1, 5, 4, 2, 3)
    assert found.confirmed
    assert found.verdict == "better"
    assert 1000 * (np.sort(theta) @ np.sort(attraction) - theta @ attraction) == pytest.approx(115)
    assert found.gain.low < 115 < found.gain.high


def test_an_order_that_changes_nothing_is_not_called_better():
    verdicts = []
    for seed in range(20):
        draw = rng(seed)
        screens = planted(draw, theta=np.array([0.6, 0.2, 0.1, 0.3, 0.5]), attraction=np.full(5, 0.1))
        verdicts.append(page_order(screens, rng=draw, n=400).verdict)
    # Valued by other users, an order fitted to noise gains nothing; 2.5% would be called better by chance.
    assert verdicts.count("better") <= 2


def test_too_little_data_is_refused():
    made = screens_of(np.ones((12, 10), dtype=bool), np.zeros((12, 10), dtype=bool), users=12)
    with pytest.raises(ArgumentError, match="clicked anything on swiped pages"):
        page_order(made, rng=rng(8))
    with pytest.raises(ArgumentError, match="expected at least 10"):
        page_order(made.where(np.arange(5)), rng=rng(8))
    with pytest.raises(ArgumentError, match="'gaze' or 'clicks'"):
        page_order(made, rng=rng(8), by="cursor")


def test_the_simulated_entry_from_the_right_shows_in_the_order():
    data = simulate_study(40, rng=rng(8), tasks=range(1, 31), gaps=False).dataset
    found = page_order(data.impressions(), rng=rng(8), attraction="falling", n=200)
    assert found.order[:2] == (1, 5)
    assert found.verdict == "better"


def test_the_order_of_a_page_is_that_of_the_swipe_model():
    screens = planted(rng(9), theta=np.array([0.6, 0.2, 0.1, 0.3, 0.5]), attraction=np.full(5, 0.3), users=200)
    counts = browse.tally(screens)
    found = page_order(counts, rng=rng(8), n=50)
    assert found.gain == page_order(screens, rng=rng(8), n=50).gain
    assert found.confirmed
    assert found.order == tuple((np.argsort(-SwipeModel.fit(counts).places) + 1).tolist())
    films = rerank(np.arange(5.0, 0, -1)[None], SwipeModel.fit(counts).places[None])[0]
    assert tuple((np.argsort(films) + 1).tolist()) == found.order


def test_a_page_that_swipes_jumped_over_has_no_part_in_where_users_look():
    """All swipe backward to the third page and look at its fourth place; the second page never comes into view."""
    looked = np.zeros((40, 1, 15), dtype=bool)
    looked[:, 0, [13]] = True
    base = screens_of(np.zeros((40, 10), dtype=bool), np.zeros((40, 10), dtype=bool), users=40)
    screens = replace(
        base, examined=looked, dwell=looked, clicked=looked, movie=np.zeros((40, 1, 15)), pages=np.full((40, 1), 3)
    )
    back = np.full(40, Aoi.BACKWARD)
    clicks = Visits(
        screens.users, screens.user, screens.task, np.ones(40), np.zeros(40), back, np.ones(40), np.zeros(40)
    )
    known, unknown = browse.tally(screens, clicks=clicks), browse.tally(screens)
    np.testing.assert_allclose(SwipeModel.fit(known).places, [0, 0, 0, 1, 0])
    np.testing.assert_allclose(SwipeModel.fit(known).reach, [[1, 0, 1]])
    np.testing.assert_allclose(SwipeModel.fit(unknown).places, [0, 0, 0, 0.5, 0])
    assert page_order(known, rng=rng(), n=20).as_shown.estimate == pytest.approx(1000)


def test_a_profile_of_nothing_says_what_it_lacks():
    study = planted_study(rng(), Planted(users=2))
    with pytest.raises(ArgumentError, match="any seconds of looks"):
        GazeProfile().fit(replace(study, dwell=np.zeros_like(study.dwell)))


# -- measures ---------------------------------------------------------------------------------------------------------


def test_measures_of_a_grid_by_hand():
    grid, looks = np.array([[1.0, 0.0], [0.5, 0.0]]), np.array([[0.8, 0.4], [0.2, 0.1]])
    assert evaluate(grid, looks, "expected_clicks") == pytest.approx(0.8 + 0.1)
    assert evaluate(grid, looks, "expected_examination") == pytest.approx(0.9 / 1.5)
    assert evaluate(grid, looks) == pytest.approx(0.9 / (0.8 + 0.2))
    # log2(1 + 1) = 1 and log2(2 + 1) twice: the second film stands at one of two equally good places.
    assert evaluate(grid) == pytest.approx(1)
    assert evaluate(grid[::-1, ::-1]) == pytest.approx((0.5 / np.log2(3) + 1 / 2) / (1 + 0.5 / np.log2(3)))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_ndcg_of_many_grids_lies_between_0_and_1_and_is_1_when_sorted_by_examination(seed):
    draw = rng(seed)
    looks, grids = draw.random((3, 4)), draw.random((5, 3, 4))
    found = evaluate(grids, looks)
    assert found.shape == (5,)
    assert ((found > 0) & (found <= 1 + 1e-12)).all()
    ideal = np.empty(12)
    ideal[np.argsort(looks, axis=None)] = np.sort(grids[0], axis=None)
    assert evaluate(ideal.reshape(3, 4), looks) == pytest.approx(1)


def test_a_grid_of_nothing_relevant_has_no_ndcg_and_no_clicks():
    assert np.isnan(evaluate(np.zeros((2, 2))))
    assert evaluate(np.zeros((2, 2)), np.ones((2, 2)), "expected_clicks") == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluate(np.ones((2, 2)), metric="map"), "expected one of"),
        (lambda: evaluate(np.ones((2, 2)), metric="expected_clicks"), "needs an examination"),
        (lambda: evaluate(-np.ones((2, 2))), "at least 0"),
        (lambda: evaluate(np.ones((2, 2)), np.ones((2, 3))), "that of the grid"),
        (lambda: rerank(np.ones((2, 3)), np.ones((3, 2))), "expected \\[..., R, C\\]"),
        (lambda: rerank(np.full((2, 3), np.nan), np.ones((2, 3))), "not finite"),
        (lambda: GazeProfile(0), "positive"),
        (lambda: GazeProfile().scores(planted_study(rng(), Planted(users=2))), "not fitted"),
        (lambda: SwipeModel(np.ones((2, 2)), np.full(3, 1.5)), "chances"),
        (lambda: SwipeModel.fit(browse.tally(planted_study(rng(), Planted(users=2, pages=1)))), "no swiped page"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
