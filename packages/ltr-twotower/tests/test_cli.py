"""The command line as a user meets it: files in, numbers out, one line and an exit status where something is wrong."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from irworks.data import read_click_log
from irworks.testing import Outcome, run_main
from ltr_twotower import TwoTowerClickModel, cli
from ltr_twotower.simulate import letor_world

Run = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs the command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return partial(run_main, cli.main, "ltr-twotower")


@pytest.fixture
def simulated(run: Run) -> Callable[..., Path]:
    def make(name: str = "log.parquet", *options: object) -> Path:
        done = run("simulate", "--out", name, "--sessions", 400, "--temperature", 0.3, *options)
        assert done.status == 0, done.err
        return Path(name)

    return make


def small_table() -> pd.DataFrame:
    """Two sessions of one query; ranks 1 and 2 swapped."""
    return pd.DataFrame(
        {
            "session_id": [0, 0, 1, 1],
            "query_id": ["q"] * 4,
            "doc_id": ["a", "b", "b", "a"],
            "position": [1, 2, 1, 2],
            "click": [1, 0, 1, 1],
        }
    )


def assert_one_line(outcome: Outcome, *words: str) -> None:
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err


# -- the round --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.parquet"])
def test_simulate_check_fit_and_report_go_round(run: Run, simulated: Callable[..., Path], name: str) -> None:
    log = simulated(name)
    truth = json.loads(Path(f"{name}.truth.json").read_text())

    check = run("check", log, "--tower", "linear")
    fit = run("fit", log, "--tower", "linear", "--out", "model")
    report = run("report", log, "--out", "report.html")

    assert check.status == fit.status == report.status == 0
    assert check.err == fit.err == report.err == ""
    assert "Identified." in check.out
    assert "saved to model" in fit.out
    assert "No sign of policy bias." in report.out
    assert "<svg" in Path("report.html").read_text()
    model = TwoTowerClickModel.from_pretrained("model")
    assert (np.abs(model.position_bias_ - truth["theta"])[1:] < 4 * model.stderr_[1:]).all()
    assert f"{model.position_bias_[-1]:.4f}" in fit.out


def test_all_formats_hold_the_same_log(run: Run, simulated: Callable[..., Path]) -> None:
    logs = [read_click_log(simulated(name, "--seed", 4)) for name in ("a.csv", "b.csv.gz", "c.parquet")]

    for log in logs[1:]:
        np.testing.assert_array_equal(log.clicks, logs[0].clicks)
        np.testing.assert_allclose(log.features, logs[0].features, rtol=1e-6)
        np.testing.assert_allclose(log.propensities, logs[0].propensities)


@pytest.mark.parametrize("name", ["wide.parquet", "wide.csv"])
def test_the_wide_form_fits_like_the_long_form(run: Run, simulated: Callable[..., Path], name: str) -> None:
    long = simulated("long.parquet", "--world", "toy")
    grouped = pd.read_parquet(long).groupby("session_id")
    wide = pd.DataFrame(
        {
            "query_id": grouped["query_id"].first(),
            "query_doc_ids": grouped["doc_id"].agg(list),
            "positions": grouped["position"].agg(list),
            "clicks": grouped["click"].agg(list),
            "mask": grouped["click"].agg(lambda clicks: [True] * len(clicks)),
        }
    )
    if name.endswith(".csv"):
        wide = wide.map(lambda value: json.dumps(value) if isinstance(value, list) else value)
        wide.to_csv(name, index=False)
    else:
        wide.to_parquet(name, index=False)

    fits = [run("fit", log, "--out", "model", "--json").json for log in (long, name)]

    assert fits[0] == fits[1]
    assert fits[0]["ranks"] == 5


def test_a_table_with_tabs_is_read(run: Run) -> None:
    small_table().to_csv("log.tsv", sep="\t", index=False)

    assert run("check", "log.tsv", "--json").json["identified"]


def test_columns_may_have_other_names(run: Run, simulated: Callable[..., Path]) -> None:
    log = simulated("log.parquet")
    names = {
        "session_id": "visit",
        "query_id": "search",
        "doc_id": "item",
        "position": "slot",
        "click": "bought",
        "propensity": "chance",
        "f_0": "price",
    }
    table = pd.read_parquet(log)[list(names)]
    table.to_parquet("plain.parquet")
    table.rename(columns=names).to_csv("renamed.csv", index=False)
    columns = ["--session", "visit", "--query", "search", "--doc", "item", "--position", "slot", "--click", "bought"]
    options = ["--tower", "linear", "--weight", "known", "--out", "model", "--json"]

    plain = run("fit", "plain.parquet", *options)
    renamed = run("fit", "renamed.csv", *columns, "--propensity", "chance", "--feature", "price", *options)

    assert renamed.json == plain.json
    assert run("check", "renamed.csv", *columns, "--json").status == 0
    assert run("report", "renamed.csv", *columns, "--feature", "price", "--json").status == 0


def test_a_log_without_query_and_session_columns_is_one_query_of_single_rows(run: Run) -> None:
    small_table()[["doc_id", "position", "click"]].to_csv("log.csv", index=False)

    found = run("check", "log.csv", "--query", "none", "--json").json

    assert (found["queries"], found["sessions"], found["impressions"]) == (1, 4, 4)
    assert found["identified"]


# -- numbers for machines ---------------------------------------------------------------------------------------------


def test_every_command_speaks_json(run: Run, simulated: Callable[..., Path]) -> None:
    written = run("simulate", "--out", "log.parquet", "--sessions", 400, "--temperature", 0.3, "--json").json
    check = run("check", "log.parquet", "--json", "--swaps", 20).json
    fit = run("fit", "log.parquet", "--out", "model", "--tower", "linear", "--weight", "count", "--json").json
    report = run("report", "log.parquet", "--json").json

    for found in (written, check, fit, report):
        assert found["sessions"] == 400
        assert found["impressions"] == 4000
    assert len(written["theta"]) == len(fit["position_bias"]) == len(fit["stderr"]) == 10
    assert sum(swap["sessions"] for swap in check["suggested_swaps"]) <= 20
    assert fit["comparable_ranks"] == [list(range(1, 11))]
    assert 0 < fit["ess"] < fit["impressions"]
    assert -1 < fit["log_likelihood"] < 0
    assert report["verdict"] == "no sign of policy bias"


def test_what_is_not_identified_is_null_in_json(run: Run, simulated: Callable[..., Path]) -> None:
    log = simulated("log.csv", "--world", "toy", "--temperature", 0)

    check = run("check", log, "--json")
    fit = run("fit", log, "--out", "model", "--unidentified", "component-normalize", "--json")
    report = run("report", log, "--json")

    assert check.status == 3
    assert check.json["components"] == [[1], [2], [3], [4], [5]]
    assert check.json["stderr_to_rank_1"] == [0.0, None, None, None, None]
    assert fit.json["position_bias"] == [0.0] * 5
    assert fit.json["comparable_ranks"] == [[1], [2], [3], [4], [5]]
    assert report.json["verdict"] == "not identified"


@pytest.mark.parametrize("command", ["check", "fit", "report"])
def test_a_log_of_one_rank_speaks_json_too(run: Run, command: str) -> None:
    small_table().query("position == 1").to_csv("log.csv", index=False)
    options = {"check": [], "fit": ["--out", "model"], "report": ["--tower", "embedding"]}[command]

    done = run(command, "log.csv", "--json", *options)

    assert done.status == 0
    assert done.json["ranks"] == 1


# -- exit status ------------------------------------------------------------------------------------------------------


def test_check_ends_with_3_where_the_log_does_not_identify(run: Run, simulated: Callable[..., Path]) -> None:
    log = simulated("log.parquet", "--temperature", 0)

    embedding, linear = run("check", log), run("check", log, "--tower", "linear")

    assert embedding.status == 3
    assert "NOT IDENTIFIED" in embedding.out
    assert "not comparable" in embedding.out
    assert linear.status == 0
    assert "NOT" not in linear.out


def test_fit_warns_in_one_line_or_stops(run: Run, simulated: Callable[..., Path]) -> None:
    log = simulated("log.parquet", "--temperature", 0)

    warned = run("fit", log, "--out", "model")
    stopped = run("fit", log, "--out", "other", "--unidentified", "raise")

    assert warned.status == 0
    assert warned.err.startswith("warning: the log does not identify")
    assert warned.err.count("\n") == 1
    assert_one_line(stopped, "does not identify", "[1]")
    assert not Path("other").exists()


def test_weighting_that_does_nothing_is_said_aloud(run: Run, simulated: Callable[..., Path]) -> None:
    done = run("fit", simulated("log.parquet", "--temperature", 1), "--out", "model", "--weight", "known")

    assert done.status == 0
    assert "warning: weighting is a no-op" in done.err
    assert "weighting changes nothing" in done.out


def write(table: pd.DataFrame) -> str:
    table.to_csv("log.csv", index=False)
    return "log.csv"


def changed(column: str, row: int, value: object) -> pd.DataFrame:
    table = small_table().assign(propensity=0.5, f_0=1.0).astype({column: object})
    table.loc[row, column] = value
    return table


@pytest.mark.parametrize("command", [["check"], ["fit", "--out", "model"], ["report"]], ids=lambda c: c[0])
@pytest.mark.parametrize(
    ("table", "words"),
    [
        (small_table().drop(columns="click"), ["'click'", "missing"]),
        (changed("position", 2, 0), ["line 4", "'position'", "found 0", "from 1"]),
        (changed("click", 1, 2), ["line 3", "'click'", "found 2", "0 or 1"]),
        (changed("f_0", 3, float("nan")), ["line 5", "'f_0'"]),
        (changed("f_0", 3, float("inf")), ["line 5", "'f_0'", "finite"]),
        (changed("f_0", 3, 7.0), ["line ", "'f_0'", "(q, a)", "changes"]),
        (changed("propensity", 0, 0.0), ["line 2", "'propensity'", "found 0.0"]),
        (changed("propensity", 0, float("nan")), ["line 2", "'propensity'"]),
        (changed("propensity", 0, -0.5), ["line 2", "'propensity'", "found -0.5"]),
        (changed("doc_id", 1, "a"), ["line 3", "'doc_id'", "twice"]),
        (changed("position", 1, 1), ["line 3", "'position'", "twice"]),
        (changed("query_id", 1, "r"), ["line 3", "'query_id'", "two queries"]),
        (changed("position", 2, "first"), ["line 4", "'position'", "first"]),
        (small_table().iloc[:0], ["empty"]),
    ],
    ids=[
        "missing column",
        "position 0",
        "click 2",
        "NaN feature",
        "infinite feature",
        "changing feature",
        "zero propensity",
        "NaN propensity",
        "negative propensity",
        "document twice",
        "position twice",
        "two queries",
        "text position",
        "empty",
    ],
)
def test_bad_rows_end_in_one_line_that_names_them(
    run: Run, command: list[str], table: pd.DataFrame, words: list[str]
) -> None:
    done = run(command[0], write(table), *command[1:])

    assert_one_line(done, "log.csv", *words)
    assert not Path("model").exists()


def test_lists_of_unequal_length_are_told(run: Run) -> None:
    wide = pd.DataFrame({"query_doc_ids": [[1, 2], [1, 2]], "positions": [[1, 2], [1, 2]], "clicks": [[0, 1], [0]]})
    wide.to_parquet("wide.parquet")

    assert_one_line(run("check", "wide.parquet"), "row 1", "'clicks'", "length")


def test_files_that_cannot_be_read_are_told(run: Run) -> None:
    small_table().to_parquet("whole.parquet")
    Path("cut.parquet").write_bytes(Path("whole.parquet").read_bytes()[:-40])
    Path("text.parquet").write_text("session_id,query_id\n")
    Path("empty.csv").touch()
    Path("log.xlsx").touch()
    Path("folder.csv").mkdir()

    unreadable = ("cut.parquet", "text.parquet", "empty.csv", "log.xlsx", "folder.csv")
    for name in ("missing.csv", "missing.parquet", *unreadable):
        assert_one_line(run("check", name), name)


def test_places_that_cannot_be_written_are_told(run: Run) -> None:
    log = write(small_table())
    Path("precious").mkdir()
    Path("precious/config.json").write_text("{}")

    assert_one_line(run("fit", log, "--out", "precious"), "not a saved model")
    assert_one_line(run("fit", log, "--out", "log.csv/model"), "log.csv")
    assert_one_line(run("simulate", "--out", "log.csv/new.csv", "--sessions", 5), "log.csv")
    assert_one_line(run("simulate", "--out", "log.xlsx", "--sessions", 5), "log.xlsx")
    assert Path("precious/config.json").read_text() == "{}"


def test_the_log_that_is_read_is_never_overwritten(run: Run) -> None:
    log, model = Path(write(small_table())), Path("model")
    text = log.read_text()

    assert_one_line(run("report", log, "--out", log), "--out log.csv would overwrite log.csv")
    assert_one_line(run("fit", log, "--out", "."), "--out . would overwrite log.csv")
    assert run("fit", log, "--out", model).status == 0
    log.rename(model / "log.csv")
    assert_one_line(run("fit", model / "log.csv", "--out", model), "would overwrite model/log.csv")
    assert (model / "log.csv").read_text() == text


def test_simulate_replaces_only_logs_that_it_wrote(run: Run, simulated: Callable[..., Path]) -> None:
    log = Path(write(small_table()))
    text = log.read_text()
    Path("new.csv.truth.json").write_text("{}")

    assert_one_line(run("simulate", "--out", log, "--sessions", 5), "log.csv: the file exists and is no simulated log")
    assert_one_line(run("simulate", "--out", "new.csv", "--sessions", 5), "new.csv.truth.json: the file exists")

    assert log.read_text() == text
    assert not Path("new.csv").exists()
    first = simulated("again.csv", "--seed", 1).read_bytes()
    assert simulated("again.csv", "--seed", 2).read_bytes() != first


def test_options_that_do_not_go_together_are_told(run: Run) -> None:
    log = write(small_table())

    assert_one_line(run("fit", log, "--out", "m", "--clip", 3), "--weight")
    assert_one_line(run("fit", log, "--out", "m", "--weight", "count", "--clip", 0.2), "clip")
    assert_one_line(run("fit", log, "--out", "m", "--weight", "known"), "propensities")
    assert_one_line(run("fit", log, "--out", "m", "--tower", "linear"), "features", "--feature on the command line")
    assert_one_line(run("fit", log, "--out", "m", "--l2", 0), "l2")
    assert_one_line(
        run("fit", log, "--out", "m", "--combine", "pbm", "--unidentified", "component-normalize"), "additive"
    )
    assert_one_line(run("check", log, "--tower", "linear"), "features", "--feature on the command line")
    assert_one_line(run("check", log, "--feature", "price"), "price", "missing")
    assert_one_line(run("report", log, "--tower", "linear"), "features")
    assert not Path("m").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "log.csv", "--tower", "quadratic"],
        ["check", "log.csv", "--swaps", "-1"],
        ["fit", "log.csv"],
        ["fit", "log.csv", "--out", "m", "--seed", "-1"],
        ["simulate", "--out", "x.csv", "--temperature", "2"],
        ["simulate", "--out", "x.csv", "--sessions", "0"],
        ["simulate", "--out", "x.csv", "--world", "flat"],
        ["explain", "log.csv"],
        ["check", "log.csv", "--what"],
    ],
    ids=" ".join,
)
def test_bad_usage_ends_with_2(run: Run, arguments: list[str]) -> None:
    write(small_table())

    done = run(*arguments)

    assert done.status == 2
    assert "Error" in done.err
    assert "Traceback" not in done.err


def test_a_log_of_one_document_queries_is_fitted(run: Run) -> None:
    single = small_table().assign(query_id=["a", "b", "c", "d"], session_id=[0, 1, 2, 3], position=1)

    check, fit = run("check", write(single)), run("fit", "log.csv", "--out", "model")

    assert check.status == fit.status == 0
    assert "Only one rank was shown" in check.out


@pytest.mark.parametrize("fill", [0, 1])
def test_a_log_in_which_nothing_or_everything_was_clicked_is_no_success(run: Run, fill: int) -> None:
    log = write(small_table().assign(click=fill))

    check, fit, report = run("check", log), run("fit", log, "--out", "model"), run("report", log)

    assert check.status == 3
    assert run("check", log, "--json").json["identified"] is False
    assert report.out.splitlines()[1].startswith("Cannot tell.")
    for text in (check.out, fit.err, report.out):
        assert "there is nothing to learn theta from" in text


@pytest.mark.parametrize("policy", ["component-normalize", "warn"])
def test_ranks_that_cannot_be_compared_stand_in_groups(run: Run, simulated: Callable[..., Path], policy: str) -> None:
    alone = run("fit", simulated("log.csv", "--temperature", 0), "--out", "model", "--unidentified", policy).out
    together = run("fit", simulated("other.csv"), "--out", "model", "--unidentified", policy).out

    rows = [line.split() for line in alone.splitlines() if line.split()[0].isdigit()]
    assert [row[:2] for row in rows] == [[str(rank), str(rank)] for rank in range(1, 11)]
    assert "only between ranks of the same group" in alone
    assert ("whose first rank is set to 0" in alone) == (policy == "component-normalize")
    assert "group" not in together


def test_the_warning_of_a_fit_names_the_command_that_plans_swaps(run: Run, simulated: Callable[..., Path]) -> None:
    done = run("fit", simulated("log.parquet", "--temperature", 0), "--out", "model")

    assert "ltr-twotower check LOG --swaps" in done.err


@pytest.mark.parametrize("options", [["--tower", "deep"], ["--combine", "pbm"]], ids=["deep", "pbm"])
def test_standard_errors_that_there_are_not_are_explained(
    run: Run, simulated: Callable[..., Path], options: list[str]
) -> None:
    if "deep" in options:
        pytest.importorskip("torch")

    done = run("fit", simulated("log.parquet"), "--out", "model", *options)

    assert "standard errors are nan: there are none for a" in done.out
    assert "nan:" not in run("fit", "log.parquet", "--out", "model").out


@pytest.mark.parametrize(
    ("options", "source"),
    [
        ([], "the propensities in the log"),
        (["--weight", "known"], "the propensities in the log"),
        (["--weight", "count"], "propensities counted in the log"),
        (["--propensity", "none"], "propensities counted in the log"),
        (["--weight", "model", "--clip", "10"], "propensities modelled on the features"),
    ],
)
def test_a_report_says_where_its_weights_come_from(
    run: Run, simulated: Callable[..., Path], options: list[str], source: str
) -> None:
    done = run("report", simulated("log.parquet"), *options)

    assert f"Weights from {source}: effective sample size" in done.out


def test_the_help_of_a_report_names_one_default_for_its_weights(run: Run) -> None:
    lines = run("report", "--help").out
    about = lines[lines.index("--weight") : lines.index("--clip")]

    assert "known ones if logged" in " ".join(about.split())
    assert "[default" not in about


@pytest.mark.parametrize("command", ["simulate", "check", "fit", "report"])
def test_counts_are_whole_numbers_in_json(run: Run, simulated: Callable[..., Path], command: str) -> None:
    log = simulated("log.parquet")
    arguments = {"simulate": ["--out", "x.csv"], "fit": [log, "--out", "m"]}.get(command, [log])

    found = run(command, *arguments, "--json").json

    for name in ("sessions", "impressions", "clicks", "queries", "documents", "ranks"):
        assert isinstance(found[name], int)


# -- simulate, help ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", ["toy", "linear", "omitted-features", "deep-labels", "query-effect"])
@pytest.mark.parametrize("policy", ["expert", "random", "inverse"])
def test_every_world_is_written_with_its_truth(run: Run, world: str, policy: str) -> None:
    done = run("simulate", "--out", "log.parquet", "--world", world, "--policy", policy, "--sessions", 50)

    truth = json.loads(Path("log.parquet.truth.json").read_text())
    log = read_click_log("log.parquet")
    assert done.status == 0
    assert truth["world"] == world
    assert truth["policy"] == policy
    assert len(truth["theta"]) == log.n_ranks
    assert log.doc_vocabulary.max() < len(truth["relevance_logit"])
    assert (log.features is None) == (world == "toy")


def test_the_full_path_of_the_truth_is_printed(run: Run) -> None:
    done = run("simulate", "--out", "log.csv", "--sessions", 20)

    assert f"the truth is in {Path('log.csv.truth.json').resolve()}" in done.out


def test_a_seed_gives_a_log_and_another_seed_another(run: Run, simulated: Callable[..., Path]) -> None:
    first, again, other = (simulated(f"{i}.csv", "--seed", seed).read_bytes() for i, seed in enumerate((3, 3, 5)))

    assert first == again
    assert first != other


def test_propensities_can_be_left_out(run: Run, simulated: Callable[..., Path]) -> None:
    log = simulated("log.csv", "--no-propensities")

    assert read_click_log(log).propensities is None
    assert run("report", log).status == 0


def test_propensities_can_be_ignored(run: Run, simulated: Callable[..., Path]) -> None:
    log = simulated("log.csv")

    known, counted = (run("report", log, *extra, "--json").json["ess"] for extra in ([], ["--propensity", "none"]))

    assert known != counted


def test_help_names_every_option(run: Run) -> None:
    top = run("--help")
    assert top.status == 0
    for command in ("check", "fit", "report", "simulate"):
        assert command in top.out
        done = run(command, "-h")
        assert done.status == 0
        assert "--out" in done.out or command == "check"
        assert "--json" in done.out


def test_the_installed_command_ends_without_a_traceback(tmp_path: Path) -> None:
    """A process of its own: the status and the streams as a shell sees them."""
    command = [sys.executable, "-c", "from ltr_twotower.cli import main; main()"]

    version = subprocess.run([*command, "--version"], capture_output=True, text=True, cwd=tmp_path, check=False)
    missing = subprocess.run([*command, "check", "x.csv"], capture_output=True, text=True, cwd=tmp_path, check=False)

    assert (version.returncode, version.stderr) == (0, "")
    assert version.stdout.startswith("ltr-twotower ")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr == "error: x.csv: no such file\n"


# -- real logs --------------------------------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.parametrize("name", ["random_men.csv", "bts_men.csv"])
def test_the_open_bandit_logs_go_through(run: Run, obd_folder: Path, name: str) -> None:
    log = obd_folder / name
    columns = ["--query", "none", "--doc", "item_id", "--propensity", "propensity_score"]
    clicks = int(pd.read_csv(log)["click"].sum())

    check = run("check", log, *columns, "--json", "--swaps", 100)
    fit = run("fit", log, *columns, "--weight", "known", "--out", "model", "--json")
    report = run("report", log, *columns, "--out", "report.html")

    assert check.status == fit.status == report.status == 0
    assert (check.json["impressions"], check.json["documents"], check.json["ranks"]) == (10_000, 34, 3)
    assert check.json["clicks"] == clicks
    assert check.json["components"] == [[1, 2, 3]]
    assert check.json["pairs_at_several_ranks"] == 34
    assert all(abs(theta) < 3 for theta in fit.json["position_bias"])
    assert ("all weights are equal" in report.out) == (name == "random_men.csv")
    assert f"{clicks} clicks in all: whatever it shows is weak evidence" in report.out
    assert "<svg" in Path("report.html").read_text()
    again = TwoTowerClickModel.from_pretrained("model")
    data = read_click_log(log, query=None, doc="item_id", propensity="propensity_score")
    assert again.score(data) == pytest.approx(fit.json["log_likelihood"], abs=1e-12)


@pytest.mark.data
@pytest.mark.parametrize("name", ["letor.parquet", "letor.csv.gz"])
def test_a_log_on_real_letor_documents_goes_through(run: Run, letor_folder: Path, name: str) -> None:
    rng = np.random.default_rng(0)
    world = letor_world(letor_folder)
    frame = world.simulate(3000, rng, temperature=0.2).to_frame()
    frame.to_parquet(name) if name.endswith(".parquet") else frame.to_csv(name, index=False)

    check = run("check", name, "--tower", "linear", "--json")
    fit = run("fit", name, "--tower", "linear", "--weight", "known", "--out", "model", "--json")
    report = run("report", name, "--out", "report.html", "--json")

    assert check.status == fit.status == report.status == 0
    assert check.json["identified"]
    assert fit.json["queries"] == 198
    theta, stderr = np.array(fit.json["position_bias"]), np.array(fit.json["stderr"])
    assert (np.abs(theta - world.theta)[1:] < 5 * stderr[1:]).all()
    assert report.json["verdict"] in ("policy bias", "no sign of policy bias")
    assert Path("report.html").stat().st_size > 10_000
    truth = TwoTowerClickModel.from_pretrained("model")
    assert world.ndcg(truth) > 0.6
