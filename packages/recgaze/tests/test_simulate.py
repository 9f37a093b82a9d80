import numpy as np
import pytest

from irworks.errors import ArgumentError
from recgaze import Aoi, study
from recgaze.simulate import Behaviour, simulate_study


def test_the_full_study_has_as_many_interactions_as_the_published_one():
    full = simulate_study(87, rng=np.random.default_rng(1))
    assert full.dataset.validate().ok
    assert len(full.dataset.clicks) == 3_477
    assert full.dataset.user_ids.tolist() == list(study.USERS)


def test_the_same_generator_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        simulate_study(3, rng=np.random.default_rng(7), tasks=range(1, 5)).dataset.save(tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_without_gaps_every_screen_ends_in_a_click_and_every_search_finds_its_target():
    whole = simulate_study(87, rng=np.random.default_rng(2), tasks=[3, 18, 20, 36, 38], gaps=False).dataset
    assert not whole.screens["excluded"].any()


def test_events_of_a_screen_are_in_time_and_end_with_the_click(dataset):
    for visits in (dataset.fixations(), dataset.cursor(), dataset.click_events()):
        later = np.diff(visits.time)[np.diff(visits.screen) == 0]
        assert (later >= 0).all()
    fixations, clicks = dataset.fixations(), dataset.click_events()
    gaps = fixations.time[1:] - (fixations.time + fixations.duration)[:-1]
    assert (gaps[np.diff(fixations.screen) == 0] > -1e-9).all()
    last = np.append(clicks.starts[1:], len(clicks)) - 1
    assert (clicks.kind[last] == Aoi.MOVIE).all()
    # Nothing happens after it.
    end = {(u, t): time for u, t, time in zip(clicks.user[last], clicks.task[last], clicks.time[last], strict=True)}
    for visits in (fixations, dataset.cursor()):
        over = visits.time + visits.duration
        assert all(over[n] <= end[visits.user[n], visits.task[n]] + 2e-3 for n in range(0, len(visits), 7))


def test_a_simulated_study_has_nothing_odd():
    # 87 users: of the shortest dwells of the cursor, a few would stand there twice.
    found = simulate_study(87, rng=np.random.default_rng(0)).dataset.validate()
    assert (found.errors, found.warnings) == ((), ())


def test_posters_of_later_pages_are_looked_at_only_after_swipes(study):
    steps = study.fixations.steps
    poster = steps.kind == Aoi.MOVIE
    np.testing.assert_array_equal(steps.column[poster] // 5, steps.page[poster])
    # Page by page of each carousel: only an arrow changes it, by one.
    order = np.lexsort((np.arange(len(steps)), steps.row, steps.screen))
    same = (np.diff(steps.screen[order]) == 0) & (np.diff(steps.row[order]) == 0)
    change = np.diff(steps.page[order])[same]
    before = steps.kind[order][:-1][same]
    expected = np.where(before == Aoi.FORWARD, 1, np.where(before == Aoi.BACKWARD, -1, 0))
    np.testing.assert_array_equal(change, expected)


def test_choices_follow_the_planted_utility():
    made = simulate_study(60, rng=np.random.default_rng(4), tasks=range(1, 31), gaps=False)
    steps, utility = made.fixations.steps, made.utility
    n = len(made.user)
    last = np.append(np.flatnonzero(np.diff(steps.screen)), len(steps) - 1)
    poster = steps.kind == Aoi.MOVIE
    examined = np.zeros(utility.shape, dtype=bool)
    examined[steps.screen[poster], steps.row[poster], steps.column[poster]] = True
    weight = np.where(examined, np.exp(utility), 0).reshape(n, -1)
    share = weight / weight.sum(axis=1, keepdims=True)
    value = utility.reshape(n, -1)
    mean = (share * value).sum(axis=1)
    variance = (share * value**2).sum(axis=1) - mean**2
    chosen = utility[np.arange(n), steps.row[last], steps.column[last]]
    # A multinomial logit: the chosen utilities are as large as it says, and far larger than those of a random poster.
    assert abs((chosen - mean).sum()) < 4 * np.sqrt(variance.sum())
    assert (chosen - (value * (weight > 0)).sum(axis=1) / (weight > 0).sum(axis=1)).mean() > 0.3


def test_users_who_satisfice_take_the_last_poster_that_they_looked_at():
    made = simulate_study(
        20, rng=np.random.default_rng(9), tasks=range(1, 31), behaviour=Behaviour(satisfice=0.3, error=0)
    )
    steps = made.fixations.steps
    last = np.append(np.flatnonzero(np.diff(steps.screen)), len(steps) - 1)
    before = last - 1
    alone = steps.screen[before] != steps.screen[last]
    same = (steps.row[before] == steps.row[last]) & (steps.column[before] == steps.column[last])
    # The walk ends on it, and it is looked at once more for the click; a few walks end before anything was taken.
    assert same[~alone].mean() > 0.9
    looks = np.bincount(steps.screen)
    assert (
        looks.mean() < 0.5 * np.bincount(simulate_study(20, rng=np.random.default_rng(9)).fixations.steps.screen).mean()
    )


def test_a_uniform_world_looks_everywhere_alike():
    uniform = Behaviour(pattern="uniform", preference=0, error=0)
    made = simulate_study(87, rng=np.random.default_rng(5), tasks=range(1, 16), behaviour=uniform)
    rate = made.dataset.impressions().examined.mean(axis=0)
    expected = rate.mean()
    spread = np.sqrt(expected * (1 - expected) / (87 * 15))
    assert np.abs(rate - expected).max() < 4.5 * spread


def test_users_of_all_blocks_see_the_same_films():
    rng = np.random.default_rng(6)
    taste = Behaviour(preference=0)
    first, second = (simulate_study(2, rng=rng, behaviour=taste, first_user=start) for start in (0, 2))
    np.testing.assert_array_equal(first.utility, second.utility)
    assert second.dataset.users["SubjectIDs"].tolist() == [1003, 1004]
    other = simulate_study(2, rng=rng, behaviour=taste, films=1)
    assert not np.array_equal(first.utility, other.utility)


def test_times_count_from_when_the_screen_appears(study):
    fixations = study.dataset.fixations()
    np.testing.assert_allclose(fixations.time, study.fixations.time)
    assert 0.1 < np.median(fixations.time[fixations.starts]) < 0.5


def test_an_f_shaped_world_looks_at_the_upper_left():
    made = simulate_study(20, rng=np.random.default_rng(5), tasks=range(1, 31))
    rate = made.dataset.impressions().examined.mean(axis=0)
    assert rate[0, 0] > 0.7
    assert (np.diff(rate.mean(axis=1)) < 0).mean() > 0.7
    assert (np.diff(rate[:, :5].mean(axis=0)) < 0).all()


def test_studies_can_be_made_in_blocks_of_different_users():
    rng = np.random.default_rng(6)
    blocks = [simulate_study(50, rng=rng, tasks=[1], first_user=start).dataset for start in (0, 50)]
    ids = np.concatenate([block.user_ids for block in blocks])
    assert len(set(ids)) == 100
    assert ids[86:89].tolist() == ["UvA_26", "Sim_88", "Sim_89"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_users": 0}, "n_users=0"),
        ({"tasks": []}, "tasks="),
        ({"tasks": [41]}, r"tasks=\[41\]; expected screens from 1 to 40"),
    ],
)
def test_studies_that_cannot_be_are_told(options, message):
    with pytest.raises(ArgumentError, match=message):
        simulate_study(**({"n_users": 2} | options), rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"right": 1.2}, "right=1.2"),
        ({"down": 0.8, "up": 0.3}, "more than 1"),
        ({"pattern": "z"}, "pattern='z'"),
        ({"error": -1.0}, "error=-1.0"),
        ({"preference": float("nan")}, "preference=nan"),
        ({"cursor": 2.0}, "cursor=2.0"),
        ({"spread": (-1.0, 1.0)}, "spread="),
    ],
)
def test_behaviour_out_of_range_is_told(options, message):
    with pytest.raises(ArgumentError, match=message):
        Behaviour(**options)


# -- every knob turns something ---------------------------------------------------------------------------------------


def made_with(**options):
    return simulate_study(
        30, rng=np.random.default_rng(12), tasks=range(1, 16), behaviour=Behaviour(**options), gaps=False
    )


def test_eyes_enter_a_swiped_page_where_they_are_told_to():
    for share in (0.0, 0.5, 1.0):
        steps = made_with(entry_left=share).fixations.steps
        swiped = np.flatnonzero((steps.kind[:-1] == Aoi.FORWARD) & (steps.kind[1:] == Aoi.MOVIE))
        # Not the way back to the choice, which ends at the chosen poster.
        last = np.append(np.flatnonzero(np.diff(steps.screen)), len(steps) - 1)
        entered = np.setdiff1d(swiped + 1, last)
        left = steps.column[entered] % 5 == 0
        assert left.mean() == pytest.approx(share, abs=0.1)
        assert np.isin(steps.column[entered] % 5, (0, 4)).all()


def test_position_bias_is_worth_as_much_from_left_to_right_as_from_top_to_bottom():
    plain, biased = made_with(position_bias=0.0), made_with(position_bias=2.0)
    more = (biased.utility - plain.utility)[0]
    assert more[0, 0] == pytest.approx(2)
    assert more[-1, -1] == pytest.approx(0)
    assert more[0, -1] == pytest.approx(1)
    assert more[-1, 0] == pytest.approx(1)


def test_liked_genres_are_looked_at_longer_only_if_gaze_carries_preference():
    def slope(**options):
        screens = made_with(start_at_top=0, down=0.9, up=0.0, swipe=0.3, preference=0, **options).dataset.impressions()
        looks = screens.examined.sum(axis=2)
        entered = looks > 0
        return np.polyfit(screens.rating[entered], looks[entered], 1)[0]

    assert abs(slope(gaze_preference=0.0)) < 0.1
    assert slope(gaze_preference=0.5) > 0.3


def test_the_cursor_comes_as_much_later_as_it_is_told_to():
    for lag in (0.0, 0.3):
        data = made_with(cursor=1.0, cursor_lag=lag, error=0.0).dataset
        looks, cursor = data.fixations(), data.cursor()
        first = {
            (u, t, r, c): time
            for u, t, r, c, time in zip(
                looks.user[::-1], looks.task[::-1], looks.row[::-1], looks.column[::-1], looks.time[::-1], strict=True
            )
        }
        place = zip(cursor.user, cursor.task, cursor.row, cursor.column, cursor.time, strict=True)
        waits = [time - first[u, t, r, c] for u, t, r, c, time in place if c > 0]
        assert np.median(waits) == pytest.approx(lag, abs=0.1)


def test_raw_gaze_of_a_screen_gives_back_what_was_looked_at(study):
    from recgaze import events

    gaze = study.gaze("KInIT_2", 3, rng=np.random.default_rng(0), rate=250, noise_px=2)
    found = events.ivt(gaze, merge=(0.075, 0.5)).of(events.Kind.FIXATION)
    number = int(np.flatnonzero((study.user == 1) & (study.task == 3))[0])
    here = study.fixations.steps.screen == number
    assert len(found) == pytest.approx(here.sum(), rel=0.25)
    row = study.dataset.layout.locate(found.x, found.y, rule="closest").row
    assert set(row) <= set(study.fixations.closest.row[here]) | {0}
    with pytest.raises(ArgumentError, match="user='nobody'"):
        study.gaze("nobody", 3, rng=np.random.default_rng(0))
