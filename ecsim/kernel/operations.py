"""What a flow may yield: inert objects that start when yielded and resume the flow when over.

An operation is itself the entry on the world's heap: one entry per hop, no process, no event, no
closure. An entry is *stale*, and is skipped without moving the clock, when the id it was pushed
under is no longer the operation's `eid`; cancelling or moving an operation costs one assignment.

Whatever is resumed by an operation (a flow, or a join of several branches) is a `Waiter`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heappush, heapreplace
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from ecsim.core.errors import FlowError, StrategyError
from ecsim.kernel.ledger import BYTES, HEAD, JOULES, MARKED, PROPAGATION, SERVICE, WIDTH, Ledger
from ecsim.kernel.meter import ACTIVE, Draw, Unserved

if TYPE_CHECKING:
    from ecsim.kernel.server import FifoServer
    from ecsim.kernel.topology import Hop
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


class Again:
    """Lets a message that stood before a closed link try once more."""

    __slots__ = ()

    def wake(self, travel: Any) -> None:
        """Stand before the link anew; what was charged so far stays in the message's totals."""
        travel.start(travel)


NOBODY: Any = Nobody()
AGAIN: Any = Again()
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


class Travel(Operation):
    """Carry a message over a route, store and forward; resumes on arrival at the last node.

    On each link the message waits for the channel (FIFO), occupies it while it is serialised, and
    then propagates without occupying it. A link is reserved when the message arrives at it, never
    ahead; one heap entry covers serialisation and propagation of one link. An empty route (both
    ends on one node) takes no time. A message whose flow loses a race cannot be called back: it
    goes on to its destination as wasted.

    Parameters
    ----------
    hops : the route, as `Topology.route` gives it.
    size_bytes : size of the message, >= 0.
    stage : index of the ledger's stage that it is charged to.
    value : what the flow gets back.
    marks : whether the ledger's mark is set once a link takes the message.

    Raises
    ------
    StrategyError
        At the ``yield``, when the size is negative or not finite.
    """

    __slots__ = (
        "_at", "_end_s", "_seconds", "attempt", "hops", "joules", "ledger", "marks", "owner",
        "propagation_s", "service_s", "size_bytes", "stage", "wait_s",
    )  # fmt: skip

    attempt: int  # attempts that were lost on the present link; kept by its line, if it has one

    def __init__(
        self,
        hops: Sequence[Hop],
        size_bytes: float,
        stage: int = 0,
        value: Any = None,
        marks: bool = False,
    ) -> None:
        self.eid = 0
        self.hops = hops
        self.size_bytes = size_bytes
        self.stage = stage
        self.value = value
        self.marks = marks

    def start(self, waiter: Any) -> None:
        """Reserve the first link; with itself as the waiter, the next one."""
        hops = self.hops
        ledger = waiter.ledger
        is_first = waiter is not self
        if is_first:
            if self.eid:
                self._require_fresh()
            if not 0.0 <= self.size_bytes < inf:
                require_amount("size of a message", self.size_bytes)
            self.owner = waiter
            self.ledger = ledger
            self._at = at = 0
            if not hops:
                self._stay()
                return
        else:
            at = self._at
        hop = hops[at]
        channel = hop.channel
        world = channel.world
        now = world._now
        if hop.down_until_s > now:
            hop.refuse(self, now, is_new=is_first)
            if is_first and ledger is not None and self.eid:  # it waits there
                ledger.send(self.stage, self.size_bytes, self.marks)
            return
        if hop.line is not None:
            if is_first:
                self.wait_s = self.service_s = self.joules = self.propagation_s = 0.0
                if ledger is not None:
                    ledger.send(self.stage, self.size_bytes, self.marks)
            hop.line.carry(self, now)
            return
        size_bytes = self.size_bytes
        begin = channel.free_s
        if begin > now:
            wait = begin - now
            hop.wait_s += wait
            if wait > channel.max_wait_s:
                channel.max_wait_s = wait
        else:
            begin = now
            wait = 0.0
        self._seconds = seconds = size_bytes * 8.0 / hop.bit_per_s
        channel.free_s = self._end_s = end = begin + seconds
        hop.n_jobs += 1
        hop.bytes += size_bytes
        hop.work_s += seconds
        joules = hop.power_w * seconds
        propagation = hop.propagation_s
        if ledger is None:
            world.unowned_j += joules
        elif self.stage == WASTED:
            correct(world, self, WASTED, 0.0, seconds, joules)
        else:
            cells = ledger.cells
            cells[PROPAGATION] += propagation
            base = HEAD + WIDTH * self.stage
            if wait:
                cells[base] += wait
            cells[base + SERVICE] += seconds
            cells[base + JOULES] += joules
            if is_first:
                cells[base + BYTES] += size_bytes
                if self.marks:
                    cells[MARKED] = 1.0
        if is_first:
            self.wait_s = wait
            self.service_s = seconds
            self.joules = joules
            self.propagation_s = propagation
        else:
            self.wait_s += wait
            self.service_s += seconds
            self.joules += joules
            self.propagation_s += propagation
        self._at = at = at + 1
        self.waiter = self if at < len(hops) else self.owner
        self.t = t = end + propagation
        self.eid = eid = next(world.ids)
        heappush(world.queue, (t, 1, eid, self))

    wake = start  # on arrival at a node on the way, its waiter is itself

    def _stay(self) -> None:
        """Arrive at once: both ends are one node."""
        waiter = self.waiter = self.owner
        self.wait_s = self.service_s = self.joules = self.propagation_s = 0.0
        self._end_s = self._seconds = 0.0
        if waiter.ledger is not None:
            waiter.ledger.send(self.stage, 0.0, self.marks)
        self._push(waiter.world, waiter.world._now)

    def abandon(self) -> None:
        """Let the message travel on as wasted; nobody hears of its arrival."""
        if self.waiter is self.owner:
            self.waiter = NOBODY
        self.owner = NOBODY
        if self.ledger is not None:
            self.ledger.waste(self.stage, self.wait_s, self.service_s, self.joules)
            self.ledger.propagate(-self.propagation_s)
        self.stage = WASTED

    @property
    def hop(self) -> Hop | None:
        """The link that it waits for or is on, None where there is none to take."""
        if self.waiter is AGAIN:
            return self.hops[self._at]
        return self.hops[self._at - 1] if self._at else None

    @property
    def is_serialised(self) -> bool:
        """Whether its last bit has left the sender of the present link."""
        if self.waiter is AGAIN:
            return False
        return not self._at or self._end_s <= self.hops[0].channel.world._now

    def draws(self) -> list[Draw]:
        """Give what the serialisation on the present link draws at both ends."""
        if not self._at or not self._seconds or self._end_s == inf:
            return []
        hop = self.hops[self._at - 1]
        end = self._end_s
        # what stood still in an outage has a part behind it
        begin = max(end - self._seconds, hop.channel.halted_until_s)
        if begin >= end:
            return []
        if hop.line is not None and hop.line.clock is not None:
            return hop.line.draws(begin, end)
        seconds = end - begin
        size_bytes = self.size_bytes * min(1.0, seconds / self._seconds)
        return [
            (hop.tx, begin, end, hop.tx_w * seconds + hop.tx_j_per_byte * size_bytes),
            (hop.rx, begin, end, hop.rx_w * seconds + hop.rx_j_per_byte * size_bytes),
        ]

    def cut(self, error: FlowError) -> None:
        """End the message on its present link and raise the error in the flow."""
        self._take_back()
        self.owner.fail(self, error)

    def _take_back(self) -> None:
        """Take it off its present link, and back what lies after the present."""
        if self.waiter is AGAIN:
            self._charge_wait(self.hops[self._at], self.hops[0].channel.world._now - self.t)
            self.eid = 0
            return
        hop = self.hops[self._at - 1]
        if hop.line is not None:
            hop.line.take_back(self)
            return
        world = hop.channel.world
        goes_on_s = max(world._now, hop.channel.halted_until_s)
        left, _share = part_after(goes_on_s, self._end_s, self._seconds)
        late = max(0.0, self._end_s - left - world._now)
        hop.work_s -= left
        hop.wait_s -= late
        joules = left * hop.power_w
        self.eid = 0
        correct(world, self, self.stage, -late, -left, -joules)
        # it propagated for what lies between its last bit and the present
        ahead = min(hop.propagation_s, self.t - world._now)
        if self.ledger is not None and self.stage != WASTED:
            self.ledger.propagate(-ahead)
        self.wait_s -= late
        self.service_s -= left
        self.joules -= joules
        self.propagation_s -= ahead

    def stand(self, hop: Hop, until_s: float) -> None:
        """Wait before a link that is closed until then."""
        world = hop.channel.world
        self._end_s, self._seconds, self.attempt = inf, 0.0, 0
        self.waiter = AGAIN
        self._charge_wait(hop, until_s - world._now)
        self._push(world, until_s)

    def stand_back(self, until_s: float) -> None:
        """Leave the present link, for one of its ends is out, and be sent anew from then on."""
        hop = self.hops[self._at - 1]
        n_jobs, size_bytes = hop.n_jobs, hop.bytes
        goes_on_s = max(hop.channel.world._now, hop.channel.halted_until_s)
        was_sent = self._end_s == inf or self._end_s - self._seconds < goes_on_s
        self._take_back()
        if not was_sent:
            hop.n_jobs = n_jobs - 1
            hop.bytes = size_bytes - self.size_bytes
        elif self.ledger is not None and self.stage != WASTED:
            self.ledger.send(self.stage, self.size_bytes)
        self._at -= 1
        self.stand(hop, until_s)

    def arrive_later(self, until_s: float) -> None:
        """Arrive on the present link's far end when that is back."""
        delay_s = until_s - self.t
        if delay_s > 0.0:
            hop = self.hops[self._at - 1]
            self._charge_wait(hop, delay_s)
            self._push(hop.channel.world, until_s)
            if hop.line is not None:
                hop.line.last_s = max(hop.line.last_s, until_s)

    def _charge_wait(self, hop: Hop, wait_s: float) -> None:
        hop.wait_s += wait_s
        self.wait_s += wait_s
        correct(hop.channel.world, self, self.stage, wait_s, 0.0, 0.0)

    def put_off(self, delay_s: float, factor: float) -> None:
        """Let the link's remaining serialisation start later; `factor` must be 1."""
        if self.waiter is AGAIN:
            return  # it will find the link as it is then
        hop = self.hops[self._at - 1]
        if hop.line is not None:
            hop.line.put_off(self, delay_s)
            return
        self._end_s += delay_s
        hop.wait_s += delay_s
        self.wait_s += delay_s
        correct(hop.channel.world, self, self.stage, delay_s, 0.0, 0.0)
        self._push(hop.channel.world, self.t + delay_s)

    def unserved(self, now: float) -> list[Unserved]:
        """Give the part of the present link's serialisation that lies after `now`."""
        if not self._at:
            return []
        now = max(now, self.hops[self._at - 1].channel.halted_until_s)
        left, _share = part_after(now, self._end_s, self._seconds)
        if not left:
            return []
        hop = self.hops[self._at - 1]
        if hop.line is not None:
            return hop.line.unserved(self, now)
        return [(hop.tx, ACTIVE, left, left * hop.tx_w), (hop.rx, ACTIVE, left, left * hop.rx_w)]

    def __repr__(self) -> str:
        return f"<Travel of {self.size_bytes} bytes over {len(self.hops)} links>"


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
