"""What delivers cells to processes: serial, loky on one machine, dask on many.

An engine takes jobs and gives their outcomes as they come, in any order, with at most two jobs per
worker under way. The store is the truth: an engine that dies loses nothing but what was running.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Protocol

from ecsim.core.errors import UserError
from ecsim.experiment.job import Job, Outcome

Work = Callable[[Job], Outcome]
RETRIES = 2


class Engine(Protocol):
    """Runs jobs."""

    def run(self, jobs: Iterable[Job], work: Work) -> Generator[Outcome, None, None]:
        """Give the outcome of each job; closing the iterator ends what is under way.

        A job whose worker dies is tried again; one that does so too often has failed.
        """


def make(
    name: str | None, n_workers: int, retries: int = RETRIES, scheduler: str | None = None
) -> Engine:
    """Give an engine by name: serial, loky or dask.

    Parameters
    ----------
    name : None: dask with a scheduler, else serial for one worker and loky for more.
    n_workers : processes on this machine; a `scheduler` has workers of its own.
    retries : further tries of a job whose worker died, or that failed by chance.
    scheduler : address of a running dask scheduler, such as tcp://10.0.0.1:8786.

    Raises
    ------
    UserError : there is no such engine, or its library is missing.
    """
    if n_workers < 1:
        raise UserError(f"expected at least one worker, got {n_workers}")
    if retries < 0:
        raise UserError(f"expected at least 0 retries, got {retries}")
    if name is None:
        name = "dask" if scheduler is not None else "loky" if n_workers > 1 else "serial"
    if scheduler is not None and name != "dask":
        raise UserError(f"a scheduler needs --engine dask, not {name}")
    if name == "serial":
        from ecsim.experiment.engines.serial import Serial

        return Serial(retries)
    if name == "loky":
        from ecsim.experiment.engines.processes import Processes

        return Processes(n_workers, retries)
    if name == "dask":
        from ecsim.experiment.engines.cluster import Cluster

        return Cluster(n_workers, retries, scheduler)
    raise UserError(f"expected one of the engines serial, loky, dask, got {name!r}")
