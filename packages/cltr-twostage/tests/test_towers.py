"""The ready-made torch module."""

import numpy as np
import pytest

from cltr_twostage.learning.towers import mlp_tower
from irworks.errors import ArgumentError

torch = pytest.importorskip("torch")

X = np.random.default_rng(0).normal([100, 0, 5], [20, 0.01, 0], size=(500, 3))


def test_a_tower_standardises_what_it_reads_and_does_not_train_that() -> None:
    tower = mlp_tower(X, [4, 3])

    with torch.no_grad():
        first = tower[0](torch.as_tensor(X, dtype=torch.float32)).numpy()
    assert first.mean(axis=0) == pytest.approx([0, 0, 0], abs=1e-3)
    assert first.std(axis=0) == pytest.approx([1, 1, 0], abs=1e-3)
    trained = [tuple(part.shape) for part in tower.parameters() if part.requires_grad]
    assert trained == [(4, 3), (4,), (3, 4), (3,), (1, 3), (1,)]


def test_a_seed_gives_a_tower_and_leaves_the_generator_of_torch_alone() -> None:
    before = torch.random.get_rng_state()

    first, again, other = (mlp_tower(X, [4], seed=seed)(torch.ones(1, 3)).item() for seed in (1, 1, 2))

    assert first == again
    assert first != other
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("features", "hidden"), [(X[0], [4]), (X[:0], [4]), (np.full((2, 2), np.nan), [4]), (X, [0])])
def test_what_no_tower_can_be_made_of_is_refused(features: np.ndarray, hidden: list[int]) -> None:
    with pytest.raises(ArgumentError):
        mlp_tower(features, hidden)
