"""Pairs of items that were planted before training: does the model still know them?"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rec_unlearn.audit.auc import Auc, auc
from rec_unlearn.data import Interactions
from rec_unlearn.protocols import Recommender

__all__ = ["canary_auc", "pair_scores"]

FloatArray = NDArray[np.float64]


def pair_scores(model: Recommender, log: Interactions, users: ArrayLike, pairs: ArrayLike) -> FloatArray:
    """Mean log-probability of the second item after users' histories and the first item: float64 [n_pairs].

    Args:
        model: Whose scores; asked with a step that holds the first item alone behind each history.
        log: Histories of probe users.
        users: int [n], their codes; about 30 do.
        pairs: int [n_pairs, 2], item codes.
    """
    from rec_unlearn.scenarios import with_step

    codes = np.asarray(users, dtype=np.int32)
    results = np.zeros(len(np.asarray(pairs)))
    probes = log.of_users(codes)
    for number, (first, second) in enumerate(np.asarray(pairs, dtype=np.int64)):
        scores = model.scores(with_step(probes, int(first)), codes).astype(np.float64)
        scores -= scores.max(axis=1, keepdims=True)
        results[number] = float((scores[:, second] - np.log(np.exp(scores).sum(axis=1))).mean())
    return results


def canary_auc(
    model: Recommender, log: Interactions, users: ArrayLike, planted: ArrayLike, controls: ArrayLike
) -> tuple[Auc, float]:
    """How well planted pairs can be told from others of their kind, and by how many nats they are likelier.

    Args:
        model: Whose scores.
        log: Histories of probe users.
        users: int [n], codes of the probe users.
        planted: int [n_pairs, 2], pairs that were in the training data.
        controls: int [m, 2], pairs that never were.

    Returns:
        The area under the curve, and the difference of the mean log-probabilities.
    """
    inside, outside = (pair_scores(model, log, users, pairs) for pairs in (planted, controls))
    return auc(inside, outside), float(inside.mean() - outside.mean())
