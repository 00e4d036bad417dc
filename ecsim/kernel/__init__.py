"""The system plane's heart: clock, flows, servers, links and exact energy; it sees no tensor.

Imports core, simpy, networkx and numpy. `collab` builds a strategy's context on it and `runtime`
builds its nodes. Start reading at `operations`, then `flow`, then `world`.
"""

from ecsim.kernel.background import Background
from ecsim.kernel.flow import Flow
from ecsim.kernel.joins import All, First
from ecsim.kernel.ledger import Ledger
from ecsim.kernel.meter import Meter, MeterRow, MeterWindow, check_energy
from ecsim.kernel.node import Engine, Node, expand
from ecsim.kernel.operations import After, Operation, Travel, Use
from ecsim.kernel.server import FifoServer
from ecsim.kernel.signals import Mailbox, Signal, Wait
from ecsim.kernel.topology import Channel, Hop, Link, Topology
from ecsim.kernel.training import Mode, Train
from ecsim.kernel.world import World

__all__ = [
    "After",
    "All",
    "Background",
    "Channel",
    "Engine",
    "FifoServer",
    "First",
    "Flow",
    "Hop",
    "Ledger",
    "Link",
    "Mailbox",
    "Meter",
    "MeterRow",
    "MeterWindow",
    "Mode",
    "Node",
    "Operation",
    "Signal",
    "Topology",
    "Train",
    "Travel",
    "Use",
    "Wait",
    "World",
    "check_energy",
    "expand",
]
