"""What an algorithm is asked and what it answers: prices of layers and links, a node per layer.

A route is a line of nodes, the device first. Everything is of one sample on an idle system.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ecsim.core import registry
from ecsim.core.types import Cut
from ecsim.partition.cuts import cut_of, is_empty, transfers
from ecsim.partition.graph import LayerGraph
from ecsim.scenario.params import checked_params

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hop:
    """The link between two neighbours of a route; up is away from the device.

    Attributes
    ----------
    up_s, down_s : propagation one way.
    is_shared : whether both directions share one medium.
    near_up_w, far_up_w, near_down_w, far_down_w : what the near and the far end draw, beyond
        idle, while a message is serialised in that direction.
    """

    up_bit_per_s: float
    down_bit_per_s: float
    up_s: float = 0.0
    down_s: float = 0.0
    near_up_w: float = 0.0
    far_up_w: float = 0.0
    near_down_w: float = 0.0
    far_down_w: float = 0.0
    is_shared: bool = False

    def time_s(self, size_bytes: float, is_up: bool) -> float:
        """Give the seconds of a message, serialised and propagated."""
        rate, after_s = (
            (self.up_bit_per_s, self.up_s) if is_up else (self.down_bit_per_s, self.down_s)
        )
        return 8.0 * size_bytes / rate + after_s

    def joules(self, size_bytes: float, is_up: bool) -> tuple[float, float]:
        """Give what a message takes at the near and at the far end."""
        bits = 8.0 * size_bytes
        if is_up:
            seconds = bits / self.up_bit_per_s
            return seconds * self.near_up_w, seconds * self.far_up_w
        seconds = bits / self.down_bit_per_s
        return seconds * self.near_down_w, seconds * self.far_down_w


@dataclass(frozen=True, slots=True, eq=False)
class PartitionProblem:
    """Where to run V vertices on a route of K nodes.

    The input stands at node 0. A part on a node takes `fixed_s` and the sum of its vertices'
    `seconds`; one that runs no layer takes nothing. The answer goes back to node 0 over the links.

    Attributes
    ----------
    graph : V vertices in topological order, the input first.
    nodes : their K names.
    seconds, joules : (V, K), of each vertex on each node, without what a call costs anyway.
    fixed_s, fixed_j : (K,), what a call costs beside its vertices.
    hops : K - 1 links.
    out_bytes : (V,), of each vertex's output as it is sent: coded, or the sample's payload.
    reply_bytes : of the answer.
    idle_w : (K,), what each node draws while it waits.
    memory_bytes : (K,), what fits into each node; inf where nobody says.
    codec : how the values that cross are coded, a name in the registry.
    exit : the exit whose answer is asked, counted from 0; None: the last one.
    """

    graph: LayerGraph
    nodes: tuple[str, ...]
    seconds: Floats
    joules: Floats
    fixed_s: Floats
    fixed_j: Floats
    hops: tuple[Hop, ...]
    out_bytes: Floats
    reply_bytes: float = 0.0
    idle_w: Floats = field(default_factory=lambda: np.zeros(0))
    memory_bytes: Floats = field(default_factory=lambda: np.zeros(0))
    codec: str = "raw"
    exit: int | None = None

    def __post_init__(self) -> None:
        v, k = len(self.graph), len(self.nodes)
        if not len(self.idle_w):
            object.__setattr__(self, "idle_w", np.zeros(k))
        if not len(self.memory_bytes):
            object.__setattr__(self, "memory_bytes", np.full(k, np.inf))
        shapes = {
            "seconds": (v, k), "joules": (v, k), "fixed_s": (k,), "fixed_j": (k,),
            "out_bytes": (v,), "idle_w": (k,), "memory_bytes": (k,),
        }  # fmt: skip
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name}: {getattr(self, name).shape}, expected {shape}")
        if len(self.hops) != k - 1:
            raise ValueError(f"{len(self.hops)} hops between {k} nodes")


@dataclass(frozen=True, slots=True)
class PartitionPlan:
    """Where each vertex runs, and what the algorithm took that to cost.

    Attributes
    ----------
    node : position along the route of each vertex, in the graph's order; the input's is 0.
    objective : what was minimised, such as "latency_s", "energy_j" or "bottleneck_s".
    value : of the objective.
    steps : elementary steps that finding it took, for those who charge a planner's work; 0 where
        they are not counted.
    """

    node: tuple[int, ...]
    objective: str = "latency_s"
    value: float = 0.0
    steps: float = 0.0


class Partitioner(Protocol):
    """Says where each vertex runs; registered as a "partitioner", made with its `Params`.

    Raises `UserError` naming the constraint that cannot be met.
    """

    def plan(self, problem: PartitionProblem) -> PartitionPlan:
        """Give a plan; the same for the same problem."""


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What a plan costs on an idle system.

    Attributes
    ----------
    cut : its parts.
    part_s : seconds of each part on its node.
    up_s, down_s : seconds that messages occupy each hop, without propagation, (K - 1,).
    sent_bytes : what goes from each part to the next; the answer back to node 0 comes last, if it
        goes anywhere.
    latency_s : from the arrival of the sample to the answer at node 0.
    node_s, node_j : busy seconds and marginal joules of each node, links included in joules, (K,).
    hop_s : of the busier direction of each hop, of both where they share a medium, (K - 1,).
    """

    cut: Cut
    part_s: tuple[float, ...]
    up_s: Floats
    down_s: Floats
    hop_s: Floats
    sent_bytes: tuple[float, ...]
    latency_s: float
    node_s: Floats
    node_j: Floats

    @property
    def energy_j(self) -> float:
        """Marginal joules of all nodes and links."""
        return float(self.node_j.sum())

    @property
    def bottleneck_s(self) -> float:
        """Seconds per task of the busiest node or hop: the inverse of the highest rate."""
        return float(max(self.node_s.max(), self.hop_s.max(initial=0.0)))


def estimate(problem: PartitionProblem, node: Sequence[int]) -> Estimate:
    """Give what a placement (a node per vertex) costs on an idle system; any placement is legal."""
    graph, k = problem.graph, len(problem.nodes)
    needed = set(graph.needed(problem.exit))
    placement = {
        name: int(at) for name, at in zip(graph.names, node, strict=True) if name in needed
    }
    cut = cut_of(graph, placement, problem.codec)
    node_s, node_j = np.zeros(k), np.zeros(k)
    up_s, down_s = np.zeros(k - 1), np.zeros(k - 1)
    part_s = []
    latency_s = 0.0
    for part, at in zip(cut.parts, cut.nodes, strict=True):
        seconds = joules = 0.0
        if not is_empty(part):
            rows = [graph.index[name] for name in part]
            seconds = float(problem.fixed_s[at] + problem.seconds[rows, at].sum())
            joules = float(problem.fixed_j[at] + problem.joules[rows, at].sum())
        node_s[at] += seconds
        node_j[at] += joules
        part_s.append(seconds)
        latency_s += seconds
    stops = list(cut.nodes)
    sent = [
        float(sum(problem.out_bytes[graph.index[name]] for name in moved))
        for moved in transfers(graph, cut)
    ]
    if stops[-1] != 0:
        stops.append(0)
        sent.append(problem.reply_bytes)
    for a, b, size_bytes in zip(stops, stops[1:], sent, strict=False):
        for h in range(a, b) if b > a else range(a - 1, b - 1, -1):
            hop = problem.hops[h]
            after_s = hop.up_s if b > a else hop.down_s
            time_s = hop.time_s(size_bytes, b > a)
            latency_s += time_s
            (up_s if b > a else down_s)[h] += time_s - after_s
            near_j, far_j = hop.joules(size_bytes, b > a)
            node_j[h] += near_j
            node_j[h + 1] += far_j
    shared = np.array([hop.is_shared for hop in problem.hops], dtype=bool)
    hop_s = np.where(shared, up_s + down_s, np.maximum(up_s, down_s))
    return Estimate(cut, tuple(part_s), up_s, down_s, hop_s, tuple(sent), latency_s, node_s, node_j)


def registered(name: str, params: Any = None) -> Partitioner:
    """Give the partitioner of this name, with its `Params` or their defaults.

    Raises `UserError` for a name that there is not.
    """
    cls = registry.resolve("partitioner", name)
    made: Partitioner = cls(cls.Params() if params is None else params)
    return made


def partitioner_named(name: str, settings: Mapping[str, Any]) -> Partitioner:
    """Give the partitioner of this name, made with these keys of its `Params`.

    Raises `UserError` for a name or a key that there is not, or a wrong value.
    """
    params = registry.resolve("partitioner", name).Params
    return registered(name, checked_params(params, settings))
