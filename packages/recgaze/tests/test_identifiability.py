import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from recgaze.models import (
    CPBM,
    OEPBM,
    RCPBM,
    Features,
    Fixed,
    IdentifiabilityWarning,
    Tally,
    identifiability,
    pbm_world,
)
from recgaze.models.identifiability import identifiability_of_tally


@pytest.fixture(scope="module")
def study():
    return pbm_world(np.random.default_rng(0), n_users=30)[0]


def random_design(seed, rows=2, columns=3, keys=5, edges=7):
    rng = np.random.default_rng(seed)
    pair = np.sort(rng.choice(keys * rows * columns, size=min(edges, keys * rows * columns), replace=False))
    present, key = np.unique(pair // (rows * columns), return_inverse=True)
    position = pair % (rows * columns)
    shown = rng.integers(50, 500, len(pair))
    clicked = rng.binomial(shown, 0.2)
    table = {"movie": present}
    return Tally(
        (rows, columns), table, key.astype(np.int32), position.astype(np.int32), shown, shown, clicked, clicked
    )


def log_design(tally, separable):
    """A row a pair: log P as a linear function of all parameters; unused ones left out."""
    row, column = np.divmod(tally.position, tally.shape[1])
    one = np.eye(tally.n_positions)[tally.position]
    two = np.hstack([np.eye(tally.shape[0])[row], np.eye(tally.shape[1])[column]])
    positions = two if separable else one
    positions = positions[:, positions.any(axis=0)]
    return positions, np.eye(tally.n_keys)[tally.key]


@settings(max_examples=150)
@given(seed=st.integers(0, 2**32), edges=st.integers(1, 25), separable=st.booleans())
def test_free_scales_are_the_null_space_of_the_log_linear_design(seed, edges, separable):
    tally = random_design(seed, edges=edges)
    matrix = np.hstack(log_design(tally, separable))
    nullity = matrix.shape[1] - np.linalg.matrix_rank(matrix)
    report = identifiability_of_tally(tally, separable=separable, precision=False)
    assert report.free_scales == nullity
    assert (report.verdict == "not identifiable") == (nullity > 1 + separable)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), edges=st.integers(1, 20))
def test_components_are_those_of_a_walk_through_shared_keys(seed, edges):
    tally = random_design(seed, edges=edges)
    groups = [{int(at)} for at in np.unique(tally.position)]
    for key in range(tally.n_keys):
        mine = set(tally.position[tally.key == key].tolist())
        touched = [group for group in groups if group & mine]
        groups = [group for group in groups if not group & mine] + [set().union(*touched)]
    report = identifiability_of_tally(tally)
    found = [{(r - 1) * 3 + c - 1 for r, c in component.positions} for component in report.components]
    assert sorted(map(sorted, found)) == sorted(map(sorted, groups))
    assert [len(group) for group in found] == sorted(map(len, groups), reverse=True)
    assert sum(component.keys for component in report.components) == tally.n_keys
    assert len(report.never_shown) == 6 - sum(map(len, groups))


@pytest.mark.parametrize("separable", [False, True])
def test_standard_errors_are_those_of_the_whole_information_matrix(separable):
    tally = random_design(3, edges=24)
    report = identifiability_of_tally(tally, separable=separable)
    from recgaze.models.identifiability import _smooth_rate

    rate = (tally.by_position(tally.clicked) + 0.5) / (tally.by_position(tally.shown) + 1)
    p = _smooth_rate(tally, rate)
    positions, keys = log_design(tally, separable)
    matrix = np.hstack([positions, keys])
    covariance = np.linalg.pinv(matrix.T @ (matrix * (tally.shown * p / (1 - p))[:, None]))
    reference = (report.reference[0] - 1) * 3 + report.reference[1] - 1
    rows = {int(at): positions[number] for number, at in enumerate(tally.position)}
    for at, own in rows.items():
        contrast = np.concatenate([own - rows[reference], np.zeros(tally.n_keys)])
        assert report.stderr.ravel()[at] == pytest.approx(np.sqrt(contrast @ covariance @ contrast), rel=1e-5, abs=1e-7)


def test_per_movie_attraction_is_not_identifiable_on_the_grid_of_the_study(study):
    report = identifiability(study, "movie")
    assert report.verdict == "not identifiable"
    assert report.free_scales == len(report.components) == 150
    assert report.linking_keys == 0
    assert report.n_keys == 4500
    assert "every key (movie) was shown at one position only" in report.text
    separable = identifiability(study, "movie", separable=True)
    assert separable.verdict == "not identifiable"
    assert separable.free_scales == 25


@pytest.mark.parametrize("attraction", ["user_genre", "genre", "rating"])
@pytest.mark.parametrize("separable", [False, True])
def test_shared_attraction_is_identifiable_up_to_scale_on_the_grid_of_the_study(study, attraction, separable):
    report = identifiability(study, attraction, separable=separable)
    assert report.verdict == "identifiable up to scale"
    assert report.free_scales == 1 + separable
    assert len(report.components) == 1
    assert np.isfinite(report.stderr).all()


def test_a_row_times_a_column_is_more_precise_than_a_free_grid(study):
    free, separable = identifiability(study), identifiability(study, separable=True)
    assert separable.weakest(1)[0][2] < free.weakest(1)[0][2] / 2


def test_gaze_and_given_attraction_identify_examination(study):
    assert identifiability(study, "movie", observed_examination=True).verdict == "identifiable"
    report = identifiability(study, Fixed(lambda screens: np.full((len(screens), 10, 1), 0.1)))
    assert report.verdict == "identifiable"
    assert report.free_scales == 0


def test_features_identify_only_what_differs_within_positions(study):
    rating = Features(lambda screens: screens.rating[:, :, None, None])
    assert identifiability(study, rating).verdict == "identifiable up to scale"
    row = Features(lambda screens: np.broadcast_to(np.arange(10.0)[None, :, None, None], (len(screens), 10, 1, 1)))
    assert identifiability(study, row).verdict == "not identifiable"
    column = Features(lambda screens: np.broadcast_to(np.eye(15)[None, None, :, :3], (len(screens), 10, 15, 3)))
    assert identifiability(study, column).free_scales == 4


@pytest.mark.parametrize("solver", ["em", "lbfgs"])
def test_two_starts_fit_alike_and_disagree_where_it_is_not_identifiable(study, solver):
    with pytest.warns(IdentifiabilityWarning, match="every key"):
        one, two = (CPBM("movie", solver, l2=0).fit(study, np.random.default_rng(seed)) for seed in (1, 2))
    assert one.log_likelihood(study) == pytest.approx(two.log_likelihood(study), abs=1e-6)
    # Positions without a click have examination 0 in every fit.
    clicked = study.clicked.any(axis=0)
    thetas = np.log(one.examination_[clicked]), np.log(two.examination_[clicked])
    assert abs(np.corrcoef(*thetas)[0, 1]) < 0.25
    assert np.abs(one.examination_ - two.examination_).max() > 0.5


def test_two_starts_agree_where_it_is_identifiable(study):
    one, two = (CPBM("rating", l2=0).fit(study, np.random.default_rng(seed)) for seed in (1, 2))
    assert one.examination_ == pytest.approx(two.examination_, abs=0.02)


def test_only_what_is_not_identifiable_is_warned_of(study):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RCPBM("genre").fit(study)
        OEPBM("movie").fit(study)
        CPBM(OEPBM("movie")).fit(study)
    with pytest.warns(IdentifiabilityWarning):
        RCPBM("movie").fit(study)


def test_a_report_says_where_it_is_weakest_and_goes_through_json(study):
    report = identifiability(study)
    row, column, stderr = report.weakest(1)[0]
    assert f"carousel {row}, position {column}" in str(report)
    assert stderr == report.stderr.max()
    assert report.reference == (1, 1)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["verdict"] == report.verdict
    assert json.loads(json.dumps(identifiability(study, "movie").to_dict(), allow_nan=False))["free_scales"] == 150


def test_unknown_attraction_and_screens_without_keys_are_refused(study):
    with pytest.raises(ArgumentError, match="attraction='author'"):
        identifiability(study, "author")
    unknown = type(study)(**{**study.__dict__, "movie": np.full_like(study.movie, -1)})
    with pytest.raises(ArgumentError, match="no cell has a known key"):
        identifiability(unknown, "movie")
