"""A fitted model as a folder of plain files that other programs can read; no pickle."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError, DataError
from irworks.runtime import atomic_folder
from irworks.runtime.outputs import require_replaceable
from ltr_twotower.cells import Cells
from ltr_twotower.ids import can_be_stored, plain
from ltr_twotower.weighting import PlacementPropensity, WeightSummary

if TYPE_CHECKING:
    import torch

    from ltr_twotower.model import TwoTowerClickModel

__all__ = ["check_target", "load_model", "save_model"]

_FORMAT = 1
_PER_RANK = ("position_bias_", "stderr_")


def save_model(model: "TwoTowerClickModel", folder: str | Path) -> None:
    """Write a fitted model; the folder appears whole or not at all.

    Files: `config.json` (options and arrays per rank), `position_bias.csv` (for people and spreadsheets),
    `relevance.parquet` (query, doc, gamma of every pair) and, for neural towers, `relevance.safetensors`.

    Raises:
        ArgumentError: The bias tower is a module of the user's own, which these files cannot describe.
        DataError: `folder` exists and holds something else, or the ids of the log cannot be written to a file.
    """
    target = Path(folder)
    check_target(target)
    if not isinstance(model.bias, str) and callable(model.bias):
        raise ArgumentError("a bias tower that is a torch module cannot be saved; save its state_dict yourself")
    _check_ids(model.cells_)
    with atomic_folder(target) as scratch:
        _write(model, scratch)


def check_target(folder: str | Path) -> None:
    """Raise a `DataError` if a model must not be written to `folder`: it holds something else."""
    require_replaceable(
        folder, "a saved model", header="config.json", is_ours=lambda config: config.get("package") == "ltr-twotower"
    )


def _strict(value: Any) -> Any:
    """The same with infinities and NaN as text, which JSON has no numbers for; numpy reads them back."""
    if isinstance(value, dict):
        return {name: _strict(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_strict(part) for part in value]
    return repr(value) if isinstance(value, float) and not isfinite(value) else value


def _check_ids(cells: Cells) -> None:
    for what, ids in (("query", cells.query_ids), ("document", cells.doc_ids)):
        if not can_be_stored(ids):
            raise DataError(
                f"the {what} ids of the log cannot be saved",
                found=plain(ids[0]),
                expected="ids of one type: text, or numbers of 64 bits",
                hint="Fit a log whose ids are text",
            )


def _write(model: "TwoTowerClickModel", folder: Path) -> None:
    import pandas as pd

    cells = model.cells_
    config = {
        "format": _FORMAT,
        "package": "ltr-twotower",
        "combine": model.combine,
        "relevance": model.relevance if isinstance(model.relevance, str) else "module",
        "bias": model.bias if isinstance(model.bias, str) else np.asarray(model.bias).tolist(),
        "l2": float(model.l2),
        "relevance_l2": model.relevance_l2,
        "solver": model.solver,
        "bias_reduction": model.bias_reduction,
        "on_unidentified": model.on_unidentified,
        "random_state": None if model.random_state is None else int(model.random_state),
        "train": None if model.train is None else asdict(model.train),
        "n_ranks": cells.n_ranks,
        "intercept": model.intercept_,
        "log_scale": getattr(model, "log_scale_", None),
        "coef": None if model.coef_ is None else model.coef_.tolist(),
        "labels": model.labels_.tolist(),
        "converged": model.converged_,
        "sample_weight": None if model.sample_weight is None else model.sample_weight.options(),
        "weights": None if model.weights_ is None else asdict(model.weights_),
        "feature_names": None if model.feature_names_ is None else list(model.feature_names_),
        "n_features": None if model.X_ is None else model.X_.shape[1],
        "covariance": model.covariance_.tolist(),
        **{name.rstrip("_"): getattr(model, name).tolist() for name in _PER_RANK},
    }
    (folder / "config.json").write_text(json.dumps(_strict(config), indent=1, allow_nan=False))
    ranks = np.arange(1, cells.n_ranks + 1)
    bias = {"position": ranks, "theta": model.position_bias_, "stderr": model.stderr_, "group": model.labels_}
    pd.DataFrame(bias).to_csv(folder / "position_bias.csv", index=False)
    component = np.full(cells.n_pairs, -1, dtype=np.int32)
    component[cells.pair] = model.labels_[cells.rank]
    relevance = {
        "query_id": cells.query_ids[cells.pair_query],
        "doc_id": cells.doc_ids[cells.pair_doc],
        "gamma": model.gamma_,
        "group": component,
    }
    pd.DataFrame(relevance).to_parquet(folder / "relevance.parquet", index=False, compression="zstd")
    if model.module_ is not None:
        from safetensors.torch import save_file

        state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.module_.state_dict().items()}
        save_file(state, folder / "relevance.safetensors")


def load_model(folder: str | Path, relevance: "torch.nn.Module | None" = None) -> "TwoTowerClickModel":
    """Read a model written by `save_model`.

    The counts are not kept: the model predicts, and says what it learnt, but cannot `partial_fit`.

    Args:
        folder: The folder.
        relevance: The untrained module, where the relevance tower was a module of the user's own.

    Raises:
        DataError: The folder is not a saved model, or a file of it is damaged.
        ArgumentError: The tower was the user's own module and `relevance` is not given.
    """
    root = Path(folder)
    with _damage_as_data_error(root):
        config = json.loads((root / "config.json").read_text())
        if config["format"] != _FORMAT or config["package"] != "ltr-twotower":
            raise DataError(
                "not a model of this package and format", source=root, found=config.get("format"), expected=str(_FORMAT)
            )
        tower, n_features = config["relevance"], config["n_features"]
    if tower == "module" and relevance is None:
        raise ArgumentError("the relevance tower of this model is a module of your own; pass it as relevance=")
    with _damage_as_data_error(root):
        model = _restore(root, config, relevance if tower == "module" else tower)
    model.module_ = _restore_module(root, n_features, model)
    return model


@contextmanager
def _damage_as_data_error(root: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except KeyError as error:
        raise DataError(f"not a readable saved model: {error} is missing", source=root) from None
    except (OSError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"not a readable saved model: {error}", source=root) from None


def _restore(root: Path, config: dict[str, Any], relevance: Any) -> "TwoTowerClickModel":
    from ltr_twotower.model import TwoTowerClickModel

    train = None
    if config["train"] is not None:
        from ltr_twotower.train import TrainConfig

        options: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in config["train"].items()
        }
        train = TrainConfig(**options)
    model = TwoTowerClickModel(
        relevance=relevance,
        bias=config["bias"] if isinstance(config["bias"], str) else np.array(config["bias"]),
        combine=config["combine"],
        l2=config["l2"],
        relevance_l2=config["relevance_l2"],
        sample_weight=None if config["sample_weight"] is None else PlacementPropensity(**config["sample_weight"]),
        solver=config["solver"],
        bias_reduction=config["bias_reduction"],
        on_unidentified=config["on_unidentified"],
        random_state=config["random_state"],
        train=train,
    )
    n_ranks = config["n_ranks"]
    for name in _PER_RANK:
        setattr(model, name, _array(config, name.rstrip("_"), (n_ranks,)))
    model.labels_ = _array(config, "labels", (n_ranks,)).astype(np.int32)
    model.covariance_ = _array(config, "covariance", (n_ranks, n_ranks))
    model.intercept_, model.converged_ = config["intercept"], config["converged"]
    if config["log_scale"] is not None:
        model.log_scale_ = config["log_scale"]
    model.coef_ = None if config["coef"] is None else np.array(config["coef"], dtype=np.float64)
    model.cells_, model.gamma_ = _restore_pairs(root, model.labels_, n_ranks)
    model.weights_ = None if config["weights"] is None else WeightSummary(**config["weights"])
    # A model saved before names were kept takes features as they come.
    names = config.get("feature_names")
    model.feature_names_ = None if names is None else tuple(names)
    model.X_ = None
    return model


def _array(config: dict[str, Any], name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    array = np.array(config[name], dtype=np.float64)
    if array.shape != shape:
        raise DataError("not a readable saved model", column=name, found=array.shape, expected=f"shape {shape}")
    return array


def _restore_pairs(root: Path, labels: Any, n_ranks: int) -> tuple[Cells, Any]:
    """The pairs as cells with no counts, one cell each at the first rank of its group, so that groups are known."""
    import pandas as pd
    import pyarrow as pa

    try:
        table = pd.read_parquet(root / "relevance.parquet")
    except pa.ArrowException as error:
        raise DataError(f"not a readable saved model: {error}", source=root / "relevance.parquet") from None
    query, query_ids = pd.factorize(table["query_id"], sort=True)
    doc, doc_ids = pd.factorize(table["doc_id"], sort=True)
    first = np.array([np.flatnonzero(labels == group)[0] for group in range(int(labels.max()) + 1)])
    zeros = np.zeros(len(table))
    ids = [
        np.asarray(values) if np.asarray(values).dtype.kind in "iub" else np.asarray(values, dtype=object)
        for values in (query_ids, doc_ids)
    ]
    cells = Cells(
        pair=np.arange(len(table), dtype=np.int32),
        rank=first[table["group"].to_numpy()].astype(np.int32),
        n=zeros,
        clicks=zeros,
        n_squared=zeros,
        clicks_squared=zeros,
        impressions=zeros,
        pair_query=query.astype(np.int32),
        pair_doc=doc.astype(np.int32),
        sessions=np.zeros(len(query_ids)),
        query_ids=ids[0],
        doc_ids=ids[1],
        n_ranks=n_ranks,
    )
    return cells, table["gamma"].to_numpy(dtype=np.float64)


def _restore_module(root: Path, n_features: int, model: "TwoTowerClickModel") -> Any:
    file = root / "relevance.safetensors"
    if not file.exists():
        return None
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from ltr_twotower.towers import linear_tower
    from ltr_twotower.train import TrainConfig, deep_tower

    try:
        state = load_file(file)
    except SafetensorError as error:
        raise DataError(f"not readable weights: {error}", source=file) from None
    module: Any = model.relevance
    if module == "linear":
        module = linear_tower(n_features)
    elif module == "deep":
        module = deep_tower(n_features, model.train or TrainConfig())
    try:
        module.load_state_dict(state)
    except RuntimeError:
        found = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in state.items())
        raise ArgumentError(f"relevance is another module than the saved one, whose weights are: {found}") from None
    return module.eval()
