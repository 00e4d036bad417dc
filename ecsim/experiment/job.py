"""One cell, as a worker process runs it: it leaves a whole run or a reason."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ecsim.core.errors import EcsimError, UserError
from ecsim.core.locking import locked
from ecsim.core.registry import load_plugins
from ecsim.runtime.progress import Progress

if TYPE_CHECKING:
    from ecsim.experiment.cells import Cell

_ONE_AT_A_TIME = threading.Lock()  # torch's settings belong to the process
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker must know of a cell.

    Attributes
    ----------
    cell : what is to be run.
    folder : of the runs.
    plugins : Python files to execute before.
    """

    cell: Cell
    folder: Path
    plugins: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The cell's name."""
        return self.cell.name


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a cell ended; its tables stay where they are.

    `mistake` is the error where the user can mend it. `may_pass` says whether another try could
    end otherwise.
    """

    id: str
    seconds: float = 0.0
    error: str = ""
    details: str = field(default="", repr=False)
    mistake: UserError | None = None
    may_pass: bool = False

    @property
    def failed(self) -> bool:
        """Whether there is no run."""
        return bool(self.error)


def work(job: Job, progress: Progress | None = None) -> Outcome:
    """Run a cell unless it is done; never raises but for what ends the process."""
    from ecsim.runtime.run import simulate  # not before Ctrl-C is dealt with: it takes seconds

    start = time.perf_counter()
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        with _ONE_AT_A_TIME, locked(job.folder / f".{job.id}.lock"):
            if job.cell.finished(job.folder) is None:
                _load_plugins(job.plugins)
                simulate(job.cell.load(), out=job.folder, name=job.id, progress=progress)
    except Exception as error:  # of any kind: the other cells go on
        said = str(error) if isinstance(error, EcsimError) else f"{type(error).__name__}: {error}"
        mistake = error if isinstance(error, UserError) else None
        if type(mistake).__module__ != UserError.__module__:
            mistake = None  # a plugin's own kind may not come whole out of a process
        return Outcome(
            job.id,
            time.perf_counter() - start,
            said or type(error).__name__,
            traceback.format_exc(),
            mistake,
            may_pass=not isinstance(error, EcsimError),
        )
    return Outcome(job.id, time.perf_counter() - start)


@cache
def _load_plugins(paths: tuple[str, ...]) -> None:
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
