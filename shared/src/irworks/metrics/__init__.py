"""Measures of rankings on arrays, under the names of ir-measures."""

from irworks.metrics.flat import evaluate, mean
from irworks.metrics.names import Measure, parse_measure
from irworks.metrics.padded import average_precision, dcg, ndcg, precision, recall, reciprocal_rank
from irworks.metrics.runs import evaluate_run

__all__ = [
    "Measure",
    "average_precision",
    "dcg",
    "evaluate",
    "evaluate_run",
    "mean",
    "ndcg",
    "parse_measure",
    "precision",
    "recall",
    "reciprocal_rank",
]
