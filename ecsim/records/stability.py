"""Whether a queue can keep up: a test on the load it was offered and on how its backlog went.

The mean delay of a queue that cannot keep up depends on how long one looks, so it is no result.
The window is cut in equal slices; the test sees the work that joined in each and the backlog at
each cut, both in seconds of one server. A queue is called unstable when

1. *the offered load exceeds its capacity*: the mean over slices lies above 1 by more than three
   standard errors; or
2. *its backlog grows to the end*: at the horizon it is longer than a queue at load 0.9 with the
   same variability shows once in ten thousand looks, and than the work of any one slice (else it
   may be a job that has just come), and it grew over the window's second half by a fifth of its
   level or more.

For 2, heavy traffic gives the stationary backlog V at load r: P(V > v) = exp(-2 (1 - r) v / s2),
with s2 the variance per second of the work that joins, from its sums over slices (source: J. F. C.
Kingman, "On queues in heavy traffic", J. R. Stat. Soc. B 24, 1962).

Measured for M/M/1 and M/D/1 queues (tests/records/test_stability.py): no alarm in 6000 windows of
60 to 3000 tasks at load 0.9; a load of 1.5 is found within 300 tasks, 1.1 within 3000, nine times
in ten. A short window of a barely overloaded queue is therefore called stable. Bursts longer than a
slice look like growth: at load 0.9, 2 in 100 windows when bursts and pauses last two slices each.
"""

from __future__ import annotations

from math import log, sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ecsim.core.types import FloatArray

N_SLICES = 50
ERRORS = 3.0
LOAD = 0.9
CHANCE = 1e-4
GROWTH = 0.2


def offered_load(joined_s: FloatArray, slice_s: float) -> float:
    """Give the work that joined per second over what one server does in a second."""
    return float(joined_s.sum() / (len(joined_s) * slice_s))


def unstable_because(joined_s: FloatArray, backlog_s: FloatArray, slice_s: float) -> str:
    """Say why a queue cannot keep up; empty when it can, or when nothing says otherwise.

    Parameters
    ----------
    joined_s : seconds of service that joined in each slice, per server, shape (n,).
    backlog_s : how long a job that joins would wait, at the end of each slice, shape (n,).
    slice_s : length of a slice.

    >>> unstable_because(np.full(50, 1.2), np.arange(50) * 0.2, 1.0)
    'offered load 1.20 exceeds its capacity'
    >>> unstable_because(np.full(50, 0.9), np.zeros(50), 1.0)
    ''
    """
    n = len(joined_s)
    load = offered_load(joined_s, slice_s)
    end_s = float(backlog_s[-1])
    if load <= 1.0 and end_s <= 0.0:
        return ""  # most queues
    loads = joined_s / slice_s
    if load > 1.0 + ERRORS * float(loads.std(ddof=1)) / sqrt(n) + 1e-9:
        return f"offered load {load:.2f} exceeds its capacity"
    variance = float(joined_s.var(ddof=1)) / slice_s
    longest_s = variance * log(1.0 / CHANCE) / (2.0 * (1.0 - LOAD))
    if not end_s > longest_s > 0.0 or end_s <= float(joined_s.max()):
        return ""
    late = backlog_s[n // 2 :]
    growth_s = float(np.polyfit(np.arange(len(late)), late, 1)[0]) * len(late)
    if growth_s > GROWTH * float(late.mean()):
        return f"its backlog grew to {end_s:.3g} s at the end, at offered load {load:.2f}"
    return ""
