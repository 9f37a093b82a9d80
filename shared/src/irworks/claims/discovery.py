"""The claim sets of the packages that are installed here."""

import difflib
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points

from irworks.claims.claimset import ClaimSet
from irworks.errors import ArgumentError

__all__ = ["Discovery", "discover", "require_options", "select"]

GROUP = "irworks.claims"


@dataclass(frozen=True)
class Discovery:
    """What the installed packages offer.

    Attributes:
        sets: A claim set for every package that could be loaded.
        broken: Package name to the traceback that loading it ended in.
    """

    sets: tuple[ClaimSet, ...] = ()
    broken: Mapping[str, str] = field(default_factory=dict)


def discover(packages: Sequence[str] = ()) -> Discovery:
    """Load the claim sets of the installed packages; one that cannot be loaded does not stop the others.

    Args:
        packages: Load only these; by default all that are installed.

    Returns:
        The claim sets in the order of `packages` (by default alphabetically), and what could not be loaded.

    Raises:
        ArgumentError: A package is named that is not installed or has no claims.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    for name in packages:
        if name not in points:
            raise ArgumentError(_unknown("package with claims", name, sorted(points), "installed"))
    sets: list[ClaimSet] = []
    broken: dict[str, str] = {}
    for name in dict.fromkeys(packages) or sorted(points):
        loaded = _load(points[name])
        if isinstance(loaded, ClaimSet):
            sets.append(loaded)
        else:
            broken[name] = loaded
    return Discovery(tuple(sets), broken)


def _load(point: EntryPoint) -> ClaimSet | str:
    try:
        loaded = point.load()
    except (Exception, SystemExit) as error:
        return "".join(traceback.format_exception(error)).rstrip()
    if not isinstance(loaded, ClaimSet):
        return f"its entry point {point.value!r} must name a ClaimSet, found {type(loaded).__name__}"
    if loaded.package != point.name:
        return f"its entry point is named {point.name!r} but its ClaimSet says package={loaded.package!r}"
    return loaded


def select(found: Discovery, claims: Sequence[str] = ()) -> Discovery:
    """Keep the claims with the given ids, and the sets that hold one of them.

    Args:
        found: What `discover` returned.
        claims: Claim ids; all claims if empty.

    Returns:
        The same with smaller sets.

    Raises:
        ArgumentError: No set has a claim of that id.
    """
    if not claims:
        return found
    known = [claim.id for claims_of_package in found.sets for claim in claims_of_package]
    for wanted in claims:
        if wanted not in known:
            raise ArgumentError(_unknown("claim", wanted, known, "known"))
    chosen = (claims_of_package.only(claims) for claims_of_package in found.sets)
    return Discovery(tuple(subset for subset in chosen if len(subset)), found.broken)


def require_options(sets: Sequence[ClaimSet], options: Iterable[str]) -> None:
    """Refuse options that no claim would look at.

    Raises:
        ArgumentError: None of the packages takes an option of that name.
    """
    known = {name: text for claims in sets for name, text in claims.options.items()}
    for name in options:
        if name not in known:
            raise ArgumentError(_unknown("option", name, [f"{one} ({text})" for one, text in known.items()], "known"))


def _unknown(what: str, name: str, known: Iterable[str], adjective: str) -> str:
    known = list(known)
    close = difflib.get_close_matches(name, [one.partition(" (")[0] for one in known], n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return f"no {what} is named {name!r}; {adjective}: {', '.join(known) or 'none'}.{guess}"
