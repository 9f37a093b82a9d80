"""The command line as a user meets it: files in, numbers out, one line and an exit status where something is wrong."""

import inspect
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cltr_twostage import MixturePolicy, Pool, TwoStageLearner, TwoStagePolicy, cli, read_scores
from cltr_twostage.cli.learn import learn
from cltr_twostage.evaluation import ESTIMATORS
from cltr_twostage.simulate import shift_world, tiny_world
from irworks.data import read_click_log
from irworks.errors import ArgumentError
from irworks.testing import Outcome, run_main

TINY = ("--n-candidates", 4, "--k", 3, "--examination", "inverse-rank")
SHIFT = ("--n-candidates", 8, "--k", 4, "--examination", "inverse-rank", "--rank-weights", "dcg")


Run = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs the command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return partial(run_main, cli.main, "cltr-twostage")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny world with propensities, and files made of it: log.csv, logging.csv, target.csv."""
    folder = tmp_path_factory.mktemp("template")
    options = ["--world", "tiny", "--sessions", "2000", "--propensities", "--out", str(folder / "tiny")]
    assert CliRunner().invoke(cli.app, ["simulate", *options]).exit_code == 0
    pd.read_parquet(folder / "tiny/log.parquet").to_csv(folder / "log.csv", index=False)
    scores = pd.read_parquet(folder / "tiny/logging.parquet")
    scores.to_csv(folder / "logging.csv", index=False)
    scores.assign(score_c=-scores["score_c"]).to_csv(folder / "target.csv", index=False)
    return folder


@pytest.fixture
def tiny(run: Run, template: Path, tmp_path: Path) -> Path:
    """A copy of the template in the folder that the command runs in."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return Path("tiny")


def assert_one_line(outcome: Outcome, *words: str) -> None:
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err


def row(outcome: Outcome, **wanted: str) -> dict[str, Any]:
    """The one estimate of a policy, an estimator, or both."""
    rows = [one for one in outcome.json["estimates"] if all(one[key] == value for key, value in wanted.items())]
    assert len(rows) == 1
    return dict(rows[0])


# -- the round --------------------------------------------------------------------------------------------------------


def test_simulate_learn_evaluate_and_explain_go_round(run: Run) -> None:
    given = ["s/log.parquet", "--logging", "s/logging.parquet", *SHIFT]
    few = ["--exposure-samples", 32]

    simulated = run("simulate", "--world", "shift", "--sessions", 8000, "--out", "s", "--json")
    learned = run("learn", *given, "--features", "s/features.parquet", "--out", "l", "--steps", 80, *few, "--json")
    evaluated = run(
        "evaluate", *given, "--target", "s/logging.parquet", "--target", "l/policy", "--samples", 32, "--json"
    )
    explained = run("explain", *given, "--new", "l/policy", "--out", "page.html", "--samples", 32)

    assert [done.status for done in (simulated, learned, evaluated, explained)] == [0, 0, 0, 0]
    assert [done.err for done in (simulated, learned, evaluated, explained)] == [""] * 4
    world = shift_world(np.random.default_rng(0))
    pair = TwoStagePolicy.load("l/policy")
    pair = TwoStagePolicy(pair.candidate_scores, pair.ranker_scores, 8, 4, pool=world.pool)
    truth, before = world.value(pair), world.value(world.logging)
    assert simulated.json["logging_value"] == pytest.approx(before, rel=2e-3)
    assert truth > before + 0.3
    new, old = learned.json["new"], row(evaluated, policy="s/logging.parquet")
    assert abs(new["value"] - truth) < 4 * new["stderr"]
    assert abs(old["value"] - before) < 4 * old["stderr"]
    assert learned.json["difference"]["low"] > 0
    assert row(evaluated, policy="l/policy")["difference_low"] > 0
    assert "Ship both" in explained.out
    assert "<svg" in Path("page.html").read_text()


def test_a_score_table_and_its_policy_folder_are_one_policy(run: Run, tiny: Path) -> None:
    scores = read_scores("target.csv")
    TwoStagePolicy.from_scores(scores, 4, 3).save("folder")

    table = run("evaluate", "log.csv", "--logging", "logging.csv", "--target", "target.csv", *TINY, "--json")
    folder = run("evaluate", "log.csv", "--logging", "logging.csv", "--target", "folder", *TINY, "--json")

    assert row(table)["value"] == row(folder)["value"]
    TwoStagePolicy.from_scores(read_scores("logging.csv"), 4, 3).save("logging")
    alone = run("evaluate", "log.csv", "--logging", "logging", "--target", "folder", *TINY[4:], "--json")
    assert row(alone)["value"] == row(table)["value"]


def test_a_safe_pair_is_a_mixture_that_can_be_evaluated_but_has_no_stages(run: Run, tiny: Path) -> None:
    given = ["log.csv", "--logging", "logging.csv", *TINY]
    learning = ["--features", "tiny/features.parquet", "--steps", 20, "--safe", 1.2, "--out", "safe"]

    learned = run("learn", *given, *learning)
    evaluated = run("evaluate", *given, "--target", "safe/policy", "--json")

    assert learned.status == 0
    assert "safe/learner, which scores new documents (the learned pair itself, for which no bounds hold)" in learned.out
    assert not Path("safe/scores.parquet").exists()
    assert row(evaluated)["max_weight"] < 1.35
    mixture = MixturePolicy.load("safe/policy")
    old = TwoStagePolicy.from_scores(read_scores("logging.csv"), 4, 3)
    ratio = mixture.exposure([1, 0.5, 1 / 3], "exact").value / old.exposure([1, 0.5, 1 / 3], "exact").value
    assert ratio.max() < 1.2 + 1e-6
    assert_one_line(run("explain", *given, "--new", "safe/policy"), "MixturePolicy")
    several = ["log.csv", "log.csv", "--logging", "logging.csv", "--logging", "target.csv", *TINY]
    refused = run("learn", *several, *learning[:-1], "two")
    assert refused.status == 2
    assert "error: safe learning bounds exposure against one policy and 2 made the logs" in refused.err


# -- evaluate ---------------------------------------------------------------------------------------------------------


def test_all_estimators_are_evaluated(run: Run, tiny: Path) -> None:
    done = run("evaluate", "log.csv", "--logging", "logging.csv", "--target", "target.csv", *TINY, "--estimator", "all")
    again = run(
        "evaluate",
        "log.csv",
        "--logging",
        "logging.csv",
        "--target",
        "target.csv",
        *TINY,
        "--estimator",
        "all",
        "--json",
    )

    assert done.status == again.status == 0
    assert done.err == ""
    assert [one["estimator"] for one in again.json["estimates"]] == list(ESTIMATORS)
    assert again.json["not_possible"] == {}
    for name in ESTIMATORS:
        assert name in done.out
    world = tiny_world(np.random.default_rng(0))
    target = world.logging.replace(candidate=-world.logging.candidate_scores)
    truth = target.exposure(world.examination, "exact").value @ world.relevance
    for name in ("exposure-ips", "item-position-ips", "slate-ips", "doubly-robust"):
        found = row(again, estimator=name)
        assert abs(found["value"] - truth) < 4 * found["stderr"]
        assert found["low"] < found["value"] < found["high"]
    assert row(again, estimator="naive-clicks")["value"] < truth - 0.1


def test_differences_are_to_the_first_target_or_to_a_baseline(run: Run, tiny: Path) -> None:
    given = ["evaluate", "log.csv", "--logging", "logging.csv", *TINY, "--json", "--method", "exact"]
    pair = ["--target", "target.csv", "--target", "logging.csv"]

    alone, both = run(*given, "--target", "target.csv"), run(*given, *pair)
    other = run(*given, *pair, "--baseline", "logging.csv")
    extra = run(*given, "--target", "target.csv", "--baseline", "logging.csv")

    assert alone.json["baseline"] is None
    assert "difference" not in row(alone)
    assert both.json["baseline"] == "target.csv"
    assert row(both, policy="target.csv")["difference"] is None
    difference = row(both, policy="logging.csv")["difference"]
    assert difference == pytest.approx(
        row(both, policy="logging.csv")["value"] - row(both, policy="target.csv")["value"]
    )
    assert row(other, policy="target.csv")["difference"] == pytest.approx(-difference)
    assert row(extra, policy="target.csv") == row(other, policy="target.csv")


def test_rank_weights_and_examination_come_from_files_or_by_name(run: Run, tiny: Path) -> None:
    pd.DataFrame({"position": [2, 1, 3], "weight": [0.0, 2.0, 0.0]}).to_csv("weights.csv", index=False)
    given = ["evaluate", "log.csv", "--logging", "logging.csv", "--target", "logging.csv", *TINY, "--json"]

    named = run(*given)
    read = run(*given, "--examination", "tiny/examination.csv")
    dcg = run(*given, "--rank-weights", "dcg")
    first = run(*given, "--rank-weights", "weights.csv", "--method", "exact")

    assert row(read)["value"] == row(named)["value"]
    assert row(dcg)["value"] > 1.1 * row(named)["value"]
    world = tiny_world(np.random.default_rng(0))
    truth = 2 * world.logging.placement("exact").value[:, 0] @ world.relevance
    assert abs(row(first)["value"] - truth) < 4 * row(first)["stderr"]


def test_clipping_and_self_normalisation_reach_the_estimator(run: Run, tiny: Path) -> None:
    given = ["evaluate", "log.csv", "--logging", "logging.csv", "--target", "target.csv", *TINY]

    plain, clipped = run(*given, "--json"), run(*given, "--json", "--clip", 1.1)
    normalized = run(*given, "--json", "--self-normalized")

    assert row(clipped)["max_weight"] == 1.1
    assert row(clipped)["clipped"] > 0
    assert row(clipped)["value"] < row(plain)["value"]
    assert row(normalized)["value"] != row(plain)["value"]
    assert "clipped" in run(*given, "--clip", 1.1).out
    assert_one_line(run(*given, "--estimator", "naive-clicks", "--clip", 1.1), "clip", "naive-clicks")
    assert_one_line(run(*given, "--estimator", "doubly-robust", "--self-normalized"), "self_normalized")
    skipped = run(*given, "--estimator", "all", "--self-normalized")
    assert skipped.status == 0
    assert "not possible: doubly-robust" in skipped.out


@pytest.mark.parametrize("name", ["table.csv", "table.tsv", "table.parquet", "table.json"])
def test_the_table_is_written(run: Run, tiny: Path, name: str) -> None:
    targets = ["--target", "target.csv", "--target", "logging.csv"]

    done = run("evaluate", "log.csv", "--logging", "logging.csv", *targets, *TINY, "--out", name, "--json")

    readers = {
        ".csv": pd.read_csv,
        ".tsv": lambda file: pd.read_csv(file, sep="\t"),
        ".parquet": pd.read_parquet,
        ".json": lambda file: pd.DataFrame(json.loads(Path(file).read_text())["estimates"]),
    }
    table = readers[Path(name).suffix](name)
    assert table["policy"].tolist() == ["target.csv", "logging.csv"]
    assert table["value"].tolist() == pytest.approx([one["value"] for one in done.json["estimates"]])
    assert table["difference"].isna().tolist() == [True, False]


def test_logs_of_several_policies_are_put_together(run: Run, tiny: Path) -> None:
    world = tiny_world(np.random.default_rng(0))
    other = TwoStagePolicy.from_scores(read_scores("target.csv"), 4, 3)
    world.simulate(2000, np.random.default_rng(5), policy=other).to_parquet("other.parquet")
    given = ["evaluate", "log.csv", "other.parquet", "--target", "target.csv", *TINY]

    done = run(*given, "--logging", "logging.csv", "--logging", "target.csv", "--json")
    alone = run("evaluate", "log.csv", "--target", "target.csv", *TINY, "--logging", "logging.csv", "--json")

    truth = other.exposure(world.examination, "exact").value @ world.relevance
    assert done.json["sessions"] == 4000
    assert abs(row(done)["value"] - truth) < 4 * row(done)["stderr"]
    assert row(done)["stderr"] < row(alone)["stderr"]
    assert_one_line(run(*given, "--logging", "logging.csv"), "2 logs and logging policies: 1")
    assert_one_line(run(*given), "2 logs without logging policies")


# -- propensities in columns ------------------------------------------------------------------------------------------


def test_without_the_logging_pair_the_columns_of_the_log_serve(run: Run, tiny: Path) -> None:
    given = ["--target", "target.csv", *TINY, "--estimator", "all", "--method", "exact", "--json"]

    by_columns = run("evaluate", "log.csv", *given)
    by_policy = run("evaluate", "log.csv", "--logging", "logging.csv", *given)

    for name in ("exposure-ips", "item-position-ips", "doubly-robust", "naive-clicks", "direct-method"):
        assert row(by_columns, estimator=name)["value"] == pytest.approx(
            row(by_policy, estimator=name)["value"], rel=1e-6
        )
    assert set(by_columns.json["not_possible"]) == {"slate-ips", "ranker-only-ips"}
    assert "'p_list'" in by_columns.json["not_possible"]["slate-ips"]


def test_missing_propensities_are_listed_for_every_estimator(run: Run, tiny: Path) -> None:
    pd.read_csv("log.csv").drop(columns=["rho0", "p_rank", "propensity"]).to_csv("bare.csv", index=False)
    wanted = ["--estimator", "exposure-ips", "--estimator", "item-position-ips", "--estimator", "slate-ips"]

    done = run("evaluate", "bare.csv", "--target", "target.csv", *TINY, *wanted, "--estimator", "ranker-only-ips")

    assert_one_line(
        done,
        "bare.csv: the propensities of the logging policy are missing",
        "found 'p_candidate'",
        "for exposure-ips column 'rho0', or column 'p_rank'",
        "for item-position-ips column 'propensity', or column 'p_rank'",
        "for slate-ips column 'p_list'",
        "for ranker-only-ips the scores of the logging policy",
    )


def test_propensity_columns_can_be_renamed(run: Run, tiny: Path) -> None:
    pd.read_csv("log.csv").rename(columns={"rho0": "seen"}).drop(columns="p_rank").to_csv("renamed.csv", index=False)
    given = ["--target", "target.csv", *TINY]

    assert run("evaluate", "renamed.csv", *given, "--rho0", "seen").status == 0
    assert_one_line(run("evaluate", "renamed.csv", *given), "'rho0'")


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("rho0", 0, ["'rho0'", "found 0.0", "(0, 1]"]),
        ("rho0", 1.5, ["'rho0'", "found 1.5"]),
        ("rho0", "", ["'rho0'", "not a number"]),
        ("p_candidate", -0.5, ["'p_candidate'"]),
        ("rho0", 0.0123, ["'rho0'", "one document has two values", "policy"]),
    ],
)
def test_a_bad_propensity_is_named_by_line_and_column(
    run: Run, tiny: Path, column: str, value: object, words: list[str]
) -> None:
    table = pd.read_csv("log.csv").astype({column: object})
    table.loc[40, column] = value
    table.to_csv("bad.csv", index=False)

    assert_one_line(run("evaluate", "bad.csv", "--target", "target.csv", *TINY), "bad.csv, line ", *words)


# -- awkward input ----------------------------------------------------------------------------------------------------


def changed(name: str, row: int, column: str, value: object) -> str:
    """A copy of a CSV file with another value in one place."""
    table = pd.read_csv(name).astype({column: object})
    table.loc[row, column] = value
    table.to_csv(f"changed-{name}", index=False)
    return f"changed-{name}"


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("position", 0, ["line 5", "'position'", "found 0", "from 1"]),
        ("click", 2, ["line 5", "'click'", "0 or 1"]),
        ("click", "", ["line 5", "'click'"]),
        ("position", "first", ["line 5", "'position'", "first"]),
        ("doc_id", "", ["line 5", "'doc_id'", "an id is missing"]),
        ("doc_id", "zebra", ["zebra", "the pool lacks"]),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "explain", "learn"])
def test_a_bad_row_of_the_log_is_named(
    run: Run, tiny: Path, command: str, column: str, value: object, words: list[str]
) -> None:
    options = {
        "evaluate": ["--target", "target.csv"],
        "explain": ["--new", "target.csv"],
        "learn": ["--features", "tiny/features.parquet", "--out", "out"],
    }[command]

    done = run(command, changed("log.csv", 3, column, value), "--logging", "logging.csv", *TINY, *options)

    assert_one_line(done, "changed-log.csv", *words)
    assert not Path("out/policy").exists()


@pytest.mark.parametrize("value", ["", "nan", "inf", "high", 1e300])
def test_a_score_that_is_none_is_named(run: Run, tiny: Path, value: object) -> None:
    scores = changed("target.csv", 2, "score_c", value)

    done = run("evaluate", "log.csv", "--logging", "logging.csv", "--target", scores, *TINY)

    assert_one_line(done, "changed-target.csv, line 4, column 'score_c'", "or -inf")


def test_a_score_of_minus_infinity_keeps_a_document_out(run: Run, tiny: Path) -> None:
    never = changed("target.csv", 2, "score_c", "-inf")
    given = ["evaluate", "log.csv", *TINY, "--json"]

    as_target = run(*given, "--logging", "logging.csv", "--target", never)
    as_logging = run(*given, "--logging", never, "--target", "target.csv")

    assert as_target.status == 0
    assert row(as_target)["support_gap"] == 0
    assert_one_line(as_logging, "cannot show", "(query 0, document 2)")


@pytest.fixture
def unsupported(run: Run, tiny: Path) -> list[object]:
    """Options of a log whose pair never shows document 2, which the target shows."""
    never = changed("logging.csv", 2, "score_c", "-inf")
    policy = TwoStagePolicy.from_scores(read_scores(never), 4, 3)
    world = tiny_world(np.random.default_rng(0))
    world.simulate(1000, np.random.default_rng(0), policy=policy).to_parquet("part.parquet")
    return ["part.parquet", "--logging", never, *TINY]


def test_missing_support_stops_warns_or_is_counted(run: Run, unsupported: list[object]) -> None:
    given = ["evaluate", *unsupported, "--target", "target.csv"]

    stopped, warned = run(*given), run(*given, "--support", "warn", "--json")
    dropped = run(*given, "--support", "drop", "--json")

    assert_one_line(stopped, "exposure-ips", "(query 0, document 2)", 'support="drop"')
    assert warned.err.startswith("warning: ")
    assert warned.err.count("\n") == 1
    assert dropped.err == ""
    assert row(warned)["support_gap"] == row(dropped)["support_gap"] > 0.05
    assert_one_line(run(*given, "--estimator", "all"), "(query 0, document 2)")


def test_explain_tells_what_the_log_cannot_say(run: Run, unsupported: list[object]) -> None:
    done = run("explain", *unsupported, "--new", "target.csv")

    assert done.status == 0
    assert done.err.startswith("warning: ")
    assert "largest gaps of support" in done.out
    assert_one_line(run("explain", *unsupported, "--new", "target.csv", "--support", "raise"), "document 2")


def test_text_ids_in_any_order_of_rows_are_understood(run: Run, tiny: Path) -> None:
    rng = np.random.default_rng(0)
    plain = run("evaluate", "log.csv", "--logging", "logging.csv", "--target", "target.csv", *TINY, "--json")
    for name in ("log.csv", "logging.csv", "target.csv"):
        table = pd.read_csv(name)
        table["doc_id"] = "dok/é " + table["doc_id"].astype(str)
        table["query_id"] = "schuhe, größe 43"
        table.iloc[rng.permutation(len(table))].to_csv(f"text-{name}", index=False)

    text = run(
        "evaluate", "text-log.csv", "--logging", "text-logging.csv", "--target", "text-target.csv", *TINY, "--json",
        "--method", "exact",
    )  # fmt: skip

    assert row(text)["value"] == pytest.approx(row(plain)["value"], rel=0.02)


def test_ids_that_are_numbers_in_one_file_and_text_in_another_are_the_same_ids(run: Run, tiny: Path) -> None:
    for name in ("logging.csv", "target.csv"):
        table = pd.read_csv(name)
        extra = pd.DataFrame({"query_id": ["other"], "doc_id": ["x"], "score_c": [0.0], "score_r": [0.0]})
        pd.concat([table, extra]).to_csv(f"text-{name}", index=False)
    plain = run("evaluate", "log.csv", "--logging", "logging.csv", "--target", "target.csv", *TINY, "--json")

    mixed = run("evaluate", "log.csv", "--logging", "text-logging.csv", "--target", "text-target.csv", *TINY, "--json")

    assert row(mixed)["value"] == row(plain)["value"]


def test_tables_must_have_the_same_documents(run: Run, tiny: Path) -> None:
    more = pd.concat(
        [pd.read_csv("target.csv"), pd.DataFrame([[0, 99, 1.0, 1.0]], columns=pd.read_csv("target.csv").columns)]
    )
    more.to_csv("more.csv", index=False)
    more.iloc[[0, 1, 2, 3, 4]].to_csv("less.csv", index=False)
    more.assign(query_id=7).to_csv("others.csv", index=False)
    given = ["evaluate", "log.csv", *TINY]

    assert_one_line(
        run(*given, "--logging", "logging.csv", "--target", "more.csv"), "(query 0, document 99)", "more.csv", "-inf"
    )
    assert_one_line(
        run(*given, "--logging", "logging.csv", "--target", "less.csv"), "(query 0, document 5)", "less.csv"
    )
    assert_one_line(run(*given, "--logging", "others.csv", "--target", "target.csv"), "no query in common")
    assert_one_line(run(*given, "--logging", "logging.csv", "--target", "others.csv"), "others.csv lack")


def test_sizes_that_cannot_be_are_told(run: Run, tiny: Path) -> None:
    given = ["evaluate", "log.csv", "--logging", "logging.csv", "--target", "target.csv", *TINY[4:]]

    assert_one_line(run(*given, "--n-candidates", 2, "--k", 3), "k=3 is larger than n_candidates=2")
    assert_one_line(run(*given, "--n-candidates", 4), "n_candidates and k")
    assert_one_line(run(*given, "--n-candidates", 4, "--k", 2), "lists of 3 documents", "k=2")
    assert_one_line(run(*given, "--n-candidates", 4, "--k", 0), "k=0")


def test_files_that_cannot_be_read_are_told(run: Run, tiny: Path) -> None:
    pd.read_csv("log.csv").to_csv("semicolon.csv", index=False, sep=";")
    pd.read_csv("target.csv").drop(columns="score_r").to_csv("short.csv", index=False)
    Path("empty.csv").touch()
    Path("ragged.csv").write_text("session_id,query_id,doc_id,position,click\n0,0,1,1,0\n0,0,2,2\n")
    Path("log.xlsx").touch()
    Path("folder").mkdir()
    scores = ["--logging", "logging.csv", "--target", "target.csv", *TINY]

    # Semicolons are understood.
    assert run("evaluate", "semicolon.csv", *scores).out == run("evaluate", "log.csv", *scores).out
    assert_one_line(run("evaluate", "ragged.csv", *scores), "ragged.csv, line 3")
    for name in ("missing.csv", "empty.csv", "log.xlsx"):
        assert_one_line(run("evaluate", name, *scores), name)
    given = ["evaluate", "log.csv", "--logging", "logging.csv", *TINY]
    assert_one_line(run(*given, "--target", "short.csv"), "short.csv", "'score_r'", "missing")
    for name in ("missing.csv", "folder", "log.xlsx"):
        assert_one_line(run(*given, "--target", name), name)
    for option in ("--examination", "--rank-weights"):
        assert_one_line(run(*given, "--target", "target.csv", option, "missing.csv"), "missing.csv")


@pytest.mark.parametrize(
    ("option", "table", "words"),
    [
        ("--examination", {"position": [1, 2], "examination": [1, 0.5]}, ["2 ranks", "3 ranks"]),
        ("--examination", {"position": [1, 2, 3], "examination": [1, 0.5, 0]}, ["line 4", "'examination'"]),
        ("--rank-weights", {"position": [1, 2, 3], "weight": [1, -0.5, 0]}, ["line 3", "'weight'", "found -0.5"]),
        ("--rank-weights", {"position": [1, 2, 4], "weight": [1, 0.5, 0]}, ["line 4", "'position'", "from 1 to 3"]),
        ("--rank-weights", {"position": [1, 2, 3]}, ["'weight'", "missing"]),
        ("--rank-weights", {"position": [1, 2], "weight": [1, 1]}, ["2 ranks"]),
    ],
)
def test_weights_of_ranks_that_cannot_be_are_told(
    run: Run, tiny: Path, option: str, table: dict[str, list[float]], words: list[str]
) -> None:
    pd.DataFrame(table).to_csv("ranks.csv", index=False)

    done = run("evaluate", "log.csv", "--logging", "logging.csv", "--target", "target.csv", *TINY, option, "ranks.csv")

    assert_one_line(done, "ranks.csv", *words)


def test_columns_of_the_log_can_have_other_names(run: Run, tiny: Path) -> None:
    table = pd.read_csv("log.csv")[["session_id", "doc_id", "position", "click"]]
    table.rename(columns={"session_id": "visit", "doc_id": "item", "position": "slot"}).to_csv("feed.csv", index=False)
    for name in ("logging.csv", "target.csv"):
        pd.read_csv(name).assign(query_id="all").to_csv(f"feed-{name}", index=False)
    scores = ["--logging", "feed-logging.csv", "--target", "feed-target.csv", *TINY]
    names = ["--query", "none", "--session", "visit", "--doc", "item", "--position", "slot"]

    done = run("evaluate", "feed.csv", *scores, *names)

    assert done.status == 0
    assert_one_line(run("evaluate", "feed.csv", *scores), "'query_id'", "missing")


# -- learn ------------------------------------------------------------------------------------------------------------


LEARN = ("learn", "log.csv", "--logging", "logging.csv", *TINY, "--features", "tiny/features.parquet", "--steps", 20)


@pytest.mark.parametrize("mode", ["alternating", "joint", "independent", "ranker-only", "candidate-only"])
def test_every_mode_writes_a_pair_its_scores_and_its_history(run: Run, tiny: Path, mode: str) -> None:
    done = run(*LEARN, "--mode", mode, "--out", "out", "--json")

    assert done.status == 0
    pair, scores = TwoStagePolicy.load("out/policy"), read_scores("out/scores.parquet")
    assert (pair.n_candidates, pair.k) == (4, 3)
    assert np.array_equal(scores.candidate_scores, pair.candidate_scores)
    assert pd.read_csv("out/history.csv")["step"].is_monotonic_increasing
    assert done.json["difference"]["value"] == pytest.approx(done.json["new"]["value"] - done.json["old"]["value"])
    assert done.json["new"]["n_sessions"] == 400
    old = read_scores("logging.csv")
    assert np.array_equal(pair.ranker_scores, old.ranker_scores) == (mode == "candidate-only")
    assert np.array_equal(pair.candidate_scores, old.candidate_scores) == (mode == "ranker-only")
    learner = TwoStageLearner.load(done.json["learner"])
    assert learner.best_step_ == done.json["best_step"]
    assert np.array_equal(learner.policy_.ranker_scores, pair.ranker_scores)


@pytest.mark.parametrize(
    "options",
    [
        ["--candidate-gradient", "reinforce", "--ranker-gradient", "reinforce"],
        ["--estimator", "doubly-robust"],
        ["--estimator", "direct-method"],
        ["--held-out", 0],
        ["--tower", "mlp", "--hidden", 4, "--hidden", 4, "--device", "cpu", "--learning-rate", 0.01],
        ["--learning-rate", 0.2, "--l2", 0.01, "--samples", 4, "--patience", 1],
    ],
    ids=lambda options: " ".join(map(str, options[:2])),
)
def test_options_of_learning_go_through(run: Run, tiny: Path, options: list[object]) -> None:
    done = run(*LEARN, *options, "--out", "out")

    assert done.status == 0, done.err
    assert "difference" in done.out
    assert TwoStagePolicy.load("out/policy").k == 3
    assert "out/learner, which scores new documents" in done.out
    seen = pd.read_parquet("tiny/features.parquet")
    features = (seen.filter(regex="^c_").to_numpy(), seen.filter(regex="^r_").to_numpy())
    learner = TwoStageLearner.load("out/learner")
    assert learner.policy_for([0, len(seen)], *features).k == 3


def test_defaults_are_those_of_the_learner() -> None:
    own = {parameter.name: parameter.default for parameter in inspect.signature(learn).parameters.values()}
    learner = TwoStageLearner()

    assert (own["patience"], own["steps"], own["samples"]) == (learner.patience, learner.n_steps, learner.n_samples)
    assert (own["l2"], own["held_out"]) == (learner.l2, learner.held_out)


def test_an_interrupted_run_goes_on_from_its_checkpoint(run: Run, tiny: Path) -> None:
    common = [*LEARN[:-2], "--patience", 100, "--json"]

    whole = run(*common, "--out", "whole", "--steps", 60)
    run(*common, "--out", "part", "--steps", 60, "--checkpoint", "state")
    again = run(*common, "--out", "again", "--steps", 60, "--checkpoint", "state", "--resume")

    assert again.json["new"] == whole.json["new"]
    first, second = (TwoStagePolicy.load(f"{name}/policy").candidate_scores for name in ("whole", "again"))
    assert np.array_equal(first, second)
    assert_one_line(run(*common, "--out", "x", "--checkpoint", "state", "--resume", "--seed", 9), "another run")
    assert_one_line(run(*common, "--out", "x", "--resume"), "--checkpoint")


def test_a_feature_far_from_zero_is_not_rounded_away(run: Run, tiny: Path) -> None:
    features = pd.read_parquet("tiny/features.parquet")
    ranker = [name for name in features if name.startswith("r_")]
    features[ranker] = features[ranker].astype(np.float64) + 1.7e9  # seconds since 1970
    features.to_parquet("features.parquet")
    done = run("learn", "log.csv", "--logging", "logging.csv", *TINY, "--features", "features.parquet", "--out", "out")
    assert done.status == 0, done.err
    scores = pd.read_parquet("out/scores.parquet")["score_r"]
    assert scores.nunique() > len(scores) / 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.drop(columns=["r_0", "r_1"]), ["'r_*'"]),
        (lambda table: table.drop(columns=["doc_id"]), ["'doc_id'", "missing"]),
        (lambda table: table.iloc[1:], ["no row for (query 0, document 0)"]),
        (lambda table: pd.concat([table, table.iloc[:1]]), ["line 8", "twice"]),
        (lambda table: table.assign(c_0=["1", "2", "x", "4", "5", "6"]), ["line 4", "'c_0'", "'x'"]),
        (lambda table: table.assign(c_0=[1, 2, 3, np.inf, 5, 6]), ["line 5", "'c_0'", "finite"]),
    ],
    ids=["no feature", "no id", "a row is missing", "a row twice", "text", "infinite"],
)
def test_features_that_cannot_be_are_told(
    run: Run, tiny: Path, change: Callable[[pd.DataFrame], pd.DataFrame], words: list[str]
) -> None:
    change(pd.read_parquet("tiny/features.parquet")).to_csv("features.csv", index=False)

    done = run("learn", "log.csv", "--logging", "logging.csv", *TINY, "--features", "features.csv", "--out", "out")

    assert_one_line(done, "features.csv", *words)
    assert not Path("out").exists()


# -- places -----------------------------------------------------------------------------------------------------------


def test_folders_that_hold_other_things_are_left_alone(run: Run, tiny: Path) -> None:
    Path("precious").mkdir()
    Path("precious/thesis.tex").write_text("\\section{}")
    Path("file").write_text("x")
    Path("empty").mkdir()

    for name in ("precious", "file", "log.csv/below"):
        assert_one_line(run(*LEARN, "--out", name), name.split("/")[0])
        assert_one_line(run("simulate", "--world", "tiny", "--sessions", 5, "--out", name), name.split("/")[0])
    assert [path.name for path in Path("precious").iterdir()] == ["thesis.tex"]
    assert run("simulate", "--world", "tiny", "--sessions", 5, "--out", "empty").status == 0
    assert run("simulate", "--world", "tiny", "--sessions", 7, "--out", "empty").status == 0
    assert len(read_click_log("empty/log.parquet")) == 7


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no folder here that nobody may write to")
def test_a_folder_without_permission_is_told(run: Run, tiny: Path) -> None:
    Path("closed").symlink_to("/proc")

    assert_one_line(run(*LEARN, "--out", "closed/out"), "closed")
    assert_one_line(run("explain", "log.csv", "--logging", "logging.csv", "--new", "target.csv", *TINY, "--out",
                        "closed/page.html"), "closed")  # fmt: skip


def test_names_that_say_no_format_are_told_before_the_work(run: Run, tiny: Path) -> None:
    given = ["evaluate", "log.csv", "--logging", "logging.csv", "--target", "target.csv", *TINY]

    assert_one_line(run(*given, "--out", "table.xlsx"), "table.xlsx")
    assert_one_line(run(*given, "--out", "log.csv/table.csv"), "log.csv")


@pytest.mark.parametrize("fails", ["learning", "the verdict"])
def test_learning_that_fails_leaves_nothing_and_harms_nothing(
    run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ArgumentError("it fails")

    assert run(*LEARN, "--out", "old").status == 0
    before = {path: path.read_bytes() for path in Path("old").rglob("*") if path.is_file()}
    where = "cltr_twostage.train.TwoStageLearner.fit" if fails == "learning" else "cltr_twostage.ExposureIPS.difference"
    monkeypatch.setattr(where, fail)
    standing = sorted(path.name for path in Path().iterdir())

    for name in ("old", "new"):
        assert_one_line(run(*LEARN, "--out", name, "--mode", "joint"), "it fails")

    assert sorted(path.name for path in Path().iterdir()) == standing
    assert {path: path.read_bytes() for path in Path("old").rglob("*") if path.is_file()} == before


def test_a_folder_that_is_used_again_holds_the_last_run_alone(run: Run, tiny: Path) -> None:
    assert run(*LEARN, "--out", "out").status == 0
    assert Path("out/scores.parquet").exists()

    assert run(*LEARN, "--out", "out", "--safe", 1.2).status == 0

    assert sorted(path.name for path in Path("out").iterdir()) == ["about.json", "history.csv", "learner", "policy"]
    assert json.loads(Path("out/about.json").read_text())["command"] == "learn"


def test_a_folder_of_another_command_or_with_files_of_the_user_is_refused(run: Run, tiny: Path) -> None:
    simulate = ["simulate", "--world", "tiny", "--sessions", 5, "--out"]
    assert run(*simulate, "simulated").status == 0
    assert run(*LEARN, "--out", "learned").status == 0
    assert run(*simulate, "mine").status == 0
    Path("mine/notes.txt").write_text("x")

    assert_one_line(run(*LEARN, "--out", "simulated"), "simulated", "is not what learn wrote before")
    assert_one_line(run(*simulate, "learned"), "learned", "is not what simulate wrote before")
    assert_one_line(run(*simulate, "mine"), "mine", "other files", "'notes.txt'")
    assert_one_line(run(*simulate, "."), "cannot be replaced")
    assert Path("mine/notes.txt").read_text() == "x"


def test_nothing_is_written_over_what_is_read(run: Run, tiny: Path) -> None:
    TwoStagePolicy.from_scores(read_scores("target.csv"), 4, 3).save("pair")
    given = ["log.csv", "--logging", "logging.csv", *TINY]
    evaluate = ["evaluate", *given, "--target", "target.csv", "--target", "pair", "--out"]
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}

    for name in ("log.csv", "logging.csv", "target.csv", "pair/scores.parquet"):
        assert_one_line(run(*evaluate, name), f"--out {name} would overwrite")
    Path("page.html").symlink_to("target.csv")
    assert_one_line(run("explain", *given, "--new", "target.csv", "--out", "page.html"), "would overwrite target.csv")
    features = ["--features", "tiny/features.parquet"]
    assert_one_line(
        run("learn", *given, *features, "--out", "tiny"), "--out tiny would overwrite tiny/features.parquet"
    )
    inside = run("learn", *given, *features, "--out", "out", "--checkpoint", "out/state")
    assert_one_line(inside, "--checkpoint out/state lies in --out out")

    Path("page.html").unlink()
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_a_page_is_html_by_its_name(run: Run, tiny: Path) -> None:
    explain = ["explain", "log.csv", "--logging", "logging.csv", "--new", "target.csv", *TINY, "--out"]

    assert_one_line(run(*explain, "page.pdf"), "page.pdf", "not a page by its name", ".html")


# -- what is said before the work -------------------------------------------------------------------------------------


def test_a_log_without_sessions_is_told(run: Run, tiny: Path) -> None:
    pd.read_csv("log.csv").rename(columns={"session_id": "visit"}).to_csv("visits.csv", index=False)
    given = ["evaluate", "visits.csv", "--target", "target.csv", *TINY]

    for logging in ([], ["--logging", "logging.csv"]):
        assert_one_line(run(*given, *logging), "visits.csv", "every session shows one document", "--session")
    assert run(*given, "--session", "visit").status == 0


def test_a_gap_that_is_not_known_is_null(run: Run, tiny: Path) -> None:
    given = ["evaluate", "log.csv", "--target", "target.csv", *TINY, "--estimator", "naive-clicks"]

    without, with_pair = run(*given, "--json"), run(*given, "--logging", "logging.csv", "--json")

    assert row(without)["support_gap"] is None
    assert row(with_pair)["support_gap"] == 0


def test_options_that_nothing_takes_are_refused(run: Run, tiny: Path) -> None:
    assert_one_line(run(*LEARN, "--out", "out", "--estimator", "naive-clicks", "--clip", 2), "clip", "naive-clicks")
    assert_one_line(run(*LEARN, "--out", "out", "--device", "foo"), "device='foo'")
    TwoStagePolicy.from_scores(read_scores("logging.csv"), 4, 3).save("pair")
    given = ["evaluate", "log.csv", "--logging", "pair", "--target", "pair", *TINY[4:]]
    assert_one_line(run(*given, "--n-candidates", 5), "--n-candidates 5", "their own: 4")
    assert_one_line(run(*given, "--k", 2), "--k 2", "their own: 3")
    assert run(*given, "--n-candidates", 4, "--k", 3).status == 0
    assert not Path("out").exists()


def test_a_log_of_a_mixture_can_be_learned_from(run: Run, tiny: Path) -> None:
    scores = read_scores("logging.csv")
    pairs = [TwoStagePolicy.from_scores(scores, size, 3) for size in (4, 4, 5)]
    MixturePolicy(pairs[:2], [0.5, 0.5]).save("alike")
    MixturePolicy(pairs[1:], [1.0, 0.0]).save("apart")
    given = ["learn", "log.csv", *TINY[4:], "--features", "tiny/features.parquet", "--steps", 20, "--out", "out"]

    assert run(*given, "--logging", "alike").status == 0
    assert TwoStagePolicy.load("out/policy").n_candidates == 4
    assert_one_line(run(*given, "--logging", "apart"), "mixes pairs of 4 and 5 candidates")
    assert run(*given, "--logging", "apart", "--n-candidates", 5).status == 0
    assert TwoStagePolicy.load("out/policy").n_candidates == 5


def test_a_folder_in_the_place_of_a_table_is_told(run: Run, tiny: Path) -> None:
    Path("folder.csv").mkdir()
    scores = ["--logging", "logging.csv", "--target", "target.csv", *TINY]

    for name in ("folder.csv", "tiny"):
        assert_one_line(run("evaluate", name, *scores), name, "a folder, and no table")


def test_a_log_without_a_click_is_remarked(run: Run, tiny: Path) -> None:
    pd.read_csv("log.csv").assign(click=0).to_csv("quiet.csv", index=False)

    done = run("evaluate", "quiet.csv", "--logging", "logging.csv", "--target", "target.csv", *TINY)

    assert done.status == 0
    assert "quiet.csv: the log has no click" in done.err


def test_ids_that_are_the_same_number_written_otherwise_are_told(run: Run, tiny: Path) -> None:
    table = pd.read_csv("log.csv").astype({"doc_id": str})
    table.assign(doc_id=table["doc_id"].str.zfill(3)).to_csv("filled.csv", index=False)

    done = run("evaluate", "filled.csv", "--logging", "logging.csv", "--target", "target.csv", *TINY)

    assert_one_line(done, "the log has a document that the pool lacks", "the same number written otherwise")


# -- explain ----------------------------------------------------------------------------------------------------------


def test_explain_speaks_json_and_names_documents(run: Run, tiny: Path) -> None:
    done = run("explain", "log.csv", "--logging", "logging.csv", "--new", "target.csv", *TINY, "--json")

    found = done.json
    parts = found["attribution"]
    gain = sum(parts[name]["value"] for name in ("generator", "ranker", "interaction"))
    assert gain == pytest.approx(parts["gain"]["value"])
    assert parts["ranker"]["value"] == pytest.approx(0)
    assert len(found["documents"]) == 6
    weights = [one["weight"] for one in found["documents"]]
    assert weights == sorted(weights, reverse=True)
    assert found["weights"]["max_weight"] == pytest.approx(weights[0])
    assert (found["old"], found["new"]) == ("logging.csv", "target.csv")


def test_explain_can_compare_two_pairs_neither_of_which_logged(run: Run, tiny: Path) -> None:
    old = changed("logging.csv", 0, "score_r", 2.0)
    given = ["explain", "log.csv", "--logging", "logging.csv", "--old", old, "--new", "target.csv", *TINY]

    done = run(*given, "--out", "page.html", "--estimator", "doubly-robust", "--clip", 3)

    assert done.status == 0
    assert done.out.startswith(f"target.csv against {old}, by doubly-robust")
    assert "page written to page.html" in done.out
    assert f"target.csv against {old}" in Path("page.html").read_text()


# -- simulate, help ---------------------------------------------------------------------------------------------------


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """True values to the third digit are enough here; the round asks for four."""
    monkeypatch.setattr("cltr_twostage.cli.simulate.TRUTH_SAMPLES", 256)


@pytest.mark.parametrize("world", ["tiny", "natural", "shift", "lowrank"])
def test_every_world_is_written_with_its_truth(run: Run, few_draws: None, world: str) -> None:
    done = run("simulate", "--world", world, "--sessions", 50, "--out", "out")

    truth = json.loads(Path("out/truth.json").read_text())
    log, scores = read_click_log("out/log.parquet"), read_scores("out/logging.parquet")
    features, relevance = pd.read_parquet("out/features.parquet"), pd.read_parquet("out/truth.parquet")
    assert done.status == 0
    assert len(log) == 50
    assert 0 < truth["logging_value"] < truth["ideal_value"]
    assert len(truth["examination"]) == truth["k"] == log.n_ranks
    for table in (features, relevance):
        assert table["doc_id"].tolist() == scores.pool.doc_ids.tolist()
    assert relevance["relevance"].between(0, 1).all()
    assert {name[:2] for name in features.columns} == {"qu", "do", "c_", "r_"}
    assert Path("out/README.md").read_text().strip() == truth["about"]
    assert isinstance(Pool.from_log(log), Pool)
    scores.pool.locate(log)


def test_a_seed_gives_a_log_and_another_seed_another(run: Run) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 5)):
        run("simulate", "--world", "tiny", "--sessions", 100, "--seed", seed, "--out", name)

    first, again, other = (Path(name, "log.parquet").read_bytes() for name in "abc")
    assert first == again
    assert first != other


def test_worlds_on_data_need_its_path_and_others_have_no_use_for_it(run: Run, few_draws: None) -> None:
    lines = [f"{user}\t{item}\t{1 + (user * item) % 5}\t0" for user in range(1, 41) for item in range(1, 61)]
    Path("u.data").write_text("\n".join(lines) + "\n")

    done = run("simulate", "--world", "movielens", "--data", "u.data", "--sessions", 50, "--out", "ml")

    assert done.status == 0, done.err
    assert len(read_click_log("ml/log.parquet")) == 50
    assert_one_line(run("simulate", "--world", "letor", "--out", "x"), "letor needs --data")
    assert_one_line(run("simulate", "--world", "tiny", "--data", "u.data", "--out", "x"), "no use")
    assert_one_line(run("simulate", "--world", "letor", "--data", "nowhere", "--out", "x"), "nowhere")


@pytest.mark.data
def test_a_world_on_real_documents_is_written_and_evaluated(run: Run, few_draws: None) -> None:
    data = os.environ.get("IRWORKS_DATA")
    if data is None or not Path(data, "ltr").is_dir():
        pytest.skip("IRWORKS_DATA does not point at the LETOR data")
    done = run("simulate", "--world", "letor", "--data", Path(data, "ltr", "letor"), "--sessions", 500, "--out", "s")
    assert done.status == 0, done.err
    truth = json.loads(Path("s/truth.json").read_text())
    sizes = ["--n-candidates", truth["n_candidates"], "--k", truth["k"], *SHIFT[4:]]

    given = ["s/log.parquet", "--logging", "s/logging.parquet", "--target", "s/logging.parquet", *sizes]
    found = run("evaluate", *given, "--samples", 128, "--json")

    assert abs(row(found)["value"] - truth["logging_value"]) < 4 * row(found)["stderr"] + 0.05


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate"],
        ["evaluate", "log.csv"],
        ["evaluate", "log.csv", "--target", "t.csv"],
        ["evaluate", "log.csv", "--target", "t.csv", "--examination", "dcg", "--estimator", "guess"],
        ["evaluate", "log.csv", "--target", "t.csv", "--examination", "dcg", "--samples", "2"],
        ["explain", "log.csv", "--new", "t.csv", "--examination", "dcg"],
        ["learn", "log.csv", "--logging", "l.csv", "--features", "f.csv", "--examination", "dcg"],
        [
            "learn",
            "log.csv",
            "--logging",
            "l.csv",
            "--features",
            "f.csv",
            "--examination",
            "dcg",
            "--out",
            "o",
            "--held-out",
            "0.9",
        ],
        ["simulate"],
        ["simulate", "--out", "x", "--world", "flat"],
        ["simulate", "--out", "x", "--sessions", "0"],
        ["reproduce"],
        ["evaluate", "--what"],
    ],
    ids=" ".join,
)
def test_bad_usage_ends_with_2(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)

    assert done.status == 2
    assert "Error" in done.err
    assert "Traceback" not in done.err


def test_help_names_every_verb_and_option(run: Run) -> None:
    top = run("--help")
    assert top.status == 0
    for verb in ("evaluate", "explain", "learn", "simulate"):
        assert verb in top.out
        done = run(verb, "-h")
        assert done.status == 0
        assert "--out" in done.out
        assert "--json" in done.out


def test_the_installed_command_is_light_and_ends_without_a_traceback(tmp_path: Path) -> None:
    """A process of its own: the status and the streams as a shell sees them."""
    heavy = "sorted({'torch', 'pandas', 'matplotlib', 'faiss'} & set(sys.modules))"
    script = (
        f"import sys\nfrom cltr_twostage.cli import main\ntry:\n    main()\nfinally:\n    assert not {heavy}, {heavy}"
    )

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    version, usage = call("--version"), call("--help")
    missing = call("simulate", "--world", "letor", "--out", "x")

    assert (version.returncode, version.stderr) == (0, "")
    assert version.stdout.startswith("cltr-twostage ")
    assert (usage.returncode, usage.stderr) == (0, "")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr == "error: --world letor needs --data PATH\n"
