"""Why a new pair is estimated to earn more: which stage, which documents, and what the log cannot say."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.attribution import Attribution, attribute
from cltr_twostage.direct import DoublyRobust
from cltr_twostage.estimate import Estimate
from cltr_twostage.estimator import Estimator, SupportWarning
from cltr_twostage.ips import ExposureIPS, RankerOnlyIPS
from cltr_twostage.policy import Policy, TwoStagePolicy
from irworks.errors import ArgumentError

if TYPE_CHECKING:
    import pandas as pd

    from irworks.report import Section

__all__ = ["GainReport", "explain_gain"]

FloatArray = NDArray[np.float64]

TOP = 10


@dataclass(frozen=True, eq=False, repr=False)
class GainReport:
    """What `explain_gain` found.

    Attributes:
        attribution: The gain by stage.
        new: The value of the new pair, with the diagnostics of its own weights.
        documents: The ten logged documents with the largest weights under the new pair: `query_id, doc_id, weight,
            logging_exposure, new_exposure, impressions, clicks, share` (of the estimated value of the new pair; of a
            doubly robust one with what the model of relevance says of the document, and below 0 where its clicks take
            more away).
        queries: The ten queries that lose most to missing support: `query_id, sessions, support_gap` (share of the new
            pair's exposure in this query that falls on documents which the log's policy never shows).
        n_unsupported_queries: Number of queries with a gap.
        weights: float64 [n_rows], weight of each document under the new pair, before clipping.
        impressions: float64 [n_rows], how often each document was logged.
        clip: Largest weight that was used; None: no clipping.
        modelled: Whether a model of relevance speaks for what the weights do not: the estimate is doubly robust.
    """

    attribution: Attribution
    new: Estimate
    documents: "pd.DataFrame"
    queries: "pd.DataFrame"
    n_unsupported_queries: int
    weights: FloatArray
    impressions: FloatArray
    clip: float | None
    modelled: bool

    def __repr__(self) -> str:
        return f"GainReport(gain {self.attribution.gain})"

    @property
    def text(self) -> str:
        """The findings in sentences, one line for the stages, one for the weights, one for support."""
        return "\n".join([self.attribution.text, self._weights_text(), self._support_text()])

    def _weights_text(self) -> str:
        new = self.new
        text = (
            f"The value of the new pair stands on {new.ess:,.0f} effective of {new.n_weighted:,.0f} logged "
            f"impressions; the largest weight is {new.max_weight:.3g}"
        )
        if new.clipped:
            towards = "what the model of relevance says" if self.modelled else "zero"
            text += f", and {new.clipped:.2%} of the impressions are clipped, which biases the value towards {towards}"
        share, part = float(self.documents["share"].sum()), ", the modelled part included" if self.modelled else ""
        heaviest = f"The {len(self.documents)} documents with the largest weights"
        return f"{text}. {heaviest} carry {share:.1%} of the value{part}."

    def _support_text(self) -> str:
        gap = self.new.support_gap
        count = "as often as the model of relevance says" if self.modelled else "as if they never were"
        queries = "1 query" if self.n_unsupported_queries == 1 else f"{self.n_unsupported_queries:,} queries"
        if not gap > 0:
            return "Every document that the new pair shows was within reach of the logging policy."
        return (
            f"{gap:.2%} of the new pair's exposure, in {queries}, falls on documents that "
            f"the logging policy never shows: whether they are clicked is unknown, and they count {count}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The findings as plain values; infinite and undefined numbers as None."""
        parts = self.attribution.to_frame()
        new = self.new
        return {
            "text": self.text,
            "attribution": {row.pop("part"): row for row in _records(parts)},
            "weights": {
                "ess": new.ess,
                "n_weighted": new.n_weighted,
                "max_weight": new.max_weight,
                "clipped": new.clipped,
            },
            "documents": _records(self.documents),
            "support_gap": new.support_gap,
            "queries_without_support": self.n_unsupported_queries,
            "queries": _records(self.queries),
        }

    def to_html(self, path: str | Path, *, about: str = "") -> None:
        """Write a self-contained page with figures, atomically.

        Args:
            path: The file.
            about: What was compared, for the small print.

        Raises:
            MissingDependencyError: matplotlib or jinja2 is not installed.
        """
        from irworks.report import page
        from irworks.runtime import atomic_write

        html = page(
            title="Where the gain comes from",
            lead=self.attribution.text,
            sections=self._sections(),
            footer=" ".join([about, "Made by cltr-twostage."]).strip(),
        )
        with atomic_write(path) as handle:
            handle.write(html)

    def _sections(self) -> "Sequence[Section]":
        from cltr_twostage.plots import gain_figure, weight_figure
        from irworks.report import Section, figure_to_svg
        from irworks.report.style import context

        with context():
            gain = figure_to_svg(gain_figure(self.attribution))
            shown = self.impressions > 0
            weight = figure_to_svg(weight_figure(self.weights[shown], self.impressions[shown], clip=self.clip))
        level = f"{self.attribution.gain.ci.level:.0%}"
        return [
            Section(
                title="Gain by stage",
                figure_svg=gain,
                caption=(
                    f"What the new generator and the new ranker would earn alone and together, with {level} intervals. "
                    "The interaction is what the two bring beyond the sum; the Shapley values share it equally."
                ),
                table=self.attribution.to_frame(),
            ),
            Section(
                title="What carries the estimate",
                text=self._weights_text(),
                figure_svg=weight,
                caption=(
                    "How many logged impressions have which weight. Impressions far to the right speak for many "
                    "others: where they carry much of the value, distrust it."
                ),
                table=self.documents,
            ),
            Section(
                title="What the log cannot say",
                text=self._support_text(),
                table=self.queries if len(self.queries) else None,
            ),
        ]


def explain_gain(estimator: Estimator, old: Policy, new: Policy) -> GainReport:
    """Explain the estimated gain of a new pair over an old one.

    Args:
        estimator: An `ExposureIPS` or `DoublyRobust`, fitted. With support "raise" it refuses what the log cannot say;
            "warn" and "drop" let the report tell.
        old: The pair in use.
        new: The pair to judge, of the same sizes, on the same pool.

    Raises:
        ArgumentError: The estimator weighs by something else than the exposure of documents under both stages; pairs
            that do not fit, or mixtures.
        NotFittedError, SupportError: As `Estimator.value`.
    """
    if not isinstance(estimator, ExposureIPS) or isinstance(estimator, RankerOnlyIPS):
        raise ArgumentError(f"estimator is {type(estimator).__name__}; expected ExposureIPS or DoublyRobust")
    if not (isinstance(old, TwoStagePolicy) and isinstance(new, TwoStagePolicy)):
        raise ArgumentError(
            f"old is a {type(old).__name__} and new a {type(new).__name__}; expected pairs of one generator and one "
            "ranker, as a mixture has no stages to tell apart"
        )
    value = estimator.value(new)
    with warnings.catch_warnings():
        if value.support_gap > 0:
            # What the crossed pairs lack of it need not be said again.
            warnings.simplefilter("ignore", SupportWarning)
        split = attribute(estimator, old, new)
    rank_weights = estimator.examination if estimator.rank_weights is None else estimator.rank_weights
    exposure = new.exposure(
        rank_weights, estimator.method, n_samples=estimator.n_samples, rng=np.random.default_rng(estimator.seed)
    ).value
    logging = estimator.logging_exposure_
    weights = np.divide(exposure, logging, out=np.zeros_like(exposure), where=logging > 0)
    queries = _gaps(estimator, exposure)
    return GainReport(
        attribution=split,
        new=value,
        documents=_heaviest(estimator, weights, exposure),
        queries=queries.head(TOP),
        n_unsupported_queries=len(queries),
        weights=weights,
        impressions=estimator.collapsed_.impressions.sum(axis=1),
        clip=estimator.clip,
        modelled=isinstance(estimator, DoublyRobust),
    )


def _heaviest(estimator: ExposureIPS, weights: FloatArray, exposure: FloatArray) -> "pd.DataFrame":
    """The logged documents with the largest weights."""
    import pandas as pd

    pool, log = estimator.pool_, estimator.collapsed_
    impressions, clicks = log.impressions.sum(axis=1), log.click_counts.sum(axis=1)
    earned = estimator.earned(exposure)
    total = float(earned.sum())
    logged = np.flatnonzero(impressions > 0)
    top = logged[np.argsort(-weights[logged], kind="stable")[:TOP]]
    return pd.DataFrame(
        {
            "query_id": pool.query_ids[pool.owner()[top]],
            "doc_id": pool.doc_ids[top],
            "weight": weights[top],
            "logging_exposure": estimator.logging_exposure_[top],
            "new_exposure": exposure[top],
            "impressions": impressions[top],
            "clicks": clicks[top],
            "share": earned[top] / total if total > 0 else np.zeros(len(top)),
        }
    )


def _gaps(estimator: ExposureIPS, exposure: FloatArray) -> "pd.DataFrame":
    """The queries in which the new pair shows documents that the logging policy never shows, the worst first."""
    import pandas as pd

    pool = estimator.pool_
    lost = np.where(estimator.logging_exposure_ > 0, 0.0, exposure)
    lost_by_query, by_query = (np.add.reduceat(values, pool.offsets[:-1]) for values in (lost, exposure))
    sessions = estimator.collapsed_.query_counts
    order = np.argsort(-lost_by_query * sessions, kind="stable")
    order = order[(lost_by_query * sessions)[order] > 0]
    return pd.DataFrame(
        {
            "query_id": pool.query_ids[order],
            "sessions": sessions[order],
            "support_gap": lost_by_query[order] / by_query[order],
        }
    )


def _records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows of a table as plain values that JSON has words for."""
    return [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return value if not isinstance(value, float) or np.isfinite(value) else None
