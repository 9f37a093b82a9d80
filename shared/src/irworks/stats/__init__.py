"""Intervals, paired tests and corrections for many comparisons.

Seeds, queries, users or sessions are the replicates; pass one value of the measure for each.
"""

from irworks.stats.comparisons import Comparison, TestResult, compare_many, holm, paired_test
from irworks.stats.intervals import Interval, t_interval, wilson
from irworks.stats.resampling import bootstrap

__all__ = [
    "Comparison",
    "Interval",
    "TestResult",
    "bootstrap",
    "compare_many",
    "holm",
    "paired_test",
    "t_interval",
    "wilson",
]
