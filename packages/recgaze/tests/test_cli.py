import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from irworks.testing import run_main
from recgaze import Screen, gaze_from_fixations
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
    assert run("simulate", "study", "--users", 2, "--seed", 3).status == 0
    done = run("validate", "study", "--json")
    assert done.status == 0
    assert done.json["ok"]
    assert done.json["rows"]["click_feedback"] == 80


def test_more_users_than_a_block_are_written_as_parquet_and_analysed_in_blocks(run, monkeypatch):
    from recgaze.cli import studies

    monkeypatch.setattr(studies, "BLOCK", 2)
    assert run("simulate", "study", "--users", 5).status == 2
    assert run("simulate", "study", "--users", 5, "--format", "parquet").status == 0
    streamed = run("analyze", "study", "--stream", "--draws", 20, "--json")
    whole = run("analyze", "study", "--draws", 20, "--json")
    assert streamed.json["examination"]["value"] == whole.json["examination"]["value"]


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
    run("simulate", "alone", "--users", 1)
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
    assert "width_cm" in done.err
    assert not Path("events.csv").exists()


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
