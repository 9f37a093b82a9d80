import os
from pathlib import Path

import pytest


def data_folder(name: str) -> Path:
    root = os.environ.get("IRWORKS_DATA")
    if root is None:
        pytest.skip("IRWORKS_DATA is not set: the real data sets are elsewhere or absent")
    folder = Path(root) / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not under IRWORKS_DATA")
    return folder


@pytest.fixture
def letor_folder() -> Path:
    return data_folder("ltr/letor")


@pytest.fixture
def obd_folder() -> Path:
    return data_folder("ltr/obd")
