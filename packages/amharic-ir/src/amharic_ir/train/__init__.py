"""Train encoders on pairs of queries and documents, or on documents alone."""

from amharic_ir.train.config import PAPER, TrainConfig
from amharic_ir.train.encoders import bi_encoder, late_interaction
from amharic_ir.train.mine import mine
from amharic_ir.train.pairs import Pairs, inverse_cloze

__all__ = ["PAPER", "Pairs", "TrainConfig", "bi_encoder", "inverse_cloze", "late_interaction", "mine"]
