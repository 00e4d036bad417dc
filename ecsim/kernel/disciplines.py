"""Engines whose jobs are events, for what a reservation cannot foresee.

Priorities, processor sharing, batching and finite buffers make a job's finish depend on what comes
later. An `EventEngine` keeps its jobs itself: a `Use` that joins parks there, its wait and service
are charged as they pass, and it is resumed when it is done. The engine has a small event loop of
its own and one live entry on the world's heap, for the earliest of its events. While nobody but
other tenants is served it needs no entry at all: it is brought up to date when it is next touched,
so that a drain ends although the background never does.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from ecsim.core.errors import FlowError, Refused
from ecsim.kernel.jobs import WHEN_IDLE, Job, Ranks
from ecsim.kernel.meter import ACTIVE, BACKGROUND, TRAINING, Unserved
from ecsim.kernel.node import Engine
from ecsim.kernel.operations import (
    PARKED,
    WASTED,
    Nobody,
    Operation,
    Use,
    Waiter,
    correct,
    require_amount,
)

if TYPE_CHECKING:
    from ecsim.kernel.world import World


class EventEngine(Engine):
    """Base of `Station`, `SharingServer` and `Batcher`: everything but the order of service.

    Parameters
    ----------
    world, node, name, n_servers, idle_w, can_train : as of `Engine`.
    capacity : requests that it holds, waiting or served; one more is refused (`Refused`), and one
        of other tenants is lost. Steps of trainings are no requests. None: no limit.
    ranks : order of service by kind of job, where the discipline knows an order.
    cancels : whether an abandoned use is taken out at once; otherwise it runs to its end, wasted,
        as on a FIFO engine.

    Attributes
    ----------
    n_inside : requests that it holds.
    n_refused : uses that were refused.
    n_lost : background jobs that found the buffer full.
    brought_s : service time of all requests that were let in.
    """

    __slots__ = (
        "_alarm", "_burn", "_goes_on_s", "_is_paused", "_is_shut", "_jobs", "_opens_s", "_pace",
        "_power", "_serial", "_slowness", "_speed", "brought_s", "cancels", "capacity", "n_inside",
        "n_lost", "n_refused", "ranks",
    )  # fmt: skip

    def __init__(
        self,
        world: World,
        node: str,
        name: str,
        n_servers: int = 1,
        idle_w: float = 0.0,
        can_train: bool = False,
        *,
        capacity: int | None = None,
        ranks: Ranks = Ranks(),  # noqa: B008 (immutable)
        cancels: bool = False,
    ) -> None:
        super().__init__(world, node, name, n_servers, idle_w, can_train)
        if capacity is not None and capacity < 1:
            raise ValueError(f"engine {self.name!r} needs a capacity of at least 1, got {capacity}")
        self.capacity = inf if capacity is None else capacity
        self.ranks = ranks
        self.cancels = cancels
        self.n_inside = self.n_refused = self.n_lost = 0
        self.brought_s = 0.0
        self.join = self._join
        self._jobs: dict[Operation, Job] = {}
        self._serial = 0
        self._speed = self._power = self._slowness = self._pace = self._burn = 1.0
        self._is_shut = self._is_paused = False
        self._opens_s = self._goes_on_s = inf
        self._alarm = _Alarm(self)
        world.stations.append(self)

    # What a discipline decides --------------------------------------------------------------

    def _next_s(self) -> float:
        """Give the time of its next own event, infinity when there is none."""
        raise NotImplementedError

    def _happen(self, t: float, finished: list[Use]) -> None:
        """Let its own event at `t` happen; whoever is done is passed to `_finish`."""
        raise NotImplementedError

    def _accept(self, job: Job, t: float) -> None:
        """Serve a job that comes at `t`, or let it wait."""
        raise NotImplementedError

    def _start(self, t: float) -> None:
        """Start what can start at `t`: room was made, or the engine opened again."""
        raise NotImplementedError

    def _stop(self, t: float) -> None:
        """Settle all that is in service at `t` and hold it."""
        raise NotImplementedError

    def _go(self, t: float) -> None:
        """Go on with what is held, at the present speed."""
        raise NotImplementedError

    def _remove(self, job: Job, t: float) -> None:
        """Settle a job at `t` and take it out."""
        raise NotImplementedError

    def _served(self, t: float) -> list[tuple[Job, float, float]]:
        """Give (job, service, joules) of services under way that are not charged yet."""
        raise NotImplementedError

    def _demand_s(self, seconds: float) -> float:
        """Give how long a request of so many seconds occupies a unit, at the best use of it."""
        return seconds * self._pace

    def _present(self) -> list[Job]:
        """Give all jobs that wait or are served."""
        raise NotImplementedError

    # Coming and going -----------------------------------------------------------------------

    def _join(self, use: Use, waiter: Waiter) -> None:
        """Park a use here until it is served."""
        if self.down_error is not None:
            raise self.down_error()
        require_amount(f"seconds of a use of {self.name}", use.seconds)
        require_amount(f"joules of a use of {self.name}", use.joules)
        now = self.world._now
        finished: list[Use] = []
        self._run(now, True, finished)  # whoever leaves at this moment leaves first
        state = use.state
        if state == ACTIVE and self.n_inside >= self.capacity:
            self.n_refused += 1
            self._schedule()
            self._resume_later(finished)
            raise Refused(f"{self.name} is full: it holds {self.n_inside} requests")
        rank = self.ranks[state] + use.rank if use.rank != WHEN_IDLE else WHEN_IDLE
        job = Job(use, state, rank, self._next_serial(), use.seconds, use.joules)
        job.since_s = now
        use.waiter = waiter
        use.eid = PARKED
        self._jobs[use] = job
        self.n_jobs += 1
        if state == ACTIVE:
            self.n_inside += 1
            self.brought_s += self._demand_s(use.seconds)
        self._accept(job, now)
        self._schedule()
        self._resume_later(finished)

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial

    def leave(self, use: Use) -> None:
        """Let a parked use run on as wasted, or take it out."""
        job = self._jobs[use]
        ledger = use.waiter.ledger
        if ledger is not None:
            ledger.waste(use.stage, job.wait_s, job.service_s, job.joules)
        use.waiter = Nobody(ledger)
        use.stage = WASTED
        if self.cancels:
            self._take_out(use)

    def evict(self, use: Use, error: FlowError) -> None:
        """Take a parked use out and raise the error in its flow."""
        self._take_out(use)
        use.waiter.fail(use, error)

    def _take_out(self, use: Use) -> None:
        now = self.world._now
        finished: list[Use] = []
        self._run(now, False, finished)
        job = self._jobs.pop(use)
        self._remove(job, now)
        self._note(job, now)
        use.eid = 0
        self._start(now)
        self._schedule()

    def parked(self) -> list[Operation]:
        """Give the uses that wait or are served here, in the order in which they joined."""
        return list(self._jobs)

    def _finish(self, job: Job, t: float, finished: list[Use]) -> None:
        """Let go a job that was served in full and settled."""
        self._note(job, t)
        if job.use is not None:
            del self._jobs[job.use]
            finished.append(job.use)

    def _note(self, job: Job, t: float) -> None:
        self.n_inside -= job.state != TRAINING
        use = job.use
        if use is not None:
            # from now on it looks like a reservation that ends here
            use.t = t
            use.wait_s, use.seconds, use.joules = job.wait_s, job.service_s, job.joules

    # Its events -----------------------------------------------------------------------------

    def _run(self, until: float, is_inclusive: bool, finished: list[Use]) -> None:
        """Let everything happen that is due before `until`, or at it too."""
        while True:
            own = self._next_s()
            t = min(own, self._goes_on_s, self._opens_s, self.next_background_s)
            if t > until or t == inf or (t == until and not is_inclusive):
                return
            if t == own:
                self._happen(t, finished)
            elif t == self._goes_on_s:
                self._go_on(t)
            elif t == self._opens_s:
                self._open(t)
            else:
                self._background_comes(t)

    def _background_comes(self, t: float) -> None:
        background = self.background
        assert background is not None
        seconds = background.take()
        if self.n_inside >= self.capacity:
            self.n_lost += 1
            return
        background.n_jobs += 1
        joules = seconds * background.power_w
        rank = self.ranks.background
        job = Job(None, BACKGROUND, rank, self._next_serial(), seconds, joules)
        job.since_s = t
        self.n_inside += 1
        self.brought_s += self._demand_s(seconds)
        self._accept(job, t)

    def _schedule(self) -> None:
        """Set the alarm for the next event; without a use inside, or a battery, nobody waits."""
        if self.touched is not None:
            self.touched()
        alarm = self._alarm
        if not self._jobs and self.touched is None:
            alarm.eid = 0
            return
        t = min(self._next_s(), self._goes_on_s, self._opens_s, self.next_background_s)
        if t == inf:
            alarm.eid = 0
        elif not alarm.eid or alarm.t != t:
            alarm._push(self.world, t)

    def wake(self, operation: Operation) -> None:
        """Let what is due happen, start the next services, then resume who is done."""
        self._alarm.eid = 0
        finished: list[Use] = []
        self._run(self.world._now, True, finished)
        self._schedule()
        if len(finished) == 1:
            use = finished[0]
            use.waiter.wake(use)
        else:
            self._resume_later(finished)

    def _resume_later(self, finished: list[Use]) -> None:
        for use in finished:
            use._push(self.world, self.world._now)

    def catch_up(self, now: float) -> None:
        """Let happen what was due before `now`, which only concerns other tenants."""
        finished: list[Use] = []
        self._run(now, False, finished)

    # Books ----------------------------------------------------------------------------------

    def _charge(self, job: Job, wait_s: float, service_s: float, joules: float) -> None:
        """Book what has passed for a job, on the meter and on its own account."""
        self._meter(job.state, service_s, joules)
        self._account(job, wait_s, service_s, joules)

    def _meter(self, state: int, service_s: float, joules: float) -> None:
        self.meter.seconds[state] += service_s
        self.meter.joules[state] += joules

    def _account(self, job: Job, wait_s: float, service_s: float, joules: float) -> None:
        use = job.use
        if use is None:
            assert self.background is not None
            self.background.joules += joules
            return
        if job.rank == WHEN_IDLE:
            wait_s = 0.0  # it has not asked to be served before
        job.wait_s += wait_s
        job.service_s += service_s
        job.joules += joules
        self.wait_s += wait_s
        if job.wait_s > self.max_wait_s:
            self.max_wait_s = job.wait_s
        correct(self.world, use.waiter, use.stage, wait_s, service_s, joules)

    def unserved(self, now: float) -> list[Unserved]:
        """Give what has been served but is not booked yet, as less than nothing."""
        return [
            (self.meter, job.state, -seconds, -joules) for job, seconds, joules in self._served(now)
        ]

    # Speed, outages, blocks -----------------------------------------------------------------

    def set_speed(self, speed: float, power: float = 1.0) -> None:
        """Go on at a fraction of the normal speed, drawing a fraction of the normal busy power.

        Raises `ValueError` unless the speed is positive, the power not negative, both finite.
        """
        if not (0.0 < speed < inf and 0.0 <= power < inf):
            raise ValueError(f"expected a speed > 0 and a power >= 0, got {speed} and {power}")
        self._speed, self._power = speed, power
        self._change()

    def go_over(self, speed: float, power: float = 1.0, transition_s: float = 0.0) -> None:
        """Stand still for a while at idle power, then go on as `set_speed` says (DVFS)."""
        if not 0.0 <= transition_s < inf:
            raise ValueError(f"expected a transition of a time >= 0, got {transition_s}")
        self.put_off(transition_s, 1.0)
        self.set_speed(speed, power)

    def put_off(self, delay_s: float, factor: float) -> None:
        """Stand still for a while, then go on at 1 / `factor` of the present speed."""
        if factor != 1.0:
            self._slowness *= factor
            self._change()
        if delay_s > 0.0:
            now = self.world._now
            self._run(now, False, [])
            if not self._is_paused:
                self._stop(now)
                self._is_paused = True
                self._goes_on_s = now
            self._goes_on_s += delay_s
            # a block that had begun lasts longer by what it stood still, too
            blocked_s = self._opens_s if self._is_shut else now
            self._shut(max(blocked_s + delay_s, self._goes_on_s))
            self._schedule()

    def _change(self) -> None:
        now = self.world._now
        self._run(now, False, [])
        if not self._is_paused:
            self._stop(now)
        self._pace = self._slowness / self._speed
        self._burn = self._pace * self._power
        if not self._is_paused:
            self._go(now)
        self._schedule()

    def _shut(self, until_s: float) -> None:
        self._opens_s = max(until_s, self._opens_s) if self._is_shut else until_s
        self._is_shut = True

    def _open(self, t: float) -> None:
        self._is_shut = False
        self._opens_s = inf
        if self._is_paused:
            self._go_on(t)
        self._start(t)

    def _go_on(self, t: float) -> None:
        self._is_paused = False
        self._goes_on_s = inf
        self._go(t)

    def clear(self, until_s: float) -> None:
        """Lose the background jobs (`evict` ends the uses) and start nothing until then."""
        now = self.world._now
        self._run(now, False, [])
        for job in self._present():
            if job.use is None:
                self._remove(job, now)
                self._note(job, now)
        self._shut(until_s)
        if self.background is not None:
            self.background.drop(now, until_s)
        self._schedule()

    def watch(self) -> None:
        """Open again after an outage, and see to its alarm; see `FifoServer.watch`."""
        if self.down_error is None and self._is_shut and self._opens_s == inf:
            self._open(self.world._now)
        self._schedule()

    def block_until(self, end_s: float) -> None:
        """Start nothing before `end_s`; what is in service goes on."""
        if end_s > self.world._now:
            self._shut(end_s)
            self._schedule()

    def free_at(self) -> float:
        """Give when a job that joins now would be served if nobody else came (an estimate)."""
        return self.world._now + self.backlog_s()

    def all_free_at(self) -> float:
        """Give the time at which what is in service now is over, if nothing more starts."""
        now = self.world._now
        self.catch_up(now)
        return max(now, self._drained_s())

    def _drained_s(self) -> float:
        """Give when the last of those in service ends."""
        raise NotImplementedError

    def backlog_s(self) -> float:
        """Give the work that is unfinished, in s of all units together."""
        now = self.world._now
        self.catch_up(now)
        left = self._left_s() * self._pace
        left -= sum(seconds for _job, seconds, _joules in self._served(now))
        return max(0.0, left) / self.n_servers

    def _left_s(self) -> float:
        return sum(job.left_s for job in self._present())

    def n_present(self) -> int:
        """Give how many jobs wait or are served, trainings and other tenants' too."""
        self.catch_up(self.world._now)
        return len(self._present())

    def waiting_s(self) -> float:
        """Give the waits that have begun and are not charged yet (of tasks and trainings)."""
        now = self.world._now
        served = {id(job): seconds for job, seconds, _joules in self._served(now)}
        return sum(
            now - job.since_s - served.get(id(job), 0.0)
            for job in self._present()
            if job.use is not None and job.rank != WHEN_IDLE
        )

    def draw(self) -> tuple[float, float, float]:
        """Give the energy that it has drawn so far, its power, and how long it is known.

        The power, on top of idle, holds until the engine's next event, of which `touched` hears.
        """
        now = self.world._now
        t = min(self._next_s(), self._goes_on_s, self._opens_s, self.next_background_s)
        under_way_j = sum(joules for _job, _seconds, joules in self._served(now))
        drawn_j = sum(self.meter.joules) + under_way_j
        if not now < t < inf:
            return drawn_j, 0.0, inf
        by_then_j = sum(joules for _job, _seconds, joules in self._served(t))
        return drawn_j, (by_then_j - under_way_j) / (t - now), inf

    def reserve(self, seconds: float, joules: float, state: int) -> tuple[float, float]:
        """Raise: what joins an event-driven engine does not know its end."""
        raise TypeError(f"{self.name} takes no reservation")


class _Alarm(Operation):
    """The engine's live entry on the heap."""

    __slots__ = ()

    def __init__(self, engine: EventEngine) -> None:
        super().__init__()
        self.waiter = engine
        self.t = inf
