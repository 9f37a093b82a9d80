"""Examination: read from plain files, checked, and never mistaken for the theta of an additive model."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from cltr_twostage.examination import (
    checked_examination,
    dcg_weights,
    examination_from_additive,
    inverse_rank,
    read_examination,
)
from irworks.errors import ArgumentError, DataError

THETA = [0.0, -0.6851584560867945, -1.0694454347260711, -1.3962091906859109]


def saved_model(folder: Path, combine: str = "pbm", theta: list[float] = THETA, group: list[int] | None = None) -> Path:
    """The two plain files that ltr-twotower writes beside its own, in their format."""
    folder.mkdir()
    labels = group or [0] * len(theta)
    config = {"format": 1, "package": "ltr-twotower", "combine": combine, "n_ranks": len(theta), "labels": labels}
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    lines = [f"{k},{'' if math.isnan(t) else t},,{g}" for k, (t, g) in enumerate(zip(theta, labels, strict=True), 1)]
    (folder / "position_bias.csv").write_text("\n".join(["position,theta,stderr,group", *lines]) + "\n")
    return folder


# -- presets ----------------------------------------------------------------------------------------------------------


def test_the_presets_are_their_formulas() -> None:
    np.testing.assert_allclose(inverse_rank(4), [1, 1 / 2, 1 / 3, 1 / 4])
    np.testing.assert_allclose(inverse_rank(3, power=0.5), [1, 2**-0.5, 3**-0.5])
    np.testing.assert_allclose(inverse_rank(3, power=0), [1, 1, 1])
    np.testing.assert_allclose(dcg_weights(4), [1 / math.log2(k + 1) for k in (1, 2, 3, 4)])


@pytest.mark.parametrize("k", [0, -1, 2.0, True])
def test_a_number_of_ranks_that_is_none_is_refused(k: Any) -> None:
    with pytest.raises(ArgumentError, match="expected a whole number of at least 1"):
        inverse_rank(k)
    with pytest.raises(ArgumentError, match="expected a whole number of at least 1"):
        dcg_weights(k)


def test_a_power_that_would_raise_examination_down_the_list_is_refused() -> None:
    with pytest.raises(ArgumentError, match="power=-1"):
        inverse_rank(3, power=-1)


# -- checking ---------------------------------------------------------------------------------------------------------


def test_probabilities_pass_unchanged_and_are_copied() -> None:
    given_ = np.array([1.0, 0.5, 0.01])
    checked = checked_examination(given_)
    given_[0] = 0.2
    assert checked.tolist() == [1.0, 0.5, 0.01]
    assert checked_examination([1, 0.5]).dtype == np.float64


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([0.0, -0.7, -1.1], "look like log-probabilities or logits.*examination_from_additive"),
        ([1.0, 0.5, 1.2], "1.2 at rank 3.*divide by the largest"),
        ([1.0, 0.5, 0.0], "0.0 at rank 3.*never examined"),
        ([1.0, float("nan")], "nan at rank 2.*never shown"),
        ([1.0, float("inf")], "inf at rank 2"),
        ([], r"shape \(0,\)"),
        ([[1.0, 0.5]], r"shape \(1, 2\)"),
        ("high", "expected numbers"),
        (None, "at rank 1|shape"),
    ],
)
def test_what_is_no_examination_is_refused_with_a_hint(values: Any, says: str) -> None:
    with pytest.raises(ArgumentError, match=says) as error:
        checked_examination(values, "my_curve")
    assert "my_curve" in str(error.value)


def test_a_fitted_position_based_model_gives_its_examination_and_an_additive_one_is_refused() -> None:
    pbm = SimpleNamespace(combine="pbm", examination_=np.exp(THETA))
    np.testing.assert_array_equal(checked_examination(pbm), np.exp(THETA))

    class Additive:
        combine = "additive"

        @property
        def examination_(self) -> None:
            raise AssertionError("must not be asked")

    with pytest.raises(ArgumentError, match=r"combine='additive'; expected 'pbm'.*examination_from_additive"):
        checked_examination(Additive())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_rank_that_a_fitted_model_does_not_know_is_named(value: float) -> None:
    model = SimpleNamespace(combine="pbm", examination_=np.array([1.0, 1.25, value]))
    with pytest.raises(ArgumentError, match=rf"examination is {value} at rank 3"):
        checked_examination(model)


def test_a_fitted_model_that_cannot_compare_its_ranks_is_refused() -> None:
    model = SimpleNamespace(combine="pbm", examination_=np.exp(THETA), labels_=np.array([0, 0, 1, 0]))
    with pytest.raises(ArgumentError, match=r"groups \[0, 0, 1, 0\] that cannot be compared"):
        checked_examination(model)
    model.labels_ = np.zeros(4, dtype=np.int32)
    np.testing.assert_array_equal(checked_examination(model), np.exp(THETA))


# -- reading ----------------------------------------------------------------------------------------------------------


def test_the_examination_of_a_saved_position_based_model_is_exp_of_its_bias(tmp_path: Path) -> None:
    read = read_examination(saved_model(tmp_path / "model"))
    np.testing.assert_allclose(read, np.exp(THETA), rtol=1e-15)


def test_a_saved_bias_with_another_reference_is_read_relative_to_rank_one(tmp_path: Path) -> None:
    shifted = [t + 0.4 for t in THETA]
    np.testing.assert_allclose(read_examination(saved_model(tmp_path / "m", theta=shifted)), np.exp(THETA), rtol=1e-12)


def test_a_saved_additive_model_is_refused_and_the_error_says_how_to_convert(tmp_path: Path) -> None:
    folder = saved_model(tmp_path / "model", combine="additive")
    with pytest.raises(DataError, match="examination_from_additive") as error:
        read_examination(folder)
    assert error.value.found == "additive"
    assert "config.json" in str(error.value)


def test_ranks_that_were_never_shown_or_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    nan = float("nan")
    with pytest.raises(DataError, match="not connected with rank 1: 3"):
        read_examination(saved_model(tmp_path / "a", theta=[0, -0.5, nan], group=[0, 0, -1]))
    with pytest.raises(DataError, match="not connected with rank 1: 2, 4"):
        read_examination(saved_model(tmp_path / "b", theta=[0, 0, -0.7, -0.2], group=[0, 1, 0, 1]))


def test_a_rank_examined_more_than_the_first_becomes_the_reference(tmp_path: Path) -> None:
    read = read_examination(saved_model(tmp_path / "model", theta=[0, 0.2, -0.7]))
    np.testing.assert_allclose(read, np.exp([-0.2, 0, -0.9]), rtol=1e-12)
    fitted = SimpleNamespace(combine="pbm", examination_=np.exp([0, 0.2, -0.7]))
    np.testing.assert_allclose(checked_examination(fitted), read, rtol=1e-12)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a saved click model"):
        read_examination(tmp_path)
    (tmp_path / "config.json").write_text('{"model": "bert"}')
    with pytest.raises(DataError, match="not a saved click model"):
        read_examination(tmp_path)
    (tmp_path / "config.json").write_text('{"model": ')
    with pytest.raises(DataError, match="not readable"):
        read_examination(tmp_path)
    (tmp_path / "config.json").write_text('{"combine": "pbm"}')
    with pytest.raises(DataError, match="no such file"):
        read_examination(tmp_path)


@pytest.mark.parametrize("name", ["e.csv", "e.csv.gz", "e.tsv", "e.parquet"])
def test_a_table_of_positions_is_read_in_any_order(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({"examination": [0.25, 1.0, 0.5], "position": [3, 1, 2], "note": ["c", "a", "b"]})
    file = tmp_path / name
    if name.endswith("parquet"):
        frame.to_parquet(file)
    else:
        frame.to_csv(file, index=False, sep="\t" if ".tsv" in name else ",")
    assert read_examination(file).tolist() == [1.0, 0.5, 0.25]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("position,examination\n1,1\n3,.5\n", "line 3.*positions do not count the ranks.*expected each position"),
        ("position,examination\n1,1\n1,.5\n", "line 3.*positions do not count the ranks"),
        ("position,examination\n0,1\n1,.5\n", "line 2.*positions do not count the ranks"),
        ("position,examination\n1,1\n2,high\n", "line 3.*'examination'.*not a number.*'high'"),
        ("position,examination\n1,1\n2,-0.5\n", "line 3.*rank 2 is out of range.*found -0.5"),
        ("position,examination\n2,0\n1,1\n", "line 2.*rank 2 is out of range.*never examined"),
        ("position,examination\n1,1\n2,\n", "line 3.*not a number"),
        ("position,theta\n1,0\n2,-0.5\n", "'examination'.*missing.*give its folder"),
        ("position,examination\n", "the table is empty"),
        ("", "empty"),
    ],
)
def test_a_bad_table_is_refused_with_its_line_and_column(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "e.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=says):
        read_examination(file)


def test_a_path_that_is_absent_or_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        read_examination(tmp_path / "absent")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DataError, match=r"not a table by its name.*folder of a saved click model"):
        read_examination(tmp_path / "config.json")


# -- converting -------------------------------------------------------------------------------------------------------


@given(
    theta=st.lists(st.floats(-4, 0), min_size=1, max_size=5),
    gamma=st.lists(st.floats(-6, 6), min_size=1, max_size=6),
    seed=st.integers(0, 100),
)
def test_the_converted_curve_is_the_ratio_of_mean_click_rates(
    theta: list[float], gamma: list[float], seed: int
) -> None:
    theta = [0.0, *theta]
    weights = np.random.default_rng(seed).integers(0, 3, len(gamma)).astype(float)
    weights[0] += 1
    got = examination_from_additive(theta, gamma, weights)

    clicks = expit(np.array(theta)[:, None] + np.repeat(gamma, weights.astype(int)))
    expected = clicks.mean(axis=1) / clicks[0].mean()
    np.testing.assert_allclose(got.examination, expected, rtol=1e-12)
    deviation = np.abs(clicks / clicks[0] / expected[:, None] - 1).max()
    assert got.worst_deviation == pytest.approx(deviation, rel=1e-9, abs=1e-12)


def test_rare_clicks_make_the_additive_model_position_based_and_the_conversion_exact() -> None:
    gamma = np.random.default_rng(0).normal(-12, 1, 500)
    got = examination_from_additive(THETA, gamma)
    np.testing.assert_allclose(got.examination, np.exp(THETA), rtol=1e-3)
    assert got.worst_deviation < 2e-3
    assert examination_from_additive(THETA, [-900.0, -901.0]).examination == pytest.approx(np.exp(THETA))


def test_popular_documents_make_the_deviation_large() -> None:
    got = examination_from_additive([0.0, -2.0], [-4.0, 4.0])
    assert got.worst_deviation > 0.5


@pytest.mark.parametrize(
    ("theta", "gamma", "weights", "says"),
    [
        ([0, float("nan")], [0.0], None, "theta"),
        ([0, -1], [], None, "relevance_logits"),
        ([0, -1], [0.0, 1.0], [1.0], r"weights.*expected \[2\]"),
        ([0, -1], [0.0, 1.0], [-1.0, 2.0], "weights"),
        ([0, -1], [0.0, 1.0], [0.0, 0.0], "weights"),
        ([0, 1], [0.0, 1.0], None, "converted examination is .* at rank 2"),
    ],
)
def test_bad_input_to_the_conversion_is_refused(theta: Any, gamma: Any, weights: Any, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        examination_from_additive(theta, gamma, weights)
