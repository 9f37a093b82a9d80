"""What the claims at published scale are measured with: models and collections of the hub, or copies of them."""

import gc
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amharic_ir.datasets.airtc import HUB_AIRTC
from amharic_ir.datasets.news import HUB_NEWS
from irworks.claims import Context, NotRun
from irworks.errors import MissingDependencyError

if TYPE_CHECKING:
    import pandas as pd

    from amharic_ir.encoders import SentenceEncoder
    from amharic_ir.measure import Leaderboard, Report
    from irworks.data import Collection, Run
    from irworks.encoders import TokenEncoder

__all__ = ["BASES", "DATA", "MODELS", "MULTILINGUAL", "Bench", "Places", "close", "copies_as_one", "key", "prompted"]

# Of a system in the tables, the name on the hub.
MODELS = {
    "gte-modernbert-base": "Alibaba-NLP/gte-modernbert-base",
    "gte-multilingual-base": "Alibaba-NLP/gte-multilingual-base",
    "multilingual-e5-large-instruct": "intfloat/multilingual-e5-large-instruct",
    "snowflake-arctic-embed-l-v2.0": "Snowflake/snowflake-arctic-embed-l-v2.0",
    "snowflake-arctic-embed-l-v2.0, fine-tuned": "rasyosef/snowflake-arctic-embed-l-v2.0-finetuned-amharic",
    "BERT-Medium-Amharic-Embed": "rasyosef/bert-amharic-text-embedding-medium",
    "RoBERTa-Medium-Amharic-Embed": "rasyosef/roberta-amharic-text-embedding-medium",
    "RoBERTa-Base-Amharic-Embed": "rasyosef/roberta-amharic-text-embedding-base",
}
MULTILINGUAL = tuple(MODELS)[:4]
# Before any training on pairs.
BASES = {"Amharic": "rasyosef/roberta-base-amharic", "multilingual": MODELS["snowflake-arctic-embed-l-v2.0"]}
DATA = {"news": HUB_NEWS, "airtc": HUB_AIRTC}
# Its network is a program on the hub, which a user may not want to run.
_WITH_CODE = "gte-multilingual-base"
# Forms of the same numbers that are not read here.
_NOT_READ = ["onnx/*", "openvino/*", "*.onnx", "*.msgpack", "*.h5", "*.ot", "*.gguf"]
_DEPTH = 100


class Places:
    """Where models and data sets are, all found before anything is measured.

    Args:
        ctx: Its options name folders.
        claim: Id of the claim, for commands.
        option: Of the command as well, such as "finetune=yes".

    Attributes:
        command: That runs the claim.
        folders: {name on the hub, or option: folder}.

    Raises:
        NotRun: The scale is below "full".
    """

    def __init__(self, ctx: Context, claim: str, option: str = "") -> None:
        self.ctx = ctx
        self.folders: dict[str, str] = {}
        words = ["irworks", "reproduce", "amharic-ir", "--claim", claim, "--scale", "full"]
        self.command = shlex.join([*words, *(["--option", option] if option else [])])
        if ctx.scale != "full":
            raise NotRun(
                "measured at scale full alone: models and collections are on a hub (which takes a network, or copies "
                "and --option models=FOLDER), and the larger models want a graphics card",
                command=self.command,
            )

    def find(self, models: Sequence[str], data: Sequence[str]) -> None:
        """Locate, and fetch where need be and allowed.

        Args:
            models: Names on the hub.
            data: Names of options, which `DATA` knows.

        Raises:
            NotRun: Something is not here and cannot be had.
            MissingDependencyError: What fetches it is not installed.
        """
        missing, because = [], ""
        for name in models:
            there = self._copy_of_model(name)
            found = there or _fetched(name, "model", offline=self.ctx.offline)
            if isinstance(found, Exception):
                missing.append(name)
                because = because or str(found).partition("\n")[0]
            else:
                self.folders[name] = found
        for option in data:
            there = self.ctx.options.get(option)
            found = there or _fetched(DATA[option], "dataset", offline=self.ctx.offline)
            if isinstance(found, Exception):
                missing.append(f"{DATA[option]} (--option {option}=FOLDER)")
                because = because or str(found).partition("\n")[0]
            else:
                self.folders[option] = found
        if missing:
            options = [f"--option {name}=FOLDER" for name in ("models", *data)]
            raise NotRun(
                f"not here, and not to be had from the hub: {', '.join(missing)} ({because}). Needs a network, or "
                "copies: models in a folder under their names on the hub",
                command=f"{self.command} {' '.join(options)}",
            )

    def _copy_of_model(self, name: str) -> str | None:
        root = self.ctx.options.get("models")
        if root is None:
            return None
        return next((str(each) for each in (Path(root, name), Path(root, name.split("/")[-1])) if each.is_dir()), None)

    def encoder(self, name: str, **options: Any) -> "SentenceEncoder":
        """A model that was found, under its name on the hub and with the prompts that go with it."""
        from amharic_ir.encoders import SentenceEncoder
        from irworks.encoders.prompts import prompts_of
        from irworks.runtime import device

        model: Any = self.folders[name]
        if name == MODELS[_WITH_CODE]:
            from sentence_transformers import SentenceTransformer

            model = SentenceTransformer(model, device=device(self.ctx.device), trust_remote_code=True)
        encoder = SentenceEncoder(model, device=self.ctx.device, **options)
        encoder.name = name
        encoder.query_prompt, encoder.doc_prompt = prompts_of(name, encoder.model.prompts)
        return encoder

    def systems(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of the systems that may be run: one of them brings a program along."""
        return tuple(name for name in names if name != _WITH_CODE or self.ctx.options.get("remote-code") == "yes")

    @property
    def left_out(self) -> str:
        """What the reader should know of that."""
        if self.ctx.options.get("remote-code") == "yes":
            return ""
        return (
            f" {_WITH_CODE} is left out, for its network is a program on the hub: --option remote-code=yes lets it run."
        )


def _fetched(name: str, kind: str, *, offline: bool) -> str | Exception:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ModuleNotFoundError:
        raise MissingDependencyError("huggingface-hub", "models of the hub", "amharic-ir[dense,hub]") from None
    try:
        return str(snapshot_download(name, repo_type=kind, ignore_patterns=_NOT_READ, local_files_only=offline))
    except (OSError, HfHubHTTPError) as error:
        return error


# -- measuring --------------------------------------------------------------------------------------------------------


class Bench:
    """Systems on one collection; the run of each is kept in the claim's folder, so that a killed claim goes on.

    Attributes:
        reports: {system: report}.
    """

    def __init__(self, ctx: Context, collection: "Collection", measures: Sequence[str], name: str = "") -> None:
        self.ctx, self.collection, self.measures, self.name = ctx, collection, tuple(measures), name
        self.texts = collection.docs.to_dict()
        self.queries = {query: collection.queries[query] for query, judged in collection.qrels.items() if judged}
        self.reports: dict[str, Report] = {}

    def sparse(self, system: str, analyzer: Any) -> None:
        """Measure BM25 over an analyzer's tokens."""
        from irworks.retrieval import BM25

        self._measure(system, lambda: BM25(analyzer).add(self.texts).search(self.queries, _DEPTH))

    def lexical(self) -> None:
        """Measure BM25 of the paper's kind, and that of this package."""
        from amharic_ir.text.analyzer import Analyzer

        self.sparse("BM25, \\w\\w+", _words_of_two)
        self.sparse("BM25, whitespace", Analyzer(tokens="whitespace", steps=()))
        self.sparse("BM25, words", Analyzer(tokens="word", steps=("nfc", "punct")))
        self.sparse("BM25, 3-grams (ours)", Analyzer())

    def dense(self, system: str, load: "Callable[[], SentenceEncoder]", *, prompts: bool = True) -> None:
        """Measure one vector a text: without prompts, as the authors' notebooks do, and with them if there are any."""
        self._dense(system, load(), prompts=prompts)
        _free()

    def _dense(self, system: str, encoder: "SentenceEncoder", *, prompts: bool) -> None:
        from irworks.retrieval import Dense

        given = encoder.query_prompt, encoder.doc_prompt
        ways = {system: ("", "")} | ({prompted(system): given} if prompts and any(given) else {})
        index: Dense | None = None
        for label, (query, doc) in ways.items():

            def found(query: str = query, doc: str = doc) -> "Run":
                nonlocal index
                if index is None or encoder.doc_prompt != doc:
                    encoder.doc_prompt = doc
                    index = Dense(encoder).add(self.texts)
                encoder.query_prompt = query
                return index.search(self.queries, _DEPTH)

            self._measure(label, found)

    def late(self, system: str, load: "Callable[[], TokenEncoder]") -> None:
        """Measure one vector a token, over all documents."""
        from irworks.retrieval import LateInteraction

        self._measure(system, lambda: LateInteraction(load()).add(self.texts).search(self.queries, _DEPTH))
        _free()

    def run(self, system: str) -> "Run":
        """What a system found."""
        return self.reports[system].run

    def _measure(self, system: str, found: "Callable[[], Run]") -> None:
        import pandas as pd

        from amharic_ir.measure import evaluate
        from irworks.data import Run
        from irworks.runtime.files import atomic_path

        kept = self.ctx.run_dir / f"{key(f'{self.name} {system}')}.parquet"
        if kept.is_file():
            run = Run.from_pandas(pd.read_parquet(kept))
        else:
            run = found()
            with atomic_path(kept) as temporary:
                run.to_pandas().to_parquet(temporary)
        self.reports[system] = evaluate(run, self.collection, self.measures, k=_DEPTH, name=system)

    def against(self, system: str, others: Sequence[str] | None = None) -> "Leaderboard":
        """The others, by default all, compared with one: paired permutation tests, Holm's correction."""
        from amharic_ir.measure import compare

        names = list(self.reports) if others is None else [system, *others]
        return compare([self.reports[name] for name in names], self.collection, self.measures, baseline=system)

    def table(self, board: "Leaderboard", systems: Sequence[str], reported: str) -> "pd.DataFrame":
        """A row a system that was measured, then a row a system with what others reported.

        Args:
            board: Of the comparison to show.
            systems: Reported ones to show.
            reported: Name of the collection in `published`.
        """
        import pandas as pd

        from amharic_ir.measure import published

        first, standing = self.measures[0], board.standings[0]
        rows = []
        for system, report in standing.reports.items():
            row: dict[str, Any] = {"system": system, "mark": "measured"}
            row |= {measure: report[measure].estimate for measure in self.measures}
            row |= {f"{first}, low": report[first].low, f"{first}, high": report[first].high}
            if one := standing.differences[first].get(system):
                gain = one.difference
                row |= {f"{board.baseline} over it": -gain.estimate, "low": -gain.high, "high": -gain.low}
                row["p (Holm)"] = one.p_adjusted
            rows.append(row)
        others = published(reported).loc[list(systems)].reset_index()
        return pd.concat([pd.DataFrame(rows), others[["system", "mark", *self.measures]]], ignore_index=True)


def _words_of_two(text: str) -> list[str]:
    """As bm25s and llama-index cut text."""
    return re.findall(r"\w\w+", text.lower())


def prompted(system: str) -> str:
    """Name of a system that is asked with its prompts."""
    return f"{system}, prompted"


def key(name: str) -> str:
    """A name for values and files."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def close(report: "Report", reported: Mapping[str, float], by: float = 0.01) -> bool:
    """Whether all measures, to three decimals, are within .01 of what was reported."""
    return all(abs(round(report[name].estimate, 3) - value) <= by + 1e-9 for name, value in reported.items())


def copies_as_one(collection: "Collection", reports: "Mapping[str, Report]") -> tuple[int, dict[str, float]]:
    """How many documents have the text of another, and RR@10 of systems when these are one document.

    Texts are equal if they differ in white space and homophones alone.
    """
    from amharic_ir.text.folding import same_text
    from irworks.data import Run
    from irworks.metrics import evaluate_run

    firsts: dict[str, str] = {}
    ids = collection.docs.ids
    one = {doc: firsts.setdefault(same_text(text), doc) for doc, text in zip(ids, collection.docs.texts(), strict=True)}
    qrels: dict[str, dict[str, int]] = {}
    for query, judged in collection.qrels.items():
        for doc, label in judged.items():
            of = qrels.setdefault(query, {})
            of[one[doc]] = max(label, of.get(one[doc], label))
    means = {}
    for system, report in reports.items():
        best: dict[str, dict[str, float]] = {}
        for query in report.run:
            found = best.setdefault(query, {})
            for doc, score in report.run[query]:
                found.setdefault(one[doc], score)
        means[system] = float(evaluate_run(Run.of(best), qrels, ["RR@10"])["RR@10"].mean())
    return len(one) - len(firsts), means


def _free() -> None:
    """Give memory of a graphics card back before the next model."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
