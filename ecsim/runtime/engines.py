"""Engines as a scenario describes them, prices at a node's operating point, and their bases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

from ecsim.collab.memory import Memory
from ecsim.core.errors import UserError
from ecsim.core.types import ModelRef, Work
from ecsim.costs.cards import Card
from ecsim.costs.model import EngineCost
from ecsim.kernel import Engine, World
from ecsim.kernel.batching import Batcher, Curve, curve
from ecsim.kernel.jobs import Ranks
from ecsim.kernel.sharing import SharingServer
from ecsim.kernel.sleeping import SleepingEngine
from ecsim.kernel.station import Station
from ecsim.scenario.engine import Batch, Serving
from ecsim.scenario.topology import member_of


def make_engine(
    world: World, node: str, cost: EngineCost, serving: Serving, needs_events: bool = False
) -> Engine:
    """Give a node's inference engine: a reservation server where that suffices."""
    if (sleep := serving.sleep) is not None:
        return SleepingEngine(
            world,
            node,
            "inference",
            cost.idle_w,
            cost.can_train,
            after_s=sleep.after,
            sleep_w=sleep.power,
            wake_s=sleep.wake,
        )
    base = (world, node, "inference", serving.servers, cost.idle_w, cost.can_train)
    if serving.batch is not None:
        latency, energy = _batch_curves(serving.batch, cost)
        return Batcher(
            *base,
            max_size=serving.batch.max,
            timeout_s=serving.batch.timeout,
            latency=latency,
            energy=energy,
            capacity=serving.capacity,
        )
    if serving.discipline == "sharing":
        return SharingServer(*base, capacity=serving.capacity)
    if serving.discipline == "fifo" and serving.capacity is None and not needs_events:
        return Engine(*base)
    return Station(
        *base,
        preempts=serving.discipline == "preemptive",
        ranks=Ranks(**serving.ranks),
        capacity=serving.capacity,
    )


def make_memory(
    node: str, cost: EngineCost, serving: Serving, capacity_bytes: float, first: ModelRef
) -> Memory | None:
    """Give a node's memory with its first version in it, where that fits; None without limits."""
    load_byte_per_s = inf if serving.load_rate is None else serving.load_rate / 8.0
    if capacity_bytes == load_byte_per_s == inf:
        return None
    memory = Memory(node, capacity_bytes, load_byte_per_s, cost.busy_w)
    if memory.fits(first.param_bytes):
        memory.use(first)
    return memory


def memory_warnings(memories: Mapping[str, Memory | None]) -> list[str]:
    """Say which nodes (by name; of a group the first) had too little memory for what was asked."""
    found: dict[str, tuple[int, str]] = {}
    for node, memory in memories.items():
        if memory is not None and memory.n_refused:
            group = (member_of(node) or (node, 0))[0]
            n, why = found.get(group, (0, memory.why))
            found[group] = n + memory.n_refused, why
    return [f"{why}: refused {'once' if n == 1 else f'{n} times'}" for n, why in found.values()]


def _batch_curves(batch: Batch, cost: EngineCost) -> tuple[Curve, Curve | None]:
    """Give time and energy of a batch: the scenario's curves where it has them, else the card's."""
    latency = curve(batch.latency) if batch.latency else partial(cost.batch_s, one_s=1.0)
    if batch.energy:
        return latency, curve(batch.energy)
    return latency, None if cost.busy_w > 0.0 else partial(cost.batch_j, one_j=1.0)


def bases(engines: Iterable[tuple[str, str, EngineCost]]) -> dict[str, dict[str, Any]]:
    """Say by card what the engines' seconds rest on.

    Parameters
    ----------
    engines : the nodes' and their hosts': node, card, prices.

    Returns
    -------
    dict
        by card: `basis`; `assumed`, the names of the guesses behind its prices; `nodes`, the
        groups of nodes that have it.
    """
    found: dict[str, dict[str, Any]] = {}
    for node, card, cost in engines:
        group = (member_of(node) or (node, 0))[0]
        entry = {"basis": cost.basis, "assumed": list(cost.assumed), "nodes": []}
        nodes = found.setdefault(card, entry)["nodes"]
        if group not in nodes:
            nodes.append(group)
    return found


def basis_warnings(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say which cards' prices are not measured, or rest on guesses."""
    texts = []
    for card, entry in found.items():
        assumed = f"assumed {', '.join(entry['assumed'])}" if entry["assumed"] else ""
        what = entry["basis"] if "uncalibrated" in entry["basis"] else ""
        if what or assumed:
            texts.append(f"device card {card}: {'; '.join(filter(None, (what, assumed)))}")
    return texts


def with_batches(cost: EngineCost, card: Card, serving: Serving) -> EngineCost:
    """Give the prices with the guess behind the card's batches, where those count, among `assumed`.

    Raises `UserError` when batches have no curve, neither the scenario's nor the card's.
    """
    if serving.batch is None or serving.batch.latency is not None:
        return cost
    if cost.batch_fixed is None:
        raise UserError(
            f"expected a batch.latency: the card {card.name} has no batch_fixed to take it from"
        )
    if card.constants["batch_fixed"].assumed:
        return replace(cost, assumed=(*cost.assumed, "batch_fixed"))
    return cost


def make_host(
    world: World, node: str, cost: EngineCost, serving: Serving, needs_events: bool = False
) -> Engine:
    """Give the engine of the computer that trains for a node's device."""
    base = (world, node, "host", 1, cost.idle_w, cost.can_train)
    if serving.host_discipline == "sharing":
        return SharingServer(*base)
    return Station(*base) if needs_events else Engine(*base)


def at_operating_point(cost: EngineCost, serving: Serving) -> EngineCost:
    """Give the prices at the node's level and with its slow-down.

    Work at a speed s and a power p takes 1 / s of the time and p / s of the energy; other
    processes prolong it by their factor at the same power, which joules that are counted by
    operation do not notice. Idle power stays as it is.
    """
    level = serving.level
    time = serving.slowdown / (level.speed if level else 1.0)
    energy = (level.power / level.speed if level else 1.0) * (
        serving.slowdown if cost.busy_w > 0.0 else 1.0
    )
    if time == energy == 1.0:
        return cost
    price = cost.price

    def scaled(work: Work) -> tuple[float, float]:
        seconds, joules = price(work)
        return seconds * time, joules * energy

    busy_w = cost.busy_w * (level.power if level else 1.0)
    return replace(cost, price=scaled, busy_w=busy_w)
