"""What a flow may yield: inert objects that start when yielded and resume the flow when over.

An operation is itself the entry on the world's heap: one entry per hop, no process, no event, no
closure. An entry is *stale*, and is skipped without moving the clock, when the id it was pushed
under is no longer the operation's `eid`; cancelling or moving an operation costs one assignment.

Whatever is resumed by an operation (a flow, or a join of several branches) is a `Waiter`.
"""

from __future__ import annotations

from heapq import heappush, heapreplace
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from ecsim.core.errors import FlowError, StrategyError
from ecsim.kernel.ledger import HEAD, SERVICE, WIDTH, Ledger
from ecsim.kernel.meter import ACTIVE, Draw, Unserved

if TYPE_CHECKING:
    from ecsim.kernel.server import FifoServer
    from ecsim.kernel.world import World


class Waiter(Protocol):
    """What an operation resumes: a flow, or a join."""

    world: World
    ledger: Ledger | None

    def wake(self, operation: Any) -> None:
        """Go on with ``operation.value``."""

    def fail(self, operation: Any, error: Exception) -> None:
        """Go on by raising `error` where the operation was yielded."""


class Nobody:
    """Stands in for the waiter of abandoned work: it runs to its end and resumes nothing."""

    __slots__ = ("ledger",)

    def __init__(self, ledger: Ledger | None = None):
        self.ledger = ledger

    def wake(self, operation: Any) -> None:
        """Do nothing."""

    def fail(self, operation: Any, error: Exception) -> None:
        """Do nothing."""


NOBODY: Any = Nobody()
WASTED = -1  # the stage of an abandoned operation
PARKED = -1  # the id of an operation that something else than the heap holds


class Operation:
    """Base of everything a flow may yield; each object serves for one yield.

    Amounts are checked when it starts, which is the door to the heap (a NaN would enter silently);
    the error is raised in the generator, at its ``yield``.

    Attributes
    ----------
    t : simulated time at which its present entry on the heap is due, in s.
    eid : id of its live entry; 0 before it starts and when it must not fire any more.
    waiter : what it resumes.
    value : what the flow gets back from its ``yield``.
    index : which branch of a join it is.
    """

    __slots__ = ("eid", "index", "t", "value", "waiter")

    index: int
    waiter: Any

    def __init__(self, value: Any = None) -> None:
        self.eid = 0
        self.value = value

    def start(self, waiter: Waiter) -> None:
        """Begin at the world's present time and resume `waiter` when over."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Resume nobody: the flow lost interest. Work that is reserved still runs."""
        self.eid = 0

    def uses(self, part: Any) -> bool:
        """Whether it waits for, or occupies, this part of the world (a server or a hop)."""
        return False

    def cut(self, error: FlowError) -> None:
        """End now, for what it uses went out: raise `error` at the ``yield``.

        Waits and services end at the present time, and so does what was booked for them.
        """
        raise NotImplementedError

    def put_off(self, delay_s: float, factor: float) -> None:
        """Move everything that lies after the present: first a delay, then at 1 / `factor` speed.

        The delay counts as wait, also for what was in service.
        """
        raise NotImplementedError

    def draws(self) -> list[Draw]:
        """Give what it draws at constant power in its present reservation, as far as known."""
        return []

    def unserved(self, now: float) -> list[Unserved]:
        """Give what was booked on meters but lies after `now`."""
        return []

    def _push(self, world: World, t: float) -> None:
        self.t = t
        self.eid = eid = next(world.ids)
        heappush(world.queue, (t, 1, eid, self))

    def _require_fresh(self) -> None:
        if self.eid:
            raise StrategyError(f"{self!r} was already started: an operation serves for one yield")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def require_amount(what: str, amount: float) -> None:
    """Raise `StrategyError` unless `amount` is a finite number >= 0 (NaN is not)."""
    if not 0.0 <= amount < inf:
        raise StrategyError(f"{what} must be finite and >= 0, got {amount!r}")


class Use(Operation):
    """Be served by a FIFO server for `seconds`; the queue is joined at the ``yield``.

    The reservation is made at once: wait, finish and energy are known, and charged to the flow's
    ledger, from then on. If the flow loses a race meanwhile, the work still runs as wasted.

    Parameters
    ----------
    server : the server, e.g. an engine of a node.
    seconds : service time, >= 0.
    joules : marginal energy of this service, >= 0.
    stage : index of the ledger's stage that it is charged to.
    value : what the flow gets back.

    Raises
    ------
    StrategyError
        At the ``yield``, when seconds or joules are negative or not finite.
    """

    __slots__ = ("joules", "seconds", "server", "stage", "wait_s")

    state = ACTIVE  # what the meter books it as
    rank = 0  # its class of priority, where the server knows classes; less is earlier

    def __init__(
        self,
        server: FifoServer,
        seconds: float,
        joules: float = 0.0,
        stage: int = 0,
        value: Any = None,
    ) -> None:
        self.eid = 0
        self.server = server
        self.seconds = seconds
        self.joules = joules
        self.stage = stage
        self.value = value

    def start(self, waiter: Waiter) -> None:
        """Reserve the server (the flat twin of `FifoServer.reserve`)."""
        if self.eid:
            self._require_fresh()
        server = self.server
        if server.join is not None:
            server.join(self, waiter)
            return
        world = server.world
        now = world._now
        if server.next_background_s <= now:
            server.catch_up(now)
        seconds = self.seconds
        joules = self.joules
        if not (0.0 <= seconds < inf and 0.0 <= joules < inf):
            require_amount(f"seconds of a use of {server.name}", seconds)
            require_amount(f"joules of a use of {server.name}", joules)
        ledger = waiter.ledger
        frees = server.frees
        begin = frees[0]
        if begin > now:
            self.wait_s = wait = begin - now
            server.wait_s += wait
            if wait > server.max_wait_s:
                server.max_wait_s = wait
            if ledger is not None:
                ledger.cells[HEAD + WIDTH * self.stage] += wait
        else:
            begin = now
            self.wait_s = 0.0
        self.t = end = begin + seconds
        if server.n_servers == 1:
            frees[0] = end
        else:
            heapreplace(frees, end)
        server.n_jobs += 1
        meter = server.meter
        meter.seconds[ACTIVE] += seconds
        meter.joules[ACTIVE] += joules
        if ledger is None:
            world.unowned_j += joules
        else:
            cells = ledger.cells
            at = HEAD + SERVICE + WIDTH * self.stage
            cells[at] += seconds
            cells[at + 1] += joules
        self.waiter = waiter
        self.eid = eid = next(world.ids)
        heappush(world.queue, (end, 1, eid, self))

    def abandon(self) -> None:
        """Let the reserved work run as wasted."""
        if self.eid == PARKED:
            self.server.leave(self)
            return
        ledger = self.waiter.ledger
        self.waiter = Nobody(ledger)
        if ledger is not None:
            ledger.waste(self.stage, self.wait_s, self.seconds, self.joules)
        self.stage = WASTED

    def draws(self) -> list[Draw]:
        """Give what its service draws."""
        return [(self.server.meter, self.t - self.seconds, self.t, self.joules)]

    def uses(self, part: Any) -> bool:
        """Whether it waits for this server or is served by it."""
        return self.server is part

    def cut(self, error: FlowError) -> None:
        """Take back what lies after the present and raise the error in the flow."""
        server = self.server
        if self.eid == PARKED:
            server.evict(self, error)
            return
        now = server.world._now
        left, share = part_after(now, self.t, self.seconds)
        late = max(0.0, self.t - self.seconds - now)  # how much longer it would have waited
        server.wait_s -= late
        server.meter.seconds[ACTIVE] -= left
        server.meter.joules[ACTIVE] -= share * self.joules
        self.eid = 0
        correct(server.world, self.waiter, self.stage, -late, -left, -share * self.joules)
        self.waiter.fail(self, error)

    def put_off(self, delay_s: float, factor: float) -> None:
        """Move what lies after the present; stretched service keeps its power."""
        server = self.server
        now = max(server.world._now, server.halted_until_s)  # what stands still already does so
        left = min(self.seconds, self.t - now)
        queue = max(0.0, self.t - self.seconds - now)
        wait = delay_s + queue * (factor - 1.0)
        service = left * (factor - 1.0)
        joules = self.joules * service / self.seconds if self.seconds else 0.0
        server.wait_s += wait
        server.meter.seconds[ACTIVE] += service
        server.meter.joules[ACTIVE] += joules
        self.wait_s += wait
        self.seconds += service
        self.joules += joules
        correct(server.world, self.waiter, self.stage, wait, service, joules)
        self._push(server.world, now + delay_s + (self.t - now) * factor)

    def unserved(self, now: float) -> list[Unserved]:
        """Give the part of the reservation that lies after `now`."""
        now = max(now, self.server.halted_until_s)
        left, share = part_after(now, self.t, self.seconds)
        return [(self.server.meter, ACTIVE, left, share * self.joules)] if share else []

    def __repr__(self) -> str:
        return f"<Use of {self.server.name} for {self.seconds} s>"


def correct(
    world: World, waiter: Any, stage: int, wait_s: float, service_s: float, joules: float
) -> None:
    """Add signed amounts to what an operation was charged when it started.

    The books of a flow that has ended are closed: then the energy goes to `World.unowned_j`.
    """
    ledger = waiter.ledger
    if ledger is None or ledger.is_closed:
        world.unowned_j += joules
    elif stage == WASTED:
        ledger.spoil(service_s, joules)
    else:
        ledger.charge(stage, wait_s, service_s, joules)


def part_after(now: float, end_s: float, seconds: float) -> tuple[float, float]:
    """Give (seconds, share) of a reservation ending at `end_s` that lie after `now`."""
    if end_s <= now:
        return 0.0, 0.0
    left = min(seconds, end_s - now)
    return left, left / seconds if seconds else 1.0
