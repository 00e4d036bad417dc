"""Worker processes on this machine that may die without harm to other cells.

When a worker dies, loky gives up the whole pool and does not say whose fault it was. The jobs that
were under way then are suspects: each is run again with nothing beside it, so that a further death
has one cause, against whose retries it counts.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import chain, islice
from typing import Any

from loky import BrokenProcessPool, ProcessPoolExecutor

from ecsim.experiment.engines import Work
from ecsim.experiment.job import THREADS, Job, Outcome, prepare_worker


class Processes:
    """Runs jobs in `n_workers` processes that stay warm from one cell to the next.

    Parameters
    ----------
    retries : further tries of a job whose worker died, or that failed by chance.
    """

    def __init__(self, n_workers: int, retries: int = 2):
        self._n_workers = n_workers
        self._retries = retries
        self._pool: Any = None

    def run(self, jobs: Iterable[Job], work: Work) -> Generator[Outcome, None, None]:
        """Give outcomes as they come; at most two jobs per worker are under way."""
        again: deque[Job] = deque()
        tries: Counter[str] = Counter()
        new = iter(jobs)
        try:
            while True:
                suspects = []
                for job, outcome in self._together(chain(_drained(again), new), work):
                    if outcome is None:
                        suspects.append(job)
                    elif outcome.may_pass and tries[job.id] < self._retries:
                        tries[job.id] += 1
                        again.append(job)
                    else:
                        yield outcome
                for job in suspects:
                    yield self._alone(job, work)
                if not (suspects or again):
                    return
        finally:
            self._close()

    def _together(self, jobs: Iterator[Job], work: Work) -> Iterator[tuple[Job, Outcome | None]]:
        """Run jobs side by side until there are none or a worker dies: those then have no outcome.

        Jobs that were not begun stay in the iterator.
        """
        under_way: dict[Future[Outcome], Job] = {}
        is_whole = True
        while is_whole:
            for job in islice(jobs, 2 * self._n_workers - len(under_way)):
                under_way[self._submit(work, job)] = job
            if not under_way:
                return
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                if isinstance(future.exception(), BrokenProcessPool):
                    is_whole = False
                else:
                    yield under_way.pop(future), future.result()
        self._close()
        for job in under_way.values():
            yield job, None

    def _alone(self, job: Job, work: Work) -> Outcome:
        """Run a job with nothing beside it until it ends or has been tried too often."""
        for _ in range(self._retries + 1):
            try:
                outcome: Outcome = self._submit(work, job).result()
            except BrokenProcessPool as error:
                self._close()
                outcome = Outcome(job.id, error=f"its worker process died: {_first_line(error)}")
            else:
                if not outcome.may_pass:
                    return outcome
        return outcome

    def _submit(self, work: Work, job: Job) -> Future[Outcome]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                max_workers=self._n_workers,
                env=dict.fromkeys(THREADS, "1"),
                initializer=prepare_worker,
                initargs=(os.getpid(),),
            )
        try:
            submitted: Future[Outcome] = self._pool.submit(work, job)
        except BrokenProcessPool as error:  # it broke while nobody waited
            submitted = Future()
            submitted.set_exception(error)
        return submitted

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)
            self._pool = None


def _drained(jobs: deque[Job]) -> Iterator[Job]:
    while jobs:
        yield jobs.popleft()


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
