"""Several policies by several estimators, side by side: what `cltr-twostage evaluate` prints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from cltr_twostage.collapse import require_whole_lists
from cltr_twostage.data import Pool
from cltr_twostage.direct import DirectMethod, DoublyRobust, NaiveClicks
from cltr_twostage.estimate import Estimate
from cltr_twostage.estimator import Estimator, Logging, Support, SupportError
from cltr_twostage.ips import ExposureIPS, ItemPositionIPS, RankerOnlyIPS
from cltr_twostage.logged import LoggedPropensities, MissingPropensitiesError, PropensityColumns
from cltr_twostage.policy import N_SAMPLES, Method, Policy
from cltr_twostage.slate import SlateIPS
from irworks.data import ClickLog
from irworks.errors import ArgumentError, IrworksError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ESTIMATORS", "Comparison", "Evidence", "Settings", "compare", "compare_policies"]

ESTIMATORS: dict[str, type[Estimator]] = {
    "exposure-ips": ExposureIPS,
    "item-position-ips": ItemPositionIPS,
    "slate-ips": SlateIPS,
    "ranker-only-ips": RankerOnlyIPS,
    "naive-clicks": NaiveClicks,
    "direct-method": DirectMethod,
    "doubly-robust": DoublyRobust,
}
WITHOUT_WEIGHTS = ("naive-clicks", "direct-method")
_FIELDS = ("value", "stderr", "ess", "n_weighted", "max_weight", "support_gap", "clipped")

# What each estimator needs of a log's own columns, as fields of `PropensityColumns`; one of the alternatives suffices.
_NEEDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "exposure-ips": (("rho0",), ("candidate", "rank")),
    "doubly-robust": (("rho0",), ("candidate", "rank")),
    "item-position-ips": (("placement",), ("candidate", "rank")),
    "slate-ips": (("lists",),),
}


@dataclass(frozen=True, eq=False)
class Settings:
    """How estimators are made; see `Estimator` for the arguments.

    The options of weights (`clip`, `self_normalized`, `support`) go to those estimators that weight.
    """

    examination: ArrayLike
    rank_weights: ArrayLike | None = None
    clip: float | None = None
    self_normalized: bool = False
    support: Support = "raise"
    method: Method = "auto"
    n_samples: int = N_SAMPLES
    seed: int = 0

    def make(self, name: str) -> Estimator:
        """An estimator by its name in `ESTIMATORS`.

        Raises:
            ArgumentError: An option that is out of range, or that this estimator does not have.
        """
        options: dict[str, Any] = {"method": self.method, "n_samples": self.n_samples, "seed": self.seed}
        if name not in WITHOUT_WEIGHTS:
            options |= {"clip": self.clip, "self_normalized": self.self_normalized, "support": self.support}
        return ESTIMATORS[name](self.examination, self.rank_weights, **options)

    def require_use(self, names: Sequence[str]) -> None:
        """Raise an ArgumentError for an unknown estimator, or for options that none of the estimators has."""
        unknown = [name for name in names if name not in ESTIMATORS]
        if unknown:
            raise ArgumentError(f"estimator {unknown[0]!r} is unknown; expected one of {', '.join(ESTIMATORS)}")
        given = {"clip": self.clip is not None, "self_normalized": self.self_normalized}
        unused = [option for option, is_given in given.items() if is_given]
        if unused and all(name in WITHOUT_WEIGHTS for name in names):
            raise ArgumentError(f"{' and '.join(unused)} given, and {' and '.join(names)} weight nothing")


@dataclass(frozen=True, eq=False)
class Evidence:
    """Logs, and what is known of the policies that made them.

    Attributes:
        logs: The logs.
        pool: The documents that can be shown.
        logging: The policy that made each log; empty if they are not known.
        columns: The propensities in the columns of the log, where the policies are not known.

    Raises:
        ArgumentError: As many policies as logs are needed, each with lists as long as its log shows; one log may do
            without.
        DataError: A log whose rows were taken for sessions.
    """

    logs: Sequence[ClickLog]
    pool: Pool
    logging: Sequence[Policy] = ()
    columns: LoggedPropensities | None = None

    def __post_init__(self) -> None:
        if self.logging and len(self.logging) != len(self.logs):
            raise ArgumentError(
                f"{len(self.logs)} logs and logging policies: {len(self.logging)}; expected one for each log"
            )
        if not self.logging and len(self.logs) > 1:
            raise ArgumentError(
                f"{len(self.logs)} logs without logging policies; expected one for each: how likely a document was in "
                "all of them follows from the policies alone, not from columns"
            )
        for number, log in enumerate(self.logs):
            require_whole_lists(log, self.logging[number].k if self.logging else None)
        for log, policy in zip(self.logs, self.logging, strict=False):
            longest = int((log.shown * np.arange(1, log.n_ranks + 1)).max())
            if longest > policy.k:
                raise ArgumentError(
                    f"{log.source} shows lists of {longest} documents, and its logging policy lists of k={policy.k}; "
                    "expected the k that was in production"
                )

    @property
    def n_ranks(self) -> int:
        """Length of the longest list."""
        return max(log.n_ranks for log in self.logs)

    def split(self, share: float, rng: np.random.Generator) -> "tuple[Evidence, Evidence]":
        """The sessions of each log at random in two parts: (1 - share, share); both are all of it where share is 0.

        Raises:
            ArgumentError: A part would be empty, or propensities stand in the columns of the log.
        """
        if share == 0:
            return self, self
        if self.columns is not None:
            raise ArgumentError("propensities in columns cannot be split; expected the scores of the logging policy")
        parts = [log.split(share, rng) for log in self.logs]
        first, second = ([part[side] for part in parts] for side in (0, 1))
        return replace(self, logs=first), replace(self, logs=second)

    def fit(self, name: str, estimator: Estimator) -> Estimator:
        """Fit an estimator, by its name in `ESTIMATORS`, to the logs.

        Raises:
            MissingPropensitiesError: Policies and columns are missing.
            DataError, ArgumentError: What `Estimator.fit` raises.
        """
        log = self.logs[0] if len(self.logs) == 1 else self.logs
        return estimator.fit(log, self._logging_for(name, estimator), pool=self.pool)

    def _logging_for(self, name: str, estimator: Estimator) -> Logging:
        if self.logging:
            return list(self.logging)
        if name in WITHOUT_WEIGHTS:
            return "counts"
        self.require_columns([name])
        assert self.columns is not None
        if name == "item-position-ips":
            return self.columns.placement(self.pool)
        if name == "slate-ips":
            return self.columns.list_probability()
        return self.columns.exposure(self.pool, estimator.examination)

    def require_columns(self, names: Sequence[str]) -> None:
        """Raise `MissingPropensitiesError`, which lists all that is missing, unless some estimators can be fitted."""
        lacking = {name: need for name in names if (need := self.lack(name)) is not None}
        if lacking:
            needs = "; ".join(f"for {name} {need}" for name, need in lacking.items())
            columns = self.columns
            present = [] if columns is None else [getattr(columns.columns, field) for field in columns.values]
            raise MissingPropensitiesError(
                "the propensities of the logging policy are missing",
                source=self.logs[0].source,
                found=", ".join(present) or "no column of propensities",
                expected=needs,
                hint="Or give the scores of the policy that made the log",
            )

    def lack(self, name: str) -> str | None:
        """What an estimator lacks of propensities, in words; None if nothing."""
        if self.logging or name in WITHOUT_WEIGHTS:
            return None
        if name not in _NEEDS:
            return "the scores of the logging policy (no column stands for them)"
        here = () if self.columns is None else self.columns.values
        names = PropensityColumns() if self.columns is None else self.columns.columns
        missing = [[getattr(names, field) for field in way if field not in here] for way in _NEEDS[name]]
        if not all(missing):
            return None
        return ", or ".join(f"column{'s' * (len(way) > 1)} {' and '.join(map(repr, way))}" for way in missing)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Estimates of several policies by several estimators.

    Attributes:
        estimates: By estimator and policy.
        differences: To the baseline, by estimator and policy; empty without a baseline.
        baseline: Name of the policy that the others are compared with.
        skipped: By estimator, why it does not apply.
    """

    estimates: Mapping[tuple[str, str], Estimate]
    differences: Mapping[tuple[str, str], Estimate] = field(default_factory=dict)
    baseline: str | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)

    def to_frame(self) -> "pd.DataFrame":
        """One row for each policy and estimator: value, interval, diagnostics, and the difference to the baseline."""
        import pandas as pd

        return pd.DataFrame([self._row(*key) for key in self.estimates])

    def _row(self, estimator: str, policy: str) -> dict[str, Any]:
        estimate = self.estimates[estimator, policy]
        row: dict[str, Any] = {"policy": policy, "estimator": estimator}
        row |= {name: getattr(estimate, name) for name in _FIELDS}
        row |= {"low": estimate.ci.low, "high": estimate.ci.high}
        if self.baseline is None:
            return row
        more = self.differences.get((estimator, policy))
        parts = (None, None, None, None) if more is None else (more.value, more.stderr, more.ci.low, more.ci.high)
        names = ("difference", "difference_stderr", "difference_low", "difference_high")
        return row | dict(zip(names, parts, strict=True))

    @property
    def text(self) -> str:
        """The table as a reader wants it: intervals in brackets."""
        import pandas as pd

        rows = [self._printed(*key) for key in self.estimates]
        table: str = pd.DataFrame(rows).to_string(index=False)
        return table if self.baseline is None else f"{table}\ndifference: to {self.baseline}"

    def _printed(self, estimator: str, policy: str) -> dict[str, str]:
        estimate = self.estimates[estimator, policy]
        weighted = estimator not in WITHOUT_WEIGHTS
        row = {
            "policy": policy,
            "estimator": estimator,
            "value": str(estimate),
            "ess": f"{estimate.ess:,.0f} of {estimate.n_weighted:,.0f}" if weighted else "-",
            "max weight": f"{estimate.max_weight:.3g}" if weighted else "-",
            "support gap": "-" if estimate.support_gap != estimate.support_gap else f"{estimate.support_gap:.2%}",
        }  # fmt: skip
        if any(one.clipped for one in self.estimates.values()):
            row["clipped"] = f"{estimate.clipped:.2%}" if weighted else "-"
        if self.baseline is not None:
            more = self.differences.get((estimator, policy))
            row["difference"] = "-" if more is None else str(more)
        return row


def compare(
    evidence: Evidence,
    settings: Settings,
    estimators: Sequence[str],
    policies: Mapping[str, Policy],
    *,
    baseline: str | None = None,
    lenient: bool = False,
) -> Comparison:
    """Estimate several policies by several estimators.

    Args:
        evidence: The logs and their policies.
        settings: How the estimators are made.
        estimators: Their names in `ESTIMATORS`.
        policies: By name, over the pool of the evidence.
        baseline: Name of the policy that the others are compared with.
        lenient: Skip an estimator that does not apply to these lists, columns and settings, and say why, instead of
            raising.

    Raises:
        MissingPropensitiesError: Of all the estimators at once.
        SupportError: A policy shows documents that the logging policy never shows.
        DataError, ArgumentError: What the estimators raise.
    """
    settings.require_use(estimators)
    _require_baseline(baseline, policies)
    if not lenient:
        evidence.require_columns(estimators)
    estimates: dict[tuple[str, str], Estimate] = {}
    differences: dict[tuple[str, str], Estimate] = {}
    skipped: dict[str, IrworksError] = {}
    for name in dict.fromkeys(estimators):
        if lenient and (lack := evidence.lack(name)) is not None:
            skipped[name] = MissingPropensitiesError(f"needs {lack}")
            continue
        try:
            values, more = _estimates(name, evidence.fit(name, settings.make(name)), policies, baseline)
        except (ArgumentError, MissingPropensitiesError) as error:
            if not lenient:
                raise
            skipped[name] = error
            continue
        estimates |= values
        differences |= more
    if not estimates:
        raise next(iter(skipped.values()))
    return Comparison(estimates, differences, baseline, {name: str(error) for name, error in skipped.items()})


def compare_policies(
    estimators: Estimator | Sequence[Estimator] | Mapping[str, Estimator],
    policies: Mapping[str, Policy],
    *,
    baseline: str | None = None,
) -> "pd.DataFrame":
    """Estimate several policies by estimators that are already fitted.

    Args:
        estimators: By name; or without names, which are then those of their classes.
        policies: By name.
        baseline: Name of the policy that the others are compared with.

    Returns:
        One row for each policy and estimator: `policy, estimator, value, stderr, ess, n_weighted, max_weight,
        support_gap, clipped, low, high`, and with a baseline `difference, difference_stderr, difference_low,
        difference_high`, which are missing at the baseline itself.

    Raises:
        ArgumentError: No estimators or policies, two estimators of a class without names, or an unknown baseline.
        NotFittedError, SupportError, ArgumentError: What `Estimator.value` raises.
    """
    _require_baseline(baseline, policies)
    named = _named(estimators)
    if not named or not policies:
        raise ArgumentError(f"{len(named)} estimators and {len(policies)} policies; expected at least one of each")
    estimates: dict[tuple[str, str], Estimate] = {}
    differences: dict[tuple[str, str], Estimate] = {}
    for name, fitted in named.items():
        values, more = _estimates(name, fitted, policies, baseline)
        estimates |= values
        differences |= more
    return Comparison(estimates, differences, baseline).to_frame()


def _named(estimators: Estimator | Sequence[Estimator] | Mapping[str, Estimator]) -> Mapping[str, Estimator]:
    if isinstance(estimators, Mapping):
        return estimators
    several = [estimators] if isinstance(estimators, Estimator) else list(estimators)
    named = {type(estimator).__name__: estimator for estimator in several}
    if len(named) < len(several):
        names = ", ".join(type(estimator).__name__ for estimator in several)
        raise ArgumentError(f"two estimators of one class among {names}; expected a mapping with a name for each")
    return named


def _require_baseline(baseline: str | None, policies: Mapping[str, Policy]) -> None:
    if baseline is not None and baseline not in policies:
        raise ArgumentError(f"baseline={baseline!r}; expected one of {', '.join(policies)}")


def _estimates(
    name: str, fitted: Estimator, policies: Mapping[str, Policy], baseline: str | None
) -> tuple[dict[tuple[str, str], Estimate], dict[tuple[str, str], Estimate]]:
    """Values by estimator and policy, and differences to the baseline of the other policies."""
    others = () if baseline is None else [policy for policy in policies if policy != baseline]
    try:
        values = {(name, policy): fitted.value(policies[policy]) for policy in policies}
        return values, {(name, one): fitted.difference(policies[one], policies[baseline or one]) for one in others}
    except SupportError as error:
        raise SupportError(f"{name}: {error}") from None
