"""The stream of tasks of a whole run, in the order of arrival."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, count, islice, repeat
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from ecsim.core.randomness import Streams
from ecsim.core.types import IntArray, Task
from ecsim.streams.arrivals import Arrivals, PerDevice
from ecsim.streams.blocks import DeviceColumns, TaskBlock, merge
from ecsim.streams.decks import Allocation, Deck, allocate
from ecsim.streams.schedule import Schedule

_FEW = 256  # tasks whose numbers are made at once: they shall stay in the processor's cache


def task_stream(
    devices: Sequence[str],
    *,
    arrivals: Arrivals,
    schedule: Schedule,
    phase_s: float,
    samples: IntArray,
    labels: IntArray,
    payload_bytes: float,
    world_seed: int,
    data_seed: int,
    allocation: Allocation = "shared",
    deadline_s: float | None = None,
    horizon_s: float | None = None,
) -> Iterator[Task]:
    """Give every task of the run by time of arrival, one after the other; the same on each call.

    Phase p holds the times in [p, p + 1) * phase_s, the last phase all that are later. Tasks
    at the same instant come in the order of `devices`; ids count from 0.

    Parameters
    ----------
    devices : names of the devices at which tasks arrive; each has its own arrivals and decks,
        found by its name, so that another device changes nothing for it (when samples are shared).
    phase_s : length of a phase in seconds.
    samples : ids of the stream pool.
    labels : class id of every sample of the data set, indexed by sample id.
    payload_bytes : size of a sample on a link.
    world_seed, data_seed : the `world` seed decides the arrivals, the `data` seed the samples.
    deadline_s : time from arrival within which an answer counts as in time, for every task.
    horizon_s : tasks arrive before it; by default until the last phase has its length. May be
        infinite.
    """
    columns = device_columns(
        devices,
        arrivals=arrivals,
        schedule=schedule,
        phase_s=phase_s,
        samples=samples,
        labels=labels,
        world_seed=world_seed,
        data_seed=data_seed,
        allocation=allocation,
        horizon_s=horizon_s,
    )
    return chain.from_iterable(
        tasks_of(block, devices, payload_bytes, deadline_s) for block in merge(columns)
    )


def tasks_of(
    block: TaskBlock, devices: Sequence[str], payload_bytes: float, deadline_s: float | None
) -> Iterator[Task]:
    """Give the tasks of a block, one after the other."""
    return map(itemgetter(1), timed_tasks_of(block, devices, payload_bytes, deadline_s))


def timed_tasks_of(
    block: TaskBlock, devices: Sequence[str], payload_bytes: float, deadline_s: float | None
) -> Iterator[tuple[float, Task]]:
    """Give the tasks of a block with their times of arrival, one after the other."""
    return chain.from_iterable(
        _few_tasks(block, slice(first, first + _FEW), devices, payload_bytes, deadline_s)
        for first in range(0, len(block), _FEW)
    )


def _few_tasks(
    block: TaskBlock,
    which: slice,
    devices: Sequence[str],
    payload_bytes: float,
    deadline_s: float | None,
) -> Iterator[tuple[float, Task]]:
    times = block.t_arrive_s[which].tolist()
    rows = zip(
        count(block.first_id + which.start),
        map(devices.__getitem__, block.seat[which].tolist()),
        block.sample_id[which].tolist(),
        block.phase[which].tolist(),
        block.visit[which].tolist(),
        times,
        repeat(payload_bytes),
        repeat(deadline_s),
        strict=False,  # some of them are endless
    )
    return zip(times, map(_new_task, rows), strict=True)


# `Task._make`, but in C all the way: 0.15 us instead of 0.34
_new_task = partial(tuple.__new__, Task)


def device_columns(
    devices: Sequence[str],
    *,
    arrivals: Arrivals,
    schedule: Schedule,
    phase_s: float,
    samples: IntArray,
    labels: IntArray,
    world_seed: int,
    data_seed: int,
    allocation: Allocation = "shared",
    horizon_s: float | None = None,
) -> list[Iterator[DeviceColumns]]:
    """Give the tasks of each device as blocks of columns, for `blocks.merge` or `blocks.whole`."""
    horizon_s = schedule.n_phases * phase_s if horizon_s is None else horizon_s
    world, data = Streams(world_seed), Streams(data_seed)
    hands = allocate(samples, labels, devices, allocation, data)
    position = np.zeros(int(np.max(samples)) + 1, dtype=np.int64)  # of a sample in its hand
    for hand in {id(hand): hand for hand in hands.values()}.values():
        position[hand] = np.arange(len(hand))
    n_classes = int(np.max(labels)) + 1
    known: dict[tuple[int, int], IntArray] = {}

    def shown(device: str, phase: int) -> IntArray:
        """Give what of its hand a device may see in a phase; many devices have one hand."""
        hand = hands[device]
        found = known.get((id(hand), phase))
        if found is None:
            is_shown = np.bincount(schedule.classes_in(phase), minlength=n_classes) > 0
            found = known[id(hand), phase] = hand[is_shown[labels[hand]]]
        return found

    return [
        _device_blocks(
            device, _blocks(seat, device, arrivals, world, horizon_s), schedule, phase_s,
            len(hands[device]), shown, position, data,
        )
        for seat, device in enumerate(devices)
    ]  # fmt: skip


def phase_ends(schedule: Schedule, phase_s: float) -> npt.NDArray[np.float64]:
    """Give the time at which each phase ends, in s."""
    return np.arange(1, schedule.n_phases + 1, dtype=np.float64) * phase_s


def _device_blocks(
    device: str,
    blocks: Iterator[npt.NDArray[np.float64]],
    schedule: Schedule,
    phase_s: float,
    n_hand: int,
    shown: Callable[[str, int], IntArray],
    position: npt.NDArray[np.int64],
    data: Streams,
) -> Iterator[DeviceColumns]:
    """Give (times, phases, sample ids, visits) of one device, block by block."""
    ends = phase_ends(schedule, phase_s)[:-1]  # of all phases but the last
    visits = np.zeros(n_hand, dtype=np.int64)
    current, deck = -1, None
    for times in blocks:
        phases = np.searchsorted(ends, times, side="right")
        drawn, seen = [], []
        # times ascend, so that each phase is one stretch of the block
        counts = np.bincount(phases)
        for phase in np.flatnonzero(counts).tolist():
            if deck is None or phase != current:
                deck = Deck(shown(device, phase), data("deck", device, str(phase)))
                current = phase
            for piece in deck.deal(int(counts[phase])):
                where = position[piece]
                visits[where] += 1  # a piece has no sample twice
                drawn.append(piece)
                seen.append(visits[where])
        yield times, phases, np.concatenate(drawn), np.concatenate(seen)


def _blocks(
    seat: int, device: str, arrivals: Arrivals, world: Streams, horizon_s: float
) -> Iterator[npt.NDArray[np.float64]]:
    """Give the times of one device, block by block."""
    if isinstance(arrivals, PerDevice):
        arrivals = arrivals.at(device, seat)
    return arrivals.blocks(world("arrivals", device), horizon_s)


def time_of_task(
    number: int, devices: Sequence[str], arrivals: Arrivals, world_seed: int
) -> float | None:
    """Give when the task with this number (from 1) arrives in s; None when fewer ever do."""
    world = Streams(world_seed)
    at_device = (
        (time for block in _blocks(seat, device, arrivals, world, math.inf) for time in block)
        for seat, device in enumerate(devices)
    )
    found = next(islice(heapq.merge(*at_device), number - 1, None), None)
    return None if found is None else float(found)
