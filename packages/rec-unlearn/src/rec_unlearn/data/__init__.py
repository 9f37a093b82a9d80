"""Interactions: the table, its readers, and how to split it."""

from rec_unlearn.data.formats import (
    SENSITIVE_AISLES,
    Instacart,
    read_diginetica,
    read_instacart,
    read_movielens,
    read_recbole,
    read_yoochoose,
)
from rec_unlearn.data.frames import DuplicateRowsWarning, from_pandas
from rec_unlearn.data.interactions import Interactions, UnknownIdError
from rec_unlearn.data.splits import Split, leave_last_out, split_at

__all__ = [
    "SENSITIVE_AISLES",
    "DuplicateRowsWarning",
    "Instacart",
    "Interactions",
    "Split",
    "UnknownIdError",
    "from_pandas",
    "leave_last_out",
    "read_diginetica",
    "read_instacart",
    "read_movielens",
    "read_recbole",
    "read_yoochoose",
    "split_at",
]
