"""The floor that everything stands on: whole files, seeds, devices, a record of the machine, parallel work."""

import json
import multiprocessing
import multiprocessing.context
import os
import random
import signal
import socket
import subprocess
import sys
import time
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irworks.errors import ArgumentError, IrworksError, MissingDependencyError
from irworks.runtime import (
    atomic_folder,
    atomic_path,
    atomic_write,
    cpu_count,
    device,
    environment,
    map_parallel,
    progress,
    remove_leftovers,
    run_dir,
    seed_everything,
)
from irworks.runtime.template import can_fork

FAKES = Path(__file__).parent / "fakes"


@pytest.fixture
def tricks(monkeypatch):
    monkeypatch.syspath_prepend(FAKES)
    monkeypatch.setenv("PYTHONPATH", str(FAKES))
    from fakepapers import tricks

    return tricks


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


# Files


@given(st.text(), st.binary())
def test_what_is_written_is_what_is_read(tmp_path_factory, text, data):
    folder = tmp_path_factory.mktemp("files")
    with atomic_write(folder / "new" / "text.txt") as handle:
        handle.write(text)
    with atomic_write(folder / "data", mode="wb") as handle:
        handle.write(data)
    assert (folder / "new" / "text.txt").read_bytes() == text.encode("utf-8")
    assert (folder / "data").read_bytes() == data


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = tmp_path / "results.json"
    path.write_text("old")

    def fail():
        with atomic_write(path) as handle:
            handle.write("half of the n")
            raise failure

    with pytest.raises(failure):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_readers_never_see_the_file_while_it_is_written(tmp_path):
    path = tmp_path / "page.html"
    with atomic_write(path) as handle:
        handle.write("x" * 100_000)
        handle.flush()
        assert not path.exists()
    assert path.stat().st_size == 100_000


def test_a_temporary_path_keeps_the_suffix_that_writers_look_at(tmp_path):
    with atomic_path(tmp_path / "array.npz") as temporary:
        np.savez(temporary, a=np.arange(3))
    assert [path.name for path in tmp_path.iterdir()] == ["array.npz"]
    assert np.load(tmp_path / "array.npz")["a"].tolist() == [0, 1, 2]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "absent"):
        pass


def test_only_writing_modes_are_accepted(tmp_path):
    with pytest.raises(ArgumentError, match="'w' or 'wb', found 'a'"):
        atomic_write(tmp_path / "x", mode="a")


def test_files_have_the_permissions_of_any_other_file(tmp_path):
    with atomic_write(tmp_path / "atomic") as handle:
        handle.write("x")
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def kill_while_writing(opening: str, folder: Path) -> None:
    program = (
        "import os, signal\nfrom irworks.runtime import atomic_path, atomic_write\n"
        f"path = {str(folder / 'a.json')!r}\n{opening}\n"
        "    handle.write('half')\n    handle.flush()\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="the system has no files without a name")
def test_a_writer_that_is_killed_leaves_nothing(tmp_path):
    kill_while_writing("with atomic_write(path) as handle:", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lacking", ["open", "link"])
def test_files_are_whole_where_the_system_has_no_unnamed_files(tmp_path, monkeypatch, lacking):
    real = getattr(os, lacking)

    def refuse(path, *arguments, **options):
        if lacking == "link" or (arguments and arguments[0] & getattr(os, "O_TMPFILE", 0) == os.O_TMPFILE):
            raise OSError("not supported")
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, lacking, refuse)
    (tmp_path / "a.txt").write_text("old")
    with atomic_write(tmp_path / "a.txt") as handle:
        handle.write("new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_is_resumed_loses_what_a_killed_writer_left(tmp_path):
    kill_while_writing("with atomic_path(path) as temporary, temporary.open('w') as handle:", tmp_path / "run" / "deep")
    assert len(list((tmp_path / "run" / "deep").iterdir())) == 1
    assert remove_leftovers(tmp_path / "run", recursive=False) == 0
    assert run_dir(tmp_path / "run") == tmp_path / "run"
    assert list((tmp_path / "run" / "deep").iterdir()) == []


def test_a_file_cannot_be_a_run_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArgumentError, match=r"cannot use .*file as a folder"):
        run_dir(tmp_path / "file")


# Seeds, devices, progress, environment


def test_the_same_seed_gives_the_same_global_draws():
    seed_everything(7)
    first = random.random(), np.random.rand()  # noqa: NPY002 - the legacy state is what is tested
    seed_everything(7)
    assert (random.random(), np.random.rand()) == first  # noqa: NPY002
    seed_everything(8)
    assert random.random() != first[0]


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_outside_the_range_of_numpy_are_refused(seed):
    with pytest.raises(ArgumentError, match=str(seed)):
        seed_everything(seed)


def test_the_processor_is_always_there():
    assert device("cpu") == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:0", ""])
def test_unknown_devices_are_refused(name):
    with pytest.raises(ArgumentError, match="found"):
        device(name)


@pytest.fixture
def torch_with(monkeypatch):
    def install(gpus: int, mps: bool) -> None:
        torch = ModuleType("torch")
        torch.__spec__ = ModuleSpec("torch", None)
        torch.cuda = SimpleNamespace(device_count=lambda: gpus, get_device_name=lambda index: f"GPU {index}")
        torch.backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps))
        monkeypatch.setitem(sys.modules, "torch", torch)

    return install


@pytest.mark.parametrize(
    ("gpus", "mps", "best"), [(2, False, "cuda"), (1, True, "cuda"), (0, True, "mps"), (0, False, "cpu")]
)
def test_auto_takes_the_best_device_there_is(torch_with, gpus, mps, best):
    torch_with(gpus, mps)
    assert device("auto") == device() == best


def test_a_device_that_is_not_here_is_refused_with_those_that_are(torch_with):
    torch_with(gpus=2, mps=False)
    assert device("cuda:1") == "cuda:1"
    with pytest.raises(ArgumentError, match="'cuda:2' is not available here; found: cuda, cuda:0, cuda:1, cpu"):
        device("cuda:2")
    with pytest.raises(ArgumentError, match="'mps' is not available"):
        device("mps")


def test_without_torch_auto_is_the_processor_and_an_accelerator_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert device("auto") == "cpu"
    with pytest.raises(MissingDependencyError, match=r"pip install 'irworks\[torch\]'"):
        device("cuda")


def test_importing_is_quick_and_brings_no_heavy_library():
    program = (
        "import sys, irworks, irworks.runtime, irworks.claims, irworks.report, irworks.cli\n"
        "irworks.runtime.seed_everything(0); irworks.runtime.device('cpu'); irworks.runtime.environment()\n"
        "heavy = {'torch', 'ray', 'matplotlib', 'pandas', 'pyarrow', 'jinja2', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_progress_passes_everything_through_and_is_silent_without_a_terminal(capsys):
    assert list(progress(iter(range(5)), "counting")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr() == ("", "")


def test_the_environment_names_versions_and_hardware_but_neither_host_nor_paths():
    facts = environment()
    text = json.dumps(facts)
    assert facts["libraries"]["numpy"] == np.__version__
    assert facts["packages"]["irworks"]
    assert 1 <= facts["cpus"] == cpu_count() <= os.cpu_count()
    assert str(Path.cwd()) not in text
    assert str(Path.home()) + "/" not in text
    assert f'"{socket.gethostname()}"' not in text


# Parallel work


FORKED = pytest.param(
    ("fakepapers.heavy", "no_such_module"),
    id="forked",
    marks=pytest.mark.skipif(not can_fork(), reason="processes cannot be forked here"),
)
either_way = pytest.mark.parametrize("imports", [pytest.param((), id="fresh"), FORKED])


@either_way
def test_one_item_that_fails_does_not_take_the_others_down(tricks, imports):
    ways = ["well", "raise", "exit", "kill", "crash", "leave", "unpicklable", "also well"]
    outcomes = map_parallel(tricks.behave, ways, jobs=3, imports=imports)
    assert [outcome.index for outcome in outcomes] == list(range(len(ways)))
    assert [outcome.value for outcome in outcomes if outcome.ok] == ["well", "also well"]
    errors = dict(zip(ways, (outcome.error for outcome in outcomes), strict=True))
    assert errors["raise"].endswith("ValueError: told to raise")
    assert "in behave" in errors["raise"]
    assert "exit code 3" in errors["exit"]
    assert "SIGKILL" in errors["kill"]
    assert "memory" in errors["kill"]
    assert "SIGSEGV" in errors["crash"]
    assert "SystemExit" in errors["leave"]
    assert "pickle" in errors["unpicklable"].lower()


@either_way
def test_starts_and_results_are_announced_here(tricks, imports):
    starts, results = [], []
    map_parallel(
        tricks.behave,
        "ab",
        jobs=2,
        imports=imports,
        on_start=starts.append,
        on_result=lambda o: results.append(o.value),
    )
    assert starts == [0, 1]
    assert sorted(results) == ["a", "b"]


@either_way
def test_what_cannot_be_sent_to_a_process_is_that_items_failure(tricks, imports):
    outcomes = map_parallel(tricks.behave, [lambda: None, "well"], imports=imports)
    assert "cannot be sent to another process" in outcomes[0].error
    assert outcomes[1].value == "well"


@either_way
def test_processes_share_the_processors_and_hash_alike(tricks, monkeypatch, imports):
    for name in ("OMP_NUM_THREADS", "PYTHONHASHSEED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]
    [outcome] = map_parallel(tricks.environment, [names], jobs=2, imports=imports)
    share = str(max(1, cpu_count() // 2))
    assert outcome.value == [share, share, "7"]
    first, second = map_parallel(tricks.hash_of, ["irworks"] * 2, jobs=2, imports=imports)
    assert first.value == second.value
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks processes up in /proc")
@either_way
def test_an_interrupt_stops_the_processes_promptly(tricks, tmp_path, imports):
    diary = tmp_path / "pids"

    def interrupt(outcome):
        wait_until(lambda: diary.exists() and diary.read_text().endswith("\n"))
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        map_parallel(tricks.nap, [str(diary), ""], jobs=2, imports=imports, on_result=interrupt)
    assert time.monotonic() - started < 30
    assert not is_alive(int(diary.read_text()))


@pytest.mark.skipif(not can_fork(), reason="processes cannot be forked here")
def test_forked_items_share_what_was_imported_and_nothing_else(tricks):
    first, second = map_parallel(tricks.touch, ["fakepapers.heavy"] * 2, imports=["fakepapers.heavy"])
    fresh, other = map_parallel(tricks.touch, ["fakepapers.heavy"] * 2)
    assert first.value["imported_in"] == second.value["imported_in"]
    assert len({first.value["process"], second.value["process"], first.value["imported_in"]}) == 3
    assert fresh.value["imported_in"] == fresh.value["process"] != other.value["imported_in"]
    assert first.value["touched"] == second.value["touched"] == 1


def test_an_import_that_takes_its_process_down_leaves_the_items_to_fresh_ones(tricks):
    outcomes = map_parallel(tricks.behave, ["well", "raise"], jobs=2, imports=["fakepapers.fatal"])
    assert [outcome.ok for outcome in outcomes] == [True, False]


@either_way
def test_items_do_not_share_a_random_state(tricks, imports):
    first, second = map_parallel(tricks.draw, [None, None], imports=[*imports, "numpy.random"])
    assert first.value != second.value


@pytest.mark.skipif(not can_fork(), reason="processes cannot be forked here")
@pytest.mark.parametrize("how", ["kill the parent", "kill it beside a helper", "kill it while it sends"])
def test_items_whose_template_dies_are_run_in_fresh_processes(tricks, tmp_path, how):
    started, items = time.monotonic(), [(how, str(tmp_path / "done")), ("", "")]
    # While this process sleeps, nobody reads what the template sends.
    nap = 2 if how == "kill it while it sends" else 0
    outcomes = map_parallel(tricks.once, items, imports=["fakepapers.heavy"], on_start=lambda _: time.sleep(nap))
    assert [outcome.ok for outcome in outcomes] == [True, True]
    assert time.monotonic() - started < 15


def test_a_single_item_has_what_was_to_be_imported(tricks):
    [outcome] = map_parallel(tricks.loaded, ["fakepapers.heavy"], imports=["fakepapers.heavy"])
    assert outcome.value


def test_an_interrupt_while_a_process_starts_leaves_none(tricks, tmp_path, monkeypatch):
    start = multiprocessing.context.SpawnProcess.start

    def interrupted(process):
        start(process)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        map_parallel(tricks.nap, [str(tmp_path / "pids")])
    assert not [process for process in multiprocessing.active_children() if process.name.startswith("item-")]


@pytest.mark.skipif(not can_fork(), reason="processes cannot be forked here")
def test_forked_items_do_not_outlive_a_killed_run(tricks, tmp_path):
    diary, folder = tmp_path / "pids", Path(tricks.__file__).parents[1]
    program = (
        "from fakepapers import tricks\nfrom irworks.runtime import map_parallel\n"
        f"map_parallel(tricks.nap, [{str(diary)!r}] * 2, jobs=2, imports=['fakepapers.heavy'])"
    )
    run = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(folder)})
    assert wait_until(lambda: diary.exists() and diary.read_text().count("\n") == 2)
    run.kill()
    run.wait()
    assert wait_until(lambda: not any(is_alive(int(pid)) for pid in diary.read_text().split()))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [({"jobs": 0}, "jobs"), ({"threads": 0}, "threads"), ({"engine": "spark"}, "'local' or 'ray', found 'spark'")],
)
def test_impossible_settings_are_refused(arguments, complaint):
    with pytest.raises(ArgumentError, match=complaint):
        map_parallel(abs, [1], **arguments)


@pytest.mark.slow
def test_ray_gives_the_same_outcomes_as_local_processes(tricks):
    pytest.importorskip("ray", reason="ray is not installed")
    ways = ["well", "raise", "exit", "leave", "also well"]
    local = map_parallel(tricks.behave, ways, jobs=2)
    remote = map_parallel(tricks.behave, ways, jobs=2, engine="ray")
    assert [outcome.value for outcome in remote] == [outcome.value for outcome in local]
    assert [outcome.ok for outcome in remote] == [outcome.ok for outcome in local]
    assert remote[1].error == local[1].error

    import ray

    assert not ray.is_initialized()


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_said_so_within_seconds(tricks):
    pytest.importorskip("ray", reason="ray is not installed")
    started = time.monotonic()
    with pytest.raises(IrworksError, match=r"the Ray cluster at '127\.0\.0\.1:1' cannot be reached"):
        map_parallel(tricks.behave, ["well"], engine="ray", address="127.0.0.1:1")
    assert time.monotonic() - started < 30


def test_without_ray_the_ray_engine_says_what_to_install(tricks, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'irworks\[ray\]'"):
        map_parallel(tricks.behave, ["well"], engine="ray")


# -- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_takes_the_place_of_the_old_one_as_a_whole(tmp_path):
    target = tmp_path / "results" / "model"
    with atomic_folder(target) as scratch:
        (scratch / "old.txt").write_text("old")
        assert not target.exists()
    with atomic_folder(target) as scratch:
        (scratch / "new.txt").write_text("new")
        assert (target / "old.txt").read_text() == "old"
    assert [path.name for path in target.iterdir()] == ["new.txt"]
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_a_failure_leaves_the_old_folder_and_nothing_beside_it(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "old.txt").write_text("old")

    def interrupted():
        with atomic_folder(target) as scratch:
            (scratch / "new.txt").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in target.iterdir()] == ["old.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_folders_that_a_killed_writer_left_are_cleared(tmp_path):
    writer = atomic_folder(tmp_path / "model")
    scratch = writer.__enter__()
    (scratch / "half.txt").write_text("half")
    assert remove_leftovers(tmp_path) >= 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", [atomic_path, atomic_folder])
def test_an_error_of_the_system_names_the_file_that_was_asked_for(writer):
    if not Path("/proc/self").exists():
        pytest.skip("no folder here in which nobody can write")
    with pytest.raises(OSError) as caught, writer("/proc/irworks-result"):
        Path("/proc/irworks-result").write_text("x", encoding="utf-8")
    assert str(caught.value.filename) == "/proc/irworks-result"


@pytest.mark.skipif(not hasattr(signal, "SIGTERM") or os.name != "posix", reason="signals of POSIX")
def test_a_process_that_is_asked_to_stop_while_it_ends_says_nothing():
    program = (
        "import atexit, time\n"
        "from irworks.runtime.processes import lead_group\n"
        "lead_group()\n"
        "atexit.register(lambda: (print('ending', flush=True), time.sleep(30)))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ending\n"
        process.terminate()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGTERM
