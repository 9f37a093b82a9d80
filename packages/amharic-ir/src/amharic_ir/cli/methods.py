"""What a system is called on the command line, and how it is made."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from irworks.errors import ArgumentError

if TYPE_CHECKING:
    from amharic_ir.text.analyzer import Analyzer
    from amharic_ir.text.folding import Language
    from irworks.data import Documents
    from irworks.retrieval import Retriever

__all__ = ["HELP", "searcher_of", "specs_of"]

HELP = (
    "Separated by commas; repeatable. bm25 (n-grams), bm25:KIND with KIND one of ngram, word, stem, skeleton, mixed, "
    "prefix and whitespace (the last without any analysis); dense:MODEL, late:MODEL, bm25+late:MODEL or hybrid:MODEL, "
    "MODEL being a folder that train wrote or a name on the hub; or a folder that index wrote."
)


def specs_of(methods: Sequence[str]) -> list[str]:
    """Single names, of lists with commas.

    Raises:
        ArgumentError: There is none, or one stands twice.
    """
    specs = [spec.strip() for listed in methods for spec in listed.split(",") if spec.strip()]
    if not specs or len(set(specs)) < len(specs):
        raise ArgumentError(f"--methods is {', '.join(specs) or 'empty'}; expected at least one, each once")
    return specs


def searcher_of(spec: str, docs: "Documents", lang: "Language") -> "Retriever":
    """The system that a name stands for, over documents.

    Args:
        spec: As in `HELP`.
        docs: What it searches. An index that is there already has to be of these.
        lang: Whose letters are folded, where the system is made here.

    Raises:
        ArgumentError: The name is none of these, or an index is of other documents.
        DataError: A folder is no index.
    """
    from amharic_ir.search import Searcher
    from amharic_ir.search.arms import ARMS
    from amharic_ir.text.analyzer import Analyzer

    kind, _, rest = spec.partition(":")
    if kind == "bm25":
        return Searcher.build(docs, analyzer=_analyzer(spec, rest or "ngram", lang))
    if kind == "hybrid" or set(kind.split("+")) <= set(ARMS):
        return Searcher.build(docs, kind, analyzer=Analyzer(lang), model=rest or None)
    if not Path(spec).is_dir():
        raise ArgumentError(
            f"{spec} is no method; expected bm25, bm25:KIND, dense:MODEL, late:MODEL, hybrid:MODEL, or a folder that "
            "index wrote"
        )
    searcher = Searcher.open(spec)
    if strangers := set(searcher.docs.ids) ^ set(docs.ids):
        raise ArgumentError(f"{spec} is an index of other documents: {min(strangers)!r} is in one of them alone")
    return searcher


def _analyzer(spec: str, tokens: str, lang: "Language") -> "Analyzer":
    from amharic_ir.text.analyzer import KINDS, Analyzer

    for kind in KINDS:
        if kind == tokens == "whitespace":
            return Analyzer(lang, steps=(), tokens=kind)
        if kind == tokens:
            return Analyzer(lang, tokens=kind)
    raise ArgumentError(f"{spec}: there are no tokens {tokens!r}; expected one of: {', '.join(KINDS)}")
