"""Running claims: what fails is survived, what is finished stays, and nothing half-written is left."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from irworks.claims import Settings, Verdict, discover, reproduce, select
from irworks.claims.store import Store
from irworks.errors import ArgumentError, IrworksError, MissingDependencyError

FAKES = Path(__file__).parent / "fakes"


@pytest.fixture(autouse=True)
def fakes(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(FAKES)
    monkeypatch.setenv("PYTHONPATH", str(FAKES))
    monkeypatch.setenv("IRWORKS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IRWORKS_DATA", raising=False)


def run(out, *claims, scale="smoke", seeds=None, offline=True, options=None, **arguments):
    found = select(discover(["fakepapers"]), claims)
    settings = Settings(scale, seeds, offline=offline, options=options or {})
    return reproduce(found.sets, out=out, settings=settings, **arguments)


def by_id(results):
    return {claim.id: claim for claim in results.claims}


def read(out, name="results.json"):
    return json.loads((out / name).read_text())


def leftovers(out):
    return [path for path in out.rglob("*") if "tmp" in path.name]


def wait_until(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# What comes out


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    out = tmp_path_factory.mktemp("everything")
    events = []
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FAKES)
        patch.setenv("IRWORKS_CACHE", str(out / "cache"))
        patch.delenv("IRWORKS_DATA", raising=False)
        results = run(out, scale="small", jobs=2, on_event=events.append)
    return out, results, events


def test_claims_that_raise_exit_or_are_killed_are_survived_and_say_why(everything):
    _, results, _ = everything
    claims = by_id(results)
    assert claims["quick"].verdict is Verdict.REPRODUCED
    assert claims["drawn"].verdict is Verdict.PARTLY
    for name in ("raises", "exits", "killed"):
        assert claims[name].verdict is Verdict.NOT_RUN
        assert claims[name].errored
    assert claims["raises"].reason == "RuntimeError: the <b>reason</b> at scale small"
    assert "in raises" in claims["raises"].error
    assert "famous last words" in claims["exits"].error
    assert "exit code 3" in claims["exits"].reason
    assert "SIGKILL" in claims["killed"].reason
    assert results.errored


def test_a_claim_that_lacks_something_says_what_and_how_to_get_it(everything):
    claims = by_id(everything[1])
    for name, remedy in [
        ("lacking", "irworks reproduce fakepapers --option treasure=yes"),
        ("catalogued", "irworks data get letor"),
        ("needy", "pip install a_library_that_nobody_has"),
    ]:
        assert claims[name].verdict is Verdict.NOT_RUN
        assert not claims[name].errored
        assert claims[name].reason
        assert claims[name].remedy == remedy


def test_the_json_holds_every_claim_with_the_values_of_its_verdict(everything):
    out, results, _ = everything
    data = read(out)
    promised = {"package", "id", "says", "where", "paper", "measured", "verdict", "values", "seconds", "scale", "seeds"}
    assert [claim["id"] for claim in data["claims"]] == [claim.id for claim in results.claims]
    assert all(promised | {"error"} <= set(claim) for claim in data["claims"])
    assert data["irworks"]
    assert data["environment"]["python"]
    assert data["complete"] is True
    [quick] = [claim for claim in data["claims"] if claim["id"] == "quick"]
    assert list(quick["values"]) == ["seed 0", "seed 1", "seed 2", "undefined"]
    assert quick["values"]["undefined"] is None
    assert quick["seeds"] == [0, 1, 2]
    assert quick["error"] is None
    assert quick["command"] == "irworks reproduce fakepapers --claim quick --scale small --seeds 3"


def test_the_parquet_says_the_same_as_the_json(everything):
    out, _, _ = everything
    rows = pq.read_table(out / "results.parquet").to_pylist()
    for row, claim in zip(rows, read(out)["claims"], strict=True):
        assert {**row, "values": dict(row["values"])} == claim


def test_each_claim_has_a_folder_with_its_figure_table_and_output(everything):
    out, results, _ = everything
    folder = out / "claims" / "fakepapers"
    assert {path.name for path in folder.iterdir()} == {claim.id for claim in results.claims}
    assert {path.name for path in (folder / "drawn").iterdir()} == {"result.json", "figure.svg", "table.json"}
    assert "famous last words" in (folder / "exits" / "log.txt").read_text()
    [work] = (folder / "gated").glob("work-*")
    assert (work / "checkpoint").read_text() == "begun"
    assert not leftovers(out)


def test_every_claim_is_announced_when_it_starts_and_when_it_ends(everything):
    _, results, events = everything
    started = [event.claim.id for event in events if event.kind == "started"]
    finished = [event.result.id for event in events if event.kind == "finished"]
    assert sorted(finished) == sorted(claim.id for claim in results.claims)
    assert set(started) == set(finished) - {"catalogued"}
    assert [event.seconds_left for event in events if event.kind == "finished"][-1] == 0


def test_the_page_can_be_read_while_it_grows(tmp_path):
    pages = []

    def look(event):
        if event.kind == "finished":
            pages.append(((tmp_path / "index.html").read_text(), read(tmp_path)))

    run(tmp_path, "quick", "lacking", jobs=1, on_event=look)
    (first_page, first), (last_page, last) = pages
    assert (first["complete"], len(first["claims"])) == (False, 1)
    assert "1 of\n2 claims" in first_page
    assert (last["complete"], len(last["claims"])) == (True, 2)
    assert "not finished" not in last_page


# The same seeds, the same values


def test_values_do_not_depend_on_how_many_claims_run_at_once(tmp_path, everything):
    again = by_id(run(tmp_path, "quick", "drawn", scale="small", jobs=1))
    for name in ("quick", "drawn"):
        first = by_id(everything[1])[name]
        assert (again[name].values, again[name].table, again[name].figure) == (first.values, first.table, first.figure)


@pytest.mark.slow
def test_ray_gives_the_same_values_as_local_processes(tmp_path):
    pytest.importorskip("ray", reason="ray is not installed")
    claims = ("quick", "drawn", "raises", "lacking")
    local = by_id(run(tmp_path / "local", *claims, jobs=2))
    remote = by_id(run(tmp_path / "ray", *claims, jobs=2, engine="ray"))
    for name in claims:
        assert remote[name].values == local[name].values
        assert remote[name].status == local[name].status
        assert remote[name].figure == local[name].figure


def test_the_user_decides_how_many_seeds(tmp_path):
    assert list(by_id(run(tmp_path, "quick", seeds=2))["quick"].values) == ["seed 0", "seed 1", "undefined"]


# Kill and resume


def start(out, diary, gate, *more):
    command = [sys.executable, "-m", "irworks.cli", "reproduce", "fakepapers", "--claim", "quick", "--claim", "gated"]
    command += ["--scale", "smoke", "--jobs", "2", "--out", str(out), "--option", f"diary={diary}"]
    command += ["--option", f"gate={gate}", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def runs(diary, name):
    return [int(line.split()[1]) for line in diary.read_text().splitlines() if line.startswith(name)]


def interrupted_halfway(tmp_path, number):
    """Start a run, wait until one claim is finished and the other under way, and send it a signal."""
    out, diary, gate = tmp_path / "out", tmp_path / "diary", tmp_path / "gate"
    process = start(out, diary, gate)
    finished = out / "claims" / "fakepapers" / "quick" / "result.json"
    wait_until(lambda: finished.exists() and diary.exists() and runs(diary, "gated"))
    os.kill(process.pid, number)
    process.output = process.communicate(timeout=60)
    return out, diary, gate, process


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks processes up in /proc")
def test_a_killed_run_is_resumed_without_running_finished_claims_again(tmp_path):
    out, diary, gate, process = interrupted_halfway(tmp_path, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    wait_until(lambda: not alive(runs(diary, "gated")[0]))
    for path in out.rglob("*.json"):
        json.loads(path.read_text())
    assert not leftovers(out)

    gate.touch()
    resumed = start(out, diary, gate, "--resume")
    assert resumed.communicate(timeout=120)[1].count("kept from before") == 1
    assert resumed.returncode == 0
    assert (len(runs(diary, "quick")), len(runs(diary, "gated"))) == (1, 2)
    assert not leftovers(out)

    options = {"diary": str(diary), "gate": str(gate)}
    fresh = by_id(run(tmp_path / "fresh", "quick", "gated", options=options))
    assert {claim["id"]: claim["values"] for claim in read(out)["claims"]} == {
        name: dict(claim.values) for name, claim in fresh.items()
    }


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_stops_its_processes_and_says_how_to_go_on(tmp_path, number, status):
    out, diary, _, process = interrupted_halfway(tmp_path, number)
    assert process.returncode == status
    assert not alive(runs(diary, "gated")[0])
    assert "Traceback" not in process.output[1]
    assert ("--resume" in process.output[1]) == (number == signal.SIGINT)
    assert not leftovers(out)


def test_resuming_keeps_only_what_was_measured_with_the_same_settings(tmp_path):
    options = {"diary": str(tmp_path / "diary")}
    run(tmp_path / "out", "quick", "raises", options=options)
    run(tmp_path / "out", "quick", "raises", options=options, resume=True)
    assert (len(runs(tmp_path / "diary", "quick")), len(runs(tmp_path / "diary", "raises"))) == (1, 2)
    again = run(tmp_path / "out", "quick", options=options, seeds=2, resume=True)
    assert len(runs(tmp_path / "diary", "quick")) == 2
    assert len(again.claims[0].values) == 3
    run(tmp_path / "out", "quick", options=options, seeds=2)
    assert len(runs(tmp_path / "diary", "quick")) == 3


def test_a_resumed_claim_keeps_its_figure_and_table(tmp_path):
    first = run(tmp_path, "drawn").claims[0]
    second = run(tmp_path, "drawn", resume=True).claims[0]
    assert second.figure is not None
    assert (second.figure, second.table) == (first.figure, first.table)
    assert (tmp_path / "index.html").read_text().count("<figure>") == 1


def test_a_stored_result_that_was_tampered_with_is_measured_again(tmp_path):
    run(tmp_path, "quick")
    path = tmp_path / "claims" / "fakepapers" / "quick" / "result.json"
    for text in ("[]", path.read_text()[:-20]):
        path.write_text(text)
        assert run(tmp_path, "quick", resume=True).claims[0].verdict is Verdict.REPRODUCED
        assert json.loads(path.read_text())["verdict"] == "reproduced"


# Refusals


def test_two_runs_cannot_share_a_folder(tmp_path):
    collision = {}

    def intrude(event):
        if event.kind == "finished":
            with pytest.raises(IrworksError, match=r"another run is writing to .*--out") as error:
                run(tmp_path, "quick")
            collision["error"] = error

    run(tmp_path, "quick", on_event=intrude)
    assert collision


def test_a_second_run_leaves_what_the_first_is_writing_and_the_next_clears_it(tmp_path):
    store = Store(tmp_path)
    with store.locked():
        (tmp_path / "claims" / "fakepapers").mkdir()
        begun = [tmp_path / f"{place}.irworks-tmp-1-ab-x" for place in ("", "claims/fakepapers/")]
        for path in begun:
            path.write_text("half of a")
        with pytest.raises(IrworksError, match="another run is writing"), Store(tmp_path).locked():
            pass
        assert all(path.exists() for path in begun)
    with Store(tmp_path).locked():
        assert not any(path.exists() for path in begun)


def test_a_run_without_claims_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match="there is no claim to run"):
        reproduce([], out=tmp_path)


def test_a_run_that_could_not_write_its_page_is_refused_before_it_begins(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"irworks\[report\]"):
        run(tmp_path / "out", "quick")
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path):
    (tmp_path / "taken").write_text("x")
    with pytest.raises(ArgumentError, match="taken"):
        run(tmp_path / "taken", "quick")


@pytest.mark.data
@pytest.mark.skipif("IRWORKS_DATA" not in os.environ, reason="needs IRWORKS_DATA")
def test_a_claim_finds_its_data_where_irworks_data_points(tmp_path, monkeypatch):
    monkeypatch.setenv("IRWORKS_DATA", DATA)
    assert by_id(run(tmp_path, "catalogued"))["catalogued"].values["files"] >= 2


DATA = os.environ.get("IRWORKS_DATA", "")


def test_an_option_that_no_claim_takes_is_refused_and_the_nearest_is_named(tmp_path):
    with pytest.raises(ArgumentError, match=r"no option is named 'tresure'.*Did you mean 'treasure'"):
        run(tmp_path / "out", "quick", options={"tresure": "yes"})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["index.html", "results.json"])
def test_files_of_another_origin_are_not_written_over(tmp_path, name):
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(ArgumentError, match=f"holds {name}, but no run of claims"):
        run(tmp_path, "quick")
    assert (tmp_path / name).read_text(encoding="utf-8") == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == [name]
