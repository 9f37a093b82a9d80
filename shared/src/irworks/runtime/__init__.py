"""What every run needs: whole files, seeds, devices, progress, a record of the environment, parallel work."""

from irworks.runtime.bars import progress
from irworks.runtime.files import atomic_folder, atomic_path, atomic_write, remove_leftovers, run_dir
from irworks.runtime.hardware import cpu_count, device
from irworks.runtime.machine import environment
from irworks.runtime.parallel import Outcome, map_parallel
from irworks.runtime.seeding import seed_everything

__all__ = [
    "Outcome",
    "atomic_folder",
    "atomic_path",
    "atomic_write",
    "cpu_count",
    "device",
    "environment",
    "map_parallel",
    "progress",
    "remove_leftovers",
    "run_dir",
    "seed_everything",
]
