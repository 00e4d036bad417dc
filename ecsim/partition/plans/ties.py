"""Exact comparison of costs, and what decides between plans that cost the same.

The rule of all algorithms here: the least cost, then the fewest bytes sent, then the most layers at
the edge (in the earlier tiers). Costs are compared as whole multiples of a quantum of 1e-14 to
1e-15 of their sum, so that 0.01 + 0.01 equals 0.02 and rounding decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor, isfinite, isinf, log10

import numpy as np

from ecsim.core.types import FloatArray

SAME = 1e-12  # relative: costs this close are the same where they were summed as floats


class Weights:
    """Turns (cost, bytes) into one whole number, ordered by cost first and by bytes second.

    The sum of the numbers of some items orders their sums in the same way. A cost of infinity
    gives `infinite`, which is more than all others together.

    Parameters
    ----------
    costs, sent_bytes : all items that can be added; none is negative.

    >>> weights = Weights([0.01, 0.01, 0.02], [10.0])
    >>> 2 * weights(0.01) == weights(0.02) < weights(0.02, 10.0) < weights(0.03)
    True
    """

    def __init__(self, costs: Iterable[float], sent_bytes: Iterable[float] = ()):
        finite = [float(cost) for cost in costs if isfinite(cost)]
        total = sum(finite)
        self._per_cost = 10.0 ** (14 - floor(log10(total))) if total > 0.0 else 1.0
        self._radix = 1 + sum(ceil(size) for size in sent_bytes)
        self.infinite = (round(total * self._per_cost) + len(finite) + 2) * self._radix

    def __call__(self, cost: float, sent_bytes: float = 0.0) -> int:
        """Give the number of an item."""
        if isinf(cost):
            return self.infinite
        return round(cost * self._per_cost) * self._radix + ceil(sent_bytes)


def best(costs: FloatArray, sent_bytes: FloatArray, at_edge: FloatArray) -> int:
    """Give the index of the least cost, then the fewest bytes, then the most layers at the edge.

    Parameters
    ----------
    costs, sent_bytes, at_edge : of each candidate, shape (N,).

    >>> best(np.array([2.0, 1.0, 1.0]), np.array([0.0, 5.0, 5.0]), np.array([3.0, 1.0, 2.0]))
    2
    """
    same = np.flatnonzero(costs <= costs.min() * (1.0 + SAME))
    order = np.lexsort((-at_edge[same], sent_bytes[same]))
    return int(same[order[0]])
