"""Open whatever a name stands for: a run, its replicates, or a sweep."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecsim.core.errors import StoreError
from ecsim.records.replications import FILE as REPLICATIONS
from ecsim.records.replications import Replications, read_replications
from ecsim.records.store import ROOT, Run
from ecsim.records.sweeps import MANIFEST, Sweep, read_sweep

Result = Run | Replications | Sweep

_OPENERS: dict[str, Callable[[Path], Any]] = {
    "manifest.json": Run.open,
    REPLICATIONS: read_replications,
    MANIFEST: read_sweep,
}


def open_result(name: str | Path, root: str | Path = ROOT) -> Result:
    """Open a result by folder, or by its name or the beginning of its name under `root`.

    Raises `StoreError` naming near names when there is none, or all of them when several fit.
    """
    for folder in (Path(name), Path(root) / name):
        for file in _OPENERS:
            if (folder / file).is_file():
                return _open(folder)
    known = [
        folder.name
        for folder in sorted(Path(root).glob("*"))
        if not folder.name.startswith(".") and any((folder / file).is_file() for file in _OPENERS)
    ]
    fitting = [known_name for known_name in known if known_name.startswith(str(name))]
    if len(fitting) == 1:
        return _open(Path(root) / fitting[0])
    if fitting:
        raise StoreError(f"{str(name)!r} is the beginning of several: {', '.join(fitting)}")
    if Path(name).is_dir():
        raise StoreError(f"{name} is no run, replications or sweep: it has none of their manifests")
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"{root} has {len(known)} results"
    raise StoreError(f"no result {str(name)!r}; {hint}")


def _open(folder: Path) -> Result:
    opener = next(opener for file, opener in _OPENERS.items() if (folder / file).is_file())
    found: Result = opener(folder)
    return found
