"""The benchmark: controls that mean something, cells that are kept, a page that shows them."""

import json

import numpy as np
import pytest

from irworks.errors import ArgumentError, IrworksError
from rec_unlearn.algorithms import make_algorithm
from rec_unlearn.bench import (
    Cell,
    Trial,
    bench,
    default_algorithms,
    leaderboard,
    make_controls,
    make_trial,
    serve,
    split_for,
)
from rec_unlearn.bench.run import run_cell
from rec_unlearn.data import leave_last_out
from rec_unlearn.models.sequence import NextBasketGRU
from rec_unlearn.models.torch_base import TrainConfig
from rec_unlearn.scenarios import spam
from rec_unlearn.simulate import simulate_baskets

SHARE = "share shown a target"


@pytest.fixture(scope="module")
def trial():
    world = simulate_baskets(np.random.default_rng(2), n_users=180, n_items=80, n_categories=4)
    split = leave_last_out(world.log.of_users(np.arange(150)))
    scenario = spam(split.train, np.random.default_rng(3), n=10, rank=60)
    config = TrainConfig(epochs=8, lr=1e-2, batch_size=32, device="cpu")
    return Trial(
        scenario,
        split_for(scenario, split.test),
        lambda log, seed: NextBasketGRU(16, train=config).fit(log, seed=seed),
        others=world.log.of_users(np.arange(150, 180)),
        seed=1,
        checkpoints=(0.5, 1.0),
        n_references=1,
    )


@pytest.fixture(scope="module")
def controls(trial):
    return make_controls(trial)


def test_doing_nothing_and_training_again_are_the_two_ends(trial, controls):
    half, nothing = serve(trial, controls, make_algorithm("none"))
    assert (half["requests"], nothing["requests"]) == (5, 10)
    assert nothing[SHARE]["value"] == nothing[SHARE]["untouched"] > 0.05
    assert nothing[SHARE]["verdict"] == "not removed"
    again = serve(trial, controls, make_algorithm("retrain"))[-1]
    assert again["overlap"] == 1
    assert again[SHARE]["value"] == again[SHARE]["retrained"][0]
    assert again[SHARE]["verdict"] == "removed within noise"
    assert again["seconds"] > 20 * nothing["seconds"]


def test_what_is_served_does_not_touch_the_deployed_model(trial, controls):
    before = [parameter.clone() for parameter in controls.untouched.parameters()]
    serve(trial, controls, make_algorithm("fine-tune"))
    assert all((old == new).all() for old, new in zip(before, controls.untouched.parameters(), strict=True))


def cells(seeds=(0,), **changes):
    settings = {"users": 150, "others": 40, "requests": 4, "checkpoints": (1.0,), "epochs": 1, "device": "cpu"}
    algorithms = (("none", ()), ("scif", (("damping", 0.01),)), ("exact", ()))
    return [Cell("gru", "spam", seed, algorithms, **{**settings, **changes}) for seed in seeds]


def test_a_grid_is_run_once_kept_and_shown_with_the_cells_that_failed(tmp_path):
    told, grid = [], [*cells((0, 1)), *cells(users=10_000)]
    board = bench(grid, tmp_path, jobs=1, on_result=told.append)
    assert board["algorithm"].tolist() == ["none", "scif (damping=0.01)"]
    assert board["seeds"].tolist() == [2, 2]
    assert {"nDCG@10", "floor", "share", "share, retrained", "times faster", "peak MiB"} <= set(board.columns)
    assert len(told) == 3
    page = (tmp_path / "leaderboard.html").read_text()
    for sentence in ("scif (damping=0.01)", "has no exact removal", "has 700 users in all"):
        assert sentence in page
    again = bench(cells((0, 1)), tmp_path, on_result=told.append)
    assert len(told) == 3
    assert again.equals(board)
    assert json.loads((tmp_path / "results.json").read_text())["failed"] == []


@pytest.mark.parametrize(("model", "own"), [("ease", "exact"), ("popularity", "exact"), ("ials", "warm-start")])
def test_a_model_without_torch_is_compared_with_its_controls(model, own):
    names = default_algorithms(model)
    assert names == ("none", own, "retrain")
    cell = Cell(model, "spam", 0, tuple((name, ()) for name in names), users=60, others=30, requests=5)
    board = leaderboard(run_cell(cell)).set_index("algorithm")
    assert {"share", "log-prob.", "LR attack"} <= set(board.columns)
    assert board.loc["retrain", "overlap"] == 1
    if own == "exact":
        assert board.loc["exact", "overlap"] == 1
        assert board.loc["exact", "share"] == board.loc["exact", "share, retrained"]


def test_an_item_that_left_the_catalogue_does_not_stop_a_cell():
    algorithms = (("exact", ()), ("scif", ()))
    rows = run_cell(Cell("itemknn", "unpopular", 0, algorithms, users=60, others=30, requests=40))
    assert "needs a model with parameters()" in rows[-1]["not_applicable"]
    assert all(np.isfinite(row["AUC of the likelihood-ratio attack"]["value"]) for row in rows[:-1])


def test_a_grid_without_a_result_is_an_error(tmp_path):
    with pytest.raises(IrworksError, match="every cell failed"):
        bench(cells(users=10_000), tmp_path, imports=())
    alone = Cell("ease", "spam", 0, (("scif", ()),), users=60, others=30, requests=5)
    with pytest.raises(IrworksError, match="no algorithm could be run; the first: scif needs a model with parameters"):
        bench([alone], tmp_path, imports=())
    with pytest.raises(ArgumentError, match="no cell"):
        bench([], tmp_path)


@pytest.mark.parametrize("changes", [("model", "x"), ("scenario", "y"), ("algorithms", (("z", ()),))])
def test_a_name_that_stands_for_nothing_is_refused(changes):
    arguments = {"model": "gru", "scenario": "spam", "seed": 0, "algorithms": (), **dict([changes])}
    with pytest.raises(ArgumentError, match="there is no"):
        Cell(**arguments)


@pytest.mark.parametrize(
    "scenario", ["bandwagon", "accounts", "canaries", "sensitive", "random", "popular", "unpopular"]
)
def test_every_scenario_makes_a_trial(scenario):
    trial = make_trial(Cell("gru", scenario, 0, (), users=500, requests=10))
    assert trial.scenario.requests
    assert len(trial.split.test.active_users) > 5
