"""Training by several processes, which are as one."""

import sys

import numpy as np
import pytest

from irworks.errors import ArgumentError, MissingDependencyError
from irworks.testing import run_together

torch = pytest.importorskip("torch")

SCRIPT = """
import numpy as np
import torch

from irworks.testing import meet
from rec_unlearn.data import leave_last_out
from rec_unlearn.models.registry import make_model
from rec_unlearn.models.torch_base import TrainingError
from rec_unlearn.simulate import simulate_baskets

accelerator = meet(folder, process, processes)
log = simulate_baskets(np.random.default_rng(0), n_users=33, n_items=20).log
for name in ("gru", "mf-bpr"):
    split = leave_last_out(log)
    # 33 users in batches of 16: the last has one, and one of two processes none.
    model = make_model(name, dim=4, epochs=2, batch_size=16, device="cpu")
    model.fit(split.train, seed=3, validation=split, accelerator=accelerator)
    weights = {key: value.numpy() for key, value in model.module.state_dict().items()}
    history = [[row["loss"], row["nDCG@10"]] for row in model.history_]
    np.savez(folder / f"{name}-{process}.npz", history=history, **weights)
if process:
    # Of one process alone, and all stop together.
    type(model).losses = lambda self, log, users: torch.full((len(users),), float("nan"), requires_grad=True)
try:
    model.fit(split.train, accelerator=accelerator)
except TrainingError:
    (folder / f"stopped-{process}").touch()
accelerator.end_training()
"""


def test_two_processes_train_the_model_that_one_would(tmp_path):
    pytest.importorskip("accelerate", reason="accelerate is not installed: pip install 'rec-unlearn[accelerate]'")
    from rec_unlearn.data import leave_last_out
    from rec_unlearn.models.registry import make_model
    from rec_unlearn.simulate import simulate_baskets

    log = simulate_baskets(np.random.default_rng(0), n_users=33, n_items=20).log
    split = leave_last_out(log)
    alone = {}
    # Before the others start, so that torch imports what an optimiser needs once.
    for name in ("gru", "mf-bpr"):
        alone[name] = make_model(name, dim=4, epochs=2, batch_size=16, device="cpu")
        alone[name].fit(split.train, seed=3, validation=split)
    script = tmp_path / "train.py"
    script.write_text(SCRIPT, encoding="utf-8")
    assert run_together(script, {"folder": tmp_path}) == [0, 0]
    for name, model in alone.items():
        first, second = (dict(np.load(tmp_path / f"{name}-{process}.npz")) for process in (0, 1))
        history = [[row["loss"], row["nDCG@10"]] for row in model.history_]
        np.testing.assert_allclose(first["history"], history, atol=1e-5)
        for key, value in model.module.state_dict().items():
            np.testing.assert_array_equal(first[key], second[key])
            np.testing.assert_allclose(first[key], value.numpy(), atol=2e-5)
    assert all((tmp_path / f"stopped-{process}").exists() for process in (0, 1))


def test_an_accelerator_of_one_process_changes_nothing():
    accelerate = pytest.importorskip("accelerate")
    from rec_unlearn.models.registry import make_model
    from rec_unlearn.simulate import simulate_baskets

    log = simulate_baskets(np.random.default_rng(0), n_users=20, n_items=20).log
    one, other = (make_model("gru", dim=4, epochs=1, device="cpu") for _ in range(2))
    one.fit(log)
    other.fit(log, accelerator=accelerate.Accelerator(cpu=True))
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_without_accelerate_the_error_says_what_to_install(monkeypatch):
    from rec_unlearn.models.distributed import make_accelerator

    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'rec-unlearn\[accelerate\]'"):
        make_accelerator("cpu")


def test_a_model_that_is_no_network_is_not_shared():
    from rec_unlearn.cli.train import _shared
    from rec_unlearn.models.registry import make_model

    with pytest.raises(ArgumentError, match="ease is none"):
        _shared("ease", make_model("ease"))
