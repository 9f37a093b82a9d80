"""Sentences that stand in several languages."""

from pathlib import Path

from irworks.data.text_rows import lines
from irworks.errors import ArgumentError, DataError

__all__ = ["multilingual", "ntrex"]

# How the files are called here, and in the repository.
_FILES = {
    "am": ("amh.txt", "NTREX-128/newstest2019-ref.amh.txt"),
    "ti": ("tir.txt", "NTREX-128/newstest2019-ref.tir.txt"),
    "en": ("eng.txt", "NTREX-128/newstest2019-src.eng.txt"),
}
_SLICE = "multi_100.tsv"
_SLICE_LINES = 100


def ntrex(path: str | Path) -> dict[str, list[str]]:
    """NTREX-128 (Federmann, Kocmi and Xin 2022): 1,997 sentences of news in Amharic, Tigrinya and English.

    Args:
        path: The folder of amh.txt, tir.txt and eng.txt, or a copy of the repository.

    Returns:
        "am", "ti" and "en": sentences, the n-th of each being the same.

    Raises:
        DataError: A file is missing, or they differ in length.
    """
    found: dict[str, list[str]] = {}
    for lang, names in _FILES.items():
        there = [Path(path) / name for name in names if (Path(path) / name).is_file()]
        if not there:
            raise DataError("no such file", source=Path(path) / names[0], expected=f"one of: {', '.join(names)}")
        found[lang] = [line.strip() for _, line in lines(there[0])]
    sizes = {lang: len(sentences) for lang, sentences in found.items()}
    if len(set(sizes.values())) > 1:
        raise DataError("the languages differ in length", source=Path(path), found=sizes, expected="equal numbers")
    return found


def multilingual(path: str | Path, n: int = 100) -> list[str]:
    """The first n sentences of each of the 130 references of NTREX-128, language after language.

    Args:
        path: A copy of the repository, <https://github.com/MicrosoftTranslator/NTREX>; or the folder of
            multi_100.tsv, which holds the first 100 of each: language, tab, sentence.
        n: Of each reference.

    Raises:
        ArgumentError: More than 100 are asked for and the repository is not there.
        DataError: Neither is there, or a line is malformed.
    """
    root = Path(path)
    references = sorted(root.glob("NTREX-*/newstest2019-ref*.txt"))
    if references:
        return [line.strip() for file in references for _, line in list(lines(file))[:n]]
    if n > _SLICE_LINES:
        raise ArgumentError(f"n={n} of {root}; expected at most {_SLICE_LINES}, or a copy of the repository")
    kept: dict[str, list[str]] = {}
    for place, line in lines(root / _SLICE):
        language, tab, sentence = line.rstrip("\r\n").partition("\t")
        if not tab:
            raise DataError(
                "no sentence", source=root / _SLICE, row=place, found=line, expected="language<tab>sentence"
            )
        kept.setdefault(language, []).append(sentence.strip())
    return [sentence for sentences in kept.values() for sentence in sentences[:n]]
