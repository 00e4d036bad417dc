"""DADS under heavy load: the plan of a graph whose slowest stage is fastest.

Objective: the largest of the edge's times, the uploads' and the cloud's, each summed; its inverse
is the throughput when tasks follow each other without end. One-way, each tensor uploaded once.

Unlike the sum, this is no minimum cut (with two equal places and no uploads it is the partition
problem, which is NP-hard). DADS approximates it by a series of cuts; here it is a mixed-integer
program, solved to its optimum within the solver's tolerance of about 1e-6 of the total cost:
x_v says that v runs in the cloud, y_u that u's tensor is sent, a and b that anything runs at the
edge and in the cloud, and z bounds the three stages.

Source: Hu et al., INFOCOM 2019, section V; survey section V.A.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from ecsim.core.types import BoolArray, FloatArray
from ecsim.partition.plans.constraints import Infeasible, impossible
from ecsim.partition.plans.dag import Dag, crossing

_SLACK = 1e-7  # relative: by how much the second program may exceed the first one's stages


def stages(
    dag: Dag, is_cloud: BoolArray, back: float = 0.0, answer: float = 0.0
) -> tuple[float, float, float, float]:
    """Give what the edge, the link up, the cloud and the link down take; see `heavy`."""
    up, _down = crossing(dag, is_cloud)
    is_edge = ~is_cloud & ~dag.is_input()
    edge = dag.edge[~is_cloud].sum() + dag.any_edge * is_edge.any()
    cloud = dag.cloud[is_cloud].sum() + dag.any_cloud * is_cloud.any()
    link = dag.up[up].sum() + back * is_cloud.any()
    return float(edge), float(link), float(cloud), answer * float(is_cloud.any())


def bottleneck(dag: Dag, is_cloud: BoolArray, back: float = 0.0, answer: float = 0.0) -> float:
    """Give the slowest of the stages."""
    return max(stages(dag, is_cloud, back, answer))


def heavy(
    dag: Dag, back: float = 0.0, answer: float = 0.0, time_limit_s: float = 10.0
) -> BoolArray:
    """Give which vertices run in the cloud, shape (n,): the one-way plan of least bottleneck.

    Of equal plans one that sends fewest bytes, then one with most layers at the edge (both by a
    second program).

    Parameters
    ----------
    back : what the answer's way back adds to the uploads' stage, where both share a medium, if
        anything runs in the cloud.
    answer : what it takes as a stage of its own, where the link has two ways.
    time_limit_s : of the solver, for each of the two programs.

    Raises
    ------
    Infeasible
        If some vertex can run nowhere, or the solver finds nothing within its time.
    """
    n = len(dag)
    edge, cloud = dag.edge, dag.cloud
    if np.isinf(np.minimum(edge, cloud)).any():
        raise impossible()
    every = (edge, cloud, dag.up, np.array([dag.any_edge, dag.any_cloud, back, answer]))
    scale = max(1e-300, float(sum(v[np.isfinite(v)].sum() for v in every)))
    program = _Program(dag, back, answer, scale)
    z = np.zeros(2 * n + 3)
    z[-1] = 1.0
    first = program.solve(z, np.inf, time_limit_s)
    limit = bottleneck(dag, first, back, answer) * (1.0 + _SLACK)
    size = max(1.0, dag.sent_bytes.sum())
    then = np.concatenate((np.full(n, 1e-4 / n), dag.sent_bytes / size, np.zeros(3)))
    second = program.solve(then, limit / scale, time_limit_s)
    return second if bottleneck(dag, second, back, answer) <= limit else first


class _Program:
    """The constraints of a graph, in units of `scale`; variables x (n), y (n), a, b, z."""

    def __init__(self, dag: Dag, back: float, answer: float, scale: float):
        n, self._n = len(dag), len(dag)
        pairs = np.array([(u, v) for v, before in enumerate(dag.preds) for u in before], dtype=int)
        pairs = pairs.reshape(-1, 2)
        m = np.arange(len(pairs))
        one = np.ones(len(pairs))
        shape = (len(pairs), 2 * n + 3)
        x_u = sparse.csr_array((one, (m, pairs[:, 0])), shape)
        x_v = sparse.csr_array((one, (m, pairs[:, 1])), shape)
        y_u = sparse.csr_array((one, (m, n + pairs[:, 0])), shape)
        finite = [np.where(np.isfinite(v), v, 0.0) / scale for v in (dag.edge, dag.cloud, dag.up)]
        edge, cloud, up = finite
        layers = np.flatnonzero(~dag.is_input())
        k, unit = np.arange(len(layers)), np.ones(len(layers))
        once = (len(layers), 2 * n + 3)
        x = sparse.csr_array((unit, (k, layers)), once)
        a = sparse.csr_array((unit, (k, np.full(len(layers), 2 * n))), once)
        b = sparse.csr_array((unit, (k, np.full(len(layers), 2 * n + 1))), once)
        rows = np.zeros((4, 2 * n + 3))
        rows[0, :n], rows[1, n : 2 * n], rows[2, :n] = -edge, up, cloud
        rows[0, 2 * n], rows[1, 2 * n + 1] = dag.any_edge / scale, back / scale
        rows[2, 2 * n + 1], rows[:, -1] = dag.any_cloud / scale, -1.0
        rows[3, 2 * n + 1] = answer / scale
        self._constraints = [
            LinearConstraint(x_v - x_u, 0.0, np.inf),  # nothing comes back
            LinearConstraint(y_u - x_v + x_u, 0.0, np.inf),
            LinearConstraint(a + x, 1.0, np.inf),
            LinearConstraint(b - x, 0.0, np.inf),
            LinearConstraint(rows, -np.inf, [-edge.sum(), 0.0, 0.0, 0.0]),
        ]
        self._low, self._high = np.zeros(2 * n + 3), np.ones(2 * n + 3)
        self._high[:n][dag.is_input() | np.isinf(dag.cloud)] = 0.0
        self._low[:n][np.isinf(dag.edge)] = 1.0
        self._high[n : 2 * n][np.isinf(dag.up)] = 0.0
        self._high[-1] = np.inf

    def solve(self, objective: FloatArray, limit: float, time_limit_s: float) -> BoolArray:
        """Give x where the objective is least and no stage above the limit."""
        n = self._n
        high = self._high.copy()
        high[-1] = limit
        if (self._low > high).any():
            raise impossible()
        found: Any = milp(
            objective,
            integrality=np.repeat([1, 0], [n, n + 3]),
            bounds=Bounds(self._low, high),
            constraints=self._constraints,
            options={"time_limit": time_limit_s, "mip_rel_gap": 0.0},
        )
        if found.x is None:
            raise Infeasible(f"no plan: {found.message}")
        chosen: BoolArray = found.x[:n] > 0.5
        return chosen
