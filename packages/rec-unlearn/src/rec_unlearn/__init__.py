"""Remove users and interactions from trained recommenders, audit the removal, and compare ways to do it."""

from rec_unlearn.data import Interactions, leave_last_out, split_at
from rec_unlearn.requests import DeletionRequest, EmptyRequestError, Removal, resolve
from rec_unlearn.unlearn import Report, unlearn

__all__ = [
    "DeletionRequest",
    "EmptyRequestError",
    "Interactions",
    "Removal",
    "Report",
    "leave_last_out",
    "resolve",
    "split_at",
    "unlearn",
]
