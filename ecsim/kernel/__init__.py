"""The system plane's heart: clock, flows, servers, links and exact energy; it sees no tensor.

Imports core, simpy, networkx and numpy. `collab` builds a strategy's context on it and `runtime`
builds its nodes. Start reading at `operations`, then `flow`, then `world`. `compiled.bind`
lets twins in C stand in for some of their methods (ADR 0029).
"""

from ecsim import compiled
from ecsim.kernel.background import Background
from ecsim.kernel.batching import Batcher
from ecsim.kernel.channel import Channel
from ecsim.kernel.clock import Steps, WorkClock
from ecsim.kernel.disciplines import EventEngine
from ecsim.kernel.flow import Flow
from ecsim.kernel.jitter import (
    ExponentialJitter,
    Jitter,
    LognormalJitter,
    Loss,
    NormalJitter,
    UniformJitter,
)
from ecsim.kernel.jobs import RankedUse, Ranks
from ecsim.kernel.joins import All, First
from ecsim.kernel.ledger import Ledger
from ecsim.kernel.meter import Meter, MeterRow, MeterWindow, check_energy
from ecsim.kernel.node import Engine, Node, expand
from ecsim.kernel.operations import Operation, Use
from ecsim.kernel.radio import RadioCard
from ecsim.kernel.server import FifoServer
from ecsim.kernel.sharing import SharingServer
from ecsim.kernel.signals import Mailbox, Signal, Wait
from ecsim.kernel.station import Station
from ecsim.kernel.timers import After, Timers
from ecsim.kernel.topology import Hop, Link, Topology
from ecsim.kernel.training import Mode, Train
from ecsim.kernel.travel import Travel
from ecsim.kernel.world import World, fire_entry

__all__ = [
    "After",
    "All",
    "Background",
    "Batcher",
    "Channel",
    "Engine",
    "EventEngine",
    "ExponentialJitter",
    "FifoServer",
    "First",
    "Flow",
    "Hop",
    "Jitter",
    "Ledger",
    "Link",
    "LognormalJitter",
    "Loss",
    "Mailbox",
    "Meter",
    "MeterRow",
    "MeterWindow",
    "Mode",
    "Node",
    "NormalJitter",
    "Operation",
    "RadioCard",
    "RankedUse",
    "Ranks",
    "SharingServer",
    "Signal",
    "Station",
    "Steps",
    "Topology",
    "Train",
    "Travel",
    "UniformJitter",
    "Use",
    "Wait",
    "WorkClock",
    "World",
    "check_energy",
    "expand",
]

compiled.bind(
    fire_entry, World, Flow, Operation, Use, Travel, After, Timers, Ledger, FifoServer, Meter, Hop,
    Channel,
)  # fmt: skip
