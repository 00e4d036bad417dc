"""FIFO stages served as a whole, without a heap: for flows whose way is known in advance.

When no decision depends on what happens in the world, all jobs of a stage are known before the
stage is served: those that the stage before it let go, in the order in which their entries would
have left the heap. `lindley` gives their times, to the bit those of the event loop.

`Playback` keeps the books of servers, hops and radios as they would stand at any time, so that
meters and queues are read from them in the usual way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import Any, cast

import numpy as np

from ecsim.kernel.channel import Channel
from ecsim.kernel.lindley import Floats, Ints, by_time, grouped, many_servers_ends, side_by_side
from ecsim.kernel.meter import ACTIVE
from ecsim.kernel.operations import NOBODY, Use
from ecsim.kernel.radio import CONNECTED, TAIL, Radio
from ecsim.kernel.server import FifoServer
from ecsim.kernel.topology import Hop
from ecsim.kernel.travel import Travel
from ecsim.kernel.world import World


class _Books:
    """What jobs brought to each of some parts, in their order of joining.

    Parameters
    ----------
    which : index of each job's part.
    join_s : when each joins, ascending.
    amounts : what each job brings; they are added one after the other, as in the event loop.

    Attributes
    ----------
    n : jobs that have joined so far.
    n_jobs, sums : per part, how many of them, and their amounts.
    """

    def __init__(self, which: Ints, n_parts: int, join_s: Floats, **amounts: Floats):
        self.which = which
        self.join_s = join_s
        self.amounts = amounts
        self.n = 0
        self.n_jobs = np.zeros(n_parts, dtype=np.int64)
        self.sums = {name: np.zeros(n_parts) for name in amounts}

    def join(self, until_s: float) -> slice:
        """Let jobs join that do before a time; give which they are."""
        new = slice(self.n, int(self.join_s.searchsorted(until_s)))
        self.n = new.stop
        which = self.which[new]
        self.n_jobs += np.bincount(which, minlength=len(self.n_jobs))
        for name, amounts in self.amounts.items():
            np.add.at(self.sums[name], which, amounts[new])
        return new


class _Served:
    """All jobs of some servers, or all messages over some hops, in their order of joining.

    Parameters
    ----------
    parts : servers or hops.
    queues : the servers, or the channels of the hops; `queue_of` has the index of each job's.
    """

    def __init__(
        self,
        world: World,
        parts: Sequence[FifoServer] | Sequence[Hop],
        books: _Books,
        queues: Sequence[FifoServer | Channel],
        queue_of: Ints,
        due_s: Floats,
        size_bytes: float,
    ):
        self._world = world
        self._parts = parts
        self._books = books
        self.queues = queues
        self.queue_of = queue_of
        self.join_s = books.join_s
        self.seconds = books.amounts["work"]
        self._size_bytes = size_bytes
        self.due_s = due_s
        self.begin_s, self.end_s = side_by_side(
            books.join_s, books.amounts["work"], queue_of, len(queues)
        )
        for queue, server in enumerate(queues):
            if isinstance(server, FifoServer) and server.n_servers > 1:
                mine = np.flatnonzero(queue_of == queue)
                self.begin_s[mine], self.end_s[mine] = many_servers_ends(
                    books.join_s[mine], books.amounts["work"][mine], server.n_servers
                )
        self.wait_s = books.amounts["wait"] = self.begin_s - books.join_s
        books.sums["wait"] = np.zeros(len(parts))

    def advance(self, until_s: float) -> None:
        """Set the books of parts and queues to what joined before a time."""
        books, sums = self._books, self._books.sums
        new = books.join(until_s)
        if new.start == new.stop:
            return
        used = np.flatnonzero(np.bincount(books.which[new])).tolist()
        n_jobs = books.n_jobs.tolist()
        wait_s, work_s = sums["wait"].tolist(), sums["work"].tolist()
        joules = sums["joules"].tolist() if "joules" in sums else []
        for i in used:
            part = self._parts[i]
            part.n_jobs = n_jobs[i]
            part.wait_s = wait_s[i]
            if isinstance(part, FifoServer):
                part.meter.seconds[ACTIVE] = work_s[i]
                part.meter.joules[ACTIVE] = joules[i]
            else:
                part.work_s = work_s[i]
                part.bytes = n_jobs[i] * self._size_bytes
        self._advance_queues(new)

    def _advance_queues(self, new: slice) -> None:
        which = self.queue_of[new]
        longest_s, last_s = np.zeros(len(self.queues)), np.zeros(len(self.queues))
        np.maximum.at(longest_s, which, self._books.amounts["wait"][new])
        np.maximum.at(last_s, which, self.end_s[new])  # in a queue with one server ends ascend
        longest, last = longest_s.tolist(), last_s.tolist()
        for i in np.flatnonzero(np.bincount(which)).tolist():
            queue = self.queues[i]
            if longest[i] > queue.max_wait_s:
                queue.max_wait_s = longest[i]
            if isinstance(queue, Channel):
                queue.free_s = last[i]
            elif queue.n_servers == 1:
                queue.frees = [last[i]]
            else:  # a job takes the server that is free first: the latest ends remain
                ends_s = np.sort(self.end_s[: new.stop][self.queue_of[: new.stop] == i])
                unused = [0.0] * (queue.n_servers - len(ends_s))
                queue.frees = unused + ends_s[-queue.n_servers :].tolist()

    def under_way(self, until_s: float) -> Iterator[Use | Travel]:
        """Give the operations that joined before a time and are not over by then."""
        amounts = self._books.amounts
        for job in np.flatnonzero(self.due_s[: self._books.n] >= until_s).tolist():
            part, seconds = self._parts[self._books.which[job]], float(amounts["work"][job])
            entry: Use | Travel
            if isinstance(part, FifoServer):
                entry = Use(part, seconds, float(amounts["joules"][job]))
            else:
                entry = Travel((part,), self._size_bytes)
                entry._at = 1
                entry._seconds = seconds
                entry._end_s = float(self.end_s[job])
            entry.waiter = NOBODY
            entry.t = float(self.due_s[job])
            entry.eid = self._world.next_id()
            yield entry


class _Connections:
    """What messages make of radios that are never promoted: transfers, and tails between them.

    Parameters
    ----------
    which, join_s, end_s : index of each message's radio, when it joins a channel and when its last
        bit leaves; in order of joining.
    """

    def __init__(
        self, world: World, radios: Sequence[Radio], which: Ints, join_s: Floats, end_s: Floats
    ):
        self._world = world
        self._radios = radios
        order, firsts = grouped(which, len(radios))
        tail_s = np.array([radio.card.tail_s for radio in radios])[which[order]]
        # until when each radio was busy before a message: the latest end of those before it
        until_s = np.empty(len(order))
        ends = np.append(firsts[1:], len(order))
        for first, end in zip(firsts.tolist(), ends.tolist(), strict=True):
            mine = order[first:end]
            until_s[first] = -inf
            until_s[first + 1 : end] = np.maximum.accumulate(end_s[mine])[:-1]
        gap_s = join_s[order] - until_s
        self._which, self._join_s, self._end_s = which, join_s, end_s
        self._tail_s, self._connected_s = np.empty(len(order)), np.empty(len(order))
        self._tail_s[order] = np.where(np.isfinite(gap_s), np.clip(gap_s, 0.0, tail_s), 0.0)
        held_s = end_s[order] - np.maximum(join_s[order], until_s)
        self._connected_s[order] = np.maximum(held_s, 0.0)
        self._n = 0

    def advance(self, until_s: float) -> None:
        """Set the radios to how they stand at a time."""
        new = slice(self._n, int(self._join_s.searchsorted(until_s)))
        self._n = new.stop
        which = self._which[new]
        tails_s = np.bincount(which, self._tail_s[new], len(self._radios)).tolist()
        connected_s = np.bincount(which, self._connected_s[new], len(self._radios)).tolist()
        busy_until_s = np.full(len(self._radios), -inf)
        np.maximum.at(busy_until_s, which, self._end_s[new])
        for i in np.flatnonzero(np.bincount(which)).tolist():
            radio, tail_s = self._radios[i], tails_s[i]
            meter, joules = radio.meter, tail_s * radio.card.tail_w
            radio.busy_until_s = max(radio.busy_until_s, float(busy_until_s[i]))
            meter.seconds[CONNECTED] += connected_s[i]
            meter.seconds[TAIL] += tail_s
            meter.joules[TAIL] += joules
            self._world.unowned_j += joules


class _UnderWay:
    """Stands in for the world's heap: what is not over, made when somebody reads it."""

    def __init__(self, world: World, stages: Sequence[_Served]):
        self._world = world
        self._stages = stages

    def __iter__(self) -> Iterator[tuple[float, int, int, Any]]:
        for stage in self._stages:
            for entry in stage.under_way(self._world._now):
                yield entry.t, 1, entry.eid, entry


class Playback:
    """Sets the books of servers, hops and radios to how they stand at a time; the world's loop.

    Parameters
    ----------
    world : its loop is replaced, and its heap is no longer one.
    """

    def __init__(self, world: World):
        self._world = world
        self._stages: list[_Served] = []
        self._transfers: list[tuple[Sequence[Hop], Ints, Floats, Floats]] = []
        self._connections: list[_Connections] = []
        _keep_freed_memory()
        world.playback = self
        world.replace_loop(self._advance)
        world.queue = cast(Any, _UnderWay(world, self._stages))

    def serve(
        self,
        servers: Sequence[FifoServer],
        which: Ints,
        join_s: Floats,
        seconds: Floats,
        joules: Floats,
    ) -> tuple[Floats, Floats]:
        """Let jobs join servers, in this order; give (wait, end). Once per server.

        `which` is the index in `servers` of each job.
        """
        books = _Books(which, len(servers), join_s, work=seconds, joules=joules)
        stage = _Served(self._world, servers, books, servers, which, join_s, 0.0)
        stage.due_s = stage.end_s
        self._stages.append(stage)
        return stage.wait_s, stage.end_s

    def send(
        self,
        hops: Sequence[Hop],
        which: Ints,
        join_s: Floats,
        seconds: Floats,
        latency_s: Floats,
        size_bytes: float,
    ) -> tuple[Floats, Floats]:
        """Let messages of one size join hops, in this order; give (wait, end). Once per channel.

        `which` is the index in `hops` of each message, `seconds` its serialisation.
        """
        channels, channel_of = numbered([hop.channel for hop in hops])
        books = _Books(which, len(hops), join_s, work=seconds)
        stage = _Served(self._world, hops, books, channels, channel_of[which], join_s, size_bytes)
        stage.due_s = stage.end_s + latency_s
        self._stages.append(stage)
        self._transfers.append((hops, which, join_s, stage.end_s))
        return stage.wait_s, stage.end_s

    def connect(self) -> None:
        """Let radios follow the messages sent; after the last of them."""
        found: dict[int, Radio] = {}
        columns: list[tuple[Ints, Floats, Floats]] = []
        for hops, which, join_s, end_s in self._transfers:
            radios = [None if hop.line is None else hop.line.radio for hop in hops]
            has_one = np.array([radio is not None for radio in radios])[which]
            found.update({id(radio): radio for radio in radios if radio is not None})
            number = {key: index for index, key in enumerate(found)}
            index = np.array([number.get(id(radio), 0) for radio in radios])[which]
            columns.append((index[has_one], join_s[has_one], end_s[has_one]))
        if found:
            which, join_s, end_s = map(np.concatenate, zip(*columns, strict=True))
            order = by_time(join_s)
            connections = _Connections(
                self._world, list(found.values()), which[order], join_s[order], end_s[order]
            )
            self._connections.append(connections)

    def slices(
        self, parts: Sequence[FifoServer | Channel], edges_s: Floats
    ) -> tuple[Floats, Floats] | None:
        """Give what each part was brought in each slice of time, and its backlog at the end of it.

        In s, of shape (parts, slices), without moving the clock; None where one of several servers
        is free first, which has to be looked up at the time.
        """
        number = {id(part): index for index, part in enumerate(parts)}
        shape = (len(parts), len(edges_s))  # the first column is what was before
        brought_s, ends_s = np.zeros(shape), np.full(shape, -inf)
        for stage in self._stages:
            if any(getattr(queue, "n_servers", 1) > 1 for queue in stage.queues):
                return None
            cuts = stage.join_s.searchsorted(edges_s)  # before which job each slice begins
            n = int(cuts[-1])
            index = np.array([number[id(queue)] for queue in stage.queues]) * len(edges_s)
            where = index[stage.queue_of[:n]]
            where += np.repeat(np.arange(len(edges_s)), np.diff(cuts, prepend=0))
            np.add.at(brought_s.reshape(-1), where, stage.seconds[:n])
            np.maximum.at(ends_s.reshape(-1), where, stage.end_s[:n])
        backlog_s = np.maximum.accumulate(ends_s, axis=1)[:, 1:] - edges_s[1:]
        return brought_s[:, 1:], np.maximum(backlog_s, 0.0)

    def _advance(self, until_s: float) -> None:
        for stage in self._stages:
            stage.advance(until_s)
        for connections in self._connections:
            connections.advance(until_s)
        if until_s == inf:
            last_s = [float(stage.due_s.max()) for stage in self._stages if len(stage.due_s)]
            self._world._now = max(self._world._now, *last_s)


def _keep_freed_memory() -> None:
    """Let the C library keep the memory of freed arrays up to 32 MB, instead of giving it back.

    Otherwise every temporary array is made of new pages, which takes longer than what is computed.
    The GNU library learns it from one array of that size that is freed, touched or not; others
    do not mind.
    """
    np.empty((1 << 25) - (1 << 16), dtype=np.uint8)


def numbered(things: Sequence[Any]) -> tuple[list[Any], Ints]:
    """Give the distinct things, and for each of `things` which of them it is."""
    distinct = {id(thing): thing for thing in things}
    number = {key: index for index, key in enumerate(distinct)}
    return list(distinct.values()), np.array([number[id(thing)] for thing in things])
