"""Real data, where they are."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def amharic():
    """The folder of the Amharic data sets."""
    root = os.environ.get("IRWORKS_DATA")
    if not root or not (Path(root) / "amharic").is_dir():
        pytest.skip("IRWORKS_DATA is not set: the real data sets are elsewhere or absent")
    return Path(root) / "amharic"
