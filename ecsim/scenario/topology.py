"""Nodes, groups of nodes, and the links between them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from ecsim.core.units import BitPerSecond, PerSecond, Seconds
from ecsim.scenario.engine import Serving
from ecsim.scenario.faults import Battery, BrownOuts, Outages
from ecsim.scenario.messages import not_one_of
from ecsim.scenario.network import Change, Jitter, Loss, Trace, rising
from ecsim.scenario.section import Section, context_of

_MEMBER = re.compile(r"(?P<group>[^\[\]]+)\[(?P<index>0|[1-9]\d*)\]")
_NODE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def _device_card(name: str, info: ValidationInfo) -> str:
    return _card("device_card", name, info)


def _link_card(name: str, info: ValidationInfo) -> str:
    return _card("link_card", name, info)


def _card(kind: str, name: str, info: ValidationInfo) -> str:
    names = context_of(info).lookup.names(kind)
    if name not in names:
        raise ValueError(not_one_of(name, names, kind.replace("_", " ")))
    return name


def _node_name(name: str) -> str:
    if not _NODE_NAME.fullmatch(name):
        raise ValueError(f"expected a name of letters, digits, '_' and '-', got {name!r}")
    return name


def _by_name(nodes: Mapping[str, Node]) -> Mapping[str, Node]:
    return dict(sorted(nodes.items()))  # the order in which they are written means nothing


DeviceCard = Annotated[str, AfterValidator(_device_card)]
LinkCard = Annotated[str, AfterValidator(_link_card)]
NodeName = Annotated[str, AfterValidator(_node_name)]
Positive = Field(gt=0)


class Background(Section):
    """Other tenants' jobs on a node: Poisson arrivals, exponential service times."""

    rate: Annotated[PerSecond, Positive] = Field(description="mean arrivals of other jobs")
    service: Annotated[Seconds, Positive] = Field(description="mean service time of such a job")


class Node(Serving):
    """A node, or a group of alike nodes where `count` is given."""

    tier: Literal["end", "edge", "cloud"] = Field(description="end, edge or cloud")
    card: DeviceCard = Field(description="device card: constants of time and energy")
    count: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="number of alike nodes, named name[0], name[1], …"
    )
    host: DeviceCard | None = Field(
        default=None, description="card of the host that trains, where the device cannot"
    )
    background: Background | None = Field(
        default=None, description="jobs of other tenants that share the node"
    )
    outages: Outages | None = Field(default=None, description="when the node is out")
    brown_outs: BrownOuts | None = Field(default=None, description="when the node is slow")
    battery: Battery | None = Field(
        default=None, description="store of energy that the node runs on; without it never empty"
    )

    @model_validator(mode="after")
    def _can_run_empty(self) -> Self:
        if self.battery is None:
            return self
        if self.outages is not None and self.outages.policy == "resume":
            raise ValueError("expected outages of the policy lose with a battery, got resume")
        return self

    @model_validator(mode="after")
    def _sleeps_undisturbed(self) -> Self:
        if self.sleep is None:
            return self
        for key in ("background", "brown_outs"):
            if getattr(self, key) is not None:
                raise ValueError(f"expected no {key} on a node with sleep")
        if self.outages is not None and self.outages.policy == "resume":
            raise ValueError("expected outages of the policy lose on a node with sleep, got resume")
        return self

    @property
    def needs_events(self) -> bool:
        """Whether its engines cannot reserve ahead, whatever their discipline."""
        return bool(self.levels) or (self.battery is not None and self.background is not None)

    def names(self, group: str) -> list[str]:
        """Give the names of the nodes that the entry `group` stands for."""
        return [group] if self.count is None else [f"{group}[{i}]" for i in range(self.count)]


class Link(Section):
    """A duplex link between every node of one entry and every node of another."""

    between: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        description="two nodes or groups; the first one's uplink leads to the second"
    )
    card: LinkCard = Field(description="link card: rates, latency and radio energy")
    shared: bool = Field(
        default=False, description="whether the members of a group share one medium"
    )
    uplink: Annotated[BitPerSecond, Positive] | None = Field(
        default=None, description="rate from the first to the second, instead of the card's"
    )
    downlink: Annotated[BitPerSecond, Positive] | None = Field(
        default=None, description="rate from the second to the first, instead of the card's"
    )
    latency: Annotated[Seconds, Field(ge=0)] | None = Field(
        default=None, description="one-way propagation time, instead of the card's"
    )
    duplex: Literal["full", "half"] = Field(
        default="full", description="whether both directions transmit at once, or take turns"
    )
    medium: Literal["fifo", "sharing"] = Field(
        default="fifo",
        description="whether messages on a channel queue, or share its time equally (one WiFi "
        "cell, with `shared` and half duplex)",
    )
    weight: Annotated[float, Positive] = Field(
        default=1.0, description="length of the link where `routing` is weight"
    )
    trace: Trace | None = Field(default=None, description="rates and latency over time from a file")
    changes: Annotated[tuple[Change, ...], Field(strict=False), AfterValidator(rising)] = Field(
        default=(), description="changes of rates and latency at known times"
    )
    jitter: Jitter | None = Field(default=None, description="random delay of each message")
    in_order: bool = Field(
        default=True, description="whether messages wait for those that left before them"
    )
    loss: Loss | None = Field(default=None, description="loss of messages and retransmission")
    radio: bool = Field(
        default=True, description="whether the card's promotion and tail are simulated"
    )
    outages: Outages | None = Field(default=None, description="when the link is out")

    @model_validator(mode="after")
    def _can_stand_still(self) -> Self:
        if self.outages is None or self.outages.policy != "resume":
            return self
        rates = {"uplink", "downlink"}
        traced = self.trace is not None and rates & set(self.trace.given)
        changed = any(getattr(change, name) for change in self.changes for name in rates)
        if traced or changed or self.medium == "sharing":
            raise ValueError(
                "expected outages of the policy lose where rates change or the medium is sharing, "
                "got resume"
            )
        return self

    @model_validator(mode="after")
    def _one_course(self) -> Self:
        if self.trace is None:
            return self
        if self.changes:
            raise ValueError("expected a trace or changes, got both")
        for name in self.trace.given:
            if getattr(self, name) is not None:
                raise ValueError(f"expected {name} as a number or from the trace, got both")
        return self


_RANK = {"end": 0, "edge": 1, "cloud": 2}


class Topology(Section):
    """The nodes and links of the system."""

    nodes: Annotated[Mapping[NodeName, Node], AfterValidator(_by_name)] = Field(
        description="nodes and groups of nodes by name"
    )
    links: Annotated[tuple[Link, ...], Field(strict=False)] = Field(
        description="links between nodes"
    )
    routing: Literal["latency", "hops", "weight"] = Field(
        default="latency",
        description="what makes a way short: latency, the number of links, or their weights",
    )

    def expanded(self) -> Iterator[tuple[str, Node]]:
        """Give every single node with its entry, in the order of the groups' names."""
        for group, node in self.nodes.items():
            for name in node.names(group):
                yield name, node

    def joined(self, link: Link) -> Iterator[tuple[list[str], str]]:
        """Give the nodes of the link's lower end that each node of the upper end is linked with.

        Up is towards the cloud, in whichever order the ends are written. A group that is linked
        with itself is a mesh: each member with those before it.
        """
        near, far = (self.members(end) for end in link.between)
        if _RANK[self.tier_of(near[0])] > _RANK[self.tier_of(far[0])]:
            near, far = far, near
        for place, end in enumerate(far):
            others = near[:place] if near == far else near
            if others:
                yield others, end

    def tier_of(self, name: str) -> str:
        """Give the tier of a node, by the name of its group or its own."""
        member = member_of(name)
        return self.nodes[member[0] if member else name].tier

    def members(self, end: str) -> list[str]:
        """Give the names of the nodes that one end of a link stands for."""
        return self.nodes[end].names(end) if end in self.nodes else [end]


def member_of(name: str) -> tuple[str, int] | None:
    """Give group and index of a name such as ``cam[1]``, None for any other name."""
    match = _MEMBER.fullmatch(name)
    return (match["group"], int(match["index"])) if match else None
