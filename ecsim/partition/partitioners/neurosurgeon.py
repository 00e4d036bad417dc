"""Neurosurgeon under its name: the best single cut, over a route of two nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ecsim.partition.partitioners import memory
from ecsim.partition.partitioners.prices import (
    Objective,
    Prices,
    busy,
    name_of,
    prices,
    require_two,
    value,
)
from ecsim.partition.plans import neurosurgeon
from ecsim.partition.plans.chain import Chain
from ecsim.partition.plans.constraints import Infeasible
from ecsim.partition.problem import PartitionPlan, PartitionProblem, estimate


@dataclass(frozen=True)
class NeurosurgeonParams:
    """What the cut is best for.

    Attributes
    ----------
    objective : latency of one task, energy, or throughput (the slowest of device, link and cloud).
    whose : whose joules count as energy: the device's, as in the paper, or all nodes' and links'.
    idle : whether the device's idle power counts as energy too, for as long as the task takes.
    answer : whether the answer's way back to the device counts, or is kept out of sight.
    """

    objective: Literal["latency", "energy", "throughput"] = "latency"
    whose: Literal["device", "all"] = "device"
    idle: bool = False
    answer: Literal["returned", "kept"] = "returned"


class Neurosurgeon:
    """Cut behind the layer that is best; blocks between cut vertices count as one layer."""

    Params = NeurosurgeonParams

    def __init__(self, params: NeurosurgeonParams):
        self.params = params

    def plan(self, problem: PartitionProblem) -> PartitionPlan:
        """Look at every cut; raises `Infeasible` when none fits into the nodes' memory."""
        require_two(problem)
        params = self.params
        if params.objective == "throughput":
            goal = Objective()
        else:
            goal = Objective(params.objective, params.whose, params.idle)
        priced = prices(problem, goal)
        chain = _chain(priced, params.answer == "returned")
        costs = neurosurgeon.sums(chain)
        if params.objective == "throughput":
            costs = neurosurgeon.bottlenecks(_serialised(priced, chain))
        n = len(costs) - 1
        cuts = [priced.of_blocks(np.arange(n) >= k) for k in range(n + 1)]
        whole = [priced.spread(where) for where in cuts]
        costs = np.where([memory.fits(problem, node) for node in whole], costs, np.inf)
        if not np.isfinite(costs).any():
            raise Infeasible(f"memory: no cut fits into {' and '.join(problem.nodes)}")
        found = whole[neurosurgeon.cut(chain, costs)]
        steps = float(len(priced.at) + 8 * (n + 1))  # blocks added up, then four sums each cut
        if params.objective == "throughput":
            slowest_s = estimate(problem, found).bottleneck_s
            return PartitionPlan(found, "bottleneck_s", slowest_s, steps)
        return PartitionPlan(found, name_of(goal), value(problem, found, goal), steps)


def _chain(priced: Prices, is_returned: bool) -> Chain:
    row = priced.row()
    return Chain(
        row.layer[0], row.layer[1], row.hop[0], float(row.back[1]) if is_returned else 0.0,
        row.sent_bytes, float(row.once[0]), float(row.once[1]),
    )  # fmt: skip


def _serialised(priced: Prices, chain: Chain) -> Chain:
    """Give the chain with the link's busy time alone: propagation occupies nothing."""
    up = busy(priced)[0]
    return Chain(
        chain.edge, chain.cloud, up, 0.0, chain.sent_bytes, chain.any_edge, chain.any_cloud
    )
