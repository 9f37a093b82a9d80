"""How people browse: counts and measures against brute force, closed forms and other libraries."""

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from irworks.stats import bootstrap
from recgaze import Aoi, Visits, browse
from recgaze.browse import MOVES, Browsing, Planted, Tally, planted_study, tally
from recgaze.browse.cursor import _at
from recgaze.browse.screens import Screens

walk = runpy.run_path(str(Path(__file__).with_name("worlds.py")))["walk"]

ROWS, COLUMNS, VISIBLE = 4, 6, 3
SMALL = Planted(users=6, screens=5, rows=ROWS, pages=2, visible=VISIBLE, rate=0.7)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def world():
    screens = planted_study(rng(1), SMALL)
    return screens, *walk(screens, rng(2), lag=0.25)


@pytest.fixture(scope="module")
def counted(world):
    return tally(*world)


def one_screen(steps, rows=10, columns=15, visible=5, clicked=()):
    """A user, a screen, and a second on each (kind, row, column)."""
    looked = np.zeros((1, rows, columns), dtype=bool)
    for kind, row, column in steps:
        if kind == Aoi.MOVIE:
            looked[0, row - 1, column - 1] = True
    clicks = np.zeros_like(looked)
    for row, column in clicked:
        clicks[0, row - 1, column - 1] = True
    base = planted_study(rng(), Planted(users=1, screens=1, rows=rows, pages=columns // visible, visible=visible))
    pages = 1 + np.where(looked, np.arange(columns) // visible, 0).max(axis=2)
    screens = replace(base, examined=looked, clicked=clicks, dwell=looked.astype(np.float32), pages=pages)
    kind, row, column = (np.array(part) for part in zip(*steps, strict=True))
    n, time = len(kind), np.arange(len(kind), dtype=float)
    return screens, Visits(base.users, np.zeros(n), np.ones(n), time, np.ones(n), kind, row, column)


def posters(*cells):
    return [(Aoi.MOVIE, row, column) for row, column in cells]


def by_screen(screens, visits):
    """Plain Python: the visits of each screen in order."""
    found = {}
    for user, task, *rest in zip(
        visits.users[visits.user], visits.task, visits.time, visits.kind, visits.row, visits.column, strict=True
    ):
        found.setdefault((user, task), []).append(tuple(rest))
    names = zip(screens.users[screens.user], screens.task, strict=True)
    return [sorted(found.get(name, [])) for name in names]


# -- counts and intervals ---------------------------------------------------------------------------------------------


def test_drawing_users_again_is_summing_the_drawn_users(counted):
    study = counted.resample(rng(), 50)
    assert (study.weights.sum(axis=1) == len(counted.users)).all()
    for draw in (0, 1, 17):
        drawn = np.repeat(counted["examined"], study.weights[draw], axis=0)
        np.testing.assert_allclose(study.total("examined")[draw], drawn.sum(axis=0))


def test_intervals_agree_with_the_bootstrap_of_whole_clusters_in_the_core():
    screens = planted_study(rng(3), Planted(users=60, screens=8))
    looks = screens.examined.mean(axis=(1, 2))
    ours = browse.examination(tally(screens).resample(rng(4), 4000), "row")
    mean = Tally(np.arange(60), 1, 1, 1, {"looks": np.bincount(screens.user, looks)}).resample(rng(4), 4000)
    theirs = bootstrap(looks, groups=screens.user, rng=rng(5), n=4000)
    found = mean.estimate(mean.total("looks") / 480).interval
    assert found.estimate == pytest.approx(theirs.estimate) == pytest.approx(ours.value.mean())
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.1 * theirs.width)


def test_blocks_of_users_or_of_screens_add_up_to_the_whole(world):
    screens, *visits = world
    whole = tally(screens, *visits)
    for mask in (screens.user % 2 == 0, screens.task % 2 == 0):
        merged = Tally.merge([tally(screens.where(keep), *visits) for keep in (mask, ~mask)])
        assert merged.users.tolist() == whole.users.tolist()
        for name, array in whole.arrays.items():
            np.testing.assert_allclose(merged[name], array, err_msg=name)


def test_a_streamed_study_gives_the_tables_of_the_whole(world):
    screens, *visits = world
    whole = Browsing.of(*world, rng=rng(), n=100)
    parts = [browse.Block(screens.where(screens.user == user), *visits) for user in range(SMALL.users)]
    streamed = Browsing.of_blocks(parts, rng=rng(), n=100)
    assert "no two users" in streamed.missing["scanpath similarity"]
    for name, table in whole.tables.items():
        if name not in ("scanpath_similarity", "examination_hypothesis"):
            numbers = table.select_dtypes("number")
            np.testing.assert_allclose(streamed.tables[name][numbers.columns], numbers, err_msg=name)
    assert streamed.hypothesis.p_value == pytest.approx(whole.hypothesis.p_value)


def test_scanpaths_of_a_streamed_study_are_those_of_its_first_block(world):
    screens, *visits = world
    blocks = [browse.Block(screens.where(part), *visits) for part in (screens.user < 2, screens.user >= 2)]
    for order in (blocks, blocks[::-1]):
        found = Browsing.of_blocks(order, rng=rng(), n=20).tables["scanpath_similarity"]
        assert set(found["n_users"]) == {len(np.unique(order[0].impressions.user))}


def test_one_user_has_numbers_but_no_intervals():
    screens, fixations = one_screen(posters((1, 1), (1, 2)))
    found = browse.examination(tally(screens, fixations).resample(rng(), 10))
    assert found.value[0, 1] == 1
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()


def test_visits_of_other_screens_and_users_are_left_out(world):
    screens, fixations, *_ = world
    some = screens.where((screens.user > 2) & (screens.task != 3))
    keep = (fixations.user > 2) & (fixations.task != 3)
    renamed = replace(fixations.where(keep), users=fixations.users)
    for name, array in tally(some, renamed).arrays.items():
        np.testing.assert_array_equal(tally(some, fixations)[name], array)


def test_numbers_of_an_estimate_come_as_a_table():
    study = Tally.of_counts(np.arange(12.0).reshape(2, 2, 3), name="dwell").resample(rng(), 10)
    frame = browse.dwell_share(study).frame()
    assert frame.columns.tolist() == ["row", "column", "value", "low", "high", "n_users"]
    assert frame.query("row == 2 and column == 1")["value"].item() == pytest.approx((3 + 9) / 66)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Tally.of_counts(np.ones((2, 3))), "expected \\[n_users, rows, columns\\]"),
        (lambda: Tally.of_counts(-np.ones((2, 3, 3))), "negative"),
        (lambda: Tally.of_counts(np.ones((2, 3, 3)), users=["a", "a"]), "twice"),
        (lambda: Tally.of_selections([1], [7], rows=6, columns=5), "column goes from 7 to 7"),
        (lambda: Tally.merge([]), "at least one"),
        (lambda: Tally.of_counts(np.ones((2, 3, 3))).resample(rng(), 1), "2 draws"),
        (lambda: Tally.of_counts(np.ones((2, 3, 3)))["moves"], "pass the fixations"),
        (
            lambda: browse.golden_triangle(Tally.of_counts(np.zeros((2, 3, 3))).resample(rng(), 9), "clicked"),
            "no click on a poster",
        ),
        (lambda: Browsing.of_blocks([], rng=rng()), "no blocks"),
    ],
)
def test_bad_counts_are_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def test_a_visit_beyond_the_grid_is_named():
    screens, _ = one_screen(posters((1, 1)), rows=2)
    _, fixations = one_screen(posters((1, 1), (3, 2)))
    with pytest.raises(ArgumentError, match="visit 1 is at row 3, column 2; expected rows 1 to 2"):
        tally(screens, fixations)


def test_a_screen_seen_twice_and_a_cursor_alone_are_refused(world):
    screens, fixations, *_ = world
    with pytest.raises(ArgumentError, match="twice"):
        tally(screens.where([0, 0]))
    with pytest.raises(ArgumentError, match="cursor without fixations"):
        tally(screens, cursor=fixations)


# -- looks ------------------------------------------------------------------------------------------------------------


def test_examination_is_the_mean_over_screens(world, counted):
    screens = world[0]
    study = counted.resample(rng(), 10)
    np.testing.assert_allclose(browse.examination(study).value, screens.examined.mean(axis=0))
    np.testing.assert_allclose(browse.examination(study, "row").value, screens.examined.mean(axis=(0, 2)))
    np.testing.assert_allclose(browse.examination(study, "column").value, screens.examined.mean(axis=(0, 1)))
    np.testing.assert_allclose(browse.dwell_share(study).value.sum(), 1)


def test_examination_given_the_page_leaves_out_pages_that_were_not_in_view(world, counted):
    screens = world[0]
    found = browse.examination(counted.resample(rng(), 10), given_page=True).value
    for row in range(ROWS):
        shown = screens.pages[:, row] >= 2
        looked = screens.examined[shown, row, VISIBLE:].sum(axis=0)
        np.testing.assert_allclose(found[row, VISIBLE:], looked / shown.sum() if shown.any() else np.nan)
        np.testing.assert_allclose(found[row, :VISIBLE], screens.examined[:, row, :VISIBLE].mean(axis=0))


def test_first_looks_waiting_times_and_returns_equal_a_walk_through_every_visit(world, counted):
    screens, fixations, *_ = world
    shape = (ROWS, COLUMNS)
    first, seen, waited, again = np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for visits in by_screen(screens, fixations):
        times, entries, before = {}, {}, None
        for time, kind, row, column in visits:
            place = (row - 1, column - 1)
            if kind == Aoi.MOVIE:
                if not times:
                    first[place] += 1
                times.setdefault(place, time)
                entries[place] = entries.get(place, 0) + (before != (kind, place))
            before = (kind, place)
        for place, time in times.items():
            seen[place] += 1
            waited[place] += time
            again[place] += entries[place] > 1
    study = counted.resample(rng(), 10)
    assert again.sum() > 5
    np.testing.assert_allclose(browse.first_fixation(study).value, first / first.sum())
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(browse.time_to_first_fixation(study).value, waited / seen)
        np.testing.assert_allclose(browse.returns(study).value, again / seen)
    assert browse.returns(study, "all").value == pytest.approx(again.sum() / seen.sum())


def test_passing_over_the_background_is_no_return():
    steps = [(Aoi.MOVIE, 1, 1), (Aoi.BACKGROUND, 0, 0), (Aoi.MOVIE, 1, 1), (Aoi.GENRE, 1, 0), (Aoi.MOVIE, 1, 1)]
    for n, expected in ((3, 0), (5, 1)):
        counts = tally(*one_screen(steps[:n]))
        assert counts["revisited"].sum() == expected


def test_coverage_tells_seen_carousels_from_those_above_the_lowest_one():
    screens, _ = one_screen(posters((1, 1), (4, 2)))
    study = tally(screens).resample(rng(), 10)
    assert browse.row_coverage(study).value.tolist() == [1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert browse.row_coverage(study, "reached").value.tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]


# -- moves ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "kind"),
    [
        ((3, 2), (3, 2), "stay"),
        ((3, 2), (3, 3), "right"),
        ((3, 2), (3, 1), "left"),
        ((3, 2), (2, 2), "up"),
        ((3, 2), (4, 2), "down"),
        ((3, 2), (4, 3), "diagonal"),
        ((3, 2), (3, 5), "same row far"),
        ((3, 2), (3, 6), "swipe forward"),
        ((3, 11), (3, 10), "swipe backward"),
        ((3, 15), (3, 1), "swipe forward"),
        ((3, 1), (3, 15), "swipe backward"),
        ((3, 7), (4, 2), "down"),
        ((3, 2), (6, 2), "other"),
        ((3, 1), (4, 5), "other"),
    ],
)
def test_moves_are_named_by_what_they_are_on_the_screen(start, end, kind):
    counts = tally(*one_screen(posters(start, end)))
    assert counts["moves"][0].tolist() == [float(name == kind) for name in MOVES]


def test_a_heading_is_genre_text_and_arrows_and_background_do_not_interrupt():
    steps = [(Aoi.MOVIE, 1, 5), (Aoi.FORWARD, 1, 0), (Aoi.BACKGROUND, 0, 0), (Aoi.MOVIE, 1, 6), (Aoi.GENRE, 2, 0)]
    moves = dict(zip(MOVES, tally(*one_screen(steps))["moves"][0], strict=True))
    assert {name for name, count in moves.items() if count} == {"swipe forward", "genre text"}


def test_moves_do_not_cross_screens_and_shares_sum_to_one(world, counted):
    screens, fixations, *_ = world
    areas = sum(
        max(sum(kind in (Aoi.MOVIE, Aoi.GENRE) for _, kind, *_ in visits) - 1, 0)
        for visits in by_screen(screens, fixations)
    )
    assert counted["moves"].sum() == areas
    study = counted.resample(rng(), 20)
    for without in (False, True):
        assert browse.transitions(study, without_stay=without).value.sum() == pytest.approx(1)
    stays = counted["moves"][:, 0].sum()
    assert counted["row_moves"].sum() == counted["column_moves"].sum() == areas - stays
    for found in (browse.row_transitions(study), browse.column_transitions(study)):
        np.testing.assert_allclose(np.nansum(found.value, axis=1), (~np.isnan(found.value)).any(axis=1))


def test_the_full_matrix_holds_every_move_but_those_that_stay(world, counted):
    frame = browse.aoi_transitions(*world[:2], rng=rng(), top=10_000, n=20)
    assert frame["count"].sum() == counted["row_moves"].sum()
    by_row = frame.groupby(["from_row", "to_row"])["count"].sum().unstack(fill_value=0)
    np.testing.assert_array_equal(by_row, counted["row_moves"].sum(axis=0))
    assert frame["value"].sum() == pytest.approx(1)
    assert (frame["low"] <= frame["value"]).all()


def test_a_swipe_shows_in_gaze_even_when_other_carousels_come_between():
    steps = posters((1, 1), (2, 1), (1, 9), (2, 2), (1, 15), (1, 3))
    study = tally(*one_screen(steps)).resample(rng(), 10)
    assert browse.swipes(study).value.tolist() == [3, 0, 1]
    entered = browse.swipe_entry(study).value
    np.testing.assert_allclose(entered[0], [0, 0, 1 / 3, 1 / 3, 1 / 3])
    assert np.isnan(entered[1]).all()


def test_a_carousel_starts_at_its_first_page_wherever_the_one_above_was_left():
    steps = posters((1, 1), (1, 7), (2, 1), (3, 6))
    study = tally(*one_screen(steps)).resample(rng(), 10)
    assert browse.swipes(study).value.tolist() == [2, 0, 1]
    np.testing.assert_allclose(browse.swipe_entry(study).value[0], [0.5, 0.5, 0, 0, 0])


def test_clicks_on_arrows_are_swipes_where_they_are_known(world, counted):
    screens = world[0]
    study = counted.resample(rng(), 10)
    pressed = (screens.pages > 1).sum()
    assert browse.swipes(study).value[0] == pytest.approx(pressed / len(screens))
    assert browse.swipes(study, "gaze").value[0] != browse.swipes(study, "clicks").value[0]


# -- scanpaths --------------------------------------------------------------------------------------------------------


def plain_levenshtein(a, b):
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (left != right))
    return row[-1]


def plain_scanmatch(a, b, threshold, gap):
    def alike(x, y):
        (r, c), (s, d) = divmod(x, 6), divmod(y, 6)
        return 1 - np.sqrt((r - s) ** 2 + (c % 3 - d % 3) ** 2 + (c // 3 - d // 3) ** 2) / threshold

    table = np.zeros((len(a) + 1, len(b) + 1))
    table[:, 0], table[0] = gap * np.arange(len(a) + 1), gap * np.arange(len(b) + 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1, j + 1] = max(table[i, j] + alike(x, y), table[i, j + 1] + gap, table[i + 1, j] + gap)
    return table[-1, -1] / max(len(a), len(b))


sequences = st.lists(st.integers(0, 23), min_size=1, max_size=9)


@settings(max_examples=60, deadline=None)
@given(pairs=st.lists(st.tuples(sequences, sequences), min_size=1, max_size=4), gap=st.sampled_from([0.0, -0.3]))
def test_alignments_of_many_pairs_equal_the_table_of_each(pairs, gap):
    sides = [[list(pair[side]) for pair in pairs] for side in (0, 1)]
    sizes = tuple(np.array([len(one) for one in side]) for side in sides)
    first, second = (np.array([one + [-1] * (max(map(len, side)) - len(one)) for one in side]) for side in sides)
    edits = browse.edit_distance(first, second, sizes)
    assert edits.tolist() == [plain_levenshtein(a, b) for a, b in pairs]
    alike = browse.scanmatch(first, second, sizes, columns=6, visible=3, gap=gap)
    np.testing.assert_allclose(alike, [plain_scanmatch(a, b, 2.0, gap) for a, b in pairs], atol=1e-12)


def test_scanpaths_read_as_letters_and_numbers():
    screens, fixations = one_screen(posters((1, 1), (1, 1), (1, 2), (3, 15)))
    assert browse.scanpaths(screens, fixations).strings() == ["A1 A2 C15"]
    assert browse.scanpaths(screens, fixations, collapse=False).strings() == ["A1 A1 A2 C15"]
    assert browse.scanpaths(screens, fixations, bin_seconds=0.5).strings() == ["A1 A1 A1 A1 A2 A2 C15 C15"]


@pytest.mark.parametrize("measure", ["edit", "scanmatch"])
def test_paths_that_follow_the_screen_are_more_alike_on_one_screen(measure):
    screens = planted_study(rng(8), Planted(users=12, screens=6))
    alike = replace(screens, examined=screens.examined[screens.task - 1])
    for study, expected in ((alike, True), (screens, False)):
        paths = browse.scanpaths(study, walk(study, rng(9))[0])
        found = browse.scanpath_similarity(paths, rng=rng(), measure=measure, pairs=300, n=300)
        assert (found[2].low > 0) == expected
        assert found.value[2] == pytest.approx(found.value[0] - found.value[1])


def test_a_draw_weighs_a_pair_of_paths_by_both_users():
    screens = planted_study(rng(10), Planted(users=2, screens=8))
    paths = browse.scanpaths(screens, walk(screens, rng(11))[0])
    found = browse.scanpath_similarity(paths, rng=rng(), pairs=50, n=100)
    # All pairs are of the same two users: a draw has both of them or no pair at all.
    np.testing.assert_allclose(found.low, found.value)
    np.testing.assert_allclose(found.high, found.value)


# -- cursor -----------------------------------------------------------------------------------------------------------


def test_the_planted_lag_of_the_cursor_is_found_and_agreement_grows_towards_the_click():
    screens = planted_study(rng(5), Planted(users=20, screens=10))
    study = tally(screens, *walk(screens, rng(6), lag=0.75)).resample(rng(), 200)
    _, best = browse.cursor_lag(study)
    assert (best.interval.low, best.interval.high) == (0.75, 0.75)
    assert browse.cursor_approach(study)[2].low > 0
    lift = browse.click_lift(study)
    assert lift.value[0] == pytest.approx(tally(screens)["examined"].sum() / len(screens), rel=0.05)
    assert lift[0].low > 1


def test_agreement_at_each_moment_equals_looking_it_up_one_by_one(world, counted):
    _, fixations, cursor, clicks = world
    chosen = clicks.where(clicks.on_poster)
    final = {(u, t): s for u, t, s in zip(chosen.user, chosen.task, chosen.time, strict=True)}

    def where(visits, user, task, time):
        found = None
        for i in np.flatnonzero((visits.user == user) & (visits.task == task)):
            if visits.time[i] <= time <= visits.time[i] + visits.duration[i] + 1e-9:
                found = (visits.kind[i], visits.row[i], visits.column[i])
        return found

    agree, both = np.zeros(41), np.zeros(41)
    for (user, task), end in final.items():
        for k in range(min(int(end / 0.25), 40) + 1):
            places = [where(visits, user, task, end - 0.25 * k) for visits in (fixations, cursor)]
            both[k] += None not in places
            agree[k] += None not in places and places[0] == places[1]
    np.testing.assert_array_equal(counted["both"].sum(axis=0), both)
    np.testing.assert_array_equal(counted["agree"].sum(axis=0), agree)
    assert agree[1:].sum() > 10


def shuffled(visits, rng):
    """The same visits from rows in another order."""
    order = rng.permutation(len(visits))
    names = ("user", "task", "time", "duration", "kind", "row", "column")
    made = [getattr(visits, name)[order] for name in names]
    return Visits(visits.users, *made)


def on_milliseconds(visits, offset=0.0):
    """Times that went through a clock that counts from far away, in milliseconds."""
    time = np.round(visits.time, 3)
    duration = np.maximum(np.round(visits.time + visits.duration, 3) - time, 0)
    return replace(visits, time=np.maximum((time + offset) - offset, 0), duration=duration)


def test_a_clock_that_counts_from_1970_changes_nothing(world):
    screens, *visits = world
    near = tally(screens, *map(on_milliseconds, visits))
    far = tally(screens, *(on_milliseconds(one, 1.7e9) for one in visits))
    for name, array in near.arrays.items():
        np.testing.assert_allclose(far[name], array, atol=1e-3 if name in ("waited", "pointed", "kinds") else 0)


def test_a_moment_at_the_very_end_of_a_visit_survives_the_clock():
    screens, fixations = one_screen(posters((1, 1), (1, 2), (1, 3)), clicked=[(1, 3)])
    far = replace(fixations, time=np.maximum((fixations.time + 1.7e9 + 0.1) - (1.7e9 + 0.1), 0))
    click = Visits(fixations.users, [0], [1], [3.0], [0.0], [Aoi.MOVIE], [1], [3])
    counts = [tally(screens, each, fixations, click)["both"] for each in (fixations, far)]
    np.testing.assert_array_equal(*counts)
    late = replace(fixations, duration=fixations.duration - 2.4e-7)
    np.testing.assert_array_equal(tally(screens, late, late, click)["both"], counts[0])


def test_a_short_visit_within_a_long_one_does_not_end_it():
    screens, fixations = one_screen([(Aoi.MOVIE, 1, 1), (Aoi.MOVIE, 1, 1)])
    time, duration = np.array([0.0, 0.5, 0.9]), np.array([2.0, 0.1, 0.2])
    cursor = Visits(screens.users, [0] * 3, [1] * 3, time, duration, [Aoi.MOVIE] * 3, [1, 2, 3], [1, 1, 1])
    counts = tally(screens, fixations, cursor)
    # Moments 0, 0.25, ... 2 seconds; at 0.5 the cursor is on the second poster and at 1 on the third.
    assert counts["both"].sum() == 9
    assert counts["agree"].sum() == 7


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_that_share_a_millisecond_does_not_matter_and_every_moment_is_the_last_visit_on(seed):
    draw = rng(seed)
    screens = planted_study(rng(1), SMALL)
    n = 80
    time, duration = draw.integers(0, 12, n) / 4, draw.integers(0, 8, n) / 4
    cells = draw.integers(1, ROWS + 1, n), draw.integers(1, COLUMNS + 1, n)
    where = draw.integers(0, 2, n), draw.integers(1, 3, n)
    visits = Visits(screens.users, *where, time, duration, np.full(n, Aoi.MOVIE), *cells)
    first, second = (tally(screens, one, one) for one in (visits, shuffled(visits, draw)))
    for name, array in first.arrays.items():
        np.testing.assert_allclose(second[name], array, err_msg=name)
    found = Screens.of(screens).join(visits)
    moments = draw.integers(0, 24, 200) / 4
    screen = draw.choice(found.screen, 200)
    expected = [
        max(np.flatnonzero((found.screen == s) & (found.time <= t) & (found.time + found.duration >= t)), default=-1)
        for s, t in zip(screen, moments, strict=True)
    ]
    assert _at(found, screen, moments).tolist() == expected


# -- pages in view ----------------------------------------------------------------------------------------------------


def arrows(screens, *kinds):
    n = len(kinds)
    return Visits(screens.users, [0] * n, [1] * n, np.arange(n) + 0.5, np.zeros(n), kinds, [2] * n, [0] * n)


@pytest.mark.parametrize(
    ("kinds", "columns", "expected"),
    [
        ([Aoi.BACKWARD], [11], [1, 0, 1]),
        ([Aoi.BACKWARD], [], [1, 0, 1]),
        ([Aoi.FORWARD, Aoi.FORWARD], [11], [1, 1, 1]),
        ([Aoi.FORWARD], [6], [1, 1, 0]),
        ([Aoi.FORWARD, Aoi.BACKWARD, Aoi.BACKWARD], [11], [1, 1, 1]),
        ([Aoi.FORWARD, Aoi.FORWARD, Aoi.FORWARD], [], [1, 1, 1]),
        # Swipes that are not among the clicks: as without clicks.
        ([], [11], [1, 1, 1]),
        ([Aoi.FORWARD], [11], [1, 1, 1]),
    ],
)
def test_a_page_comes_into_view_by_the_swipes_that_lead_to_it(kinds, columns, expected):
    screens, _ = one_screen(posters((1, 1), *((2, column) for column in columns)))
    # As the data has it: the furthest page of all those swiped to.
    page = np.cumsum([0, *(1 if kind == Aoi.FORWARD else -1 for kind in kinds)]) % 3
    screens.pages[0, 1] = max(screens.pages[0, 1], page.max() + 1)
    shown = tally(screens, clicks=arrows(screens, *kinds))["reached"][0]
    assert shown[1].tolist() == expected
    assert shown[0].tolist() == shown[5].tolist() == [1, 0, 0]


def test_examination_given_the_page_leaves_out_a_page_that_a_swipe_backward_jumps_over():
    screens, _ = one_screen(posters((2, 11)))
    known = browse.examination(tally(screens, clicks=arrows(screens, Aoi.BACKWARD)).resample(rng(), 9), given_page=True)
    unknown = browse.examination(tally(screens).resample(rng(), 9), given_page=True)
    assert np.isnan(known.value[1, 5:10]).all()
    assert (unknown.value[1, 5:10] == 0).all()
    assert known.value[1, 10] == 1


# -- summary ----------------------------------------------------------------------------------------------------------


def test_the_summary_of_screens_alone_says_what_it_lacks():
    found = Browsing.of(planted_study(rng(), SMALL), rng=rng(), n=50)
    assert {"examination", "patterns", "f_pattern", "examination_hypothesis"} <= set(found.tables)
    assert "transitions" not in found.tables
    assert "Not measured: " in found.text
    assert "pass the fixations to recgaze.browse.tally" in found.missing["transitions"]


def test_a_study_without_durations_has_no_dwell_and_no_agreement_of_the_cursor(world):
    screens, fixations, cursor, clicks = world
    bare = replace(fixations, duration=np.zeros(len(fixations)))
    found = Browsing.of(replace(screens, dwell=np.zeros_like(screens.dwell)), bare, cursor, clicks, rng=rng(), n=20)
    for name in ("dwell_share", "golden triangle of dwell"):
        assert found.missing.get(name, found.tables) == "there is no look at a poster with a duration; expected some"
    timed = {"time_by_kind", "cursor_agreement", "cursor_row_agreement", "cursor_distance", "cursor_approach"}
    timed |= {"cursor_lag", "cursor_best_lag", "click_lift_gaze"}
    assert {name for name, why in found.missing.items() if "no fixation with a duration" in why} == timed
    assert {"click_lift_cursor", "transitions", "first_fixation"} <= set(found.tables)
    still = Browsing.of(screens, fixations, replace(cursor, duration=np.zeros(len(cursor))), clicks, rng=rng(), n=20)
    assert "dwell_share" in still.tables
    assert "no dwell of the cursor with a duration" in still.missing["cursor_agreement"]


@pytest.mark.parametrize("which", ["fixations", "cursor"])
def test_a_cursor_without_usable_fixations_is_not_measured_and_no_crash(world, which):
    screens, fixations, cursor, clicks = world
    none = np.zeros(0, dtype=int)
    visits = {"fixations": fixations, "cursor": cursor}
    visits[which] = visits[which].where(none)
    found = Browsing.of(screens, **visits, clicks=clicks, rng=rng(), n=20)
    assert "cursor_agreement" in found.missing
    assert "Not measured: " in found.text
    assert ("transitions" in found.tables) == (which == "cursor")


def test_what_is_not_measured_is_said_in_plain_words():
    screens = planted_study(rng(), SMALL)
    empty = np.zeros_like(screens.examined)
    nobody = replace(screens, examined=empty, dwell=empty, clicked=empty, pages=np.ones_like(screens.pages))
    text = Browsing.of(nobody, rng=rng(), n=20).text
    assert "golden triangle of clicks" in text
    assert "there is no click on a poster; expected some" in text
    assert "nothing was" not in text
    assert "part " not in text


def test_every_table_of_a_full_study_has_intervals_that_hold_its_numbers(world):
    found = Browsing.of(*world, rng=rng(), n=300)
    assert set(found.missing) == set()
    assert len(found.tables) == 30
    for name, table in found.tables.items():
        ok = table["value"].isna() | (
            (table["low"] <= table["value"] + 0.05) & (table["value"] <= table["high"] + 0.05)
        )
        assert name == "examination_hypothesis" or ok.mean() > 0.95, name
        assert table["n_users"].between(1, SMALL.users).all()


# -- against the simulator's truth ------------------------------------------------------------------------------------


def test_counts_are_those_of_what_simulated_users_did(study):
    from recgaze import Aoi
    from recgaze.browse import last_look, swipes

    data = study.dataset
    screens = data.impressions(excluded=True)
    counted = browse.tally(screens, data.fixations(), None, data.click_events()).resample(rng(), 200)
    steps = study.fixations.steps
    for place, kind in enumerate((Aoi.FORWARD, Aoi.BACKWARD)):
        assert swipes(counted).value[place] * len(screens) == pytest.approx((steps.kind == kind).sum())
    # On free screens users choose among all that they looked at: the last new poster is as likely as any.
    free = data.task("free")
    screens = free.impressions()
    alone = last_look(browse.tally(screens, free.fixations()).resample(rng(), 200))
    assert alone.low[2] < 0 < alone.high[2]
    looked = screens.examined.sum(axis=(1, 2))
    clicked = (screens.clicked & screens.examined).any(axis=(1, 2))
    assert alone.value[1] == pytest.approx((1 / looked[clicked]).mean())


def test_the_reach_of_a_carousel_is_drawn_to_that_of_all(study):
    from recgaze.recommend import SwipeModel

    data = study.dataset
    counts = browse.tally(data.impressions(), data.fixations(), None, data.click_events())
    own, pooled = SwipeModel.fit(counts, prior=1e-9), SwipeModel.fit(counts, prior=1e9)
    np.testing.assert_allclose(own.reach, counts["reached"].sum(axis=0) / counts["screens"].sum(), atol=1e-6)
    np.testing.assert_allclose(pooled.reach, np.tile(own.reach.mean(axis=0), (10, 1)), atol=1e-4)
