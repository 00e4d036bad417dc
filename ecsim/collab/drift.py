"""Drift seen from a device alone, on the entropies of its answers: Page-Hinkley, and who watches.

Source: Page, Continuous inspection schemes, 1954; in the form for streams of Gama et al., A survey
on concept drift adaptation, 2014, section 3.2.2.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Protocol


class DriftTest(Protocol):
    """Says when the mean of a stream of numbers has risen."""

    def sees(self, x: float) -> bool:
        """Take the next number; give whether a rise is detected with it."""


class PageHinkley:
    """Says when the mean of a stream of numbers has risen.

    With the mean of all numbers so far, ``m += x - mean - tolerance``; a rise is detected when m
    exceeds its own minimum by more than `threshold`. The test then starts anew.

    Parameters
    ----------
    least : numbers since the start, or since the last detection, before one is possible.

    >>> test = PageHinkley(tolerance=0.1, threshold=2.0, least=5)
    >>> [x for x in range(40) if test.sees(0.1 if x < 20 else 0.9)]
    [23]
    """

    __slots__ = ("_least", "_lowest", "_mean", "_n", "_sum", "_threshold", "_tolerance")

    _n: int
    _mean: float
    _sum: float
    _lowest: float

    def __init__(self, tolerance: float, threshold: float, least: int):
        self._tolerance = tolerance
        self._threshold = threshold
        self._least = least
        self._start()

    def sees(self, x: float) -> bool:
        """Take the next number; give whether a rise is detected with it."""
        self._n += 1
        self._mean += (x - self._mean) / self._n
        self._sum += x - self._mean - self._tolerance
        self._lowest = min(self._lowest, self._sum)
        if self._n < self._least or self._sum - self._lowest <= self._threshold:
            return False
        self._start()
        return True

    def _start(self) -> None:
        self._n = 0
        self._mean = self._sum = self._lowest = 0.0


class DriftWatch:
    """One device's detector, and what its detections are worth.

    The first detection after a true change is its delay (mark ``drift_delay_s``), any other one a
    false alarm (mark ``drift_false_alarm``, 1 each). Changes without a detection before the next
    one are missed (mark ``drift_missed``, their number, at the end). Only the marks know the true
    changes.

    Parameters
    ----------
    changes_s : times of the true changes, ascending.
    fire : called at a detection.
    record : called with (name of the mark, value).
    """

    def __init__(
        self,
        test: DriftTest,
        changes_s: Sequence[float],
        fire: Callable[[], None],
        record: Callable[[str, float], None],
    ):
        self._test = test
        self._changes_s = changes_s
        self._fire = fire
        self._record = record
        self._n_found = 0  # changes up to and with the last that was detected
        self._n_missed = 0

    def see(self, entropy: float, now_s: float) -> None:
        """Take the entropy of an answer that the device gave at this time."""
        if not self._test.sees(entropy):
            return
        n_changes = bisect_right(self._changes_s, now_s)
        if n_changes > self._n_found:
            self._miss(n_changes - 1)
            self._n_found = n_changes
            self._record("drift_delay_s", now_s - self._changes_s[n_changes - 1])
        else:
            self._record("drift_false_alarm", 1.0)
        self._fire()

    def end(self, now_s: float) -> None:
        """Say how many changes were missed until now."""
        self._miss(bisect_right(self._changes_s, now_s))
        self._record("drift_missed", float(self._n_missed))

    def _miss(self, n_changes: int) -> None:
        self._n_missed += n_changes - self._n_found
