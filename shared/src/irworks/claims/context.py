"""What a claim is given to run with."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from irworks.claims.model import SCALES, NotRun, Scale
from irworks.errors import ArgumentError, DownloadError
from irworks.runtime import progress

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Context"]

T = TypeVar("T")


@dataclass(frozen=True)
class Context:
    """The circumstances of one run of one claim.

    Attributes:
        scale: `"smoke"` (seconds, for tests), `"small"` (a minute or two a package) or `"full"` (the paper's sizes).
        seeds: The replicates to run.
        run_dir: A folder for checkpoints and other files, kept when a killed run is resumed with the same settings.
        device: What `irworks.runtime.device` takes: `"auto"`, `"cpu"`, `"cuda"`, `"mps"`.
        offline: Whether downloads are forbidden.
        options: What the user passed as `--option name=value`, such as the path of a data set.
        progress: `progress(iterable, description)` passes the items through and shows how far it is.

    Raises:
        ArgumentError: The scale is unknown or there is no seed.
    """

    scale: Scale
    seeds: tuple[int, ...]
    run_dir: Path
    device: str = "auto"
    offline: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    progress: Callable[..., Iterable[Any]] = progress

    def __post_init__(self) -> None:
        """Check the scale and the seeds."""
        if self.scale not in SCALES:
            raise ArgumentError(f"scale must be one of {', '.join(SCALES)}, found {self.scale!r}")
        if not self.seeds:
            raise ArgumentError("a claim needs at least one seed, found none")

    def pick(self, *, smoke: T, small: T, full: T) -> T:
        """Return the argument of this run's scale."""
        return {"smoke": smoke, "small": small, "full": full}[self.scale]

    def rng(self, seed: int) -> "np.random.Generator":
        """Return the generator of one replicate."""
        import numpy as np

        return np.random.default_rng(seed)

    def data(self, name: str) -> Path:
        """Return the folder of a catalogued data set, downloading it if need be and allowed.

        Raises:
            NotRun: It is not here and cannot be downloaded.
            ArgumentError: The catalogue has no such data set.
        """
        from irworks.data import catalog

        try:
            return catalog.locate(name, offline=self.offline)
        except DownloadError as error:
            raise NotRun(str(error), command=f"irworks data get {name}") from error
