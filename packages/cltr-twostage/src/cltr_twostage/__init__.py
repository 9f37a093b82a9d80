"""Counterfactual evaluation and joint learning of a candidate generator and a ranker from logged clicks."""

from cltr_twostage.agreement import LoggingCheck, check_logging
from cltr_twostage.attribution import Attribution, attribute
from cltr_twostage.data import Pool
from cltr_twostage.direct import DirectMethod, DoublyRobust, NaiveClicks
from cltr_twostage.enumeration import Enumeration, Proof, enumerate_two_stage, prove
from cltr_twostage.estimate import Estimate
from cltr_twostage.estimator import Estimator, NotFittedError, SupportError, SupportWarning
from cltr_twostage.evaluation import compare_policies
from cltr_twostage.examination import dcg_weights, examination_from_additive, inverse_rank, read_examination
from cltr_twostage.exposure import Exposure, Placement
from cltr_twostage.files import load_policy, save_policy
from cltr_twostage.generator import EmbeddingGenerator
from cltr_twostage.ips import ExposureIPS, ItemPositionIPS, RankerOnlyIPS
from cltr_twostage.learning.safe import Safe
from cltr_twostage.mixture import MixturePolicy
from cltr_twostage.policy import TwoStagePolicy
from cltr_twostage.report import GainReport, explain_gain
from cltr_twostage.scores import ScoreTable, read_scores, write_scores
from cltr_twostage.slate import SlateIPS
from cltr_twostage.stage import Stage
from cltr_twostage.train import LearningWarning, TwoStageLearner
from irworks.data import ClickLog, read_click_log

__all__ = [
    "Attribution",
    "ClickLog",
    "DirectMethod",
    "DoublyRobust",
    "EmbeddingGenerator",
    "Enumeration",
    "Estimate",
    "Estimator",
    "Exposure",
    "ExposureIPS",
    "GainReport",
    "ItemPositionIPS",
    "LearningWarning",
    "LoggingCheck",
    "MixturePolicy",
    "NaiveClicks",
    "NotFittedError",
    "Placement",
    "Pool",
    "Proof",
    "RankerOnlyIPS",
    "Safe",
    "ScoreTable",
    "SlateIPS",
    "Stage",
    "SupportError",
    "SupportWarning",
    "TwoStageLearner",
    "TwoStagePolicy",
    "attribute",
    "check_logging",
    "compare_policies",
    "dcg_weights",
    "enumerate_two_stage",
    "examination_from_additive",
    "explain_gain",
    "inverse_rank",
    "load_policy",
    "prove",
    "read_click_log",
    "read_examination",
    "read_scores",
    "save_policy",
    "write_scores",
]
