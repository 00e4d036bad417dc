"""All plans of a chain between mobile and cloud that no other one dominates.

Objective: two or more sums at once, such as latency and energy of JointDNN's segments. Labels are
carried along the path graph and dominated ones dropped at every vertex, which is exact since all
sums only grow; their number is that of the front's points, small for real chains.

Source: Martins, European Journal of Operational Research 16 (1984) 236 (label setting); the graph
is JointDNN's (`jointdnn`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ecsim.core.types import BoolArray
from ecsim.partition.plans.jointdnn import Segments, cost
from ecsim.partition.plans.ties import Weights


class _Label(NamedTuple):
    """A way to some vertex; what it took is whole numbers, so that equal is equal."""

    spent: tuple[int, ...]  # by criterion
    ties: tuple[int, int]  # bytes sent, layers in the cloud
    cuts: tuple[int, ...]  # layers done at each change of place

    def then(self, steps: Sequence[int], size: int, in_cloud: int, *cut: int) -> _Label:
        spent = tuple(a + b for a, b in zip(self.spent, steps, strict=True))
        return _Label(spent, (self.ties[0] + size, self.ties[1] + in_cloud), (*self.cuts, *cut))


def front(criteria: Sequence[Segments]) -> list[tuple[tuple[float, ...], BoolArray]]:
    """Give the undominated plans as (values, is_cloud), by the first criterion.

    Of plans equal in all criteria the one that sends fewest bytes is given, then the one with most
    layers on the mobile.

    Parameters
    ----------
    criteria : the same chain's costs in each unit.
    """
    n = len(criteria[0])
    sizes = [int(np.ceil(size)) for size in criteria[0].sent_bytes]
    weights = [_weights(each) for each in criteria]
    both = list(zip(criteria, weights, strict=True))
    start = _Label((0,) * len(criteria), (0, 0), ())
    done: tuple[list[list[_Label]], list[list[_Label]]] = ([[start]], [[]])
    for k in range(1, n + 1):
        cloud = []
        mobile = [start.then([w(c.mobile[0, k - 1]) for c, w in both], 0, 0)]
        for i in range(k):
            up = [w(c.up[i]) + w(c.cloud[i, k - 1]) for c, w in both]
            cloud += [label.then(up, sizes[i], k - i, i) for label in done[0][i]]
            down = [w(c.down[i]) + w(c.mobile[i, k - 1]) for c, w in both]
            mobile += [label.then(down, sizes[i], 0, i) for label in done[1][i]]
        done[0].append(_undominated(mobile))
        done[1].append(_undominated(cloud))
    answer = [w(c.down[n]) for c, w in both]
    home = [label.then(answer, sizes[n], 0, n) for label in done[1][n]]
    plans = [_assignment(label.cuts, n) for label in _undominated([*home, *done[0][n]])]
    return [(tuple(cost(each, plan) for each in criteria), plan) for plan in plans]


def _weights(segments: Segments) -> Weights:
    inside = np.triu_indices(len(segments))
    tables = (segments.mobile[inside], segments.cloud[inside], segments.up, segments.down)
    return Weights(np.concatenate(tables))


def _undominated(labels: list[_Label]) -> list[_Label]:
    """Keep what no other label undercuts in one criterion without exceeding it in another."""
    kept: list[_Label] = []
    for label in sorted(labels):
        if not any(all(map(int.__le__, other.spent, label.spent)) for other in kept):
            kept.append(label)
    return kept


def _assignment(cuts: tuple[int, ...], n: int) -> BoolArray:
    """Give the layers in the cloud, from the layers done at each change of place."""
    is_cloud = np.zeros(n, dtype=bool)
    for first, last in zip(cuts[::2], cuts[1::2], strict=True):
        is_cloud[first:last] = True
    return is_cloud
