"""Did this policy make this log? Weights divide by what the logging policy does, and the log shows what it did."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.collapse import sums_by
from cltr_twostage.data import Pool
from cltr_twostage.policy import Method, Policy
from cltr_twostage.sampling import checked_samples
from irworks.data import ClickLog
from irworks.errors import ArgumentError

__all__ = ["LoggingCheck", "check_logging"]

FloatArray = NDArray[np.float64]

# A policy that did make the log is doubted once in so many logs at most.
DOUBT = 1e-3
# Exact placements are exact to less than this.
EXACT = 1e-9
# Lists that are cut short in so small a share of sessions bend an estimate by no more than that.
CUT = 0.01
# Sampled ones are off by less than this many standard errors, and than this over the number of draws where rare.
REACH, RARE = 5.0, 12.0


@dataclass(frozen=True)
class LoggingCheck:
    """How well a log fits the policy that is said to have made it.

    Attributes:
        p_value: Upper bound on the probability that the policy makes a log as unlikely as this one in its most
            unlikely place (Chernoff's bound at each document and rank, times their number).
        where: The most unlikely place.
        found: In how many sessions it was so.
        expected: In how many the policy would make it so, on average.
        n_sessions: Sessions of the query.
    """

    p_value: float
    where: str
    found: int
    expected: float
    n_sessions: int

    @property
    def agrees(self) -> bool:
        """False where the log is not one of this policy, with an error of one in a thousand at most."""
        return self.p_value >= DOUBT

    @property
    def text(self) -> str:
        """What was found, in a sentence."""
        found = (
            f"{self.where} in {self.found:,} of {self.n_sessions:,} sessions of the query, where the policy expects "
            f"{self.expected:,.1f}"
        )
        if self.agrees:
            return f"The log could be one of its logging policy; the most unlikely: {found}."
        return (
            "The log is not one of its logging policy (another version or size, or impressions left out?), and "
            f"estimates from the two are wrong: {found}."
        )


def check_logging(
    log: ClickLog, logging: Policy, *, method: Method = "auto", n_samples: int = 2048, seed: int = 0
) -> LoggingCheck:
    """Compare how often each document stood at each rank with how often the logging policy puts it there.

    Clicks and examination play no part. What it finds: another policy, temperature, `n_candidates` or version than was
    in production; impressions that were filtered from the log, as where only what scrolled into view was kept. A
    list in a hundred may be cut short, in a log of any size. No finding is no proof: a small log shows large
    differences only.

    Args:
        log: What was shown.
        logging: The policy that made it.
        method: How its placements are computed; see `TwoStagePolicy.placement`.
        n_samples: Draws a query, where they are sampled.
        seed: Of these draws.

    Raises:
        ArgumentError: No log, no policy, an unknown method, or `n_samples` below 16.
        DataError: A query or document that the policy lacks.
    """
    if not isinstance(log, ClickLog):
        raise ArgumentError(f"log is a {type(log).__name__}; expected a ClickLog")
    if not hasattr(logging, "placement"):
        raise ArgumentError(f"logging is a {type(logging).__name__}; expected a TwoStagePolicy or MixturePolicy")
    n_samples = checked_samples(n_samples)
    placement = logging.placement(method, n_samples=n_samples, rng=np.random.default_rng(seed))
    exact, pool, ranks = placement.batches is None, logging.pool, max(logging.k, log.n_ranks)
    query, rows = pool.locate(log)
    sessions = np.bincount(query, minlength=pool.n_queries).astype(np.float64)
    expected, error = (_widened(table, ranks) for table in (placement.value, placement.stderr))
    shown = _counts(rows, pool.n_rows, ranks)
    least = EXACT if exact else RARE / n_samples
    filled, fills = (np.add.reduceat(table, pool.offsets[:-1], axis=0) for table in (shown, expected))
    missing = np.maximum(sessions[:, None] * np.minimum(fills, 1.0) - filled, 0.0)[pool.owner()]
    mean = sessions[pool.owner(), None] * expected
    # Whatever is missing at a rank may have been this document; that much is missing, the rank itself answers for.
    whole = np.maximum(shown, np.minimum(shown + missing, mean))
    by_document = _log_bound(whole, sessions[pool.owner()], expected, REACH * error + least)
    by_rank = _log_bound(filled, sessions, np.minimum(fills, 1.0), max(least, CUT))
    n_places = np.log(2.0 * max(1, int((sessions[pool.owner()] > 0).sum() + (sessions > 0).sum()) * ranks))
    # A rank that is left empty is behind each document that is missing there.
    if by_rank.min() + n_places < np.log(DOUBT) or by_rank.min() <= by_document.min():
        return _check(pool, by_rank, n_places, "rank", filled, sessions, fills)
    return _check(pool, by_document, n_places, "document", shown, sessions[pool.owner()], expected)


def _check(
    pool: Pool,
    log_bound: FloatArray,
    n_places: float,
    what: Literal["rank", "document"],
    found: FloatArray,
    sessions: FloatArray,
    expected: FloatArray,
) -> LoggingCheck:
    row, rank = (int(i) for i in np.unravel_index(int(log_bound.argmin()), log_bound.shape))
    place = f"{pool.row_name(row)} stands at" if what == "document" else f"query {pool.query_ids[row]} fills"
    return LoggingCheck(
        p_value=float(np.exp(min(0.0, log_bound[row, rank] + n_places))),
        where=f"{place} rank {rank + 1}",
        found=int(found[row, rank]),
        expected=float(sessions[row] * expected[row, rank]),
        n_sessions=int(sessions[row]),
    )


def _counts(rows: NDArray[np.int32], n_rows: int, ranks: int) -> FloatArray:
    """Number of sessions that show each row at each rank: float64 [n_rows, ranks]."""
    session, rank = np.nonzero(rows >= 0)
    places = rows[session, rank].astype(np.int64) * ranks + rank
    return sums_by(places, np.ones(len(places)), n_rows * ranks).reshape(n_rows, ranks)


def _widened(table: FloatArray, ranks: int) -> FloatArray:
    return np.pad(table, ((0, 0), (0, ranks - table.shape[1])))


def _log_bound(found: FloatArray, sessions: FloatArray, expected: FloatArray, slack: FloatArray | float) -> FloatArray:
    """Chernoff's bound on the probability of counts at least as far from their mean: float64, as `found`."""
    from scipy.special import rel_entr

    n = np.maximum(sessions, 1.0)[:, None]
    share = found / n
    # Of all that the sampled placement can stand for, what fits best.
    nearest = np.clip(share, np.maximum(expected - slack, 0.0), np.minimum(expected + slack, 1.0))
    distance = rel_entr(share, nearest) + rel_entr(1 - share, 1 - nearest)
    return np.where(sessions[:, None] > 0, -n * distance, 0.0)
