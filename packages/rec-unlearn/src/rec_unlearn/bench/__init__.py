"""The benchmark: algorithms, models, scenarios and seeds against their controls."""

from rec_unlearn.bench.grid import SCENARIOS, Cell, default_algorithms, make_trial
from rec_unlearn.bench.run import bench, leaderboard
from rec_unlearn.bench.trial import Controls, Trial, make_controls, serve, split_for

__all__ = [
    "SCENARIOS",
    "Cell",
    "Controls",
    "Trial",
    "bench",
    "default_algorithms",
    "leaderboard",
    "make_controls",
    "make_trial",
    "serve",
    "split_for",
]
