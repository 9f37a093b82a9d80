"""How far the model has moved away from the deployed one, on users who are asked again and again."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rec_unlearn.data import Interactions
from rec_unlearn.evaluate import top_k
from rec_unlearn.protocols import Recommender

__all__ = ["Probe"]

K = 10


@dataclass(frozen=True, eq=False)
class Probe:
    """Users, and what the deployed model showed them; of that model itself, which knew those removed, nothing is kept.

    Attributes:
        users: int32 [n], codes.
        shown: int32 [n, k], their first items then.
    """

    users: NDArray[np.int32]
    shown: NDArray[np.int32]

    @classmethod
    def choose(cls, model: Recommender, log: Interactions, users: int | Iterable[object], seed: int) -> "Probe":
        """Ask the deployed model.

        Args:
            model: As deployed.
            log: The histories.
            users: How many to draw of those with rows, or their ids.
            seed: Of the draw.
        """
        if isinstance(users, int):
            pool = log.active_users
            codes = np.random.default_rng(seed).choice(pool, size=min(users, len(pool)), replace=False)
        else:
            codes = np.array([log.user_code(user) for user in users], dtype=np.int32)
        return cls.of(model, log, np.unique(codes).astype(np.int32))

    @classmethod
    def of(cls, model: Recommender, log: Interactions, codes: NDArray[np.int32]) -> "Probe":
        """Ask the deployed model for users by their codes, as far as they have rows."""
        codes = codes[np.isin(codes, log.active_users)]
        return cls(codes, top_k(model, log, codes, min(K, log.n_items)))

    def without(self, before: Interactions, after: Interactions) -> "Probe":
        """Leave out users who lost rows: what they are shown changes with their history, whatever the model does."""
        lost = np.diff(before.user_offsets) != np.diff(after.user_offsets)
        kept = ~lost[self.users]
        return Probe(self.users[kept], self.shown[kept])

    def overlap(self, model: Recommender, log: Interactions) -> float | None:
        """Mean share of the first 10 that a model has in common with the deployed one; None without users."""
        if not len(self.users):
            return None
        k = self.shown.shape[1]
        both = np.sort(np.concatenate([self.shown, top_k(model, log, self.users, k)], axis=1), axis=1)
        return float((both[:, 1:] == both[:, :-1]).sum(axis=1).mean() / k)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For a checkpoint."""
        return {"probe/users": self.users, "probe/shown": self.shown}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> "Probe":
        """From a checkpoint."""
        return cls(arrays["probe/users"], arrays["probe/shown"])
