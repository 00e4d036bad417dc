"""Other tenants of an engine: Poisson jobs with exponential service and no task records.

Their jobs need no heap entries. An engine is a reservation server, so all that matters is that
jobs join its queue in order of time: whoever touches the engine first lets the background jobs
that arrived until then join. A drain therefore ends although the background never does.
"""

from __future__ import annotations

from collections import deque
from heapq import heapreplace
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from ecsim.kernel.meter import BACKGROUND, Unserved

if TYPE_CHECKING:
    from ecsim.kernel.server import FifoServer

_BLOCK = 4096


class Background:
    """Poisson arrivals of exponential jobs at an engine, from the world's present time on.

    Parameters
    ----------
    server : an engine, or any server whose meter has a third state for the background.
    rate_per_s : arrivals per s, > 0.
    mean_service_s : mean service time in s, > 0.
    power_w : marginal power while a background job is served, in W.
    rng : its own random stream; gaps and services are drawn from it in blocks of fixed size.

    Attributes
    ----------
    n_jobs, joules : jobs that joined the queue so far and their energy in J.
    """

    __slots__ = (
        "_gap", "_gaps", "_open", "_services", "joules", "mean_gap_s", "mean_service_s", "n_jobs",
        "power_w", "rng", "server", "slowness",
    )  # fmt: skip

    def __init__(
        self,
        server: FifoServer,
        rate_per_s: float,
        mean_service_s: float,
        power_w: float,
        rng: np.random.Generator,
    ) -> None:
        if not (rate_per_s > 0.0 and mean_service_s > 0.0 and power_w >= 0.0):
            raise ValueError(
                f"background of {server.name!r} needs a rate > 0, a service > 0 and a power >= 0, "
                f"got {rate_per_s}, {mean_service_s}, {power_w}"
            )
        if len(server.meter.states) <= BACKGROUND:
            raise ValueError(f"the meter of {server.name!r} has no state for background jobs")
        if server.background is not None:
            raise ValueError(f"{server.name!r} already has a background")
        self.server = server
        self.mean_gap_s = 1.0 / rate_per_s
        self.mean_service_s = mean_service_s
        self.power_w = power_w
        self.rng = rng
        self.n_jobs = 0
        self.joules = 0.0
        self.slowness = 1.0
        self._open: deque[tuple[float, float]] = deque()
        self._draw()
        server.background = self
        server.next_background_s = server.world._now + self._gaps[0]
        server.world.backgrounds.append(self)
        server.watch()

    def _draw(self) -> None:
        self._gaps = self.rng.exponential(self.mean_gap_s, _BLOCK).tolist()
        self._services = self.rng.exponential(self.mean_service_s, _BLOCK).tolist()
        self._gap = 0

    def _next_gap(self) -> float:
        self._gap += 1
        if self._gap == _BLOCK:
            self._draw()
        gap: float = self._gaps[self._gap]
        return gap

    def take(self) -> float:
        """Give the service of the job that comes next, and draw when the one after it comes."""
        seconds: float = self._services[self._gap]
        self.server.next_background_s += self._next_gap()
        return seconds

    def arrive_until(self, now: float) -> None:
        """Let every job with arrival time <= `now` join the queue, in order."""
        server = self.server
        t = server.next_background_s
        if t > now:
            return
        frees = server.frees
        open_jobs = self._open
        # added job by job: how often somebody looks at the server cannot change a bit
        meter = server.meter
        worked, metered_j, joules = meter.seconds[BACKGROUND], meter.joules[BACKGROUND], self.joules
        while t <= now:
            seconds = self._services[self._gap] * self.slowness
            begin = frees[0]
            if begin < t:
                begin = t
            end = begin + seconds
            heapreplace(frees, end)
            worked += seconds
            metered_j += seconds * self.power_w
            joules += seconds * self.power_w
            while open_jobs and open_jobs[0][0] <= t:
                open_jobs.popleft()
            open_jobs.append((end, seconds))
            self.n_jobs += 1
            t += self._next_gap()
        server.next_background_s = t
        meter.seconds[BACKGROUND], meter.joules[BACKGROUND], self.joules = worked, metered_j, joules

    def drop(self, now: float, until_s: float) -> None:
        """Lose the jobs that are not over at `now`, and all that come until `until_s`."""
        for _meter, _state, seconds, joules in self.unserved(now):
            self._book(-seconds, -joules)
        self._open.clear()
        t = self.server.next_background_s if until_s < inf else inf
        while t <= until_s < inf:
            t += self._next_gap()
        self.server.next_background_s = t

    def put_off(self, now: float, delay_s: float, factor: float) -> None:
        """Move what lies after `now`; stretched service keeps its power."""
        moved: deque[tuple[float, float]] = deque()
        for end, seconds in self._open:
            if end > now:
                extra = min(seconds, end - now) * (factor - 1.0)
                self._book(extra, extra * self.power_w)
                moved.append((now + delay_s + (end - now) * factor, seconds + extra))
        self._open = moved

    def _book(self, seconds: float, joules: float) -> None:
        self.joules += joules
        self.server.meter.seconds[BACKGROUND] += seconds
        self.server.meter.joules[BACKGROUND] += joules

    def unserved(self, now: float) -> list[Unserved]:
        """Give the parts of jobs that joined the queue but are served after `now`."""
        meter = self.server.meter
        now = max(now, self.server.halted_until_s)
        parts = [min(seconds, end - now) for end, seconds in self._open if end > now]
        return [(meter, BACKGROUND, left, left * self.power_w) for left in parts]
