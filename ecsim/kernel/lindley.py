"""Begins and ends of service in FIFO queues, from the times at which jobs join, all at once.

Who waits is guessed from cumulative sums (Lindley's recursion), the ends are then added up busy
period by busy period, in the order of `Use.start` and `Travel.wake`, and the guess is mended until
it fits: times agree with the event loop to the bit.

Source: D. V. Lindley, "The theory of queues with a single server", Proc. Camb. Phil. Soc. 48, 1952.
"""

from __future__ import annotations

from heapq import heapreplace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]

_TOGETHER = 16  # jobs of all busy periods that are served side by side; then one by one


def fifo_ends(join_s: Floats, seconds: Floats, firsts: Ints) -> tuple[Floats, Floats]:
    """Give when each job's service begins and ends in queues with one server each.

    Parameters
    ----------
    join_s, seconds : queue after queue, each in its order of joining.
    firsts : index of the first job of each queue, ascending; the first of all is 0.

    >>> join_s, seconds = np.array([0.0, 1.0, 9.0, 0.5]), np.array([2.0, 2.0, 2.0, 1.0])
    >>> begin_s, end_s = fifo_ends(join_s, seconds, np.array([0, 3]))
    >>> begin_s.tolist(), end_s.tolist()
    ([0.0, 2.0, 9.0, 0.5], [2.0, 4.0, 11.0, 1.5])
    """
    # A job finds its queue empty when it joins later than any before it could have been served,
    # counted from the work that joined before it; each queue is lifted above the one before.
    slack_s = np.cumsum(seconds)
    np.subtract(seconds, slack_s, out=slack_s)
    slack_s += join_s
    if len(firsts) > 1:
        step_s = float(slack_s.max() - slack_s.min()) + 1.0
        lengths = np.diff(firsts, append=len(join_s))
        slack_s += np.repeat(np.arange(len(firsts)) * step_s, lengths)
    is_start = np.maximum.accumulate(slack_s) == slack_s
    is_start[firsts] = True
    while True:
        end_s = _ends(join_s, seconds, np.flatnonzero(is_start))
        before_s = end_s[:-1]
        wrong = np.where(is_start[1:], join_s[1:] < before_s, join_s[1:] > before_s)
        wrong[firsts[1:] - 1] = False
        if not wrong.any():  # otherwise the first wrong one of each queue is right from now on
            break
        is_start[1:] ^= wrong
    begin_s = np.empty(len(join_s))
    np.maximum(join_s[1:], before_s, out=begin_s[1:])
    begin_s[firsts] = join_s[firsts]
    return begin_s, end_s


def _ends(join_s: Floats, seconds: Floats, starts: Ints) -> Floats:
    """Give when jobs end whose busy periods start at these; sums in order, one job a time."""
    end_s = join_s + seconds  # right for those who start one
    stops = np.append(starts[1:], len(end_s))
    at = starts
    for _ in range(_TOGETHER):
        at = at + 1
        left = at < stops
        at, stops = at[left], stops[left]
        if not len(at):
            return end_s
        end_s[at] = end_s[at - 1] + seconds[at]
    for start, stop in zip(at.tolist(), stops.tolist(), strict=True):
        # from the last end that is known on; numpy accumulates in order
        chain = seconds[start:stop].copy()
        chain[0] = end_s[start]
        end_s[start:stop] = np.add.accumulate(chain)
    return end_s


def side_by_side(
    join_s: Floats, seconds: Floats, queue_of: Ints, n_queues: int
) -> tuple[Floats, Floats]:
    """Give begins and ends of jobs that are in order of joining, not queue after queue."""
    if n_queues == 1:
        return fifo_ends(join_s, seconds, np.zeros(1, dtype=np.int64))
    order, firsts = grouped(queue_of, n_queues)
    begin_s, end_s = np.empty(len(order)), np.empty(len(order))
    begin_s[order], end_s[order] = fifo_ends(join_s[order], seconds[order], firsts)
    return begin_s, end_s


def many_servers_ends(join_s: Floats, seconds: Floats, n_servers: int) -> tuple[Floats, Floats]:
    """Give when each job's service begins and ends, in one queue before several servers."""
    frees = [0.0] * n_servers
    begins, ends = [], []
    for begin, service in zip(join_s.tolist(), seconds.tolist(), strict=True):
        if begin < frees[0]:
            begin = frees[0]
        heapreplace(frees, begin + service)
        begins.append(begin)
        ends.append(begin + service)
    return np.array(begins), np.array(ends)


def grouped(keys: Ints, n_keys: int) -> tuple[Ints, Ints]:
    """Give the order by key, otherwise as given, and where in it each key begins that occurs.

    >>> [found.tolist() for found in grouped(np.array([5, 4, 5]), 9)]
    [[1, 0, 2], [0, 1]]
    """
    small = keys.astype(np.uint16) if n_keys <= 1 << 16 else keys  # short keys sort in linear time
    counts = np.bincount(keys)
    counts = counts[counts > 0]
    return np.argsort(small, kind="stable"), np.cumsum(counts) - counts


def by_time(times_s: Floats) -> Ints:
    """Give the order by time, at equal times as given.

    >>> by_time(np.array([2.0, 1.0, 2.0, 1.0])).tolist()
    [1, 3, 0, 2]
    """
    if bool((times_s[1:] >= times_s[:-1]).all()):
        return np.arange(len(times_s))
    return np.argsort(times_s, kind="stable")  # quick where they are nearly in order
