"""A chain of layers over a row of tiers: end, edge and cloud, or as many as there are.

Objective: the sum of all layers' times where they run, of the tensors' on the hops they take, and
of the answer's way back. Tiers take consecutive runs of layers in their order; a run may be empty,
and its tensor then only passes. Hops beyond the last layer are not taken.

Source: survey sections III.B and V.A (distributed segments over end, edge and cloud); the dynamic
program is our own. With two tiers it is Neurosurgeon.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ecsim.core.types import FloatArray, IntArray
from ecsim.partition.plans.constraints import impossible
from ecsim.partition.plans.ties import Weights

Way = tuple[int, tuple[int, ...]]  # what it takes, and its cuts


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """Costs of a chain of n layers over K tiers in a row, all in one unit.

    Attributes
    ----------
    layer : of each layer in each tier, shape (K, n); infinite where it cannot run.
    hop : of sending the input and each output one tier on, shape (K - 1, n + 1); the last column
        is not used.
    back : of bringing the answer home from each tier, shape (K,).
    sent_bytes : size of the input and of each output, shape (n + 1,); decides between equal plans.
    once : paid by each tier that runs any layer, shape (K,): what a call costs beside its layers.

    Raises
    ------
    ValueError
        If the shapes do not fit together, or a cost is negative or no number.
    """

    layer: FloatArray
    hop: FloatArray
    back: FloatArray = field(default_factory=lambda: np.zeros(0))
    sent_bytes: FloatArray = field(default_factory=lambda: np.zeros(0))
    once: FloatArray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        n_tiers, n = self.layer.shape
        if not len(self.back):
            object.__setattr__(self, "back", np.zeros(n_tiers))
        if not len(self.once):
            object.__setattr__(self, "once", np.zeros(n_tiers))
        if not len(self.sent_bytes):
            object.__setattr__(self, "sent_bytes", np.zeros(n + 1))
        expected = ((n_tiers - 1, n + 1), (n_tiers,), (n + 1,), (n_tiers,))
        others = (self.hop, self.back, self.sent_bytes, self.once)
        if tuple(each.shape for each in others) != expected:
            raise ValueError(f"expected shapes {expected} for {n} layers in {n_tiers} tiers")
        if any(not (a >= 0.0).all() for a in (self.layer, *others)):
            raise ValueError("expected costs of at least 0")

    def runs(self, cuts: IntArray) -> FloatArray:
        """Give what each tier's layers take, shape (K,)."""
        bounds = np.concatenate(([0], cuts, [self.layer.shape[1]]))
        runs = [row[bounds[j] : bounds[j + 1]].sum() for j, row in enumerate(self.layer)]
        return np.where(np.diff(bounds) > 0, runs + self.once, 0.0)

    def hops(self, cuts: IntArray) -> FloatArray:
        """Give what each hop takes, shape (K - 1,); 0 for those not taken."""
        is_taken = cuts < self.layer.shape[1]
        return np.where(is_taken, self.hop[np.arange(len(cuts)), cuts], 0.0)


def cost(row: Row, cuts: IntArray) -> float:
    """Give the sum of all a plan takes; tier j runs layers ``cuts[j - 1]`` to ``cuts[j]``."""
    last = int((cuts < row.layer.shape[1]).sum())
    return float(row.runs(cuts).sum() + row.hops(cuts).sum() + row.back[last])


def place(row: Row) -> IntArray:
    """Give the cuts of least cost, shape (K - 1,): how many layers lie before each hop.

    Of equal plans the one that sends fewest bytes, then the one with most layers in the first
    tier, then in the second, and so on. Takes steps in the order of K n.

    Raises
    ------
    Infeasible
        If some layer can run nowhere.

    >>> row = Row(np.array([[1.0, 9.0, 9.0], [9.0, 1.0, 9.0], [9.0, 9.0, 1.0]]), np.ones((2, 4)))
    >>> place(row).tolist()
    [1, 2]
    """
    n_tiers, n = row.layer.shape
    every = [*row.layer.ravel(), *row.hop.ravel(), *row.back, *row.once]
    weights = Weights(every, np.repeat(row.sent_bytes, n_tiers))
    never: Way = (weights.infinite, ())
    ways: list[Way] = []  # those that end in a tier
    reach: list[Way] = [(0, ()), *[never] * n]  # the best with k layers done
    for j in range(n_tiers):
        run = never  # the best way that has its last layer in this tier
        entered = list(reach)
        for k in range(1, n + 1):
            value, cuts = reach[k - 1]
            run = min(run, (value + weights(row.once[j]), cuts), key=_order)
            run = run[0] + weights(row.layer[j, k - 1]), run[1]
            entered[k] = min(reach[k], run, key=_order)
        reach = entered
        if reach[n][0] < weights.infinite:
            rest = (n,) * (n_tiers - 1 - j)
            ways.append((reach[n][0] + weights(row.back[j]), (*reach[n][1], *rest)))
        if j < n_tiers - 1:
            passed = [
                (value + weights(row.hop[j, k], row.sent_bytes[k]), (*cuts, k))
                for k, (value, cuts) in enumerate(reach[:n])
            ]
            reach = [*passed, never]
    if not ways:
        raise impossible()
    return np.array(min(ways, key=_order)[1], dtype=np.int64)


def _order(way: Way) -> tuple[int, tuple[int, ...]]:
    return way[0], tuple(-k for k in way[1])
