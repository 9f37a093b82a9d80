"""Which words of a text a query found it by."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import replace

from amharic_ir.text.analyzer import Analyzer
from irworks.errors import ArgumentError

__all__ = ["highlight", "snippet"]

Span = tuple[int, int]


def highlight(text: str, query_tokens: Iterable[str], analyzer: Analyzer, *, least: float = 0.5) -> list[Span]:
    """Words of a text that share tokens with a query: (start, end) in the text as it is, in order and apart.

    Args:
        text: Of a document.
        query_tokens: Of the query, by the same analyzer.
        analyzer: How both became tokens.
        least: A word counts if so large a share of its tokens is among those of the query.

    Raises:
        ArgumentError: The tokens are one text.
    """
    if isinstance(query_tokens, str):
        raise ArgumentError(
            f"query_tokens is {query_tokens!r}; expected tokens, as analyzer.tokens_of makes them of it"
        )
    wanted = set(query_tokens)
    words = replace(analyzer, tokens="whitespace" if analyzer.tokens == "whitespace" else "word")

    def counts(word: str) -> bool:
        tokens = analyzer.tokens_of_word(word)
        return sum(token in wanted for token in tokens) >= least * len(tokens)

    # Each word is judged once, however often it stands: a text may be a book.
    counted = {word for word in set(words.words_of(words.normalize(text))) if counts(word)}
    found: list[Span] = []
    for _, start, end in words.spans(text, words=counted):
        # An abbreviation is several words in one place.
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def snippet(text: str, spans: list[Span], width: int = 160) -> Span:
    """The part of a text, cut between words, of at most `width` characters, that holds most highlighted ones."""
    if len(text) <= width:
        return 0, len(text)
    starts = [start for start, _ in spans]
    best, begin = -1, 0
    for place, start in enumerate(starts):
        until = start + width
        near = spans[place : bisect_left(starts, until)]
        inside = sum(min(end, until) - first for first, end in near)
        if inside > best:
            best, begin = inside, start
    begin = max(0, min(begin - width // 8, len(text) - width))
    end = min(begin + width, len(text))
    if begin and (gap := text.find(" ", begin, begin + width // 8)) >= 0:
        begin = gap + 1
    if end < len(text) and (gap := text.rfind(" ", end - width // 8, end)) >= 0:
        end = gap
    return begin, end
