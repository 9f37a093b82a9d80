from functools import partial

import pytest

from amharic_ir import cli
from irworks.testing import run_main


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return partial(run_main, cli.main, "amharic-ir")


def test_a_simulated_log_is_estimated(run):
    assert run("simulate", "--impressions", 5000, "--rate", 0.5, "--out", "clicks.csv").status == 0
    assert run("estimate", "clicks.csv", "--json").json["rate"] == pytest.approx(0.5, abs=0.05)


def test_bad_input_is_one_sentence_and_status_2(run):
    done = run("estimate", "missing.csv")
    assert done.status == 2
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) == 1
