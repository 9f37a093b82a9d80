"""Relevances and click probabilities of logs that a fitted model may not have seen."""

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from irworks.data import ClickLog
from irworks.errors import ArgumentError
from ltr_twotower.features import column_order
from ltr_twotower.ids import differing_types
from ltr_twotower.lookup import pair_lookup
from ltr_twotower.options import name_of

if TYPE_CHECKING:
    from ltr_twotower.model import TwoTowerClickModel

__all__ = ["UnknownPairsWarning", "component_proba", "embedding_of", "features_of"]

FloatArray = NDArray[np.float64]


class UnknownPairsWarning(UserWarning):
    """A model with one relevance per (query, document) pair knows no pair of the log that it is to score."""


def features_of(model: "TwoTowerClickModel", log: ClickLog) -> NDArray[np.float32]:
    """The features of a log, float32 [n_pairs, n_features], in the order in which the model was fitted to them.

    Raises:
        ArgumentError: The log has none.
        DataError: They have other names. A fit with `X` knows no names and takes the columns as they come.
    """
    if log.features is None:
        raise ArgumentError(
            f"relevance={name_of(model.relevance)} needs features and the log has none; read it with features=[...]"
        )
    if model.feature_names_ is None:
        return log.features
    problem = f"the features of {log.source} are not those of the fit"
    order = column_order(log.feature_names, model.feature_names_, problem)
    # Sums depend on the layout in memory: the same features give the same relevances to the last bit.
    return np.ascontiguousarray(log.features[:, order])


def embedding_of(model: "TwoTowerClickModel", log: ClickLog) -> FloatArray:
    """float64 [n_pairs], the relevance of each pair of a log; the mean of all for a pair that is not known."""
    found = pair_lookup(model.cells_, log)
    if not (found >= 0).any():
        _warn_of_strangers(model, log)
    return np.where(found >= 0, model.gamma_[found], float(model.gamma_.mean()))


def _warn_of_strangers(model: "TwoTowerClickModel", log: ClickLog) -> None:
    why = ""
    for what, known, wanted in (
        ("query", model.cells_.query_ids, log.query_vocabulary),
        ("document", model.cells_.doc_ids, log.doc_vocabulary),
    ):
        if types := differing_types(known, wanted):
            why += f"; {what} ids are {types[0]} in the model and {types[1]} in the log"
    warnings.warn(
        f"the model knows none of the (query, document) pairs of {log.source}, so all get the mean relevance{why}",
        UnknownPairsWarning,
        stacklevel=4,
    )


def component_proba(model: "TwoTowerClickModel", log: ClickLog, theta: FloatArray, gamma: FloatArray) -> FloatArray:
    """Click probabilities [n, k], NaN where a pair stands at a rank of another component than its own.

    A pair's gamma is known against its own component only: at a rank of another the model says nothing.
    """
    cells = model.cells_
    component = np.full(cells.n_pairs, -1)
    component[cells.pair] = model.labels_[cells.rank]
    found = pair_lookup(cells, log)
    own = np.where(found >= 0, component[found], -1)[log.pairs.index]
    labels = np.full(log.n_ranks, -1)
    n = min(log.n_ranks, len(model.labels_))
    labels[:n] = model.labels_[:n]
    return np.where(own == labels, expit(theta + gamma), np.nan)
