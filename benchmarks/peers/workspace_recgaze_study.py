"""Whole studies for `benchmarks/recgaze.py`, one method per process, in the workspace's environment.

Methods:
    study       a study of RecGaze's size: written, loaded, analysed, timed
    stream      a study of many blocks of users: written, and analysed block by block from disk, timed
    hypothesis  how often the examination hypothesis is rejected on simulated studies, by either variance
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
from meter import Arrays, Measured, peak_mebibytes, repeat, serve

from recgaze import Behaviour, RecGazeDataset, simulate_study
from recgaze.browse import Block, Browsing, choice_sets, examination_hypothesis


def study(_: Arrays, *, users: int, seed: int) -> tuple[Measured, Arrays]:
    """Every table and test of browsing, with 2,000 draws of users; and what came before it."""
    start = perf_counter()
    made = simulate_study(users, rng=np.random.default_rng(seed)).dataset
    out: Measured = {"simulate_seconds": perf_counter() - start, "events": len(made.summary)}
    with tempfile.TemporaryDirectory() as folder:
        start = perf_counter()
        made.save(folder)
        out["save_seconds"] = perf_counter() - start
        loaded, timing = repeat(lambda: RecGazeDataset.load(folder), 3)
        out["load_seconds"] = timing["fit_seconds"]

    def analyse() -> Browsing:
        # From the tables on: what a dataset has worked out before is left behind.
        fresh = loaded.where()
        found = Browsing.of(
            fresh.impressions(), fresh.fixations(), fresh.cursor(), fresh.click_events(), rng=np.random.default_rng(0)
        )
        assert found.tables
        return found

    _, timing = repeat(analyse, 1)
    return out | timing | {"peak_mebibytes": peak_mebibytes()}, {}


def stream(_: Arrays, *, blocks: int, seed: int) -> tuple[Measured, Arrays]:
    """The same from disk, block by block."""
    with tempfile.TemporaryDirectory() as folder:
        start = perf_counter()
        RecGazeDataset.save_blocks(_blocks(blocks, seed), folder)
        out: Measured = {"write_seconds": perf_counter() - start, "after_writing_mebibytes": peak_mebibytes()}
        out["disk_mebibytes"] = sum(path.stat().st_size for path in Path(folder).iterdir()) / 2**20

        def analyse() -> Browsing:
            found = Browsing.of_blocks(_read(folder), rng=np.random.default_rng(0))
            assert found.tables
            return found

        found, timing = repeat(analyse, 1)
    return out | timing | {"users": len(found.study.tally.users), "peak_mebibytes": peak_mebibytes()}, {}


def _blocks(blocks: int, seed: int) -> Iterator[RecGazeDataset]:
    rng = np.random.default_rng(seed)
    for block in range(blocks):
        yield simulate_study(87, rng=rng, first_user=87 * block).dataset


def _read(folder: str) -> Iterator[Block]:
    for block in RecGazeDataset.stream(folder):
        yield Block(block.impressions(), block.fixations(), block.cursor(), block.click_events())


def hypothesis(
    _: Arrays, *, users: int, studies: int, pattern: str, position_bias: float, seed: int
) -> tuple[Measured, Arrays]:
    """Rejections at 5% on the free screens: films given, from screens alone; and as `Browsing` tests, films drawn."""
    behaviour = Behaviour(pattern=pattern, position_bias=position_bias)
    given = drawn = 0
    start = perf_counter()
    for rng in np.random.default_rng(seed).spawn(studies):
        made = simulate_study(users, rng=rng, behaviour=behaviour, tasks=range(1, 31)).dataset
        screens = made.impressions()
        given += examination_hypothesis(choice_sets(screens), rng=rng, n=10, films="given").verdict == "violated"
        without_arrows = choice_sets(screens, made.fixations(), made.click_events())
        drawn += examination_hypothesis(without_arrows, rng=rng, n=10).verdict == "violated"
    return {"fit_seconds": perf_counter() - start, "rejected_given": given, "rejected_drawn": drawn}, {}


METHODS = {method.__name__: method for method in (study, stream, hypothesis)}


if __name__ == "__main__":
    serve(METHODS, lambda: None)
