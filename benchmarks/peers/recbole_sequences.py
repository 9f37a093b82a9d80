"""RecBole's SASRec and GRU4Rec on the benchmark's sessions. Runs inside RecBole's own environment.

Started by `benchmarks/rec_unlearn.py`. Everything is the library's: it reads a table of interactions, makes an example
of every prefix of a session, and its own trainer learns from them; validation, checkpoints and bars are off.
"""

import logging
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from first_step import first_step
from meter import Arrays, Measured, cpu_seconds, peak_mebibytes, serve

# What the two models call the same sizes.
SIZES: dict[str, Any] = {
    "SASRec": lambda dim: {"hidden_size": dim, "inner_size": 2 * dim, "n_layers": 2, "n_heads": 2},
    "GRU4Rec": lambda dim: {"embedding_size": dim, "hidden_size": dim, "num_layers": 1},
}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0, "dropout_prob": 0.0}


def sequences(
    world: Arrays, *, model: str, dim: int, positions: int, lr: float, epochs: int, width: int, seed: int
) -> tuple[Measured, Arrays]:
    """One training on all positions of all sessions.

    Args:
        world: `user`, `item` [n], sorted by user and time; `sizes` (users, items); users are 0, 1, ...
        model: "SASRec" or "GRU4Rec".
        dim: Of embeddings and hidden states.
        positions: Examples a step; every one is a position of a session.
        lr: Learning rate of Adam.
        epochs: Passes over the examples.
        width: The most items of a session that an example holds: 50 unless one says otherwise.
        seed: Of initial values and shuffling.

    Returns:
        Times of the trainer alone, the reading and the examples apart; `scores` [n_users, n_items] after every session.
    """
    import torch
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.data.interaction import Interaction
    from recbole.utils import get_model, get_trainer, init_seed

    torch.set_num_threads(1)
    logging.disable()
    # RecBole reads the command line for itself, and writes beside where it stands.
    sys.argv = sys.argv[:1]
    with tempfile.TemporaryDirectory(prefix="recbole") as scratch:
        os.chdir(scratch)
        _write(world, Path(scratch) / "sessions")
        config = Config(
            model=model,
            dataset="sessions",
            config_dict={
                **SIZES[model](dim),
                **NO_DROPOUT,
                "data_path": scratch,
                "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
                "MAX_ITEM_LIST_LENGTH": width,
                "train_neg_sample_args": None,
                "loss_type": "CE",
                "epochs": epochs,
                "learning_rate": lr,
                "train_batch_size": positions,
                "eval_args": {"split": {"RS": [1, 0, 0]}, "order": "TO", "mode": "full", "group_by": "user"},
                "use_gpu": False,
                "show_progress": False,
            },
        )
        init_seed(seed, reproducibility=True)
        start, cpu = perf_counter(), cpu_seconds()
        data, _, _ = data_preparation(config, create_dataset(config))
        read = {"dataset_seconds": perf_counter() - start, "dataset_cpu_seconds": cpu_seconds() - cpu}
        network = get_model(model)(config, data.dataset)
        trainer = get_trainer(config["MODEL_TYPE"], model)(config, network)
        before, start, cpu = peak_mebibytes(), perf_counter(), cpu_seconds()
        trainer.fit(data, verbose=False, saved=False)
        timing = {"fit_seconds": perf_counter() - start, "cpu_seconds": cpu_seconds() - cpu}
        peak = peak_mebibytes()
        codes = _codes(data.dataset, int(world["sizes"][1]))
        histories, lengths = _histories(world, codes, width)
        network.eval()
        with torch.no_grad():
            ask = {"item_id_list": torch.from_numpy(histories), "item_length": torch.from_numpy(lengths)}
            found = network.full_sort_predict(Interaction(ask)).numpy()
        os.chdir("/")
    scores = np.full((len(found), len(codes)), -np.inf, dtype=np.float32)
    scores[:, codes > 0] = found[:, codes[codes > 0]]
    measured = {
        **timing,
        **read,
        "positions": len(data.dataset) * epochs,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "peak_mebibytes": peak,
        "peak_before": before,
        "versions": _versions(),
    }
    return measured, {"scores": scores}


def _write(world: Arrays, folder: Path) -> None:
    """The table of interactions that RecBole reads."""
    folder.mkdir()
    place = np.arange(len(world["user"]))
    with (folder / "sessions.inter").open("w") as handle:
        handle.write("user_id:token\titem_id:token\ttimestamp:float\n")
        rows = zip(world["user"].tolist(), world["item"].tolist(), place.tolist(), strict=True)
        handle.writelines(f"{user}\t{item}\t{time}\n" for user, item, time in rows)


def _codes(dataset: Any, n_items: int) -> np.ndarray:
    """RecBole's number of each of our items, 0 for those that it never saw: int64 [n_items]."""
    numbers = dataset.field2token_id["item_id"]
    return np.array([numbers.get(str(item), 0) for item in range(n_items)], dtype=np.int64)


def _histories(world: Arrays, codes: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The last items of each session [n_users, width], and how many there are [n_users]."""
    parts = np.split(codes[world["item"]], np.flatnonzero(np.diff(world["user"])) + 1)
    histories = np.zeros((len(parts), width), dtype=np.int64)
    for row, part in enumerate(parts):
        histories[row, : len(part[-width:])] = part[-width:]
    return histories, np.array([min(len(part), width) for part in parts], dtype=np.int64)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("recbole", "numpy", "torch")}


def prepare() -> None:
    """Import what is timed."""
    import warnings

    warnings.filterwarnings("ignore")
    first_step()
    for name in ("recbole.config", "recbole.data", "recbole.utils"):
        import_module(name)


if __name__ == "__main__":
    serve({"sequences": sequences}, prepare)
