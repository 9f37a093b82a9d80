import json
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
    journals = []

    def count(operation, descriptor):
        journals.append(HELP.writes_journal(operation, descriptor))

    def counting():
        HELP.life(folder / "counted")
        text = json.dumps(journals)
        (folder / "counted.json").write_text(text)

    assert HELP.in_child(counting, count) == 0
    written = json.loads((folder / "counted.json").read_text())
    rng = np.random.default_rng(0)
    # Anywhere; and where a line of a journal is written, to tear it.
    points = [*rng.choice(len(written), size=KILLS, replace=False), *np.flatnonzero(written)]
    for trial, point in enumerate(int(place) + 1 for place in points):
        place = folder / f"killed-{trial}"
        killed = HELP.KillAt(point, tear=int(rng.integers(1, 60)))
        assert HELP.in_child(lambda place=place: HELP.life(place), killed) == -9
        if trial % 5 == 0:
            # A second kill, on the way back.
            HELP.in_child(lambda place=place: HELP.life(place), HELP.KillAt(int(rng.integers(1, 60))))
        resumed, moments, served = HELP.life(place)
        assert np.array_equal(resumed, weights), f"killed before operation {point} of {len(written)}"
        assert np.array_equal(moments, momentum)
        assert HELP.without_times(served) == HELP.without_times(entries)
        assert HELP.outcomes(place) == HELP.outcomes(folder / "reference")
        with HELP.opened(place, poison="person-030") as service:
            assert service.verify().ok
        left = HELP.bytes_under(place)
        assert not [code for code in (3, 5, 7, 9, 11) if f"person-{code:03d}".encode() in left]
