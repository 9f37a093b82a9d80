import numpy as np
import pytest

from recgaze.simulate import simulate_study


@pytest.fixture(scope="session")
def study():
    """A small simulated study with its truth: 12 users, 40 screens."""
    return simulate_study(12, rng=np.random.default_rng(3))


@pytest.fixture(scope="session")
def dataset(study):
    return study.dataset


@pytest.fixture(scope="session")
def saved(dataset, tmp_path_factory):
    """The same study as files."""
    folder = tmp_path_factory.mktemp("study")
    dataset.save(folder)
    return folder
