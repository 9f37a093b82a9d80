"""Has the logging policy bent the model? Identification, residuals, thetas side by side, and a verdict in words.

A well-specified model is not affected by the policy (Section 5.2 of the paper). A misspecified one is: what the
relevance tower misses correlates with where the policy places a document, and theta absorbs it (Section 5.3). Both
effects leave traces that can be tested on the log alone.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from irworks.data import ClickLog
from irworks.errors import ArgumentError
from ltr_twotower.cells import Cells, require_log
from ltr_twotower.identify import IdentifiabilityReport, check_identifiability
from ltr_twotower.model import NotIdentifiedWarning, TwoTowerClickModel, require_model
from ltr_twotower.newton import Problem, Solution, solve_newton
from ltr_twotower.options import tower_of
from ltr_twotower.policy_tests import PlacementTest, WaldTest, cell_residuals, placement_test, shift_test
from ltr_twotower.reduction import solve_bias_reduced
from ltr_twotower.variance import theta_covariance
from ltr_twotower.weighting import PlacementPropensity, WeightingWarning, WeightSummary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LoggingPolicyReport", "PlacementTest", "WaldTest", "logging_policy_report"]

FloatArray = NDArray[np.float64]
Verdict = Literal["not identified", "cannot tell", "no sign of policy bias", "policy bias"]

_VERDICTS: dict[Verdict, str] = {
    "not identified": (
        "The log does not identify the position bias of this model, so no comparison of thetas means anything. First "
        "get some randomisation between the groups of ranks."
    ),
    "cannot tell": (
        "No test on this log can reveal an influence of the policy: weighting by placement changes nothing, or the "
        "log is too thin. Log the policy's propensities, or queries repeatedly under some randomisation."
    ),
    "no sign of policy bias": (
        "Weighted and unweighted position bias agree within their uncertainty, and no residual follows the placement. "
        "Use the unweighted model: it is the more precise one."
    ),
    "policy bias": (
        "What the relevance tower misses follows the logging policy's placement, and the position bias has absorbed "
        "it. Use the weighted model, give the tower the features that the policy uses, or use relevance='embedding'."
    ),
}

_SOURCES = {
    "known": "the propensities in the log",
    "count": "propensities counted in the log",
    "model": "propensities modelled on the features",
}


@dataclass(frozen=True, eq=False, repr=False)
class LoggingPolicyReport:
    """What `logging_policy_report` found.

    Attributes:
        verdict: One of "not identified", "cannot tell", "no sign of policy bias", "policy bias".
        text: The verdict and the evidence in sentences, one line for each piece of evidence.
        identifiability: Of this model's relevance tower.
        thetas: Table with one row per rank: `position`, and theta and standard error of the `naive`, `weighted` and
            `uniform` fits. `uniform` is what this tower would learn from a uniformly random policy, computed from a fit
            with one relevance per pair, which no policy can bias; NaN where the swap graph is not connected.
        residuals: The placement test; None where not identified or documents of a rank are all placed alike, and for
            an embedding tower, which leaves no residual per document that could follow its placement.
        shift: The Wald test of naive against weighted theta, or None where not identified, weighting is a no-op, or
            there is nothing to compare.
        method: Where the propensities came from: "known", "count" or "model".
        weights: What the weights do to the log.
        level: Significance level of the verdict; each of the two tests is held to half of it (Bonferroni).
        bins: Table for the residual plot: `placement`, `residual` (clicks per impression), `n`.
    """

    verdict: Verdict
    text: str
    identifiability: IdentifiabilityReport
    thetas: "pd.DataFrame"
    residuals: PlacementTest | None
    shift: WaldTest | None
    method: str
    weights: WeightSummary
    level: float
    bins: "pd.DataFrame"

    def __repr__(self) -> str:
        return f"LoggingPolicyReport({self.verdict!r})"

    def to_dict(self) -> dict[str, Any]:
        """The report as plain numbers and lists, for JSON; NaN and infinities are None."""
        rows = self.thetas.to_dict(orient="records")
        return {
            "verdict": self.verdict,
            "text": self.text,
            "level": self.level,
            "propensities": self.method,
            "ess": self.weights.ess,
            "impressions": self.weights.impressions,
            "largest_weight": self.weights.largest,
            "weighting_is_no_op": self.weights.no_op,
            "placement_test": None if self.residuals is None else dict(vars(self.residuals)),
            "shift_test": None if self.shift is None else dict(vars(self.shift)),
            "thetas": [{str(name): _finite(value) for name, value in row.items()} for row in rows],
            "identifiability": self.identifiability.to_dict(),
        }

    def to_html(self, path: str | Path) -> None:
        """Write the report with its plots as one self-contained HTML page."""
        from ltr_twotower.plots import write_report_page

        write_report_page(self, path)


def logging_policy_report(
    model: TwoTowerClickModel, log: ClickLog, *, propensity: PlacementPropensity | None = None, level: float = 0.05
) -> LoggingPolicyReport:
    """Say whether the logging policy of a log biases a model fitted to it.

    Args:
        model: An additive model with an embedding or linear tower and one theta per rank; its options (not its fit) are
            used. Its `sample_weight` is the weighting that is compared with none.
        log: The click log.
        propensity: The weighting to compare with. Default: the model's, else known propensities where the log has
            them, else counts.
        level: Significance level of the verdict.

    Raises:
        ArgumentError: The model is of another kind, or `level` is not between 0 and 1.
    """
    require_model("logging_policy_report", model)
    require_log(log)
    if not 0 < level < 1:
        raise ArgumentError(f"level={level}; expected a share between 0 and 1")
    if model.combine != "additive" or model.relevance not in ("embedding", "linear") or not isinstance(model.bias, str):
        raise ArgumentError(
            "logging_policy_report takes an additive model with relevance 'embedding' or 'linear' and bias "
            "'position'; for a neural tower, compare its fits with and without sample_weight, and report on a linear "
            "one"
        )
    propensity = (
        propensity or model.sample_weight or PlacementPropensity("count" if log.propensities is None else "known")
    )
    tower = TwoTowerClickModel(model.relevance, l2=model.l2, on_unidentified=model.on_unidentified)
    problem = tower.problem(log)
    report = check_identifiability(problem.cells, problem.X, tower_of(tower), l2=model.l2)
    with warnings.catch_warnings():
        # The report says both aloud itself.
        warnings.simplefilter("ignore", WeightingWarning)
        warnings.simplefilter("ignore", NotIdentifiedWarning)
        weighted_cells = propensity.weigh(propensity.aggregate(log))
    naive = (problem, solve_newton(problem))
    weighted_problem = Problem(weighted_cells, problem.X, problem.l2)
    weighted = (weighted_problem, solve_newton(weighted_problem))
    # The residuals of a free relevance per pair sum to zero but for the ridge, which grows significant with the pairs.
    residuals = placement_test(*naive) if report.ok and problem.X is not None else None
    shift = shift_test(naive, weighted) if report.ok and not propensity.summary_.no_op else None
    verdict = _verdict(report, propensity.summary_, residuals, shift, level)
    return LoggingPolicyReport(
        verdict=verdict,
        text=_words(verdict, report, propensity, residuals, shift, log),
        identifiability=report,
        thetas=_theta_table(naive, weighted, report),
        residuals=residuals,
        shift=shift,
        method=propensity.method,
        weights=propensity.summary_,
        level=level,
        bins=_residual_bins(*naive),
    )


def _verdict(
    report: IdentifiabilityReport,
    weights: WeightSummary,
    residuals: PlacementTest | None,
    shift: WaldTest | None,
    level: float,
) -> Verdict:
    if report.silent:
        return "cannot tell"
    if not report.ok:
        return "not identified"
    tests = [] if residuals is None else [residuals.p_value]
    if shift is not None and shift.reliable:
        tests.append(shift.p_value)
    if tests and min(tests) < level / 2:
        return "policy bias"
    return "no sign of policy bias" if tests and not weights.no_op else "cannot tell"


def _words(
    verdict: Verdict,
    report: IdentifiabilityReport,
    propensity: PlacementPropensity,
    residuals: PlacementTest | None,
    shift: WaldTest | None,
    log: ClickLog,
) -> str:
    weights = propensity.summary_
    parts = [f"{verdict[0].upper()}{verdict[1:]}. {_VERDICTS[verdict]}", report.summary()]
    if residuals is not None:
        parts.append(
            f"Residuals against usual placement, within ranks: correlation {residuals.correlation:+.3f} (z = "
            f"{residuals.z:.1f}, p {_p(residuals.p_value)})."
        )
    if shift is not None:
        parts.append(
            f"Weighting moves theta by up to {shift.largest:.3f} (Wald test over {shift.df} differences: p "
            f"{_p(shift.p_value)})."
        )
        if not shift.reliable:
            parts.append(
                "That test does not count: there are so few impressions per document that they alone move theta by as "
                "much. With one relevance per document the policy can bias theta only if clicks are not additive; "
                "bias_reduction=True mends what few impressions do."
            )
    parts.append(f"Weights from {_SOURCES[propensity.method]}: {weights}.")
    if weights.ess < 0.01 * weights.impressions:
        parts.append("So few impressions carry the weighted fit that its interval is the thing to look at.")
    clicks = int(log.clicks.sum())
    if clicks < 100:
        parts.append(f"The log has {clicks} clicks in all: whatever it shows is weak evidence.")
    return "\n".join(parts)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _theta_table(
    naive: tuple[Problem, Solution], weighted: tuple[Problem, Solution], report: IdentifiabilityReport
) -> "pd.DataFrame":
    import pandas as pd

    labels = report.labels
    first = int(np.flatnonzero(labels >= 0)[0])
    comparable = labels == labels[first]
    table: dict[str, Any] = {"position": np.arange(1, len(labels) + 1)}
    for name, estimate, robust in (("naive", naive, True), ("weighted", weighted, True)):
        theta, stderr = _against_first(estimate, first, robust=robust)
        table[name] = np.where(comparable, theta, np.nan)
        table[f"{name}_stderr"] = np.where(comparable, stderr, np.nan)
    uniform = _uniform_target(naive[0]) if report.graph.connected else np.full(len(labels), np.nan)
    table["uniform"] = np.where(comparable, uniform - uniform[first], np.nan)
    return pd.DataFrame(table)


def _against_first(estimate: tuple[Problem, Solution], first: int, *, robust: bool) -> tuple[FloatArray, FloatArray]:
    covariance = theta_covariance(*estimate, robust=robust)
    variance = np.diag(covariance) + covariance[first, first] - 2 * covariance[first]
    return estimate[1].v - estimate[1].v[first], np.sqrt(np.maximum(variance, 0))


def _uniform_target(problem: Problem) -> FloatArray:
    """Theta that this tower would learn if every document of a query stood at every rank equally often (g-computation).

    The click probabilities come from a fit with one relevance per pair, whose theta no logging policy can bias; few
    impressions per pair can, so their bias is removed.
    """
    cells = problem.cells
    free = Problem(cells, l2=problem.l2)
    truth = solve_bias_reduced(free)
    shown = np.flatnonzero(cells.rank_impressions > 0)
    per_pair = np.bincount(cells.pair, cells.impressions, minlength=cells.n_pairs)
    pair = np.repeat(np.arange(cells.n_pairs, dtype=np.int32), len(shown))
    rank = np.tile(shown.astype(np.int32), cells.n_pairs)
    n = np.repeat(per_pair / len(shown), len(shown))
    clicks = n * expit(truth.v[rank] + truth.u[pair])
    uniform = Cells(
        pair=pair,
        rank=rank,
        n=n,
        clicks=clicks,
        n_squared=n,
        clicks_squared=clicks,
        impressions=n,
        pair_query=cells.pair_query,
        pair_doc=cells.pair_doc,
        sessions=cells.sessions,
        query_ids=cells.query_ids,
        doc_ids=cells.doc_ids,
        n_ranks=cells.n_ranks,
        features=cells.features,
    )
    return solve_newton(Problem(uniform, problem.X, problem.l2)).v


def _residual_bins(problem: Problem, solution: Solution, n_bins: int = 12) -> "pd.DataFrame":
    """Mean residual click rate by relative placement, for the plot."""
    import pandas as pd

    residual, height, _ = cell_residuals(problem, solution)
    n = problem.cells.n
    order = np.argsort(height, kind="stable")
    edge = np.minimum((np.cumsum(n[order]) / n.sum() * n_bins).astype(int), n_bins - 1)
    code = np.empty(len(order), dtype=int)
    code[order] = edge
    total = np.bincount(code, n)
    used = total > 0
    return pd.DataFrame(
        {
            "placement": (np.bincount(code, n * height)[used] / total[used]),
            "residual": np.bincount(code, residual)[used] / total[used],
            "n": total[used],
        }
    )


def _finite(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and not np.isfinite(plain) else plain
