"""Where what can be made again is kept: trained versions, predictions, decoded samples."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in the cache: its key, size in bytes, time of last change (Unix seconds)."""

    key: str
    size_bytes: int
    changed_s: float


def cache_folder() -> Path:
    """Give the folder of the user's cache; `$ECSIM_CACHE` decides when it is set."""
    chosen = os.environ.get("ECSIM_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "ecsim"
