"""JointDNN with constraints: an integer program over the segments of its path graph.

Objective: the least of one criterion (latency, energy, …) where sums of others stay within limits:
the battery's charge, a deadline, the cloud's time under congestion. One 0/1 variable says of each
possible segment whether it is taken; they form one path from the first layer to the last.

Source: Eshratifar et al., IEEE TMC 20 (2021), section 3.3 (the three constraints); survey section
V.A. Solved by scipy's HiGHS to its optimum, within its tolerances (1e-6 of each limit).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from ecsim.core.types import BoolArray, FloatArray
from ecsim.partition.plans.constraints import Infeasible
from ecsim.partition.plans.jointdnn import Segments, cost

_SLACK = 1e-9  # relative: by how much the tie-breaking program may exceed the optimum


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """A sum that must not exceed a value, such as joules at the mobile and its battery's charge."""

    costs: Segments
    at_most: float
    unit: str = ""


def place(costs: Segments, limits: Mapping[str, Limit]) -> BoolArray:
    """Give which layers run in the cloud, shape (n,): the least cost within all limits.

    Of equal plans one that sends fewest bytes, then one with most layers on the mobile (by a second
    program).

    Raises
    ------
    Infeasible
        If no plan keeps to the limits. The message names a smallest set of limits that no plan
        keeps to, and what the last of them would have to be, given the others.
    """
    graph = _Graph(costs)
    prices = graph.prices(costs)
    first = graph.solve(prices, limits.values())
    if first is None:
        raise _blame(graph, limits)
    n, sizes = len(costs), costs.sent_bytes
    size = max(1.0, float(sizes.sum()))
    moved = graph.prices(
        Segments(np.zeros((n, n)), np.triu(_lengths(n)) * 1e-4 / n, sizes / size, sizes / size)
    )
    best = Limit(costs, cost(costs, first) * (1.0 + _SLACK))
    second = graph.solve(moved, [*limits.values(), best])
    return first if second is None else second


def _blame(graph: _Graph, limits: Mapping[str, Limit]) -> Infeasible:
    """Say which limits cannot be kept together."""
    for size in range(1, len(limits) + 1):
        for names in combinations(limits, size):
            *others, last = [limits[name] for name in names]
            found = graph.solve(graph.prices(last.costs), others)
            if found is not None and cost(last.costs, found) <= last.at_most * (1.0 + _SLACK):
                continue
            within = " and ".join(
                f"{name} {limits[name].at_most:g} {limits[name].unit}".rstrip()
                for name in names[:-1]
            )
            needed = "nothing helps" if found is None else f"{cost(last.costs, found):g}"
            text = f"{names[-1]}: expected at most {last.at_most:g} {last.unit}".rstrip()
            text += f", the least possible is {needed} {last.unit}".rstrip()
            return Infeasible(f"no plan keeps to {text}" + (f" within {within}" if within else ""))
    return Infeasible("no plan keeps to the limits")


def _lengths(n: int) -> FloatArray:
    """Give how many layers each segment has, shape (n, n)."""
    first, last = np.indices((n, n))
    return (last - first + 1).astype(float)


class _Graph:
    """The path graph: all segments as variables, vertices (k layers done, place of the last)."""

    def __init__(self, segments: Segments):
        n = len(segments)
        self._n = n
        first, last = np.triu_indices(n)
        self._first, self._last = np.tile(first, 2), np.tile(last, 2)
        self._in_cloud = np.repeat([False, True], len(first))
        # a run on the mobile leads from "the cloud has done i" to "the mobile has done j + 1"
        number = np.arange(len(self._first))
        tail = 2 * self._first + ~self._in_cloud
        tail[self._first == 0] = 0
        head = 2 * (self._last + 1) + self._in_cloud
        ones = np.ones(len(number))
        shape = (2 * (n + 1), len(number))
        leaves = sparse.csr_array((ones, (tail, number)), shape)
        enters = sparse.csr_array((ones, (head, number)), shape)
        balance = (leaves - enters).tocsr()
        inner = np.arange(2, 2 * n)
        start = sparse.csr_array(balance[[0]])
        self._paths = [LinearConstraint(start, 1.0, 1.0)]
        if len(inner):
            self._paths.append(LinearConstraint(balance[inner], 0.0, 0.0))

    def prices(self, costs: Segments) -> FloatArray:
        """Give what each variable costs: the run, and a cloud's tensors there and back."""
        i, j = self._first, self._last
        there = costs.up[i] + costs.cloud[i, j] + costs.down[j + 1]
        return np.where(self._in_cloud, there, costs.mobile[i, j])

    def solve(self, prices: FloatArray, limits: Iterable[Limit]) -> BoolArray | None:
        """Give the assignment of least price within the limits; None: there is none.

        A solution that exceeds a limit within the solver's tolerance is shut out, and the rest
        looked through again.
        """
        limits = list(limits)
        rows = [self._row(limit) for limit in limits]
        scale = max(float(prices.max(initial=0.0)), 1e-300)
        while True:
            found: Any = milp(
                prices / scale,
                integrality=np.ones(len(prices)),
                bounds=Bounds(0.0, 1.0),
                constraints=[*self._paths, *rows],
                options={"mip_rel_gap": 0.0},
            )
            if found.x is None:
                return None
            taken = found.x > 0.5
            is_cloud = np.zeros(self._n, dtype=bool)
            for at in np.flatnonzero(taken):
                is_cloud[self._first[at] : self._last[at] + 1] = self._in_cloud[at]
            if all(cost(each.costs, is_cloud) <= each.at_most * (1.0 + _SLACK) for each in limits):
                return is_cloud
            rows.append(LinearConstraint(taken.astype(float)[None, :], -np.inf, taken.sum() - 1))

    def _row(self, limit: Limit) -> LinearConstraint:
        unit = limit.at_most if limit.at_most > 0.0 else 1.0
        prices = self.prices(limit.costs)[None, :] / unit
        return LinearConstraint(prices, -np.inf, limit.at_most / unit)
