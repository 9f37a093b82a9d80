"""How sure one may be that a model has forgotten: measures with their controls, attacks, a verdict in words."""

from rec_unlearn.audit.auc import Auc, auc
from rec_unlearn.audit.audit import Audit, Utility, audit
from rec_unlearn.audit.canary import canary_auc, pair_scores
from rec_unlearn.audit.floor import Measured, Verdict, judge
from rec_unlearn.audit.membership import likelihood_ratio, loss_attack, sequence_loss, user_losses

__all__ = [
    "Auc",
    "Audit",
    "Measured",
    "Utility",
    "Verdict",
    "auc",
    "audit",
    "canary_auc",
    "judge",
    "likelihood_ratio",
    "loss_attack",
    "pair_scores",
    "sequence_loss",
    "user_losses",
]
