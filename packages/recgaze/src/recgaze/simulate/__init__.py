"""Studies with planted truth, on the real screens and in the published form."""

from recgaze.simulate.behaviour import Behaviour
from recgaze.simulate.world import Simulation, simulate_study

__all__ = ["Behaviour", "Simulation", "simulate_study"]
