"""Readers of the formats in which interactions are published."""

import json
from pathlib import Path
from typing import Any

from irworks.data.columns import Place
from irworks.data.tables import read_table
from irworks.errors import DataError
from rec_unlearn.data.frames import from_frame
from rec_unlearn.data.interactions import Interactions

__all__ = ["read_baskets", "read_interactions"]

# Baskets of a later file stand behind all of an earlier one.
_MANY = 1 << 40


def read_interactions(
    path: str | Path,
    *,
    user: str = "user",
    item: str = "item",
    time: str | None = None,
    basket: str | None = None,
    session: str | None = None,
) -> Interactions:
    """Read CSV or Parquet with a row an interaction; columns as of `from_pandas`.

    Raises:
        DataError: As `from_pandas`, with the file and its line.
    """
    file = Path(path)
    frame, place = read_table(file, [column for column in (user, item, basket, session) if column])
    return from_frame(frame, place, user=user, item=item, time=time, basket=basket, session=session)


def read_baskets(path: str | Path, *later: str | Path) -> Interactions:
    """Read baskets as JSON: `{user: [basket, ...]}`, where a basket is a list of item numbers, or `[-1]` for a border.

    The form in which the next-basket reality check (Li et al. 2023, ACM TOIS 41(4)) keeps Ta-Feng, Dunnhumby and
    Instacart: a file of histories and a file of what came next. Users are texts, items integers.

    Args:
        path: The file.
        later: Files whose baskets follow, for the same users.

    Raises:
        DataError: A file is no such JSON: which user, and what was found.
    """
    import pandas as pd

    users: list[str] = []
    steps: list[int] = []
    items: list[int] = []
    for number, file in enumerate([Path(path), *map(Path, later)]):
        for user, history in _load(file).items():
            if not isinstance(history, list):
                raise DataError("no list of baskets", source=file, row=f"user {user!r}", found=history)
            for step, basket in enumerate(history):
                if basket == [-1]:
                    continue
                if not isinstance(basket, list) or not all(type(item) is int and item >= 0 for item in basket):
                    raise DataError(
                        "no basket", source=file, row=f"user {user!r}", found=basket, expected="a list of item numbers"
                    )
                users += [user] * len(basket)
                steps += [number * _MANY + step] * len(basket)
                items += basket
    if not items:
        raise DataError("no baskets", source=path, found="none with an item", expected="at least one")
    frame = pd.DataFrame({"user": users, "item": items, "basket": steps})
    place = Place(Path(path).name)
    return from_frame(frame, place, user="user", item="item", time=None, basket="basket", session=None)


def _load(file: Path) -> dict[str, Any]:
    try:
        baskets = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError("cannot be read", source=file, found=type(error).__name__) from None
    except ValueError as error:
        raise DataError("not JSON", source=file, found=str(error)) from None
    if not isinstance(baskets, dict):
        raise DataError("no baskets", source=file, found=type(baskets).__name__, expected="{user: [[item, ...], ...]}")
    return baskets
