"""A cut given by number, the same for any network: behind the n-th narrowing of what is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge

from ecsim.partition.partitioners import memory
from ecsim.partition.partitioners.prices import Objective, prices, require_two
from ecsim.partition.problem import PartitionPlan, PartitionProblem


@dataclass(frozen=True)
class NarrowParams:
    """Which cut.

    Attributes
    ----------
    cut : 0 sends the sample itself, n cuts behind the n-th layer whose output takes fewer bytes
        than the sample and all outputs before it; beyond the last of them nothing is sent.
    """

    cut: Annotated[int, Ge(0)] = 1


class Narrow:
    """The cut of a number, to compare with what an algorithm says; it optimises nothing.

    Where the device is slower than the cloud at every layer, no other single cut is ever best.
    """

    Params = NarrowParams

    def __init__(self, params: NarrowParams):
        self.params = params

    def plan(self, problem: PartitionProblem) -> PartitionPlan:
        """Give the cut; raises `Infeasible` when it does not fit into memory."""
        require_two(problem)
        priced = prices(problem, Objective())
        ends = priced.blocks()
        n = len(ends) - 1
        sizes = priced.sizes[ends]
        narrow = [0, *(k for k in range(1, n) if sizes[k] < sizes[:k].min()), n]
        k = narrow[min(self.params.cut, len(narrow) - 1)]
        plan = priced.plan(priced.of_blocks(np.arange(n) >= k), Objective(), float(n))
        memory.check(problem, plan.node, "narrow")
        return plan
