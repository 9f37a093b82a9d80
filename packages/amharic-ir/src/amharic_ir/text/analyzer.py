"""From text to the tokens of an index."""

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple, Self

from amharic_ir.text.aligned import Aligned
from amharic_ir.text.folding import LANGUAGES, Language
from amharic_ir.text.script import skeleton
from amharic_ir.text.stem import stem
from amharic_ir.text.steps import STEPS
from irworks.errors import ArgumentError
from irworks.retrieval.tokens import Tokens

__all__ = ["Analyzer", "Kind", "Token"]

Kind = Literal["whitespace", "word", "prefix", "stem", "ngram", "skeleton", "mixed"]
KINDS: tuple[Kind, ...] = ("whitespace", "word", "prefix", "stem", "ngram", "skeleton", "mixed")
_WORD = re.compile(r"[^\W_]+")
_BETWEEN_SPACES = re.compile(r"\S+")
# Between texts that are rewritten together: no text has it, as it is taken out of each.
_APART = "\x00"
_BOUNDARY = "_"


class Token(NamedTuple):
    """A token and where it stands.

    Attributes:
        text: Of the token.
        start: First character of what it was made of, in the original.
        end: One past the last.
    """

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Analyzer:
    """How text becomes tokens; the same for what is indexed and for what is asked.

    Attributes:
        lang: "am" (Amharic), "ti" (Tigrinya) or "geez": which letters are folded, and whether abbreviations are known.
        steps: What is done to the text first, of `STEPS`, in this order.
        tokens: "ngram": n letters in a row of each word; "word"; "stem": words without Amharic affixes; "skeleton":
            words without vowels; "prefix": the first n letters; "mixed": n-grams, and those of the skeleton;
            "whitespace": what stands between spaces.
        n: Letters of an n-gram or a prefix.
        boundary: Whether n-grams see where a word begins and ends, as one more letter.
        stopwords: Words, as the steps leave them, that give no token.
        stemmer: In place of ours; not kept with an index, so that it has to be handed in when one is opened.
    """

    lang: Language = "am"
    steps: tuple[str, ...] = tuple(STEPS)
    tokens: Kind = "ngram"
    n: int = 3
    boundary: bool = True
    stopwords: frozenset[str] = frozenset()
    stemmer: Callable[[str], str] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.lang not in LANGUAGES:
            raise ArgumentError(f"lang={self.lang!r}; expected one of: {', '.join(LANGUAGES)}")
        if unknown := [step for step in self.steps if step not in STEPS]:
            raise ArgumentError(f"steps has {unknown[0]!r}; expected of: {', '.join(STEPS)}")
        if self.tokens not in KINDS:
            raise ArgumentError(f"tokens={self.tokens!r}; expected one of: {', '.join(KINDS)}")
        if self.n < 1:
            raise ArgumentError(f"n={self.n}; expected at least 1")
        object.__setattr__(self, "steps", tuple(self.steps))
        object.__setattr__(self, "stopwords", frozenset(self.stopwords))

    # -- text ---------------------------------------------------------------------------------------------------------

    def normalize(self, text: str) -> str:
        """What the steps make of a text."""
        return self._rewritten(Aligned.of(text, spans=False)).text

    def normalize_many(self, texts: Sequence[str]) -> list[str]:
        """What the steps make of texts, all at once."""
        if not texts:
            return []
        together = _APART.join(text.replace(_APART, " ") for text in texts)
        return self._rewritten(Aligned.of(together, spans=False)).text.split(_APART)

    def _rewritten(self, aligned: Aligned) -> Aligned:
        for step in self.steps:
            aligned = STEPS[step](aligned, self.lang)
        return aligned

    # -- tokens -------------------------------------------------------------------------------------------------------

    def __call__(self, text: str) -> list[str]:
        """As `tokens_of`."""
        return self.tokens_of(text)

    def tokens_of(self, text: str) -> list[str]:
        """The tokens of a text, in order."""
        return [token for word in self.words_of(self.normalize(text)) for token in self.tokens_of_word(word)]

    def many(self, texts: Sequence[str]) -> Tokens:
        """The tokens of many texts: as of one after the other, but each word is cut once, however often it stands."""
        words = (self.words_of(text) for text in self.normalize_many(texts))
        return Tokens.of_words(words, self.tokens_of_word)

    def words_of(self, normalized: str) -> list[str]:
        """The words of a text that the steps are done with."""
        pattern = _BETWEEN_SPACES if self.tokens == "whitespace" else _WORD
        words: list[str] = pattern.findall(normalized)
        return [word for word in words if word not in self.stopwords] if self.stopwords else words

    def tokens_of_word(self, word: str) -> list[str]:
        """The tokens of one word, as the steps leave it."""
        if self.tokens == "ngram":
            return self._grams(word)
        return [text for text, _, _ in self._parts(word)]

    def _parts(self, word: str) -> Iterator[tuple[str, int, int]]:
        """Tokens of a word, and from which letter to which they are made."""
        whole = len(word)
        match self.tokens:
            case "whitespace" | "word":
                yield word, 0, whole
            case "prefix":
                yield word[: self.n], 0, min(self.n, whole)
            case "stem":
                yield (self.stemmer or stem)(word), 0, whole
            case "skeleton":
                yield skeleton(word), 0, whole
            case "ngram":
                yield from self._ngrams(word)
            case "mixed":
                yield from self._ngrams(word)
                yield from self._ngrams(skeleton(word), mark="\u02d9")

    def _ngrams(self, word: str, mark: str = "") -> Iterator[tuple[str, int, int]]:
        edge = int(self.boundary)
        for begin, text in enumerate(self._grams(word)):
            yield mark + text, max(begin - edge, 0), min(begin + self.n - edge, len(word))

    def _grams(self, word: str) -> list[str]:
        framed, n = f"{_BOUNDARY}{word}{_BOUNDARY}" if self.boundary else word, self.n
        return [framed[begin : begin + n] for begin in range(max(len(framed) - n, 0) + 1)]

    def spans(self, text: str, *, words: Collection[str] | None = None) -> list[Token]:
        """The tokens of a text with where they stand in it: `text[token.start:token.end]` is what each was made of.

        Args:
            text: As it is.
            words: Only tokens of these, of `words_of(normalize(text))`; None: of all.
        """
        aligned = self._rewritten(Aligned.of(text))
        pattern = _BETWEEN_SPACES if self.tokens == "whitespace" else _WORD
        starts, ends = aligned.start, aligned.end
        assert starts is not None
        assert ends is not None
        found = []
        for match in pattern.finditer(aligned.text):
            if match[0] in self.stopwords or (words is not None and match[0] not in words):
                continue
            for token, first, last in self._parts(match[0]):
                begin, until = match.start() + first, match.start() + last - 1
                found.append(Token(token, int(starts[begin]), int(ends[until])))
        return found

    def explain(self, text: str) -> list[tuple[str, str]]:
        """What each step makes of a text, and the tokens in the end: (name, text), one a step."""
        aligned = Aligned.of(text, spans=False)
        rows = [("text", text)]
        for step in self.steps:
            aligned = STEPS[step](aligned, self.lang)
            rows.append((step, aligned.text))
        return [*rows, (self.tokens, " ".join(self.tokens_of(text)))]

    # -- on disk ------------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The settings, for the index that is made with them."""
        settings = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "stemmer"}
        return json.dumps(settings | {"stopwords": sorted(self.stopwords), "stemmer": self.stemmer is not None})

    @classmethod
    def from_json(cls, text: str, *, stemmer: Callable[[str], str] | None = None) -> Self:
        """An analyzer with the settings that `to_json` wrote.

        Raises:
            ArgumentError: It had a stemmer of its own, which is not given.
        """
        settings: dict[str, Any] = json.loads(text)
        if settings.pop("stemmer") and stemmer is None:
            raise ArgumentError("the analyzer had a stemmer of its own; expected stemmer=")
        return cls(**settings, stemmer=stemmer)
