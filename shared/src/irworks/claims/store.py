"""The folder of a run: a folder per claim, and the summaries; every file whole or absent."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from irworks.claims.results import RECORD_FIELDS, ClaimResult, Results
from irworks.errors import ArgumentError, IrworksError
from irworks.report.tables import Table
from irworks.runtime import atomic_write, remove_leftovers, run_dir

__all__ = ["Store"]

_FORMAT = 1
_SUMMARIES = ("index.html", "results.json", "results.parquet")


class Store:
    """Keeps results under `out`.

    `claims/<package>/<id>/` holds `result.json`, `figure.svg`, `table.json`, `log.txt` and the claim's own files in
    `work-<fingerprint>/`. `result.json` is written last and removed first: where it is, the rest is complete.

    Args:
        out: The folder; made if it is absent.

    Raises:
        ArgumentError: `out` cannot be a folder, or holds files of another origin that a run would write over.
    """

    def __init__(self, out: str | Path) -> None:
        self.out = Path(out).absolute()
        strange = [name for name in _SUMMARIES if (self.out / name).exists() and not (self.out / "claims").is_dir()]
        if strange:
            raise ArgumentError(f"{self.out} holds {', '.join(strange)}, but no run of claims; expected another folder")
        self._claims = run_dir(self.out / "claims", clear=False)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process, free of what a killed run left; the lock goes with the process.

        Raises:
            IrworksError: Another run is writing there.
        """
        with (self._claims / ".lock").open("w", encoding="ascii") as handle:
            if not _lock(handle):
                raise IrworksError(f"another run is writing to {self.out}; give this one its own --out")
            # Not before: the temporary file of a run that goes on looks like one that was left.
            remove_leftovers(self._claims)
            remove_leftovers(self.out, recursive=False)
            yield

    def folder(self, package: str, claim_id: str) -> Path:
        """Return the folder of a claim."""
        return self._claims / package / claim_id

    def clear(self, package: str, claim_id: str) -> None:
        """Forget what is known of a claim, its working files included."""
        folder = self.folder(package, claim_id)
        (folder / "result.json").unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def write(self, result: ClaimResult, fingerprint: str) -> None:
        """Store the result of a claim in place of an earlier one."""
        folder = self.folder(result.package, result.id)
        (folder / "result.json").unlink(missing_ok=True)
        _write_or_remove(folder / "figure.svg", result.figure)
        _write_or_remove(folder / "table.json", _to_text(asdict(result.table)) if result.table else None)
        record = {"format": _FORMAT, "fingerprint": fingerprint, **result.to_json()}
        _write_or_remove(folder / "result.json", _to_text(record))

    def read(self, package: str, claim_id: str, fingerprint: str) -> ClaimResult | None:
        """Return the stored result of a claim, None if there is none that was made with this fingerprint."""
        folder = self.folder(package, claim_id)
        try:
            record = json.loads((folder / "result.json").read_text(encoding="utf-8"))
            if (record.pop("format"), record.pop("fingerprint")) != (_FORMAT, fingerprint):
                return None
            result = ClaimResult.from_json(record)
            table = _read(folder / "table.json")
            columns = Table.from_json(json.loads(table)) if table else None
            return replace(result, figure=_read(folder / "figure.svg"), table=columns)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def write_summary(self, results: Results) -> None:
        """Write `results.json`, and `results.parquet` once the run is complete."""
        with atomic_write(self.out / "results.json") as handle:
            handle.write(_to_text(results.to_json()))
        parquet = self.out / "results.parquet"
        if results.pending:
            parquet.unlink(missing_ok=True)
            return
        with atomic_write(parquet, "wb") as handle:
            _write_parquet(results, handle)


def _lock(handle: IO[str]) -> bool:
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        # No locks on this system or file system: better to run without one than not to run.
        return True
    return True


def _to_text(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _write_or_remove(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink(missing_ok=True)
        return
    with atomic_write(path) as handle:
        handle.write(text)


def _write_parquet(results: Results, handle: IO[bytes]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = [{**claim.to_json(), "values": list(claim.values.items())} for claim in results.claims]
    special = {
        "values": pa.map_(pa.string(), pa.float64()),
        "seconds": pa.float64(),
        "seeds": pa.list_(pa.int64()),
    }
    schema = pa.schema([(name, special.get(name, pa.string())) for name in RECORD_FIELDS])
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), handle)
