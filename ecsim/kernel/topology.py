"""Nodes and duplex links as a networkx graph, and the routes over it.

Each direction of a link is a FIFO channel of its own (full duplex). Serialisation occupies the
channel; propagation does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING

import networkx as nx

from ecsim.core.errors import UserError
from ecsim.kernel.meter import Meter
from ecsim.kernel.node import Node

if TYPE_CHECKING:
    from ecsim.kernel.world import World


@dataclass(frozen=True, slots=True)
class Link:
    """A duplex link from a node (the near end) to another, often nearer the cloud (the far end).

    Attributes
    ----------
    name : for messages and statistics.
    up_bit_per_s, down_bit_per_s : rates from the near to the far end and back, > 0.
    latency_s : propagation, one way, >= 0.
    near_tx_w, near_rx_w : power of the near end's radio while it sends (up) or receives (down).
    far_tx_w, far_rx_w : power of the far end while it sends (down) or receives (up).
    shared : the nodes connected together share one medium: one channel per direction for all.

    Raises
    ------
    UserError
        When a rate is not > 0, or a latency or power is negative or not finite.
    """

    name: str
    up_bit_per_s: float
    down_bit_per_s: float
    latency_s: float = 0.0
    near_tx_w: float = 0.0
    near_rx_w: float = 0.0
    far_tx_w: float = 0.0
    far_rx_w: float = 0.0
    shared: bool = False

    def __post_init__(self) -> None:
        for rate in ("up_bit_per_s", "down_bit_per_s"):
            if not 0.0 < getattr(self, rate) < inf:
                raise UserError(
                    f"link {self.name!r}: {rate} must be > 0, got {getattr(self, rate)}"
                )
        for amount in ("latency_s", "near_tx_w", "near_rx_w", "far_tx_w", "far_rx_w"):
            if not 0.0 <= getattr(self, amount) < inf:
                raise UserError(
                    f"link {self.name!r}: {amount} must be finite and >= 0, "
                    f"got {getattr(self, amount)}"
                )


class Channel:
    """One direction of a medium: a FIFO server of messages.

    Attributes
    ----------
    free_s : time from which it is free.
    hops : the directed links that use it, one unless the medium is shared; they keep its books.
    """

    __slots__ = ("free_s", "hops", "name", "world")

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.free_s = 0.0
        self.hops: list[Hop] = []

    @property
    def work_s(self) -> float:
        """Seconds of serialisation reserved so far."""
        return sum(hop.work_s for hop in self.hops)

    def backlog_s(self) -> float:
        """Give how long a message that joins now would wait, in s."""
        return max(0.0, self.free_s - self.world._now)

    def __repr__(self) -> str:
        return f"<Channel {self.name}>"


class Hop:
    """A link in one direction as a message sees it: channel, rate, latency, and who pays.

    Parameters
    ----------
    channel : what the message occupies.
    bit_per_s, propagation_s : rate, and latency of the way after serialisation.
    tx, rx : meters of the sender's transmitter and the receiver's receiver.
    tx_w, rx_w : their power while the message is serialised, in W.

    Attributes
    ----------
    n_jobs, bytes, work_s, wait_s : messages so far, their bytes, serialisation and waits.
    """

    __slots__ = (
        "bit_per_s", "bytes", "channel", "n_jobs", "power_w", "propagation_s", "rx", "rx_w", "tx",
        "tx_w", "wait_s", "work_s",
    )  # fmt: skip

    def __init__(
        self,
        channel: Channel,
        bit_per_s: float,
        propagation_s: float,
        tx: Meter,
        rx: Meter,
        tx_w: float = 0.0,
        rx_w: float = 0.0,
    ) -> None:
        self.channel = channel
        self.bit_per_s = bit_per_s
        self.propagation_s = propagation_s
        self.tx = tx
        self.rx = rx
        self.tx_w = tx_w
        self.rx_w = rx_w
        self.power_w = tx_w + rx_w
        self.n_jobs = 0
        self.bytes = 0.0
        self.work_s = 0.0
        self.wait_s = 0.0
        channel.hops.append(self)
        tx.radios.append((self, tx_w))
        rx.radios.append((self, rx_w))

    def __repr__(self) -> str:
        return f"<Hop over {self.channel.name}>"


class Topology:
    """The graph of nodes and links, and cached shortest routes by latency.

    The latency of a link is its propagation plus the serialisation of a message of
    `reference_bytes`; ties go to the link that was declared first, so they are the same in every
    run.
    """

    def __init__(self, world: World, reference_bytes: float = 10_000.0) -> None:
        self.world = world
        self.reference_bytes = reference_bytes
        self.nodes: dict[str, Node] = {}
        self.channels: list[Channel] = []
        self.graph = nx.DiGraph()
        self._routes: dict[tuple[str, str], tuple[Hop, ...]] = {}

    def add_node(self, node: Node) -> None:
        """Add a node; raise `UserError` when the name is taken."""
        if node.name in self.nodes:
            raise UserError(f"there are two nodes called {node.name!r}")
        self.nodes[node.name] = node
        self.graph.add_node(node.name)

    def connect(self, near: Sequence[str], far: str, link: Link) -> None:
        """Connect each of the `near` nodes with `far`, by a link each or over one shared medium.

        Raises
        ------
        UserError
            When a node does not exist, or two nodes are connected already or are the same.
        """
        shared = self._channels(link.name) if link.shared else None
        for name in near:
            for end in (name, far):
                if end not in self.nodes:
                    raise UserError(
                        f"link {link.name!r} goes to {end!r}, which is no node; "
                        f"there are: {', '.join(self.nodes)}"
                    )
            if name == far or self.graph.has_edge(name, far):
                raise UserError(f"link {link.name!r}: {name!r} and {far!r} are connected already")
            up, down = shared or self._channels(f"{link.name} {name}-{far}")
            a, b = self.nodes[name], self.nodes[far]
            self._add_hop(a, b, up, link.up_bit_per_s, link, link.near_tx_w, link.far_rx_w)
            self._add_hop(b, a, down, link.down_bit_per_s, link, link.far_tx_w, link.near_rx_w)
            a.transmitter.n_units += 1
            a.receiver.n_units += 1
            if shared is None:
                b.transmitter.n_units += 1
                b.receiver.n_units += 1
        if shared is not None:
            self.nodes[far].transmitter.n_units += 1
            self.nodes[far].receiver.n_units += 1
        self._routes.clear()

    def _channels(self, name: str) -> tuple[Channel, Channel]:
        pair = Channel(self.world, f"{name} up"), Channel(self.world, f"{name} down")
        self.channels += pair
        return pair

    def _add_hop(
        self,
        a: Node,
        b: Node,
        channel: Channel,
        bit_per_s: float,
        link: Link,
        tx_w: float,
        rx_w: float,
    ) -> None:
        hop = Hop(channel, bit_per_s, link.latency_s, a.transmitter, b.receiver, tx_w, rx_w)
        latency_s = link.latency_s + 8.0 * self.reference_bytes / bit_per_s
        self.graph.add_edge(a.name, b.name, hop=hop, latency_s=latency_s)

    def route(self, a: str, b: str) -> tuple[Hop, ...]:
        """Give the hops of the quickest route; empty when both are one node.

        Raises
        ------
        UserError
            When a node does not exist or no route leads there.
        """
        found = self._routes.get((a, b))
        if found is None:
            for name in (a, b):
                if name not in self.nodes:
                    raise UserError(f"{name!r} is no node; there are: {', '.join(self.nodes)}")
            try:
                found = self._routes[a, b] = self._find(a, b)
            except nx.NetworkXNoPath:
                raise UserError(f"no route leads from {a!r} to {b!r}") from None
        return found

    def _find(self, a: str, b: str) -> tuple[Hop, ...]:
        graph = self.graph
        head: tuple[Hop, ...] = ()
        tail: tuple[Hop, ...] = ()
        # A leaf has no choice. Taking its only link first keeps a search from a hub with
        # thousands of leaves from visiting all of them for each.
        if a != b and graph.out_degree(a) == 1:
            (following,) = graph.successors(a)
            head, a = (graph.edges[a, following]["hop"],), following
        if a != b and graph.in_degree(b) == 1:
            (former,) = graph.predecessors(b)
            tail, b = (graph.edges[former, b]["hop"],), former
        if a == b:
            return head + tail
        names = nx.dijkstra_path(graph, a, b, weight="latency_s")
        return head + tuple(graph.edges[pair]["hop"] for pair in pairwise(names)) + tail
