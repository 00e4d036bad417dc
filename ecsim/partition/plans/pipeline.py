"""Layers in a pipeline over a row of devices: the plan whose slowest stage is fastest.

Objective: the largest of what any device computes and any hop transfers; its inverse is the
throughput when tasks follow each other. Devices take consecutive runs of layers in their order; a
run may be empty, and its tensor then only passes. Used for layer splitting inside a cluster.

Source: AFLKD section 5 (layer splitting inside a cluster); the dynamic program is our own.
"""

from __future__ import annotations

import numpy as np

from ecsim.core.types import FloatArray, IntArray
from ecsim.partition.plans.constraints import impossible
from ecsim.partition.plans.tiers import Row
from ecsim.partition.plans.ties import SAME


def bottleneck(row: Row, cuts: IntArray) -> float:
    """Give the slowest stage of a plan; the answer's way back counts as none."""
    return float(max(row.runs(cuts).max(), row.hops(cuts).max(initial=0.0)))


def place(row: Row) -> IntArray:
    """Give the cuts of least bottleneck, shape (K - 1,): how many layers lie before each hop.

    Of equal plans the one that sends fewest bytes over all hops, then the one with most layers on
    the first device, then on the second, and so on. Takes steps in the order of K n².

    Raises
    ------
    Infeasible
        If some layer can run nowhere.

    >>> place(Row(np.ones((3, 6)), np.zeros((2, 7)))).tolist()
    [2, 4]
    """
    n_tiers, n = row.layer.shape
    segments = [_segments(layer, once) for layer, once in zip(row.layer, row.once, strict=True)]
    hops = np.vstack((row.hop, np.zeros((1, n + 1))))
    hops[:, n] = 0.0
    slowest = segments[0][0]  # of the best way to have k layers done, shape (n + 1,)
    for j in range(1, n_tiers):
        before = np.maximum(slowest, hops[j - 1])
        slowest = np.maximum(before[:, None], segments[j]).min(axis=0)
    limit = slowest[n] * (1.0 + SAME)
    if not np.isfinite(limit):
        raise impossible()
    return _fewest_bytes(row, segments, hops, limit)


def _segments(layer: FloatArray, once: float) -> FloatArray:
    """Give what layers i + 1 … k take together, shape (n + 1, n + 1); infinite where i > k."""
    n = len(layer)
    total = np.full((n + 1, n + 1), np.inf)
    for i in range(n + 1):
        total[i, i:] = np.concatenate(([0.0], once + np.cumsum(layer[i:])))
    return total


def _fewest_bytes(row: Row, segments: list[FloatArray], hops: FloatArray, limit: float) -> IntArray:
    """Give the plan within the limit that sends least; from the last tier back."""
    n_tiers, n = row.layer.shape
    sizes = np.append(row.sent_bytes[:n], 0.0)
    rest = np.where(segments[-1][:, n] <= limit, 0.0, np.inf)  # bytes from k layers done on
    after: list[IntArray] = []
    for j in range(n_tiers - 2, -1, -1):
        from_here = np.where(hops[j] <= limit, sizes + rest, np.inf)
        ways = np.where(segments[j] <= limit, from_here[None, :], np.inf)
        backwards = ways[:, ::-1].argmin(axis=1)  # the largest cut of equal ones
        after.append(n - backwards)
        rest = ways.min(axis=1)
    cuts, k = [], 0
    for following in reversed(after):
        k = int(following[k])
        cuts.append(k)
    return np.array(cuts, dtype=np.int64)
