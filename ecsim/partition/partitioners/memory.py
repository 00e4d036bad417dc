"""What a placement needs in each node's memory, and the error where there is too little."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecsim.core.types import FloatArray
from ecsim.partition.plans.constraints import Infeasible
from ecsim.partition.problem import PartitionProblem


def needed_bytes(problem: PartitionProblem, node: Sequence[int]) -> FloatArray:
    """Give the bytes of each node, shape (K,): all its weights, and its largest layer's values."""
    graph = problem.graph
    weights, values = np.zeros(len(problem.nodes)), np.zeros(len(problem.nodes))
    needed = set(graph.needed(problem.exit))
    for vertex, at in zip(graph.vertices, node, strict=True):
        if vertex.name in needed:
            weights[at] += vertex.param_bytes
            values[at] = max(values[at], vertex.peak_bytes - vertex.param_bytes)
    return weights + values


def fits(problem: PartitionProblem, node: Sequence[int]) -> bool:
    """Whether every node has the memory for its vertices."""
    return bool((needed_bytes(problem, node) <= problem.memory_bytes).all())


def check(problem: PartitionProblem, node: Sequence[int], algorithm: str) -> None:
    """Raise `Infeasible` where a plan of an algorithm that knows no memory does not fit."""
    for name, needs, has in zip(
        problem.nodes, needed_bytes(problem, node), problem.memory_bytes, strict=True
    ):
        if needs > has:
            raise Infeasible(
                f"memory of {name}: expected at most {has:g} bytes, the plan of {algorithm} needs "
                f"{needs:g}; neurosurgeon and jointdnn look for plans that fit"
            )
