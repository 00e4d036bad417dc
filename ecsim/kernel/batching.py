"""An accelerator that serves requests in batches: a larger batch takes longer, but less per item.

A free unit takes a batch when `max_size` requests wait, or when the first of them has waited for
`timeout_s`; a unit that becomes free later takes what waits then. A batch holds requests of one
kind, in the order in which they came: other tenants' jobs and steps of trainings are served too,
the latter one at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from math import inf, isfinite
from typing import Any

import numpy as np

from ecsim.kernel.disciplines import EventEngine
from ecsim.kernel.jobs import WHEN_IDLE, Job
from ecsim.kernel.meter import TRAINING
from ecsim.kernel.operations import Use

Curve = Callable[[int], float]


def curve(points: Sequence[tuple[float, float]]) -> Curve:
    """Give a batch's cost in multiples of that of one item, linear between points.

    Beyond the last point it goes on in the direction of the last two.

    >>> double = curve([(1, 1.0), (5, 2.0)])
    >>> double(1), double(3), double(9)
    (1.0, 1.5, 3.0)

    Parameters
    ----------
    points : (batch size, factor), from (1, 1) on, with sizes that increase and factors that do not
        decrease. (1, 1) alone: every batch costs what one item does.

    Raises
    ------
    ValueError
        When the points are not so.
    """
    sizes = np.array([size for size, _ in points], dtype=float)
    factors = np.array([factor for _, factor in points], dtype=float)
    if len(points) == 0 or sizes[0] != 1 or factors[0] != 1 or not np.isfinite(factors).all():
        raise ValueError(f"expected points of a curve from (1, 1) on, got {list(points)}")
    if (np.diff(sizes) <= 0).any() or (np.diff(factors) < 0).any():
        raise ValueError(f"expected a curve that increases, got {list(points)}")
    slope = 0.0
    if len(points) > 1:
        slope = float((factors[-1] - factors[-2]) / (sizes[-1] - sizes[-2]))

    def factor(size: int) -> float:
        if size >= sizes[-1]:
            return float(factors[-1] + (size - sizes[-1]) * slope)
        return float(np.interp(size, sizes, factors))

    return factor


class Batch:
    """Jobs that are served together; `left_s` is what is left of the batch at normal speed."""

    __slots__ = ("jobs", "left_s", "serial", "since_s")

    def __init__(self, jobs: list[Job], left_s: float):
        self.jobs = jobs
        self.left_s = left_s
        self.serial = jobs[0].serial
        self.since_s = 0.0


class Batcher(EventEngine):
    """`n_servers` units that serve batches.

    A batch of n takes the longest service time among its items times ``latency(n)``; the energy of
    its items is their mean times ``energy(n)``, in equal parts. Each item's service is that of the
    whole batch; the meter counts it once.

    Parameters
    ----------
    max_size : items of the largest batch, >= 1.
    timeout_s : how long the first item of a batch that is not full waits at most, >= 0.
    latency, energy : cost of a batch in multiples of that of one item, as `curve` gives it.
        `energy` None: as `latency`, i.e. constant power.
    """

    __slots__ = (
        "_held", "_per_request", "_queue", "_serving", "energy", "latency", "max_size", "timeout_s",
    )  # fmt: skip

    def __init__(
        self,
        *args: Any,
        max_size: int,
        timeout_s: float = 0.0,
        latency: Curve,
        energy: Curve | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        if max_size < 1 or not (timeout_s >= 0.0 and isfinite(timeout_s)):
            raise ValueError(
                f"expected batches of at least 1 and a time-out >= 0, got {max_size}, {timeout_s}"
            )
        self.max_size = max_size
        self.timeout_s = timeout_s
        self.latency = latency
        self.energy = energy or latency
        self._per_request = latency(max_size) / max_size
        self._queue: deque[Job] = deque()
        self._serving: list[tuple[float, int, Batch]] = []  # a heap by end
        self._held: list[Batch] = []

    def _next_s(self) -> float:
        end = self._serving[0][0] if self._serving else inf
        if self._queue and not self._is_shut and len(self._serving) < self.n_servers:
            return min(end, self._queue[0].since_s + self.timeout_s)
        return end

    def _happen(self, t: float, finished: list[Use]) -> None:
        if self._serving and self._serving[0][0] == t:
            batch = heappop(self._serving)[2]
            self._settle(batch, t, 1.0)
            for job in batch.jobs:
                self._finish(job, t, finished)
        self._start(t)

    def _accept(self, job: Job, t: float) -> None:
        if job.rank == WHEN_IDLE or not any(other.rank == WHEN_IDLE for other in self._queue):
            self._queue.append(job)
        else:  # before those that only fill gaps
            self._queue.insert(len(self._queue) - self._n_idle(), job)
        self._start(t)

    def _n_idle(self) -> int:
        return sum(job.rank == WHEN_IDLE for job in self._queue)

    def _start(self, t: float) -> None:
        queue = self._queue
        while queue and not self._is_shut and len(self._serving) < self.n_servers:
            head = queue[0]
            largest = 1 if head.state == TRAINING else self.max_size
            jobs = [job for job in queue if job.state == head.state][:largest]
            is_due = head.state == TRAINING or t >= head.since_s + self.timeout_s
            if len(jobs) < largest and not is_due:
                return
            for job in jobs:
                queue.remove(job)
            self._begin_batch(jobs, t)

    def _begin_batch(self, jobs: list[Job], t: float) -> None:
        n = len(jobs)
        for job in jobs:
            self._account(job, t - job.since_s, 0.0, 0.0)
            job.left_j *= self.energy(n) / n
        self._begin(Batch(jobs, max(job.left_s for job in jobs) * self.latency(n)), t)

    def _begin(self, batch: Batch, t: float) -> None:
        batch.since_s = t
        heappush(self._serving, (t + batch.left_s * self._pace, batch.serial, batch))

    def _settle(self, batch: Batch, t: float, share: float) -> None:
        """Charge a share of what is left of a batch to its items."""
        service = batch.left_s * share * self._pace
        self._meter(batch.jobs[0].state, service, 0.0)
        for job in batch.jobs:
            joules = job.left_j * share
            job.left_j -= joules
            self._meter(job.state, 0.0, joules * self._burn)
            self._account(job, 0.0, service, joules * self._burn)
        batch.left_s -= batch.left_s * share
        batch.since_s = t

    def _share(self, batch: Batch, t: float) -> float:
        """Give the share of what was left of a batch that was served up to `t`."""
        whole = batch.left_s * self._pace
        return min(1.0, (t - batch.since_s) / whole) if whole else 0.0

    def _stop(self, t: float) -> None:
        self._held = [batch for _end, _serial, batch in sorted(self._serving, key=lambda e: e[1])]
        self._serving.clear()
        for batch in self._held:
            self._settle(batch, t, self._share(batch, t))

    def _go(self, t: float) -> None:
        held, self._held = self._held, []
        for batch in held:
            for job in batch.jobs:  # what it stood still
                self._account(job, t - batch.since_s, 0.0, 0.0)
            self._begin(batch, t)

    def _remove(self, job: Job, t: float) -> None:
        """Take a job out; a batch that has begun goes on without it, for as long as before."""
        for index, (_end, _serial, batch) in enumerate(self._serving):
            if job in batch.jobs:
                del self._serving[index]
                heapify(self._serving)
                self._settle(batch, t, self._share(batch, t))
                batch.jobs.remove(job)
                if batch.jobs:
                    self._begin(batch, t)
                return
        for batch in self._held:
            if job in batch.jobs:
                self._account(job, t - batch.since_s, 0.0, 0.0)
                batch.jobs.remove(job)
                self._held = [batch for batch in self._held if batch.jobs]
                return
        self._account(job, t - job.since_s, 0.0, 0.0)
        self._queue.remove(job)

    def _served(self, t: float) -> list[tuple[Job, float, float]]:
        found = []
        for _end, _serial, batch in self._serving:
            share = self._share(batch, t)
            seconds = batch.left_s * share * self._pace
            for job in batch.jobs:  # the meter counts the seconds of a batch once
                found.append((job, seconds, job.left_j * share * self._burn))
                seconds = 0.0
        return found

    def _demand_s(self, seconds: float) -> float:
        return seconds * self._pace * self._per_request

    def waiting_s(self) -> float:
        """Give the waits that have begun and are not charged yet."""
        now = self.world._now
        waiting = sum(now - job.since_s for job in self._queue if job.use is not None)
        return waiting + sum((now - b.since_s) * len(b.jobs) for b in self._held)

    def _left_s(self) -> float:
        batches = [entry[2] for entry in self._serving] + self._held
        n = len(self._queue)
        waiting = sum(job.left_s for job in self._queue) / n if n else 0.0
        whole, rest = divmod(n, self.max_size)
        size = whole * self.latency(self.max_size) + (self.latency(rest) if rest else 0.0)
        return sum(batch.left_s for batch in batches) + waiting * size

    def _present(self) -> list[Job]:
        batches = [entry[2] for entry in self._serving] + self._held
        return [job for batch in batches for job in batch.jobs] + list(self._queue)

    def _drained_s(self) -> float:
        return max((end for end, _serial, _batch in self._serving), default=0.0)
