"""Logs and policies from the paths on the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cltr_twostage.cli.options import LogColumns
from irworks.errors import ArgumentError

if TYPE_CHECKING:
    from cltr_twostage.evaluation import Evidence
    from cltr_twostage.logged import PropensityColumns
    from cltr_twostage.mixture import MixturePolicy
    from cltr_twostage.policy import TwoStagePolicy
    from cltr_twostage.sources import PolicySource

# Documents times ranks up to which a log is compared with its logging policy: some 130 MB.
CHECKED_PLACES = 1_000_000


@dataclass(frozen=True)
class Inputs:
    """What was read.

    Attributes:
        evidence: The logs, and what made them.
        policies: The other policies, by their paths.
    """

    evidence: "Evidence"
    policies: "dict[Path, TwoStagePolicy | MixturePolicy]"

    @property
    def n_ranks(self) -> int:
        """Ranks that need an examination and a weight."""
        return max(self.evidence.n_ranks, *(policy.k for policy in self.policies.values()))


def read_inputs(
    logs: Sequence[Path],
    columns: LogColumns,
    logging: Sequence[Path],
    others: Sequence[Path],
    sizes: tuple[int | None, int | None],
    *,
    propensities: "PropensityColumns | None" = None,
    logged_only: bool = True,
) -> Inputs:
    """Read the logs, the policies that made them, and the other policies, over one pool.

    Args:
        logs: Click logs.
        columns: Of the logs.
        logging: Scores of the policy that made each log; without them propensities are read from the log's columns.
        others: Scores of the other policies.
        sizes: n_candidates and k of score tables.
        propensities: Names of the columns of propensities; needed without `logging`.
        logged_only: See `cltr_twostage.sources.on_one_pool`.
    """
    from cltr_twostage.evaluation import Evidence
    from cltr_twostage.logged import read_propensities
    from cltr_twostage.sources import on_one_pool, read_policy_source

    paths = list(dict.fromkeys([*logging, *others]))
    clicks = [columns.read(path) for path in logs]
    clicks, sources = on_one_pool(clicks, [read_policy_source(path) for path in paths], logged_only=logged_only)
    _require_use(sizes, sources)
    policies = {path: source.policy(*sizes) for path, source in zip(paths, sources, strict=True)}
    found = None
    if not logging and len(logs) == 1:
        found = read_propensities(logs[0], propensities, log=clicks[0], log_columns=columns.long_columns())
    evidence = Evidence(clicks, sources[0].pool, [policies[path] for path in logging], found)
    warn_of_clickless(evidence)
    warn_of_strangers(evidence)
    return Inputs(evidence, {path: policies[path] for path in others})


def _require_use(sizes: tuple[int | None, int | None], sources: "Sequence[PolicySource]") -> None:
    """Raise an ArgumentError for sizes that no policy takes, as each was saved with others of its own."""
    if any(source.k is None for source in sources):
        return
    own = {
        "--n-candidates": sorted({size for source in sources for size in source.n_candidates}),
        "--k": sorted({source.k for source in sources if source.k is not None}),
    }
    for (option, known), given in zip(own.items(), sizes, strict=True):
        if given is not None and given not in known:
            found = " and ".join(map(str, known))
            raise ArgumentError(
                f"{option} {given}, and the saved policies know their own: {found}; expected no {option}"
            )


def warn_of_clickless(evidence: "Evidence") -> None:
    """Say on standard error which log has no click: all that it tells is zero."""
    import typer

    for log in evidence.logs:
        if not log.clicks.any():
            typer.echo(f"warning: {log.source}: the log has no click, so that every value is 0", err=True)


def warn_of_strangers(evidence: "Evidence") -> None:
    """Say on standard error which log its logging policy cannot have made; of huge pools it takes too long to know."""
    import typer

    from cltr_twostage.agreement import check_logging

    for log, policy in zip(evidence.logs, evidence.logging, strict=False):
        if policy.pool.n_rows * policy.k > CHECKED_PLACES:
            continue
        check = check_logging(log, policy, n_samples=512)
        # What the policy can never show, the estimators refuse.
        if not check.agrees and check.expected > 0:
            typer.echo(f"warning: {log.source}: {check.text}", err=True)
