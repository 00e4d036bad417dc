"""What a link may do beyond FIFO at a constant rate: the detour of a message over such a hop.

A plain hop is served by `Travel` itself. A hop with a `Line` hands its messages over: the line
promotes a sleeping radio, serialises at the rate of the moment, loses and repeats attempts, and
adds jitter to the propagation.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any

from ecsim.core.errors import FlowError, Lost
from ecsim.kernel.meter import ACTIVE, Draw, Unserved
from ecsim.kernel.operations import WASTED, correct

if TYPE_CHECKING:
    from ecsim.kernel.clock import Steps, WorkClock
    from ecsim.kernel.jitter import Draws, Loss
    from ecsim.kernel.medium import SharingChannel
    from ecsim.kernel.radio import Radio
    from ecsim.kernel.topology import Hop
    from ecsim.kernel.travel import Travel


class Line:
    """One direction of a link whose rate, latency, fate or radio is not the plain one.

    Parameters
    ----------
    hop : the hop it belongs to.
    clock : rate in bit/s as a function of time; None: the hop's constant rate.
    latency : latency in s as a function of time; None: the hop's constant propagation.
    jitter : what is added to the latency of each message, in s.
    in_order : a message never overtakes another on its way; it waits, which counts as propagation.
    loss : probability of losing an attempt, and the rules of repeating it.
    losses : uniform numbers in [0, 1) that decide about attempts.
    radio : the radio of the link's near end, where it has states.
    sharing : the channel, where it is shared by the messages under way.

    Attributes
    ----------
    n_attempts, n_lost, n_given_up : attempts so far, those lost, and messages given up.
    watchers : called with each message that stands before the hop (batteries).
    """

    __slots__ = (
        "_connected", "_give_up", "_retry", "clock", "hop", "in_order", "jitter", "last_s",
        "latency", "loss", "losses", "n_attempts", "n_given_up", "n_lost", "radio", "sharing",
        "watchers",
    )  # fmt: skip

    def __init__(
        self,
        hop: Hop,
        *,
        clock: WorkClock | None = None,
        latency: Steps | None = None,
        jitter: Draws | None = None,
        in_order: bool = True,
        loss: Loss | None = None,
        losses: Draws | None = None,
        radio: Radio | None = None,
        sharing: SharingChannel | None = None,
    ) -> None:
        self.hop = hop
        self.clock = clock
        self.latency = latency
        self.jitter = jitter
        self.in_order = in_order
        self.loss = loss
        self.losses = losses
        self.radio = radio
        self.sharing = sharing
        self.last_s = 0.0
        self.watchers: tuple[Callable[[Travel], None], ...] = ()
        self.n_attempts = self.n_lost = self.n_given_up = 0
        self._connected = _Connected(self)
        self._retry = _Retry(self)
        self._give_up = _GiveUp(self)
        hop.line = self

    def carry(self, travel: Travel, now: float) -> None:
        """Take a message that stands before the hop for the first time."""
        travel.attempt = 0
        self._join(travel, now)

    def resume(self, travel: Travel) -> None:
        """Take it again: its radio is connected, or its time-out has ended."""
        hop = self.hop
        now = hop.channel.world._now
        if hop.down_until_s > now:
            hop.refuse(travel, now)
        else:
            self._join(travel, now)

    def _join(self, travel: Travel, now: float) -> None:
        """Connect, then join the channel."""
        hop = self.hop
        world = hop.channel.world
        radio = self.radio
        for watcher in self.watchers:
            watcher(travel)
        if radio is not None:
            delay, joules = radio.request(now)
            if delay:
                self._charge(travel, delay, 0.0, joules, 0.0)
                travel._end_s = travel._seconds = 0.0
                travel.waiter = self._connected
                travel._push(world, now + delay)
                return
        if travel.attempt and travel.stage != WASTED and travel.ledger is not None:
            travel.ledger.send(travel.stage, travel.size_bytes)
        travel._at += 1
        if self.sharing is not None:
            if radio is not None:
                radio.open()
            travel.eid = -1
            travel.waiter = travel
            travel._end_s, travel._seconds = inf, 0.0
            self.sharing.join(travel, self, now)
            return
        channel = hop.channel
        begin = channel.free_s
        if begin < now:
            begin = now
        bits = travel.size_bytes * 8.0
        if self.clock is None:
            seconds = bits / hop.bit_per_s
            end = begin + seconds
        else:
            end = self.clock.end(begin, bits)
            seconds = end - begin
        channel.free_s = end
        if radio is not None:
            radio.hold(end)
        self.sent(travel, begin - now, seconds, end)

    def sent(self, travel: Travel, wait: float, seconds: float, end: float) -> None:
        """Book one attempt whose last bit leaves at `end`, and decide what becomes of it."""
        hop = self.hop
        world = hop.channel.world
        size_bytes = travel.size_bytes
        hop.n_jobs += 1
        hop.bytes += size_bytes
        hop.work_s += seconds
        hop.wait_s += wait
        if wait > hop.channel.max_wait_s:
            hop.channel.max_wait_s = wait
        joules = hop.power_w * seconds + hop.joules_per_byte * size_bytes
        travel._end_s = end
        travel._seconds = seconds
        self.n_attempts += 1
        loss = self.loss
        if loss is not None and self.losses is not None and self.losses() < loss.probability:
            self.n_lost += 1
            travel.attempt += 1
            timeout = loss.timeout_s * loss.backoff ** (travel.attempt - 1)
            travel.waiter = self._give_up if travel.attempt >= loss.attempts else self._retry
            # the wait for a receipt is a wait for the link
            self._charge(travel, wait + timeout, seconds, joules, 0.0)
            travel._push(world, end + timeout)
            return
        travel.attempt = 0
        propagation = hop.propagation_s if self.latency is None else self.latency.at(end)
        if self.jitter is not None:
            propagation = max(0.0, propagation + self.jitter())
        arrival = end + propagation
        if self.in_order:
            if arrival < self.last_s:
                arrival = self.last_s
                propagation = arrival - end
            self.last_s = arrival
        self._charge(travel, wait, seconds, joules, propagation)
        travel.waiter = travel if travel._at < len(travel.hops) else travel.owner
        travel._push(world, arrival)

    def take_back(self, travel: Travel) -> None:
        """Take a message off this hop, and back what lies after the present.

        What was transmitted stays booked. The radio stays connected for as long as it would have
        been: it does not know.
        """
        hop = self.hop
        now = hop.channel.world._now
        if self.sharing is not None and travel.eid == -1:
            wait, seconds, size_bytes = self.sharing.leave(travel, now)
            if self.radio is not None:
                self.radio.close(now)
            hop.n_jobs += 1
            ahead = 0.0
        else:
            left_s, left_bytes = self.left(travel, now)
            seconds, size_bytes = -left_s, -left_bytes
            wait = -max(0.0, travel._end_s - left_s - now)
            ahead = travel.t - max(now, travel._end_s)  # of its propagation, or of a time-out
        hop.wait_s += wait
        hop.work_s += seconds
        hop.bytes += size_bytes
        joules = hop.power_w * seconds + hop.joules_per_byte * size_bytes
        travel.eid = 0
        if travel.attempt:
            self._charge(travel, wait - ahead, seconds, joules, 0.0)
        else:
            self._charge(travel, wait, seconds, joules, -ahead)

    def put_off(self, travel: Travel, delay_s: float) -> None:
        """Let the remaining serialisation of an attempt start later, at a constant rate."""
        assert self.clock is None and self.sharing is None, "a scenario cannot ask for this"
        travel._end_s += delay_s
        self.hop.wait_s += delay_s
        self._charge(travel, delay_s, 0.0, 0.0, 0.0)
        if self.radio is not None:
            self.radio.hold(travel._end_s)
        travel._push(self.hop.channel.world, travel.t + delay_s)
        if not travel.attempt:
            self.last_s = max(self.last_s, travel.t)

    def _charge(
        self, travel: Travel, wait: float, seconds: float, joules: float, propagation: float
    ) -> None:
        travel.wait_s += wait
        travel.service_s += seconds
        travel.joules += joules
        travel.propagation_s += propagation
        correct(self.hop.channel.world, travel, travel.stage, wait, seconds, joules)
        if travel.ledger is not None and travel.stage != WASTED:
            travel.ledger.propagate(propagation)

    def bits_between(self, begin: float, end: float) -> float:
        """Give what the whole channel carries between two times at this direction's rate."""
        if self.clock is None:
            return (end - begin) * self.hop.bit_per_s
        return self.clock.work(begin, end)

    def end(self, begin: float, bits: float) -> float:
        """Give the time at which the whole channel has carried `bits` from `begin` on."""
        return (
            begin + bits / self.hop.bit_per_s if self.clock is None else self.clock.end(begin, bits)
        )

    def left(self, travel: Travel, now: float) -> tuple[float, float]:
        """Give the seconds and bytes of the present attempt's serialisation that lie after now."""
        end = travel._end_s
        now = max(now, self.hop.channel.halted_until_s)
        seconds = min(travel._seconds, end - now)
        if self.sharing is not None or seconds <= 0.0:
            return 0.0, 0.0
        if seconds == travel._seconds:
            return seconds, travel.size_bytes
        return seconds, min(travel.size_bytes, self.bits_between(now, end) / 8.0)

    def unserved(self, travel: Travel, now: float) -> list[Unserved]:
        """Give the part of the present attempt's serialisation that lies after `now`."""
        seconds, size_bytes = self.left(travel, now)
        return self.parts(seconds, size_bytes) if seconds else []

    def draws(self, begin: float, end: float) -> list[Draw]:
        """Give what serialisation between two times draws at both ends, by pieces of the rate."""
        assert self.clock is not None
        found: list[Draw] = []
        for since, until, bit_per_s in self.clock.stretches(begin, end):
            seconds = until - since
            parts = self.parts(seconds, seconds * bit_per_s / 8.0)
            found += [(meter, since, until, joules) for meter, _state, _s, joules in parts]
        return found

    def parts(self, seconds: float, size_bytes: float) -> list[Unserved]:
        """Give what so much serialisation books at both ends."""
        hop = self.hop
        tx_j = seconds * hop.tx_w + size_bytes * hop.tx_j_per_byte
        rx_j = seconds * hop.rx_w + size_bytes * hop.rx_j_per_byte
        return [(hop.tx, ACTIVE, seconds, tx_j), (hop.rx, ACTIVE, seconds, rx_j)]


class _Connected:
    """Goes on with a message when its radio is connected."""

    __slots__ = ("_line",)

    def __init__(self, line: Line) -> None:
        self._line = line

    def wake(self, travel: Any) -> None:
        """Join the channel."""
        self._line.resume(travel)


class _Retry(_Connected):
    """Sends a message again when its time-out ends."""

    __slots__ = ()

    def wake(self, travel: Any) -> None:
        """Stand before the hop again."""
        travel._at -= 1
        self._line.resume(travel)


class _GiveUp(_Connected):
    """Gives a message up when its last time-out ends."""

    __slots__ = ()

    def wake(self, travel: Any) -> None:
        """Raise `Lost` in the flow."""
        line = self._line
        line.n_given_up += 1
        travel.eid = 0
        loss = line.loss
        assert loss is not None
        error: FlowError = Lost(
            f"a message of {travel.size_bytes:g} bytes over {line.hop.channel.name} was lost "
            f"{loss.attempts} times"
        )
        travel.owner.fail(travel, error)
