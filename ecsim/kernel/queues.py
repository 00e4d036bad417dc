"""Queues as they stand, read in closed form: nothing is noted while jobs come and go.

A reservation server and a FIFO channel know by when they have served all that joined, so that what
was brought, what was served and how long everybody waited up to a time t follow from their books
and from the entries on the world's heap, as for meters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from ecsim.core.types import FloatArray
from ecsim.kernel.channel import Channel
from ecsim.kernel.disciplines import EventEngine
from ecsim.kernel.medium import SharingChannel
from ecsim.kernel.meter import ACTIVE, BACKGROUND, DOWN, Reading, read_meters
from ecsim.kernel.node import Engine
from ecsim.kernel.operations import Operation, Use
from ecsim.kernel.server import FifoServer
from ecsim.kernel.training import Train
from ecsim.kernel.travel import AGAIN, Travel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ecsim.kernel.node import Node
    from ecsim.kernel.world import World

Part: TypeAlias = FifoServer | Channel
Standing: TypeAlias = "dict[Part, tuple[int, float]]"


@dataclass(frozen=True, slots=True, eq=False)
class Queue:
    """A server or channel with the names under which it is reported.

    Attributes
    ----------
    place : name of the node, or of the link.
    component : engine of the node, or direction of the link.
    part : what jobs wait for.
    n_servers : jobs that it serves at once.
    """

    place: str
    component: str
    part: Part
    n_servers: int = 1

    @property
    def n_jobs(self) -> int:
        """Jobs that joined so far, without those of other tenants."""
        part = self.part
        return part.n_jobs if isinstance(part, FifoServer) else sum(h.n_jobs for h in part.hops)

    @property
    def wait_s(self) -> float:
        """Sum of the waits of all jobs that joined so far."""
        part = self.part
        return part.wait_s if isinstance(part, FifoServer) else sum(h.wait_s for h in part.hops)

    @property
    def brought_s(self) -> float:
        """Seconds of service that tasks and other tenants brought so far; trainings are not in it.

        A training brings its next step when the last one is over, so it never overloads anything.
        """
        part = self.part
        if isinstance(part, Channel):
            return part.work_s
        if part.background is not None:
            part.catch_up(part.world._now)
        if isinstance(part, EventEngine):
            return part.brought_s
        seconds = part.meter.seconds
        return seconds[ACTIVE] + (seconds[BACKGROUND] if len(seconds) > BACKGROUND else 0.0)

    def served_s(self, meters: Reading) -> float:
        """Give the seconds of service given so far, by all its units together.

        `meters` : the readings of all meters at the world's present time.
        """
        part, now = self.part, self.part.world._now
        if isinstance(part, SharingChannel):
            # what is under way is booked at its end; both ends say how much of it is served
            return part.work_s - sum(left[2] for left in part.unserved(now)) / 2.0
        if isinstance(part, Channel):
            return part.work_s - max(0.0, part.free_s - now)
        states = zip(part.meter.states, meters[part.meter][0], strict=True)
        return sum(seconds for state, seconds in states if state != DOWN)

    def n_present(self, here: Standing) -> int:
        """Give how many jobs wait or are served, other tenants' too.

        `here` : what `standing` gives at the world's present time.
        """
        part = self.part
        if isinstance(part, SharingChannel):
            return part.n_active
        if isinstance(part, EventEngine):
            return part.n_present()
        background = getattr(part, "background", None)
        n_tenants = len(background.unserved(part.world._now)) if background else 0
        return here.get(part, (0, 0.0))[0] + n_tenants


def queues_of(nodes: Iterable[Node], channels: Iterable[Channel]) -> list[Queue]:
    """Give every engine and every channel."""
    found = [
        Queue(node.name, name, engine, engine.n_servers)
        for node in nodes
        for name, engine in node.engines.items()
    ]
    for channel in channels:
        place, _, direction = channel.name.rpartition(" ")
        found.append(Queue(place, direction, channel))
    return found


def standing(world: World) -> Standing:
    """Give for each server and channel (jobs there, seconds that they still have to wait)."""
    now = world._now
    found: dict[Any, tuple[int, float]] = {}
    for _, _, eid, entry in world.queue:
        if isinstance(entry, Operation) and entry.eid == eid:
            part, end_s, seconds = _reservation(entry)
            if part is not None and end_s > now:
                n, left_s = found.get(part, (0, 0.0))
                found[part] = (n + 1, left_s + max(0.0, end_s - seconds - now))
    for station in world.stations:  # its waits are charged when they end
        found[station] = (station.n_present(), -station.waiting_s())
    return found


def _reservation(operation: Operation) -> tuple[Part | None, float, float]:
    """Give what an operation waits for or occupies, until when, and its seconds of service."""
    if isinstance(operation, Use):
        return operation.server, operation.t, operation.seconds
    if isinstance(operation, Travel) and operation.hop is not None:
        hop = operation.hop
        if operation.waiter is AGAIN:  # until its link opens, which is charged as a wait already
            return hop.channel, operation.t, 0.0
        return hop.channel, operation._end_s, operation._seconds
    if isinstance(operation, Train):
        return operation.engine, operation._step_end_s, operation._step_s
    return None, 0.0, 0.0


class QueueRow(NamedTuple):
    """What a queue did in the window.

    Attributes
    ----------
    queue : which one.
    n_jobs : jobs that joined, without those of other tenants.
    utilisation : share of its capacity that was used, trainings and other tenants included.
    mean_wait_s, max_wait_s : of these jobs, until their service began or will begin.
    mean_waiting : how many of these jobs waited, on average over time.
    joined_s : work that tasks and other tenants brought in each slice, per server.
    backlog_s : how long a job would wait that joins at the end of each slice.
    slice_s : length of a slice.
    """

    queue: Queue
    n_jobs: int
    utilisation: float
    mean_wait_s: float | None
    max_wait_s: float
    mean_waiting: float
    joined_s: FloatArray
    backlog_s: FloatArray
    slice_s: float


class QueueWindow:
    """Readings of all queues over the measured window, which is cut in equal slices.

    Call `open` at its start, `cut` at the end of each slice (or `cut_at` once) and `close` at its
    end, after the last `cut`.
    """

    def __init__(self, world: World, queues: Sequence[Queue]) -> None:
        self._world = world
        self.queues = queues
        self._cuts: list[tuple[FloatArray, FloatArray]] = []
        self._slices: tuple[FloatArray, FloatArray] | None = None

    def open(self) -> None:
        """Start the window at the world's present time."""
        self._sort()
        self._start_s = self._world._now
        self._at_start = self._books()
        for queue in self.queues:
            queue.part.max_wait_s = 0.0
        self._slices = None
        self._cuts = [(self._brought(), np.zeros(len(self.queues)))]

    def cut(self) -> None:
        """End a slice."""
        self._cuts.append((self._brought(), self._backlog()))

    def _sort(self) -> None:
        """Find the plain queues: nearly all of them, and read in a tenth of the time."""
        parts = [queue.part for queue in self.queues]
        self._hops = {
            i: part.hops[0]
            for i, part in enumerate(parts)
            if type(part) is Channel and len(part.hops) == 1
        }
        self._engines = {
            i: part
            for i, part in enumerate(parts)
            if type(part) is Engine and part.background is None
        }
        self._others = set(range(len(parts))) - {*self._hops, *self._engines}
        self._plain = np.array([*self._hops, *self._engines], dtype=np.int64)

    def _brought(self) -> FloatArray:
        brought_s = np.empty(len(self.queues))
        links_s = [hop.work_s for hop in self._hops.values()]
        engines_s = [engine.meter.seconds[ACTIVE] for engine in self._engines.values()]
        brought_s[self._plain] = links_s + engines_s
        for i in self._others:
            brought_s[i] = self.queues[i].brought_s
        return brought_s

    def _backlog(self) -> FloatArray:
        backlog_s = np.empty(len(self.queues))
        links_s = [hop.channel.free_s for hop in self._hops.values()]
        engines_s = [engine.frees[0] for engine in self._engines.values()]
        free_s = np.array(links_s + engines_s)
        backlog_s[self._plain] = np.maximum(0.0, free_s - self._world._now)
        for i in self._others:
            backlog_s[i] = self.queues[i].part.backlog_s()
        return backlog_s

    def cut_at(self, edges_s: npt.NDArray[np.float64]) -> bool:
        """End all slices at once, at these times, where a `Playback` knows how; say whether."""
        playback = self._world.playback
        found = playback and playback.slices([queue.part for queue in self.queues], edges_s)
        if not found:
            return False
        self._slices = found
        return True

    def close(self) -> None:
        """End the window."""
        self._end_s = self._world._now
        self._at_end = self._books()
        self._longest_s = [queue.part.max_wait_s for queue in self.queues]

    def rows(self) -> list[QueueRow]:
        """Give one row per queue."""
        length_s = self._end_s - self._start_s
        n_servers = np.array([queue.n_servers for queue in self.queues])
        if self._slices is None:
            brought_s, left_s = (np.array(column) for column in zip(*self._cuts, strict=True))
            self._slices = (np.diff(brought_s, axis=0) / n_servers).T, left_s[1:].T
        joined_s, backlog_s = map(np.ascontiguousarray, self._slices)  # (queues, slices)
        rows = []
        for i, queue in enumerate(self.queues):
            n_before, wait_before, waited_before, served_before = self._at_start[i]
            n_after, wait_after, waited_after, served_after = self._at_end[i]
            n_jobs = n_after - n_before
            wait_s = wait_after - wait_before
            rows.append(
                QueueRow(
                    queue=queue,
                    n_jobs=n_jobs,
                    utilisation=(served_after - served_before) / (length_s * queue.n_servers),
                    mean_wait_s=max(0.0, wait_s / n_jobs) if n_jobs else None,
                    max_wait_s=self._longest_s[i],
                    mean_waiting=max(0.0, (waited_after - waited_before) / length_s),
                    joined_s=joined_s[i],
                    backlog_s=backlog_s[i],
                    slice_s=length_s / max(1, len(joined_s[i])),
                )
            )
        return rows

    def _books(self) -> list[tuple[int, float, float, float]]:
        """Give (jobs, waits, waits that have passed, service given) of each queue so far."""
        left, meters = standing(self._world), read_meters(self._world)
        return [
            (
                queue.n_jobs,
                queue.wait_s,
                queue.wait_s - left.get(queue.part, (0, 0.0))[1],
                queue.served_s(meters),
            )
            for queue in self.queues
        ]
