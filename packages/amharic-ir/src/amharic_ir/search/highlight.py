"""Which words of a text a query found it by."""

from collections.abc import Iterable
from dataclasses import replace

from amharic_ir.text.analyzer import Analyzer

__all__ = ["highlight", "snippet"]

Span = tuple[int, int]


def highlight(text: str, query_tokens: Iterable[str], analyzer: Analyzer, *, least: float = 0.5) -> list[Span]:
    """Words of a text that share tokens with a query: (start, end) in the text as it is, in order and apart.

    Args:
        text: Of a document.
        query_tokens: Of the query, by the same analyzer.
        analyzer: How both became tokens.
        least: A word counts if so large a share of its tokens is among those of the query.
    """
    wanted = set(query_tokens)
    words = replace(analyzer, tokens="whitespace" if analyzer.tokens == "whitespace" else "word")
    found: list[Span] = []
    for word, start, end in words.spans(text):
        tokens = analyzer.tokens_of_word(word)
        if sum(token in wanted for token in tokens) < least * len(tokens):
            continue
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
    starts = [start for start, _ in spans] or [0]
    best, begin = -1, 0
    for start in starts:
        inside = sum(min(end, start + width) - first for first, end in spans if start <= first < start + width)
        if inside > best:
            best, begin = inside, start
    begin = max(0, min(begin - width // 8, len(text) - width))
    end = min(begin + width, len(text))
    if begin and (gap := text.find(" ", begin, begin + width // 8)) >= 0:
        begin = gap + 1
    if end < len(text) and (gap := text.rfind(" ", end - width // 8, end)) >= 0:
        end = gap
    return begin, end
