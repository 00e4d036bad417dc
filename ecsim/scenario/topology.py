"""Nodes, groups of nodes, and the links between them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from ecsim.core.units import BitPerSecond, PerSecond, Seconds
from ecsim.scenario.messages import not_one_of
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


class Node(Section):
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


class Topology(Section):
    """The nodes and links of the system."""

    nodes: Annotated[Mapping[NodeName, Node], AfterValidator(_by_name)] = Field(
        description="nodes and groups of nodes by name"
    )
    links: Annotated[tuple[Link, ...], Field(strict=False)] = Field(
        description="links between nodes"
    )

    def expanded(self) -> Iterator[tuple[str, Node]]:
        """Give every single node with its entry, in the order of the groups' names."""
        for group, node in self.nodes.items():
            for name in node.names(group):
                yield name, node

    def members(self, end: str) -> list[str]:
        """Give the names of the nodes that one end of a link stands for."""
        return self.nodes[end].names(end) if end in self.nodes else [end]


def member_of(name: str) -> tuple[str, int] | None:
    """Give group and index of a name such as ``cam[1]``, None for any other name."""
    match = _MEMBER.fullmatch(name)
    return (match["group"], int(match["index"])) if match else None
