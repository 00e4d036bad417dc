"""Queues with an order: classes of priority, preemption, finite buffers, changing speed."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Any

from ecsim.kernel.disciplines import EventEngine
from ecsim.kernel.jobs import Job
from ecsim.kernel.operations import Use

if TYPE_CHECKING:
    from ecsim.kernel.world import World


class Station(EventEngine):
    """`n_servers` units that serve the job of the lowest rank first, and equal ranks as they come.

    With equal ranks and no limit it is a FIFO server, and each task ends when one would say.

    Parameters
    ----------
    preempts : a job that finds all units busy interrupts the one of the highest rank (of equal
        ranks, the latest) if its own is lower; the other goes on later where it stopped.
    """

    __slots__ = ("_held", "_serving", "_waiting", "preempts")

    def __init__(
        self,
        world: World,
        node: str,
        name: str,
        n_servers: int = 1,
        idle_w: float = 0.0,
        can_train: bool = False,
        *,
        preempts: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(world, node, name, n_servers, idle_w, can_train, **options)
        self.preempts = preempts
        self._serving: list[tuple[float, int, Job]] = []  # a heap by end
        self._waiting: list[tuple[int, int, Job]] = []  # a heap by rank, then order of coming
        self._held: list[Job] = []

    def _next_s(self) -> float:
        return self._serving[0][0] if self._serving else inf

    def _happen(self, t: float, finished: list[Use]) -> None:
        job = heappop(self._serving)[2]
        self._settle(job, job.left_s * self._pace, 1.0)
        self._finish(job, t, finished)
        self._start(t)

    def _accept(self, job: Job, t: float) -> None:
        if not self._is_shut:
            if len(self._serving) < self.n_servers:
                self._begin(job, t)
                return
            if self.preempts:
                last = max(self._serving, key=lambda entry: (entry[2].rank, entry[2].serial))
                if last[2].rank > job.rank:
                    self._serving.remove(last)
                    heapify(self._serving)
                    self._interrupt(last[2], t)
                    heappush(self._waiting, (last[2].rank, last[2].serial, last[2]))
                    self._begin(job, t)
                    return
        heappush(self._waiting, (job.rank, job.serial, job))

    def _start(self, t: float) -> None:
        while self._waiting and not self._is_shut and len(self._serving) < self.n_servers:
            self._begin(heappop(self._waiting)[2], t)

    def _begin(self, job: Job, t: float) -> None:
        self._account(job, t - job.since_s, 0.0, 0.0)
        job.since_s = t
        heappush(self._serving, (t + job.left_s * self._pace, job.serial, job))

    def _settle(self, job: Job, service_s: float, share: float) -> None:
        """Charge a share of what is left of a job, which took so long."""
        joules = job.left_j * share
        self._charge(job, 0.0, service_s, joules * self._burn)
        job.left_s -= job.left_s * share
        job.left_j -= joules

    def _interrupt(self, job: Job, t: float) -> None:
        """Charge the service of a job so far; from now on it waits."""
        self._settle(job, *self._passed(job, t))
        job.since_s = t

    def _passed(self, job: Job, t: float) -> tuple[float, float]:
        """Give seconds, and share of what was left, of the present service of a job."""
        whole = job.left_s * self._pace
        passed = min(t - job.since_s, whole)
        return passed, passed / whole if whole else 0.0

    def _stop(self, t: float) -> None:
        self._held = [job for _end, _serial, job in sorted(self._serving, key=lambda e: e[1])]
        self._serving.clear()
        for job in self._held:
            self._interrupt(job, t)

    def _go(self, t: float) -> None:
        held, self._held = self._held, []
        for job in held:
            self._begin(job, t)

    def _remove(self, job: Job, t: float) -> None:
        for index, entry in enumerate(self._serving):
            if entry[2] is job:
                del self._serving[index]
                heapify(self._serving)
                self._interrupt(job, t)
                return
        self._account(job, t - job.since_s, 0.0, 0.0)
        if job in self._held:
            self._held.remove(job)
        else:
            self._waiting.remove((job.rank, job.serial, job))
            heapify(self._waiting)

    def _served(self, t: float) -> list[tuple[Job, float, float]]:
        found = []
        for _end, _serial, job in self._serving:
            seconds, share = self._passed(job, t)
            found.append((job, seconds, job.left_j * share * self._burn))
        return found

    def _present(self) -> list[Job]:
        return [entry[2] for entry in (*self._serving, *self._waiting)] + self._held

    def _drained_s(self) -> float:
        return max((end for end, _serial, _job in self._serving), default=0.0)
