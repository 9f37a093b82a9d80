"""Folding of letters, by methods of `benchmarks/amharic_ir.py`, one per process, in the workspace's environment.

This file is apart from the benchmark because a script of that name hides the package `amharic_ir` from its own
imports.
"""

import runpy
import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import numpy as np
from amharic_texts import packed, passages, read_news, unpacked
from meter import Arrays, Measured, peak_mebibytes, repeat, serve

Write = Callable[[str], str]


def news(_: Arrays) -> tuple[Measured, Arrays]:
    """The articles and their headlines."""
    articles, headlines = read_news()
    return {"documents": len(articles)}, {"articles": packed(articles), "headlines": packed(headlines)}


def resampled(data: Arrays, *, number: int, words: int, seed: int) -> tuple[Measured, Arrays]:
    """Passages of sentences of the articles, as articles, with the headlines as they are."""
    made = passages(unpacked(data["articles"]), number, words, seed)
    mean = float(np.mean([len(text.split()) for text in made]))
    return {"documents": number, "words": mean}, {"articles": packed(made), "headlines": data["headlines"]}


# -- folding ----------------------------------------------------------------------------------------------------------


def ours(data: Arrays, *, size: int, repeats: int) -> tuple[Measured, Arrays]:
    """`amharic_ir.fold`."""
    from amharic_ir import fold

    return _written(data, fold, size, repeats)


def translate(data: Arrays, *, size: int, repeats: int) -> tuple[Measured, Arrays]:
    """Python's `str.translate`, with our table."""
    from amharic_ir.text.folding import folding

    table = folding("am")
    return _written(data, lambda text: text.translate(table), size, repeats)


def etnltk(data: Arrays, *, size: int, repeats: int) -> tuple[Measured, Arrays]:
    """`etnltk.lang.am.normalize_char`."""
    from etnltk.lang.am import normalize_char

    return _written(data, normalize_char, size, repeats)


def amseg(data: Arrays, *, size: int, repeats: int) -> tuple[Measured, Arrays]:
    """`AmharicNormalizer.normalize` of amseg."""
    return _written(data, _amseg(), size, repeats)


def ours_labialised(data: Arrays, *, size: int, repeats: int) -> tuple[Measured, Arrays]:
    """Letters folded, and labialised spellings written as one letter."""
    from amharic_ir import Analyzer

    return _written(data, Analyzer(steps=("fold", "labial")).normalize, size, repeats)


def etnltk_labialised(data: Arrays, *, size: int, repeats: int) -> tuple[Measured, Arrays]:
    """The same by etnltk."""
    from etnltk.lang.am import normalize_char, normalize_labialized

    return _written(data, lambda text: normalize_labialized(normalize_char(text)), size, repeats)


def _written(data: Arrays, write: Write, size: int, repeats: int) -> tuple[Measured, Arrays]:
    """Write the text of the articles anew, several times."""
    text = _text(data, size)
    start = perf_counter()
    write(text)
    first = perf_counter() - start
    result, timing = repeat(lambda: write(text), repeats)
    rate = len(text) / timing["cpu_seconds"]
    measured = {**timing, "first_seconds": first, "characters": len(text), "characters_a_second": rate}
    return measured | {"peak_mebibytes": peak_mebibytes()}, {"result": packed([result])}


def _text(data: Arrays, size: int) -> str:
    """So many bytes of UTF-8: the articles, again from the beginning where they are not enough."""
    whole = "\n".join(unpacked(data["articles"])).encode() + b"\n"
    return (whole * (size // len(whole) + 1))[:size].decode(errors="ignore")


@cache
def _amseg() -> Write:
    """From its file: the package imports pytesseract and pdf2image, which it does not depend on."""
    spec = find_spec("amseg")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("amseg is not installed: uv sync --all-packages")
    module = Path(spec.submodule_search_locations[0]) / "amharicNormalizer.py"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its escape sequences
        write: Write = runpy.run_path(str(module))["AmharicNormalizer"].normalize
    return write


def prepare() -> None:
    """Import what is timed."""
    for name in ("amharic_ir", "irworks.data.text_files"):
        import_module(name)


METHODS = {
    method.__name__: method
    for method in (news, resampled, ours, translate, etnltk, amseg, ours_labialised, etnltk_labialised)
}

if __name__ == "__main__":
    serve(METHODS, prepare)
