"""From the scenario's links to the kernel's: rates, courses over time, radios, and warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ecsim.core.errors import ScenarioError
from ecsim.costs.cards import Card
from ecsim.costs.model import CostModel, LinkCost
from ecsim.kernel import (
    ExponentialJitter,
    Jitter,
    Link,
    LognormalJitter,
    Loss,
    NormalJitter,
    RadioCard,
    Steps,
    UniformJitter,
    WorkClock,
)
from ecsim.scenario import network, topology
from ecsim.scenario.load import Loaded
from ecsim.scenario.schema import Scenario

POWER_LAW = ("up_slope", "down_slope", "base_power")


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """A link to be, for the kernel's topology: `link` joins each of `near` with `far`."""

    near: tuple[str, ...]
    far: str
    link: Link

    @property
    def shared(self) -> bool:
        """Whether the members of `near` share one medium."""
        return self.link.shared


def link_plans(
    loaded: Loaded, costs: CostModel, payload_bytes: float, table: Mapping[str, Card]
) -> Iterator[LinkPlan]:
    """Give the links of a scenario, in the order in which they are written.

    Raises
    ------
    ScenarioError
        When rates change over time, but the cost model has fixed times per message.
    """
    scenario = loaded.scenario
    number = 0
    for place, entry in enumerate(scenario.topology.links):
        cost = costs.link(
            table[entry.card],
            payload_bytes=payload_bytes,
            up_bit_per_s=entry.uplink,
            down_bit_per_s=entry.downlink,
            latency_s=entry.latency,
        )
        link = _link(entry, cost)
        if (link.up_clock or link.down_clock) and not cost.has_power_law:
            message = f"the cost model {scenario.costs.name} has fixed times; rates cannot change"
            raise ScenarioError([loaded.problem(("topology", "links", place), message)])
        for near, far in scenario.topology.joined(entry):
            yield LinkPlan(tuple(near), far, replace(link, name=f"link {number}"))
            number += 1


def _link(entry: topology.Link, cost: LinkCost) -> Link:
    courses = _courses(entry, cost)
    up, down = (_clock(courses.get(name)) for name in ("uplink", "downlink"))
    latency = courses.get("latency")
    # at a rate that changes, the power law is taken apart: so much per bit, and the base power
    powers: dict[str, float] = {"near_tx_w": cost.tx_w, "near_rx_w": cost.rx_w}
    if up is not None:
        powers |= {"near_tx_w": cost.base_w, "near_tx_j_per_bit": cost.tx_j_per_bit}
    if down is not None:
        powers |= {"near_rx_w": cost.base_w, "near_rx_j_per_bit": cost.rx_j_per_bit}
    radio = RadioCard(cost.promotion_s, cost.promotion_w, cost.tail_s, cost.tail_w)
    has_radio = entry.radio and (radio.promotion_s > 0.0 or radio.tail_s > 0.0)
    return Link(
        "link",
        cost.up_bit_per_s if up is None else up.mean(),
        cost.down_bit_per_s if down is None else down.mean(),
        cost.latency_s,
        shared=entry.shared,
        half_duplex=entry.duplex == "half",
        sharing=entry.medium == "sharing",
        weight=entry.weight,
        up_clock=up,
        down_clock=down,
        latency=None if latency is None else Steps(*_arguments(latency)),
        jitter=None if entry.jitter is None else _jitter(entry.jitter),
        in_order=entry.in_order,
        loss=None if entry.loss is None else Loss(**_loss(entry.loss)),
        radio=radio if has_radio else None,
        **powers,
    )


def _courses(entry: topology.Link, cost: LinkCost) -> dict[network.Quantity, network.Course]:
    """Give what changes over time, by trace or by schedule."""
    if entry.trace is not None:
        return entry.trace.courses()
    start = {
        "uplink": cost.up_bit_per_s, "downlink": cost.down_bit_per_s, "latency": cost.latency_s,
    }  # fmt: skip
    courses: dict[network.Quantity, network.Course] = {}
    for name in network.QUANTITIES:
        steps = [
            (change.at, getattr(change, name))
            for change in entry.changes
            if getattr(change, name) is not None
        ]
        if steps:
            times, values = zip((0.0, start[name]), *steps, strict=True)
            courses[name] = network.Course(times, values)
    return courses


def _arguments(course: network.Course) -> tuple[Any, ...]:
    return course.times, course.values, course.period_s


def _clock(course: network.Course | None) -> WorkClock | None:
    return None if course is None else WorkClock(*_arguments(course))


def _jitter(entry: network.Jitter) -> Jitter:
    low, high, mean, deviation = entry.low, entry.high, entry.mean, entry.deviation
    if low is not None and high is not None:
        return UniformJitter(low, high)
    if mean is not None and deviation is not None:
        return LognormalJitter(mean, deviation)
    if mean is not None:
        return ExponentialJitter(mean)
    assert deviation is not None
    return NormalJitter(deviation)


def _loss(entry: network.Loss) -> dict[str, Any]:
    return {
        "probability": entry.probability,
        "timeout_s": entry.timeout,
        "backoff": entry.backoff,
        "attempts": entry.attempts,
    }


def link_warnings(scenario: Scenario, table: Mapping[str, Card]) -> list[str]:
    """Say which power laws are used beyond what they were measured for: rates, or a boundary."""
    found: list[str] = []
    boundary = scenario.energy.boundary
    for entry in scenario.topology.links:
        card = table[entry.card]
        if boundary != "device" and any(card[name] for name in POWER_LAW):
            found.append(
                f"link card {card.name}: its energy is the device's radio's, beside engines at the "
                f"boundary {boundary}; a radio has no other figure"
            )
        for way, limit in (("uplink", "up_valid_to"), ("downlink", "down_valid_to")):
            if limit not in card.constants:
                continue
            rate = _highest(entry, card, way)
            if rate > card[limit]:
                found.append(
                    f"link card {card.name}: its power law was measured up to "
                    f"{card[limit] / 1e6:g} Mbit/s and is used at {rate / 1e6:g} Mbit/s ({way})"
                )
    return list(dict.fromkeys(found))


def _highest(entry: topology.Link, card: Card, way: str) -> float:
    given = getattr(entry, way)
    rates = [card["up_rate" if way == "uplink" else "down_rate"] if given is None else given]
    if entry.trace is not None:
        rates += [max(c.values) for name, c in entry.trace.courses().items() if name == way]
    rates += [getattr(c, way) for c in entry.changes if getattr(c, way) is not None]
    return max(rates)
