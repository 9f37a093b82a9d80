"""Logs, score tables and policies from files, brought onto one pool."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.data import Pool
from cltr_twostage.examination import dcg_weights, inverse_rank, read_examination
from cltr_twostage.files import load_policy
from cltr_twostage.mixture import MixturePolicy
from cltr_twostage.policy import TwoStagePolicy
from cltr_twostage.scores import ScoreTable, read_scores
from irworks.data import ClickLog
from irworks.data.columns import Place, check_present, numbers
from irworks.data.tables import read_table
from irworks.errors import ArgumentError, DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PolicySource",
    "StageFeatures",
    "on_one_pool",
    "read_features",
    "read_policy_source",
    "resolve_examination",
    "resolve_rank_weights",
]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PolicySource:
    """The scores of one policy, and what is known of its sizes.

    Attributes:
        name: What to call it in messages: the path.
        tables: Its scores; of a mixture, those of each of its policies, over one pool.
        n_candidates: Size of the candidate list, for each table; empty where the file does not say.
        k: Length of the shown list; None where the file does not say.
        shares: float64 [n_tables, n_queries], how often a mixture serves each of its policies; None: no mixture.
    """

    name: str
    tables: tuple[ScoreTable, ...]
    n_candidates: tuple[int, ...] = ()
    k: int | None = None
    shares: FloatArray | None = None

    @property
    def pool(self) -> Pool:
        """The documents."""
        return self.tables[0].pool

    def policy(self, n_candidates: int | None = None, k: int | None = None) -> TwoStagePolicy | MixturePolicy:
        """The policy, with given sizes where its file has none.

        Raises:
            ArgumentError: A size that neither the file nor the caller says, or sizes that do not go together.
        """
        sizes, length = self.n_candidates or (n_candidates,), self.k or k
        if length is None or None in sizes:
            raise ArgumentError(
                f"the scores {self.name} say nothing of list sizes; expected n_candidates and k "
                "(only a policy that was saved as a folder knows its own)"
            )
        policies = [
            TwoStagePolicy.from_scores(table, size, length)
            for table, size in zip(self.tables, sizes, strict=True)
            if size is not None
        ]
        return policies[0] if self.shares is None else MixturePolicy(policies, self.shares)

    def onto(self, pool: Pool) -> "PolicySource":
        """The same in the row order of another pool; pairs that the other pool lacks are left out.

        Raises:
            DataError: A pair of the other pool has no score here.
        """
        import pandas as pd

        tables = tuple(table.aligned_to(pool, f"the scores {self.name}") for table in self.tables)
        if self.shares is None:
            return replace(self, tables=tables)
        columns = pd.Index(self.pool.query_ids).get_indexer(pd.Index(pool.query_ids))
        return replace(self, tables=tables, shares=self.shares[:, columns])

    def over(self, pool: Pool) -> "PolicySource":
        """The same rows, with the ids of another pool."""
        return replace(self, tables=tuple(replace(table, pool=pool) for table in self.tables))


@dataclass(frozen=True, eq=False)
class StageFeatures:
    """Features of both stages for the rows of a pool.

    Attributes:
        generator: float64 [n_rows, n_generator_features].
        ranker: float64 [n_rows, n_ranker_features].
        generator_names: Columns of the generator's features.
        ranker_names: Columns of the ranker's features.
    """

    generator: FloatArray
    ranker: FloatArray
    generator_names: tuple[str, ...]
    ranker_names: tuple[str, ...]


def read_policy_source(path: str | Path) -> PolicySource:
    """Read a score table (CSV or Parquet), or a folder that `TwoStagePolicy.save` or `MixturePolicy.save` wrote.

    Raises:
        DataError: What `read_scores` and `cltr_twostage.files.load_policy` raise.
    """
    source = Path(path)
    if not source.is_dir():
        return PolicySource(str(source), (read_scores(source),))
    policy = load_policy(source)
    pairs = policy.policies if isinstance(policy, MixturePolicy) else (policy,)
    return PolicySource(
        str(source),
        tuple(ScoreTable(pair.pool, pair.candidate_scores, pair.ranker_scores) for pair in pairs),
        tuple(pair.n_candidates for pair in pairs),
        policy.k,
        policy.weights if isinstance(policy, MixturePolicy) else None,
    )


def on_one_pool(
    logs: Sequence[ClickLog], sources: Sequence[PolicySource], *, logged_only: bool = True
) -> tuple[list[ClickLog], list[PolicySource]]:
    """Bring score tables into the row order of the first, so that policies can be compared on the logs.

    Ids that are numbers in one place and text in another are made text everywhere.

    Args:
        logs: The logs.
        sources: The tables; the first one, usually that of the logging policy, says which documents there are.
        logged_only: Leave out the queries that no log has: they weigh nothing in an estimate.

    Returns:
        The logs and the sources, all with ids of one type; the sources over one pool.

    Raises:
        DataError: No query in common, or a table that lacks documents that another one has: whether those are never
            shown (-inf) or were forgotten, nobody can know.
    """
    logs, sources = _with_ids_of_one_type(list(logs), list(sources))
    first = _asked_of(sources[0], logs) if logged_only else sources[0]
    for source in sources[1:]:
        _refuse_strangers(source, first)
    return logs, [first, *(source.onto(first.pool) for source in sources[1:])]


def read_features(path: str | Path, pool: Pool) -> StageFeatures:
    """Read the features of both stages: columns `query_id, doc_id`, `c_*` (generator) and `r_*` (ranker).

    Args:
        path: CSV or Parquet, a row for each (query, document) pair, in any order; pairs beyond the pool are left out.
        pool: The rows that are wanted.

    Raises:
        DataError: The file is missing or malformed, lacks a column or a pair of the pool, has a pair twice, or holds a
            feature that is not finite: with its line and column.
    """
    import pandas as pd

    frame, place = read_table(Path(path), ("query_id", "doc_id"))
    check_present(("query_id", "doc_id"), [str(name) for name in frame.columns], place.source)
    names = [tuple(str(name) for name in frame.columns if str(name).startswith(start)) for start in ("c_", "r_")]
    for start, found in zip(("c_*", "r_*"), names, strict=True):
        if not found:
            columns = ", ".join(map(str, frame.columns))
            raise DataError("no feature of a stage", source=place.source, column=start, found=columns)
    twice = frame.duplicated(["query_id", "doc_id"]).to_numpy()
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise place.error("a (query, document) pair stands in the table twice", row, "doc_id", None, "each pair once")
    text = pool.doc_ids.dtype == object, pool.query_ids.dtype == object
    doc, query = (
        _as_text(frame[column].to_numpy()) if as_text else frame[column].to_numpy()
        for column, as_text in zip(("doc_id", "query_id"), text, strict=True)
    )
    wanted = pd.MultiIndex.from_arrays([pool.query_ids[pool.owner()], pool.doc_ids])
    rows = pd.MultiIndex.from_arrays([query, doc]).get_indexer(wanted)
    if (rows < 0).any():
        lacking = pool.row_name(int(np.flatnonzero(rows < 0)[0]))
        raise DataError(
            "the features lack documents that the scores have",
            source=place.source,
            found=f"no row for {lacking}, and {int((rows < 0).sum()) - 1:,} more",
            expected="a row for every (query, document) pair",
        )
    generator, ranker = (np.stack([_feature(frame, name, place) for name in part], axis=1)[rows] for part in names)
    return StageFeatures(generator, ranker, *names)


def resolve_examination(wanted: str, n_ranks: int) -> FloatArray:
    """Examination probabilities from what a user writes: `inverse-rank`, `dcg`, or a path for `read_examination`.

    Returns:
        float64 [>= n_ranks].

    Raises:
        DataError: What `read_examination` raises; or the file has fewer ranks.
    """
    if wanted == "inverse-rank":
        return inverse_rank(n_ranks)
    if wanted == "dcg":
        return dcg_weights(n_ranks)
    if not Path(wanted).exists():
        raise DataError("no such file", source=wanted, expected="inverse-rank, dcg, or a file or folder of examination")
    return _long_enough(read_examination(wanted), n_ranks, wanted)


def resolve_rank_weights(wanted: str, n_ranks: int) -> FloatArray | None:
    """Rank weights from what a user writes: `examination` (None), `dcg`, or a table with `position` and `weight`.

    Raises:
        DataError: The file is missing or malformed, a weight is negative or not finite, or ranks are missing.
    """
    if wanted == "examination":
        return None
    if wanted == "dcg":
        return dcg_weights(n_ranks)
    file = Path(wanted)
    if not file.exists():
        raise DataError("no such file", source=wanted, expected="examination, dcg, or a table with position and weight")
    frame, place = read_table(file)
    check_present(("position", "weight"), [str(name) for name in frame.columns], place.source)
    position = numbers(frame, "position", place, "a rank from 1")
    weight = numbers(frame, "weight", place, "a number of at least 0")
    order = np.argsort(position, kind="stable")
    wrong = np.flatnonzero(position[order] != np.arange(1, len(order) + 1))
    if len(wrong):
        row = int(order[wrong[0]])
        expected = f"each position from 1 to {len(order)} once"
        raise place.error("positions do not count the ranks", row, "position", position[row], expected)
    bad = ~(np.isfinite(weight) & (weight >= 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise place.error("a weight is out of range", row, "weight", weight[row], "a finite number of at least 0")
    return _long_enough(weight[order], n_ranks, wanted)


def _with_ids_of_one_type(
    logs: list[ClickLog], sources: list[PolicySource]
) -> tuple[list[ClickLog], list[PolicySource]]:
    """A CSV file of 1, 2, 3 has numbers and one of 1, 2, x text, so that the types of equal ids can differ."""
    pools = [source.pool for source in sources]
    if _differ([*(log.query_vocabulary for log in logs), *(pool.query_ids for pool in pools)]):
        logs = [replace(log, query_ids=_as_text(log.query_vocabulary)) for log in logs]
        pools = [Pool(pool.offsets, _as_text(pool.query_ids), pool.doc_ids) for pool in pools]
    if _differ([*(log.doc_vocabulary for log in logs), *(pool.doc_ids for pool in pools)]):
        logs = [replace(log, doc_ids=_as_text(log.doc_vocabulary)) for log in logs]
        pools = [Pool(pool.offsets, pool.query_ids, _as_text(pool.doc_ids)) for pool in pools]
    return logs, [source.over(pool) for source, pool in zip(sources, pools, strict=True)]


def _differ(ids: Sequence[NDArray[Any]]) -> bool:
    return len({array.dtype == object for array in ids}) > 1


def _as_text(ids: NDArray[Any]) -> NDArray[Any]:
    return np.array([str(one) for one in ids.tolist()], dtype=object)


def _asked_of(source: PolicySource, logs: Sequence[ClickLog]) -> PolicySource:
    """The rows of the queries that the logs have."""
    import pandas as pd

    asked = pd.unique(np.concatenate([log.query_vocabulary[np.unique(log.query)] for log in logs]))
    part = _part(source.pool, asked)
    if part is None:
        raise DataError(
            f"the log and the scores {source.name} have no query in common",
            found=f"query {asked[0]} in the log, {source.pool.query_ids[0]} in the scores",
            expected="the same ids",
        )
    return source if part is source.pool else source.onto(part)


def _part(pool: Pool, queries: NDArray[Any]) -> Pool | None:
    """The rows of some queries; None where there are none."""
    import pandas as pd

    kept = pd.Index(pool.query_ids).isin(queries)
    if kept.all() or not kept.any():
        return pool if kept.all() else None
    offsets = np.concatenate(([0], np.cumsum(pool.sizes[kept])))
    return Pool(offsets, pool.query_ids[kept], pool.doc_ids[np.repeat(kept, pool.sizes)])


def _refuse_strangers(source: PolicySource, first: PolicySource) -> None:
    """A document that the first table lacks would be left out silently, and the policy be another."""
    import pandas as pd

    pool, own = first.pool, _part(source.pool, first.pool.query_ids)
    # With as many rows or fewer, a strange one takes the place of one that is missing, which is told by `onto`.
    if own is None or own.n_rows <= pool.n_rows:
        return
    known = pd.MultiIndex.from_arrays([pool.query_ids[pool.owner()], pool.doc_ids])
    strange = ~pd.MultiIndex.from_arrays([own.query_ids[own.owner()], own.doc_ids]).isin(known)
    row = int(np.flatnonzero(strange)[0])
    raise DataError(
        f"the scores {source.name} have documents that the scores {first.name} lack",
        found=f"{own.row_name(row)}, and {int(strange.sum()) - 1:,} more",
        expected="the same documents in each table",
        hint=f"Give them the score -inf in {first.name} if that policy never shows them",
    )


def _feature(frame: "pd.DataFrame", column: str, place: Place) -> FloatArray:
    values = numbers(frame, column, place, "a finite number")
    # Neural towers compute in 32 bits.
    bad = ~(np.abs(values) <= np.finfo(np.float32).max)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise place.error("a feature is not finite", row, column, values[row], "a finite number (of 32 bits)")
    return values


def _long_enough(values: FloatArray, n_ranks: int, source: str) -> FloatArray:
    if len(values) < n_ranks:
        raise DataError("ranks are missing", source=source, found=f"{len(values)} ranks", expected=f"{n_ranks} ranks")
    return values
