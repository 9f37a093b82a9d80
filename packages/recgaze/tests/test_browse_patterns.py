"""Triangle, F, L, separability and the examination hypothesis: oracles, published numbers, and planted truth."""

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import chi2_contingency

from irworks.errors import ArgumentError
from recgaze import browse
from recgaze.browse import Planted, Tally, choice_sets, examination_hypothesis, planted_study, rejection_rate, tally
from recgaze.browse.choice import ConditionalLogit
from recgaze.browse.fpattern import fit_counts
from recgaze.browse.hypothesis import _choice, _score_test
from recgaze.browse.patterns import in_triangle

SMALL = Planted(users=10, screens=8, rows=4, pages=2, visible=3, rate=0.8)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def selections():
    """The 775 selections of the CCM study."""
    folder = os.environ.get("IRWORKS_DATA")
    if not folder:
        pytest.skip("IRWORKS_DATA is not set")
    path = Path(folder) / "recgaze" / "ccm" / "CarouselStudy.csv"
    if not path.exists():
        pytest.skip("the CCM selections are not in IRWORKS_DATA")
    lines = path.read_text().replace("\r", "\n").split()
    return np.array([[int(part) for part in line.split(",")] for line in lines])


# -- shares -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "columns"), [(6, 5), (10, 15), (3, 3), (1, 4)])
def test_the_triangle_holds_cells_whose_fractions_sum_to_less_than_one(rows, columns):
    expected = [[Fraction(r, rows) + Fraction(c, columns) < 1 for c in range(columns)] for r in range(rows)]
    np.testing.assert_array_equal(in_triangle(rows, columns), expected)


@pytest.mark.data
def test_the_real_selections_lie_in_the_triangle_and_the_l(selections):
    study = Tally.of_selections(selections[:, 1] + 1, selections[:, 2] + 1, rows=6, columns=5).resample(rng())
    counts = study.total("clicked")[0]
    assert counts.sum() == 775
    found = [counts[0].sum(), counts[:, 0].sum(), counts[0, 0]]
    assert np.round(np.array(found) / 775, 3).tolist() == [0.459, 0.307, 0.138]
    triangle, corner = browse.golden_triangle(study, "clicked"), browse.l_share(study)
    assert (f"{triangle.share.value:.3f}", f"{triangle.uniform:.3f}") == ("0.867", "0.667")
    assert (f"{corner.share.value:.3f}", f"{corner.uniform:.3f}") == ("0.628", "0.333")
    assert triangle.verdict == corner.verdict == "more than uniform"
    # Independent selections: the normal interval of a proportion.
    reach = 1.96 * np.sqrt(0.867 * 0.133 / 775)
    assert triangle.share[()].low == pytest.approx(0.867 - reach, abs=0.004)
    found = browse.separability(study)
    assert (round(found.g2, 1), found.df) == (20.0, 20)
    assert found.p_value == pytest.approx(0.458, abs=0.001)
    assert found.design_effect == pytest.approx(1, abs=0.01)
    assert browse.f_pattern(study, "clicked", part="all").verdict == "F"


def test_separability_is_the_likelihood_ratio_test_of_independence():
    counts = rng(2).poisson(np.outer([9, 4, 1], [5, 3, 2, 1])).astype(float)
    counts[2, 3] = 0
    people = rng(3).multinomial(1, (counts / counts.sum()).ravel(), size=500).reshape(500, 3, 4)
    found = browse.separability(Tally.of_counts(people).resample(rng(), 10))
    theirs = chi2_contingency(people.sum(axis=0), correction=False, lambda_="log-likelihood")
    assert (found.g2, found.df, found.p_value) == pytest.approx((theirs.statistic, theirs.dof, theirs.pvalue))


def test_counts_that_come_in_fives_have_a_design_effect_of_five():
    cells = rng(4).integers(30, size=2000)
    people = 5.0 * np.eye(30)[cells].reshape(-1, 6, 5)
    found = browse.separability(Tally.of_counts(people).resample(rng(), 10))
    assert found.design_effect == pytest.approx(5, rel=0.1)
    assert found.p_value < 0.01 < found.p_clustered


def test_independent_counts_of_users_with_many_and_few_have_a_design_effect_of_one():
    chance = np.outer([0.5, 0.3, 0.2], [0.4, 0.3, 0.2, 0.1]).ravel()
    people = rng(20).multinomial(rng(21).integers(1, 60, size=3000), chance).reshape(-1, 3, 4)
    found = browse.separability(Tally.of_counts(people).resample(rng(), 10))
    assert found.design_effect == pytest.approx(1, rel=0.05)


def test_the_l_before_a_click_equals_a_count_by_hand():
    screens = planted_study(rng(5), SMALL)
    share, swapped, even, n = [], [], [], 0

    def way(click, looks):
        r, c = click
        return np.mean([(y < r and x < 2) or (y == r and x < c) for y, x in looks])

    for looked, clicked in zip(screens.examined, screens.clicked, strict=True):
        cells = [tuple(cell) for cell in np.argwhere(looked | clicked)]
        if clicked.sum() != 1 or len(cells) < 2:
            continue
        n += 1
        ways = {cell: way(cell, [other for other in cells if other != cell]) for cell in cells}
        click = tuple(np.argwhere(clicked)[0])
        share.append(ways[click])
        swapped.append(np.mean(list(ways.values())))
        even.append(way(click, [tuple(c) for c in np.argwhere(np.ones_like(looked)) if tuple(c) != click]))
    found = browse.l_pattern(tally(screens).resample(rng(), 50))
    assert found.n_screens == n > 50
    means = np.array([found.share.value, found.swapped.value, found.uniform.value])
    np.testing.assert_allclose(means, [np.mean(share), np.mean(swapped), np.mean(even)])


def test_an_l_is_found_where_it_is_planted_and_not_where_clicks_fall_anywhere():
    plain = planted_study(rng(6), Planted(users=40))
    found = browse.l_pattern(tally(plain).resample(rng(), 500))
    assert found.verdict == "not told apart"
    assert found.share.value > 4 * found.uniform.value
    _, row, column = np.nonzero(plain.clicked)
    screen = np.flatnonzero(plain.clicked.any(axis=(1, 2)))
    straight = plain.examined.copy()
    straight[screen] = False
    r, c = np.arange(10)[:, None], np.arange(15)
    for one, y, x in zip(screen, row, column, strict=True):
        straight[one] = ((r < y) & (c == 0)) | ((r == y) & (c <= x))
    assert browse.l_pattern(tally(replace(plain, examined=straight)).resample(rng(), 500)).verdict == "L"


# -- F ----------------------------------------------------------------------------------------------------------------


def test_many_regressions_at_once_are_the_maximum_likelihood_of_each():
    design = np.column_stack([np.ones(12), np.repeat(np.arange(3), 4) - 1.0, np.tile(np.arange(4), 3) - 1.5])
    trials = rng(7).integers(5, 40, size=(4, 12)).astype(float)
    binomial = rng(8).binomial(trials.astype(int), 0.3).astype(float)
    poisson = rng(9).poisson(6, size=(4, 12)).astype(float)
    for counts, exposure in ((binomial, trials), (poisson, None)):

        def loss(beta, k, n, exposed=exposure is not None):
            eta = design @ beta
            return (n * np.logaddexp(0, eta) if exposed else np.exp(eta)).sum() - k @ eta

        found = fit_counts(counts, exposure, design)
        for i in range(4):
            best = minimize(loss, np.zeros(3), args=(counts[i], trials[i]), method="BFGS", options={"gtol": 1e-8})
            np.testing.assert_allclose(found[i], best.x, atol=1e-5)


def test_a_regression_without_a_maximum_is_no_number():
    design = np.column_stack([np.ones(4), np.arange(4) - 1.5])
    found = fit_counts(np.array([[0.0, 0, 5, 5], [0, 0, 0, 0], [1, 2, 1, 2]]), np.full((3, 4), 5.0), design)
    assert np.isnan(found).any(axis=1).tolist() == [True, True, False]


def test_an_f_is_found_on_the_first_page_and_a_vertical_fall_only_over_swipes():
    study = tally(planted_study(rng(10), Planted())).resample(rng(), 500)
    assert browse.f_pattern(study).verdict == "F"
    swiped = browse.f_pattern(study, part="swiped")
    assert swiped.beta_row.below(0)
    assert 0 in swiped.beta_column.interval
    falling = tally(planted_study(rng(10), Planted(swiped_fall=0.4))).resample(rng(), 500)
    assert browse.f_pattern(falling, part="swiped").verdict == "F"


def test_the_planted_fall_is_what_the_regression_finds():
    row, column = np.arange(6)[:, None] - 2.5, np.arange(5) - 2.0
    chance = 1 / (1 + np.exp(1 + 0.25 * row + 0.35 * column - 0.05 * row * column))
    looks = rng(11).binomial(30, chance, size=(200, 6, 5)).astype(float)
    arrays = {"examined": looks, "screens": np.full(200, 30.0), "reached": np.full((200, 6, 1), 30.0)}
    found = browse.f_pattern(Tally(np.arange(200), 6, 5, 5, arrays).resample(rng(), 1000))
    for estimate, planted in ((found.beta_row, -0.25), (found.beta_column, -0.35), (found.interaction, 0.05)):
        assert planted in estimate.interval
        assert estimate.interval.width < 0.03


def test_no_f_is_found_where_looks_are_uniform():
    study = tally(planted_study(rng(12), Planted(looks="uniform", rate=0.2))).resample(rng(), 300)
    assert browse.f_pattern(study).verdict == "none"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: browse.f_pattern(s, part="second"), "expected"),
        (lambda s: browse.golden_triangle(s, part="swiped"), "expected"),
        (
            lambda s: browse.l_pattern(Tally.of_counts(np.ones((2, 3, 3))).resample(rng(), 9)),
            "no counts 'l_screens'",
        ),
        (
            lambda s: browse.f_pattern(
                Tally.of_counts(np.ones((2, 3, 3))).resample(rng(), 9), "clicked", part="swiped"
            ),
            "one page",
        ),
        (lambda s: browse.examination(s, "page"), "expected"),
    ],
)
def test_bad_options_are_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call(tally(planted_study(rng(), SMALL)).resample(rng(), 10))


# -- the examination hypothesis ---------------------------------------------------------------------------------------


def a_logit(seed=0, sets=40):
    draw = rng(seed)
    sizes = draw.integers(2, 6, sets)
    starts = np.cumsum(sizes) - sizes
    kind = draw.integers(8, size=sizes.sum())
    chosen = np.zeros(len(kind), dtype=bool)
    chosen[starts + draw.integers(sizes)] = True
    return ConditionalLogit(starts, kind, chosen, draw.integers(5, size=sets), draw.normal(size=(8, 3)))


def test_the_conditional_logit_is_the_log_chance_of_the_choices():
    logit, beta = a_logit(), np.array([0.3, -0.5, 0.2])
    utility = (logit.table @ beta)[logit.kind]
    parts = np.split(np.arange(len(utility)), logit.starts[1:])
    expected = sum(utility[p][logit.chosen[p]].sum() - np.log(np.exp(utility[p]).sum()) for p in parts)
    value, score, information = logit.at(beta)
    assert value == pytest.approx(expected)
    step = 1e-5 * np.eye(3)
    slope = [(logit.at(beta + h)[0] - logit.at(beta - h)[0]) / 2e-5 for h in step]
    np.testing.assert_allclose(score.sum(axis=0), slope, atol=1e-6)
    curve = [(logit.at(beta - h)[1] - logit.at(beta + h)[1]).sum(axis=0) / 2e-5 for h in step]
    np.testing.assert_allclose(information, curve, atol=1e-5)


def test_the_fit_is_the_maximum_and_leaves_fixed_terms_at_zero():
    logit = a_logit(1)
    best = minimize(lambda beta: -logit.at(beta)[0], np.zeros(3), method="BFGS", options={"gtol": 1e-8})
    np.testing.assert_allclose(logit.fit(np.ones(3, dtype=bool)), best.x, atol=1e-5)
    assert logit.fit(np.array([True, False, True]))[1] == 0
    assert not logit.fit(np.zeros(3, dtype=bool)).any()


def test_the_score_test_does_not_depend_on_how_much_attraction_is_mixed_into_the_place():
    logit, place = a_logit(2, sets=200), np.array([True, False, False])
    mixed = replace(logit, table=logit.table + np.outer(logit.table[:, 1], [1.5, 0, 0]))
    tests = [_score_test(each, each.fit(~place), place) for each in (logit, mixed)]
    assert tests[0] == pytest.approx(tests[1], rel=1e-5)
    # One cluster a set: the usual score test, near the likelihood ratio.
    alone = replace(logit, group=np.arange(200))
    null, full = alone.fit(~place), alone.fit(np.ones(3, dtype=bool))
    ratio = 2 * (alone.at(full)[0] - alone.at(null)[0])
    assert _score_test(alone, null, place)[0] == pytest.approx(ratio, rel=0.25)


def test_choice_sets_hold_what_was_looked_at_or_clicked_and_merge_by_user():
    screens = planted_study(rng(12), SMALL)
    blind = replace(screens, examined=screens.examined & ~screens.clicked)
    whole = choice_sets(blind)
    assert whole.sizes.sum() == (screens.examined | screens.clicked).sum()
    assert whole.clicks.sum() == screens.clicked.sum()
    parts = [choice_sets(blind.where(blind.task % 2 == odd)) for odd in (0, 1)]
    merged, test = browse.ChoiceSets.merge(parts), examination_hypothesis(whole, rng=rng(), n=20)
    assert examination_hypothesis(merged, rng=rng(), n=20).statistic == pytest.approx(test.statistic)


def test_planted_effects_of_the_place_are_recovered():
    truth = Planted(users=200, effect=(-0.1, -0.2, 0.3))
    found = examination_hypothesis(planted_study(rng(13), truth), rng=rng(), n=500)
    assert found.verdict == "violated"
    for name, effect in zip(found.effects.axes[0][1], range(3), strict=True):
        assert truth.effect[effect] in found.effects[effect], name
    assert found.p_likelihood_ratio < 0.001
    independent = examination_hypothesis(planted_study(rng(14), replace(truth, clicks="independent")), rng=rng(), n=500)
    assert independent.method == "independent"
    # Breslow's approximation draws effects a little to 0.
    np.testing.assert_allclose(independent.effects.value, truth.effect, atol=0.05)


@pytest.mark.parametrize("quality", [0.0, 0.7])
def test_the_quality_of_a_film_is_that_of_its_place_on_its_screen_for_all_users(quality):
    seen = Planted(users=2_000, screens=2, rows=2, pages=1, visible=3, looks="uniform", rate=0.999, spread=0.0)
    study = planted_study(rng(18), replace(seen, taste=0.0, quality=quality))
    shares = np.array(
        [
            [study.clicked[(study.task == task) & (study.user % 2 == half)].mean(axis=0) for task in (1, 2)]
            for half in (0, 1)
        ]
    )
    # A genre is a carousel: what is left within one is the films'.
    within = np.log(shares) - np.log(shares).mean(axis=3, keepdims=True)
    assert (within.std() > 0.2) == (quality > 0)
    assert (np.abs(within[:, 0] - within[:, 1]).max() > 0.4) == (quality > 0)
    np.testing.assert_allclose(within[0], within[1], atol=0.4)


def test_one_click_a_screen_looks_like_a_violation_to_the_method_for_independent_clicks():
    study = planted_study(rng(15))
    assert examination_hypothesis(study, rng=rng(), n=20).verdict == "not rejected"
    assert examination_hypothesis(study, rng=rng(), n=20, method="independent").verdict == "violated"


def sets_of_films(draw, *, quality, users=150, tasks=20, looks=6):
    """Choice sets on a grid of 4 x 3 whose films alone say what is clicked, each at one place for all users."""
    user, task = np.divmod(np.arange(users * tasks), tasks)
    cell = draw.random((len(user), 12)).argsort(axis=1)[:, :looks]
    utility = draw.normal(0, quality, (tasks, 12))[task[:, None], cell] + draw.gumbel(size=cell.shape)
    return browse.ChoiceSets(
        users=np.arange(users),
        user=user.astype(np.int32),
        task=task.astype(np.int16),
        sizes=np.full(len(user), looks, dtype=np.int32),
        cell=cell.ravel().astype(np.int16),
        rating=np.full(cell.size, 3, dtype=np.int8),
        clicked=(utility == utility.max(axis=1, keepdims=True)).ravel(),
        rows=4,
        columns=3,
        visible=3,
    )


def test_the_luck_of_films_is_an_effect_of_these_places_and_none_of_places():
    found = {"given": 0, "drawn": 0}
    for draw in rng(19).spawn(20):
        sets = sets_of_films(draw, quality=0.7)
        for films in found:
            found[films] += examination_hypothesis(sets, rng=draw, n=2, films=films).verdict == "violated"
    # More than 4 of 20 rejections have a chance of 1 in 400 at 5 percent.
    assert found["drawn"] <= 4
    assert found["given"] >= 12
    sure = examination_hypothesis(sets, rng=rng(), n=500, films="given").effects
    wide = examination_hypothesis(sets, rng=rng(), n=500).effects
    np.testing.assert_allclose(wide.value, sure.value)
    assert (wide.high - wide.low > 1.5 * (sure.high - sure.low)).all()


def test_films_are_drawn_from_several_screens_where_each_has_its_click():
    sets = sets_of_films(rng(20), quality=0.5, tasks=1)
    with pytest.raises(ArgumentError, match="1 screens of films"):
        examination_hypothesis(sets, rng=rng())
    assert examination_hypothesis(sets, rng=rng(), films="given").films == "given"
    with pytest.raises(ArgumentError, match='with method="independent" "given"'):
        examination_hypothesis(sets, rng=rng(), method="independent", films="drawn")


def test_the_variance_of_users_and_screens_is_that_of_the_formula():
    sets = sets_of_films(rng(21), quality=0.7, users=30, tasks=6)
    logit, _, place, _ = _choice(sets)
    null, screen = logit.fit(~place), sets.task.astype(np.int64)
    alone = replace(logit, group=np.arange(len(screen)))
    # Cameron, Gelbach and Miller: pairs of sets of one user or of one screen, each once.
    scores = alone.at(null)[1][:, place]
    related = (sets.user[:, None] == sets.user) | (screen[:, None] == screen)
    spread, total = scores.T @ related @ scores, scores.sum(axis=0)
    expected = total @ np.linalg.inv(spread) @ total
    assert _score_test(logit, null, place, screen)[0] == pytest.approx(expected)


def test_looks_at_a_clicked_arrow_are_no_looks_at_the_poster_beside_it():
    from recgaze import Aoi, Behaviour, simulate_study

    made = simulate_study(40, rng=rng(22), behaviour=Behaviour(pattern="uniform"), tasks=range(1, 31), gaps=False)
    data, steps = made.dataset, made.fixations.steps
    screens = data.impressions()
    sets = choice_sets(screens, data.fixations(), data.click_events())
    posters = steps.kind == Aoi.MOVIE
    meant = np.zeros(made.utility.shape, dtype=bool)
    meant[steps.screen[posters], steps.row[posters], steps.column[posters]] = True
    wrong = (screens.examined & ~meant).sum()
    screen = np.repeat(np.arange(len(sets)), sets.sizes)
    left = (~meant.reshape(len(meant), -1)[screen, sets.cell]).sum()
    assert wrong > 4 * left
    assert examination_hypothesis(screens, rng=rng(), n=2).verdict == "violated"
    assert examination_hypothesis(sets, rng=rng(), n=2).verdict == "not rejected"


def test_a_test_without_clicks_or_of_several_clicks_by_choice_is_refused():
    study = planted_study(rng(16), replace(SMALL, clicks="independent", users=30))
    with pytest.raises(ArgumentError, match="several clicks"):
        examination_hypothesis(study, rng=rng(), method="choice")
    with pytest.raises(ArgumentError, match="0 users"):
        examination_hypothesis(replace(study, clicked=np.zeros_like(study.clicked)), rng=rng())
    with pytest.raises(ArgumentError, match='expected "choice"'):
        examination_hypothesis(study, rng=rng(), method="logit")


# -- sizes and powers: claims run these on 200 studies ----------------------------------------------------------------


def triangle_differs(study, draw):
    return browse.golden_triangle(tally(study).resample(draw, 500)).verdict != "not told apart"


def violated(study, draw):
    return examination_hypothesis(study, rng=draw, n=20).verdict == "violated"


@pytest.mark.parametrize(
    ("test", "null", "planted"),
    [
        (triangle_differs, Planted(looks="uniform", rate=0.12), Planted(rate=0.6, fall=(0.05, 0.05))),
        (violated, Planted(), Planted(effect=(-0.05, -0.1, 0.0))),
        (violated, Planted(clicks="independent"), Planted(clicks="independent", effect=(-0.05, -0.1, 0.0))),
    ],
    ids=["triangle", "choice", "independent"],
)
def test_size_and_power_on_planted_studies(test, null, planted):
    size = rejection_rate(lambda draw: planted_study(draw, null), test, n=24, rng=rng(17))
    power = rejection_rate(lambda draw: planted_study(draw, planted), test, n=8, rng=rng(18))
    # 24 studies cannot tell 5 from 7 percent: more than 5 rejections have a chance of 1 in 600 at 5 percent.
    assert size.estimate * 24 <= 5
    assert power.estimate == 1
