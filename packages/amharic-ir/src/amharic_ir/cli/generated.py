"""Options that stand for the fields of a dataclass of settings: their names, types, defaults and help in one place."""

import inspect
import re
from collections.abc import Callable
from dataclasses import Field, fields
from functools import wraps
from typing import Annotated, Any

import typer

__all__ = ["with_settings"]


def with_settings(config: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb the options of a dataclass; it gets those that were given, as the argument `settings`.

    Args:
        config: The dataclass; what its docstring says of an attribute is the help of the option.
    """

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(verb)
        kept = [each for name, each in own.parameters.items() if name != "settings"]
        added = [_option(field, _help_of(config, field.name)) for field in fields(config)]
        names = [each.name for each in added]

        @wraps(verb)
        def run(**options: Any) -> None:
            found = {name: options.pop(name) for name in names}
            verb(**options, settings={name: value for name, value in found.items() if value is not None})

        run.__signature__ = own.replace(parameters=[*kept, *added])  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in (*kept, *added)}
        return run

    return decorate


def _option(field: Field[Any], told: str) -> inspect.Parameter:
    default = str(field.default).lower() if isinstance(field.default, bool) else field.default
    shown = told if default is None else f"{told} Default: {default}."
    # A bool has two names, which typer finds by itself.
    names = () if field.type is bool else (f"--{field.name.replace('_', '-')}",)
    kind: Any = field.type
    annotation = Annotated[kind | None, typer.Option(*names, help=shown, show_default=False)]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _help_of(config: type, name: str) -> str:
    """What the docstring of a dataclass says of an attribute."""
    found = re.search(rf"^\s*{name}: (.*?)(?=^\s*\w+: |\Z)", inspect.getdoc(config) or "", re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""
