"""Training, validation and test queries that know nothing of one another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from amharic_ir.text.folding import same_text
from irworks.data import Collection
from irworks.errors import ArgumentError

__all__ = ["Splits", "split"]


@dataclass(frozen=True, eq=False)
class Splits:
    """Three parts of a collection's queries over the same documents; each says in `split` which one it is.

    Attributes:
        train: To learn from.
        validation: To choose by.
        test: To report.
    """

    train: Collection
    validation: Collection
    test: Collection

    def __iter__(self) -> Iterator[Collection]:
        return iter((self.train, self.validation, self.test))


def split(
    collection: Collection,
    *,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    categories: Mapping[str, str] | None = None,
) -> Splits:
    """Divide the queries of a collection at random.

    Queries that ask the same, or for which documents of the same text are relevant, stay in one part, however the
    letters of one sound and the white space differ: what was learned from one is not tested by another. With whole
    groups of queries shares are met as nearly as one pass over the groups allows.

    Args:
        collection: Documents, queries and judgements.
        validation: Share of the queries, 0 to below 1.
        test: As well; together below 1.
        seed: Of the draw.
        categories: {query: category}, of all queries: shares are met within each category. A group is of the category
            of its first query.

    Raises:
        ArgumentError: A share is out of range, a query has no category, or there are too few queries that are
            independent of one another for every part to have one.
    """
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise ArgumentError(
            f"validation={validation}, test={test}; expected shares of at least 0 that are below 1 together"
        )
    if categories is not None and (missing := [query for query in collection.queries if query not in categories]):
        raise ArgumentError(f"categories has no {missing[0]!r}; expected a category for each query")
    groups = _groups(collection)
    strata: dict[str, list[list[str]]] = {}
    for group in groups:
        strata.setdefault("" if categories is None else categories[group[0]], []).append(group)
    shares = {"test": test, "validation": validation}
    part_of = _drawn(list(strata.values()), shares, np.random.default_rng(seed))
    parts = {
        name: replace(collection.of_queries(q for q in collection.queries if part_of[q] == name), split=name)
        for name in ("train", "validation", "test")
    }
    for name, part in parts.items():
        if not part.queries and (name == "train" or shares[name]):
            raise ArgumentError(
                f"{collection.name} has {len(collection.queries)} queries in {len(groups)} groups of equal ones, too "
                f"few for validation={validation}, test={test}: {name} would be empty"
            )
    return Splits(**parts)


def _drawn(strata: list[list[list[str]]], shares: Mapping[str, float], rng: np.random.Generator) -> dict[str, str]:
    """The part of each query; what one stratum rounds away, the next makes good."""
    part_of: dict[str, str] = {}
    filled = dict.fromkeys(shares, 0)
    total = 0
    for groups in strata:
        total += sum(map(len, groups))
        for number in rng.permutation(len(groups)):
            group = groups[number]
            # A part takes a group that brings it nearer to its share.
            wants = (name for name, share in shares.items() if len(group) < 2 * (round(share * total) - filled[name]))
            name = next(wants, "train")
            part_of |= dict.fromkeys(group, name)
            if name in filled:
                filled[name] += len(group)
    return part_of


def _groups(collection: Collection) -> list[list[str]]:
    """Queries that are tied to one another, by what they ask or by what is relevant; in the order of the queries."""
    leaders: dict[str, str] = {query: query for query in collection.queries}

    def leader(query: str) -> str:
        while leaders[query] != query:
            leaders[query] = query = leaders[leaders[query]]
        return query

    firsts: dict[tuple[str, str], str] = {}
    texts: dict[str, str] = {}
    for query, asked in collection.queries.items():
        keys = [("query", same_text(asked))]
        for doc, label in collection.qrels.get(query, {}).items():
            if label > 0:
                if doc not in texts:
                    texts[doc] = same_text(collection.docs[doc])
                keys.append(("document", texts[doc]))
        for key in keys:
            first = firsts.setdefault(key, query)
            leaders[leader(query)] = leader(first)
    groups: dict[str, list[str]] = {}
    for query in collection.queries:
        groups.setdefault(leader(query), []).append(query)
    return list(groups.values())
