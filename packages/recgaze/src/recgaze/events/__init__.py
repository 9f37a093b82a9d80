"""Fixations, saccades and the like in raw gaze, and how well two sets of them agree."""

from recgaze.events.adaptive import adaptive
from recgaze.events.agreement import Durations, Match, durations, kappa, match, rmsd
from recgaze.events.idt import idt
from recgaze.events.ivt import ivt
from recgaze.events.selection import VELOCITIES, VelocityChoice, choose_velocity, held_out_labels
from recgaze.events.table import Events, Kind
from recgaze.events.velocity import speed

__all__ = [
    "VELOCITIES",
    "Durations",
    "Events",
    "Kind",
    "Match",
    "VelocityChoice",
    "adaptive",
    "choose_velocity",
    "durations",
    "held_out_labels",
    "idt",
    "ivt",
    "kappa",
    "match",
    "rmsd",
    "speed",
]
