import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from irworks.testing import run_main
from recgaze import Behaviour, Screen, gaze_from_fixations, simulate_study
from recgaze.cli import main
from recgaze.models import load_model


@pytest.fixture
def run():
    return partial(run_main, main, "recgaze")


@pytest.fixture(autouse=True)
def somewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def broken(saved, tmp_path):
    """A study with a genre that does not exist, on line 7 of its clicks."""
    folder = shutil.copytree(saved, tmp_path / "broken")
    frame = pd.read_csv(folder / "click_feedback.csv", dtype=str, keep_default_na=False)
    frame.loc[5, "Click_AOI_Carousel_genre"] = "Dramma"
    frame.to_csv(folder / "click_feedback.csv", index=False)
    return folder


def test_simulate_writes_a_study_that_is_valid(run):
    assert run("simulate", "--out", "study", "--users", 2, "--seed", 3).status == 0
    done = run("validate", "study", "--json")
    assert done.status == 0
    assert done.json["ok"]
    assert done.json["rows"]["click_feedback"] == 80


def test_more_users_than_a_block_are_written_as_parquet_and_analysed_in_blocks(run, monkeypatch):
    from recgaze.cli import studies

    monkeypatch.setattr(studies, "BLOCK", 2)
    assert run("simulate", "--out", "study", "--users", 5).status == 2
    assert run("simulate", "--out", "study", "--users", 5, "--format", "parquet").status == 0
    streamed = run("analyze", "study", "--stream", "--draws", 20, "--json")
    whole = run("analyze", "study", "--draws", 20, "--json")
    assert streamed.json["examination"]["value"] == whole.json["examination"]["value"]


def folder_bytes(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_simulate_replaces_what_it_wrote_and_nothing_else(run):
    simulate = ("simulate", "--out", "study", "--users")
    assert run(*simulate, 1).status == 0
    assert run(*simulate, 2, "--seed", 1).status == 0
    assert len(pd.read_csv("study/user_features.csv")) == 2
    assert run(*simulate, 2, "--seed", 1, "--format", "parquet").status == 0
    assert {path.suffix for path in Path("study").iterdir()} == {".parquet", ".json"}
    assert run(*simulate, 1).status == 0
    # One's own clicks among the simulated tables: from then on the folder is one's own.
    table = Path("study/click_feedback.csv")
    table.write_text(table.read_text() + "\n")
    before = folder_bytes("study")
    refused = run(*simulate, 1)
    assert refused.status == 2
    assert "study: the folder exists and is not a study as `recgaze simulate` wrote it" in refused.err
    assert folder_bytes("study") == before


def test_simulate_says_all_that_it_planted(run):
    options = ("--pattern", "uniform", "--position-bias", 0.5, "--satisfice", 0.1, "--error", 0, "--no-gaps")
    done = run("simulate", "--out", "study", "--users", 2, "--seed", 4, *options, "--json")
    about = json.loads(Path("study/about.json").read_text())
    assert about.pop("sha256").keys() == {path.name for path in Path("study").glob("*.csv")}
    assert about == {"package": "recgaze", "command": "simulate"} | {
        name: value for name, value in done.json.items() if name != "out"
    }
    behaviour = about.pop("behaviour")
    planted = Behaviour(**behaviour | {"spread": tuple(behaviour["spread"])})
    assert planted == Behaviour(pattern="uniform", position_bias=0.5, satisfice=0.1, error=0.0)
    again = simulate_study(2, rng=np.random.default_rng(about["seed"]), behaviour=planted, gaps=about["gaps"])
    again.dataset.save("again", format=about["format"])
    tables = folder_bytes("study")
    assert folder_bytes("again") == {name: tables[name] for name in tables if name != "about.json"}


def test_a_study_whose_writing_is_interrupted_is_not_there_and_the_one_before_it_still_is(run, monkeypatch):
    from recgaze.data import dataset

    def interrupted(frame, path):
        if path.stem == "item_features":
            raise KeyboardInterrupt
        write(frame, path)

    write = dataset.write_table
    simulate = partial(run, "simulate", "--out", "study", "--users", 1)
    monkeypatch.setattr(dataset, "write_table", interrupted)
    assert simulate().status == 130
    assert not list(Path().iterdir())
    monkeypatch.setattr(dataset, "write_table", write)
    assert simulate().status == 0
    before = folder_bytes("study")
    monkeypatch.setattr(dataset, "write_table", interrupted)
    assert simulate("--seed", 5).status == 130
    assert [path.name for path in Path().iterdir()] == ["study"]
    assert folder_bytes("study") == before


@pytest.mark.parametrize("sha256", [[], "", None, {"click_feedback.csv": ""}])
def test_a_folder_that_only_says_it_is_ours_is_left_alone(run, saved, tmp_path, sha256):
    mine = shutil.copytree(saved, tmp_path / "mine")
    (mine / "about.json").write_text(json.dumps({"package": "recgaze", "command": "simulate", "sha256": sha256}))
    before = folder_bytes("mine")
    refused = run("simulate", "--out", "mine", "--users", 1)
    assert refused.status == 2
    assert refused.err.startswith("error: mine: the folder exists")
    assert folder_bytes("mine") == before


def test_simulate_leaves_what_others_put_there_alone(run, saved, tmp_path):
    (tmp_path / "mine").mkdir()
    shutil.copy(saved / "user_features.csv", tmp_path / "mine")
    before = folder_bytes("mine")
    for options in ((), ("--users", 100, "--format", "parquet")):
        assert run("simulate", "--out", "mine", *options).status == 2
        assert folder_bytes("mine") == before
    assert run("simulate", "--out", "study", "--users", 1).status == 0
    Path("study/notes.txt").write_text("mine")
    refused = run("simulate", "--out", "study", "--users", 1)
    assert refused.status == 2
    assert "the folder also holds other files (found 'notes.txt'" in refused.err
    assert Path("study/notes.txt").read_text() == "mine"


def test_the_study_that_a_link_names_is_replaced_and_the_link_stays(run):
    assert run("simulate", "--out", "study", "--users", 1).status == 0
    Path("link").symlink_to("study")
    assert run("simulate", "--out", "link", "--users", 2).status == 0
    assert Path("link").is_symlink()
    assert len(pd.read_csv("study/user_features.csv")) == 2


def test_no_command_writes_over_what_it_reads(run, saved, tmp_path):
    study = shutil.copytree(saved, tmp_path / "study")
    assert run("fit", study, "--out", "model").status == 0
    pd.DataFrame({"t": np.arange(100) / 50, "x": 5.0, "y": 6.0}).to_csv("gaze.csv", index=False)
    Path("link.csv").symlink_to("gaze.csv")
    size = ("--screen-cm", 53, "--distance-cm", 65)
    before = folder_bytes("study") | folder_bytes("model") | {"gaze.csv": Path("gaze.csv").read_bytes()}
    for command in (
        ("events", "gaze.csv", "--out", "gaze.csv", *size),
        ("events", "gaze.csv", "--out", "./link.csv", *size),
        ("events", "gaze.csv", "--layout", "boxes.csv", "--out", "boxes.csv", *size),
        ("analyze", "study", "--out", tmp_path / "study"),
        ("fit", "study", "--out", "study"),
        ("report", "study", "--out", "study/click_feedback.csv"),
        ("view", "study", "--model", "model", "--out", "model/model.json"),
    ):
        if "boxes.csv" in command:
            Path("boxes.csv").write_text("")
        done = run(*command)
        assert done.status == 2, command
        assert "would overwrite" in done.err, command
        assert done.err.count("\n") == 1
    assert before == folder_bytes("study") | folder_bytes("model") | {"gaze.csv": Path("gaze.csv").read_bytes()}


def test_a_place_that_cannot_be_written_is_told_before_the_work(run, saved, monkeypatch):
    monkeypatch.setattr("recgaze.RecGazeDataset.load", lambda *_: pytest.fail("the work has begun"))
    Path("file").write_text("")
    for out in ("/proc/recgaze/tables", "file/tables"):
        done = run("analyze", saved, "--out", out)
        assert done.status == 2
        assert f"--out {out} cannot be written" in done.err
        assert "irworks-tmp" not in done.err


def test_a_folder_of_others_and_a_name_that_is_no_table_are_told_before_the_work(run, saved, tmp_path, monkeypatch):
    monkeypatch.setattr("recgaze.RecGazeDataset.load", lambda *_: pytest.fail("the work has begun"))
    monkeypatch.setattr("recgaze.gaze_files.read_gaze", lambda *_, **__: pytest.fail("the work has begun"))
    (tmp_path / "mine").mkdir()
    Path("mine/notes.txt").write_text("mine")
    done = run("fit", saved, "--compare", "--out", "mine")
    assert done.status == 2
    assert "mine: the folder exists and is not a saved model" in done.err
    Path("gaze.csv").write_text("t,x,y\n0,1,1\n")
    done = run("events", "gaze.csv", "--out", "events.xyz", "--screen-cm", 53, "--distance-cm", 65)
    assert done.status == 2
    assert done.err.startswith("error: events.xyz: not a table by its name")


def test_validate_lists_errors_and_ends_with_status_2(run, broken):
    done = run("validate", broken)
    assert done.status == 2
    assert "click_feedback.csv, line 7, column 'Click_AOI_Carousel_genre'" in done.out
    assert done.out.endswith("1 error\n")
    assert run("validate", broken, "--raw", "--json").json["errors"]


@pytest.mark.parametrize("verb", ["analyze", "fit", "report", "view"])
def test_bad_input_is_one_sentence_and_status_2(run, broken, verb):
    for folder, message in ((broken, "Dramma"), ("nowhere", "no such folder")):
        done = run(verb, folder)
        assert done.status == 2
        assert done.err.startswith("error: ")
        assert message in done.err
        assert done.err.count("\n") == 1
    assert not list(Path().glob("*.html"))


def test_analyze_prints_findings_and_writes_every_table(run, saved):
    done = run("analyze", saved, "--out", "tables", "--draws", 50)
    assert "Golden triangle of looks: 0." in done.out
    tables = list(Path("tables").glob("*.csv"))
    assert f"{len(tables)} tables written" in done.out
    assert {"value", "low", "high"} <= set(pd.read_csv("tables/examination.csv"))


def test_the_kind_of_screens_and_the_rule_matter(run, saved):
    free, everything = (run("analyze", saved, "--task", task, "--draws", 5) for task in ("free", "all"))
    assert free.out.split()[0] == "360"
    assert int(everything.out.split()[0]) > 450
    strict = run("analyze", saved, "--rule", "strict", "--draws", 5)
    assert strict.out != free.out


@pytest.mark.parametrize("model", ["oepbm", "rcpbm", "cpbm"])
def test_a_model_is_fitted_saved_and_loaded(run, saved, model):
    done = run("fit", saved, "--model", model, "--out", "model", "--json")
    assert done.status == 0, done.err
    examination = np.array(done.json["examination"])
    np.testing.assert_allclose(load_model("model").examination_, examination)
    assert examination[0, 0] > examination[-1, -1]


def test_a_design_that_cannot_identify_a_model_is_said_before_its_numbers(run, saved):
    done = run("fit", saved, "--model", "cpbm", "--attraction", "movie", "--solver", "em")
    assert done.status == 0
    assert "Not identifiable" in done.out
    assert "Not identifiable" in done.err


def test_cascades_are_fitted_to_the_selections(run, saved):
    done = run("fit", saved, "--model", "ccm", "--json")
    assert done.json["perplexity"] < 150
    refused = run("fit", saved, "--model", "tcm", "--out", "model", "--solver", "em")
    assert refused.status == 2
    assert "--model tcm has no --solver and no --out" in refused.err


def test_solvers_that_a_model_does_not_have_are_told(run, saved):
    done = run("fit", saved, "--solver", "em")
    assert done.status == 2
    assert "OEPBM has a closed form" in done.err


def test_a_comparison_of_one_user_is_refused_before_anything_is_written(run):
    run("simulate", "--out", "alone", "--users", 1)
    done = run("fit", "alone", "--compare", "--out", "model")
    assert done.status == 2
    assert "at least 2" in done.err
    assert not Path("model").exists()


def test_models_are_compared(run, saved):
    done = run("fit", saved, "--compare", "--json")
    assert done.json["comparison"]["model"] == ["OEPBM", "RCPBM", "CPBM"]


def test_events_are_found_in_raw_gaze_and_mapped(run):
    onset, x = np.arange(0, 3, 0.3), np.linspace(200, 1700, 10)
    screen = Screen(1920, 1080, width_cm=53, distance_cm=65)
    rng = np.random.default_rng(0)
    gaze = gaze_from_fixations(
        onset, np.full(10, 0.25), x, np.full(10, 280.0), rate=120, noise_px=1, screen=screen, rng=rng
    )
    pd.DataFrame({"ms": 1000 * gaze.t, "gx": gaze.x, "gy": gaze.y}).to_csv("gaze.csv", index=False)
    options = ["--t", "ms", "--x", "gx", "--y", "gy", "--time-unit", "ms", "--screen-cm", 53, "--distance-cm", 65]
    done = run("events", "gaze.csv", "--out", "events.csv", "--layout", "recgaze", *options)
    assert done.status == 0, done.err
    found = pd.read_csv("events.csv").query("kind == 'fixation'")
    assert len(found) == 10
    assert set(found["area"]) == {"Movie"}
    assert found["column"].is_monotonic_increasing
    assert (
        run("events", "gaze.csv", "--out", "e.csv", *options, "--method", "idt", "--json").json["events"]["fixation"]
        == 10
    )


def test_every_detector_takes_a_shortest_fixation_and_times_too_fast_for_a_tracker_are_told(run):
    rng = np.random.default_rng(0)
    pd.DataFrame({"t": np.arange(400) / 200, "x": rng.normal(500, 1, 400), "y": 280}).to_csv("gaze.csv", index=False)
    options = ["--out", "events.csv", "--screen-cm", 53, "--distance-cm", 65]
    for method in ("ivt", "idt", "adaptive"):
        assert run("events", "gaze.csv", *options, "--method", method, "--min-duration", 0.05).status == 0
    done = run("events", "gaze.csv", *options, "--time-unit", "us")
    assert done.status == 2
    assert "no tracker is that fast" in done.err
    assert run("events", "gaze.csv", "--out", "events.txt", *options[2:]).status == 2


def test_gaze_without_a_screen_size_is_told_what_is_missing(run):
    pd.DataFrame({"t": [0, 0.01, 0.02], "x": [1, 1, 1], "y": [1, 1, 1]}).to_csv("gaze.csv", index=False)
    done = run("events", "gaze.csv", "--out", "events.csv")
    assert done.status == 2
    assert done.err == (
        "error: --screen-cm and --distance-cm are missing; expected both, since thresholds are in degrees of visual "
        "angle\n"
    )
    assert not Path("events.csv").exists()


@pytest.mark.parametrize(
    "option",
    [
        ("--tobii",),
        ("--t", "t"),
        ("--x", "x"),
        ("--y", "y"),
        ("--valid", "valid"),
        ("--lost", 0, 0),
        ("--time-unit", "ms"),
        ("--screen-px", 1920, 1080),
        ("--screen-cm", 53),
        ("--distance-cm", 65),
    ],
    ids=lambda option: option[0],
)
def test_an_option_that_the_file_has_no_use_for_is_refused(run, option):
    for file in ("gaze.mat", "gaze.tsv"):
        Path(file).write_text("")
    done = run("events", "gaze.mat", "--out", "events.csv", *option)
    assert done.status == 2
    assert f"a .mat file has no {option[0]};" in done.err
    if option[0] in ("--t", "--x", "--y", "--valid", "--lost"):
        done = run("events", "gaze.tsv", "--tobii", "--out", "events.csv", *option)
        assert done.status == 2
        assert f"--tobii has no {option[0]};" in done.err


def test_an_option_of_another_detector_or_of_areas_is_refused(run):
    Path("gaze.csv").write_text("")
    for options, message in (
        (("--method", "idt", "--velocity", 20), "--method idt has no --velocity"),
        (("--method", "adaptive", "--velocity", 20), "--method adaptive has no --velocity"),
        (("--dispersion", 2), "--method ivt has no --dispersion"),
        (("--rule", "strict"), "a table without --layout has no --rule"),
    ):
        done = run("events", "gaze.csv", "--out", "events.csv", "--screen-cm", 53, "--distance-cm", 65, *options)
        assert done.status == 2
        assert message in done.err


def test_what_is_odd_in_raw_gaze_is_a_line_on_standard_error(run):
    x = np.where(np.arange(400) % 40 < 4, -1.0, 500.0)
    frame = pd.DataFrame({"t": np.arange(400) / 200, "x": x, "y": x})
    frame.to_csv("gaze.csv", index=False)
    options = ["events", "gaze.csv", "--out", "events.csv", "--screen-cm", 53, "--distance-cm", 65]
    done = run(*options)
    assert done.err.startswith("warning: gaze.csv: 10.0% of the positions are (-1, -1)")
    assert "--lost -1 -1" in done.err
    assert done.err.count("\n") == 1
    told = run(*options, "--lost", -1, -1)
    assert told.err == ""
    assert "40 lost" in told.out
    both = run(*options, "--lost", 0, 0, "--valid", "valid", "--tobii")
    assert "--tobii has no --valid and no --lost" in both.err


def test_what_is_odd_in_a_study_is_told_by_every_command(run, saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "odd")
    frame = pd.read_csv(folder / "summary_feedback.csv", dtype=str, keep_default_na=False)
    pd.concat([frame, frame.iloc[:500]]).to_csv(folder / "summary_feedback.csv", index=False)
    line = len(frame) + 2
    place = f"summary_feedback.csv, line {line}, column 'Timestamp': an event stands in the table twice, and 499 more"
    assert f"warning: {place}" in run("validate", folder).out
    done = run("analyze", folder, "--draws", 5)
    assert done.status == 0
    assert done.err.startswith(f"warning: {place}")


def test_wrong_kinds_of_places_are_told_in_words(run, saved):
    assert "summary_feedback.csv: a file, not a folder" in run("analyze", saved / "summary_feedback.csv").err
    size = ["--screen-cm", 53, "--distance-cm", 65]
    assert "a folder, and no table" in run("events", saved, "--out", "events.csv", *size).err
    no_model = run("view", saved, "--model", saved)
    assert "the folder is no saved model (found 'no model.json'" in no_model.err
    assert "Errno" not in no_model.err


def test_users_are_found_under_their_other_names_and_screens_go_to_40(run, saved):
    done = run("view", saved, "--user", "KINIT_2", "--screen", 3, "--max-screens", 2)
    assert done.status == 0, done.err
    refused = run("view", saved, "--screen", 41)
    assert refused.status == 2
    assert refused.err == "error: screen 41 is none of the study; expected 1 to 40\n"


def test_pages_are_written(run, saved):
    assert run("fit", saved, "--out", "model").status == 0
    done = run("view", saved, "--user", "KInIT_2", "--screen", 3, "--model", "model", "--max-screens", 5, "--json")
    assert done.status == 0, done.err
    assert 10_000 < done.json["bytes"] < 5_000_000
    assert run("view", saved, "--user", "nobody").status == 2
    done = run("report", saved, "--out", "page.html")
    assert done.status == 0, done.err
    assert 100_000 < Path("page.html").stat().st_size < 5_000_000


def test_the_installed_command_is_light_and_ends_without_a_traceback(tmp_path):
    program = shutil.which("recgaze", path=str(Path(sys.executable).parent))
    assert program is not None
    done = subprocess.run([program, "analyze", "nowhere"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: nowhere: no such folder\n"
    assert "recgaze 0.1" in subprocess.run([program, "--version"], capture_output=True, text=True).stdout
