import itertools
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from irworks.errors import ArgumentError
from irworks.stats import Interval, bootstrap, compare_many, holm, paired_test, t_interval, wilson


def test_an_interval_reads_as_people_write_it():
    assert str(Interval(0.7312, 0.7118, 0.7491)) == "0.731 [0.712, 0.749]"
    assert f"{Interval(0.7312, 0.7118, 0.7491):.1f}" == "0.7 [0.7, 0.7]"
    assert f"{Interval(0.7312, 0.7118, 0.7491)}" == "0.731 [0.712, 0.749]"
    assert str(Interval(0.00123, 0.0011, 0.0013)) == "0.0012 [0.0011, 0.0013]"
    assert str(Interval(0.0, 0.0, 0.0)) == "0.000 [0.000, 0.000]"


def test_an_interval_knows_what_it_holds():
    interval = Interval(1.0, 0.5, 2.0)
    assert 0.5 in interval
    assert 2.0 in interval
    assert 2.1 not in interval
    assert interval.width == 1.5


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_the_t_interval_is_that_of_scipy(level):
    values = np.random.default_rng(0).normal(3, 2, 12)
    found = t_interval(values, level)
    expected = scipy_stats.ttest_1samp(values, 0).confidence_interval(level)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.estimate, found.level) == (pytest.approx(values.mean()), level)


def test_equal_values_leave_no_doubt():
    assert t_interval([0.1] * 7).width == 0
    assert bootstrap([0.1] * 7, rng=np.random.default_rng(0), method="bca").width == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (3, 17), (95, 100), (1, 1)])
def test_wilson_is_that_of_scipy(successes, n):
    found = wilson(successes, n)
    expected = scipy_stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.estimate == successes / n
    assert 0 <= found.low <= found.high <= 1


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("statistic", [np.mean, np.median, np.std])
def test_the_bootstrap_agrees_with_scipy(method, statistic):
    values = np.random.default_rng(1).exponential(size=60)
    found = bootstrap(values, rng=np.random.default_rng(2), statistic=statistic, n=20_000, method=method)
    theirs = scipy_stats.bootstrap(
        (values,), statistic, n_resamples=20_000, method=method, rng=np.random.default_rng(3)
    ).confidence_interval
    assert found.estimate == statistic(values)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.06 * found.width)


def test_rows_are_drawn_together():
    rng = np.random.default_rng(4)
    x = rng.normal(size=200)
    rows = np.column_stack([x, x + 0.01 * rng.normal(size=200)])

    def mean_difference(samples, axis):
        difference = samples[..., 0] - samples[..., 1]
        return difference.mean(axis=axis)

    paired = bootstrap(rows, rng=rng, statistic=mean_difference)
    of_differences = bootstrap(rows[:, 0] - rows[:, 1], rng=rng)
    assert paired.width == pytest.approx(of_differences.width, rel=0.15)
    assert paired.width < 0.01


def per_sample_mean(sample, axis):
    return sample.mean(axis=axis)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_clusters_are_drawn_whole(method):
    rng = np.random.default_rng(5)
    sizes = rng.integers(1, 9, 80)
    groups = np.repeat(rng.permutation(80), sizes)
    values = (np.repeat(rng.normal(size=80), sizes) + 0.1 * rng.normal(size=sizes.sum()))[:]
    clustered = bootstrap(values, groups=groups, rng=np.random.default_rng(6), method=method)
    slow = bootstrap(values, groups=groups, rng=np.random.default_rng(6), statistic=per_sample_mean, method=method)
    assert (clustered.low, clustered.high) == pytest.approx((slow.low, slow.high), abs=1e-9)
    assert clustered.estimate == pytest.approx(values.mean())
    assert clustered.width > 1.5 * bootstrap(values, rng=np.random.default_rng(6)).width


def test_the_order_of_clustered_rows_does_not_matter_and_names_can_be_texts():
    rng = np.random.default_rng(7)
    values, groups = rng.normal(size=40), np.array([f"g{i % 10}" for i in range(40)])
    order = rng.permutation(40)
    first = bootstrap(values, groups=groups, rng=np.random.default_rng(0))
    second = bootstrap(values[order], groups=groups[order], rng=np.random.default_rng(0))
    assert (first.low, first.high) == pytest.approx((second.low, second.high))


def test_the_same_generator_gives_the_same_interval_in_batches_or_not(monkeypatch):
    values = np.random.default_rng(8).normal(size=50)
    whole = bootstrap(values, rng=np.random.default_rng(1), n=300)
    monkeypatch.setattr("irworks.stats.resampling._DRAWN_AT_ONCE", 700)
    assert bootstrap(values, rng=np.random.default_rng(1), n=300) == whole


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_intervals_cover_the_truth_about_as_often_as_they_say(method):
    rng = np.random.default_rng(9)
    trials = 400
    covered = sum(1.0 in bootstrap(rng.exponential(size=60), rng=rng, n=400, method=method) for _ in range(trials))
    assert 0.89 < covered / trials < 0.98
    t_covered = sum(2.0 in t_interval(rng.normal(2, 1, 5)) for _ in range(trials))
    assert 0.95 in wilson(t_covered, trials, 0.999)


def test_bias_correction_moves_the_interval_of_a_skewed_statistic():
    values = np.random.default_rng(10).lognormal(sigma=1, size=40)
    plain = bootstrap(values, rng=np.random.default_rng(0), n=5000)
    corrected = bootstrap(values, rng=np.random.default_rng(0), n=5000, method="bca")
    assert corrected.low > plain.low
    assert corrected.high > plain.high


@pytest.mark.parametrize(
    ("values", "options", "says"),
    [
        ([1.0], {}, "at least 2 rows"),
        ([1.0, np.nan], {}, "finite"),
        (np.ones((2, 2, 2)), {}, "shape"),
        ([1.0, 2.0], {"n": 1}, "n=1"),
        ([1.0, 2.0], {"method": "basic"}, "basic"),
        ([1.0, 2.0], {"level": 1.0}, "level"),
        ([1.0, 2.0], {"groups": [1]}, "groups has shape"),
        ([1.0, 2.0], {"groups": [1, 1]}, "1 cluster"),
        (np.ones((3, 2)), {}, "one number a sample"),
    ],
)
def test_what_cannot_be_resampled_is_refused(values, options, says):
    with pytest.raises(ArgumentError, match=says):
        bootstrap(values, rng=np.random.default_rng(0), **options)


@pytest.mark.parametrize("n", [5, 40])
def test_paired_tests_are_those_of_scipy(n):
    rng = np.random.default_rng(11)
    a, b = rng.normal(0.4, 1, n), rng.normal(0, 1, n)
    assert paired_test(a, b).p_value == pytest.approx(scipy_stats.ttest_rel(a, b).pvalue)
    assert paired_test(a, b, "wilcoxon").p_value == pytest.approx(scipy_stats.wilcoxon(a, b).pvalue)
    expected = scipy_stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", vectorized=False, n_resamples=5000, rng=rng
    )
    found = paired_test(a, b, "permutation", rng=np.random.default_rng(0), n_permutations=20_000)
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.02 if n > 14 else 1e-12)
    assert found.n == n


def test_the_difference_comes_with_its_interval():
    a, b = np.array([3.0, 4.0, 6.0]), np.array([1.0, 1.0, 2.0])
    for method in ("t", "permutation", "wilcoxon"):
        assert paired_test(a, b, method).difference == t_interval(a - b)
    assert paired_test(a, b, level=0.5).difference == t_interval(a - b, 0.5)


def test_all_signs_are_tried_for_few_pairs():
    difference = np.array([0.3, 0.1, 0.2, -0.1])
    sums = [abs(np.dot(signs, difference)) for signs in itertools.product([-1, 1], repeat=4)]
    expected = np.mean(np.array(sums) >= abs(difference.sum()) - 1e-9)
    assert paired_test(difference, np.zeros(4), "permutation").p_value == expected


@pytest.mark.parametrize("method", ["t", "permutation", "wilcoxon"])
def test_no_difference_at_all_is_no_evidence(method):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = paired_test([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], method)
    assert result.p_value == 1
    assert result.difference == Interval(0, 0, 0)


def test_a_constant_difference_is_certain_for_the_t_test():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert paired_test([1.1, 2.1, 3.1], [1.0, 2.0, 3.0]).p_value < 1e-12
        assert paired_test([2.0, 3.0], [1.0, 2.0]).p_value == 0


@pytest.mark.parametrize("method", ["t", "permutation", "wilcoxon"])
def test_p_values_are_uniform_when_nothing_differs(method):
    rng = np.random.default_rng(12)
    p_values = [
        paired_test(rng.normal(size=20), rng.normal(size=20), method, rng=rng, n_permutations=400).p_value
        for _ in range(300)
    ]
    assert 0.05 in wilson(int((np.array(p_values) <= 0.05).sum()), 300, 0.999)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([1.0, 2.0], [1.0]), "at least 2"),
        (([1.0, 2.0], [1.0, 2.0, 3.0]), "pairs"),
        (([1.0, np.inf], [1.0, 2.0]), "finite"),
        (([1.0, 2.0], [1.0, 3.0], "sign"), "sign"),
        ((np.arange(20.0), np.arange(20.0) ** 2, "permutation"), "needs rng"),
    ],
)
def test_what_cannot_be_tested_is_refused(arguments, says):
    with pytest.raises(ArgumentError, match=says):
        paired_test(*arguments)


def test_holm_on_a_worked_example():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, 0.9, 0.6]), [1, 1, 1])
    assert holm([]).shape == (0,)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_what_its_step_down_procedure_rejects(p_values, alpha):
    adjusted = holm(p_values)
    rejected = np.zeros(len(p_values), dtype=bool)
    for step, index in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[index] * (len(p_values) - step) > alpha:
            break
        rejected[index] = True
    np.testing.assert_array_equal(adjusted <= alpha, rejected)
    assert (adjusted >= np.array(p_values)).all()


@pytest.mark.parametrize("p_values", [[-0.1], [1.1], [math.nan], [[0.1]]])
def test_what_is_no_p_value_is_refused(p_values):
    with pytest.raises(ArgumentError):
        holm(p_values)


def test_many_comparisons_with_a_baseline_are_corrected_and_make_a_table():
    rng = np.random.default_rng(13)
    baseline = rng.normal(size=30)
    others = {"same": baseline + 0.3 * rng.normal(size=30), "better": baseline + 1 + 0.3 * rng.normal(size=30)}
    found = compare_many(baseline, others)
    assert [one.name for one in found] == ["same", "better"]
    assert [one.p_adjusted for one in found] == pytest.approx(holm([one.p_value for one in found]).tolist())
    assert found[1].p_adjusted < 1e-6 < found[0].p_adjusted
    assert found[1].difference.low > 0.8
    assert found[0].p_value == paired_test(others["same"], baseline).p_value
    assert pd.DataFrame(found)["name"].tolist() == ["same", "better"]
    assert compare_many(baseline, {}) == []


@pytest.mark.parametrize(("successes", "n"), [(-1, 4), (5, 4), (0, 0)])
def test_an_impossible_count_is_refused(successes, n):
    with pytest.raises(ArgumentError):
        wilson(successes, n)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [[1.0, 2.0]]])
def test_an_interval_needs_at_least_two_finite_values(values):
    with pytest.raises(ArgumentError):
        t_interval(values)
