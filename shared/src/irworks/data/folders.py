"""Where irworks keeps what it can make or fetch again."""

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """`IRWORKS_CACHE`, else the platform's cache folder for irworks; it may not exist yet."""
    chosen = os.environ.get("IRWORKS_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("irworks"))
