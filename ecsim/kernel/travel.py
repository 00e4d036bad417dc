"""Messages: what carries bytes over the links of a route, one reservation per link."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappush
from math import inf
from typing import TYPE_CHECKING, Any

from ecsim.core.errors import FlowError
from ecsim.kernel.ledger import BYTES, HEAD, JOULES, MARKED, PROPAGATION, SERVICE, WIDTH
from ecsim.kernel.meter import ACTIVE, Draw, Unserved
from ecsim.kernel.operations import (
    NOBODY,
    WASTED,
    Operation,
    correct,
    part_after,
    require_amount,
)

if TYPE_CHECKING:
    from ecsim.kernel.topology import Hop


class Again:
    """Lets a message that stood before a closed link try once more."""

    __slots__ = ()

    def wake(self, travel: Any) -> None:
        """Stand before the link anew; what was charged so far stays in the message's totals."""
        travel.start(travel)


AGAIN: Any = Again()


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
