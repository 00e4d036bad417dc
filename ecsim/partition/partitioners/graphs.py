"""Minimum cuts under their names: DADS, QDMP and two-way plans, on routes of two nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

from annotated_types import Gt

from ecsim.core.types import BoolArray
from ecsim.core.units import Seconds
from ecsim.partition.partitioners import memory
from ecsim.partition.partitioners.prices import Objective, prices, reply_s
from ecsim.partition.plans import dads, dads_heavy, qdmp, two_way
from ecsim.partition.plans.dag import Dag
from ecsim.partition.problem import PartitionPlan, PartitionProblem, estimate


class _OfGraph:
    """Base: one algorithm on the graph of a problem, for a sum."""

    Params = Objective
    name: str
    algorithm: Callable[[Dag], tuple[BoolArray, int]]

    def __init__(self, params: Objective):
        self.params = params

    def plan(self, problem: PartitionProblem) -> PartitionPlan:
        """Give the plan of least cost; raises `Infeasible` when it does not fit into memory."""
        priced = prices(problem, self.params)
        is_cloud, steps = type(self).algorithm(priced.dag())
        found = priced.plan(is_cloud, self.params, float(steps))
        memory.check(problem, found.node, self.name)
        return found


class Dads(_OfGraph):
    """The one-way plan of least sum, by a minimum cut (DADS under light load)."""

    name = "dads"
    algorithm = staticmethod(dads.counted)


class Qdmp(_OfGraph):
    """The same plan in two stages: cut vertices, then a minimum cut within a block."""

    name = "qdmp"
    algorithm = staticmethod(qdmp.counted)


class TwoWay(_OfGraph):
    """A plan whose tensors may come back, by a minimum cut; never worse than the one-way plan.

    The cut charges every download a message of its own and every place one call; the value is the
    problem's own estimate, in which tensors that travel together share a message.
    """

    name = "two_way"
    algorithm = staticmethod(two_way.counted)

    def plan(self, problem: PartitionProblem) -> PartitionPlan:
        """Give the better of the two-way and the one-way plan."""
        there, back = Dads(self.params).plan(problem), super().plan(problem)
        best = back if back.value < there.value else there
        return replace(best, steps=there.steps + back.steps)


@dataclass(frozen=True)
class DadsHeavyParams:
    """How long it may take.

    Attributes
    ----------
    time_limit : of the solver, for each of its two programs.
    """

    time_limit: Annotated[Seconds, Gt(0)] = 10.0


class DadsHeavy:
    """The one-way plan whose slowest stage is fastest, by an integer program (under heavy load)."""

    Params = DadsHeavyParams

    def __init__(self, params: DadsHeavyParams):
        self.params = params

    def plan(self, problem: PartitionProblem) -> PartitionPlan:
        """Give the plan of least bottleneck; raises `Infeasible` when it does not fit into memory.

        Propagation occupies neither link nor node and does not count.
        """
        priced = prices(problem, Objective())
        dag = replace(priced.dag(), cloud=priced.layer[1], any_cloud=float(priced.once[1]))
        reply, is_shared = float(reply_s(problem)[0]), problem.hops[0].is_shared
        is_cloud = dads_heavy.heavy(
            dag,
            back=reply if is_shared else 0.0,
            answer=0.0 if is_shared else reply,
            time_limit_s=self.params.time_limit,
        )
        node = priced.spread(is_cloud)
        memory.check(problem, node, "dads_heavy")
        return PartitionPlan(node, "bottleneck_s", estimate(problem, node).bottleneck_s)
