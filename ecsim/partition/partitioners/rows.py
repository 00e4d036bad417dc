"""Plans over a route of any number of nodes under their names: tiers, and pipelines."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ecsim.partition.partitioners import memory
from ecsim.partition.partitioners.prices import Objective, busy, prices
from ecsim.partition.plans import pipeline, tiers, tiers_dag
from ecsim.partition.problem import PartitionPlan, PartitionProblem, estimate


class Tiers:
    """The one-way plan of least sum over all nodes: a path for a chain, a minimum cut else."""

    Params = Objective

    def __init__(self, params: Objective):
        self.params = params

    def plan(self, problem: PartitionProblem) -> PartitionPlan:
        """Give the plan; raises `Infeasible` when it does not fit into memory."""
        priced = prices(problem, self.params)
        row = priced.row()
        if row.layer.shape[1] == len(priced.at) - 1:  # every vertex is a block of its own
            where = priced.of_blocks(_nodes(tiers.place(row), row.layer.shape[1]))
            steps = 4 * row.layer.size  # once per tier and layer
        else:
            where, steps = tiers_dag.counted(priced.tiers())
        found = priced.plan(where, self.params, float(steps))
        memory.check(problem, found.node, "tiers")
        return found


@dataclass(frozen=True)
class PipelineParams:
    """It has no parameters: the objective is throughput."""


class Pipeline:
    """The plan whose slowest node or hop is fastest; blocks between cut vertices stay whole."""

    Params = PipelineParams

    def __init__(self, params: PipelineParams):
        self.params = params

    def plan(self, problem: PartitionProblem) -> PartitionPlan:
        """Give the plan; raises `Infeasible` when it does not fit into memory.

        Propagation occupies nothing and does not count; the answer's way back does, as soon as a
        hop is taken at all.
        """
        priced = prices(problem, Objective())
        row = priced.row()
        cuts = pipeline.place(replace(row, hop=busy(priced)))
        node = priced.spread(priced.of_blocks(_nodes(cuts, row.layer.shape[1])))
        memory.check(problem, node, "pipeline")
        steps = 2.0 * row.layer.size * row.layer.shape[1]
        return PartitionPlan(node, "bottleneck_s", estimate(problem, node).bottleneck_s, steps)


def _nodes(cuts: np.ndarray, n: int) -> np.ndarray:
    return np.searchsorted(cuts, np.arange(n), side="right")
