"""The options of `TwoTowerClickModel`: which values they take, and which of them go together."""

from numbers import Real
from typing import TYPE_CHECKING, Literal

from irworks.errors import ArgumentError
from ltr_twotower.weighting import PlacementPropensity

if TYPE_CHECKING:
    from ltr_twotower.model import TwoTowerClickModel

__all__ = ["check_options", "name_of", "needs_torch", "solver_of", "tower_of"]


def check_options(model: "TwoTowerClickModel") -> None:
    """Raise an `ArgumentError` that names the first option with a value that no fit could work with."""
    _check_values(model)
    if model.solver in ("newton", "lbfgs") and needs_torch(model):
        raise ArgumentError(f"solver={model.solver!r} fits no neural tower; use solver='adamw'")
    if model.solver == "newton" and model.combine == "pbm":
        raise ArgumentError(
            "solver='newton' needs a convex likelihood, which combine='pbm' has not; use solver='lbfgs'"
        )
    if model.combine == "pbm" and (solver_of(model) == "adamw" or not isinstance(model.bias, str)):
        raise ArgumentError("combine='pbm' takes relevance='embedding' or 'linear', bias='position' and solver='lbfgs'")
    if solver_of(model) == "adamw" and model.relevance == "embedding":
        raise ArgumentError(
            "solver='adamw' and neural bias towers need a relevance tower on features; relevance='embedding' is "
            "convex: use solver='newton', with bias='position' or features of the ranks"
        )
    per_pair = model.relevance == "embedding" and model.combine == "additive"
    for name in ("bias_reduction", "relevance_l2"):
        if getattr(model, name) and not per_pair:
            raise ArgumentError(f"{name} takes relevance='embedding' and combine='additive'")
    if model.bias_reduction and model.solver == "lbfgs":
        raise ArgumentError("bias_reduction takes the Newton solver")
    if model.on_unidentified == "component-normalize" and not per_pair:
        raise ArgumentError(
            "on_unidentified='component-normalize' takes relevance='embedding', whose components it normalises, "
            "and combine='additive'"
        )


def _check_values(model: "TwoTowerClickModel") -> None:
    if isinstance(model.relevance, str):
        _one_of("relevance", model.relevance, ("embedding", "linear", "deep"))
    elif not callable(model.relevance):
        raise ArgumentError(f"relevance={model.relevance!r}; expected a name or a torch.nn.Module")
    if isinstance(model.bias, str):
        _one_of("bias", model.bias, ("position",))
    if model.sample_weight is not None and not isinstance(model.sample_weight, PlacementPropensity):
        raise ArgumentError(f"sample_weight={model.sample_weight!r}; expected None or a PlacementPropensity")
    _one_of("combine", model.combine, ("additive", "pbm"))
    _one_of("on_unidentified", model.on_unidentified, ("warn", "raise", "component-normalize"))
    _one_of("solver", model.solver, ("auto", "newton", "lbfgs", "adamw"))
    if not _is_positive(model.l2):
        raise ArgumentError(f"l2={model.l2!r}; expected a positive ridge: it keeps documents with no click finite")
    if model.relevance_l2 is not None and not _is_positive(model.relevance_l2):
        raise ArgumentError(f"relevance_l2={model.relevance_l2!r}; expected a positive ridge")


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ArgumentError(f"{name}={value!r}; expected one of {', '.join(map(repr, allowed))}")


def _is_positive(value: object) -> bool:
    return isinstance(value, Real) and 0 < float(value) < float("inf")


def needs_torch(model: "TwoTowerClickModel") -> bool:
    """Whether a tower of the model is neural."""
    return model.relevance not in ("embedding", "linear") or callable(model.bias)


def solver_of(model: "TwoTowerClickModel") -> str:
    """The solver that the model uses: what "auto" stands for."""
    if model.solver != "auto":
        return model.solver
    if needs_torch(model):
        return "adamw"
    return "newton" if model.combine == "additive" else "lbfgs"


def tower_of(model: "TwoTowerClickModel") -> Literal["embedding", "linear", "deep"]:
    """The kind of the relevance tower, as far as identification goes."""
    if model.relevance == "embedding":
        return "embedding"
    return "linear" if model.relevance == "linear" else "deep"


def name_of(tower: object) -> str:
    """A tower as a message calls it."""
    return repr(tower) if isinstance(tower, str) else type(tower).__name__
