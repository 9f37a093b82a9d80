"""`audit`: how sure one may be that a model has forgotten."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from irworks.errors import ArgumentError
from rec_unlearn.audit.auc import Auc
from rec_unlearn.audit.floor import LEAST, Measured, Verdict, worst
from rec_unlearn.audit.membership import likelihood_ratio, loss_attack, user_losses
from rec_unlearn.data import Split
from rec_unlearn.data.interactions import Interactions
from rec_unlearn.evaluate import log_probability, ndcg, overlap, rank_of, share_shown
from rec_unlearn.protocols import Recommender
from rec_unlearn.requests import Removal

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Audit", "Measure", "Utility", "audit", "measures"]


@dataclass(frozen=True)
class Utility:
    """What the removal cost.

    Attributes:
        overlap: Share of the first 10 items on which the audited model agrees with the first retrained one.
        floor: The same between retrained models of different seeds, on average.
        ndcg: nDCG@10 of the audited model; None without a split.
        ndcg_retrained: Mean of the retrained models; None without a split.
        ndcg_floor: Their range; None without a split.
    """

    overlap: float
    floor: float
    ndcg: float | None = None
    ndcg_retrained: float | None = None
    ndcg_floor: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the audited model is as near to a retrained one, and as good, as another retrained one is."""
        near = self.overlap >= self.floor - 0.03
        if self.ndcg is None or self.ndcg_retrained is None or self.ndcg_floor is None:
            return near
        return near and self.ndcg >= self.ndcg_retrained - max(self.ndcg_floor, 0.004)


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        measures: Each with its controls; empty without retrained models.
        membership: Likelihood-ratio attack on the audited model; None without references or users never seen.
        untouched_membership: The same on the model before the request.
        utility: What the removal cost; None without retrained models.
        verdict: In words.
        sentences: Why, a sentence each.
    """

    measures: tuple[Measured, ...]
    membership: Auc | None
    untouched_membership: Auc | None
    utility: Utility | None
    verdict: Verdict
    sentences: tuple[str, ...] = field(default=())

    def to_frame(self) -> "pd.DataFrame":
        """A row a measure: its value, the controls, the floor, the share of the gap that is closed, the verdict."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "measure": one.name,
                    "untouched": one.untouched,
                    "audited": one.value,
                    "retrained": one.target,
                    "floor": one.floor,
                    "gap closed": one.closed,
                    "verdict": one.verdict,
                }
                for one in self.measures
            ]
        )

    def __str__(self) -> str:
        return "\n".join([f"Verdict: {self.verdict}", *self.sentences])


def audit(
    model: Recommender,
    removal: Removal,
    *,
    untouched: Recommender,
    retrained: Sequence[Recommender] = (),
    references: Sequence[Recommender] = (),
    others: Interactions | None = None,
    targets: ArrayLike = (),
    users: ArrayLike | None = None,
    split: Split | None = None,
) -> Audit:
    """Compare a model after a removal with models that never saw what was removed.

    Give what there is: with two retrained models of different seeds every measure gets a floor and a verdict; with
    references and users never seen, membership is tested even where training again is out of the question. No model
    may serve twice: a reference that an algorithm was calibrated with would be blind to what it hides.

    Args:
        model: After the removal.
        removal: What was to be forgotten; of several steps, from the log that `untouched` was trained on.
        untouched: The model before it.
        retrained: Models trained on `removal.after`, of at least two seeds; the first with that of `untouched`.
        references: Models trained on `removal.after` or other users, for the attack; different from `retrained`.
        others: Rows of users whom no model ever saw, with the same items.
        targets: Codes of items whose recommendation is looked at: those pushed by spam, those that are sensitive.
        users: Codes of the users whose recommendations are looked at; by default all who have rows left.
        split: Histories and what came after, for nDCG.

    Raises:
        ArgumentError: There is neither a pair of retrained models nor a reference with users never seen.
    """
    if len(retrained) == 1:
        raise ArgumentError(
            "there is one retrained model; expected two of different seeds, to see how much they differ"
        )
    if not retrained and not (references and others is not None):
        raise ArgumentError(
            "there is nothing to compare with; expected two retrained models, or references and users never seen"
        )
    probes = removal.after.active_users if users is None else np.asarray(users, dtype=np.int32)
    found: list[Measured] = []
    utility = None
    if retrained:
        wanted = measures(removal, probes, targets, references, others)
        found = [one.compare(name, model, untouched, retrained) for name, one in wanted.items()]
        utility = _utility(model, retrained, removal, probes, split)
    membership = before = None
    if references and others is not None:
        membership, before = (likelihood_ratio(m, _members(removal), others, references) for m in (model, untouched))
    verdict = worst([one.verdict for one in found]) if found else _by_membership(membership, before)
    return Audit(tuple(found), membership, before, utility, verdict, _sentences(found, membership, before, utility))


def _members(removal: Removal) -> Interactions:
    """The affected users, with all that they had."""
    return removal.before.of_users(removal.users)


class Measure(NamedTuple):
    """Something to look at.

    Attributes:
        of: From a model to a number.
        resolution: Differences below this do not matter.
    """

    of: Callable[[Recommender], float]
    resolution: float

    def compare(
        self, name: str, model: Recommender, untouched: Recommender, retrained: Sequence[Recommender]
    ) -> Measured:
        """Measure a model and its controls."""
        values = tuple(self.of(one) for one in retrained)
        return Measured(name, self.of(model), self.of(untouched), values, self.resolution)


# In units of the measure: shares and areas, natural logarithms, ranks.
_SHARE, _NATS, _RANKS = 0.02, 0.02, 1.0


def measures(
    removal: Removal,
    probes: ArrayLike,
    targets: ArrayLike = (),
    references: Sequence[Recommender] = (),
    others: Interactions | None = None,
) -> dict[str, Measure]:
    """What is looked at, by name.

    Args:
        removal: What was to be forgotten.
        probes: Codes of the users whose recommendations are looked at, with what is left of their history; where some
            of them lost rows only in part, also with their history as it was ("original input").
        targets: Codes of items.
        references: For the likelihood-ratio attack.
        others: Rows of users never seen, for the attacks.
    """
    members = _members(removal)
    asking = members.active_users
    found = {"loss of the affected users": Measure(lambda m: float(user_losses(m, members, asking).mean()), _NATS)}
    items, users = np.asarray(targets, dtype=np.int64), np.asarray(probes, dtype=np.int32)
    if len(items):
        found |= _of_targets("", removal.after, users, items)
        if np.isin(users, removal.users).any():
            found |= _of_targets(", original input", removal.before, users, items)
    if others is not None:
        unseen = others
        found["AUC of the loss attack"] = Measure(lambda m: loss_attack(m, members, unseen).value, _SHARE)
        if references:
            found["AUC of the likelihood-ratio attack"] = Measure(
                lambda m: likelihood_ratio(m, members, unseen, references).value, _SHARE
            )
    return found


def _of_targets(suffix: str, log: Interactions, users: ArrayLike, items: ArrayLike) -> dict[str, Measure]:
    def best_rank(model: Recommender) -> float:
        return float(np.median(np.min([rank_of(model, log, users, int(item)) for item in np.asarray(items)], axis=0)))

    return {
        f"share shown a target{suffix}": Measure(lambda m: share_shown(m, log, users, items), _SHARE),
        f"log-probability of the targets{suffix}": Measure(
            lambda m: float(np.maximum(log_probability(m, log, users, items), LEAST).mean()), _NATS
        ),
        f"median rank of the best target{suffix}": Measure(best_rank, _RANKS),
    }


def _utility(
    model: Recommender, retrained: Sequence[Recommender], removal: Removal, probes: ArrayLike, split: Split | None
) -> Utility:
    log, first = removal.after, retrained[0]
    agreement = float(overlap(model, first, log, probes).mean())
    floor = float(np.mean([overlap(first, other, log, probes).mean() for other in retrained[1:]]))
    if split is None:
        return Utility(agreement, floor)
    values = [float(ndcg(one, split).mean()) for one in (model, *retrained)]
    return Utility(agreement, floor, values[0], float(np.mean(values[1:])), float(np.ptp(values[1:])))


def _by_membership(membership: Auc | None, before: Auc | None) -> Verdict:
    if membership is None or before is None or before.low <= 0.5:
        return "cannot tell"
    if membership.low <= 0.5 <= membership.high:
        return "removed within noise"
    if membership.high < 0.5:
        return "overshot"
    return "partly" if membership.high < before.value else "not removed"


def _sentences(
    measures: Sequence[Measured], membership: Auc | None, before: Auc | None, utility: Utility | None
) -> tuple[str, ...]:
    found = []
    for one in measures:
        controls = f"untouched {one.untouched:.3g}, retrained {one.target:.3g} (apart by {one.floor:.2g})"
        if one.detectable:
            found.append(f"{one.name}: {one.value:.3g}, {controls}: {one.verdict}, {one.closed:.0%} of the gap closed.")
        else:
            found.append(f"{one.name}: {one.value:.3g}, {controls}: the request leaves no trace that this could see.")
    if membership is not None and before is not None:
        found.append(f"Removed users are told from users never seen with an AUC of {membership}; before, {before}.")
    if utility is not None:
        found.append(f"Agreement with a retrained model {utility.overlap:.3f}; of two of these {utility.floor:.3f}.")
        if utility.ndcg is not None:
            found.append(f"nDCG@10 {utility.ndcg:.4f}; retrained {utility.ndcg_retrained:.4f}.")
    return tuple(found)
