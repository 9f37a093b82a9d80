"""Sequences of baskets as sparse tensors: no array has a cell for every user, step and item."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rec_unlearn.data import Interactions

if TYPE_CHECKING:
    import torch

__all__ = ["SequenceBatch"]

IntArray = NDArray[np.int32]
LongArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SequenceBatch:
    """The sequences of some users, each cut to its last steps.

    A *position* is a step of a sequence that a next step is predicted from.

    Attributes:
        n_users: How many users were asked for.
        owner: int64 [n_sequences], place of each sequence's user among them.
        length: int64 [n_sequences], number of steps.
        item: int64 [n_rows], item of each row.
        place: int64 [n_rows], the row's sequence times `width`, plus its step.
        width: The largest number of steps.
        n_items: As in the log.
    """

    n_users: int
    owner: LongArray
    length: LongArray
    item: LongArray
    place: LongArray
    width: int
    n_items: int

    @classmethod
    def of(cls, log: Interactions, users: IntArray, max_steps: int) -> "SequenceBatch":
        """Gather the sequences of users; those without rows have none."""
        rows = log.rows_of(users)
        owner = np.repeat(np.arange(len(users)), np.diff(log.user_offsets)[np.asarray(users, dtype=np.int64)])
        sequence, step = log.sequence[rows], log.step[rows]
        if not len(rows):
            empty = np.zeros(0, dtype=np.int64)
            return cls(len(users), empty, empty, empty, empty, 0, log.n_items)
        # A user who is asked for twice has sequences twice.
        new_sequence = np.ones(len(rows), dtype=bool)
        new_sequence[1:] = (np.diff(sequence) != 0) | (np.diff(owner) != 0)
        new_step = new_sequence.copy()
        new_step[1:] |= np.diff(step) != 0
        number = np.cumsum(new_sequence) - 1
        running = np.cumsum(new_step)
        local = running - running[new_sequence][number]
        length = np.bincount(number[new_step])
        # Counted from the end: the last `max_steps` of each sequence stay.
        start = np.maximum(length - max_steps, 0)
        kept = local >= start[number]
        length = length - start
        width = int(length.max())
        place = number * width + local - start[number]
        return cls(
            len(users),
            owner[new_sequence].astype(np.int64),
            length.astype(np.int64),
            log.item[rows][kept].astype(np.int64),
            place[kept].astype(np.int64),
            width,
            log.n_items,
        )

    @property
    def n_sequences(self) -> int:
        """How many sequences the users have."""
        return len(self.length)

    @cached_property
    def filled(self) -> NDArray[np.bool_]:
        """Bool [n_sequences, width], where a sequence has a step."""
        return np.arange(self.width) < self.length[:, None]

    @cached_property
    def predicting(self) -> LongArray:
        """int64 [m], places of the positions that have a next step."""
        return np.flatnonzero(np.arange(self.width) < self.length[:, None] - 1)

    @cached_property
    def last(self) -> LongArray:
        """int64 [n_sequences], place of each sequence's last step."""
        return np.arange(self.n_sequences) * self.width + self.length - 1

    @cached_property
    def asked(self) -> tuple[LongArray, LongArray]:
        """The users who have a sequence, by their place among those asked for, and the last step of their last one."""
        last = np.full(self.n_users, -1, dtype=np.int64)
        last[self.owner] = self.last
        known = np.flatnonzero(last >= 0)
        return known, last[known]

    @cached_property
    def row_weight(self) -> NDArray[np.float32]:
        """float32 [n_rows], one over the number of rows in the same step."""
        return (1 / np.bincount(self.place, minlength=self.n_sequences * self.width)[self.place]).astype(np.float32)

    @cached_property
    def targets(self) -> tuple[LongArray, LongArray, NDArray[np.float32]]:
        """For each item of a next step: number of its position in `predicting`, the item, and its weight there."""
        follows = self.place % max(self.width, 1) > 0
        number = np.full(self.n_sequences * self.width, -1, dtype=np.int64)
        number[self.predicting] = np.arange(len(self.predicting))
        return number[self.place[follows] - 1], self.item[follows], self.row_weight[follows]

    def counts(self, places: LongArray) -> tuple[LongArray, LongArray, NDArray[np.float32]]:
        """How often each item was used in a sequence up to each of `places`, where it was at all.

        Returns:
            Number of the place among `places`, item, count; the places ascend.
        """
        sequence, step = self.place // self.width, self.place % self.width
        key = sequence * self.n_items + self.item
        order = np.lexsort((step, key))
        key, step, sequence = key[order], step[order], sequence[order]
        first = np.ones(len(key), dtype=bool)
        first[1:] = key[1:] != key[:-1]
        begin = np.flatnonzero(first)
        nth = np.arange(len(key)) - np.repeat(begin, np.diff(np.append(begin, len(key)))) + 1
        # From this use on until the next one, or the end of the sequence, the count stays.
        until = np.append(step[1:], 0)
        until[np.append(first[1:], True)] = self.length[sequence[np.append(first[1:], True)]]
        span = until - step
        within = np.arange(span.sum()) - np.repeat(np.cumsum(span) - span, span)
        place = np.repeat(sequence * self.width + step, span) + within
        number = np.full(self.n_sequences * self.width, -1, dtype=np.int64)
        number[places] = np.arange(len(places))
        wanted = number[place] >= 0
        items = np.repeat(self.item[order], span)[wanted]
        return number[place[wanted]], items, np.repeat(nth, span)[wanted].astype(np.float32)

    def to(self, device: "torch.device | str", *arrays: NDArray[np.generic]) -> "list[torch.Tensor]":
        """Arrays as tensors on a device."""
        import torch

        return [torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays]
