"""Outages: parts of the world go out and come back, at times that are known in advance.

Servers and channels stay reservations. When a part goes out, the few operations that are on it
are found on the world's heap and end there and then (their flows see `Down`), or are put off;
nothing is paid while all is well. Whatever comes during the outage is refused at the door.

A run's outages begin before its horizon only, so that what drains meets no new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappush
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, Protocol

from ecsim.core.errors import Down
from ecsim.kernel.medium import SharingChannel
from ecsim.kernel.operations import Operation
from ecsim.kernel.travel import AGAIN, Travel

if TYPE_CHECKING:
    from ecsim.kernel.channel import Channel
    from ecsim.kernel.meter import Meter
    from ecsim.kernel.node import Node
    from ecsim.kernel.server import FifoServer
    from ecsim.kernel.topology import Hop
    from ecsim.kernel.world import World

Periods = Iterable[tuple[float, float]]


class Part(Protocol):
    """Something that can go out: a `NodeSwitch`, a `LinkSwitch` or a `Throttle`."""

    def go_down(self, until_s: float) -> None:
        """Go out at the present time; if it is out already, stay out until then at least."""

    def come_up(self) -> None:
        """Come back, unless another outage lasts longer."""


class NodeSwitch:
    """A node's engines and radios, which go out together.

    Messages on the node's links are lost: those that it has not sent in full, and those on the
    last link towards it. So are its jobs. Where `keeps` is set all of them survive: jobs stand
    still and go on, messages that had not been sent in full are sent anew when it is back, and
    those on their way to it arrive then; what comes meanwhile waits.

    Parameters
    ----------
    keeps : whether jobs on its engines, and messages, survive an outage.

    Attributes
    ----------
    is_down : whether it is out.
    until_s : end of the present or last outage.
    n_outages : outages so far.
    """

    def __init__(self, world: World, node: Node, keeps: bool = False):
        self.world = world
        self.name = node.name
        self.keeps = keeps
        self.is_down = False
        self.until_s = 0.0
        self.n_outages = 0
        self._down_s = 0.0
        self.on_change: list[Callable[[], None]] = []
        self._since_s = 0.0
        self._engines: list[FifoServer] = list(node.engines.values())
        self._radios = (node.transmitter, node.receiver)
        self._meters: list[Meter] = [engine.meter for engine in self._engines]
        self._meters += self._radios
        for meter in self._meters:
            meter.can_go_down()

    @property
    def down_s(self) -> float:
        """Seconds that it has been out so far."""
        return self._down_s + (self.world._now - self._since_s if self.is_down else 0.0)

    def error(self) -> Down:
        """Give what befalls an operation on this node."""
        return Down(self.name, self.name)

    def go_down(self, until_s: float) -> None:
        """Go out now; the engines' idle power goes to 0."""
        world = self.world
        now = world._now
        from_s = self.until_s if self.is_down else now
        self.until_s = max(until_s, from_s)
        if not self.is_down:
            self.is_down = True
            self.n_outages += 1
            self._since_s = now
        for meter in self._meters:
            meter.go_down(now)
        operations = live(world)
        ended = self._radio_silence(operations)
        for engine in self._engines:
            engine.catch_up(now)
            jobs = [operation for operation in operations if operation.uses(engine)]
            if self.keeps:
                delay_s = self.until_s - from_s
                for job in jobs:
                    job.put_off(delay_s, 1.0)
                engine.put_off(delay_s, 1.0)
                engine.halted_until_s = self.until_s
            else:
                ended += jobs + engine.parked()
                engine.clear(self.until_s)
                engine.down_error = self.error
                engine.watch()
        end(ended, self.error)
        in_order_again({hop for meter in self._radios for hop, *_ in meter.radios}, operations)
        for changed in self.on_change:
            changed()

    def _radio_silence(self, operations: list[Operation]) -> list[Operation]:
        """Close the links of the node; give the messages that are lost, let the others wait."""
        now = self.world._now
        out, into = ({hop for hop, *_ in meter.radios} for meter in self._radios)
        for radio in self.world.radios:
            if radio.meter.node == self.name:
                radio.off(now)
        for hop in out | into:
            hop.down_until_s = max(hop.down_until_s, self.until_s)
            if not self.keeps:
                hop.lost_until_s = max(hop.lost_until_s, self.until_s)
                hop.down_error = self.error
        lost: list[Operation] = []
        for message in operations:
            if not isinstance(message, Travel) or message.hop is None:
                continue
            is_unsent = message.hop in out and not message.is_serialised
            if not is_unsent and message.hop not in into:
                continue
            if not self.keeps:
                lost.append(message)
            elif message.waiter is not AGAIN:
                self._keep(message)
        for channel in {hop.channel for hop in out | into}:
            if all(hop in out or hop in into for hop in channel.hops):
                # nobody else had reserved it
                channel.free_s = max(now, channel.halted_until_s)
        return lost

    def _keep(self, message: Travel) -> None:
        if not message.is_serialised:
            message.stand_back(self.until_s)
        elif message.hops[message._at - 1].line is None or not message.attempt:
            message.arrive_later(self.until_s)

    def come_up(self) -> None:
        """Work again."""
        now = self.world._now
        if not self.is_down or now < self.until_s:
            return
        self.is_down = False
        self._down_s += now - self._since_s
        for meter in self._meters:
            meter.come_up(now)
        for engine in self._engines:
            engine.down_error = None
            engine.watch()
        for changed in self.on_change:
            changed()


class LinkSwitch:
    """The two channels of a link, or of a medium that several nodes share.

    All messages that wait for it or are on their way over it are lost, or stand still and go on
    afterwards where `keeps` is set (those whose last bit is sent arrive).

    Parameters
    ----------
    name : for the errors.
    channels : the channels that go out together.
    keeps : whether messages survive an outage.
    """

    def __init__(self, world: World, name: str, channels: Iterable[Channel], keeps: bool = False):
        self.world = world
        self.name = name
        self.keeps = keeps
        self.is_down = False
        self.until_s = 0.0
        self.n_outages = 0
        self.on_change: list[Callable[[], None]] = []
        self._channels = tuple(channels)

    def error(self) -> Down:
        """Give what befalls a message on this link."""
        return Down(self.name)

    def go_down(self, until_s: float) -> None:
        """Go out now."""
        world = self.world
        now = world._now
        from_s = self.until_s if self.is_down else now
        self.until_s = max(until_s, from_s)
        self.n_outages += not self.is_down
        self.is_down = True
        operations = live(world)
        hops = [hop for channel in self._channels for hop in channel.hops]
        messages = [m for m in operations if isinstance(m, Travel) and m.hop in hops]
        if self.keeps:
            delay_s = self.until_s - from_s
            for message in messages:
                if not message.is_serialised:
                    message.put_off(delay_s, 1.0)
            for channel in self._channels:
                channel.free_s = max(channel.free_s, from_s) + delay_s
                channel.halted_until_s = self.until_s
        else:
            for hop in hops:
                hop.down_until_s = max(hop.down_until_s, self.until_s)
                hop.lost_until_s = max(hop.lost_until_s, self.until_s)
                hop.down_error = self.error
            for channel in self._channels:
                channel.free_s = now
            end(messages, self.error)
            in_order_again(set(hops), messages)
        for changed in self.on_change:
            changed()

    def come_up(self) -> None:
        """Carry messages again."""
        if self.is_down and self.world._now >= self.until_s:
            self.is_down = False
            for changed in self.on_change:
                changed()


class Throttle:
    """Brown-outs of engines: for a while they run at a fraction of their speed.

    What is under way slows down too. A slowed engine keeps its power while it is busy, so a job
    takes more energy, in proportion to its time.

    Parameters
    ----------
    engines : reservation servers.
    speed : fraction of the normal speed, in (0, 1].
    """

    def __init__(self, world: World, engines: Iterable[FifoServer], speed: float):
        if not 0.0 < speed <= 1.0:
            raise ValueError(f"the speed of a brown-out must be in (0, 1], got {speed}")
        self.world = world
        self.speed = speed
        self._engines = tuple(engines)
        self._until_s = 0.0

    def go_down(self, until_s: float) -> None:
        """Slow down now."""
        self._until_s = max(self._until_s, until_s)
        self._set(1.0 / self.speed)

    def come_up(self) -> None:
        """Run at the normal speed again."""
        if self.world._now >= self._until_s:
            self._set(1.0)

    def _set(self, slowness: float) -> None:
        operations = live(self.world)
        for engine in self._engines:
            engine.catch_up(self.world._now)
            factor = slowness / engine.slowness
            for operation in operations:
                if operation.uses(engine):
                    operation.put_off(0.0, factor)
            engine.put_off(0.0, factor)
            engine.slowness = slowness
            if engine.background is not None:
                engine.background.slowness = slowness
            engine.watch()


class Outages:
    """Takes a part down at the beginning of each period and brings it up at its end.

    Parameters
    ----------
    periods : (begin, end) in s from the world's start, in order and not overlapping.
    before_s : no outage begins at or after this time.

    Raises
    ------
    ValueError
        (from here or from `World.run`) when a period is not after the one before, or not a time.
    """

    def __init__(self, world: World, part: Part, periods: Periods, before_s: float = inf):
        self.part = part
        self._world = world
        self._periods = iter(periods)
        self._before_s = before_s
        self._end_s = world._now
        self._is_out = False
        self._next()

    def _next(self) -> None:
        for begin_s, end_s in self._periods:
            if not (self._end_s <= begin_s <= end_s and isfinite(end_s)):
                raise ValueError(
                    f"expected an outage after {self._end_s} s, got {begin_s} s to {end_s} s"
                )
            if begin_s >= self._before_s:
                return
            self._end_s = end_s
            if end_s > begin_s:
                self._push(begin_s)
                return

    def _push(self, t: float) -> None:
        # priority 0: an outage comes before whatever else is due at its moment
        heappush(self._world.queue, (t, 0, self._world.next_id(), self))

    def fire(self, eid: int) -> None:
        """Go out or come back."""
        if self._is_out:
            self._is_out = False
            self.part.come_up()
            self._next()
        else:
            self._is_out = True
            self._push(self._end_s)
            self.part.go_down(self._end_s)
        for battery in self._world.batteries:  # what it counts on may have fallen out
            battery.touch()


def live(world: World) -> list[Operation]:
    """Give the operations that are under way and end after the present, in order of their end."""
    now = world._now
    entries: list[tuple[float, int, int, Any]] = [
        entry
        for entry in world.queue
        if entry[0] > now and isinstance(entry[3], Operation) and entry[3].eid == entry[2]
    ]
    operations = [entry[3] for entry in sorted(entries, key=lambda entry: entry[:3])]
    for _, _, eid, entry in world.queue:  # messages that share a medium wait in it, not here
        if isinstance(entry, SharingChannel) and entry.eid == eid:
            operations += entry.messages()
    return operations


def in_order_again(hops: set[Hop], operations: Iterable[Operation]) -> None:
    """Let nobody wait on the way for a message that was lost or went back to its sender."""
    lines = {hop: line for hop in hops if (line := hop.line) is not None}
    for line in lines.values():
        line.last_s = 0.0
    for message in operations:
        if isinstance(message, Travel) and message.eid > 0 and message.is_serialised:
            hop = message.hop
            taken = None if hop is None else lines.get(hop)
            if taken is not None and not message.attempt:
                taken.last_s = max(taken.last_s, message.t)


def end(operations: Iterable[Operation], error: Callable[[], Down]) -> None:
    """Cut operations; one that the fall of another has ended or abandoned meanwhile is passed."""
    pairs = [(operation, operation.eid) for operation in operations]
    for operation, eid in pairs:
        if operation.eid == eid:
            operation.cut(error())
