"""Text as other people would have typed it: spelling variants, slips and layouts, for tests of robustness."""

import random
import re
from collections.abc import Callable
from functools import cache

from amharic_ir.text.folding import folding
from amharic_ir.text.script import letters
from amharic_ir.text.sera import to_sera
from amharic_ir.text.steps import labialised
from irworks.errors import ArgumentError

__all__ = ["PERTURBATIONS", "perturb"]

_WORD = re.compile(r"\S+")


@cache
def families() -> dict[str, list[str]]:
    """From a letter to all that sound the same in Amharic, itself among them; only letters that have such."""
    members: dict[int, set[int]] = {}
    for letter, kept in folding("am").items():
        members.setdefault(kept, {kept}).add(letter)
    return {chr(letter): sorted(map(chr, group)) for group in members.values() for letter in group}


@cache
def _rows() -> dict[str, list[str]]:
    """From a letter to the other vowels of its consonant."""
    every = [chr(code) for code in letters()]
    rows: dict[int, list[str]] = {}
    for letter in every:
        rows.setdefault(ord(letter) >> 3, []).append(letter)
    return {letter: [other for other in rows[ord(letter) >> 3] if other != letter] for letter in every}


def _homophone(text: str, p: float, draw: random.Random) -> str:
    """Each letter that has homophones as a random one of them, itself among them, with probability p."""
    known = families()
    return "".join(draw.choice(known[c]) if c in known and draw.random() < p else c for c in text)


def _letter(change: Callable[[str, int, random.Random], str]) -> "Perturbation":
    """One change in a word of two letters or more, with probability p a word."""

    def perturbed(text: str, p: float, draw: random.Random) -> str:
        def one(match: re.Match[str]) -> str:
            word = match[0]
            if len(word) < 2 or draw.random() >= p:
                return word
            return change(word, draw.randrange(len(word)), draw)

        return _WORD.sub(one, text)

    return perturbed


def _vowel(word: str, place: int, draw: random.Random) -> str:
    others = _rows().get(word[place])
    return word[:place] + draw.choice(others) + word[place + 1 :] if others else word


def _drop(word: str, place: int, draw: random.Random) -> str:
    return word[:place] + word[place + 1 :]


def _swap(word: str, place: int, draw: random.Random) -> str:
    place = min(place, len(word) - 2)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def _spaces(other: str) -> "Perturbation":
    def perturbed(text: str, p: float, draw: random.Random) -> str:
        return "".join(other if c == " " and draw.random() < p else c for c in text)

    return perturbed


def _labial(text: str, p: float, draw: random.Random) -> str:
    """Letters with -wa as two letters."""
    back = {chr(whole): chr(first) + "\u12cb" for first, whole in labialised().items()}
    return "".join(back[c] if c in back and draw.random() < p else c for c in text)


def _sera(text: str, p: float, draw: random.Random) -> str:
    return _WORD.sub(lambda match: to_sera(match[0]) if draw.random() < p else match[0], text)


Perturbation = Callable[[str, float, random.Random], str]
# homophone: another letter of the same sound; vowel, drop, swap: a slip in a word; wordspace: U+1361 for a space;
# nospace: words run together; labial: -wa in two letters; sera: a word in Latin letters.
PERTURBATIONS: dict[str, Perturbation] = {
    "homophone": _homophone,
    "vowel": _letter(_vowel),
    "drop": _letter(_drop),
    "swap": _letter(_swap),
    "wordspace": _spaces("\u1361"),
    "nospace": _spaces(""),
    "labial": _labial,
    "sera": _sera,
}


def perturb(text: str, kind: str, p: float = 1.0, *, seed: int = 0) -> str:
    """Change a text at random, the same way for the same seed.

    Args:
        text: In Ethiopic letters.
        kind: Of `PERTURBATIONS`.
        p: How often: the chance of each letter, word or space that could change.
        seed: Of the draw; use another one for each text.

    Raises:
        ArgumentError: The kind is unknown, or p is no probability.
    """
    if kind not in PERTURBATIONS:
        raise ArgumentError(f"kind={kind!r}; expected one of: {', '.join(PERTURBATIONS)}")
    if not 0 <= p <= 1:
        raise ArgumentError(f"p={p}; expected within [0, 1]")
    return PERTURBATIONS[kind](text, p, random.Random(seed))
