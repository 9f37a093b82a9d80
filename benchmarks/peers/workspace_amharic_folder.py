"""From a folder of text to an index and its answers, by methods of `benchmarks/amharic_ir.py`, one per process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from amharic_texts import unpacked
from meter import Arrays, Measured, cpu_seconds, peak_mebibytes, serve


def write(data: Arrays, *, folder: str) -> tuple[Measured, Arrays]:
    """The articles as a file each in a folder, and as lines of one file."""
    texts = unpacked(data["articles"])
    start = perf_counter()
    files = Path(folder) / "passages"
    files.mkdir()
    for number, text in enumerate(texts):
        (files / f"{number:06}.txt").write_text(text, encoding="utf-8")
    with (Path(folder) / "passages.jsonl").open("w", encoding="utf-8") as handle:
        for number, text in enumerate(texts):
            handle.write(json.dumps({"id": f"{number:06}", "text": text}, ensure_ascii=False) + "\n")
    size = sum(len(text.encode()) for text in texts)
    return {"fit_seconds": perf_counter() - start, "megabytes": size / 1e6}, {}


def index(_: Arrays, *, source: str, out: str) -> tuple[Measured, Arrays]:
    """`amharic-ir index`, from the start of its process to the end.

    This process imports little and holds no text, since what a parent holds would show as the memory of its child.
    """
    command = [str(Path(sys.executable).parent / "amharic-ir"), "index", source, "--out", out]
    start = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = perf_counter() - start
    if status:
        raise RuntimeError(f"amharic-ir index ended with status {os.waitstatus_to_exitcode(status)}")
    unit = 1 if sys.platform == "darwin" else 1024
    measured = {
        "fit_seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mebibytes": usage.ru_maxrss * unit / 2**20,
        "own_mebibytes": peak_mebibytes(),
        "index_megabytes": sum(file.stat().st_size for file in Path(out).rglob("*") if file.is_file()) / 1e6,
    }
    return measured, {}


def search(data: Arrays, *, out: str, number: int, k: int) -> tuple[Measured, Arrays]:
    """Open the index and ask so many queries: the headlines, again from the first where they are not enough."""
    from amharic_ir import Searcher

    headlines = unpacked(data["headlines"])
    asked = [headlines[place % len(headlines)] for place in range(number)]
    start, cpu = perf_counter(), cpu_seconds()
    searcher = Searcher.open(out)
    opened = perf_counter()
    searcher.search(asked[:1], k)
    first = perf_counter()
    searcher.search(asked, k)
    end = perf_counter()
    measured = {
        "fit_seconds": end - start,
        "cpu_seconds": cpu_seconds() - cpu,
        "open_seconds": opened - start,
        "first_query_seconds": first - opened,
        "afterwards_seconds": end - first,
        "queries": number,
        "peak_mebibytes": peak_mebibytes(),
    }
    return measured, {}


def prepare() -> None:
    """Nothing: see `index`; what `search` imports is in its time."""


if __name__ == "__main__":
    serve({method.__name__: method for method in (write, index, search)}, prepare)
