"""Drift seen from a device alone, without a threshold: the adaptive window ADWIN2.

Source: Bifet and Gavalda, Learning from time-changing data with adaptive windowing, SIAM SDM 2007:
the window that shrinks whenever two parts of it differ (section 3.1), with the bound that uses the
window's variance (section 3.3, epsilon_cut), on an exponential histogram (section 4, ADWIN2). There
are about log W cuts to look at, so that delta is divided by ln W, as the authors' own program does.
"""

from __future__ import annotations

from math import log, sqrt
from typing import NamedTuple


class Bucket(NamedTuple):
    """Neighbouring numbers of the window: how many, their sum, and the sum of their squares."""

    n: int
    total: float
    squares: float


class Adwin:
    """Says when the mean of a stream of numbers has risen, by a window without a change in it.

    Two parts W0 (older) and W1 of the window W differ when their means do by more than
    ``sqrt(2 / m * v * l) + 2 / (3 m) * l`` with ``1 / m = 1 / n0 + 1 / n1``, v the variance of W
    and ``l = ln(2 ln(n) / delta)``. As long as two do, the oldest bucket is dropped. The window is
    cut between buckets only; there are at most `per_size` of each size, a power of two. A fall
    shrinks the window like a rise, and is no detection.

    Parameters
    ----------
    delta : about the probability of a false cut at one number.
    least : numbers since the start, or since the last detection, before one is possible. A window
        is cut further as the evidence for one change grows; that is one detection.
    per_size : M of the paper; with as many as there are numbers every cut is looked at.

    >>> test = Adwin(delta=0.002, least=10)
    >>> found = [x for x in range(100) if test.sees((0.1 if x < 60 else 0.9) + 0.01 * (x % 3))]
    >>> found, len(test)
    ([76], 68)
    """

    __slots__ = ("_buckets", "_delta", "_least", "_n_since", "_per_size")

    def __init__(self, delta: float, least: int, per_size: int = 5):
        self._delta = delta
        self._least = least
        self._per_size = per_size
        self._buckets: list[Bucket] = []  # oldest, and largest, first
        self._n_since = 0

    def __len__(self) -> int:
        """Give how many numbers the window holds."""
        return sum(bucket.n for bucket in self._buckets)

    @property
    def sizes(self) -> list[int]:
        """How many numbers each bucket holds, oldest first."""
        return [bucket.n for bucket in self._buckets]

    def sees(self, x: float) -> bool:
        """Take the next number; give whether a rise is detected with it."""
        self._n_since += 1
        self._buckets.append(Bucket(1, x, x * x))
        self._merge()
        has_risen = False
        while (rise := self._difference()) is not None:
            has_risen |= rise > 0.0
            del self._buckets[0]
        if not has_risen or self._n_since < self._least:
            return False
        self._n_since = 0
        return True

    def _merge(self) -> None:
        """Join the two oldest buckets of a size of which there are too many, up to the largest."""
        buckets, size, end = self._buckets, 1, len(self._buckets)
        while True:
            first = end
            while first and buckets[first - 1].n == size:
                first -= 1
            if end - first <= self._per_size:
                return
            a, b = buckets[first : first + 2]
            buckets[first : first + 2] = [
                Bucket(2 * size, a.total + b.total, a.squares + b.squares)
            ]
            size, end = 2 * size, first + 1

    def _difference(self) -> float | None:
        """Give by how much the newer part exceeds the older at a cut where they differ."""
        n = len(self)
        if n < 2:
            return None
        total = sum(bucket.total for bucket in self._buckets)
        squares = sum(bucket.squares for bucket in self._buckets)
        variance = max(squares / n - (total / n) ** 2, 0.0)
        spread = log(2.0 * max(log(n), 1.0) / self._delta)
        n0, total0 = 0, 0.0
        for bucket in self._buckets[:-1]:
            n0, total0 = n0 + bucket.n, total0 + bucket.total
            per_m = 1.0 / n0 + 1.0 / (n - n0)
            bound = sqrt(2.0 * per_m * variance * spread) + 2.0 / 3.0 * per_m * spread
            rise = (total - total0) / (n - n0) - total0 / n0
            if abs(rise) > bound:
                return rise
        return None
