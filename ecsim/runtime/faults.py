"""Faults of a scenario's nodes and links, put on the world of an arm.

Each component draws from a stream of its own name, so that every strategy meets the same faults,
and a new node or link shifts no other's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from ecsim.core.randomness import Streams
from ecsim.core.types import Task
from ecsim.kernel import After, Flow, Node, Topology, World
from ecsim.kernel.battery import Battery
from ecsim.kernel.charger import Charger
from ecsim.kernel.outages import LinkSwitch, NodeSwitch, Outages, Throttle
from ecsim.kernel.periods import drawn, sampler
from ecsim.scenario.faults import Battery as BatterySection
from ecsim.scenario.faults import Charging, Times
from ecsim.scenario.schema import Scenario


@dataclass(frozen=True)
class Faults:
    """What can fail in an arm's world.

    Attributes
    ----------
    switches : of the nodes that can go out, by name.
    batteries : by name of their node.
    """

    switches: dict[str, NodeSwitch] = field(default_factory=dict)
    batteries: dict[str, Battery] = field(default_factory=dict)


def install_faults(
    scenario: Scenario, world: World, topology: Topology, streams: Streams, before_s: float
) -> Faults:
    """Let nodes and links go out, slow down and run empty as the scenario says; no new ones later.

    Parameters
    ----------
    before_s : the horizon; nothing of that begins at or after it.
    """
    faults = Faults()
    for name, spec in scenario.topology.expanded():
        node = topology.nodes[name]
        if spec.outages is not None or spec.battery is not None:
            keeps = spec.outages is not None and spec.outages.policy == "resume"
            switch = faults.switches[name] = NodeSwitch(world, node, keeps)
            if not keeps:
                switch.on_change.append(partial(_reroute, topology, switch, [name]))
        if spec.battery is not None:
            faults.batteries[name] = _battery(world, node, switch, spec.battery, before_s)
        if spec.outages is not None:
            Outages(world, switch, _periods(spec.outages, streams, "outages", name), before_s)
        if spec.brown_outs is not None:
            throttle = Throttle(world, node.engines.values(), spec.brown_outs.speed)
            periods = _periods(spec.brown_outs, streams, "brown_outs", name)
            Outages(world, throttle, periods, before_s)
    for link in scenario.topology.links:
        if link.outages is None:
            continue
        keeps = link.outages.policy == "resume"
        for near, far in scenario.topology.joined(link):
            names = [link.between[0]] if link.shared else near
            groups = [near] if link.shared else [[name] for name in near]
            for name, members in zip(names, groups, strict=True):
                ends = f"{name}-{far}"
                link_switch = _link_switch(world, topology, f"link {ends}", members, far, keeps)
                if not keeps:
                    pairs = [(member, far) for member in members]
                    link_switch.on_change.append(partial(_reroute, topology, link_switch, pairs))
                periods = _periods(link.outages, streams, "outages", ends)
                Outages(world, link_switch, periods, before_s)
    return faults


def _battery(
    world: World, node: Node, switch: NodeSwitch, spec: BatterySection, before_s: float
) -> Battery:
    return Battery(
        world,
        node,
        switch,
        capacity_j=spec.capacity,
        charge_j=spec.initial * spec.capacity,
        cut_off_j=spec.cut_off * spec.capacity,
        restart_j=spec.restart * spec.capacity,
        charger=_charger(spec.charging) if spec.charging else None,
        before_s=before_s,
    )


def _charger(spec: Charging) -> Charger:
    if spec.schedule:
        windows = tuple((period.at, period.at + period.for_) for period in spec.schedule)
        return Charger(spec.power, windows)
    if spec.every is None or spec.for_ is None:
        return Charger(spec.power, at_s=spec.at)
    return Charger(spec.power, at_s=spec.at, every_s=spec.every, for_s=spec.for_)


def charging_begins(
    charger: Charger, fire: Callable[[], None], before_s: float
) -> Generator[After, None, None]:
    """Flow that calls `fire` at the begin of each window of charging until `before_s`."""
    now = 0.0
    for begin_s, _end_s in charger.after(0.0):
        if begin_s >= before_s:
            return
        yield After(max(0.0, begin_s - now))
        now = max(now, begin_s)
        fire()


class Mortals:
    """The tasks of devices that lose what they hold when they go out; empty without such devices.

    Parameters
    ----------
    switches : of nodes that can go out, by name.
    die : writes the row of a task whose device is out.
    """

    def __init__(self, switches: Mapping[str, NodeSwitch], die: Callable[[Task], None]):
        self._switches = {name: switch for name, switch in switches.items() if not switch.keeps}
        self._flows: dict[str, dict[int, Flow]] = {name: {} for name in self._switches}
        self._die = die
        for name, switch in self._switches.items():
            switch.on_change.append(partial(self._strike, name))

    def __bool__(self) -> bool:
        return bool(self._switches)

    def guard(self, arrive: Callable[[Task], Flow]) -> Callable[[Task], Flow | None]:
        """Give `arrive` for tasks whose device may be out."""
        if not self:
            return arrive

        def arrive_or_die(task: Task) -> Flow | None:
            switch = self._switches.get(task.device)
            if switch is not None and switch.is_down:
                self._die(task)
                return None
            flow = arrive(task)
            if switch is not None and not flow.is_done:
                self._flows[task.device][task.id] = flow
            return flow

        return arrive_or_die

    def forget(self, task: Task) -> None:
        """Hear that a task is over."""
        if task.device in self._flows:
            self._flows[task.device].pop(task.id, None)

    def _strike(self, name: str) -> None:
        """Let what a device holds die with it, wherever its parts are: nobody waits for them."""
        if not self._switches[name].is_down:
            return
        flows, self._flows[name] = self._flows[name], {}
        for flow in flows.values():
            if not flow.is_done:
                flow.abandon()
                self._die(flow.item)


def _link_switch(
    world: World, topology: Topology, name: str, members: Iterable[str], far: str, keeps: bool
) -> LinkSwitch:
    pairs = [pair for near in members for pair in ((near, far), (far, near))]
    channels = dict.fromkeys(topology.graph.edges[pair]["hop"].channel for pair in pairs)
    return LinkSwitch(world, name, channels, keeps)


def _reroute(
    topology: Topology, switch: NodeSwitch | LinkSwitch, parts: Iterable[str | tuple[str, str]]
) -> None:
    """Let routes avoid what is out; what stands still while it is out is not avoided."""
    for part in parts:
        topology.set_up(part, not switch.is_down)


def _periods(times: Times, streams: Streams, *name: str) -> Iterator[tuple[float, float]]:
    if times.mtbf is None or times.mttr is None:
        return iter([(period.at, period.at + period.for_) for period in times.schedule])
    rng = streams(*name)
    shape = times.shape or 1.0
    return drawn(
        sampler(rng, times.mtbf, times.distribution, shape),
        sampler(rng, times.mttr, times.distribution, shape),
    )
