"""What a fit does with a log that does not identify theta: warn, stop, or compare only what can be compared."""

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irworks.errors import IrworksError
from ltr_twotower.identify import Tower, identified_groups, nothing_to_learn, with_bias_features
from ltr_twotower.options import name_of
from ltr_twotower.swaps import SwapGraph, groups_of

__all__ = ["NotIdentifiedError", "NotIdentifiedWarning", "OnUnidentified", "comparable_labels"]

FloatArray = NDArray[np.float64]
OnUnidentified = Literal["warn", "raise", "component-normalize"]


class NotIdentifiedError(IrworksError):
    """The log does not identify the position bias; the message names the groups of ranks that cannot be compared."""


class NotIdentifiedWarning(UserWarning):
    """As `NotIdentifiedError`, where the user asked to go on."""


def comparable_labels(
    graph: SwapGraph,
    X: FloatArray | None,
    A: FloatArray | None,
    tower: Tower,
    relevance: object,
    on_unidentified: OnUnidentified,
) -> NDArray[np.int32]:
    """The group of ranks of each rank whose thetas can be compared, int32 [n_ranks]; -1 where nothing was shown.

    Args:
        graph: The swap graph of the log.
        X: float64 [n_pairs, n_features]; None for "embedding".
        A: float64 [n_ranks, n_bias], features of the ranks; None: one theta per rank.
        tower: The kind of the relevance tower.
        relevance: The relevance tower itself, for the message.
        on_unidentified: As for `TwoTowerClickModel`.

    Raises:
        NotIdentifiedError: There are several groups, or no contrast in the clicks, and `on_unidentified="raise"`.

    Warns:
        NotIdentifiedWarning: The same, otherwise.
    """
    found = identified_groups(graph, X, tower)
    if A is not None:
        found = with_bias_features(found, A)
    if graph.cells.all_alike and (found.labels >= 0).sum() > 1:
        text = f"{nothing_to_learn(graph.cells)}; what the model says about theta comes from its ridge alone"
        _say(text, on_unidentified)
    if found.labels.max() > 0:
        text = (
            f"the log does not identify the position bias of a model with relevance={name_of(relevance)}: theta can be "
            f"compared only within these groups of ranks: {groups_of(found.labels)}. Randomise a few swaps between "
            "them (`ltr-twotower check LOG --swaps 200` or check_identifiability(log).suggest_swaps(200) plan them), "
            "or use a relevance tower whose features overlap between ranks"
        )
        _say(text, on_unidentified)
    return found.labels


def _say(text: str, on_unidentified: OnUnidentified) -> None:
    if on_unidentified == "raise":
        raise NotIdentifiedError(text)
    # The line that called fit: above this are comparable_labels, _fit_cells and fit.
    warnings.warn(text, NotIdentifiedWarning, stacklevel=5)
