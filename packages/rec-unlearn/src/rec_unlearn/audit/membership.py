"""Can somebody tell from the model whether a user was in its training data?"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from rec_unlearn.audit.auc import Auc, auc
from rec_unlearn.audit.floor import LEAST
from rec_unlearn.data import Interactions
from rec_unlearn.protocols import Recommender

__all__ = ["likelihood_ratio", "loss_attack", "sequence_loss", "user_losses"]

FloatArray = NDArray[np.float64]


def user_losses(model: Recommender, log: Interactions, users: ArrayLike) -> FloatArray:
    """How badly a model predicts what users did: float64 [n].

    The training loss of a model that has one (`losses`); else `sequence_loss`, for which scores are enough.
    """
    codes = np.asarray(users, dtype=np.int32)
    losses = getattr(model, "losses", None)
    if losses is None:
        return sequence_loss(model, log, codes)
    import torch

    with torch.no_grad():
        parts = [losses(log, codes[start : start + 256]).double().cpu().numpy() for start in range(0, len(codes), 256)]
    return np.concatenate(parts) if parts else np.zeros(0)


def sequence_loss(model: Recommender, log: Interactions, users: ArrayLike) -> FloatArray:
    """Mean negative log of the softmax of the scores at the items of each user's last step: float64 [n].

    The model is asked with the steps before it. Works on any model with `scores`; users with one step are asked with
    none before it.
    """
    codes = np.asarray(users, dtype=np.int32)
    last = np.zeros(int(log.sequence.max(initial=-1)) + 1, dtype=np.int64)
    last[log.sequence] = log.step
    final = np.zeros(log.n_users, dtype=np.int64)
    final[log.user] = log.sequence
    held = (log.sequence == final[log.user]) & (log.step == last[log.sequence])
    before, after = log.keep(~held), log.keep(held)
    result = np.zeros(len(codes))
    for start in range(0, len(codes), 256):
        part = codes[start : start + 256]
        scores = model.scores(before, part).astype(np.float64)
        scores -= scores.max(axis=1, keepdims=True)
        logs = np.maximum(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)), LEAST)
        rows = after.rows_of(part)
        owner = np.repeat(np.arange(len(part)), np.diff(after.user_offsets)[part])
        taken = np.bincount(owner, minlength=len(part))
        hit = np.bincount(owner, logs[owner, after.item[rows]], minlength=len(part))
        result[start : start + 256] = -hit / np.maximum(taken, 1)
    return result


def loss_attack(model: Recommender, members: Interactions, others: Interactions) -> Auc:
    """The plain attack: users with a low loss were trained on (Yeom et al. 2018).

    Args:
        model: The audited model.
        members: Rows of the users who were trained on, or were and have been removed.
        others: Rows of users who never were, with the same items.
    """
    return auc(*(-user_losses(model, log, log.active_users) for log in (members, others)))


def likelihood_ratio(
    model: Recommender, members: Interactions, others: Interactions, references: Sequence[Recommender]
) -> Auc:
    """The attack with reference models: members have a lower loss than a model has that never saw them.

    The score of a user is the mean loss under the references less the loss under the audited model (the offline
    likelihood-ratio attack of Carlini et al. 2022, S&P, with users in place of examples).

    Args:
        model: The audited model.
        members: Rows of the users who were trained on, or were and have been removed.
        others: Rows of users who never were, with the same items.
        references: Models of the same kind that were trained without all of these users; the more, the stronger.

    Raises:
        ArgumentError: There is no reference, or a group is empty.
    """
    if not references:
        raise ArgumentError("there is no reference model; expected at least one, trained without the users asked about")
    groups = []
    for log in (members, others):
        users = log.active_users
        calibrated = np.mean([user_losses(reference, log, users) for reference in references], axis=0)
        groups.append(calibrated - user_losses(model, log, users))
    return auc(*groups)
