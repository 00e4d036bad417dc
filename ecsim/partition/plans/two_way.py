"""Two-way plans of a graph: tensors may come back from the cloud, each paying one download.

Objective: the sum of the layers' times, one upload per tensor that the cloud needs from the edge,
and one download per tensor that the edge needs from the cloud. `any_edge` and `any_cloud` are
paid once, however many parts there are. As in `dads`, but instead of a
forbidden way back, each tensor has a second vertex v'' with an arc of the download's cost to v and
infinite ones from every successor.

Source: survey section V.A ("may not be the optimal solution, because multiple partition points can
exist"); the second vertex is our own addition: docs/decisions/0033.
"""

from __future__ import annotations

import numpy as np

from ecsim.core.types import BoolArray
from ecsim.partition.plans.constraints import impossible
from ecsim.partition.plans.dag import Dag
from ecsim.partition.plans.flow import Network
from ecsim.partition.plans.ties import Weights


def place(dag: Dag) -> BoolArray:
    """Give which vertices run in the cloud, shape (n,): the plan of least cost.

    Of equal plans the one that sends fewest bytes, then the one with most layers at the edge.

    >>> dag = Dag(((), (0,), (1,)), np.array([0, 9.0, 1.0]), np.array([0, 1.0, 9.0]),
    ...     np.ones(3), np.ones(3))
    >>> place(dag).tolist()
    [False, True, False]
    """
    return counted(dag)[0]


def counted(dag: Dag) -> tuple[BoolArray, int]:
    """Give the plan and how many arcs were looked at to find it."""
    n = len(dag)
    sizes = dag.sent_bytes
    once = (dag.any_edge, dag.any_cloud)
    weights = Weights([*dag.edge, *dag.cloud, *dag.up, *dag.down, *once], [*sizes, *sizes])
    network, source, sink = Network(n + 2), n, n + 1
    is_input = dag.is_input()
    in_cloud, at_edge = network.vertex(), network.vertex()
    network.arc(source, in_cloud, weights(dag.any_cloud))
    network.arc(at_edge, sink, weights(dag.any_edge))
    for v, after in enumerate(dag.successors()):
        network.arc(source, v, weights.infinite if is_input[v] else weights(dag.cloud[v]))
        network.arc(v, sink, weights(dag.edge[v]))
        if not is_input[v]:
            network.arc(in_cloud, v, weights.infinite)
            network.arc(v, at_edge, weights.infinite)
        if not after:
            continue
        to_cloud, to_edge = network.vertex(), network.vertex()
        network.arc(v, to_cloud, weights(dag.up[v], sizes[v]))
        network.arc(to_edge, v, weights(dag.down[v], sizes[v]))
        for w in after:
            network.arc(to_cloud, w, weights.infinite)
            network.arc(w, to_edge, weights.infinite)
    value, kept = network.min_cut(source, sink)
    if value >= weights.infinite:
        raise impossible()
    return ~np.array(kept[:n], dtype=bool), network.n_steps
