"""Seeds for the libraries that keep their random state in a global."""

import random
import sys

from irworks.errors import ArgumentError

__all__ = ["seed_everything"]


def seed_everything(seed: int) -> None:
    """Seed Python's, numpy's legacy and (only if it is loaded already) torch's global generators.

    irworks itself draws from `numpy.random.Generator` arguments; this is for the libraries below it that do not.

    Args:
        seed: From 0 to 2**32 - 1, the range numpy's legacy generator takes.

    Raises:
        ArgumentError: `seed` is outside that range.
    """
    if not 0 <= seed < 2**32:
        raise ArgumentError(f"seed must be from 0 to 2**32 - 1, found {seed}")
    random.seed(seed)
    import numpy as np

    np.random.seed(seed)  # noqa: NPY002 - the libraries that this is for read the legacy state
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)
