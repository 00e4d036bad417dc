"""Batteries: everything a node draws, and what it is charged with, exactly and without sampling.

Between two reservations on a node its power is a known, piecewise constant function of time:
idle power is always there, services and transfers have known begins and ends, radios known tails,
charging known windows. Where the end of a service is not known (engines with events, media that
messages share) the power is constant until the next event there, and what was drawn is read from
their books. The time at which the charge reaches the cut-off follows in closed form. It is
worked out anew, once per moment, when something is reserved on the node, happens there or falls
out; an entry on the heap stands for the next depletion or restart, and is stale when a later one
was made.

At the cut-off the node goes out like in any outage that loses its work, until the charging windows
have brought the charge to the restart level. What one needs to know about the node's future is
then known too: it draws nothing. Energy that is drawn in no time may leave a debt, which the
charging pays first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from heapq import heappush
from itertools import islice
from math import inf, isclose
from typing import TYPE_CHECKING, TypeAlias

from ecsim.core.errors import ConservationError
from ecsim.kernel.charger import Charger
from ecsim.kernel.disciplines import EventEngine
from ecsim.kernel.line import Line
from ecsim.kernel.meter import read_meters
from ecsim.kernel.operations import Operation
from ecsim.kernel.sleeping import SleepingEngine

if TYPE_CHECKING:
    from ecsim.kernel.medium import SharingChannel
    from ecsim.kernel.meter import Meter
    from ecsim.kernel.node import Node
    from ecsim.kernel.outages import NodeSwitch
    from ecsim.kernel.world import World

Source: TypeAlias = "Callable[[], tuple[float, float, float]]"  # J so far, W now, until when
_N_WINDOWS = 32  # how many windows of charging it looks ahead, then it looks again


class Battery:
    """The charge of a node.

    Parameters
    ----------
    node : where other tenants use an engine, it must be one with events.
    switch : takes the node down; it must lose its work.
    capacity_j, charge_j : size, and charge at the world's present time.
    cut_off_j, restart_j : charges at which the node goes out and works again.
    charger : what charges it.
    before_s : horizon; from then on the battery is not looked at any more. With other tenants on
        the node a world without a horizon is never idle.

    Attributes
    ----------
    charge_j : charge at the last settlement; call `settle` for the present one.
    in_j, out_j : energy taken up, and drawn by the node.
    n_depleted : times that it reached the cut-off.

    Raises
    ------
    ValueError
        For a reservation server with other tenants, or levels that are not in order.
    """

    def __init__(
        self,
        world: World,
        node: Node,
        switch: NodeSwitch,
        capacity_j: float,
        charge_j: float | None = None,
        cut_off_j: float = 0.0,
        restart_j: float | None = None,
        charger: Charger | None = None,
        before_s: float = inf,
    ):
        charge_j = capacity_j if charge_j is None else charge_j
        restart_j = 0.1 * capacity_j if restart_j is None else restart_j
        if not 0.0 <= cut_off_j < min(charge_j, restart_j) <= capacity_j < inf or (
            max(charge_j, restart_j) > capacity_j
        ):
            raise ValueError(
                f"battery of {node.name!r}: expected a cut-off below charge and restart level, "
                f"and both at most the capacity"
            )
        if switch.keeps:
            raise ValueError(f"battery of {node.name!r}: an empty node keeps no work")
        self.world = world
        self.node = node
        self.switch = switch
        self.capacity_j = capacity_j
        self.initial_j = self.charge_j = charge_j
        self.cut_off_j = cut_off_j
        self.restart_j = restart_j
        self.charger = charger or Charger()
        self.before_s = before_s
        self.in_j = self.out_j = 0.0
        self.n_depleted = 0
        self._since_s = world._now
        self._is_stale = False
        self._eid = 0
        self._due_s = -inf
        self._is_depletion = False
        self._empty_until_s = -inf
        self._open: dict[Operation, None] = {}
        self._fresh: set[Operation] = set()
        self._steps: list[tuple[float, float]] = []  # (time, change of power), in order
        self._lumps: list[tuple[float, float]] = []  # (time, energy), in order
        self._watt = 0.0
        self._until_s = inf
        self._meters = [engine.meter for engine in node.engines.values()]
        self._meters += [node.transmitter, node.receiver]
        self._sources: list[Source] = []
        self._source_w = 0.0
        for engine in node.engines.values():
            if isinstance(engine, EventEngine):
                self._sources.append(engine.draw)
            elif engine.background is not None:
                raise ValueError(
                    f"battery of {node.name!r}: expected an engine with events, as it has other "
                    "tenants"
                )
            engine.touched = self.touch
            engine.watch()
        media: dict[tuple[SharingChannel, Meter], None] = {}
        for meter in (node.transmitter, node.receiver):
            for hop, *_ in meter.radios:
                line = hop.line or Line(hop)
                if line.sharing is None:
                    line.watchers += (self.touch,)
                else:
                    line.watchers += (self._pass_message,)
                    media[line.sharing, meter] = None
        self._sources += [partial(medium.draw, meter) for medium, meter in media]
        for medium in dict.fromkeys(medium for medium, _ in media):
            medium.watchers += (self.touch,)
        self._counted_j = sum(source()[0] for source in self._sources)
        switch.on_change.append(self.touch)
        world.batteries.append(self)
        self.touch()

    # When it is looked at -------------------------------------------------------------------

    def touch(self, operation: Operation | None = None) -> None:
        """Hear that something was or will be reserved at this moment, happened or fell out."""
        if operation is not None:
            self._open[operation] = None
            self._fresh.add(operation)
        if not self._is_stale and self.world._now < self.before_s:
            # first of all that is due now, and after what made the reservation
            self._is_stale = True
            self._push(self.world._now, 0)

        if self.world._now >= self.before_s:
            for engine in self.node.engines.values():
                if isinstance(engine, EventEngine):
                    engine.touched = None  # it need not wake for other tenants any more

    def _pass_message(self, message: Operation) -> None:
        """Hear of a message to a shared medium, which keeps its books itself."""
        self.touch()

    def _push(self, t: float, priority: int) -> None:
        self._eid = eid = self.world.next_id()
        heappush(self.world.queue, (t, priority, eid, self))

    def fire(self, eid: int) -> None:
        """Look at the battery: settle, go out or come back if it is time, and look ahead."""
        if eid != self._eid:
            return
        self._is_stale = False
        now = self.world._now
        is_due = now == self._due_s
        self.settle()
        if is_due and self._is_depletion:
            self._deplete(now)
        elif self.switch.is_down:
            self.switch.come_up()  # unless it must stay out
        self._look_ahead()

    def _deplete(self, now: float) -> None:
        self.n_depleted += 1
        self._open.clear()
        self._fresh.clear()
        self._empty_until_s = self._restart_s(now)
        self.switch.go_down(self._empty_until_s)

    def _restart_s(self, now: float) -> float:
        charge = self.charge_j
        for begin, end in self.charger.after(now):
            begin = max(begin, now)
            if begin >= self.before_s or not self.charger.power_w:
                break
            t = begin + (self.restart_j - charge) / self.charger.power_w
            if t <= end:
                return t
            charge += (end - begin) * self.charger.power_w
        return inf

    # The charge -----------------------------------------------------------------------------

    def settle(self) -> None:
        """Bring charge and books up to the present time."""
        now = self.world._now
        since = self._since_s
        if now > since:
            for begin, end, watts in self._known(since, now):
                self._pass(begin, end, watts)
            while self._lumps and self._lumps[0][0] <= now:
                self._draw_at_once(self._lumps.pop(0)[1])
            while self._steps and self._steps[0][0] <= now:
                self._watt += self._steps.pop(0)[1]
            self._since_s = now
        if self._sources:
            drawn_j = sum(source()[0] for source in self._sources)
            # beyond what their power says: energy that was drawn in no time
            self._draw_at_once(drawn_j - self._counted_j - self._source_w * (now - since))
            self._counted_j = drawn_j

    def _draw_at_once(self, joules: float) -> None:
        self.out_j += joules
        self.charge_j -= joules

    def _pass(self, begin: float, end: float, watts: float) -> None:
        """Let a stretch of constant power in and out pass."""
        length = end - begin
        charging_w = self._charging_w(begin)
        drawn = watts * length
        taken = charging_w * length
        room = self.capacity_j - self.charge_j + drawn
        taken = min(taken, max(0.0, room))
        self.in_j += taken
        self.out_j += drawn
        self.charge_j += taken - drawn

    def _charging_w(self, t: float) -> float:
        return self.charger.power_w if self.charger.is_on(t) else 0.0

    def _known(self, begin: float, end: float) -> Iterator[tuple[float, float, float]]:
        """Give the stretches of constant draw and charging between two times."""
        cuts = {t for t, _ in self._steps if begin < t < end}
        for window in self.charger.after(begin):
            if window[0] >= end:
                break
            cuts |= {t for t in window if begin < t < end}
        watts = self._watt
        steps = iter(self._steps)
        step = next(steps, None)
        t = begin
        for following in [*sorted(cuts), end]:
            while step is not None and step[0] <= t:
                watts += step[1]
                step = next(steps, None)
            yield t, following, watts
            t = following

    def _look_ahead(self) -> None:
        """Work out the draw that is known from now on, and when the next thing happens."""
        now = self.world._now
        self._plan(now)
        if self._empty_until_s > now:
            t, is_depletion = self._empty_until_s, False
        else:
            t, is_depletion = self._next(now)
        self._due_s, self._is_depletion = t, is_depletion
        self._is_stale = False
        if t < self.before_s:
            self._push(t, 0)
        else:
            self._eid = 0

    def _plan(self, now: float) -> None:
        """Gather what the node's operations and radios draw from now on."""
        self._steps, self._lumps, self._watt = [], [], 0.0
        self._source_w, self._until_s = 0.0, inf
        if self.switch.is_down:
            self._open.clear()
            self._fresh.clear()
            return
        for source in self._sources:
            _joules, watts, until_s = source()
            self._source_w += watts
            self._until_s = min(self._until_s, until_s)
        self._watt = sum(meter.idle_w for meter in self._meters) + self._source_w
        mine = set(self._meters)
        for operation in list(self._open):
            is_over = True
            for meter, begin, end, joules in operation.draws() if operation.eid > 0 else ():
                is_over = is_over and end <= now
                if meter in mine:
                    self._add(now, begin, end, joules, operation in self._fresh)
            # a message that is promoted or repeated stands before its hop again, and says so
            if is_over:
                del self._open[operation]
        self._fresh.clear()
        for engine in self.node.engines.values():
            if isinstance(engine, SleepingEngine) and engine.sleeps_from_s < inf:
                saved_w = engine.meter.idle_w - engine.sleep_w
                self._steps.append((max(now, engine.sleeps_from_s), -saved_w))
        for radio in self.world.radios:
            if radio.meter.node == self.node.name:
                if radio.ready_s > now:
                    self._step(now, radio.ready_s, radio.card.promotion_w)
                if radio.busy_until_s > -inf and not radio.n_open:
                    begin, tail_s = max(now, radio.busy_until_s), radio.card.tail_s
                    self._step(begin, radio.busy_until_s + tail_s, radio.card.tail_w)
        self._steps.sort()
        self._lumps.sort()
        while self._steps and self._steps[0][0] <= now:
            self._watt += self._steps.pop(0)[1]
        while self._lumps and self._lumps[0][0] <= now:
            self._draw_at_once(self._lumps.pop(0)[1])

    def _add(self, now: float, begin: float, end: float, joules: float, is_fresh: bool) -> None:
        if end > begin:  # on top of idle power, which is drawn whether busy or not
            self._step(max(now, begin), end, joules / (end - begin))
        elif joules and (is_fresh or end > now):
            self._lumps.append((end, joules))

    def _step(self, begin: float, end: float, watts: float) -> None:
        if end > begin and watts:
            self._steps += [(begin, watts), (end, -watts)]

    def _next(self, now: float) -> tuple[float, bool]:
        """Give when to look again, and whether the charge will have reached the cut-off then."""
        if self.charge_j <= self.cut_off_j:
            return now, True
        charge = self.charge_j
        lumps = iter(self._lumps)
        lump = next(lumps, (inf, 0.0))
        horizon = min(self.before_s, self._until_s, self._last_s(now))
        for begin, end, watts in self._known(now, horizon):
            net = self._charging_w(begin) - watts
            t = begin
            while True:
                until = min(end, lump[0])
                if net < 0.0:
                    empty = t + (charge - self.cut_off_j) / -net
                    if empty <= until:
                        return empty, True
                if net:
                    charge = min(self.capacity_j, charge + net * (until - t))
                t = until
                if lump[0] > end or lump[0] == inf:
                    break
                charge -= lump[1]
                if charge <= self.cut_off_j:
                    return t, True
                lump = next(lumps, (inf, 0.0))
        return horizon, False

    def _last_s(self, now: float) -> float:
        """Give how far ahead to look: past all that is reserved, and some windows of charging."""
        last = max([now, *(t for t, _ in self._steps[-1:]), *(t for t, _ in self._lumps[-1:])])
        if not self.charger.power_w:
            return inf
        ends = [end for _, end in islice(self.charger.after(last), _N_WINDOWS)]
        return ends[-1] if len(ends) == _N_WINDOWS else inf

    # The books ------------------------------------------------------------------------------

    def check(self) -> None:
        """Check at the present time that the node's meters hold what the battery gave.

        Raises
        ------
        ConservationError
            With both figures, when they or the charge do not agree within 1e-9 of the throughput.
        """
        self.settle()
        reading = read_meters(self.world)
        meters = [meter for meter in self.world.meters if meter.node == self.node.name]
        metered = 0.0
        for meter in meters:
            seconds, joules = reading[meter]
            down = seconds[meter.states.index("down")] if "down" in meter.states else 0.0
            powered_s = self.world._now - down / max(1, meter.n_units)
            metered += sum(joules) + powered_s * meter.idle_w
        if not isclose(metered, self.out_j, rel_tol=1e-9, abs_tol=1e-9 * self.capacity_j):
            raise ConservationError(
                f"the meters of {self.node.name} hold {metered!r} J, "
                f"its battery gave {self.out_j!r} J"
            )
        balance = self.initial_j + self.in_j - self.out_j
        if not isclose(balance, self.charge_j, rel_tol=1e-9, abs_tol=1e-9 * self.capacity_j):
            raise ConservationError(
                f"the battery of {self.node.name} should hold {balance!r} J, it holds "
                f"{self.charge_j!r} J"
            )
