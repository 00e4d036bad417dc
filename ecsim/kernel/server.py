"""FIFO servers as reservations: begin and finish are known when a job joins the queue.

A server is a heap of the times at which its units become free. Joining the queue takes the
earliest of them; no job waits in a list and no entry moves. This is exact for one unit and for c.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapreplace
from math import inf
from typing import TYPE_CHECKING

from ecsim.core.errors import FlowError
from ecsim.kernel.meter import DOWN, Meter
from ecsim.kernel.operations import Use

if TYPE_CHECKING:
    from ecsim.kernel.background import Background
    from ecsim.kernel.operations import Operation, Waiter
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
    max_wait_s : the longest of them since a `QueueWindow` was opened.
    frees : times at which the units become free, a heap.
    join : what a `Use` calls instead of reserving, ``join(use, waiter)``; None: it reserves.
    down_error : makes the error that a job meets which comes now; None: the server takes it.
    halted_until_s : end of the outage during which jobs stand still, if there is one.
    slowness : factor on service times, above 1 during a brown-out.
    touched : called with each operation that reserved it; None: nobody watches.
    """

    __slots__ = (
        "background", "down_error", "frees", "halted_until_s", "join", "max_wait_s", "meter",
        "n_jobs", "n_servers", "name", "next_background_s", "slowness", "touched", "wait_s",
        "world",
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
        self.max_wait_s = 0.0
        self.background: Background | None = None
        self.next_background_s = inf
        self.join: Callable[[Use, Waiter], None] | None = None
        self.touched: Callable[..., None] | None = None
        self.down_error: Callable[[], FlowError] | None = None
        self.halted_until_s = 0.0
        self.slowness = 1.0

    @property
    def work_s(self) -> float:
        """Seconds of service reserved so far, whether served yet or not."""
        meter = self.meter
        pairs = zip(meter.states, meter.seconds, strict=True)
        return sum(seconds for state, seconds in pairs if state != DOWN)

    def catch_up(self, now: float) -> None:
        """Let the background jobs that arrived up to `now` join the queue first."""
        if self.background is not None:
            self.background.arrive_until(now)

    def free_at(self) -> float:
        """Give the time from which a job that joins now would be served (>= now)."""
        now = self.world._now
        if self.background is not None:
            self.background.arrive_until(now)
        free_s = self.frees[0]
        return free_s if free_s > now else now

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
        self.max_wait_s = max(self.max_wait_s, begin - self.world._now)
        self.meter.seconds[state] += seconds
        self.meter.joules[state] += joules
        return begin, end

    def watch(self) -> None:
        """Let uses take the detour while anything needs it; call after a change of what does."""
        is_plain = self.down_error is None and self.slowness == 1.0 and self.touched is None
        self.join = None if is_plain else self._detour

    def _detour(self, use: Use, waiter: Waiter) -> None:
        """Reserve on a server that is down, slowed or watched."""
        if self.down_error is not None:
            raise self.down_error()
        if self.slowness != 1.0:
            use.seconds *= self.slowness
            use.joules *= self.slowness
        self.join = None
        try:
            Use.start(use, waiter)  # not a subclass's, which would set its seconds anew
        finally:
            self.join = self._detour
        if self.touched is not None:
            self.touched(use)

    def parked(self) -> list[Operation]:
        """Give the uses that wait or are served here without an entry on the heap."""
        return []

    def leave(self, use: Use) -> None:
        """Let a parked use be abandoned."""
        raise NotImplementedError

    def evict(self, use: Use, error: FlowError) -> None:
        """Take a parked use out and raise the error in its flow."""
        raise NotImplementedError

    def clear(self, until_s: float) -> None:
        """Drop every reservation (`Operation.cut` mends the books) and start none until then."""
        self.frees = [until_s] * self.n_servers
        if self.background is not None:
            self.background.drop(self.world._now, until_s)

    def put_off(self, delay_s: float, factor: float) -> None:
        """Move what lies after the present: a delay, then at 1 / `factor` of the speed.

        The entries of its jobs are moved by `Operation.put_off`.
        """
        now = max(self.world._now, self.halted_until_s)
        self.frees = [now + delay_s + max(0.0, free - now) * factor for free in self.frees]
        if self.background is not None:
            self.background.put_off(now, delay_s, factor)

    def block_until(self, end_s: float) -> None:
        """Keep all units from starting anything before `end_s`; it is not service, and not metered.

        Jobs already reserved are not disturbed.
        """
        self.frees = sorted(max(free, end_s) for free in self.frees)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
