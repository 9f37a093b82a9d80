"""Training by several processes."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from amharic_ir.encoders import Ngrams, TinySettings, tiny  # noqa: E402
from amharic_ir.train import Pairs, TrainConfig, bi_encoder, late_interaction  # noqa: E402
from irworks.data import Collection, Documents  # noqa: E402
from irworks.testing import run_together  # noqa: E402

PAIRS = Pairs(
    [f"ጥያቄ {i} ሀ{i}" for i in range(33)],
    [f"መልስ {i} ለ{i}" for i in range(33)],
    [[f"ሌላ {i}"] * (i % 2) for i in range(33)],
    [[1.0, 0.0][: 1 + i % 2] for i in range(33)],
)
# 33 pairs by 16: the one that would be left alone joins the last batch, so that shares differ.
CONFIG = TrainConfig(epochs=2, batch_size=16, learning_rate=1e-2, negatives=1)
JUDGED = Collection(Documents.of(["መልስ"]), {"a": "ሌላ ጥያቄ"}, {"a": {"0": 1}}, "judged", "validation")


def base(layers=0):
    sizes = TinySettings(dim=8, token_dim=4, layers=layers, heads=2)
    return tiny(Ngrams(buckets=64), sizes)


KNOWN = {"pairs": PAIRS, "config": CONFIG, "base": base, "judged": JUDGED}
SCRIPT = """
import numpy as np

from amharic_ir.train import Pairs, TrainConfig, bi_encoder, late_interaction, loop
from irworks.errors import ArgumentError, DataError
from irworks.testing import meet

accelerator = meet(folder, process, processes)


def keep(name, made, history):
    weights = {key: value.numpy() for key, value in made.network.state_dict().items()}
    np.savez(folder / f"{name}-{process}.npz", losses=history.losses, **weights)


options = {"config": config, "accelerator": accelerator}
keep("distill", *bi_encoder(pairs, base(), loss="distill", **options))
keep("contrastive", *bi_encoder(pairs, base(1), checkpoint=folder / "state.pt", **options))
keep("resumed", *bi_encoder(pairs, base(1), checkpoint=folder / "state.pt", **options))
keep("late", *late_interaction(pairs, base(), **options))
try:
    bi_encoder(pairs, base(1), checkpoint=folder / (f"{process}.pt" if process else "state.pt"), **options)
except DataError as error:
    assert "the processes do not find the same checkpoint (found 'epochs [2, 0]'" in str(error)
    (folder / f"apart-{process}").touch()
# Each finds another value; they stop at one step, which one of them alone would not.
values = iter([0.5, 0.4, 0.3, 0.2] if process else [0.1, 0.15, 0.2, 0.25])
loop.Validation.__call__ = lambda self: next(values)
impatient = TrainConfig(epochs=4, batch_size=16, patience=1)
made, history = bi_encoder(pairs, base(), config=impatient, validation=judged, accelerator=accelerator)
assert [round(value, 3) for _, value in history.checks] == [0.3, 0.275]
# Of a single pair one process has none.
few = Pairs(pairs.queries[:1], pairs.docs[:1])
keep("few", *bi_encoder(few, base(), config=TrainConfig(epochs=1), accelerator=accelerator))
if process:
    # Of one process alone, and all stop together.
    loop.contrastive = lambda scores, *rest, **others: scores.sum() * float("nan")
try:
    bi_encoder(pairs, base(), **options)
except ArgumentError:
    (folder / f"stopped-{process}").touch()
accelerator.end_training()
"""


def test_two_processes_learn_the_same_from_halves_of_every_batch(tmp_path):
    pytest.importorskip("accelerate", reason="accelerate is not installed: pip install 'amharic-ir[dense]'")
    # Before the others start, so that torch imports what an optimiser needs once.
    alone, history = bi_encoder(PAIRS, base(), loss="distill", config=CONFIG)
    script = tmp_path / "train.py"
    script.write_text(SCRIPT, encoding="utf-8")
    assert run_together(script, KNOWN | {"folder": tmp_path}, seconds=100) == [0, 0]
    found = {
        name: [dict(np.load(tmp_path / f"{name}-{process}.npz")) for process in (0, 1)]
        for name in ("distill", "contrastive", "resumed", "late", "few")
    }
    for first, second in found.values():
        for key, value in first.items():
            np.testing.assert_array_equal(value, second[key])
    # A teacher's scores are of each query's own documents: shares of a batch are as good as the whole of it.
    np.testing.assert_allclose(found["distill"][0]["losses"], history.losses, rtol=1e-5)
    for key, value in alone.network.state_dict().items():
        np.testing.assert_allclose(found["distill"][0][key], value.numpy(), atol=2e-5)
    for key, value in found["contrastive"][0].items():
        np.testing.assert_array_equal(value, found["resumed"][0][key])
    # What no loss depends on does not decay.
    np.testing.assert_array_equal(found["contrastive"][0]["project.weight"], base(1).network.project.weight.detach())
    assert all((tmp_path / f"apart-{process}").exists() for process in (0, 1))
    assert all((tmp_path / f"stopped-{process}").exists() for process in (0, 1))


@pytest.mark.parametrize("train", [bi_encoder, late_interaction])
def test_an_accelerator_of_one_process_changes_nothing(train):
    accelerate = pytest.importorskip("accelerate")
    one, _ = train(PAIRS, base(1), config=CONFIG)
    other, _ = train(PAIRS, base(1), config=CONFIG, accelerator=accelerate.Accelerator(cpu=True))
    for mine, theirs in zip(one.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(mine, theirs)
