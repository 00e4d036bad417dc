"""Engines as a scenario describes them, and prices at a node's operating point."""

from __future__ import annotations

from dataclasses import replace

from ecsim.core.types import Work
from ecsim.costs.model import EngineCost
from ecsim.kernel import Engine, World
from ecsim.kernel.batching import Batcher, curve
from ecsim.kernel.disciplines import Ranks
from ecsim.kernel.sharing import SharingServer
from ecsim.kernel.station import Station
from ecsim.scenario.engine import Serving


def make_engine(world: World, node: str, cost: EngineCost, serving: Serving) -> Engine:
    """Give a node's inference engine: a reservation server where that suffices."""
    base = (world, node, "inference", serving.servers, cost.idle_w, cost.can_train)
    if serving.batch is not None:
        batch = serving.batch
        return Batcher(
            *base,
            max_size=batch.max,
            timeout_s=batch.timeout,
            latency=curve(batch.latency),
            energy=curve(batch.energy) if batch.energy else None,
            capacity=serving.capacity,
        )
    if serving.discipline == "sharing":
        return SharingServer(*base, capacity=serving.capacity)
    if serving.discipline == "fifo" and serving.capacity is None:
        return Engine(*base)
    return Station(
        *base,
        preempts=serving.discipline == "preemptive",
        ranks=Ranks(**serving.ranks),
        capacity=serving.capacity,
    )


def at_operating_point(cost: EngineCost, serving: Serving) -> EngineCost:
    """Give the prices at the node's level and with its slow-down.

    Work at a speed s and a power p takes 1 / s of the time and p / s of the energy; other
    processes prolong it by their factor at the same power. Idle power stays as it is.
    """
    level = serving.level
    time = serving.slowdown / (level.speed if level else 1.0)
    energy = time * (level.power if level else 1.0)
    if time == energy == 1.0:
        return cost
    price = cost.price

    def scaled(work: Work) -> tuple[float, float]:
        seconds, joules = price(work)
        return seconds * time, joules * energy

    busy_w = cost.busy_w * (level.power if level else 1.0)
    return replace(cost, price=scaled, busy_w=busy_w)
