"""The claims of one paper, registered by decorator."""

import importlib.util
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from irworks.claims.model import Claim, Evidence, NotRun, Paper
from irworks.errors import ArgumentError

if TYPE_CHECKING:
    from irworks.claims.context import Context

__all__ = ["ClaimSet"]

Measure: TypeAlias = "Callable[[Context], Evidence]"


class ClaimSet:
    """The claims that one package reproduces, in the order in which they are declared.

    ```python
    CLAIMS = ClaimSet(package="ltr-twotower", paper=Paper(...), about="Learn whether a click log can be trusted.")

    @CLAIMS.claim(id="swaps-identify", says="...", where="Section 4", paper="...", rule="...")
    def swaps_identify(ctx: Context) -> Evidence: ...
    ```

    A package announces its set through an entry point in the group `irworks.claims`, named like the package.

    Args:
        package: The distribution that holds the claims.
        paper: The paper that makes them.
        about: What a reader of the package gets, in plain prose.
        options: What a user may pass as `--option NAME=VALUE`, and what it is: `{"mslr": "folder of MSLR-WEB30K"}`.
        imports: Modules that most claims import; a run imports them once for all, see `irworks.runtime.map_parallel`.
    """

    def __init__(
        self,
        *,
        package: str,
        paper: Paper,
        about: str = "",
        options: Mapping[str, str] | None = None,
        imports: Collection[str] = (),
    ) -> None:
        self.package, self.paper, self.about = package, paper, about
        self.options, self.imports = dict(options or {}), tuple(imports)
        self._claims: dict[str, Claim] = {}

    def claim(
        self,
        *,
        id: str,  # noqa: A002 - the field's name in results.json
        says: str,
        where: str,
        paper: str,
        rule: str,
        data: tuple[str, ...] = (),
        needs: tuple[str, ...] = (),
        cost: float = 10.0,
        seeds: Mapping[str, int] | None = None,
    ) -> Callable[[Measure], Measure]:
        """Register the decorated function as the measurement of a claim; the arguments are the fields of `Claim`.

        Returns:
            A decorator that hands the function back unchanged, so that processes can import it by name.

        Raises:
            ArgumentError: The id is taken or not kebab-case, or a field is empty.
        """
        if id in self._claims:
            raise ArgumentError(f"{self.package} has two claims with the id {id!r}")

        def register(function: Measure) -> Measure:
            self._claims[id] = Claim(
                self.package, id, says, where, paper, rule, function, data, needs, cost, dict(seeds or {})
            )
            return function

        return register

    def __iter__(self) -> Iterator[Claim]:
        return iter(self._claims.values())

    def __len__(self) -> int:
        return len(self._claims)

    def __contains__(self, claim_id: object) -> bool:
        return claim_id in self._claims

    def __getitem__(self, claim_id: str) -> Claim:
        if claim_id not in self._claims:
            raise ArgumentError(f"{self.package} has no claim {claim_id!r}; it has: {', '.join(self._claims)}")
        return self._claims[claim_id]

    def only(self, ids: Collection[str]) -> "ClaimSet":
        """Return a set with those of the claims that are named."""
        about, options, imports = self.about, self.options, self.imports
        chosen = ClaimSet(package=self.package, paper=self.paper, about=about, options=options, imports=imports)
        chosen._claims = {claim.id: claim for claim in self if claim.id in ids}
        return chosen

    def run(self, ctx: "Context", claim_id: str) -> Evidence:
        """Run one claim here, in this process.

        Raises:
            NotRun: A module it needs is not installed, or the claim says that its data or hardware is absent.
            ArgumentError: There is no such claim.
        """
        return measure(self[claim_id], ctx)


def measure(claim: Claim, ctx: "Context") -> Evidence:
    """Run a claim in this process, once the modules that it needs are known to be there.

    Raises:
        NotRun: One of them is not installed.
        TypeError: The function returned something other than `Evidence`.
    """
    missing = [name for name in claim.needs if importlib.util.find_spec(name) is None]
    if missing:
        raise NotRun(f"needs {', '.join(missing)}, not installed here", command=f"pip install {' '.join(missing)}")
    evidence = claim.function(ctx)
    if not isinstance(evidence, Evidence):
        raise TypeError(f"claim {claim.id!r} of {claim.package} must return Evidence, found {type(evidence).__name__}")
    return evidence
