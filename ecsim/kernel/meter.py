"""Exact energy: meters that are booked at reservation and read in closed form.

Nothing is sampled and nothing happens at a state change. A reservation books its seconds and
joules when it is made; a reading at time t takes back the part that lies after t. That part is
found by walking the world's heap: every reservation that has not ended has its entry there (an
abandoned one too). A walk costs O(entries) per reading, and readings are few (warm-up, horizon);
a queue of open reservations in each server would cost every hop of every task instead.
"""

from __future__ import annotations

from math import isclose
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ecsim.core.errors import ConservationError

if TYPE_CHECKING:
    from ecsim.kernel.topology import Hop
    from ecsim.kernel.world import World

ACTIVE, TRAINING, BACKGROUND = 0, 1, 2
DOWN = "down"

Unserved: TypeAlias = "tuple[Meter, int, float, float]"
Draw: TypeAlias = "tuple[Meter, float, float, float]"  # meter, begin, end, joules between them
Reading: TypeAlias = "dict[Meter, tuple[list[float], list[float]]]"


class Meter:
    """Seconds and joules of one component of a node, by state; idle is what remains.

    Parameters
    ----------
    world : the world; it lists its meters.
    node, component : whose it is, e.g. "cam[0]", "inference".
    states : names of the busy states; the first is the one `Use` and `Travel` book.
    idle_w : power that the whole component draws in every state but "down", in W; joules come on
        top.
    n_units : how many things can be busy at once: servers of an engine, links of a transmitter.
        Seconds of a state are reported as the mean over units, so that states sum to the window.

    Attributes
    ----------
    seconds, joules : all that servers ever booked, per state, served or not (unit-seconds).
    down_since_s : when the outage began in which it is; None: it is up. A component that can go
        out has the state "down", in which it draws nothing.
    radios : the directed links whose transfers it carries, with the power of this end in W
        and what it spends per byte besides.
    """

    __slots__ = (
        "component", "down_since_s", "idle_w", "joules", "n_units", "node", "radios", "seconds",
        "states",
    )  # fmt: skip

    def __init__(
        self,
        world: World,
        node: str,
        component: str,
        states: tuple[str, ...] = ("active",),
        idle_w: float = 0.0,
        n_units: int = 1,
    ) -> None:
        self.node = node
        self.component = component
        self.states = states
        self.idle_w = idle_w
        self.n_units = n_units
        self.seconds = [0.0] * len(states)
        self.joules = [0.0] * len(states)
        self.down_since_s: float | None = None
        self.radios: list[tuple[Hop, float, float]] = []
        world.meters.append(self)

    def booked(self) -> tuple[list[float], list[float]]:
        """Give (seconds, joules) per state of all reservations ever made, served or not."""
        seconds, joules = [*self.seconds], [*self.joules]
        # a radio's energy is linear in time and bytes: no need to add it up
        for hop, watts, joules_per_byte in self.radios:
            seconds[ACTIVE] += hop.work_s
            joules[ACTIVE] += hop.work_s * watts + hop.bytes * joules_per_byte
        return seconds, joules

    def can_go_down(self) -> None:
        """Give it the state "down"; before it is read for the first time."""
        if DOWN not in self.states:
            self.states += (DOWN,)
            self.seconds.append(0.0)
            self.joules.append(0.0)

    def go_down(self, now: float) -> None:
        """Begin an outage, if it is not in one."""
        if self.down_since_s is None:
            self.down_since_s = now

    def come_up(self, now: float) -> None:
        """End the outage."""
        self.seconds[-1] += self.down_s(now)
        self.down_since_s = None

    def down_s(self, now: float) -> float:
        """Give the unit-seconds of the present outage so far."""
        return 0.0 if self.down_since_s is None else (now - self.down_since_s) * self.n_units

    def __repr__(self) -> str:
        return f"<Meter {self.node}/{self.component}>"


def read_meters(world: World) -> Reading:
    """Give (seconds, joules) per state of each meter, served up to the world's present time."""
    now = world._now
    for background in world.backgrounds:
        background.server.catch_up(now)
    reading = {meter: meter.booked() for meter in world.meters}
    for meter in world.meters:
        if meter.down_since_s is not None:
            reading[meter][0][-1] += meter.down_s(now)
    unserved: list[Unserved] = []
    for background in world.backgrounds:
        unserved += background.unserved(now)
    for entry in world.queue:
        operation = entry[3]
        if getattr(operation, "eid", None) == entry[2]:
            unserved += operation.unserved(now)
    for radio in world.radios:
        unserved += radio.unserved(now)
    for sleeper in world.sleepers:
        unserved += sleeper.unserved(now)
    for station in world.stations:
        unserved += station.unserved(now)
    for meter, state, seconds, joules in unserved:
        if meter in reading:
            reading[meter][0][state] -= seconds
            reading[meter][1][state] -= joules
    return reading


class MeterRow(NamedTuple):
    """Seconds and joules that a component spent in one state within the window.

    `marginal_j` is what tasks, trainings and other tenants were charged for; the rest of `joules`
    is the component's idle power, which it draws in every state.
    """

    node: str
    component: str
    state: str
    seconds: float
    joules: float
    marginal_j: float


class MeterWindow:
    """Readings at the start (end of warm-up) and the end (horizon) of the measured window.

    >>> from ecsim.kernel import After, FifoServer, Meter, Use, World
    >>> world = World()
    >>> server = FifoServer(world, "npu", meter=Meter(world, "cam", "npu", idle_w=2.0))
    >>> def serve():
    ...     yield Use(server, seconds=3.0, joules=30.0)
    >>> window = MeterWindow(world)
    >>> flow = world.spawn(serve())
    >>> window.open(); world.run_until(2.0); window.close()
    >>> [(row.state, row.seconds, row.joules) for row in window.rows()]
    [('active', 2.0, 24.0), ('idle', 0.0, 0.0)]
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._start: tuple[float, Reading] | None = None
        self._end: tuple[float, Reading] | None = None

    def open(self) -> None:
        """Start the window at the world's present time."""
        self._start = (self._world._now, read_meters(self._world))

    def close(self) -> None:
        """End the window at the world's present time."""
        self._end = (self._world._now, read_meters(self._world))

    @property
    def length_s(self) -> float:
        """Length of the window in s; raises `ValueError` unless it was opened and closed."""
        if self._start is None or self._end is None:
            raise ValueError("the window must be opened and closed before it is read")
        return self._end[0] - self._start[0]

    def rows(self) -> list[MeterRow]:
        """Give one row per meter and state, idle last; the states of a meter sum to the window.

        Raises
        ------
        ConservationError
            When a component was busy for longer than the window is.
        """
        length_s = self.length_s
        assert self._start is not None and self._end is not None
        zero: tuple[list[float], list[float]]
        rows = []
        for meter, (end_s, end_j) in self._end[1].items():
            zero = ([0.0] * len(meter.states), [0.0] * len(meter.states))
            start_s, start_j = self._start[1].get(meter, zero)
            idle_s = length_s
            for state, name in enumerate(meter.states):
                seconds = (end_s[state] - start_s[state]) / max(1, meter.n_units)  # none: no link
                idle_s -= seconds
                joules = end_j[state] - start_j[state]
                base_j = 0.0 if name == "down" else seconds * meter.idle_w
                rows.append(
                    MeterRow(meter.node, meter.component, name, seconds, base_j + joules, joules)
                )
            # sums of seconds round relative to the clock, not to the window
            if idle_s < -1e-9 * (1.0 + self._end[0]):
                raise ConservationError(
                    f"{meter!r} was busy {length_s - idle_s} s in a window of {length_s} s"
                )
            idle_s = max(0.0, idle_s)
            rows.append(
                MeterRow(meter.node, meter.component, "idle", idle_s, idle_s * meter.idle_w, 0.0)
            )
        return rows


def check_energy(world: World, ledgers_j: float, rel: float = 1e-9) -> None:
    """Check after the drain that the meters hold what was charged, within `rel`.

    Parameters
    ----------
    world : the drained world.
    ledgers_j : sum of `Ledger.total_j` (wasted included) over all tasks and updates, in J.
    rel : relative tolerance; sums of n terms in two orders differ by about sqrt(n) ulp.

    Raises
    ------
    ConservationError
        With both figures.
    """
    metered_j = sum(sum(meter.booked()[1]) for meter in world.meters)
    background_j = sum(background.joules for background in world.backgrounds)
    charged_j = ledgers_j + world.unowned_j + background_j
    if not isclose(metered_j, charged_j, rel_tol=rel, abs_tol=1e-12):
        raise ConservationError(
            f"the meters hold {metered_j!r} J, but {charged_j!r} J were charged "
            f"(ledgers {ledgers_j!r}, background {background_j!r}, no ledger {world.unowned_j!r})"
        )
