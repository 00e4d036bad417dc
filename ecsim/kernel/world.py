"""The world: a SimPy environment with its own run loop.

The loop takes the earliest of the heap and the arrivals, and dispatches on what it finds: an
operation resumes its waiter; an ordinary SimPy event runs its callbacks; anything else is called
as ``fire(eid)``. SimPy processes and timeouts therefore work beside flows. At equal times entries
of the heap go in the order in which they were made, and before arrivals.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Any, cast

import simpy
from simpy.core import EmptySchedule, StopSimulation

from ecsim.kernel.flow import Flow
from ecsim.kernel.ledger import Ledger
from ecsim.kernel.meter import Meter, Reading, read_meters
from ecsim.kernel.operations import Operation
from ecsim.kernel.timers import Timers

if TYPE_CHECKING:
    from ecsim.kernel.background import Background
    from ecsim.kernel.battery import Battery
    from ecsim.kernel.disciplines import EventEngine
    from ecsim.kernel.radio import Radio
    from ecsim.kernel.sleeping import SleepingEngine
    from ecsim.kernel.vectorised import Playback


class World(simpy.Environment):
    """Clock, heap and arrivals of one run; time starts at 0 and is in seconds.

    Attributes
    ----------
    queue : the heap of (time, priority, id, entry); only operations and SimPy push on it.
    meters : every meter, in order of creation.
    unowned_j : energy charged by flows without a ledger, in J.
    playback : what knows the whole run beforehand and stands in for the loop, where it is so.
    n_spawned, n_done : flows started by `spawn` and flows that have returned.
    ids : gives the ids of entries, one after the other.
    """

    __slots__ = (
        "_arrival_item", "_arrival_s", "_arrivals", "_now", "_on_arrival", "backgrounds",
        "batteries", "ids", "meters", "n_done", "n_spawned", "next_id", "playback", "queue",
        "radios", "sleepers", "stations", "timers", "unowned_j",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__(0.0)
        self.queue: list[tuple[float, int, int, Any]] = self._queue  # type: ignore[assignment]
        self.ids: Iterator[int] = self._eid
        self.next_id: Callable[[], int] = self.ids.__next__
        self.next_id()  # id 0 says "no live entry"
        self.meters: list[Meter] = []
        self.backgrounds: list[Background] = []
        self.radios: list[Radio] = []
        self.sleepers: list[SleepingEngine] = []
        self.stations: list[EventEngine] = []
        self.batteries: list[Battery] = []
        self.timers: dict[float, Timers] = {}  # by length
        self.playback: Playback | None = None
        self.unowned_j = 0.0
        self.n_spawned = 0
        self.n_done = 0
        self._arrivals: Iterator[tuple[float, Any]] = iter(())
        self._on_arrival: Callable[[Any], object] = _ignore
        self._arrival_s = inf
        self._arrival_item: Any = None

    def spawn(
        self,
        generator: Generator[Any, Any, Any],
        ledger: Ledger | None = None,
        on_done: Callable[[Flow], None] | None = None,
        item: Any = None,
    ) -> Flow:
        """Start a flow: the generator runs to its first ``yield`` before this returns.

        Parameters
        ----------
        generator : yields operations, joins or SimPy events.
        ledger : account that its operations charge; None: `unowned_j`.
        on_done : called with the flow when the generator has returned, or was ended by a
            `FlowError` that it did not catch (see `Flow.value`).
        item : kept as `Flow.item` and named in error messages.

        Raises
        ------
        StrategyError
            (from here or from `run`) when it yields anything else. Exceptions of the generator
            leave `run` as they are, with a note that names the flow and the time.
        """
        self.n_spawned = number = self.n_spawned + 1
        flow = Flow()
        flow.world = self
        flow.ledger = ledger
        flow.id = number
        flow.item = item
        flow.value = None
        flow._generator = generator
        flow._on_done = on_done
        flow._operation = None
        flow._waiter = None
        # `Flow.wake`, flat
        try:
            following = generator.send(None)
        except StopIteration as stop:
            flow._finish(stop.value)
            return flow
        except Exception as error:
            flow._fail(error)
            return flow
        flow._operation = following
        try:
            following.start(flow)
        except Exception as error:
            flow._refused(following, error)
        return flow

    def feed(
        self, arrivals: Iterable[tuple[float, Any]], on_arrival: Callable[[Any], object]
    ) -> None:
        """Let items arrive: ``on_arrival(item)`` is called at each time of the iterator.

        Only the next arrival is held, so the iterator may be long and lazy; it is read one ahead.

        Raises
        ------
        ValueError
            (from here or from `run`) when a time is not finite or before its predecessor or the
            present; or when another feed has not ended.
        """
        if self._arrival_s < inf:
            raise ValueError("the world is already fed; merge the arrivals into one iterator")
        self._arrivals = iter(arrivals)
        self._on_arrival = on_arrival
        self._pull(self._now)

    def _pull(self, earliest_s: float) -> None:
        try:
            t, item = next(self._arrivals)
        except StopIteration:
            self._arrival_s = inf
            self._arrival_item = None
            return
        if not earliest_s <= t < inf:
            raise ValueError(f"arrival at {t!r} s, after one at (or a clock of) {earliest_s!r} s")
        self._arrival_s = t
        self._arrival_item = item

    def replace_loop(self, advance: Callable[[float], None]) -> None:
        """Let ``advance(end)`` make the world what it is just before `end`; see `vectorised`."""
        self._loop = advance  # type: ignore[method-assign, assignment]

    def run_until(self, t: float) -> None:
        """Run everything due strictly before `t`, then set the clock to `t`.

        What is due at exactly `t` is left for the next call, so that a run cut in pieces equals
        a run in one. Raises `ValueError` when `t` lies in the past or is NaN.
        """
        if not self._now <= t < inf:
            raise ValueError(f"cannot run until {t!r} s: the clock stands at {self._now} s")
        self._loop(t)
        self._now = t

    def run(self, until: Any = None) -> Any:
        """Run until idle (the drain), until a time (as `run_until`), or until a SimPy event.

        Idle means: no arrival and no entry is left; flows may still be parked on a signal or a
        mailbox. Given an event, returns its value, or raises its exception.
        """
        if until is None:
            self._loop(inf)
            return None
        if not isinstance(until, simpy.Event):
            self.run_until(until)
            return None
        if until.callbacks is None:
            return until.value
        until.callbacks.append(self._stop_after)
        try:
            self._loop(inf)
        except StopSimulation:
            if not until.ok:
                raise cast(Exception, until.value) from None
            return until.value
        raise RuntimeError(f"the world is idle, but {until!r} was not triggered")

    def _stop_after(self, event: simpy.Event) -> None:
        event.defused = True
        heappush(self.queue, (self._now, 0, self.next_id(), _Stop()))

    def snapshot(self) -> Reading:
        """Give (seconds, joules) per state of each meter, served up to the present time."""
        return read_meters(self)

    def _loop(self, end: float) -> None:
        queue = self.queue
        while True:
            if queue and (t := queue[0][0]) <= self._arrival_s:
                if t >= end:
                    return
                _, _, eid, entry = heappop(queue)
                try:
                    waiter = entry.waiter
                except AttributeError:  # it is no operation
                    self._now = t
                    fire_entry(entry, eid)
                    continue
                if entry.eid != eid:
                    if waiter.__class__ is Timers:
                        waiter.advance()
                    continue
                self._now = t
                if waiter.__class__ is not Flow:
                    waiter.wake(entry)
                    continue
                # `Flow.wake`, flat
                try:
                    following = waiter._generator.send(entry.value)  # type: ignore[union-attr]
                except StopIteration as stop:
                    waiter._finish(stop.value)
                    continue
                except Exception as error:
                    waiter._fail(error)
                    continue
                waiter._operation = following
                try:
                    following.start(waiter)
                except Exception as error:
                    waiter._refused(following, error)
            else:
                t = self._arrival_s
                if t >= end:
                    return
                self._now = t
                item = self._arrival_item
                # `_pull`, flat
                following = next(self._arrivals, _NO_MORE)
                self._arrival_s, self._arrival_item = following
                if not t <= following[0] < inf and following is not _NO_MORE:
                    raise ValueError(f"arrival at {following[0]!r} s, after one at {t!r} s")
                self._on_arrival(item)

    def step(self) -> None:
        """Process one arrival or live entry; raise SimPy's `EmptySchedule` when there is none."""
        while True:
            if self._arrival_s == inf and not self.queue:
                raise EmptySchedule
            if self.queue and self.queue[0][0] <= self._arrival_s:
                t, _, eid, entry = heappop(self.queue)
                is_operation = isinstance(entry, Operation)
                if is_operation and entry.eid != eid:
                    if entry.waiter.__class__ is Timers:
                        entry.waiter.advance()
                    continue
                self._now = t
                if is_operation:
                    entry.waiter.wake(entry)
                else:
                    fire_entry(entry, eid)
            else:
                t, item = self._arrival_s, self._arrival_item
                self._now = t
                self._pull(t)
                self._on_arrival(item)
            return

    def peek(self) -> float:
        """Give the time of the next entry or arrival; infinity when there is none."""
        return min(self._arrival_s, self.queue[0][0] if self.queue else inf)


def fire_entry(entry: Any, eid: int) -> None:
    """Process an entry that is no operation: a SimPy event, or anything with ``fire(eid)``."""
    if not isinstance(entry, simpy.Event):
        entry.fire(eid)
        return
    callbacks: list[Callable[[simpy.Event], None]] = entry.callbacks
    entry.callbacks = None  # type: ignore[assignment]  # SimPy's mark of a processed event
    for callback in callbacks:
        callback(entry)
    if not entry._ok and not entry.defused:
        raise entry._value


class _Stop:
    """Ends the loop once the other callbacks of the awaited event have run."""

    def fire(self, eid: int) -> None:
        raise StopSimulation


_NO_MORE: tuple[float, Any] = (inf, None)


def _ignore(item: Any) -> None:
    pass
