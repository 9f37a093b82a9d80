"""The options that several verbs have, and what is read with them."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cltr_twostage.evaluation import Settings
    from irworks.data import ClickLog
    from irworks.data.click_columns import LongColumns

SCORES = "table (CSV or Parquet) with query_id, doc_id, score_c, score_r, or the folder of a saved policy"


class MethodChoice(StrEnum):
    """How exposures are computed."""

    auto = "auto"
    exact = "exact"
    mc = "mc"


class SupportChoice(StrEnum):
    """What to do about documents that the logging policy never shows."""

    error = "raise"
    warn = "warn"
    drop = "drop"


LogPaths = Annotated[
    list[Path],
    typer.Argument(metavar="LOG", help="Click log: .parquet, .csv or .tsv (.gz). Several, if several policies logged."),
]
NCandidates = Annotated[
    int | None, typer.Option("--n-candidates", help="Size of the candidate list; a saved policy knows its own.")
]
ListLength = Annotated[int | None, typer.Option("--k", help="Length of the shown list; a saved policy knows its own.")]
Examination = Annotated[
    str,
    typer.Option(
        metavar="FILE|inverse-rank|dcg",
        help="Probability that each rank is examined: a table (position, examination), an ltr-twotower model folder, "
        "1/rank, or 1/log2(rank + 1).",
    ),
]
RankWeights = Annotated[
    str,
    typer.Option(
        metavar="examination|dcg|FILE",
        help="What a relevant document is worth at each rank; examination: values are expected clicks. FILE: a table "
        "(position, weight).",
    ),
]
Clip = Annotated[float | None, typer.Option(help="Largest weight; default: no clipping.")]
SelfNormalized = Annotated[bool, typer.Option("--self-normalized", help="Divide by the mean weight.")]
Support = Annotated[
    SupportChoice, typer.Option(help="Documents that the logging policy never shows: stop, warn, or count as no click.")
]
Method = Annotated[MethodChoice, typer.Option(help="How exposures are computed.")]
Samples = Annotated[int, typer.Option(min=16, help="Draws a query, where exposures are sampled.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything random.")]
QueryColumn = Annotated[
    str, typer.Option("--query", metavar="COLUMN", help="Query id; 'none': one query, 'all' in score tables.")
]
DocColumn = Annotated[str, typer.Option("--doc", metavar="COLUMN", help="Document id.")]
PositionColumn = Annotated[str, typer.Option("--position", metavar="COLUMN", help="Rank, from 1.")]
ClickColumn = Annotated[str, typer.Option("--click", metavar="COLUMN", help="0 or 1.")]
SessionColumn = Annotated[
    str,
    typer.Option("--session", metavar="COLUMN", help="Rows shown together; if absent, every row is a list of its own."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


@dataclass(frozen=True)
class LogColumns:
    """The columns of a log, as named on the command line."""

    query: str
    doc: str
    position: str
    click: str
    session: str

    def long_columns(self) -> "LongColumns":
        """As the reader of click logs takes them: clicks alone, neither propensities nor features."""
        from irworks.data.click_columns import LongColumns

        query, session = _named(self.query), _named(self.session)
        return LongColumns(query, self.doc, self.position, self.click, session, propensity=None, features=())

    def read(self, path: Path) -> "ClickLog":
        """Read a log."""
        from irworks.data import read_click_log
        from irworks.data.tables import refuse_folder

        refuse_folder(path)
        return read_click_log(path, **vars(self.long_columns()))


@dataclass(frozen=True)
class WeightOptions:
    """How estimators are made, as said on the command line."""

    examination: str
    rank_weights: str
    clip: float | None
    self_normalized: bool
    support: SupportChoice
    method: MethodChoice
    samples: int
    seed: int

    def settings(self, n_ranks: int) -> "Settings":
        """The settings for lists of so many ranks."""
        from cltr_twostage.evaluation import Settings
        from cltr_twostage.sources import resolve_examination, resolve_rank_weights

        return Settings(
            resolve_examination(self.examination, n_ranks),
            resolve_rank_weights(self.rank_weights, n_ranks),
            clip=self.clip,
            self_normalized=self.self_normalized,
            support=self.support.value,
            method=self.method.value,
            n_samples=self.samples,
            seed=self.seed,
        )


def _named(column: str) -> str | None:
    return None if column == "none" else column
