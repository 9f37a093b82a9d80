"""One claim in a process of its own: run, caught, and turned into a result that can travel."""

import contextlib
import faulthandler
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from irworks.claims.claimset import measure
from irworks.claims.context import Context
from irworks.claims.model import Claim, Evidence, NotRun, Scale
from irworks.claims.results import ClaimResult
from irworks.errors import DownloadError, MissingDependencyError
from irworks.report import style, svg
from irworks.runtime import seed_everything
from irworks.runtime.parallel import describe_error

__all__ = ["Job", "run_job"]


@dataclass(frozen=True)
class Job:
    """A claim and the settings to run it with.

    Attributes:
        claim: What to run.
        blank: Its result while there is none.
        scale: As in `Context`.
        seeds: As in `Context`.
        device: As in `Context`.
        offline: As in `Context`.
        options: As in `Context`.
        log: Where what the claim prints goes.
        work: Where the claim keeps its files.
    """

    claim: Claim
    blank: ClaimResult
    scale: Scale
    seeds: tuple[int, ...]
    device: str
    offline: bool
    options: Mapping[str, str]
    log: Path
    work: Path


def run_job(job: Job) -> ClaimResult:
    """Run a claim; what it raises is in the result."""
    folder = _folder(job.work)
    log = job.log if folder == job.work else folder / job.log.name
    context = Context(job.scale, job.seeds, folder, job.device, job.offline, job.options)
    try:
        with _output_to(log):
            return _measured(job, context)
    except NotRun as gap:
        return replace(job.blank, reason=gap.reason, remedy=gap.command)
    except MissingDependencyError as gap:
        return replace(job.blank, reason=str(gap), remedy=f"pip install '{gap.install}'")
    except DownloadError as gap:
        return replace(job.blank, reason=str(gap))
    except Exception as error:
        return job.blank.with_error(describe_error(error))
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _folder(work: Path) -> Path:
    """Make the claim's folder; a cluster's machine that does not see the run's disk gets a temporary one."""
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="irworks-"))
    return work


def _measured(job: Job, context: Context) -> ClaimResult:
    # Claims draw from generators; this is for libraries below them that read a global state.
    seed_everything(context.seeds[0])
    with _figure_style():
        started = time.perf_counter()
        evidence = measure(job.claim, context)
        seconds = time.perf_counter() - started
        figure = _to_svg(evidence, f"{job.claim.package}-{job.claim.id}")
        return replace(job.blank.with_evidence(evidence, figure), seconds=seconds)


def _figure_style() -> AbstractContextManager[None]:
    """Give figures the house style; a claim that draws none does not pay for importing matplotlib."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.environ["MATPLOTLIBRC"] = str(style.STYLE_FILE)
    if "matplotlib" not in sys.modules:
        return nullcontext()
    return style.context({"backend": os.environ["MPLBACKEND"]})


def _to_svg(evidence: Evidence, prefix: str) -> str | None:
    if evidence.figure is None:
        return None
    if isinstance(evidence.figure, str):
        return svg.clean(evidence.figure, prefix)
    return svg.figure_to_svg(evidence.figure, prefix)


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send what the claim, its libraries and a crash write to the standard streams into a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(descriptor) for descriptor in (1, 2)]
    with log.open("w", encoding="utf-8") as handle:
        for descriptor in (1, 2):
            os.dup2(handle.fileno(), descriptor)
        # Given by number: the standard error of a Ray worker or of pytest is not the process's own.
        faulthandler.enable(2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, original in zip((1, 2), saved, strict=True):
                os.dup2(original, descriptor)
                os.close(original)
            if log.stat().st_size == 0:
                log.unlink()
