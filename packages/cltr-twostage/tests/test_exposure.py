"""The weights of ranks that exposures are made of."""

import numpy as np
import pytest

from cltr_twostage.exposure import Exposure, checked_rank_weights
from irworks.errors import ArgumentError


def test_rank_weights_are_cut_to_the_length_of_the_lists_and_copied():
    given = np.array([1.0, 0.5, 0.25])
    weights = checked_rank_weights(given, 2)
    given[0] = 7.0
    assert weights.tolist() == [1.0, 0.5]
    assert weights.dtype == np.float64


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0], r"alpha has shape \(1,\); expected a weight for each of 2 ranks"),
        ([[1.0, 2.0]], r"alpha has shape \(1, 2\)"),
        ([1.0, -0.5], "alpha is -0.5 at rank 2"),
        ([np.nan, 1.0], "alpha is nan at rank 1"),
        ([1.0, 1.0, np.inf], "alpha is inf at rank 3"),
    ],
)
def test_bad_rank_weights_are_told_by_name_and_rank(values, message):
    with pytest.raises(ArgumentError, match=message):
        checked_rank_weights(values, 2, "alpha")


def test_an_exposure_without_batches_is_exact():
    values = np.zeros(2)
    assert Exposure(values, values).exact
    assert not Exposure(values, values, np.zeros((16, 2))).exact
