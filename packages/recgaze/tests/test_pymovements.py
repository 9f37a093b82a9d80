"""pymovements as the oracle of I-VT, and where its I-DT differs.

It runs in an environment of its own: that of IRWORKS_PYMOVEMENTS_PYTHON, an interpreter that has pymovements, or else
the one of the benchmarks, which uv makes on first use.
"""

import json
import os
import runpy
import subprocess
from pathlib import Path

import numpy as np
import pytest

from recgaze import events
from recgaze.events import Kind
from recgaze.gaze import Gaze

PEERS = Path(__file__).parents[3] / "benchmarks" / "peers"
N_TRACES = 40
INSTALL_SECONDS = 120
SETTINGS = {"n_traces": N_TRACES + 1, "velocity": 30.0, "min_duration": 50, "dispersion": 1.0, "min_window": 100}


def trace(seed: int) -> dict[str, np.ndarray]:
    """Velocities of rests and jumps with noise at 500 Hz; two thirds of the traces have gaps."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(50, 1500))
    velocity = rng.normal(scale=rng.choice([5, 12]), size=(n, 2)) + 200 * (rng.random((n, 1)) < 0.01)
    if seed % 3:
        velocity[rng.random(n) < 0.005] = np.nan
    return {"time": 2 * np.arange(n), "velocity": velocity}


@pytest.fixture(scope="module")
def traces() -> list[dict[str, np.ndarray]]:
    staircase = np.repeat([0.0, 5.0, 9.0], [60, 60, 60])
    last = {"time": 2 * np.arange(180), "velocity": np.zeros((180, 2)), "position": np.stack([staircase] * 2, axis=1)}
    return [*(trace(seed) for seed in range(N_TRACES)), last]


@pytest.fixture(scope="module")
def pymovements_python() -> str:
    given = os.environ.get("IRWORKS_PYMOVEMENTS_PYTHON")
    if given:
        return given
    if not (PEERS / "environments.py").exists():
        pytest.skip("no pymovements: no benchmarks/ beside the packages, and IRWORKS_PYMOVEMENTS_PYTHON is not set")
    environments = runpy.run_path(str(PEERS / "environments.py"))
    try:
        return str(environments["PYMOVEMENTS"].interpreter(seconds=INSTALL_SECONDS))
    except environments["PeerUnavailableError"] as reason:
        pytest.skip(f"pymovements cannot be installed: {reason}")


@pytest.fixture(scope="module")
def pymovements(pymovements_python, traces, tmp_path_factory) -> dict[str, np.ndarray]:
    folder = tmp_path_factory.mktemp("pymovements")
    np.savez(folder / "traces.npz", **{f"{i}_{name}": one[name] for i, one in enumerate(traces) for name in one})
    command = [pymovements_python, str(PEERS / "pymovements_events.py"), "--method", "values"]
    files = ["--data", str(folder / "traces.npz"), "--out", str(folder / "out.json")]
    done = subprocess.run(
        [*command, *files, "--settings", json.dumps(SETTINGS)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    with np.load(folder / "out.npz") as archive:
        return dict(archive)


def test_ivt_has_the_onsets_and_offsets_of_pymovements_for_equal_velocities(pymovements, traces):
    fixations = 0
    for number, one in enumerate(traces):
        gaze = Gaze(one["time"] / 1000, np.zeros(len(one["time"])), np.zeros(len(one["time"])), unit="deg")
        found = events.ivt(gaze, 30.0, min_duration=0.05, speed=np.hypot(*one["velocity"].T)).of(Kind.FIXATION)
        times = one["time"][np.stack([found.onset, found.offset], axis=1)]
        np.testing.assert_array_equal(times, pymovements[f"{number}_ivt"])
        fixations += len(found)
    assert fixations > 100


def test_the_last_sample_of_a_fixation_of_pymovements_breaks_the_threshold_and_ours_does_not(pymovements, traces):
    x = traces[-1]["position"][:, 0]
    found = events.idt(Gaze(np.arange(180) / 500, x, x, unit="deg"), 1.0, 0.1)
    assert (found.onset.tolist(), found.offset.tolist()) == ([0, 60, 120], [59, 119, 179])
    theirs = pymovements[f"{N_TRACES}_idt"] // 2
    assert theirs[0].tolist() == [0, 60]
    assert x[60] - x[0] > 1
