"""The stream of tasks of a whole run, in the order of arrival."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ecsim.core.randomness import Streams
from ecsim.core.types import IntArray, Task
from ecsim.streams.arrivals import Arrivals
from ecsim.streams.decks import Allocation, Deck, allocate
from ecsim.streams.schedule import Schedule


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
) -> Iterator[Task]:
    """Give every task of the run by time of arrival, one after the other; the same on each call.

    Phase p holds the times in [p, p + 1) * phase_s and the run ends with the last phase. Tasks
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
    """
    world, data = Streams(world_seed), Streams(data_seed)
    hands = allocate(samples, labels, devices, allocation, data)
    at_device = [
        _device_stream(
            seat, device, arrivals, schedule, phase_s, hands[device], labels, world, data
        )
        for seat, device in enumerate(devices)
    ]
    # (time, seat, …): seats differ, so that ties never compare further
    for number, (time, seat, phase, sample, visit) in enumerate(heapq.merge(*at_device)):
        yield Task(
            id=number,
            device=devices[seat],
            sample_id=sample,
            phase=phase,
            visit=visit,
            t_arrive_s=time,
            payload_bytes=payload_bytes,
            deadline_s=deadline_s,
        )


def phase_ends(schedule: Schedule, phase_s: float) -> npt.NDArray[np.float64]:
    """Give the time at which each phase ends, in s; the last is the horizon."""
    return np.arange(1, schedule.n_phases + 1, dtype=np.float64) * phase_s


def _device_stream(
    seat: int,
    device: str,
    arrivals: Arrivals,
    schedule: Schedule,
    phase_s: float,
    hand: IntArray,
    labels: IntArray,
    world: Streams,
    data: Streams,
) -> Iterator[tuple[float, int, int, int, int]]:
    """Give (time, seat, phase, sample id, visit) of one device."""
    ends = phase_ends(schedule, phase_s)
    visits: Counter[int] = Counter()
    current, deck = -1, None
    for block in arrivals.blocks(world("arrivals", device), float(ends[-1])):
        phases = np.searchsorted(ends, block, side="right")
        for time, phase in zip(block.tolist(), phases.tolist(), strict=True):
            if deck is None or phase != current:
                shown = hand[np.isin(labels[hand], schedule.classes_in(phase))]
                current, deck = phase, Deck(shown, data("deck", device, str(phase)))
            sample = deck.draw()
            visits[sample] += 1
            yield time, seat, phase, sample, visits[sample]
