"""In which order claims start, and when they will be done."""

from collections.abc import Iterable, Sequence

from irworks.claims.model import Claim, Scale

__all__ = ["Estimate", "in_starting_order"]


def in_starting_order(claims: Iterable[Claim], jobs: int) -> list[Claim]:
    """Order claims so that the whole ends early and the first result comes early too.

    Longest first keeps parallel processes busy to the end (Graham 1969, "Bounds on multiprocessing timing anomalies");
    the cheapest claim joins the first batch, so that the page shows something soon. One process alone takes the
    cheapest first: the end does not depend on the order then.

    Args:
        claims: What is to be run.
        jobs: How many run at once.

    Returns:
        The same claims.
    """
    by_cost = sorted(claims, key=lambda claim: -claim.cost)
    if jobs == 1:
        return by_cost[::-1]
    if len(by_cost) <= jobs:
        return by_cost
    return [*by_cost[: jobs - 1], by_cost[-1], *by_cost[jobs - 1 : -1]]


class Estimate:
    """How much longer a run will take, from the declared costs and how the finished claims compared with theirs.

    Args:
        claims: What is to be run.
        jobs: How many run at once.
        scale: Declared costs are those of `small`; at another scale nothing is known before a claim has finished.
    """

    def __init__(self, claims: Sequence[Claim], jobs: int, scale: Scale) -> None:
        self._left = {(claim.package, claim.id): claim.cost for claim in claims}
        self._jobs = jobs
        self._known = scale == "small"
        self._spent = self._declared = 0.0

    def finished(self, package: str, claim_id: str, seconds: float) -> None:
        """Take note that a claim has ended after so many seconds."""
        self._declared += self._left.pop((package, claim_id))
        self._spent += seconds

    def seconds_left(self) -> float | None:
        """Return the time to the end as if nothing that runs had progressed; None while there is nothing to go by."""
        if not self._left:
            return 0.0
        if not self._declared and not self._known:
            return None
        speed = self._spent / self._declared if self._declared else 1.0
        return speed * max(sum(self._left.values()) / self._jobs, max(self._left.values()))
