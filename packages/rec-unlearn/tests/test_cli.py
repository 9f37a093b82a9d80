import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from irworks.testing import run_main
from rec_unlearn import cli
from rec_unlearn.data.store import load as load_log
from rec_unlearn.models.store import load

COLUMNS = ("--user-column", "who", "--item-column", "what", "--time-column", "day")


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the command in a folder with purchases.csv: 30 users with 8 rows each, ids are integers."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"who": np.repeat(np.arange(100, 130), 8), "what": rng.integers(0, 20, 240)})
    frame["day"] = np.tile(np.arange(8), 30)
    frame.to_csv("purchases.csv", index=False)
    return partial(run_main, cli.main, "rec-unlearn")


@pytest.fixture
def trained(run):
    """The same, with ease.npz."""
    outcome = run("train", "purchases.csv", "--model", "ease", "--set", "l2=5", "--out", "ease.npz", *COLUMNS)
    assert outcome.status == 0, outcome.err
    return run


def ok(outcome):
    assert outcome.status == 0, outcome.err
    return outcome.out


def refused(outcome):
    assert outcome.status == 2
    assert outcome.err.startswith("error: ")
    return outcome.err


def test_training_says_how_well_the_last_step_is_predicted(run):
    shown = ok(run("train", "purchases.csv", "--model", "popularity", "--out", "pop.npz", *COLUMNS, "--json"))
    facts = json.loads(shown)
    assert 0 < facts["ndcg@10"] < 1
    assert (facts["rows"], facts["users"]) == (240, 30)
    assert type(load("pop.npz")).__name__ == "Popularity"


def test_without_an_order_a_model_that_needs_one_says_what_is_missing_and_others_are_trained(run):
    # Everybody has one basket.
    pd.read_csv("purchases.csv").assign(visit=1).drop_duplicates(["who", "what"]).to_csv("once.csv", index=False)
    words = ("once.csv", *COLUMNS[:4], "--basket-column", "visit", "--out", "m.npz", "--model")
    for model in ("gru", "sets2sets", "markov"):
        said = refused(run("train", *words, model))
        assert f"{model} learns from what follows what" in said
        assert "name the column of time, basket or session" in said
    for model in ("ease", "mf-bpr", "popularity"):
        outcome = run("train", *words, model)
        ok(outcome)
        assert "nobody in once.csv has two steps" in outcome.err
        assert "nDCG" not in outcome.out


def test_rows_in_the_order_in_which_they_stand_are_said_to_be_so_where_order_matters(run):
    words = ("train", "purchases.csv", *COLUMNS[:4], "--out", "m.npz", "--model")
    assert "in the order in which they stand" in run(*words, "markov").err
    assert run(*words, "ease").err == ""


def test_baskets_as_published_are_read(run):
    Path("baskets.json").write_text(json.dumps({"1": [[-1], [1, 2], [3], [2], [-1]], "2": [[-1], [2], [1, 3], [-1]]}))
    shown = ok(run("train", "baskets.json", "--model", "markov", "--out", "m.npz"))
    assert "nDCG@10" in shown


def test_an_account_is_removed_from_the_model_and_the_data_and_what_is_left_can_be_removed_from_again(trained):
    said = ok(trained("remove", "ease.npz", "purchases.csv", "--user", "107", "--out", "one", *COLUMNS))
    assert said.startswith("exact: 8 rows of 1 users removed exactly")
    assert "still hold what was removed" in said
    log = load_log("one/log.npz")
    assert len(log) == 232
    assert 107 not in log.user_ids.tolist()
    shown = ok(
        trained("remove", "one/model.npz", "one/log.npz", "--user", "108", "--user", "109", "--out", "two", "--json")
    )
    report = json.loads(shown)
    assert (report["rows"], report["users"], report["exact"]) == (16, 2, True)
    users = np.arange(12, 15)
    again = load_log("two/log.npz")
    wanted = type(load("ease.npz"))(l2=5).fit(again).scores(again, users)
    assert np.allclose(load("two/model.npz").scores(again, users), wanted, atol=1e-10)


def test_items_of_a_user_and_items_of_everybody_are_removed(trained):
    rows = pd.read_csv("purchases.csv")
    item = int(rows.loc[rows.who == 105, "what"].iloc[0])
    shown = ok(
        trained("remove", "ease.npz", "purchases.csv", "--user", 105, "--item", item, "--out", "a", "--json", *COLUMNS)
    )
    assert json.loads(shown)["rows"] == int(((rows.who == 105) & (rows.what == item)).sum())
    shown = ok(trained("remove", "ease.npz", "purchases.csv", "--item", item, "--out", "b", "--json", *COLUMNS))
    assert json.loads(shown)["rows"] == int((rows.what == item).sum())


def test_a_network_forgets_by_an_influence_step(run):
    small = ("--set", "epochs=1", "--set", "dim=4", "--no-validate")
    ok(run("train", "purchases.csv", "--model", "gru", "--out", "gru.npz", *small, *COLUMNS))
    shown = ok(run("remove", "gru.npz", "purchases.csv", "--user", 107, "--out", "one", "--json", *COLUMNS))
    report = json.loads(shown)
    assert (report["algorithm"], report["exact"], report["applied"]) == ("scif", False, True)
    assert "no exact removal" in refused(
        run("remove", "gru.npz", "purchases.csv", "--user", 107, "--algorithm", "exact", "--out", "two", *COLUMNS)
    )
    assert not Path("two").exists()


def test_a_queue_is_filled_served_and_proved(trained):
    Path("leaving.txt").write_text("111\n112\n")
    assert "exact" in ok(trained("queue", "init", "service", "ease.npz", "purchases.csv", "--max-batch", 2, *COLUMNS))
    assert ok(trained("queue", "add", "service", "--user", 107, "--deadline", "2030-01-01")) == "r000001\n"
    assert ok(trained("queue", "add", "service", "--users-from", "leaving.txt", "--user", 999)).count("\n") == 3
    assert json.loads(ok(trained("queue", "status", "service", "--json")))["waiting"] == 4
    said = ok(trained("queue", "run", "service", "--max-steps", 1))
    assert said.startswith("step 1: 1 applied, 1 refused; exact: 8 rows")
    assert "r000002 refused: it names a user" in said
    assert ok(trained("queue", "run", "service")).startswith("step 2: 2 applied")
    status = json.loads(ok(trained("queue", "status", "service", "--json")))
    assert (status["applied"], status["refused"], status["waiting"]) == (3, 1, 0)
    assert load(status["model"]).n_items_ == 20
    assert "each following from the one before" in ok(trained("queue", "verify", "service"))
    assert ok(trained("queue", "removed", "service", "--user", 111)) == "removed\n"
    assert trained("queue", "removed", "service", "--user", 115).status == 1
    record = Path("service/record.jsonl")
    record.write_text(record.read_text().replace('"applied"', '"refused"', 1))
    broken = trained("queue", "verify", "service")
    assert broken.status == 1
    assert broken.out.startswith("broken at line 2")
    assert "new or empty" in refused(trained("queue", "init", "service", "ease.npz", "purchases.csv", *COLUMNS))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("remove", "ease.npz", "purchases.csv", "--user", "bob", "--out", "o", *COLUMNS), "expected an integer"),
        (("remove", "ease.npz", "purchases.csv", "--user", "9", "--out", "o", *COLUMNS), "has no user 9"),
        (("remove", "ease.npz", "purchases.csv", "--out", "o", *COLUMNS), "nothing is asked for"),
        (("remove", "ease.npz", "purchases.csv", "--user", "105", "--out", "o"), "user"),
        (("remove", "ease.npz", "purchases.csv", "--user", "105", "--out", ".", *COLUMNS), "would overwrite ease.npz"),
        (("remove", "none.npz", "purchases.csv", "--user", "105", "--out", "o", *COLUMNS), "none.npz: no such file"),
        (
            ("remove", "ease.npz", "purchases.csv", "--user", "105", "--algorithm", "magic", "--out", "o", *COLUMNS),
            "there is no algorithm 'magic'",
        ),
        (
            ("remove", "ease.npz", "purchases.csv", "--user", "105", "--set", "x=1", "--out", "o", *COLUMNS),
            "--set needs an --algorithm",
        ),
        (("train", "purchases.csv", "--model", "ease", "--set", "k=1", "--out", "e.npz"), "ease has no setting 'k'"),
        (("train", "purchases.csv", "--model", "ease", "--set", "l2", "--out", "e.npz"), "expected NAME=VALUE"),
        (("train", "purchases.csv", "--model", "crystal", "--out", "e.npz"), "there is no model 'crystal'; there are:"),
        (("bench", "purchases.csv", "--model", "crystal", "--out", "b", *COLUMNS), "there is no model 'crystal'"),
        (("train", "purchases.csv", "--model", "ease", "--out", "purchases.csv"), "would overwrite purchases.csv"),
        (("queue", "run", "nowhere"), "no service is here"),
        (("queue", "status", "nowhere"), "no service is here"),
        (("queue", "verify", "nowhere"), "no service is here"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_and_nothing_is_written(trained, words, message):
    before = sorted(path.name for path in Path.cwd().iterdir())
    assert message in refused(trained(*words))
    assert sorted(path.name for path in Path.cwd().iterdir()) == before


def test_a_benchmark_says_which_algorithm_does_not_fit_a_model(trained):
    words = ("--model", "ease", "--seeds", 1, "--others", 5, "--requests", 3, "--algorithm", "scif", "--jobs", 1)
    found = trained("bench", "purchases.csv", *words, "--algorithm", "exact", "--out", "board", *COLUMNS)
    assert found.status == 0
    assert "exact" in found.out
    assert found.err.count("ease: scif needs a model with parameters()") == 1


def test_data_that_the_model_was_not_trained_on_are_refused(trained):
    pd.read_csv("purchases.csv").query("what < 15").to_csv("fewer.csv", index=False)
    said = refused(trained("remove", "ease.npz", "fewer.csv", "--user", 105, "--out", "o", *COLUMNS))
    assert "was trained on 20 items, fewer.csv has 15" in said


def test_data_that_hold_what_was_removed_are_refused_with_the_file_to_take(trained):
    ok(trained("remove", "ease.npz", "purchases.csv", "--user", 107, "--out", "one", *COLUMNS))
    words = ("one/model.npz", "purchases.csv", "--user", 108, "--out", "two", *COLUMNS)
    said = refused(trained("remove", *words))
    assert "has 240 rows of 30 users; the model stands for 232 of 29" in said
    assert said.strip().endswith("Take one/log.npz, or go on all the same with --other-data")
    assert not Path("two").exists()
    assert "Take one/log.npz" in refused(
        trained("queue", "init", "service", "one/model.npz", "purchases.csv", *COLUMNS)
    )
    warned = trained("remove", *words, "--other-data")
    assert "warning: purchases.csv has 240 rows" in warned.err
    assert len(load_log("two/log.npz")) == 232
    ok(trained("remove", "two/model.npz", "two/log.npz", "--user", 109, "--out", "three"))


def test_columns_other_than_those_of_training_are_noticed(trained):
    pd.read_csv("purchases.csv").iloc[::-1].to_csv("backwards.csv", index=False)
    words = ("remove", "ease.npz", "backwards.csv", "--user", 107, "--out")
    assert "in other steps: name the columns of time" in refused(trained(*words, "one", *COLUMNS[:4]))
    ok(trained(*words, "one", *COLUMNS))


def test_an_audit_of_another_removal_is_said_to_be_one(trained):
    ok(trained("remove", "ease.npz", "purchases.csv", "--user", 107, "--out", "one", *COLUMNS))
    words = ("ease.npz", "one/model.npz", "purchases.csv", "--retrain", 2, *COLUMNS)
    assert "warning" not in trained("audit", *words, "--user", 107).err
    assert "one/model.npz does not stand for purchases.csv without" in trained("audit", *words, "--user", 108).err


def test_a_folder_that_holds_something_is_not_written_to(trained):
    Path("o").mkdir()
    Path("o/mine.txt").write_text("mine")
    assert "new or empty" in refused(
        trained("remove", "ease.npz", "purchases.csv", "--user", 105, "--out", "o", *COLUMNS)
    )
    assert "new or empty" in refused(trained("queue", "init", "o", "ease.npz", "purchases.csv", *COLUMNS))
