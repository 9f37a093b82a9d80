"""Speed of amharic-ir: folding, BM25, a folder indexed and searched, late interaction; and other libraries beside it.

    uv run python benchmarks/amharic_ir.py [--quick] [--no-peer] [--only PART ...]

Every method runs in a process of its own, one after another, with one thread per numerical library. What is measured,
and how it is kept fair, is said in `benchmarks/README.md`.
"""

import sys
from pathlib import Path

import numpy as np
from harness import PEERS, Arrays, Bench, MethodError, Row, cells, measure, run_parts, show_targets
from peers.environments import BM25S, PYLATE, PeerEnvironment, PeerUnavailableError

TEXT, RETRIEVAL, FOLDER, MAXSIM = (
    [sys.executable, str(PEERS / f"workspace_amharic_{part}.py"), "--method"]
    for part in ("text", "bm25", "folder", "maxsim")
)
COLUMNS = [("fit_seconds", 10, ".4f"), ("cpu_seconds", 9, ".4f"), ("peak_mebibytes", 10, ".0f")]
BYTES = 3_000_000
FOLDING_PEERS = {
    "etnltk": "etnltk normalize_char",
    "etnltk_labialised": "etnltk normalize_char and normalize_labialized",
    "amseg": "amseg normalize",
}
K = 10
# Of the large collection of BM25, and of the folder.
LARGE: Row = {"number": 20_000, "words": 100}
PASSAGES: Row = {"number": 50_000, "words": 100}
QUERIES = 1_000
# Tokens of a query and of the longest document, and the dimension, are those of the paper's ColBERT.
VECTORS: Row = {"documents": 2_000, "shortest": 20, "longest": 256, "queries": 20, "query_tokens": 32, "dim": 128}


def main() -> None:
    """Run everything, print the table, write the results."""
    quick = "a tenth of the text, of the passages and of the documents"
    also = {"large": LARGE, "passages": PASSAGES, "queries": QUERIES, "vectors": VECTORS}
    peer = "etnltk, amseg, bm25s and PyLate"
    show(run_parts("amharic_ir", __doc__, Texts, PARTS, peer=peer, quick=quick, also=also))


class Texts(Bench):
    """One run of this benchmark.

    Attributes:
        articles: How many there are, once the news have been read.
    """

    articles = 0

    def size(self, number: int) -> int:
        """A number of things, or a tenth of it."""
        return number // 10 if self.quick else number

    @property
    def without_peers(self) -> bool:
        """Whether `--no-peer` was given."""
        return (self.peer_skipped or "").startswith("left out")

    def news(self) -> Path:
        """The file of the news."""
        path = self.folder / "news.npz"
        if not path.exists():
            measured, arrays = measure([*TEXT, "news"], self.folder / "none.npz", {}, "reading the news")
            self.articles = measured["documents"]
            self.save("news", arrays)
        return path

    def resampled(self, name: str, passages: Row) -> Path:
        """The file of passages made of sentences of the news."""
        settings = {**passages, "number": self.size(passages["number"]), "seed": self.seed}
        _, arrays = measure([*TEXT, "resampled"], self.news(), settings, f"drawing {settings['number']:,} passages")
        return self.save(name, arrays)

    def steps(
        self, command: list[str], data: Path, labels: dict[str, str], **settings: object
    ) -> tuple[dict[str, Row], Arrays]:
        """Run a method that times several things, and add a row for each: by name; and the arrays that it left."""
        measured, arrays = measure(command, data, settings, ", ".join(labels.values()), self.threads)
        timed = measured.pop("steps")
        rows = {
            name: {"label": label, "settings": settings, **timed[name], **measured} for name, label in labels.items()
        }
        self.rows += rows.values()
        return rows, arrays

    def python(self, environment: PeerEnvironment) -> str | None:
        """The interpreter of a peer's environment; None, and the reason kept, where it cannot be had."""
        if self.without_peers or environment.label in (self.peer_skipped or ""):
            return None
        print(f"peer     {environment.label}: its environment is made on first use", flush=True)
        try:
            return str(environment.interpreter())
        except PeerUnavailableError as reason:
            self.skip(environment.label, reason)
            return None

    def skip(self, label: str, reason: Exception) -> None:
        """Keep why a peer was left out."""
        self.peer_skipped = "; ".join(filter(None, (self.peer_skipped, f"{label}: {reason}")))

    def compare(self, what: str, ours: Row, theirs: Row) -> Row:
        """How many times faster ours is, by both clocks."""
        found = {
            "what": what,
            "wall": theirs["fit_seconds"] / ours["fit_seconds"],
            "cpu": theirs["cpu_seconds"] / ours["cpu_seconds"],
        }
        self.against.append(found)
        return found


# -- the parts --------------------------------------------------------------------------------------------------------


def folding(bench: Texts) -> None:
    """Letters of the same sound written as one, in 3 MB of news."""
    size = bench.size(BYTES)
    news = bench.news()
    same = {"size": size, "repeats": bench.repeats}
    megabytes = f"{size / 1e6:g} MB"
    ours, folded = bench.run([*TEXT, "ours"], news, f"fold {megabytes}", **same)
    theirs, translated = bench.run([*TEXT, "translate"], news, f"str.translate {megabytes}, our table", **same)
    bench.targets["fold writes what str.translate writes"] = np.array_equal(folded["result"], translated["result"])
    faster = bench.compare("fold, against str.translate", ours, theirs)
    bench.targets["fold faster than str.translate, CPU"] = faster["cpu"] > 1
    both, _ = bench.run([*TEXT, "ours_labialised"], news, f"fold and labial {megabytes}", **same)
    for method, label in FOLDING_PEERS.items() if not bench.without_peers else ():
        name = label.split()[0]
        try:
            theirs, _ = bench.run([*TEXT, method], news, f"{label} {megabytes}", **same)
        except MethodError as reason:
            bench.skip(name, reason)
            continue
        if method in ("etnltk", "amseg"):
            faster = bench.compare(f"fold, against {label}", ours, theirs)
            bench.targets[f"fold at least 5x faster than {name}, CPU"] = faster["cpu"] >= 5
        if method in ("etnltk_labialised", "amseg"):
            bench.compare(f"fold and labial, against {label}", both, theirs)


def bm25(bench: Texts) -> None:
    """Index and search beside bm25s, on equal tokens."""
    large, news = bench.size(LARGE["number"]), bench.news()
    for name, texts, probes in (
        (f"{bench.articles:,} articles", news, bench.articles),
        (f"{large:,} passages", bench.resampled("large", LARGE), 50),
    ):
        repeats = min(bench.repeats, 3)
        _, arrays = bench.run([*RETRIEVAL, "tokens"], texts, f"{name}: Analyzer, to tokens", repeats=repeats)
        tokens = bench.save("tokens", arrays)
        same = {"k": K, "probes": probes, "repeats": repeats}
        labels = {step: f"{name}: BM25, {step}" for step in ("index", "search")}
        ours, scored = bench.steps([*RETRIEVAL, "from_lists"], tokens, labels, **same)
        labels = {"index": f"{name}: BM25, index from numbers"}
        numbered, _ = bench.steps([*RETRIEVAL, "from_numbers"], tokens, labels, repeats=repeats)
        ours["numbers"] = numbered["index"]
        if not bench.without_peers:
            _bm25s(bench, name, tokens, ours, scored["scores"], sys.executable, "numpy", same)
        python = bench.python(BM25S)
        if python is not None:
            _bm25s(bench, name, tokens, ours, scored["scores"], python, "numba", same)


def _bm25s(
    bench: Texts,
    name: str,
    tokens: Path,
    ours: dict[str, Row],
    scores: np.ndarray,
    python: str,
    backend: str,
    same: Row,
) -> None:
    """Rows of bm25s with one of its backends, and whether its scores are ours."""
    peer = f"bm25s with {backend}"
    command = [python, str(PEERS / "bm25s_search.py"), "--method"]
    try:
        labels = {step: f"{name}: {peer}, {step}" for step in ("index", "search")}
        theirs, scored = bench.steps([*command, "from_lists"], tokens, labels, backend=backend, **same)
        labels = {"index": f"{name}: {peer}, index from numbers"}
        numbered, _ = bench.steps([*command, "from_numbers"], tokens, labels, backend=backend, repeats=same["repeats"])
    except MethodError as reason:
        bench.skip(peer, reason)
        return
    theirs["numbers"] = numbered["index"]
    for step, text in (("index", "index"), ("numbers", "index from numbers"), ("search", "search")):
        bench.compare(f"{name}: {text}, against {peer}", ours[step], theirs[step])
    apart = np.abs(scores - scored["scores"]) / np.maximum(1, scores)
    theirs["search"] |= {"scores_apart": float(apart.max()), "largest_score": float(scores.max())}
    bench.targets[f"{name}: scores as {peer}'s to 1e-5"] = theirs["search"]["scores_apart"] <= 1e-5


def folder(bench: Texts) -> None:
    """The command line on passages in files, and queries to what it wrote."""
    passages = bench.resampled("passages", PASSAGES)
    number = bench.size(PASSAGES["number"])
    measure([*FOLDER, "write"], passages, {"folder": str(bench.folder)}, f"writing {number:,} passages")
    out = str(bench.folder / "index")
    for source, text in (("passages.jsonl", "lines of JSON"), ("passages", "files in a folder")):
        # Without the world, so that the process is small.
        row, _ = bench.run(
            [*FOLDER, "index"],
            bench.folder / "none.npz",
            f"amharic-ir index, {number:,} passages as {text}",
            source=str(bench.folder / source),
            out=out,
        )
        row["settings"] = {}
        bench.targets[f"{row['label']}, in under 120 s"] = row["fit_seconds"] < 120
        bench.targets[f"{row['label']}, in under 2 GB"] = row["peak_mebibytes"] * 2**20 < 2e9
    asked = bench.size(QUERIES)
    row, _ = bench.run([*FOLDER, "search"], passages, f"Searcher: open, {asked:,} queries", out=out, number=asked, k=K)
    row["settings"] = {}
    bench.targets[f"{row['label']}, in under 20 s"] = row["fit_seconds"] < 20


def maxsim(bench: Texts) -> None:
    """Late interaction beside a loop and PyLate, on equal vectors."""
    settings = {**VECTORS, "documents": bench.size(VECTORS["documents"]), "seed": bench.seed}
    _, arrays = measure([*MAXSIM, "vectors"], bench.folder / "none.npz", settings, "drawing vectors")
    vectors = bench.save("vectors", arrays)
    same = {"repeats": min(bench.repeats, 3)}
    what = f"{settings['queries']} queries, {settings['documents']:,} documents"
    ours, scored = bench.run([*MAXSIM, "ours"], vectors, f"maxsim, all queries at once: {what}", **same)
    found = [
        bench.run([*MAXSIM, "one"], vectors, "maxsim, query after query", **same),
        bench.run([*MAXSIM, "loop"], vectors, "a loop over documents", **same),
    ]
    python = bench.python(PYLATE)
    methods = {"scores": "PyLate colbert_scores, padded before", "rerank": "PyLate rerank"}
    for method, label in methods.items() if python is not None else ():
        command = [python, str(PEERS / "pylate_maxsim.py"), "--method", method]
        try:
            found.append(bench.run(command, vectors, label, **same))
        except MethodError as reason:
            bench.skip(PYLATE.label, reason)
            break
    for theirs, values in found:
        bench.compare(f"maxsim, against {theirs['label']}", ours, theirs)
        theirs["scores_apart"] = float(np.abs(scored["scores"] - values["scores"]).max())
        bench.targets[f"maxsim: scores as by {theirs['label']} to 1e-5"] = theirs["scores_apart"] <= 1e-5


PARTS = {part.__name__: part for part in (folding, bm25, folder, maxsim)}


# -- showing ----------------------------------------------------------------------------------------------------------


def show(results: Row) -> None:
    """Print the tables."""
    before, after = results["load_average"]["before"][0], results["load_average"]["after"][0]
    print(f"\none thread per library; load average {before:.2f} before and {after:.2f} after\n")
    print(f"{'method':<72}{'seconds':>10}{'CPU s':>9}{'peak MiB':>10}")
    for row in results["rows"]:
        print(f"{row['label']:<72}{cells(row, COLUMNS)}")
        found = [text.format(row[name]) for name, text in NOTES.items() if name in row]
        if "peak_before" in row:
            found.append(f"{row['peak_mebibytes'] - row['peak_before']:.0f} MiB of these its own")
        if found:
            print(f"    {'; '.join(found)}")
    print(f"\n{'times faster':<84}{'wall':>10}{'CPU':>9}")
    for found in results["against"]:
        form = ".0f" if found["wall"] >= 20 else ".2g"
        print(f"{found['what']:<84}{cells(found, [('wall', 10, form), ('cpu', 9, form)])}")
    if results["peer_skipped"]:
        print(f"\nskipped: {results['peer_skipped']}")
    show_targets(results["targets"])


NOTES = {
    "characters_a_second": "{:,.0f} characters a CPU second",
    "first_seconds": "first call {:.4f} s",
    "tokens": "{:,} tokens",
    "vocabulary": "{:,} different ones",
    "headlines_seconds": "headlines {:.4f} s",
    "queries": "{:,} queries",
    "largest_score": "largest score {:.0f}",
    "scores_apart": "largest difference of scores {:.2g}",
    "open_seconds": "open {:.2f} s",
    "first_query_seconds": "first query {:.2f} s",
    "afterwards_seconds": "all queries afterwards {:.2f} s",
    "index_megabytes": "index {:.0f} MB",
}


if __name__ == "__main__":
    main()
