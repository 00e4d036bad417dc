"""FIFO stages served as a whole, without a heap: for flows whose way is known in advance.

When no decision depends on what happens in the world, all jobs of a stage are known before the
stage is served: those that the stage before it let go, in the order in which their entries would
have left the heap. A queue is then one pass over its jobs. The pass does the additions of
`Use.start` and `Travel.wake` in their order, so that times agree with the event loop to the bit.

`Playback` keeps the books of servers and hops as they would stand at any time, so that meters and
queues are read from them in the usual way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heapify, heapreplace
from math import inf
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ecsim.kernel.channel import Channel
from ecsim.kernel.meter import ACTIVE
from ecsim.kernel.operations import Travel, Use
from ecsim.kernel.server import FifoServer
from ecsim.kernel.topology import Hop
from ecsim.kernel.world import World

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]


def fifo_ends(join_s: Floats, seconds: Floats, n_servers: int = 1) -> tuple[Floats, Floats]:
    """Give when each job's service begins and ends, for jobs in their order of joining.

    A plain loop: 0.06 us a job, and the same roundings as the event loop. Lindley's recursion by
    cumulative sums and maxima is quicker still, but off by some ulp per job of a busy period.

    >>> begin_s, end_s = fifo_ends(np.array([0.0, 1.0, 9.0]), np.array([2.0, 2.0, 2.0]))
    >>> begin_s.tolist(), end_s.tolist()
    ([0.0, 2.0, 9.0], [2.0, 4.0, 11.0])
    """
    if n_servers > 1:
        return _many_servers_ends(join_s, seconds, n_servers)
    end_s = join_s + seconds
    waiting = np.count_nonzero(join_s[1:] < end_s[:-1])
    if waiting * 4 > len(end_s):
        ends = []
        end = 0.0
        for begin, service in zip(join_s.tolist(), seconds.tolist(), strict=True):
            end = (end if begin < end else begin) + service
            ends.append(end)
        end_s = np.array(ends)
    elif waiting:
        _mend(end_s, join_s, seconds)
    begin_s = join_s.copy()
    np.maximum(begin_s[1:], end_s[:-1], out=begin_s[1:])
    return begin_s, end_s


def _mend(end_s: Floats, join_s: Floats, seconds: Floats) -> None:
    """Move the ends of those who wait, in place; `end_s` is as if nobody did."""
    over = -1  # jobs before it are mended
    for first in (np.flatnonzero(join_s[1:] < end_s[:-1]) + 1).tolist():
        if first < over:
            continue
        end, job = end_s[first - 1], first
        while job < len(end_s) and join_s[job] < end:
            end_s[job] = end = end + seconds[job]
            job += 1
        over = job


def _many_servers_ends(join_s: Floats, seconds: Floats, n_servers: int) -> tuple[Floats, Floats]:
    frees = [0.0] * n_servers
    begins, ends = [], []
    for begin, service in zip(join_s.tolist(), seconds.tolist(), strict=True):
        if begin < frees[0]:
            begin = frees[0]
        heapreplace(frees, begin + service)
        begins.append(begin)
        ends.append(begin + service)
    return np.array(begins), np.array(ends)


def grouped(keys: Ints, jobs: Ints) -> tuple[Ints, list[tuple[int, slice]]]:
    """Sort jobs by key, otherwise as they are given; give them, and (key, where) for each key.

    >>> jobs, parts = grouped(np.array([5, 4, 5]), np.array([2, 1, 0]))
    >>> jobs.tolist(), parts
    ([1, 2, 0], [(4, slice(0, 1, None)), (5, slice(1, 3, None))])
    """
    order = jobs[np.argsort(keys[jobs], kind="stable")]
    found, starts = np.unique(keys[order], return_index=True)
    ends = [*starts[1:].tolist(), len(order)]
    return order, [
        (key, slice(start, end))
        for key, start, end in zip(found.tolist(), starts.tolist(), ends, strict=True)
    ]


@dataclass(slots=True)
class _Book:
    """All jobs of a server, or all messages of a hop, in their order of joining."""

    part: FifoServer | Hop
    join_s: Floats
    begin_s: Floats
    seconds: Floats
    joules: Floats
    due_s: Floats
    size_bytes: float
    is_ordered: bool = False
    sums: dict[str, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.is_ordered = bool((np.diff(self.due_s) >= 0.0).all())
        # sums in the order of the event loop, which adds one job after the other
        wait_s = self.begin_s - self.join_s
        for name, values in (("wait", wait_s), ("work", self.seconds), ("joules", self.joules)):
            self.sums[name] = np.add.accumulate(values)


class Playback:
    """Sets the books of servers and hops to how they stand at a time; the world's loop.

    Parameters
    ----------
    world : its loop is replaced.
    """

    def __init__(self, world: World):
        self._world = world
        self._books: list[_Book] = []
        self._free: list[tuple[FifoServer | Channel, Floats, Floats, Floats]] = []
        self._n: dict[Any, int] = {}
        world.replace_loop(self._advance)

    def serve(
        self, server: FifoServer, join_s: Floats, seconds: Floats, joules: Floats
    ) -> tuple[Floats, Floats]:
        """Let jobs join a server, in this order; give (begin, end). Once per server."""
        begin_s, end_s = fifo_ends(join_s, seconds, server.n_servers)
        self._books.append(_Book(server, join_s, begin_s, seconds, joules, end_s, 0.0))
        self._free.append((server, join_s, begin_s, end_s))
        return begin_s, end_s

    def send(
        self,
        channel: Channel,
        hops: Sequence[Hop],
        which: Ints,
        join_s: Floats,
        seconds: Floats,
        latency_s: Floats,
        size_bytes: float,
    ) -> tuple[Floats, Floats]:
        """Let messages of one size join a channel, in this order; give (begin, end).

        `which` is the index in `hops` of each message, `seconds` its serialisation. Once per
        channel.
        """
        begin_s, end_s = fifo_ends(join_s, seconds)
        due_s = end_s + latency_s
        order, parts = grouped(which, np.arange(len(which)))
        for number, part in parts:
            mine = part if len(parts) == 1 else order[part]
            hop, service_s = hops[number], seconds[mine]
            self._books.append(
                _Book(
                    hop, join_s[mine], begin_s[mine], service_s, hop.power_w * service_s,
                    due_s[mine], size_bytes,
                )
            )  # fmt: skip
        self._free.append((channel, join_s, begin_s, end_s))
        return begin_s, end_s

    def _advance(self, until_s: float) -> None:
        """Set the books to what joined before `until_s`, and the heap to what is not over."""
        queue = self._world.queue
        queue.clear()
        for part, join_s, begin_s, end_s in self._free:
            n, before = int(join_s.searchsorted(until_s)), self._n.get(part, 0)
            if n > before:
                longest_s = float((begin_s[before:n] - join_s[before:n]).max())
                part.max_wait_s = max(part.max_wait_s, longest_s)
                if isinstance(part, FifoServer):
                    # a job takes the unit that is free first: the latest ends remain
                    ends = end_s[n - 1 : n] if part.n_servers == 1 else np.sort(end_s[:n])
                    unused = [0.0] * (part.n_servers - len(ends))
                    part.frees = unused + ends[-part.n_servers :].tolist()
                else:
                    part.free_s = float(end_s[n - 1])
                self._n[part] = n
        for book in self._books:
            self._turn(book, until_s)
        heapify(queue)
        if until_s == inf:
            last_s = [float(book.due_s.max()) for book in self._books if len(book.due_s)]
            self._world._now = max(self._world._now, *last_s)

    def _turn(self, book: _Book, until_s: float) -> None:
        n = int(book.join_s.searchsorted(until_s))
        if not n:
            return
        part, sums = book.part, book.sums
        wait_s, work_s = float(sums["wait"][n - 1]), float(sums["work"][n - 1])
        part.n_jobs, part.wait_s = n, wait_s
        if isinstance(part, FifoServer):
            part.meter.seconds[ACTIVE] = work_s
            part.meter.joules[ACTIVE] = float(sums["joules"][n - 1])
        else:
            part.work_s = work_s
            part.bytes = n * book.size_bytes
        if book.is_ordered:
            under_way = list(range(int(book.due_s.searchsorted(until_s)), n))
        else:
            under_way = np.flatnonzero(book.due_s[:n] >= until_s).tolist()
        for job in under_way:
            self._enter(book, job)

    def _enter(self, book: _Book, job: int) -> None:
        """Put a job that is under way on the heap, for those who read it there."""
        part, seconds = book.part, float(book.seconds[job])
        entry: Use | Travel
        if isinstance(part, FifoServer):
            entry = Use(part, seconds, float(book.joules[job]))
        else:
            entry = Travel((part,), book.size_bytes)
            entry._at = 1
            entry._seconds = seconds
            entry._end_s = float(book.begin_s[job]) + seconds
        entry.t = float(book.due_s[job])
        entry.eid = eid = self._world.next_id()
        self._world.queue.append((entry.t, 1, eid, entry))
