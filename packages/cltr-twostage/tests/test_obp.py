"""Open Bandit Pipeline as the oracle of item-position and full-slate IPS.

It runs in an environment of its own: that of IRWORKS_OBP_PYTHON, an interpreter that has obp, or else the one of the
benchmarks, which uv makes on first use. obp knows no two-stage policies: it is given the probabilities of places and of
lists that this package computes, and has to make the same numbers of them.
"""

import json
import os
import runpy
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cltr_twostage import ItemPositionIPS, Pool, SlateIPS, TwoStagePolicy
from irworks.data import ClickLog
from irworks.simulate import PositionBased, simulate_clicks

PEERS = Path(__file__).parents[3] / "benchmarks" / "peers"
N_LOGS = 12  # every length of list, with and without short queries
INSTALL_SECONDS = 120


class RandomLog:
    """A log of a random pair of policies. Of four, one has queries that are shorter than its lists."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.full = seed % 4 != 0
        self.k = seed % 3 + 1
        n_candidates = self.k + int(rng.integers(0, 3))
        pool = Pool(np.concatenate(([0], np.cumsum(rng.integers(self.k if self.full else 1, 8, size=3)))))
        self.logging, self.target = (
            TwoStagePolicy(
                rng.normal(scale=0.7, size=pool.n_rows),
                rng.normal(scale=0.7, size=pool.n_rows),
                n_candidates,
                self.k,
                pool=pool,
            )
            for _ in range(2)
        )
        self.examination = 1 / np.arange(1, self.k + 1) ** rng.uniform(0.5, 1.5)
        relevance = rng.normal(size=pool.n_rows)
        sessions = int(rng.integers(40, 80))
        self.log: ClickLog = simulate_clicks(self.logging, PositionBased(self.examination), relevance, sessions, rng)

    def columns(self) -> dict[str, np.ndarray]:
        """What obp is given: an entry a shown document."""
        session, rank = np.nonzero(self.log.docs >= 0)
        rows = self.log.docs[session, rank]
        return {
            "slate_id": session,
            "position": rank,
            "reward": self.log.clicks[session, rank].astype(float),
            "item_logging": self.logging.placement("exact").value[rows, rank],
            "item_target": self.target.placement("exact").value[rows, rank],
            "list_logging": np.exp(self.logging.log_prob(self.log.query, self.log.docs))[session],
            "list_target": np.exp(self.target.log_prob(self.log.query, self.log.docs))[session],
        }


@pytest.fixture(scope="module")
def logs() -> list[RandomLog]:
    return [RandomLog(seed) for seed in range(N_LOGS)]


@pytest.fixture(scope="module")
def obp_python() -> str:
    given = os.environ.get("IRWORKS_OBP_PYTHON")
    if given:
        return given
    if not (PEERS / "environments.py").exists():
        pytest.skip("obp is not here: no benchmarks/ beside the packages, and IRWORKS_OBP_PYTHON is not set")
    environments = runpy.run_path(str(PEERS / "environments.py"))
    try:
        return str(environments["OBP"].interpreter(seconds=INSTALL_SECONDS))
    except environments["PeerUnavailableError"] as reason:
        pytest.skip(f"obp cannot be installed: {reason}")


@pytest.fixture(scope="module")
def obp(obp_python: str, logs: list[RandomLog], tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Values [n_logs] by the name of obp's estimator."""
    folder = tmp_path_factory.mktemp("obp")
    columns = {f"{i}_{name}": values for i, one in enumerate(logs) for name, values in one.columns().items()}
    np.savez(folder / "logs.npz", **columns)
    command = [obp_python, str(PEERS / "obp_slate.py"), "--method", "values"]
    files = ["--data", str(folder / "logs.npz"), "--out", str(folder / "out.json")]
    settings = ["--settings", json.dumps({"n_logs": len(logs)})]
    done = subprocess.run(command + files + settings, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "out.npz") as archive:
        return dict(archive)


def ours(estimator: type, logs: list[RandomLog], **options: bool) -> np.ndarray:
    return np.array(
        [estimator(one.examination, **options).fit(one.log, one.logging).value(one.target).value for one in logs]
    )


def test_item_position_ips_is_the_independent_ips_of_obp(obp, logs):
    np.testing.assert_allclose(ours(ItemPositionIPS, logs), obp["SlateIndependentIPS"], rtol=0, atol=1e-12)


def test_slate_ips_is_the_standard_ips_of_obp(obp, logs):
    np.testing.assert_allclose(ours(SlateIPS, logs), obp["SlateStandardIPS"], rtol=0, atol=1e-12)


def test_self_normalised_slate_ips_is_that_of_obp_on_lists_of_one_length(obp, logs):
    # obp averages the weights of lists over their places: lists of unequal length would count unequally.
    full = np.array([one.full for one in logs])
    expected = obp["SelfNormalizedSlateStandardIPS"][full]
    found = ours(SlateIPS, [one for one in logs if one.full], self_normalized=True)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert np.abs(expected - obp["SlateStandardIPS"][full]).max() > 1e-3


def test_self_normalised_item_position_ips_is_that_of_obp_on_lists_of_one_document(obp, logs):
    # obp normalises each position by itself, we normalise the session: one and the same where there is one position.
    single = np.array([one.k == 1 for one in logs])
    found = ours(ItemPositionIPS, [one for one in logs if one.k == 1], self_normalized=True)
    # We multiply by the target's total probability, which the integrals have to about 1e-11, and obp by one.
    np.testing.assert_allclose(found, obp["SelfNormalizedSlateIndependentIPS"][single], rtol=0, atol=1e-10)
