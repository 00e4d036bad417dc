"""Where what can be made again is kept: trained versions, predictions, decoded samples."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Give the folder of the user's cache; `$ECSIM_CACHE` decides when it is set."""
    chosen = os.environ.get("ECSIM_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "ecsim"
