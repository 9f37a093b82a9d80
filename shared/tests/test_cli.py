"""The command line: what it prints, and the status it ends with."""

import html
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from irworks import __version__, cli
from irworks.claims import ClaimResult, Event, discover
from irworks.claims.watch import Watch

FAKES = Path(__file__).parent / "fakes"


@pytest.fixture(autouse=True)
def fakes(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(FAKES)
    monkeypatch.setenv("IRWORKS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IRWORKS_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def irworks(monkeypatch, capsys):
    """Run a command line in this process: `irworks("list")` gives status, output and errors."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["irworks", *map(str, words)])
        before = signal.getsignal(signal.SIGTERM)
        try:
            with pytest.raises(SystemExit) as end:
                cli.main()
        finally:
            signal.signal(signal.SIGTERM, before)
        captured = capsys.readouterr()
        return end.value.code or 0, captured.out, captured.err

    return run


def test_the_version_is_that_of_the_distribution(irworks):
    assert irworks("--version") == (0, f"irworks {__version__}\n", "")


def test_the_installed_command_is_this_one():
    command = Path(sys.executable).with_name("irworks")
    assert subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout.startswith(
        "irworks "
    )


def test_every_command_explains_itself(irworks):
    for words in (
        [],
        ["reproduce"],
        ["list"],
        ["doctor"],
        ["data"],
        ["data", "get"],
        ["data", "list"],
        ["data", "verify"],
    ):
        status, out, _ = irworks(*words, "--help")
        assert status == 0
        assert "Usage: irworks" in out


def test_a_run_without_failures_ends_well(irworks):
    status, out, err = irworks("reproduce", "fakepapers", "--claim", "quick", "--claim", "lacking", "--scale", "smoke")
    assert status == 0
    assert "[1/2]" in err
    assert "[2/2]" in err
    assert "reproduced" in out
    assert "lacking was not run; to get what is missing: irworks reproduce fakepapers --option treasure=yes" in out
    assert "The report is irworks-report/index.html" in out
    assert sorted(path.name for path in Path("irworks-report").iterdir()) == [
        "claims",
        "index.html",
        "results.json",
        "results.parquet",
    ]


def test_a_claim_that_fails_ends_with_status_1_and_the_others_are_measured(irworks):
    words = ("reproduce", "fakepapers", "--claim", "quick", "--claim", "raises", "--scale", "smoke", "--out", "here")
    status, out, err = irworks(*words)
    assert status == 1
    assert "RuntimeError: the <b>reason</b> at scale smoke" in out
    assert "Traceback" not in out + err
    verdicts = {claim["id"]: claim["verdict"] for claim in json.loads(Path("here/results.json").read_text())["claims"]}
    assert verdicts == {"quick": "reproduced", "raises": "not run"}


def test_a_package_that_cannot_be_loaded_is_named_and_ends_with_status_1(irworks):
    words = ("reproduce", "brokenpaper", "fakepapers", "--claim", "quick", "--scale", "smoke")
    status, _, err = irworks(*words)
    assert status == 1
    assert "brokenpaper cannot be loaded: ModuleNotFoundError" in err
    assert "brokenpaper_is_not_here" in Path("irworks-report/index.html").read_text()


def test_options_reach_the_claims(irworks):
    words = ("reproduce", "fakepapers", "--claim", "lacking", "--scale", "smoke", "--option", "treasure=x=y")
    assert irworks(*words)[0] == 0
    [claim] = json.loads(Path("irworks-report/results.json").read_text())["claims"]
    assert claim["verdict"] == "reproduced"
    assert claim["command"].endswith("--option treasure=x=y")


def test_beside_a_package_stands_the_command_that_runs_it_as_it_was_run(irworks):
    words = ["--claim", "quick", "--scale", "smoke", "--seeds", "2", "--first-seed", "7", "--device", "cpu"]
    assert irworks("reproduce", "fakepapers", *words, "--option", "treasure=a b")[0] == 0
    command = "irworks reproduce fakepapers --scale smoke --seeds 2 --first-seed 7 --device cpu --option 'treasure=a b'"
    [package] = json.loads(Path("irworks-report/results.json").read_text())["packages"]
    assert (package["name"], package["command"]) == ("fakepapers", command)
    assert f'<code class="command">{command}<' in html.unescape(Path("irworks-report/index.html").read_text())


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["reproduce", "fakepaper"], "Did you mean 'fakepapers'?"),
        (["reproduce", "fakepapers", "--claim", "quik"], "known: drawn, quick"),
        (["reproduce", "fakepapers", "--option", "treasure"], "--option takes NAME=VALUE, found 'treasure'"),
        (["reproduce", "fakepapers", "--address", "auto"], "--address is for --engine ray"),
        (["reproduce", "brokenpaper"], "there is no claim to run"),
        (["reproduce", "fakepapers", "--scale", "huge"], "'huge'"),
        (["reproduce", "fakepapers", "--jobs", "0"], "--jobs"),
        (["reproduce", "fakepapers", "--seeds", "0"], "--seeds"),
        (["reproduce", "fakepapers", "--engine", "spark"], "'spark'"),
        (["data", "get"], "name the data sets"),
        (["data", "get", "letor", "--all"], "name the data sets"),
        (["data", "get", "nothing"], "nothing"),
        (["data", "verify", "nothing"], "nothing"),
        (["frobnicate"], "frobnicate"),
        (["reproduce", "--frobnicate"], "--frobnicate"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence_and_status_2(irworks, words, complaint):
    status, out, err = irworks(*words)
    assert status == 2
    assert complaint in err
    assert "Traceback" not in err
    assert out == ""
    assert not Path("irworks-report").exists()


def test_a_file_where_the_results_should_go_is_a_mistake(irworks):
    Path("taken").write_text("x")
    assert irworks("reproduce", "fakepapers", "--out", "taken")[0] == 2
    status, _, err = irworks("reproduce", "fakepapers", "--out", "taken/below")
    assert status == 2
    assert "taken/below" in err


def test_a_file_that_cannot_be_written_is_one_sentence(irworks):
    Path("out/claims").mkdir(parents=True)
    Path("out/results.json").mkdir()
    words = ("reproduce", "fakepapers", "--claim", "quick", "--scale", "smoke", "--out", "out")
    status, _, err = irworks(*words)
    assert status == 1
    assert err.splitlines()[-1] == f"irworks: {Path('out/results.json').absolute()}: is a directory"


def test_list_shows_every_claim_for_people_and_for_machines(irworks):
    _, out, err = irworks("list")
    assert "fakepapers: On Nothing in Particular" in out
    assert "It is over at once." in out
    assert "brokenpaper cannot be loaded" in err
    status, out, _ = irworks("list", "--json")
    assert status == 0
    data = json.loads(out)
    [fake] = [package for package in data["packages"] if package["package"] == "fakepapers"]
    assert [claim["id"] for claim in fake["claims"]][:3] == ["drawn", "quick", "gated"]
    assert fake["paper"]["year"] == 2024
    assert "brokenpaper" in data["broken"]


def test_the_doctor_says_what_is_there_and_how_to_get_what_is_not(irworks, monkeypatch):
    monkeypatch.setattr("irworks.claims.doctor.device", lambda: "cpu")
    status, out, _ = irworks("doctor")
    assert status == 1
    assert "brokenpaper" in out
    assert "cannot be loaded" in out
    assert "irworks data get letor" in out
    data = json.loads(irworks("doctor", "--json")[1])
    assert data["packages"]["fakepapers"] == 9
    assert data["environment"]["packages"]["irworks"] == __version__
    assert [extra["command"] for extra in data["extras"] if extra["found"]] == [None] * 4
    [letor] = [entry for entry in data["data"] if entry["name"] == "letor"]
    assert letor["path"] is None
    assert letor["command"] == "irworks data get letor"


def test_the_catalogue_is_shown_for_people_and_for_machines(irworks):
    status, out, _ = irworks("data", "list")
    assert status == 0
    assert "letor" in out
    assert "licence" in out
    letor = next(entry for entry in json.loads(irworks("data", "list", "--json")[1]) if entry["name"] == "letor")
    assert letor["size"] == sum(file["size"] for file in letor["files"]) > 0
    assert letor["licence"]


def test_data_that_is_absent_is_said_so_and_offline_nothing_is_fetched(irworks):
    status, out, _ = irworks("data", "verify", "letor")
    assert status == 1
    assert "irworks data get letor" in out
    status, out, err = irworks("data", "get", "letor", "--offline")
    assert status == 1
    assert out == ""
    assert err.startswith("irworks: data set 'letor'")
    assert "Traceback" not in err


def test_a_terminal_shows_what_is_under_way_and_a_line_for_each_end():
    screen = Console(file=io.StringIO(), force_terminal=True, width=200, color_system=None)
    claim = next(iter(discover(["fakepapers"]).sets[0]))
    result = ClaimResult.blank(claim, scale="small", seeds=(0,), command="").with_error(
        "Traceback\nOSError: [red]no[/red]"
    )
    with Watch(screen, total=2) as watch:
        watch(Event("notice", text="downloading [bold]letor[/bold]"))
        watch(Event("started", claim, seconds_left=90.0))
        watch._live.refresh()
        watch(Event("finished", claim, result, seconds_left=30.0))
    shown = screen.file.getvalue()
    assert "downloading [bold]letor[/bold]" in shown
    assert "0 of 2 claims done" in shown
    assert "about 90 s left" in shown or "about 89 s left" in shown
    assert "[1/2] fakepapers drawn: errored (0.0 s) OSError: [red]no[/red]" in shown


def test_completion_knows_the_packages_and_the_data_sets():
    assert "fakepapers" in cli._package_names("fake")
    assert cli._package_names("zzz") == []
    assert "letor" in cli._data_names("le")
