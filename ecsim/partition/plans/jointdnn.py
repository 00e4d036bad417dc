"""JointDNN: a chain in alternating segments on the mobile and in the cloud, by shortest path.

Objective: the sum of what the segments and the tensors between them take; seconds or joules. The
input is on the mobile and the answer must come back to it. A segment is a maximal run of layers at
one place and has a cost of its own, since frameworks fuse layers: tables instead of sums.

Source: Eshratifar et al., IEEE TMC 20 (2021), sections 3.1-3.2; survey section V.A, Fig. 10.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ecsim.core.types import BoolArray, FloatArray
from ecsim.partition.plans.constraints import impossible
from ecsim.partition.plans.ties import Weights


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Costs of a chain of n layers between mobile and cloud, all in one unit.

    Attributes
    ----------
    mobile, cloud : of running layers i + 1 … j + 1 as one segment there, shape (n, n); only i <= j
        is used.
    up, down : of sending the input or an output (layer n's is the answer), shape (n + 1,).
    sent_bytes : size of each, shape (n + 1,); decides between equal plans.
    """

    mobile: FloatArray
    cloud: FloatArray
    up: FloatArray
    down: FloatArray
    sent_bytes: FloatArray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        n = len(self.mobile)
        if not len(self.sent_bytes):
            object.__setattr__(self, "sent_bytes", np.zeros(n + 1))
        if self.mobile.shape != (n, n) or self.cloud.shape != (n, n):
            raise ValueError("expected square tables of segments")
        if any(len(values) != n + 1 for values in (self.up, self.down, self.sent_bytes)):
            raise ValueError(f"expected {n + 1} tensors for {n} layers")
        inside = np.triu_indices(n)
        tables = (self.mobile[inside], self.cloud[inside], self.up, self.down, self.sent_bytes)
        if any(not (values >= 0.0).all() for values in tables):
            raise ValueError("expected costs of at least 0")

    def __len__(self) -> int:
        return len(self.mobile)

    def weighted(self, compute: float, idle: float, send: float, receive: float) -> Segments:
        """Give the costs in joules at the mobile, from those in seconds and powers in W."""
        return Segments(
            self.mobile * compute, self.cloud * idle, self.up * send, self.down * receive,
            self.sent_bytes,
        )  # fmt: skip


def sums(layer: FloatArray) -> FloatArray:
    """Give the table of segments that take the sum of their layers, shape (n, n).

    >>> sums(np.array([1.0, 2.0]))
    array([[1., 3.],
           [0., 2.]])
    """
    return np.triu(np.array([np.cumsum(layer * (np.arange(len(layer)) >= i)) for i in
                             range(len(layer))]).reshape(len(layer), -1))  # fmt: skip


def runs(is_cloud: BoolArray) -> list[tuple[bool, int, int]]:
    """Give the maximal runs of an assignment as (in the cloud, first, last), layers from 0."""
    bounds = np.flatnonzero(np.diff(is_cloud.astype(int))) + 1
    starts = [0, *bounds.tolist()]
    ends = [*bounds.tolist(), len(is_cloud)]
    return [(bool(is_cloud[i]), i, j - 1) for i, j in zip(starts, ends, strict=True) if j > i]


def cost(segments: Segments, is_cloud: BoolArray) -> float:
    """Give what an assignment of the layers, shape (n,), costs."""
    total = 0.0
    for in_cloud, i, j in runs(is_cloud):
        if in_cloud:
            total += segments.up[i] + segments.cloud[i, j] + segments.down[j + 1]
        else:
            total += segments.mobile[i, j]
    return total


def sent(segments: Segments, is_cloud: BoolArray) -> float:
    """Give the bytes that an assignment sends, up and down."""
    size = segments.sent_bytes
    return float(sum(size[i] + size[j + 1] for in_cloud, i, j in runs(is_cloud) if in_cloud))


def place(segments: Segments) -> BoolArray:
    """Give which layers run in the cloud, shape (n,): the shortest path.

    Of equal plans the one that sends fewest bytes, then the one with most layers on the mobile.
    Takes steps in the order of n².

    >>> free = np.zeros(3)
    >>> segments = Segments(sums(np.array([5.0, 1.0])), sums(np.array([1.0, 5.0])), free, free)
    >>> place(segments).tolist()
    [True, False]
    """
    n, sizes = len(segments), segments.sent_bytes
    inside = np.triu_indices(n)
    tables = (segments.mobile[inside], segments.cloud[inside], segments.up, segments.down)
    weights = Weights(np.concatenate(tables), np.repeat(sizes, 2))
    go = [weights(c, s) for c, s in zip(segments.up, sizes, strict=True)]
    back = [weights(c, s) for c, s in zip(segments.down, sizes, strict=True)]
    # at[side][k]: (cost, layers in the cloud, start of the last run) with k done, its run over
    never = (weights.infinite, 0, -1)
    at = ([(0, 0, -1)] + [never] * n, [never] * (n + 1))
    for k in range(1, n + 1):
        at[1][k] = min(
            (at[0][i][0] + go[i] + weights(segments.cloud[i, k - 1]), at[0][i][1] + k - i, i)
            for i in range(k)
        )
        at[0][k] = min(
            (before[0] + weights(segments.mobile[i, k - 1]) + (back[i] if i else 0), before[1], i)
            for i in range(k)
            for before in [at[1][i] if i else at[0][0]]
        )
    home = (at[1][n][0] + back[n], at[1][n][1])
    side, k = int(home < at[0][n][:2]), n
    if min(home, at[0][n][:2])[0] >= weights.infinite:
        raise impossible()
    is_cloud = np.zeros(n, dtype=bool)
    while k > 0:
        first = at[side][k][2]
        is_cloud[first:k] = bool(side)
        k, side = first, 1 - side
    return is_cloud
