"""An engine that falls asleep when idle for long, and takes time to wake.

Its state between two jobs follows from the gap between the end of the last service and the next
job, which are both known when that job joins: nothing happens in the world when it falls asleep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecsim.kernel.meter import Unserved
from ecsim.kernel.node import ENGINE_STATES, Engine
from ecsim.kernel.operations import Use

if TYPE_CHECKING:
    from ecsim.kernel.operations import Waiter
    from ecsim.kernel.world import World

SLEEP, WAKING = len(ENGINE_STATES), len(ENGINE_STATES) + 1


class SleepingEngine(Engine):
    """A FIFO engine of one unit that sleeps from `after_s` of idleness until a job comes.

    The job that finds it asleep waits for `wake_s`, in which it draws idle power. A job that comes
    at the very moment at which it would fall asleep finds it awake. What sleep saves against idle
    power is booked as negative joules, and to nobody (`World.unowned_j`). After an outage, which
    must lose its work, it is awake. It knows no other tenants, brown-outs or outages that keep.

    Parameters
    ----------
    world, node, name, idle_w, can_train : as of an `Engine`.
    after_s : idle time after which it sleeps, in s, >= 0.
    sleep_w : power asleep, in W.
    wake_s : time to wake, in s, >= 0.
    """

    __slots__ = ("after_s", "ready_s", "sleep_w", "wake_s")

    def __init__(
        self,
        world: World,
        node: str,
        name: str,
        idle_w: float = 0.0,
        can_train: bool = False,
        *,
        after_s: float,
        sleep_w: float,
        wake_s: float,
    ) -> None:
        super().__init__(world, node, name, 1, idle_w, can_train)
        self.meter.states = (*ENGINE_STATES, "sleep", "waking")
        self.meter.seconds += [0.0, 0.0]
        self.meter.joules += [0.0, 0.0]
        self.after_s = after_s
        self.sleep_w = sleep_w
        self.wake_s = wake_s
        self.ready_s = 0.0  # end of its latest waking
        self.join = self._wake_first
        world.sleepers.append(self)

    @property
    def work_s(self) -> float:
        """Seconds of service reserved so far, whether served yet or not."""
        return sum(self.meter.seconds[:SLEEP])

    @property
    def sleeps_from_s(self) -> float:
        """The time from which it sleeps, or will if no further job comes."""
        return self.frees[0] + self.after_s

    def _asleep_s(self, now: float) -> float:
        """Give for how long it has been asleep at a time, in s; 0: it is awake."""
        return max(0.0, now - self.sleeps_from_s)

    def free_at(self) -> float:
        """Give the time from which a job that joins now would be served, waking included."""
        now = self.world._now
        return now + self.wake_s if self._asleep_s(now) else super().free_at()

    def all_free_at(self) -> float:
        """Give the time from which it would serve a job that joins now."""
        return self.free_at()

    def wake(self) -> None:
        """Begin to wake, if it is asleep."""
        now = self.world._now
        if self._book_sleep(now):
            self.meter.seconds[WAKING] += self.wake_s
            self.ready_s = self.frees[0] = now + self.wake_s
            if self.touched is not None:
                self.touched()

    def _book_sleep(self, now: float) -> bool:
        """Book the sleep that ends now; give whether it is asleep."""
        asleep_s = self._asleep_s(now)
        if not asleep_s:
            return False
        saved_j = asleep_s * (self.meter.idle_w - self.sleep_w)
        self.meter.seconds[SLEEP] += asleep_s
        self.meter.joules[SLEEP] -= saved_j
        self.world.unowned_j -= saved_j
        return True

    def reserve(self, seconds: float, joules: float, state: int) -> tuple[float, float]:
        """Join the queue now, waking it if need be; give (begin, end)."""
        self.wake()
        return super().reserve(seconds, joules, state)

    def block_until(self, end_s: float) -> None:
        """Keep it from starting anything before `end_s`; it is awake meanwhile."""
        self.wake()
        super().block_until(end_s)
        if self.touched is not None:
            self.touched()

    def clear(self, until_s: float) -> None:
        """Drop every reservation, the rest of a waking and the sleep; it is awake from then on."""
        now = self.world._now
        self._book_sleep(now)
        self.meter.seconds[WAKING] -= max(0.0, self.ready_s - now)
        self.ready_s = min(self.ready_s, now)
        super().clear(until_s)

    def put_off(self, delay_s: float, factor: float) -> None:
        """Refuse to stand still or to be slowed."""
        raise ValueError(f"{self.name!r} sleeps, and knows no brown-outs or outages that keep work")

    def watch(self) -> None:
        """Do nothing: every use takes the detour anyway."""

    def _wake_first(self, use: Use, waiter: Waiter) -> None:
        """Reserve as a plain server does, once it is awake or waking."""
        if self.down_error is not None:
            raise self.down_error()
        self.wake()
        self.join = None
        try:
            Use.start(use, waiter)  # not a subclass's, which would set its seconds anew
        finally:
            self.join = self._wake_first
        if self.touched is not None:
            self.touched(use)

    def unserved(self, now: float) -> list[Unserved]:
        """Give the waking that lies after `now`, and less the sleep that is not booked yet."""
        asleep_s = self._asleep_s(now)
        if asleep_s:
            meter = self.meter
            return [(meter, SLEEP, -asleep_s, asleep_s * (meter.idle_w - self.sleep_w))]
        return [(self.meter, WAKING, max(0.0, self.ready_s - now), 0.0)]
