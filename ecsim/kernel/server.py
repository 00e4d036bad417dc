"""FIFO servers as reservations: begin and finish are known when a job joins the queue.

A server is a heap of the times at which its units become free. Joining the queue takes the
earliest of them; no job waits in a list and no entry moves. This is exact for one unit and for c.
"""

from __future__ import annotations

from heapq import heapreplace
from math import inf
from typing import TYPE_CHECKING

from ecsim.kernel.meter import Meter

if TYPE_CHECKING:
    from ecsim.kernel.background import Background
    from ecsim.kernel.world import World


class FifoServer:
    """`n_servers` equal units behind one first-come-first-served queue.

    Parameters
    ----------
    world : the world whose clock it runs by.
    name : for messages.
    n_servers : units that serve at once, >= 1.
    meter : books its seconds and joules; by default its own, of node `name`.

    Attributes
    ----------
    n_jobs : reservations made.
    wait_s : sum of their waits in s.
    frees : times at which the units become free, a heap.
    """

    __slots__ = (
        "background", "frees", "meter", "n_jobs", "n_servers", "name", "next_background_s",
        "wait_s", "world",
    )  # fmt: skip

    def __init__(
        self, world: World, name: str, n_servers: int = 1, meter: Meter | None = None
    ) -> None:
        if n_servers < 1:
            raise ValueError(f"server {name!r} needs at least one unit, got {n_servers}")
        self.world = world
        self.name = name
        self.n_servers = n_servers
        self.meter = meter or Meter(world, name, "server", n_units=n_servers)
        self.frees = [0.0] * n_servers
        self.n_jobs = 0
        self.wait_s = 0.0
        self.background: Background | None = None
        self.next_background_s = inf

    @property
    def work_s(self) -> float:
        """Seconds of service reserved so far, whether served yet or not."""
        return sum(self.meter.seconds)

    def catch_up(self, now: float) -> None:
        """Let the background jobs that arrived up to `now` join the queue first."""
        if self.background is not None:
            self.background.arrive_until(now)

    def free_at(self) -> float:
        """Give the time from which a job that joins now would be served (>= now)."""
        now = self.world._now
        self.catch_up(now)
        return max(now, self.frees[0])

    def all_free_at(self) -> float:
        """Give the time from which every unit is free (>= now)."""
        now = self.world._now
        self.catch_up(now)
        return max(now, *self.frees)

    def backlog_s(self) -> float:
        """Give how long a job that joins now would wait, in s."""
        return self.free_at() - self.world._now

    def reserve(self, seconds: float, joules: float, state: int) -> tuple[float, float]:
        """Join the queue now; give (begin, end). `state` indexes the meter's states."""
        begin = self.free_at()
        end = begin + seconds
        heapreplace(self.frees, end)
        self.n_jobs += 1
        self.wait_s += begin - self.world._now
        self.meter.seconds[state] += seconds
        self.meter.joules[state] += joules
        return begin, end

    def block_until(self, end_s: float) -> None:
        """Keep all units from starting anything before `end_s`; it is not service, and not metered.

        Jobs already reserved are not disturbed.
        """
        self.frees = sorted(max(free, end_s) for free in self.frees)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
