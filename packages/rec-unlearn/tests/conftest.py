import os
from pathlib import Path

import pytest
from hypothesis import settings

# A machine that is busy with other tests is slow by fits.
settings.register_profile("rec-unlearn", deadline=None)
settings.load_profile("rec-unlearn")


@pytest.fixture(scope="session")
def unlearn_folder() -> Path:
    root = os.environ.get("IRWORKS_DATA")
    if root is None:
        pytest.skip("IRWORKS_DATA is not set: the real data sets are elsewhere or absent")
    folder = Path(root) / "unlearn"
    if not folder.is_dir():
        pytest.skip("unlearn is not under IRWORKS_DATA")
    return folder
