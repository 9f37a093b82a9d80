import runpy
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

HELP = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("service_help.py"))))
KILLS = 50


@pytest.fixture
def folder():
    """A folder in memory where there is one: half a minute of waiting for a disk proves nothing more."""
    memory = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield path
    shutil.rmtree(path)


def test_killed_at_any_point_it_neither_loses_nor_repeats_a_request_and_ends_with_the_same_weights(folder):
    weights, momentum, entries = HELP.life(folder / "reference")
    counter = folder / "count"
    seen = []

    def count(operation, _):
        seen.append(operation)

    def counted():
        HELP.life(folder / "counted")
        counter.write_text(str(len(seen)))

    assert HELP.in_child(counted, count) == 0
    total = int(counter.read_text())
    rng = np.random.default_rng(0)
    for trial, point in enumerate(rng.choice(total, size=KILLS, replace=total < KILLS) + 1):
        place = folder / f"killed-{trial}"
        assert (
            HELP.in_child(lambda place=place: HELP.life(place), HELP.KillAt(int(point), tear=int(rng.integers(1, 60))))
            == -9
        )
        if trial % 5 == 0:
            # A second kill, on the way back.
            HELP.in_child(lambda place=place: HELP.life(place), HELP.KillAt(int(rng.integers(1, 60))))
        resumed, moments, served = HELP.life(place)
        assert np.array_equal(resumed, weights), f"killed before operation {point} of {total}"
        assert np.array_equal(moments, momentum)
        assert HELP.without_times(served) == HELP.without_times(entries)
        assert HELP.outcomes(place) == HELP.outcomes(folder / "reference")
        with HELP.opened(place, poison="person-030") as service:
            assert service.verify().ok
        left = HELP.bytes_under(place)
        assert not [code for code in (3, 5, 7, 9, 11) if f"person-{code:03d}".encode() in left]
