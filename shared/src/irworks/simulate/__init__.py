"""Worlds with planted truth: logging policies, Plackett-Luce rankings, click behaviours, simulated click logs."""

from irworks.simulate.behaviours import (
    AdditiveTwoTower,
    Cascade,
    ClickBehaviour,
    DependentClick,
    PositionBased,
    TrustBias,
    log_position_bias,
)
from irworks.simulate.placement import placement_probabilities
from irworks.simulate.plackett_luce import enumerate_rankings, gumbel, log_prob, sample_rankings
from irworks.simulate.policies import (
    EpsilonGreedy,
    LoggingPolicy,
    PlacementEstimate,
    PlackettLucePolicy,
    RankingSampler,
    estimate_placement,
    mix_scores,
)
from irworks.simulate.sessions import iter_clicks, simulate_clicks
from irworks.simulate.swaps import SwapPolicy

__all__ = [
    "AdditiveTwoTower",
    "Cascade",
    "ClickBehaviour",
    "DependentClick",
    "EpsilonGreedy",
    "LoggingPolicy",
    "PlacementEstimate",
    "PlackettLucePolicy",
    "PositionBased",
    "RankingSampler",
    "SwapPolicy",
    "TrustBias",
    "enumerate_rankings",
    "estimate_placement",
    "gumbel",
    "iter_clicks",
    "log_position_bias",
    "log_prob",
    "mix_scores",
    "placement_probabilities",
    "sample_rankings",
    "simulate_clicks",
]
