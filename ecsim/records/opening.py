"""Find and open whatever a name stands for: a run, its replicates, or a sweep."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable
from dataclasses import dataclass
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
    known = [folder.name for folder in _folders(root)]
    fitting = [known_name for known_name in known if known_name.startswith(str(name))]
    if len(fitting) == 1:
        return _open(Path(root) / fitting[0])
    if fitting:
        raise StoreError(f"{str(name)!r} is the beginning of several: {', '.join(fitting)}")
    if Path(name).is_file():
        raise StoreError(
            f"{name} is a file and no result; `ecsim run` makes one of a scenario, `ecsim claims` "
            "of a suite of claims, `ecsim sweep` and `ecsim search` of files for them"
        )
    if (Path(name) / "claims.json").is_file():
        raise StoreError(
            f"{name} has the verdicts of claims; read verdicts.md in it, or name one of the runs "
            f"in {Path(name) / 'runs'}"
        )
    if Path(name).is_dir():
        raise StoreError(f"{name} is no run, replications or sweep: it has none of their manifests")
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {len(known)} in {root}"
    raise StoreError(f"no result {str(name)!r}; {hint}")


def open_run(name: str | Path, root: str | Path = ROOT) -> Run:
    """Open a single run as `open_result` does; raise `StoreError` naming the runs in another."""
    found = open_result(name, root)
    if isinstance(found, Run):
        return found
    many = list(found.runs.values()) if isinstance(found, Sweep) else found.runs
    such_as = f"; name one of its runs, such as {many[0].path}" if many else ""
    raise StoreError(f"expected a single run, got the {kind_of(found)} {found.path}{such_as}")


def kind_of(result: Result) -> str:
    """Give run, replications, sweep or search."""
    if isinstance(result, Sweep):
        return "search" if result.manifest.get("section") == "search" else "sweep"
    return "run" if isinstance(result, Run) else "replications"


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One line of a listing.

    Attributes
    ----------
    kind : run, replications, sweep or search.
    n, n_done, n_failed : runs that it should have, has, and lacks because they failed.
    varies : labels of the strategies, or the swept keys.
    finished : UTC; empty for a sweep, which may always go on.
    n_tasks : rows of tasks; None but for a single run.
    """

    name: str
    path: Path
    kind: str
    n: int
    n_done: int
    n_failed: int
    varies: tuple[str, ...]
    finished: str = ""
    n_tasks: int | None = None


def list_results(root: str | Path = ROOT) -> list[ResultRow]:
    """Give what can be opened in a folder, sorted by name; what is not whole is not there."""
    rows = []
    for folder in _folders(root):
        with contextlib.suppress(StoreError):
            rows.append(_row(folder, _open(folder)))
    return rows


def _row(folder: Path, found: Result) -> ResultRow:
    kind = kind_of(found)
    if isinstance(found, Sweep):  # counts files: a sweep may have a hundred thousand cells
        done = {path.parent.name for path in folder.glob("cells/*/manifest.json")}
        failed = {path.stem for path in folder.glob("failures/*.json")} - done
        planned = found.planned.keys()
        n, n_done, n_failed = len(planned), len(planned & done), len(planned & failed)
        return ResultRow(folder.name, folder, kind, n, n_done, n_failed, found.keys)
    runs = [found] if isinstance(found, Run) else found.runs
    return ResultRow(
        folder.name, folder, kind, len(runs), len(runs), 0, tuple(runs[0].summary),
        max(run.manifest["finished"] for run in runs),
        sum(of["n"] for of in found.summary.values()) if isinstance(found, Run) else None,
    )  # fmt: skip


def _folders(root: str | Path) -> list[Path]:
    return [
        folder
        for folder in sorted(Path(root).glob("*"))
        if not folder.name.startswith(".") and any((folder / file).is_file() for file in _OPENERS)
    ]


def _open(folder: Path) -> Result:
    opener = next(opener for file, opener in _OPENERS.items() if (folder / file).is_file())
    found: Result = opener(folder)
    return found
