"""Nodes and duplex links as a networkx graph, and the routes over it.

Each direction of a link is a FIFO channel of its own, unless the link says otherwise (half duplex,
a shared medium, processor sharing). Serialisation occupies the channel; propagation does not. What
a link may do beside is in `line`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from ecsim.core.errors import FlowError, UserError
from ecsim.core.randomness import Streams
from ecsim.kernel.channel import Channel
from ecsim.kernel.jitter import Draws
from ecsim.kernel.line import Line
from ecsim.kernel.medium import SharingChannel
from ecsim.kernel.meter import Meter
from ecsim.kernel.node import Node
from ecsim.kernel.radio import Radio
from ecsim.kernel.routing import Metric, Router

if TYPE_CHECKING:
    import networkx as nx

    from ecsim.kernel.clock import Steps, WorkClock
    from ecsim.kernel.jitter import Jitter, Loss
    from ecsim.kernel.radio import RadioCard
    from ecsim.kernel.travel import Travel
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
    half_duplex : both directions are one channel.
    sharing : the messages on a channel share its time equally, instead of queueing.
    weight : length of the link when routes are chosen by weight, > 0.
    up_clock, down_clock : rates in bit/s that change by plan; the constant rates then only serve
        to choose routes.
    latency : one-way latency in s that changes by plan; taken when the last bit leaves.
    jitter : distribution of what is added to the latency of each message.
    in_order : no message arrives before one that left earlier in the same direction.
    loss : loss of messages and their retransmission.
    radio : promotion and tail of the near end's radio.
    near_tx_j_per_bit, near_rx_j_per_bit : energy of the near end per bit, beside its power.

    Raises
    ------
    UserError
        When a rate or the weight is not > 0, or a latency or power is negative or not finite.
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
    half_duplex: bool = False
    sharing: bool = False
    weight: float = 1.0
    up_clock: WorkClock | None = None
    down_clock: WorkClock | None = None
    latency: Steps | None = None
    jitter: Jitter | None = None
    in_order: bool = True
    loss: Loss | None = None
    radio: RadioCard | None = None
    near_tx_j_per_bit: float = 0.0
    near_rx_j_per_bit: float = 0.0

    def __post_init__(self) -> None:
        for rate in ("up_bit_per_s", "down_bit_per_s", "weight"):
            if not 0.0 < getattr(self, rate) < inf:
                raise UserError(
                    f"link {self.name!r}: {rate} must be > 0, got {getattr(self, rate)}"
                )
        for amount in (
            "latency_s", "near_tx_w", "near_rx_w", "far_tx_w", "far_rx_w", "near_tx_j_per_bit",
            "near_rx_j_per_bit",
        ):  # fmt: skip
            if not 0.0 <= getattr(self, amount) < inf:
                raise UserError(
                    f"link {self.name!r}: {amount} must be finite and >= 0, "
                    f"got {getattr(self, amount)}"
                )


class Hop:
    """A link in one direction as a message sees it: channel, rate, latency, and who pays.

    Parameters
    ----------
    channel : what the message occupies.
    bit_per_s, propagation_s : rate, and latency of the way after serialisation.
    tx, rx : meters of the sender's transmitter and the receiver's receiver.
    tx_w, rx_w : their power while the message is serialised, in W.
    tx_j_per_byte, rx_j_per_byte : what they spend per byte besides.

    Attributes
    ----------
    n_jobs, bytes, work_s, wait_s : messages so far, their bytes, serialisation and waits.
    line : what serves its messages where the hop is not a plain one.
    down_until_s : until then it takes no message.
    lost_until_s : until then a message that would take it fails with what `down_error` makes,
        instead of waiting.
    """

    __slots__ = (
        "bit_per_s", "bytes", "channel", "down_error", "down_until_s", "joules_per_byte", "line",
        "lost_until_s", "n_jobs", "power_w", "propagation_s", "rx", "rx_j_per_byte", "rx_w", "tx",
        "tx_j_per_byte", "tx_w", "wait_s", "work_s",
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
        tx_j_per_byte: float = 0.0,
        rx_j_per_byte: float = 0.0,
    ) -> None:
        self.channel = channel
        self.bit_per_s = bit_per_s
        self.propagation_s = propagation_s
        self.tx = tx
        self.rx = rx
        self.tx_w = tx_w
        self.rx_w = rx_w
        self.power_w = tx_w + rx_w
        self.tx_j_per_byte = tx_j_per_byte
        self.rx_j_per_byte = rx_j_per_byte
        self.joules_per_byte = tx_j_per_byte + rx_j_per_byte
        self.line: Line | None = None
        self.n_jobs = 0
        self.bytes = 0.0
        self.work_s = 0.0
        self.wait_s = 0.0
        self.down_until_s = self.lost_until_s = 0.0
        self.down_error: Callable[[], FlowError] = _up
        channel.hops.append(self)
        tx.radios.append((self, tx_w, tx_j_per_byte))
        rx.radios.append((self, rx_w, rx_j_per_byte))

    def refuse(self, travel: Travel, now: float, is_new: bool = False) -> None:
        """Let a message fail that comes while the hop is down, or wait until it is up.

        `is_new`: nothing was charged for it before.
        """
        if self.lost_until_s > now:
            travel.eid = 0
            travel.owner.fail(travel, self.down_error())
            return
        if is_new:
            travel.wait_s = travel.service_s = travel.joules = travel.propagation_s = 0.0
        travel.stand(self, self.down_until_s)

    def __repr__(self) -> str:
        return f"<Hop over {self.channel.name}>"


class Topology:
    """The graph of nodes and links, and the shortest routes over it.

    Parameters
    ----------
    reference_bytes : the latency of a link, for routes, is its propagation plus the serialisation
        of a message of this size.
    metric : what makes a route short: "latency", "hops", or the links' "weight".
    streams : named random streams of jitter and loss.

    Attributes
    ----------
    on_change : called whenever links or nodes have gone out or come back.
    """

    def __init__(
        self,
        world: World,
        reference_bytes: float = 10_000.0,
        metric: Metric = "latency",
        streams: Streams | None = None,
    ) -> None:
        self.world = world
        self.reference_bytes = reference_bytes
        self.nodes: dict[str, Node] = {}
        self.channels: list[Channel] = []
        self.on_change: list[Callable[[], None]] = []
        self._router = Router(metric)
        self._streams = streams or Streams(0)
        self._routes: dict[tuple[str, str], tuple[Hop, ...]] = {}

    @property
    def graph(self) -> nx.DiGraph:
        """The graph; each edge has its `hop`, and its length by each metric."""
        return self._router.graph

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
        shared = self._channels(link.name, link) if link.shared else None
        for name in near:
            for end in (name, far):
                if end not in self.nodes:
                    raise UserError(
                        f"link {link.name!r} goes to {end!r}, which is no node; "
                        f"there are: {', '.join(self.nodes)}"
                    )
            if name == far or self.graph.has_edge(name, far):
                raise UserError(f"link {link.name!r}: {name!r} and {far!r} are connected already")
            up, down = shared or self._channels(f"{link.name} {name}-{far}", link)
            self._add_hops(self.nodes[name], self.nodes[far], up, down, link)
            for node in (name,) if shared else (name, far):
                self.nodes[node].transmitter.n_units += 1
                self.nodes[node].receiver.n_units += 1
        if shared is not None:
            self.nodes[far].transmitter.n_units += 1
            self.nodes[far].receiver.n_units += 1
        self._router.changed()
        self._routes.clear()

    def _channels(self, name: str, link: Link) -> tuple[Channel, Channel]:
        make = SharingChannel if link.sharing else Channel
        if link.half_duplex:
            both = make(self.world, name)
            self.channels.append(both)
            return both, both
        pair = make(self.world, f"{name} up"), make(self.world, f"{name} down")
        self.channels += pair
        return pair

    def _add_hops(self, a: Node, b: Node, up: Channel, down: Channel, link: Link) -> None:
        out = Hop(
            up, link.up_bit_per_s, link.latency_s, a.transmitter, b.receiver,
            link.near_tx_w, link.far_rx_w, link.near_tx_j_per_bit * 8.0,
        )  # fmt: skip
        back = Hop(
            down, link.down_bit_per_s, link.latency_s, b.transmitter, a.receiver,
            link.far_tx_w, link.near_rx_w, rx_j_per_byte=link.near_rx_j_per_bit * 8.0,
        )  # fmt: skip
        radio = None if link.radio is None else Radio(self.world, link.radio, a.radio)
        self._add_line(out, link, link.up_clock, radio, (a.name, b.name))
        self._add_line(back, link, link.down_clock, radio, (b.name, a.name))
        for hop, ends in ((out, (a.name, b.name)), (back, (b.name, a.name))):
            latency_s = link.latency_s + 8.0 * self.reference_bytes / hop.bit_per_s
            self.graph.add_edge(
                *ends, hop=hop, link=link.name, latency=latency_s, hops=1, weight=link.weight
            )

    def _add_line(
        self,
        hop: Hop,
        link: Link,
        clock: WorkClock | None,
        radio: Radio | None,
        ends: tuple[str, str],
    ) -> None:
        """Give the hop a line, unless it is a plain one."""
        sharing = hop.channel if isinstance(hop.channel, SharingChannel) else None
        jitter, loss = link.jitter, link.loss
        if not any((clock, link.latency, jitter, loss, radio, sharing, hop.joules_per_byte)):
            return
        delays = losses = None
        if jitter is not None:
            rng = self._streams("jitter", *ends)
            lowest_s = link.latency_s if link.latency is None else min(link.latency.values)
            delays = Draws(lambda n: jitter.draw(rng, n, lowest_s))
        if loss is not None:
            losses = Draws(self._streams("loss", *ends).random)
        Line(
            hop,
            clock=clock,
            latency=link.latency,
            jitter=delays,
            in_order=link.in_order,
            loss=loss,
            losses=losses,
            radio=radio,
            sharing=sharing,
        )

    def set_up(self, what: str | tuple[str, str], is_up: bool) -> None:
        """Note that something went out (or came back): routes avoid it from now on.

        Where every way is out, the usual one is given, and what is out refuses at its door: it
        may be back by the time a message comes there.

        Parameters
        ----------
        what : the name of a link (all its members), the name of a node, or the two ends of one
            member of a link.

        Raises
        ------
        UserError
            When there is no such link or node.
        """
        if not is_up and not self._exists(what):
            raise UserError(f"{what!r} is neither a link nor a node")
        self._router.set_up(what, is_up)
        self._routes.clear()
        for changed in self.on_change:
            changed()

    def _exists(self, what: str | tuple[str, str]) -> bool:
        if isinstance(what, tuple):
            return bool(self.graph.has_edge(*what))
        names = (name for _, _, name in self.graph.edges(data="link"))
        return what in self.nodes or what in names

    def is_up(self, a: str, b: str) -> bool:
        """Whether nothing on the route from `a` to `b`, nor the two themselves, is out."""
        down = self._router.down
        return not down or (down.isdisjoint((a, b)) and self._router.find(a, b) is not None)

    def route(self, a: str, b: str) -> tuple[Hop, ...]:
        """Give the hops of the shortest route; empty when both are one node.

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
            edges = self._router.find(a, b) or self._router.usual(a, b)
            if edges is None:
                raise UserError(f"no route leads from {a!r} to {b!r}")
            found = self._routes[a, b] = tuple(self.graph.edges[edge]["hop"] for edge in edges)
        return found


def _up() -> FlowError:
    raise AssertionError("the hop is not down")
