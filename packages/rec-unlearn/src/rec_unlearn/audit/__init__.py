"""How sure one may be that a model has forgotten: measures with their controls, attacks, a verdict in words."""

from rec_unlearn.audit.auc import Auc, auc
from rec_unlearn.audit.audit import Audit, Utility, audit, measures
from rec_unlearn.audit.canary import canary_auc, pair_scores
from rec_unlearn.audit.detect import Detectability, detect
from rec_unlearn.audit.floor import Measured, Verdict, judge
from rec_unlearn.audit.membership import likelihood_ratio, loss_attack, sequence_loss, user_losses

__all__ = [
    "Auc",
    "Audit",
    "Detectability",
    "Measured",
    "Utility",
    "Verdict",
    "auc",
    "audit",
    "canary_auc",
    "detect",
    "judge",
    "likelihood_ratio",
    "loss_attack",
    "measures",
    "pair_scores",
    "sequence_loss",
    "user_losses",
]
