import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from recgaze.models import CCM, TCM, NotFittedError, read_selections

COUNTS = np.array([[30, 20, 12], [14, 9, 6], [8, 3, 2]])


@pytest.fixture(scope="module")
def published():
    path = Path(os.environ.get("IRWORKS_DATA", "")) / "recgaze" / "ccm" / "CarouselStudy.csv"
    if not os.environ.get("IRWORKS_DATA") or not path.exists():
        pytest.skip("needs recgaze/ccm/CarouselStudy.csv under IRWORKS_DATA")
    return read_selections(path)


def written_out(model, q, a, g, shape):
    """The formula cell by cell, as in the module's docstring."""
    rows, columns = shape
    result = np.zeros(shape)
    for i, j in itertools.product(range(rows), range(columns)):
        k = columns * i + j
        steps = k if model is TCM else i + j
        attraction = a * g**steps
        result[i, j] = (1 - q) ** steps * (1 - attraction) ** k * attraction
    return result


@pytest.mark.data
@pytest.mark.parametrize(("model", "coarse", "fine"), [(CCM, 0.093, 0.080), (TCM, 0.131, 0.082)])
def test_grid_fits_of_the_published_selections_give_the_known_total_variations(published, model, coarse, fine):
    wide = model().fit(published, grid=np.linspace(0.05, 0.95, 19))
    assert wide.total_variation(published) == pytest.approx(coarse, abs=0.001)
    default = model().fit(published)
    assert default.total_variation(published) == pytest.approx(fine, abs=0.001)
    assert default.probability().sum() <= 1


@pytest.mark.data
@pytest.mark.parametrize(("model", "perplexity"), [(TCM, 22.12), (CCM, 22.24)])
def test_likelihood_fits_of_the_published_selections_give_the_known_perplexities(published, model, perplexity):
    fitted = model().fit(published, objective="conditional")
    assert fitted.perplexity(published) == pytest.approx(perplexity, abs=0.005)


@pytest.mark.parametrize("model", [TCM, CCM])
def test_the_grid_search_finds_what_three_loops_find(model):
    grid = [0.1, 0.35, 0.6]
    shares = COUNTS / COUNTS.sum()
    best = min(
        itertools.product(grid, grid, grid),
        key=lambda at: np.abs(written_out(model, at[0], at[1], 1 - at[2], (3, 3)) - shares).sum(),
    )
    fitted = model().fit(COUNTS, grid=grid)
    assert (fitted.quit_, fitted.attraction_, fitted.discount_) == pytest.approx((best[0], best[1], 1 - best[2]))
    expected = np.abs(written_out(model, best[0], best[1], 1 - best[2], (3, 3)) - shares).sum() / 2
    assert fitted.total_variation(COUNTS) == pytest.approx(expected)


@pytest.mark.parametrize("model", [TCM, CCM])
def test_no_point_of_a_grid_is_more_likely_than_the_likelihood_fit(model):
    fitted = model().fit(COUNTS, objective="conditional")
    values = np.linspace(0.02, 0.98, 25)
    for q, a, g in itertools.product(values[::3], values, values):
        weight = written_out(model, q, a, g, (3, 3))
        likelihood = (COUNTS * np.log(weight / weight.sum())).sum() / COUNTS.sum()
        assert likelihood <= fitted.log_likelihood(COUNTS) + 1e-9


@pytest.mark.parametrize("model", [TCM, CCM])
def test_likelihood_with_empty_screens_recovers_the_parameters_of_a_large_study(model):
    truth = (0.12, 0.2, 0.8)
    probability = written_out(model, *truth, (4, 5))
    counts = np.round(1e7 * probability).astype(int)
    fitted = model().fit(counts, objective="likelihood", without=round(1e7 * (1 - probability.sum())))
    assert (fitted.quit_, fitted.attraction_, fitted.discount_) == pytest.approx(truth, abs=1e-3)


@settings(deadline=None)
@given(
    counts=st.lists(st.lists(st.integers(0, 40), min_size=2, max_size=2), min_size=2, max_size=4),
    objective=st.sampled_from(["tv", "conditional", "likelihood"]),
)
def test_probabilities_never_sum_to_more_than_one(counts, objective):
    counts[0][0] += 1
    for model in (TCM, CCM):
        options = {"grid": [0.05, 0.3, 0.7]} if objective == "tv" else {}
        probability = model().fit(counts, objective, **options).probability()
        assert (probability >= 0).all()
        assert probability.sum() <= 1 + 1e-12


def test_a_uniform_prediction_has_the_perplexity_of_the_grid():
    # A step to the next cell costs nothing and nobody quits: with little attraction all cells are alike.
    model = CCM().fit(COUNTS)
    model.quit_, model.attraction_, model.discount_ = 1e-12, 1e-9, 1 - 1e-12
    assert model.perplexity(COUNTS) == pytest.approx(9, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "mse"}, "objective='mse'"),
        ({"grid": [0.5, 1.0]}, "between 0 and 1"),
        ({"grid": [0.5], "objective": "conditional"}, "grid belongs to"),
        ({"without": 5}, "without=5"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        TCM().fit(COUNTS, **options)


def test_a_model_that_is_not_fitted_says_so():
    with pytest.raises(NotFittedError, match="call fit first"):
        CCM().probability()
