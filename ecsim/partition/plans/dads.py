"""DADS under light load: the least latency of a graph between two places, as a minimum cut.

Objective: the sum of the layers' times, and of one upload per tensor that the cloud needs. Nothing
goes back before the answer (one-way). The edge is the source's side:

* vertex v: an arc from the source with its cloud cost (cut when it runs there), an arc to the sink
  with its edge cost; an input's cloud cost is infinite;
* a tensor: an arc of its upload's cost from v to a vertex v', and infinite ones from v' to every
  successor, so that it is paid once;
* what is paid once in the cloud (or at the edge): an arc of its cost from the source to a vertex
  with infinite arcs to all layers (from all layers to a vertex with an arc to the sink);
* a dependency (u, v): an infinite arc from v to u. The survey's figure lacks it: data could then
  flow back for free, and the cut be no plan at all (`as_printed`).

Source: Hu et al., INFOCOM 2019, section IV; survey section V.A, steps 1-4. The reverse arcs and
what is paid once are our own addition: docs/decisions/0033.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ecsim.core.types import BoolArray
from ecsim.partition.plans.constraints import impossible
from ecsim.partition.plans.dag import Dag
from ecsim.partition.plans.flow import Network
from ecsim.partition.plans.ties import Weights


def light(dag: Dag, tensors: Literal["once", "per_edge"] = "once") -> BoolArray:
    """Give which vertices run in the cloud, shape (n,): the one-way plan of least cost.

    Of equal plans the one that sends fewest bytes, then the one with most layers at the edge.

    Parameters
    ----------
    tensors : pay a tensor once, or ("per_edge") once for every layer that uses it, which is what
        forgetting the vertex v' gives.

    >>> dag = Dag(((), (0,), (1,)), np.array([0, 1.0, 9.0]), np.array([0, 0.5, 1.0]),
    ...     np.array([5.0, 2.0, 1.0]))
    >>> light(dag).tolist()
    [False, False, True]
    """
    return _cut(dag, tensors, is_legal=True)[0]


def counted(dag: Dag) -> tuple[BoolArray, int]:
    """Give the plan of `light` and how many arcs were looked at to find it."""
    return _cut(dag, "once", is_legal=True)


def as_printed(dag: Dag) -> BoolArray:
    """Give the minimum cut of the survey's graph, whose dependencies on the cloud are free.

    Not a plan wherever a layer at the edge needs one in the cloud; kept to show the difference.
    """
    return _cut(dag, "once", is_legal=False)[0]


def _cut(dag: Dag, tensors: str, is_legal: bool) -> tuple[BoolArray, int]:
    n = len(dag)
    costs = [*dag.edge, *dag.cloud, dag.any_edge, dag.any_cloud]
    for u, after in enumerate(dag.successors()):
        costs += [dag.up[u]] * (1 if tensors == "once" else len(after))
    weights = Weights(costs, np.repeat(dag.sent_bytes, [1 + len(a) for a in dag.successors()]))
    network, source, sink = Network(n + 2), n, n + 1
    is_input = dag.is_input()
    if dag.any_cloud:
        network.arc(source, in_cloud := network.vertex(), weights(dag.any_cloud))
    if dag.any_edge:
        network.arc(at_edge := network.vertex(), sink, weights(dag.any_edge))
    for v, after in enumerate(dag.successors()):
        network.arc(source, v, weights.infinite if is_input[v] else weights(dag.cloud[v]))
        network.arc(v, sink, weights(dag.edge[v]))
        if dag.any_cloud and not is_input[v]:
            network.arc(in_cloud, v, weights.infinite)
        if dag.any_edge and not is_input[v]:
            network.arc(v, at_edge, weights.infinite)
        price = weights(dag.up[v], dag.sent_bytes[v])
        copy = network.vertex() if len(after) > 1 and tensors == "once" else v
        if copy != v:
            network.arc(v, copy, price)
        for w in after:
            network.arc(copy, w, weights.infinite if copy != v else price)
            if is_legal:
                network.arc(w, v, weights.infinite)
    value, kept = network.min_cut(source, sink)
    if value >= weights.infinite:
        raise impossible()
    return ~np.array(kept[:n], dtype=bool), network.n_steps
