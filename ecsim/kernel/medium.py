"""A channel that its messages share: each gets an equal part of the time, none waits in a queue.

Egalitarian processor sharing in virtual time, e.g. one WiFi cell: with n messages under way each
is served for 1/n of the time at its own direction's rate. The bits that any message of a direction
has been given since an instant are the same, so that a message ends when this *virtual work*
reaches a mark that is known at its start. One entry on the heap stands for the next to end.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from math import inf
from typing import TYPE_CHECKING

from ecsim.kernel.channel import Channel
from ecsim.kernel.meter import Unserved

if TYPE_CHECKING:
    from ecsim.kernel.line import Line
    from ecsim.kernel.meter import Meter
    from ecsim.kernel.travel import Travel
    from ecsim.kernel.world import World

_Entry = tuple[float, int, "Travel", "Line", float, float]


class _Class:
    """Messages of one direction: their rate, their virtual work, and their marks."""

    __slots__ = ("line", "messages", "virtual_bits")

    def __init__(self, line: Line) -> None:
        self.line = line
        self.virtual_bits = 0.0
        self.messages: list[_Entry] = []  # a heap by mark


class SharingChannel(Channel):
    """A medium whose time is shared equally by the messages under way.

    In half duplex both directions are on it; each is a class with its own rate. What is booked
    for a message is its airtime, the time that it was served alone, at its end; until then
    `unserved` gives what has been served already.

    Attributes
    ----------
    n_active : messages under way.
    watchers : called when a message joins or leaves, which changes everybody's part (batteries).
    """

    __slots__ = (
        "_airtime_s", "_classes", "_next", "_serial", "_since_s", "eid", "n_active", "t",
        "watchers",
    )  # fmt: skip

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.eid = 0
        self.n_active = 0
        self._airtime_s = 0.0
        self._since_s = 0.0
        self._serial = 0
        self._classes: dict[object, _Class] = {}
        self._next: _Class | None = None
        self.watchers: tuple[Callable[[], None], ...] = ()

    def join(self, travel: Travel, line: Line, now: float) -> None:
        """Take a message; `Line.sent` is called when its last bit has left."""
        self._advance(now)
        key: object = line.hop.bit_per_s if line.clock is None else line.clock
        group = self._classes.get(key)
        if group is None:
            group = self._classes[key] = _Class(line)
        self.n_active += 1
        self._serial += 1
        mark = group.virtual_bits + travel.size_bytes * 8.0
        entry = (mark, self._serial, travel, line, now, self._airtime_s)
        heappush(group.messages, entry)
        self._plan(now)
        self._tell()

    def _advance(self, now: float) -> None:
        """Bring virtual work and airtime up to the present."""
        since = self._since_s
        if self.n_active and now > since:
            for group in self._classes.values():
                group.virtual_bits += group.line.bits_between(since, now) / self.n_active
            self._airtime_s += (now - since) / self.n_active
        self._since_s = now

    def _plan(self, now: float) -> None:
        """Push the entry of the message that ends next; the one before is stale from now on."""
        best = inf
        for group in self._classes.values():
            if group.messages:
                bits = max(0.0, group.messages[0][0] - group.virtual_bits)
                end = group.line.end(now, bits * self.n_active)
                if end < best:
                    best = end
                    self._next = group
        self.t = best
        self.eid = eid = self.world.next_id()
        heappush(self.world.queue, (best, 1, eid, self))

    def fire(self, eid: int) -> None:
        """End the message whose mark is reached."""
        if eid != self.eid:
            return
        now = self.world._now
        self._advance(now)
        group = self._next
        assert group is not None
        entry = heappop(group.messages)
        group.virtual_bits = entry[0]  # its mark, whatever rounding says
        airtime = self._airtime_s - entry[5]
        self._remove(now)
        self._end(entry, airtime, now)

    def _tell(self) -> None:
        for watcher in self.watchers:
            watcher()

    def _remove(self, now: float) -> None:
        self.n_active -= 1
        self._tell()
        if self.n_active:
            self._plan(now)
            return
        self.eid = 0
        self._airtime_s = 0.0
        for group in self._classes.values():
            group.virtual_bits = 0.0

    def _end(self, entry: _Entry, airtime: float, now: float) -> None:
        _, _, travel, line, since, _ = entry
        airtime = min(airtime, now - since)
        if line.radio is not None:
            line.radio.close(now)
        line.sent(travel, now - since - airtime, airtime, now)

    def leave(self, travel: Travel, now: float) -> tuple[float, float, float]:
        """Take out a message before its end; give its wait, its airtime and the bytes it sent."""
        self._advance(now)
        for group in self._classes.values():
            for entry in group.messages:
                if entry[2] is travel:
                    group.messages.remove(entry)
                    heapify(group.messages)
                    airtime = min(self._airtime_s - entry[5], now - entry[4])
                    left_bytes = max(0.0, entry[0] - group.virtual_bits) / 8.0
                    self._remove(now)
                    sent_bytes = max(0.0, travel.size_bytes - left_bytes)
                    return now - entry[4] - airtime, airtime, sent_bytes
        raise ValueError(f"{travel!r} is not on {self!r}")

    def messages(self) -> list[Travel]:
        """Give the messages under way, in the order in which they came."""
        entries = [entry for group in self._classes.values() for entry in group.messages]
        return [entry[2] for entry in sorted(entries, key=lambda entry: entry[1])]

    def backlog_s(self) -> float:
        """Give zero: a message that joins is served at once, however slowly."""
        return 0.0

    def unserved(self, now: float) -> list[Unserved]:
        """Give what the messages under way have been served already, as less than nothing."""
        parts: list[Unserved] = []
        airtime_s = self._airtime_s + (now - self._since_s) / max(1, self.n_active)
        for group in self._classes.values():
            passed = group.line.bits_between(self._since_s, now) / max(1, self.n_active)
            for mark, _, travel, line, since, airtime_before in group.messages:
                airtime = min(airtime_s - airtime_before, now - since)
                served_bytes = travel.size_bytes - (mark - group.virtual_bits - passed) / 8.0
                served_bytes = min(travel.size_bytes, max(0.0, served_bytes))
                parts += line.parts(-airtime, -served_bytes)
        return parts

    def draw(self, meter: Meter) -> tuple[float, float, float]:
        """Give the energy that its messages drew from a meter, their power, and until when.

        The power holds until a message joins or leaves, of which `watchers` hear, or a rate
        changes.
        """
        now = self.world._now
        drawn_j = self._under_way_j(meter, now)
        for hop in self.hops:
            if hop.tx is meter:
                drawn_j += hop.work_s * hop.tx_w + hop.bytes * hop.tx_j_per_byte
            if hop.rx is meter:
                drawn_j += hop.work_s * hop.rx_w + hop.bytes * hop.rx_j_per_byte
        if not self.n_active:
            return drawn_j, 0.0, inf
        clocks = (group.line.clock for group in self._classes.values() if group.messages)
        until = min((clock.next_change(now) for clock in clocks if clock is not None), default=inf)
        t = min(self.t, until)
        if t <= now:
            return drawn_j, 0.0, until
        more_j = self._under_way_j(meter, t) - self._under_way_j(meter, now)
        return drawn_j, more_j / (t - now), until

    def _under_way_j(self, meter: Meter, t: float) -> float:
        return -sum(part[3] for part in self.unserved(t) if part[0] is meter)
