"""Remove users and interactions from trained recommenders, audit the removal, and compare ways to do it."""

from rec_unlearn.data import Interactions, leave_last_out, split_at
from rec_unlearn.requests import DeletionRequest, Removal, resolve

__all__ = ["DeletionRequest", "Interactions", "Removal", "leave_last_out", "resolve", "split_at"]
