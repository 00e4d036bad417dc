"""Waiting without occupying anything, and time-outs in line.

Time-outs are many and most are never hit, so that those of one length share one entry of the heap.
"""

from __future__ import annotations

from collections import deque
from heapq import heappush
from math import inf
from typing import TYPE_CHECKING, Any

from ecsim.kernel.operations import NOBODY, Operation, Waiter, require_amount

if TYPE_CHECKING:
    from ecsim.kernel.world import World


class After(Operation):
    """Resume after `seconds` without occupying anything; zero gives way to what is due now.

    Raises `StrategyError` at the ``yield`` when the seconds are negative or not finite.
    """

    __slots__ = ("owner", "seconds")

    owner: Waiter

    def __init__(self, seconds: float, value: Any = None) -> None:
        self.eid = 0
        self.seconds = seconds
        self.value = value

    def start(self, waiter: Waiter) -> None:
        """Set the timer."""
        if self.eid:
            self._require_fresh()
        seconds = self.seconds
        if not 0.0 <= seconds < inf:
            require_amount("seconds to wait", seconds)
        world = waiter.world
        self.waiter = waiter
        self.t = t = world._now + seconds
        self.eid = eid = next(world.ids)
        heappush(world.queue, (t, 1, eid, self))

    def start_in_line(self, waiter: Waiter) -> None:
        """Set the timer behind those of the same length, which fire before it.

        Only the first of them is on the heap: time-outs are many, and most are never hit.
        """
        if self.eid:
            self._require_fresh()
        seconds = self.seconds
        if not 0.0 <= seconds < inf:
            require_amount("seconds to wait", seconds)
        world = waiter.world
        line = world.timers.get(seconds)
        if line is None:
            line = world.timers[seconds] = Timers(world, seconds)
        self.owner = waiter
        self.waiter = line
        self.t = t = world._now + seconds
        self.eid = eid = next(world.ids)
        line.append((t, 1, eid, self))

    def abandon(self) -> None:
        """Resume nobody, and hold nobody in memory until the time comes."""
        self.eid = 0
        self.owner = NOBODY

    def __repr__(self) -> str:
        return f"<After {self.seconds} s>"


class Timers:
    """Timers of one length in the order in which they fire; the first stands on the heap.

    It is the waiter of its timers, and of a stale one the loop tells it too: then the next that is
    live takes the place on the heap.
    """

    __slots__ = ("_entries", "_seconds", "_world")

    def __init__(self, world: World, seconds: float) -> None:
        self._world = world
        self._seconds = seconds
        self._entries: deque[tuple[float, int, int, After]] = deque()

    def append(self, entry: tuple[float, int, int, After]) -> None:
        """Add the last timer."""
        if not self._entries:
            heappush(self._world.queue, entry)
        self._entries.append(entry)

    def wake(self, timer: After) -> None:
        """Let the first timer fire."""
        self.advance()
        timer.owner.wake(timer)

    def advance(self) -> None:
        """Let the next live timer follow the first, which has left the heap."""
        entries = self._entries
        entries.popleft()
        while entries:
            entry = entries[0]
            if entry[3].eid == entry[2]:
                heappush(self._world.queue, entry)
                return
            entries.popleft()
        del self._world.timers[self._seconds]
