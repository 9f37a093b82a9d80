"""What a model is trained on, and what it is asked afterwards."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from rec_unlearn.data.interactions import Interactions

__all__ = ["Split", "leave_last_out", "split_at"]


class Split(NamedTuple):
    """Two logs with the users and items of the one that was split.

    Attributes:
        train: What comes first.
        test: What comes after; for each of its users, a model is asked with the history in `train`.
    """

    train: Interactions
    test: Interactions


def leave_last_out(log: Interactions, *, min_steps: int = 2) -> Split:
    """Put the last step of every sequence into the test.

    Args:
        log: What to split.
        min_steps: Shorter sequences stay in the training data as a whole; at least 2.

    Raises:
        ArgumentError: No sequence is long enough.
    """
    if min_steps < 2:
        raise ArgumentError(f"min_steps={min_steps}; expected at least 2, as one step is left out")
    length, last = _lengths_and_last(log)
    held_out = (log.step == last[log.sequence]) & (length[log.sequence] >= min_steps)
    if not held_out.any():
        raise ArgumentError(f"no sequence of {log.name} has {min_steps} steps; there is nothing to leave out")
    return Split(log.keep(~held_out), log.keep(held_out))


def split_at(log: Interactions, time: float) -> Split:
    """Put what happened from a moment on into the test: one moment for all, so that nothing is learned from the future.

    Raises:
        ArgumentError: The log has no times, or one side would be empty.
    """
    if log.time is None:
        raise ArgumentError(f"{log.name} has no times; leave_last_out splits it")
    later = log.time >= time
    if later.all() or not later.any():
        raise ArgumentError(
            f"time={time!r} leaves one side empty; expected a moment within {log.time.min()} to {log.time.max()}"
        )
    return Split(log.keep(~later), log.keep(later))


def _lengths_and_last(log: Interactions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of steps, and number of the last step, of each sequence."""
    n = int(log.sequence.max()) + 1 if len(log) else 0
    begins = np.ones(len(log), dtype=bool)
    begins[1:] = (np.diff(log.sequence) != 0) | (np.diff(log.step) != 0)
    last = np.zeros(n, dtype=np.int64)
    last[log.sequence] = log.step
    return np.bincount(log.sequence[begins], minlength=n), last
