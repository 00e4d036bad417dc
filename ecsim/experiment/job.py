"""One cell of a sweep, as a worker process runs it: it leaves a whole run or a reason."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from ecsim.core.errors import EcsimError, StoreError
from ecsim.core.locking import locked
from ecsim.records.store import Run

_ONE_AT_A_TIME = threading.Lock()  # torch's settings belong to the process
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker must know of a cell; plain data.

    Attributes
    ----------
    id : the cell.
    file : the sweep's file.
    section : "sweep" or "search".
    overrides : values of the command line.
    values : values of the cell, by key.
    plugins : Python files to execute before.
    cells : folder of the cells' runs.
    """

    id: str
    file: str
    section: Literal["sweep", "search"]
    overrides: dict[str, Any]
    values: dict[str, Any]
    plugins: tuple[str, ...]
    cells: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a cell ended; its tables stay where they are.

    `may_pass` says whether another try could end otherwise: not after a mistake of the user's.
    """

    id: str
    seconds: float = 0.0
    error: str = ""
    details: str = field(default="", repr=False)
    may_pass: bool = False

    @property
    def failed(self) -> bool:
        """Whether there is no run."""
        return bool(self.error)


def is_done(cells: str | Path, cell: str) -> bool:
    """Whether a whole run of the cell is in the store."""
    try:
        Run.open(Path(cells) / cell)
    except StoreError:
        return False
    return True


def work(job: Job) -> Outcome:
    """Run a cell unless it is done; never raises but for what ends the process."""
    start = time.perf_counter()
    folder = Path(job.cells)
    try:
        with _ONE_AT_A_TIME, locked(folder / f".{job.id}.lock"):
            if not is_done(folder, job.id):
                _run(job)
    except Exception as error:  # of any kind: the other cells go on
        said = str(error) if isinstance(error, EcsimError) else f"{type(error).__name__}: {error}"
        return Outcome(
            job.id,
            time.perf_counter() - start,
            said or type(error).__name__,
            traceback.format_exc(),
            may_pass=not isinstance(error, EcsimError),
        )
    return Outcome(job.id, time.perf_counter() - start)


def _run(job: Job) -> None:
    from ecsim.runtime.run import identity, simulate

    _load_plugins(job.plugins)
    study = _study(job.file, Path(job.file).stat().st_mtime_ns, tuple(job.overrides.items()))
    section = study.sweep if job.section == "sweep" else study.search
    if section is None:
        raise StoreError(f"{job.file} has no {job.section} any more")
    loaded = study.load(section, job.values)
    if not identity(loaded)[1].startswith(job.id):
        raise StoreError(f"{job.file}, or a file or plugin that it names, has changed meanwhile")
    simulate(loaded, out=job.cells, name=job.id)


@cache
def _study(file: str, changed: int, overrides: tuple[tuple[str, Any], ...]) -> Any:
    from ecsim.experiment.plan import Study

    return Study.read(file, dict(overrides))


@cache
def _load_plugins(paths: Iterable[str]) -> None:
    from ecsim.core.registry import load_plugins

    load_plugins(paths)


def prepare_worker(parent: int) -> None:
    """Set a worker process up: one thread, deaf to Ctrl-C, dead when its driver is.

    Parameters
    ----------
    parent : process id of the driver.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver ends it
    for name in THREADS:
        os.environ[name] = "1"
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)  # nobody would hear of what it does
