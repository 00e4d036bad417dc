"""Whether the plain way of a task is run by compiled code; see ADR 0029.

`_c` has twins in C of a few methods, which are used where the extension was built from
the very sources that lie here. Otherwise, or when ``ECSIM_PURE=1`` is set, the Python methods do
it all; results are the same to the bit.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from pathlib import Path
from typing import Any

SOURCES = (
    "_c/module.c", "_c/slots.h", "_c/heap.h", "_c/operations.h", "_c/flows.h", "_c/loop.h",
    "_c/tasks.h",
    "collab/context.py", "collab/operations.py", "collab/place.py",
    "kernel/channel.py", "kernel/flow.py", "kernel/ledger.py", "kernel/meter.py",
    "kernel/operations.py", "kernel/server.py", "kernel/timers.py", "kernel/topology.py",
    "kernel/travel.py", "kernel/world.py",
    "core/types.py",
    "runtime/arm.py", "runtime/rows.py",
)  # fmt: skip
"""What the twins are twins of, and themselves; a build is good for these texts only."""


def digest(package: Path) -> str:
    """Give a hash of the sources in a folder of the package; empty where one is missing."""
    found = hashlib.sha256()
    for name in SOURCES:
        path = package / name
        if not path.is_file():
            return ""
        found.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return found.hexdigest()


def _load() -> tuple[Any, str]:
    if os.environ.get("ECSIM_PURE", "0") not in ("", "0"):
        return None, "ECSIM_PURE is set"
    try:
        module = importlib.import_module("ecsim._compiled")
    except ImportError:
        return None, "nothing is built"
    if module.sources != digest(Path(__file__).parent):
        return None, "the sources have changed since it was built"
    return module, ""


_module, why_not = _load()
is_used = _module is not None


def bind(*parts: Any) -> None:
    """Let compiled twins stand in for methods of these classes, where they are used."""
    if _module is not None:
        _module.bind(parts)
