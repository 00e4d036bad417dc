"""The stream of tasks of a whole run, in the order of arrival."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, count, islice, repeat
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from ecsim.core.randomness import Streams
from ecsim.core.types import IntArray, Task
from ecsim.streams.arrivals import Arrivals, PerDevice
from ecsim.streams.blocks import DeviceColumns, TaskBlock, merge
from ecsim.streams.corruptions import Corruptions
from ecsim.streams.dealing import Dealer, Local
from ecsim.streams.decks import Allocation, allocate
from ecsim.streams.schedule import Schedule
from ecsim.streams.skew import Skew, skewed

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
    deadline_s: float | None = None,
    horizon_s: float | None = None,
    **supply: Any,
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
    supply : what else `dealers` takes: allocation, skew, groups, local.
    """
    dealt = dealers(
        devices, schedule=schedule, samples=samples, labels=labels, data_seed=data_seed, **supply
    )
    columns = device_columns(
        dealt,
        arrivals=arrivals,
        schedule=schedule,
        phase_s=phase_s,
        world_seed=world_seed,
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


def dealers(
    devices: Sequence[str],
    *,
    schedule: Schedule,
    samples: IntArray,
    labels: IntArray,
    data_seed: int,
    allocation: Allocation = "shared",
    skew: Skew | None = None,
    groups: IntArray | None = None,
    local: Local | None = None,
) -> dict[str, Dealer]:
    """Give who deals samples to each device, by its name; they begin anew with each call.

    Parameters
    ----------
    skew : how devices differ in what they have; without it they are alike.
    groups : group of every sample of the data set, for a skew that asks for it.
    local : the part of it that a device has at a time; without it all.

    Raises
    ------
    UserError : there are too few samples, classes or groups for what is asked.
    """
    data = Streams(data_seed)
    if skew is None:
        hands = allocate(samples, labels, devices, allocation, data)
    else:
        base = schedule.groups[0]
        hands = skewed(samples, labels, groups, devices, allocation, skew, base, data)
    position = None
    if skew is None or allocation == "disjoint":  # a sample has one place, whoever has it
        position = np.zeros(int(np.max(samples)) + 1, dtype=np.int64)
        for hand in {id(hand): hand for hand in hands.values()}.values():
            position[hand] = np.arange(len(hand))
    n_classes = sum(map(len, schedule.groups))
    n_of_class = np.bincount(labels[samples], minlength=max(n_classes, int(np.max(labels)) + 1))
    known: dict[tuple[int, int], IntArray] = {}
    return {
        device: Dealer(device, hand, labels, n_of_class, schedule, data, local, position, known)
        for device, hand in hands.items()
    }


def device_columns(
    dealt: Mapping[str, Dealer],
    *,
    arrivals: Arrivals,
    schedule: Schedule,
    phase_s: float,
    world_seed: int,
    horizon_s: float | None = None,
    corruptions: Corruptions | None = None,
    delays_s: Mapping[str, float] | None = None,
) -> list[Iterator[DeviceColumns]]:
    """Give the tasks of each device as blocks of columns, for `blocks.merge` or `blocks.whole`.

    Parameters
    ----------
    dealt : who deals to each device, in the order of devices.
    corruptions : which variant of a sample a device sees when; its id is given instead.
    delays_s : by how much each device's phases begin later, see `streams.synchrony`.
    """
    horizon_s = schedule.n_phases * phase_s if horizon_s is None else horizon_s
    world = Streams(world_seed)
    found = []
    for seat, (device, dealer) in enumerate(dealt.items()):
        times = _blocks(seat, device, arrivals, world, horizon_s)
        delay_s = delays_s[device] if delays_s else 0.0
        columns = _device_blocks(dealer, times, schedule, phase_s, delay_s)
        if corruptions is not None:
            columns = _corrupted(device, columns, corruptions)
        found.append(columns)
    return found


def phase_ends(schedule: Schedule, phase_s: float, delay_s: float = 0.0) -> npt.NDArray[np.float64]:
    """Give the time at which each phase ends, in s."""
    return np.arange(1, schedule.n_phases + 1, dtype=np.float64) * phase_s + delay_s


def _device_blocks(
    dealer: Dealer,
    blocks: Iterator[npt.NDArray[np.float64]],
    schedule: Schedule,
    phase_s: float,
    delay_s: float,
) -> Iterator[DeviceColumns]:
    """Give (times, phases, sample ids, visits) of one device, block by block."""
    ends = phase_ends(schedule, phase_s, delay_s)[:-1]  # of all phases but the last
    for times in blocks:
        phases = np.searchsorted(ends, times, side="right")
        # times ascend, so that each phase is one stretch of the block
        borders = np.flatnonzero(np.diff(phases)) + 1
        drawn, seen = [], []
        for stretch in np.split(times, borders):
            phase = int(np.searchsorted(ends, stretch[0], side="right"))
            share = np.clip((stretch - delay_s) / phase_s - phase, 0, 1)
            samples, visits = dealer.deal(phase, share)
            drawn.append(samples)
            seen.append(visits)
        yield times, phases, np.concatenate(drawn), np.concatenate(seen)


def _corrupted(
    device: str, blocks: Iterator[DeviceColumns], corruptions: Corruptions
) -> Iterator[DeviceColumns]:
    """Give the same with the ids of the variants that are seen at these times."""
    for times, phases, samples, visits in blocks:
        yield times, phases, corruptions.seen(device, times, samples), visits


def _blocks(
    seat: int, device: str, arrivals: Arrivals, world: Streams, horizon_s: float
) -> Iterator[npt.NDArray[np.float64]]:
    """Give the times of one device, block by block."""
    # asked for by name: `isinstance` with a protocol takes 20 us, once per device
    at: Callable[[str, int], Arrivals] | None = getattr(arrivals, PerDevice.at.__name__, None)
    if at is not None:
        arrivals = at(device, seat)
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
