"""The names of measures, as ir-measures writes them: `nDCG@10`, `RR(rel=2)@10`, `nDCG(dcg='exp-log2')@5`."""

import re
from dataclasses import dataclass
from typing import Literal

from irworks.errors import ArgumentError

__all__ = ["Family", "Gain", "Measure", "parse_measure"]

Family = Literal["nDCG", "DCG", "RR", "P", "R", "AP", "Success"]
Gain = Literal["log2", "exp-log2"]

_ALIASES: dict[str, Family] = {
    "nDCG": "nDCG",
    "NDCG": "nDCG",
    "DCG": "DCG",
    "RR": "RR",
    "MRR": "RR",
    "P": "P",
    "Precision": "P",
    "R": "R",
    "Recall": "R",
    "AP": "AP",
    "MAP": "AP",
    "Success": "Success",
}
_NEEDS_CUTOFF = ("P", "R", "Success")
_GRADED = ("nDCG", "DCG")
_NAME = re.compile(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*(?:@\s*(\d+))?\s*")
_PARAMETER = re.compile(r"\s*(\w+)\s*=\s*('[^']*'|\"[^\"]*\"|-?\d+)\s*")
_EXAMPLES = "nDCG, nDCG@k, nDCG(dcg='exp-log2')@k, DCG@k, RR, RR@k, RR(rel=2)@k, P@k, R@k, AP, AP@k, Success@k"


@dataclass(frozen=True)
class Measure:
    """One measure with its parameters.

    Attributes:
        family: What is measured.
        cutoff: How many documents from the top count; None for all.
        rel: The lowest label that counts as relevant (not for nDCG and DCG).
        gain: For nDCG and DCG what a label is worth: "log2" the label itself, as trec_eval; "exp-log2" 2^label - 1.
            Both are discounted by log2(1 + rank).

    Raises:
        ArgumentError: A parameter is missing or out of range.
    """

    family: Family
    cutoff: int | None = None
    rel: int = 1
    gain: Gain = "log2"

    def __post_init__(self) -> None:
        if self.cutoff is not None and self.cutoff < 1:
            raise ArgumentError(f"{self.family}@{self.cutoff}: expected a cutoff of at least 1")
        if self.cutoff is None and self.family in _NEEDS_CUTOFF:
            raise ArgumentError(f"{self.family} needs a cutoff, such as {self.family}@10")

    def __str__(self) -> str:
        parameters = []
        if self.rel != 1:
            parameters.append(f"rel={self.rel}")
        if self.gain != "log2":
            parameters.append(f"dcg='{self.gain}'")
        inside = f"({','.join(parameters)})" if parameters else ""
        return f"{self.family}{inside}{'' if self.cutoff is None else f'@{self.cutoff}'}"


def parse_measure(name: str) -> Measure:
    """Read the name of a measure.

    The names are those of ir-measures, its aliases (`MRR`, `NDCG`, `MAP`, `Precision`, `Recall`) included. `DCG`, which
    ir-measures lacks, takes the parameters of `nDCG`.

    Raises:
        ArgumentError: The measure, or one of its parameters, is not known here; lists what is.
    """
    found = _NAME.fullmatch(name)
    if found is None or found[1] not in _ALIASES:
        raise ArgumentError(f"measure {name!r} is not known; expected one of {_EXAMPLES}")
    family = _ALIASES[found[1]]
    parameters = _parameters(name, found[2] or "")
    cutoff = _whole(name, parameters.pop("cutoff", found[3]), "cutoff")
    allowed = {"dcg"} if family in _GRADED else {"rel"}
    unknown = set(parameters) - allowed
    if unknown:
        expected = f"{' or '.join(sorted(allowed))} or cutoff"
        raise ArgumentError(f"measure {name!r} has no parameter {sorted(unknown)[0]!r}; expected {expected}")
    rel = _whole(name, parameters.get("rel"), "rel")
    return Measure(family, cutoff, 1 if rel is None else rel, _gain(name, parameters.get("dcg", "log2")))


def _parameters(name: str, text: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for part in text.split(",") if text.strip() else []:
        pair = _PARAMETER.fullmatch(part)
        if pair is None:
            raise ArgumentError(f"measure {name!r}: cannot read {part.strip()!r}; expected parameter=value")
        parameters[pair[1]] = pair[2].strip("'\"")
    return parameters


def _whole(name: str, text: str | None, parameter: str) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"-?\d+", text):
        raise ArgumentError(f"measure {name!r}: {parameter} is {text!r}; expected a whole number")
    return int(text)


def _gain(name: str, text: str) -> Gain:
    if text == "log2":
        return "log2"
    if text == "exp-log2":
        return "exp-log2"
    raise ArgumentError(f"measure {name!r}: dcg is {text!r}; expected 'log2' or 'exp-log2'")
