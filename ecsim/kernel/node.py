"""Nodes: named places with engines that compute and radios that send and receive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecsim.kernel.meter import Meter
from ecsim.kernel.radio import RADIO_STATES
from ecsim.kernel.server import FifoServer

if TYPE_CHECKING:
    from ecsim.kernel.world import World

ENGINE_STATES = ("active", "training", "background")


class Engine(FifoServer):
    """A FIFO server with a meter: what computes on a node.

    Parameters
    ----------
    world : the world.
    node : the node's name.
    name : its name on the node, e.g. "inference" or "host"; the component of its meter.
    n_servers : units that serve at once.
    idle_w : power when idle, in W.
    can_train : whether a training may run on it.
    """

    __slots__ = ("can_train",)

    def __init__(
        self,
        world: World,
        node: str,
        name: str,
        n_servers: int = 1,
        idle_w: float = 0.0,
        can_train: bool = False,
    ) -> None:
        meter = Meter(world, node, name, ENGINE_STATES, idle_w, n_servers)
        super().__init__(world, f"{node}/{name}", n_servers, meter)
        self.can_train = can_train


class Node:
    """A named place of a tier ("end", "edge", "cloud") with engines, a transmitter and a receiver.

    Parameters
    ----------
    world : the world.
    name, tier : its name and tier.
    engines : engines by name.
    tx_idle_w, rx_idle_w : power of the idle transmitter and receiver, in W.
    """

    __slots__ = ("_radio", "_world", "engines", "name", "receiver", "tier", "transmitter")

    def __init__(
        self,
        world: World,
        name: str,
        tier: str,
        engines: dict[str, Engine],
        tx_idle_w: float = 0.0,
        rx_idle_w: float = 0.0,
    ) -> None:
        self.name = name
        self.tier = tier
        self.engines = engines
        # units are counted up by the topology, one per channel that a link attaches
        self.transmitter = Meter(world, name, "transmitter", ("tx",), tx_idle_w, n_units=0)
        self.receiver = Meter(world, name, "receiver", ("rx",), rx_idle_w, n_units=0)
        self._world = world
        self._radio: Meter | None = None

    @property
    def radio(self) -> Meter:
        """Meter of the states that its radios are in beside their transfers; made when needed."""
        if self._radio is None:
            self._radio = Meter(self._world, self.name, "radio", RADIO_STATES, n_units=0)
        return self._radio

    def __repr__(self) -> str:
        return f"<Node {self.name}>"


def expand(name: str, count: int | None = None) -> list[str]:
    """Give the names of a group of nodes; without a count the name stays as it is.

    >>> expand("cam", 3), expand("cloud")
    (['cam[0]', 'cam[1]', 'cam[2]'], ['cloud'])
    """
    if count is None:
        return [name]
    if count < 1:
        raise ValueError(f"group {name!r} needs a count of at least 1, got {count}")
    return [f"{name}[{index}]" for index in range(count)]
