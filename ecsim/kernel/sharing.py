"""Egalitarian processor sharing: everybody is served at once, each at a part of the speed.

With n jobs on c units each is served at min(1, c / n) of the speed. The work that any job has been
given since an instant is the same for all, so that a job ends when this *virtual work* reaches a
mark that is known when it comes: one entry on the heap, and O(log n) per arrival and departure.
"""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from math import inf
from typing import Any

from ecsim.kernel.disciplines import EventEngine
from ecsim.kernel.jobs import WHEN_IDLE, Job
from ecsim.kernel.operations import Use


class SharingServer(EventEngine):
    """Serves all jobs at once, none faster than one unit.

    Service is the time on a unit of one's own that a job was given; the rest of its stay is wait.
    Ranks play no part, but what may only fill gaps starts when nobody else is there.
    """

    __slots__ = ("_held", "_marks", "_since_s", "_virtual_s", "_waiting")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._marks: list[tuple[float, int, Job]] = []  # a heap by mark
        self._virtual_s = 0.0
        self._since_s = 0.0
        self._waiting: deque[Job] = deque()
        self._held: list[Job] = []

    def _share(self) -> float:
        return min(1.0, self.n_servers / len(self._marks)) / self._pace

    def _virtual(self, t: float) -> float:
        """Give the virtual work at `t`."""
        if not self._marks:
            return 0.0
        return self._virtual_s + (t - self._since_s) * self._share()

    def _advance(self, t: float) -> None:
        self._virtual_s = self._virtual(t)
        self._since_s = t

    def _next_s(self) -> float:
        if not self._marks:
            return inf
        left = self._marks[0][0] - self._virtual_s
        return self._since_s + left / self._share() if left > 0.0 else self._since_s

    def _happen(self, t: float, finished: list[Use]) -> None:
        self._advance(t)
        mark, _serial, job = heappop(self._marks)
        # the mark, whatever rounding says; the virtual clock starts anew when nobody is left
        self._virtual_s = mark if self._marks else 0.0
        self._settle(job, t, 1.0)
        self._finish(job, t, finished)
        self._start(t)

    def _accept(self, job: Job, t: float) -> None:
        if self._is_shut or (job.rank == WHEN_IDLE and self._marks):
            self._waiting.append(job)
        else:
            self._begin(job, t)

    def _start(self, t: float) -> None:
        if self._is_shut:
            return
        for job in [job for job in self._waiting if job.rank != WHEN_IDLE]:
            self._waiting.remove(job)
            self._begin(job, t)
        if self._waiting and not self._marks:
            self._begin(self._waiting.popleft(), t)

    def _begin(self, job: Job, t: float) -> None:
        self._account(job, t - job.since_s, 0.0, 0.0)
        job.since_s = t
        self._advance(t)
        heappush(self._marks, (self._virtual_s + job.left_s, job.serial, job))

    def _settle(self, job: Job, t: float, share: float) -> None:
        """Charge a share of what is left of a job."""
        service = job.left_s * share * self._pace
        joules = job.left_j * share
        wait = max(0.0, t - job.since_s - service)
        self._charge(job, wait, service, joules * self._burn)
        job.left_s -= job.left_s * share
        job.left_j -= joules
        job.since_s = t

    def _done(self, mark: float, job: Job, t: float) -> float:
        """Give the share of what was left of a job that was served up to `t`."""
        left = min(job.left_s, max(0.0, mark - self._virtual(t)))
        return 1.0 - left / job.left_s if job.left_s else 0.0

    def _stop(self, t: float) -> None:
        self._held = []
        for mark, _serial, job in sorted(self._marks, key=lambda entry: entry[1]):
            self._settle(job, t, self._done(mark, job, t))
            self._held.append(job)
        self._marks.clear()
        self._virtual_s = 0.0

    def _go(self, t: float) -> None:
        held, self._held = self._held, []
        for job in held:
            self._begin(job, t)

    def _remove(self, job: Job, t: float) -> None:
        for index, (mark, _serial, other) in enumerate(self._marks):
            if other is job:
                self._settle(job, t, self._done(mark, job, t))
                self._advance(t)
                del self._marks[index]
                heapify(self._marks)
                if not self._marks:
                    self._virtual_s = 0.0
                return
        self._account(job, t - job.since_s, 0.0, 0.0)
        (self._held if job in self._held else self._waiting).remove(job)

    def _served(self, t: float) -> list[tuple[Job, float, float]]:
        found = []
        for mark, _serial, job in self._marks:
            share = self._done(mark, job, t)
            found.append((job, job.left_s * share * self._pace, job.left_j * share * self._burn))
        return found

    def _present(self) -> list[Job]:
        return [entry[2] for entry in self._marks] + self._held + list(self._waiting)

    def _drained_s(self) -> float:
        # until the n-th last goes, all units are busy; then each job has one for itself
        t, virtual, since = 0.0, self._virtual_s, self._since_s
        n = len(self._marks)
        for mark, _serial, _job in sorted(self._marks):
            t = since + (mark - virtual) * self._pace * max(1.0, n / self.n_servers)
            virtual, since, n = mark, t, n - 1
        return t
