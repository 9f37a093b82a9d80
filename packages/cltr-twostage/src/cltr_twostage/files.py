"""Policies as folders of plain files that other programs can read; no pickle.

A two-stage policy is `config.json` (`n_candidates`, `k`) and `scores.parquet` (`query_id, doc_id, score_c, score_r`, in
the order of the pool's rows). A mixture is `config.json`, `weights.parquet` (`query_id, weight_0, weight_1, ...`) and a
folder `policy_0`, `policy_1`, ... for each of its policies.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.scores import ScoreTable
from irworks.errors import ArgumentError, DataError
from irworks.runtime import atomic_folder
from irworks.runtime.outputs import require_replaceable

if TYPE_CHECKING:
    import pandas as pd

    from cltr_twostage.mixture import MixturePolicy
    from cltr_twostage.policy import TwoStagePolicy

    P = TypeVar("P", TwoStagePolicy, MixturePolicy)

__all__ = ["load_policy", "load_policy_of", "read_config", "save_policy"]

FORMAT = 1
PACKAGE = "cltr-twostage"
TWO_STAGE, MIXTURE = "two-stage policy", "mixture policy"
CONFIG, SCORES, WEIGHTS = "config.json", "scores.parquet", "weights.parquet"
PLAIN, JSON = "plain", "json"
# What a configuration holds besides its format, by the kind of policy.
KINDS: dict[str, dict[str, type]] = {
    TWO_STAGE: {"n_candidates": int, "k": int, "query_ids": str, "doc_ids": str, "n_queries": int, "n_rows": int},
    MIXTURE: {"n_policies": int, "k": int, "query_ids": str},
}


def save_policy(policy: "TwoStagePolicy | MixturePolicy", folder: str | Path) -> None:
    """Write a policy; the folder appears whole or not at all, and may take the place of a saved policy.

    Scores are written, not what computed them: of a stage that is a function or a torch module, what it gave.

    Args:
        policy: The policy.
        folder: Where to. Ids of any type are kept: integers, text, other numbers, and mixtures of them.

    Raises:
        DataError: `folder` exists and holds something else.
        ArgumentError: An id is of a type that plain files do not hold.
    """
    target = Path(folder)
    require_replaceable(target, "a saved policy", header=CONFIG, is_ours=_is_ours)
    with atomic_folder(target) as scratch:
        _write(policy, scratch)


def load_policy(folder: str | Path) -> "TwoStagePolicy | MixturePolicy":
    """Read a policy that `save_policy` wrote, of either kind.

    Raises:
        DataError: The folder is not a saved policy of this format, or a file of it is damaged: which.
    """
    root = Path(folder)
    config = _read_config(root)
    return _read_mixture(root, config) if config["kind"] == MIXTURE else _read_two_stage(root, config)


def load_policy_of(folder: str | Path, kind: "type[P]", what: str) -> "P":
    """Read a policy of one kind.

    Raises:
        DataError: As `load_policy`; or the policy is of the other kind.
    """
    policy = load_policy(folder)
    if not isinstance(policy, kind):
        raise DataError(f"not a {what}", source=folder, found=type(policy).__name__)
    return policy


def read_config(root: Path, what: str, is_ours: Callable[[dict[str, Any]], bool], expected: str) -> dict[str, Any]:
    """The configuration of something saved.

    Args:
        root: Its folder.
        what: What it should be, in words.
        is_ours: Whether a configuration is that of such a thing.
        expected: The kinds of it, in words.

    Raises:
        DataError: It is missing, not readable, of something else, or of another format.
    """
    file = root / CONFIG
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"not {what}", source=root, expected=f"a folder with a {CONFIG}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"not readable: {error}", source=file) from None
    if not isinstance(config, dict) or not is_ours(config):
        raise DataError(f"not the configuration of {what}", source=file, expected=expected)
    if config.get("format") != FORMAT:
        raise DataError(
            "another format than this version reads",
            source=file,
            column="format",
            found=config.get("format"),
            expected=str(FORMAT),
            hint="Read it with the version of the package that wrote it",
        )
    return config


# -- writing ----------------------------------------------------------------------------------------------------------


def _is_ours(config: dict[str, Any]) -> bool:
    return config.get("package") == PACKAGE and config.get("kind") in KINDS


def _write(policy: "TwoStagePolicy | MixturePolicy", folder: Path) -> None:
    from cltr_twostage.mixture import MixturePolicy

    pool = policy.pool
    query_ids, query_type = _storable("query_ids", pool.query_ids)
    config: dict[str, Any] = {"format": FORMAT, "package": PACKAGE, "query_ids": query_type, "k": policy.k}
    if isinstance(policy, MixturePolicy):
        weights = {f"weight_{number}": row for number, row in enumerate(policy.weights)}
        _write_table({"query_id": query_ids} | weights, folder / WEIGHTS)
        config |= {"kind": MIXTURE, "n_policies": len(policy.policies)}
        for number, part in enumerate(policy.policies):
            (folder / _part_name(number)).mkdir()
            _write(part, folder / _part_name(number))
    else:
        doc_ids, doc_type = _storable("doc_ids", pool.doc_ids)
        columns = {"query_id": query_ids[pool.owner()], "doc_id": doc_ids}
        _write_table(columns | {"score_c": policy.candidate_scores, "score_r": policy.ranker_scores}, folder / SCORES)
        config |= {"kind": TWO_STAGE, "n_candidates": policy.n_candidates, "doc_ids": doc_type}
        config |= {"n_queries": pool.n_queries, "n_rows": pool.n_rows}
    (folder / CONFIG).write_text(json.dumps(config, indent=1), encoding="utf-8")


def _part_name(number: int) -> str:
    return f"policy_{number}"


def _write_table(columns: dict[str, NDArray[Any]], file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({name: pa.array(column) for name, column in columns.items()}), file, compression="zstd")


def _storable(name: str, ids: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """Ids in a type that a column of a table can have, and which: as they are, or each as JSON."""
    if ids.dtype.kind in "iuUfbSM":
        return ids, PLAIN
    values = [value.item() if isinstance(value, np.generic) else value for value in ids]
    kinds = {type(value) for value in values}
    if kinds == {str}:
        return np.array(values, dtype=object), PLAIN
    if kinds <= {str, int, float, bool}:
        # A column has one type: it would turn integers beside fractions into fractions, and refuse text beside numbers.
        return np.array([json.dumps(value) for value in values], dtype=object), JSON
    odd = next(value for value in values if type(value) not in (str, int, float, bool))
    raise ArgumentError(f"{name} holds {odd!r} of {type(odd)}, which cannot be saved; expected numbers or text")


# -- reading ----------------------------------------------------------------------------------------------------------


def _read_config(root: Path) -> dict[str, Any]:
    file, config = root / CONFIG, read_config(root, "a saved policy", _is_ours, " or ".join(KINDS))
    for name, kind in KINDS[config["kind"]].items():
        value = config.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise DataError("a field is missing or damaged", source=file, column=name, found=value)
    return config


def _read_two_stage(root: Path, config: dict[str, Any]) -> "TwoStagePolicy":
    from cltr_twostage.policy import TwoStagePolicy

    file = root / SCORES
    frame = _read_table(file, ["query_id", "doc_id", "score_c", "score_r"])
    for column, kind in (("query_id", config["query_ids"]), ("doc_id", config["doc_ids"])):
        frame[column] = _restored(frame, column, kind, file)
    table = ScoreTable.from_frame(frame, source=str(file))
    found = (table.pool.n_queries, table.pool.n_rows)
    expected = (config["n_queries"], config["n_rows"])
    if found != expected:
        raise DataError(
            "rows are missing or added",
            source=file,
            found=f"{found[0]} queries and {found[1]} rows",
            expected=f"{expected[0]} queries and {expected[1]} rows, as {CONFIG} says",
        )
    try:
        return TwoStagePolicy.from_scores(table, config["n_candidates"], config["k"])
    except ArgumentError as error:
        raise DataError(f"damaged: {error}", source=root) from None


def _read_mixture(root: Path, config: dict[str, Any]) -> "MixturePolicy":
    from cltr_twostage.mixture import MixturePolicy
    from irworks.data.columns import Place, numbers

    numbers_of_parts = range(config["n_policies"])
    parts = [_read_part(root / _part_name(number)) for number in numbers_of_parts]
    file = root / WEIGHTS
    names = [f"weight_{number}" for number in numbers_of_parts]
    frame = _read_table(file, ["query_id", *names])
    ids = _restored(frame, "query_id", config["query_ids"], file)
    if parts and not np.array_equal(np.asarray(ids), parts[0].pool.query_ids):
        raise DataError(
            "the queries are not those of the policies", source=file, column="query_id", expected="those of policy_0"
        )
    weights = [numbers(frame, name, Place(str(file)), "a weight") for name in names]
    try:
        return MixturePolicy(parts, np.array(weights))
    except ArgumentError as error:
        raise DataError(f"damaged: {error}", source=root) from None


def _read_part(root: Path) -> "TwoStagePolicy":
    config = _read_config(root)
    if config["kind"] != TWO_STAGE:
        raise DataError("not a two-stage policy", source=root, found=config["kind"], expected=TWO_STAGE)
    return _read_two_stage(root, config)


def _read_table(file: Path, columns: list[str]) -> "pd.DataFrame":
    from irworks.data.columns import check_present
    from irworks.data.tables import read_parquet

    try:
        frame = read_parquet(file)
    except DataError as error:
        # With the folder, as every policy has files of these names.
        raise DataError(error.problem, source=file, hint=error.hint) from None
    check_present(columns, [str(name) for name in frame.columns], str(file))
    return frame


def _restored(frame: "pd.DataFrame", column: str, kind: str, file: Path) -> Any:
    """The ids of a column as they were saved."""
    if kind == PLAIN:
        return frame[column].to_numpy()
    try:
        return np.array([json.loads(value) for value in frame[column]], dtype=object)
    except (ValueError, TypeError) as error:
        raise DataError(f"ids are damaged: {error}", source=file, column=column) from None
