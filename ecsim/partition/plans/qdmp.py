"""QDMP: first the cut vertices, then a minimum cut in the only block that can be mixed.

Objective: as DADS under light load. A cut vertex lies on every way from an input to an output. In a
one-way plan, one at the edge has everything before it at the edge, one in the cloud everything
after it in the cloud; so at most one block between two neighbours is divided. Stage 1 looks at the
cuts right behind cut vertices, as on a chain. Stage 2 asks for a minimum cut within each block
whose lower bound is not above the best so far, which for most networks are very few.

Source: Zhang et al., "Towards real-time cooperative deep inference over the cloud and edge end
devices", IMWUT 4 (2020); survey section V.A. The bound is our own.
"""

from __future__ import annotations

import numpy as np

from ecsim.core.types import BoolArray, FloatArray, IntArray
from ecsim.partition.plans import dads
from ecsim.partition.plans.constraints import impossible
from ecsim.partition.plans.dag import Dag, cost, sent
from ecsim.partition.plans.ties import SAME, best


def cut_vertices(dag: Dag) -> list[int]:
    """Give the vertices on every way from an input to an output, in order.

    Vertex v is one when no edge leads past it, and it is neither a second input nor an end.

    >>> zeros = np.zeros(4)
    >>> cut_vertices(Dag(((), (0,), (0,), (1, 2)), zeros, zeros, zeros))
    [0, 3]
    """
    n = len(dag)
    passing = np.zeros(n + 1, dtype=int)  # edges over each vertex, by differences
    after = dag.successors()
    for v in range(n):
        begin = min(dag.preds[v], default=-1)
        passing[begin + 1] += 1  # from the start, or its first predecessor, to just before v
        passing[v] -= 1
        end = max(after[v], default=n)
        passing[v + 1] += 1
        passing[end if after[v] else n] -= 1
    return [int(v) for v in np.flatnonzero(np.cumsum(passing[:n]) == 0)]


def place(dag: Dag) -> BoolArray:
    """Give which vertices run in the cloud, shape (n,): the one-way plan of least cost.

    Of equal plans the one that sends fewest bytes, then the one with most layers at the edge.
    """
    return counted(dag)[0]


def counted(dag: Dag) -> tuple[BoolArray, int]:
    """Give the plan and how many steps were done to find it."""
    n, cuts = len(dag), cut_vertices(dag)
    starts = np.array([*(v + 1 for v in cuts), n])  # where the cloud's layers begin
    values = _behind(dag, starts)
    sizes = np.append(dag.sent_bytes[cuts], 0.0) * (starts < n)
    plans = [np.arange(n) >= start for start in starts]
    n_steps = 3 * n
    blocks = [(a, b) for a, b in zip([-1, *cuts], [*cuts, n], strict=True) if b - a > 1]
    bounds = np.array([_bound(dag, *block) for block in blocks])
    for at in np.argsort(bounds, kind="stable"):
        if bounds[at] > values.min() * (1.0 + SAME):
            break
        is_cloud, steps = _in_block(dag, *blocks[at])
        plans.append(is_cloud)
        values = np.append(values, cost(dag, is_cloud))
        sizes = np.append(sizes, sent(dag, is_cloud))
        n_steps += steps
    if not np.isfinite(values).any():
        raise impossible()
    at_edge = np.array([float((~is_cloud).sum()) for is_cloud in plans])
    return plans[best(values, sizes, at_edge)], n_steps


def _behind(dag: Dag, starts: IntArray) -> FloatArray:
    """Give the costs of the plans that cut right behind a cut vertex, by sums from both ends."""
    n = len(dag)
    is_layer = ~dag.is_input()
    edge = np.concatenate(([0.0], np.cumsum(np.where(is_layer, dag.edge, 0.0))))
    inputs = float(np.where(is_layer, 0.0, dag.edge).sum())
    cloud = np.concatenate((np.cumsum(np.where(is_layer, dag.cloud, 0.0)[::-1])[::-1], [0.0]))
    has_edge = np.concatenate(([0], np.cumsum(is_layer)))[starts] > 0
    up = np.where(starts < n, dag.up[starts - 1] + dag.any_cloud, 0.0)
    return inputs + edge[starts] + cloud[starts] + up + has_edge * dag.any_edge


def _bound(dag: Dag, first: int, last: int) -> float:
    """Give what no plan undercuts that divides the block between two cut vertices."""
    inside = slice(first + 1, last)
    layers = dag.edge[: first + 1].sum() + dag.cloud[last:].sum()
    return float(layers + np.minimum(dag.edge[inside], dag.cloud[inside]).sum())


def _in_block(dag: Dag, first: int, last: int) -> tuple[BoolArray, int]:
    """Give the best plan with `first` and all before it at the edge, `last` and on in the cloud."""
    start, stop = max(first, 0), min(last + 1, len(dag))
    edge, cloud = dag.edge[start:stop].copy(), dag.cloud[start:stop].copy()
    if last < len(dag):
        edge[-1] = np.inf
    preds = tuple(
        tuple(u - start for u in before if u >= start) for before in dag.preds[start:stop]
    )
    has_edge = not dag.is_input()[: first + 1].all()
    block = Dag(
        preds, edge, cloud, dag.up[start:stop],
        sent_bytes=dag.sent_bytes[start:stop],
        any_edge=0.0 if has_edge else dag.any_edge,
        any_cloud=0.0 if last < len(dag) else dag.any_cloud,
    )  # fmt: skip
    is_cloud = np.arange(len(dag)) >= last
    inside, n_steps = dads.counted(block)
    is_cloud[start:stop] = inside
    return is_cloud, n_steps
