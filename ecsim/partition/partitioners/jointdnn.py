"""JointDNN under its name: alternating segments, with limits if there are any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt

from ecsim.core.units import Joules, Seconds
from ecsim.partition.partitioners import memory
from ecsim.partition.partitioners.prices import Objective, Prices, prices
from ecsim.partition.plans import jointdnn, jointdnn_ilp
from ecsim.partition.plans.jointdnn import Segments, sums
from ecsim.partition.plans.jointdnn_ilp import Limit
from ecsim.partition.problem import PartitionPlan, PartitionProblem


@dataclass(frozen=True)
class JointDnnParams(Objective):
    """What is least, and what it must keep to.

    Attributes
    ----------
    deadline : the task's latency on an idle system is at most this.
    battery : the device's marginal joules per task are at most this.
    cloud_time : the seconds that a task takes of the cloud are at most this (its congestion).
    """

    deadline: Annotated[Seconds, Gt(0)] | None = None
    battery: Annotated[Joules, Gt(0)] | None = None
    cloud_time: Annotated[Seconds, Gt(0)] | None = None


class JointDnn:
    """Segments on device and cloud in turn: a shortest path, or an integer program with limits.

    Blocks between cut vertices count as one layer.
    """

    Params = JointDnnParams

    def __init__(self, params: JointDnnParams):
        self.params = params

    def plan(self, problem: PartitionProblem) -> PartitionPlan:
        """Give the plan; raises `Infeasible`, naming the limits, when there is none."""
        priced = prices(problem, self.params)
        segments = priced.segments()
        limits = self._limits(problem)
        is_cloud = jointdnn_ilp.place(segments, limits) if limits else jointdnn.place(segments)
        steps = 0.0 if limits else 2.0 * len(segments) ** 2  # a program's are not counted
        found = priced.plan(priced.of_blocks(is_cloud), self.params, steps)
        memory.check(problem, found.node, "jointdnn")
        return found

    def _limits(self, problem: PartitionProblem) -> dict[str, Limit]:
        params, limits = self.params, {}
        seconds = prices(problem, Objective())
        if params.deadline is not None:
            limits["deadline"] = Limit(seconds.segments(), params.deadline, "s")
        if params.battery is not None:
            joules = prices(problem, Objective("energy", "device"))
            limits["battery"] = Limit(joules.segments(), params.battery, "J")
        if params.cloud_time is not None:
            limits["cloud_time"] = Limit(_at(1, seconds.segments()), params.cloud_time, "s")
        for k, (name, most) in enumerate(zip(problem.nodes, problem.memory_bytes, strict=True)):
            if np.isfinite(most):
                weights = _at(k, _weights(seconds))
                limits[f"memory of {name}"] = Limit(weights, float(most), "bytes")
        return limits


def _at(place: int, segments: Segments) -> Segments:
    """Give what segments take at one place alone."""
    none, free = np.zeros_like(segments.mobile), np.zeros(len(segments) + 1)
    if place == 0:
        return Segments(segments.mobile, none, free, free)
    return Segments(none, segments.cloud, free, free)


def _weights(priced: Prices) -> Segments:
    """Give the bytes of the segments' weights."""
    vertices = priced.problem.graph.vertices
    each = np.array([vertices[v].param_bytes for v in priced.at])
    blocks = np.add.reduceat(each, priced.blocks()[:-1] + 1)
    free = np.zeros(len(blocks) + 1)
    return Segments(sums(blocks), sums(blocks), free, free)
