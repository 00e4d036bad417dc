"""Other tenants of an engine: Poisson jobs with exponential service and no task records.

Their jobs need no heap entries. An engine is a reservation server, so all that matters is that
jobs join its queue in order of time: whoever touches the engine first lets the background jobs
that arrived until then join. A drain therefore ends although the background never does.
"""

from __future__ import annotations

from collections import deque
from heapq import heapreplace
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
        "power_w", "rng", "server",
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
        self._open: deque[tuple[float, float]] = deque()
        self._draw()
        server.background = self
        server.next_background_s = server.world._now + self._gaps[0]
        server.world.backgrounds.append(self)

    def _draw(self) -> None:
        self._gaps = self.rng.exponential(self.mean_gap_s, _BLOCK).tolist()
        self._services = self.rng.exponential(self.mean_service_s, _BLOCK).tolist()
        self._gap = 0

    def arrive_until(self, now: float) -> None:
        """Let every job with arrival time <= `now` join the queue, in order."""
        server = self.server
        t = server.next_background_s
        if t > now:
            return
        frees = server.frees
        open_jobs = self._open
        worked = 0.0
        while t <= now:
            seconds = self._services[self._gap]
            begin = frees[0]
            if begin < t:
                begin = t
            end = begin + seconds
            heapreplace(frees, end)
            worked += seconds
            while open_jobs and open_jobs[0][0] <= t:
                open_jobs.popleft()
            open_jobs.append((end, seconds))
            self.n_jobs += 1
            self._gap += 1
            if self._gap == _BLOCK:
                self._draw()
            t += self._gaps[self._gap]
        server.next_background_s = t
        joules = worked * self.power_w
        self.joules += joules
        server.meter.seconds[BACKGROUND] += worked
        server.meter.joules[BACKGROUND] += joules

    def unserved(self, now: float) -> list[Unserved]:
        """Give the parts of jobs that joined the queue but are served after `now`."""
        meter = self.server.meter
        parts = [min(seconds, end - now) for end, seconds in self._open if end > now]
        return [(meter, BACKGROUND, left, left * self.power_w) for left in parts]
