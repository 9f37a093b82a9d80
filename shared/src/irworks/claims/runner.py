"""Run claims in parallel, keep what they find as they find it, and write the report."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from irworks.claims.claimset import ClaimSet
from irworks.claims.discovery import require_options
from irworks.claims.model import Claim
from irworks.claims.results import ClaimResult, PackageInfo, Results
from irworks.claims.schedule import Estimate, in_starting_order
from irworks.claims.settings import Settings, version_of
from irworks.claims.store import Store
from irworks.claims.worker import Job, run_job
from irworks.errors import ArgumentError, DownloadError, IrworksError, MissingDependencyError
from irworks.runtime import Outcome, cpu_count, environment, map_parallel

__all__ = ["Event", "reproduce"]

Engine = Literal["local", "ray"]
_LOG_TAIL = 40


@dataclass(frozen=True)
class Event:
    """Something that happened in a run.

    Attributes:
        kind: `"reused"` (a stored result stands), `"started"`, `"finished"`, or `"notice"` (a line for the user).
        claim: Which claim; None for a notice.
        result: Of a claim that is reused or finished.
        text: Of a notice.
        seconds_left: To the end of the run; None if unknown.
    """

    kind: Literal["reused", "started", "finished", "notice"]
    claim: Claim | None = None
    result: ClaimResult | None = None
    text: str = ""
    seconds_left: float | None = None


def reproduce(
    sets: Sequence[ClaimSet],
    *,
    out: str | Path,
    settings: Settings | None = None,
    jobs: int | None = None,
    engine: Engine = "local",
    address: str | None = None,
    resume: bool = False,
    broken: Mapping[str, str] | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Results:
    """Run the claims of `sets` and write `results.json`, `results.parquet` and `index.html` under `out`.

    Every finished claim is stored at once and the page written anew, so that a run that is killed can be resumed. A
    claim that raises or takes its process down is part of the results with its error.

    Args:
        sets: Whose claims to run.
        out: The folder for the results.
        settings: Scale, seeds and so on.
        jobs: How many claims to run at once; by default as many as there are processors, on a cluster all.
        engine: `"local"` or `"ray"`, as in `irworks.runtime.map_parallel`.
        address: Of a Ray cluster.
        resume: Keep what was measured under `out` with the same settings and code; claims that failed or lacked their
            data are run again.
        broken: Packages that could not be loaded, for the report.
        on_event: Called in this process with what happens.

    Returns:
        All results, in the order of declaration.

    Raises:
        ArgumentError: There is no claim to run, a setting is wrong, no package takes an option of that name, or `out`
            holds files of another origin.
        MissingDependencyError: jinja2 or ray is not installed.
        IrworksError: Another run writes to `out`.
    """
    if not any(len(claims) for claims in sets):
        raise ArgumentError("there is no claim to run: no package with claims is installed or selected")
    if importlib.util.find_spec("jinja2") is None:
        raise MissingDependencyError("jinja2", "the report page", "irworks[report]")
    settings = settings or Settings()
    require_options(sets, settings.options)
    run = _Run(sets, settings, Store(out), broken or {}, on_event or (lambda event: None))
    with run.store.locked():
        return run.go(jobs=jobs, engine=engine, address=address, resume=resume)


class _Run:
    def __init__(
        self,
        sets: Sequence[ClaimSet],
        settings: Settings,
        store: Store,
        broken: Mapping[str, str],
        emit: Callable[[Event], None],
    ) -> None:
        self.settings, self.store, self.broken, self.emit = settings, store, broken, emit
        self.claims = [claim for claims in sets for claim in claims]
        self.imports = tuple(dict.fromkeys(name for claims in sets if len(claims) for name in claims.imports))
        self.takes = {claims.package: tuple(claims.options) for claims in sets}
        self.packages = tuple(
            PackageInfo(
                s.package, version_of(s.package), s.paper, s.about, settings.package_command(s.package, s.options)
            )
            for s in sets
        )
        self.environment = environment()
        self.results: dict[tuple[str, str], ClaimResult] = {}

    def go(self, *, jobs: int | None, engine: Engine, address: str | None, resume: bool) -> Results:
        waiting = [claim for claim in self.claims if not (resume and self._reuse(claim))]
        for claim in [] if resume else waiting:
            self.store.clear(claim.package, claim.id)
        self.write()
        waiting = [claim for claim in waiting if not self._lacks_data(claim)]
        jobs = min(jobs or (len(waiting) if address else cpu_count()), max(1, len(waiting)))
        waiting = in_starting_order(waiting, jobs)
        estimate = Estimate(waiting, jobs, self.settings.scale)

        def started(index: int) -> None:
            self.emit(Event("started", waiting[index], seconds_left=estimate.seconds_left()))

        def ended(outcome: Outcome[ClaimResult]) -> None:
            claim = waiting[outcome.index]
            estimate.finished(claim.package, claim.id, outcome.seconds)
            self._finish(claim, self._result(claim, outcome), estimate.seconds_left())

        map_parallel(
            run_job,
            [self._job(claim) for claim in waiting],
            jobs=jobs,
            engine=engine,
            address=address,
            threads=self._threads(),
            gpus=1 if self.settings.device.startswith("cuda") else 0,
            imports=self.imports,
            on_start=started,
            on_result=ended,
        )
        return self.summary()

    def _threads(self) -> int | None:
        # One thread a claim: how sums are split among threads shows in their last digits, and the values of a seed
        # should not depend on --jobs. At full scale the speed is worth more.
        return None if self.settings.scale == "full" else 1

    def _reuse(self, claim: Claim) -> bool:
        result = self.store.read(claim.package, claim.id, self.settings.fingerprint(claim))
        if result is None or not result.settled:
            return False
        self.results[claim.package, claim.id] = result
        self.emit(Event("reused", claim, result))
        return True

    def _lacks_data(self, claim: Claim) -> bool:
        """Fetch the data of a claim before its process starts, so that two processes do not fetch the same."""
        if not claim.data:
            return False
        from irworks.data import catalog

        for name in claim.data:
            try:
                catalog.locate(name, offline=self.settings.offline, announce=self._notice)
            except DownloadError as error:
                missing = replace(self._blank(claim), reason=str(error), remedy=f"irworks data get {name}")
                self._finish(claim, missing, None)
                return True
            except IrworksError:
                # A mistake in the claim itself: let it fail as a claim, with a traceback.
                return False
        return False

    def _notice(self, text: str) -> None:
        self.emit(Event("notice", text=text))

    def _blank(self, claim: Claim) -> ClaimResult:
        settings = self.settings
        return ClaimResult.blank(
            claim,
            scale=settings.scale,
            seeds=settings.seeds_of(claim),
            command=settings.command(claim, self.takes[claim.package]),
        )

    def _job(self, claim: Claim) -> Job:
        folder, settings = self.store.folder(claim.package, claim.id), self.settings
        return Job(
            claim,
            self._blank(claim),
            settings.scale,
            settings.seeds_of(claim),
            settings.device,
            settings.offline,
            dict(settings.options),
            log=folder / "log.txt",
            work=folder / f"work-{settings.fingerprint(claim)}",
        )

    def _result(self, claim: Claim, outcome: Outcome[ClaimResult]) -> ClaimResult:
        if outcome.value is not None:
            return outcome.value
        crash = self._crash(claim, outcome.error or "it returned nothing")
        return replace(self._blank(claim).with_error(crash), seconds=outcome.seconds)

    def _crash(self, claim: Claim, error: str) -> str:
        """Put the last words of a process that died before how it died."""
        try:
            log = self.store.folder(claim.package, claim.id) / "log.txt"
            last_words = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_TAIL:]
        except OSError:
            last_words = []
        return "\n".join([*last_words, error])

    def _finish(self, claim: Claim, result: ClaimResult, seconds_left: float | None) -> None:
        self.results[claim.package, claim.id] = result
        self.store.write(result, self.settings.fingerprint(claim))
        self.write()
        self.emit(Event("finished", claim, result, seconds_left=seconds_left))

    def summary(self) -> Results:
        ordered = {(claim.package, claim.id): claim for claim in self.claims}
        return Results(
            claims=tuple(self.results[key] for key in ordered if key in self.results),
            packages=self.packages,
            environment=self.environment,
            scale=self.settings.scale,
            broken=self.broken,
            pending=tuple(claim for key, claim in ordered.items() if key not in self.results),
        )

    def write(self) -> None:
        from irworks.report import write_report

        results = self.summary()
        self.store.write_summary(results)
        write_report(results, self.store.out)
