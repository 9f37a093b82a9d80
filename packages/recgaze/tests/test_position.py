import warnings
from dataclasses import replace

import numpy as np
import pytest

from irworks.errors import ArgumentError
from recgaze.models import CPBM, OEPBM, RCPBM, Features, Fixed, KeyValues, NotFittedError, PbmTruth, Tally, pbm_world
from recgaze.models.attraction import AttractionTable
from recgaze.models.keys import key_cells


@pytest.fixture(scope="module")
def world():
    return pbm_world(np.random.default_rng(0))


@pytest.fixture(scope="module")
def small():
    return pbm_world(np.random.default_rng(1), n_users=12, n_screens=20)[0]


@pytest.mark.parametrize(
    ("model", "floor"), [(CPBM(), 0.97), (RCPBM(), 0.99), (OEPBM(), 0.998), (CPBM("rating"), 0.97)]
)
def test_planted_examination_is_found(world, model, floor):
    impressions, truth = world
    model = model.with_options().fit(impressions)
    assert np.corrcoef(model.examination_.ravel(), truth.examination.ravel())[0, 1] > floor


def test_the_greatest_examination_of_a_click_model_is_one(small):
    cpbm, rcpbm = CPBM().fit(small), RCPBM().fit(small)
    assert cpbm.examination_.max() == pytest.approx(1)
    assert (rcpbm.row_.max(), rcpbm.column_.max()) == pytest.approx((1, 1))
    assert rcpbm.examination_ == pytest.approx(np.outer(rcpbm.row_, rcpbm.column_))


def test_gradient_beats_400_steps_of_em_in_training_and_em_never_falls(world):
    impressions, _ = world
    for model in (CPBM, RCPBM):
        tally = Tally.of(impressions, "user_genre")
        em = model(solver="em", l2=0).fit_tally(tally)
        climbed = model(solver="lbfgs", l2=0).fit_tally(tally)
        assert (np.diff(em.history_) >= -1e-13).all()
        assert climbed.log_likelihood(impressions) >= em.log_likelihood(impressions) - 1e-6
        assert em.log_likelihood(impressions) == pytest.approx(em.history_[-1], abs=1e-9)


def test_observed_examination_has_the_closed_form_of_counts(small):
    model = OEPBM("genre", shrinkage=0).fit(small)
    seen = small.examined | small.clicked
    assert model.examination_ == pytest.approx(seen.mean(axis=0))
    for genre, attraction in zip(model.keys_["genre"], model.attraction_, strict=True):
        here = (np.asarray(small.genres)[small.genre] == genre)[:, :, None]
        assert attraction == pytest.approx((small.clicked & here).sum() / (seen & here).sum())


def test_shrinkage_adds_cases_at_the_overall_rate(small):
    plain, shrunken = OEPBM("genre", shrinkage=0).fit(small), OEPBM("genre", shrinkage=50).fit(small)
    looks = Tally.of(small, "genre")
    n = looks.by_key(looks.seen)
    mean = small.clicked.sum() / n.sum()
    assert shrunken.attraction_ == pytest.approx((plain.attraction_ * n + 50 * mean) / (n + 50))


def test_a_logistic_attraction_meets_its_score_equations(small):
    features = Features(lambda screens: screens.rating[:, :, None, None].astype(float) - 3)
    model = OEPBM(features).fit(small)
    seen = small.examined | small.clicked
    residual = np.where(seen, small.clicked - model.attraction_of(small), 0)
    x = np.broadcast_to(small.rating[:, :, None], seen.shape)
    assert residual.sum() == pytest.approx(0, abs=0.05)
    assert (x * residual).sum() == pytest.approx(0, abs=0.2)
    assert model.coef_[0] > 0


def test_features_of_positions_too_enter_the_click_models(small):
    features = Features(
        lambda screens: np.stack(np.broadcast_arrays(screens.rating[:, :, None], 1.0 * screens.examined), -1)
    )
    model = RCPBM(features, l2=0.01).fit(small)
    assert model.coef_.shape == (3,)
    assert model.coef_[1] > 1
    assert model.log_likelihood(small) > RCPBM("rating").fit(small).log_likelihood(small)
    assert model.tally_log_likelihood(Tally.of(small, model.keying())) == pytest.approx(model.log_likelihood(small))


def test_held_attraction_gives_examination_its_own_scale(world):
    impressions, truth = world
    for model in (CPBM, RCPBM):
        fitted = model(Fixed(lambda screens: truth.attraction[screens.user[:, None], screens.genre][:, :, None])).fit(
            impressions
        )
        assert fitted.examination_.sum() == pytest.approx(truth.examination.sum(), rel=0.06)
        assert fitted.scale_ == 1


def test_the_attraction_of_another_model_is_fitted_first_and_held(small):
    source = OEPBM("user_genre").fit(small)
    by_model, by_values = CPBM(OEPBM("user_genre")).fit(small), CPBM(Fixed(source.attraction_of)).fit(small)
    assert by_model.attraction_of(small) == pytest.approx(source.attraction_of(small))
    assert by_model.examination_ == pytest.approx(by_values.examination_, abs=1e-3)
    assert by_model.attraction.fitted is False


def test_values_of_keys_are_given_by_name(small):
    table = {"genre": np.array(["Horror", "Action"])}
    given = KeyValues("genre", table, np.array([0.5, 0.25]))(small)
    names = np.asarray(small.genres)[small.genre][:, :, None]
    assert (given[names == "Horror"] == 0.5).all()
    assert (given[names == "Action"] == 0.25).all()
    assert np.isnan(given[(names != "Action") & (names != "Horror")]).all()


def test_a_new_user_gets_the_mean_of_the_genre(small):
    table = AttractionTable(
        {"user": np.array(["u", "v", "u"]), "genre": np.array(["Drama", "Drama", "Crime"])},
        np.array([0.1, 0.4, 0.9]),
        np.array([10.0, 20.0, 30.0]),
    )
    cells = key_cells("user_genre", small)
    names = np.asarray(small.genres)[small.genre][:, :, None]
    values = table.at(cells)
    assert values[names == "Drama"] == pytest.approx(0.3)
    assert values[names == "Crime"] == pytest.approx(0.9)
    assert values[names == "Horror"] == pytest.approx((1 + 8 + 27) / 60)


@pytest.mark.parametrize("model", [CPBM(), RCPBM(), OEPBM()])
def test_blocks_fit_as_the_whole(small, model):
    blocks = [small.where(np.arange(0, 100)), small.where(np.arange(100, 240))]
    whole, parts = model.with_options().fit(small), model.with_options().fit(iter(blocks))
    assert parts.examination_ == pytest.approx(whole.examination_, abs=1e-6)
    assert parts.score(iter(blocks)).log_likelihood == pytest.approx(whole.score(small).log_likelihood, abs=1e-8)


def test_scores_are_those_of_the_definitions(small):
    model = OEPBM().fit(small)
    p, clicked = model.click_prob(small), small.clicked
    assert p == pytest.approx(model.attraction_of(small) * model.examination_)
    score = model.score(small)
    assert score.cells == clicked.size
    assert score.log_likelihood == pytest.approx(np.where(clicked, np.log(p), np.log(1 - p)).mean())
    one = clicked.sum(axis=(1, 2)) == 1
    choices = [np.log((p[n] / (1 - p[n]))[clicked[n]] / (p[n] / (1 - p[n])).sum())[0] for n in np.flatnonzero(one)]
    assert score.choices == one.sum()
    assert score.choice == pytest.approx(np.mean(choices))
    assert model.log_likelihood(small, choice=True) == score.choice
    assert score.perplexity == pytest.approx(np.exp(-np.mean(choices)))
    tally = Tally.of(small, "user_genre")
    assert model.tally_log_likelihood(tally) == pytest.approx(score.log_likelihood)


def test_the_choice_likelihood_is_that_of_independent_cells_given_one_click():
    rng = np.random.default_rng(0)
    p = np.array([0.3, 0.1, 0.05])
    draws = rng.random((400_000, 3)) < p
    shares = draws[draws.sum(axis=1) == 1].mean(axis=0)
    odds = p / (1 - p)
    assert shares == pytest.approx(odds / odds.sum(), abs=0.005)


def test_samples_follow_the_model(world):
    impressions, _ = world
    model = OEPBM().fit(impressions)
    drawn = model.sample(impressions, np.random.default_rng(5))
    assert drawn.examined.mean(axis=0) == pytest.approx(model.examination_, abs=0.05)
    assert drawn.clicked.sum() == pytest.approx(model.click_prob(impressions).sum(), rel=0.08)
    assert not (drawn.clicked & ~drawn.examined).any()
    assert not drawn.dwell.any()
    again = model.sample(impressions, np.random.default_rng(5))
    assert (again.clicked == drawn.clicked).all()


def test_a_study_refits_to_what_it_was_sampled_from(world):
    impressions, _ = world
    model = OEPBM("genre").fit(impressions)
    again = OEPBM("genre").fit(model.sample(impressions, np.random.default_rng(6)))
    assert again.examination_ == pytest.approx(model.examination_, abs=0.05)
    assert again.attraction_ == pytest.approx(model.attraction_, abs=0.02)


def test_positions_at_which_nothing_was_shown_stay_unknown(small):
    hidden = small.movie.copy()
    hidden[:, :, 14] = -1
    known = type(small)(**{**small.__dict__, "movie": hidden})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = CPBM("movie").fit(known)
    assert np.isnan(model.examination_[:, 14]).all()
    assert np.isfinite(model.examination_[:, :14]).all()
    with pytest.raises(ArgumentError, match="carousel 1, position 15 has no click probability"):
        model.score(small)
    with pytest.raises(ArgumentError, match="nothing was shown"):
        model.sample(small, np.random.default_rng(0))


def test_torch_fits_the_same_model(small):
    pytest.importorskip("torch", reason="needs the extra torch")
    ours, torchs = RCPBM().fit(small), RCPBM(solver="torch").fit(small)
    assert torchs.log_likelihood(small) == pytest.approx(ours.log_likelihood(small), abs=2e-6)
    assert torchs.examination_ == pytest.approx(ours.examination_, abs=0.02)


def test_without_torch_the_error_says_what_to_install(small, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"recgaze\[torch\]"):
        CPBM(solver="torch").fit(small)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (CPBM(solver="sgd"), "solver='sgd'"),
        (CPBM(solver="em"), "pass l2=0"),
        (CPBM(l2=-1), "l2=-1"),
        (CPBM(max_iter=0), "max_iter=0"),
        (OEPBM(solver="em"), "closed form"),
        (OEPBM(shrinkage=np.nan), "shrinkage=nan"),
        (CPBM(Fixed(lambda screens: screens.dwell)), "expected 0 to 1"),
        (CPBM(Fixed(lambda screens: screens.rating)), "has shape"),
        (CPBM(Features(lambda screens: screens.dwell)), "has shape"),
    ],
)
def test_options_that_make_no_sense_are_refused(small, model, message):
    bad = type(small)(**{**small.__dict__, "dwell": small.dwell + 2})
    with pytest.raises(ArgumentError, match=message):
        model.fit(bad)


def test_a_study_without_clicks_or_gaze_is_refused(small):
    nothing = type(small)(**{**small.__dict__, "clicked": np.zeros_like(small.clicked)})
    with pytest.raises(ArgumentError, match="nothing to fit"):
        CPBM().fit(nothing)
    blind = type(small)(**{**small.__dict__, "examined": np.zeros_like(small.examined)})
    with pytest.raises(ArgumentError, match="needs impressions with gaze"):
        OEPBM().fit(blind)


def test_a_model_that_is_not_fitted_says_so(small):
    with pytest.raises(NotFittedError, match="call fit first"):
        CPBM().click_prob(small)


def test_impressions_of_another_grid_are_refused(small):
    model = OEPBM("genre").fit(small)
    cut = type(small)(
        **{
            **small.__dict__,
            **{name: getattr(small, name)[..., :5] for name in ("examined", "dwell", "clicked", "movie")},
            "pages": np.ones_like(small.pages),
        }
    )
    with pytest.raises(ArgumentError, match="10 x 5; expected 10 x 15"):
        model.click_prob(cut)


def test_the_true_click_probability_explains_its_world_better_than_a_constant():
    impressions, truth = pbm_world(np.random.default_rng(3), n_users=20)
    assert isinstance(truth, PbmTruth)
    p = truth.click_prob(impressions)
    assert p.sum() == pytest.approx(20 * 30 * 2559 / 2610, rel=1e-6)
    assert impressions.clicked.sum() == pytest.approx(p.sum(), abs=4 * np.sqrt(p.sum()))


def test_a_new_user_gets_the_mean_of_those_whose_looks_speak_of_the_genre():
    impressions, _ = pbm_world(np.random.default_rng(4), n_users=20)
    first = impressions.genre == 0
    blind = (impressions.user < 10)[:, None] & first
    examined = impressions.examined & ~blind[:, :, None]
    part = replace(impressions, examined=examined, clicked=impressions.clicked & examined)
    fitted = OEPBM("user_genre", shrinkage=0).fit(part)
    strangers = replace(part, users=np.array([f"new {user}" for user in part.users]))
    found = fitted.attraction_of(strangers)[np.broadcast_to(first[:, :, None], part.examined.shape)]
    looks = part.examined & first[:, :, None]
    assert found[0] == pytest.approx(part.clicked[looks].mean())
