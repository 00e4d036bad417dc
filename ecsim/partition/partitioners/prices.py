"""From a partition problem to the arrays of the algorithms, in seconds or in joules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ecsim.core.errors import UserError
from ecsim.core.types import FloatArray, IntArray
from ecsim.partition.plans.dag import Dag
from ecsim.partition.plans.jointdnn import Segments, sums
from ecsim.partition.plans.qdmp import cut_vertices
from ecsim.partition.plans.tiers import Row
from ecsim.partition.plans.tiers_dag import Tiers
from ecsim.partition.problem import PartitionPlan, PartitionProblem, estimate


@dataclass(frozen=True)
class Objective:
    """What a sum over layers and messages is made of.

    Attributes
    ----------
    objective : latency of one task on an idle system, or energy.
    whose : whose marginal joules count as energy: those of all nodes and links, or the device's,
        which computes, sends and receives.
    idle : whether the device's idle power counts too, for as long as the task takes.
    """

    objective: Literal["latency", "energy"] = "latency"
    whose: Literal["all", "device"] = "all"
    idle: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """The needed part of a problem as arrays, V vertices in topological order on K nodes.

    Attributes
    ----------
    at : their places in the problem's graph, shape (V,); the input's comes first.
    preds : predecessors of each, as places in `at`.
    layer : of each on each node, shape (K, V).
    once : of a call on each node, shape (K,).
    hop : of each output on each hop up, shape (K - 1, V); `message` is paid beside it, once.
    down : the same on its way back, shape (K - 1, V), with the message's.
    back : of the answer's way home from each node, shape (K,).
    """

    problem: PartitionProblem
    at: IntArray
    preds: tuple[tuple[int, ...], ...]
    layer: FloatArray
    once: FloatArray
    hop: FloatArray
    message: FloatArray
    down: FloatArray
    back: FloatArray

    @property
    def sizes(self) -> FloatArray:
        """Bytes of each output as it is sent, shape (V,)."""
        return self.problem.out_bytes[self.at]

    def tiers(self) -> Tiers:
        """Give the graph over all nodes of the route; the answer's way back is the output's."""
        layer = self.layer.copy()
        layer[:, -1] += self.back
        return Tiers(self.preds, layer, self.hop, self.sizes, self.once, self.message)

    def dag(self) -> Dag:
        """Give the graph between the two ends of a route of two nodes."""
        require_two(self.problem)
        cloud = self.layer[1].copy()
        cloud[-1] += self.back[1]
        return Dag(
            self.preds, self.layer[0], cloud, self.hop[0], self.down[0], self.sizes,
            any_edge=float(self.once[0]), any_cloud=float(self.once[1] + self.message[0]),
        )  # fmt: skip

    def blocks(self) -> IntArray:
        """Give the vertices on every way from the input to the output, the input first."""
        return np.array(cut_vertices(Dag(self.preds, self.layer[0], self.layer[0], self.sizes)))

    def row(self) -> Row:
        """Give the chain over the nodes; what lies between two cut vertices counts as one layer."""
        ends = self.blocks()
        hop = self.hop[:, ends] + self.message[:, None]
        return Row(self._of_blocks(), hop, self.back, self.sizes[ends], self.once)

    def segments(self) -> Segments:
        """Give the chain between the ends of a route of two nodes, in segments."""
        require_two(self.problem)
        ends = self.blocks()
        mobile, cloud = (
            np.triu(sums(layer) + once)
            for layer, once in zip(self._of_blocks(), self.once, strict=True)
        )
        down = self.down[0, ends].copy()
        down[-1] = self.back[1]
        return Segments(mobile, cloud, self.hop[0, ends] + self.message[0], down, self.sizes[ends])

    def _of_blocks(self) -> FloatArray:
        ends = self.blocks()
        return np.add.reduceat(self.layer, ends[:-1] + 1, axis=1)

    def plan(self, where: Iterable[int], objective: Objective, steps: float = 0.0) -> PartitionPlan:
        """Give the plan that has each needed vertex on a node, with its value."""
        found = self.spread(where)
        return PartitionPlan(
            found, name_of(objective), value(self.problem, found, objective), steps
        )

    def spread(self, where: Iterable[int]) -> tuple[int, ...]:
        """Give the node of each vertex of the problem's graph; those not needed lie at 0."""
        node = np.zeros(len(self.problem.graph), dtype=int)
        node[self.at] = list(where)
        return tuple(int(k) for k in node)

    def of_blocks(self, where: Iterable[int]) -> IntArray:
        """Give the node of each vertex from the nodes of the blocks."""
        ends = self.blocks()
        sizes = np.diff(np.concatenate(([0], ends[1:] + 1)))
        sizes[0] -= 1
        return np.concatenate(([0], np.repeat(list(where), sizes)))


def prices(problem: PartitionProblem, objective: Objective) -> Prices:
    """Give the arrays of a problem for an objective."""
    graph = problem.graph
    needed = graph.needed(problem.exit)
    at = np.array([graph.index[name] for name in needed])
    place = {int(v): i for i, v in enumerate(at)}
    preds = tuple(tuple(place[p] for p in graph.preds[v]) for v in at)
    sizes = problem.out_bytes[at]
    n_nodes = len(problem.nodes)
    seconds = _Price(objective, problem)
    hops = range(n_nodes - 1)
    hop, down = np.zeros((n_nodes - 1, len(at))), np.zeros((n_nodes - 1, len(at)))
    message, back = np.zeros(n_nodes - 1), np.zeros(n_nodes)
    for h in hops:
        message[h] = seconds.message(h, 0.0, is_up=True)
        hop[h] = [seconds.message(h, size, is_up=True) - message[h] for size in sizes]
        down[h] = [seconds.message(h, size, is_up=False) for size in sizes]
        back[h + 1] = back[h] + seconds.message(h, problem.reply_bytes, is_up=False)
    layer = np.array([seconds.layers(problem.seconds[at, k], problem.joules[at, k], k)
                      for k in range(n_nodes)])  # fmt: skip
    once = np.array([
        float(seconds.layers(problem.fixed_s[[k]], problem.fixed_j[[k]], k)[0])
        for k in range(n_nodes)
    ])  # fmt: skip
    return Prices(problem, at, preds, layer, once, hop, message, down, back)


class _Price:
    """Weighs seconds and joules as an objective says."""

    def __init__(self, objective: Objective, problem: PartitionProblem):
        self._problem = problem
        self._is_latency = objective.objective == "latency"
        self._counts = [objective.whose == "all" or k == 0 for k in range(len(problem.nodes))]
        self._idle_w = float(problem.idle_w[0]) if objective.idle else 0.0

    def layers(self, seconds: FloatArray, joules: FloatArray, node: int) -> FloatArray:
        if self._is_latency:
            return seconds
        return joules * self._counts[node] + seconds * self._idle_w

    def message(self, hop: int, size_bytes: float, is_up: bool) -> float:
        link = self._problem.hops[hop]
        if self._is_latency:
            return link.time_s(size_bytes, is_up)
        near_j, far_j = link.joules(size_bytes, is_up)
        joules = near_j * self._counts[hop] + far_j * self._counts[hop + 1]
        return joules + self._idle_w * link.time_s(size_bytes, is_up)


def name_of(objective: Objective) -> str:
    """Give the name of an objective with its unit."""
    return "latency_s" if objective.objective == "latency" else "energy_j"


def value(problem: PartitionProblem, node: tuple[int, ...], objective: Objective) -> float:
    """Give what a placement really comes to, by the problem's own estimate."""
    found = estimate(problem, node)
    if objective.objective == "latency":
        return found.latency_s
    joules = found.energy_j if objective.whose == "all" else float(found.node_j[0])
    return joules + objective.idle * float(problem.idle_w[0]) * found.latency_s


def require_two(problem: PartitionProblem) -> None:
    """Raise `UserError` unless the route has two nodes."""
    if len(problem.nodes) != 2:
        raise UserError(
            f"expected a route of two nodes, got {', '.join(problem.nodes)}; "
            "the partitioners tiers and pipeline take any number"
        )


def reply_s(problem: PartitionProblem) -> FloatArray:
    """Give how long the answer occupies each hop, without propagation, shape (K - 1,)."""
    size_bytes = problem.reply_bytes
    return np.array(
        [hop.time_s(size_bytes, False) - hop.time_s(0.0, False) for hop in problem.hops]
    )


def busy(priced: Prices) -> FloatArray:
    """Give how long each hop is busy with a task whose one tensor crosses it, (K - 1, blocks).

    Uploads and the answer add up on a shared medium; else the busier direction counts.
    Propagation occupies nothing.
    """
    up, down = priced.hop[:, priced.blocks()], reply_s(priced.problem)[:, None]
    is_shared = np.array([hop.is_shared for hop in priced.problem.hops], dtype=bool)[:, None]
    return np.where(is_shared, up + down, np.maximum(up, down))
