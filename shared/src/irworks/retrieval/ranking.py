"""What all indexes do: keep ids in order, and make runs of scores."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from irworks.data.runs import Run
from irworks.errors import ArgumentError
from irworks.retrieval.protocol import as_queries

__all__ = ["Ranking", "best", "checked_depth", "new_documents", "places_of", "rankings_of", "remaining", "run_of"]

# Places of documents, best first, and their scores.
Ranking = tuple[NDArray[np.int64], NDArray[np.floating]]

NOTHING: Ranking = (np.zeros(0, dtype=np.int64), np.zeros(0))


def new_documents(docs: Mapping[str, str] | Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """{id: text} of what is to be indexed.

    Raises:
        ArgumentError: An id is there already.
    """
    texts = as_queries(docs)
    if twice := set(texts) & set(known):
        raise ArgumentError(f"document {min(twice)!r} is indexed already; remove it first")
    return texts


def remaining(docs: Sequence[str], known: Sequence[str]) -> NDArray[np.bool_]:
    """Which documents stay when some are taken out: bool [n_docs].

    Raises:
        ArgumentError: One is not there.
    """
    gone = set(docs)
    if strangers := gone - set(known):
        raise ArgumentError(f"there is no document {min(strangers)!r}")
    return np.array([doc not in gone for doc in known], dtype=bool)


def places_of(docs: Iterable[str], places: Mapping[str, int]) -> NDArray[np.int64]:
    """Places of documents in an index: int64 [n_docs].

    Raises:
        ArgumentError: One is not there.
    """
    found = [(doc, places.get(doc, -1)) for doc in docs]
    if strangers := [doc for doc, place in found if place < 0]:
        raise ArgumentError(f"there is no document {strangers[0]!r}; expected documents of the index")
    return np.array([place for _, place in found], dtype=np.int64)


def checked_depth(k: int) -> None:
    """Whether so many documents can be asked for.

    Raises:
        ArgumentError: They cannot.
    """
    if k < 1:
        raise ArgumentError(f"k={k}; expected at least 1")


def best(values: NDArray[np.floating], k: int, *, above: float = -np.inf) -> Ranking:
    """The k largest values above a bound, largest first, ties in order.

    Args:
        values: [n_docs].
        k: How many, at most.
        above: What all of them are above.
    """
    near = values > above
    if k < len(values):
        near &= values >= np.partition(values, -k)[-k]
    places = np.flatnonzero(near)
    places = places[np.argsort(-values[places], kind="stable")][:k]
    return places, values[places]


def rankings_of(
    texts: Sequence[str],
    encoded: NDArray[np.bool_],
    step: int,
    ranked: Callable[[NDArray[np.int64]], Iterable[Ranking]],
) -> list[Ranking]:
    """A ranking for each query; one that is blank, or of which nothing was encoded, finds nothing.

    Args:
        texts: Of the queries.
        encoded: bool [n_queries]: of which the encoder made something.
        step: So many queries at once.
        ranked: From places of queries to their rankings.
    """
    found: list[Ranking] = [NOTHING] * len(texts)
    rows = np.flatnonzero(np.array([bool(text.strip()) for text in texts], dtype=bool) & encoded)
    for begin in range(0, len(rows), step):
        part = rows[begin : begin + step]
        for place, ranking in zip(part, ranked(part), strict=True):
            found[place] = ranking
    return found


def run_of(queries: Iterable[str], rankings: Iterable[Ranking], ids: Sequence[str], name: str) -> Run:
    """A run of rankings, one for each query."""
    names = np.array([*queries, None], dtype=object)[:-1]
    known = np.array([*ids, None], dtype=object)[:-1]
    docs, scores, sizes = [known[:0]], [np.zeros(0)], []
    for places, values in rankings:
        docs.append(known[places])
        scores.append(values.astype(np.float64))
        sizes.append(len(places))
    offsets = np.append(0, np.cumsum(np.array(sizes, dtype=np.int64))).astype(np.int64)
    return Run(names, np.concatenate(docs), np.concatenate(scores), offsets, name)
