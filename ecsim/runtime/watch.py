"""What is seen of an arm while it runs: its queues always, time series where they are asked for.

All readings are closed-form and happen between two entries of the heap: where the run is cut to
take one changes no event, no draw and no bit of a result (tests/runtime/test_run_control.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ecsim.kernel import Meter, Node, World
from ecsim.kernel.channel import Channel
from ecsim.kernel.meter import DOWN, Reading, read_meters
from ecsim.kernel.queues import Queue, QueueWindow, queues_of, standing
from ecsim.records.recorder import Recorder
from ecsim.records.stability import N_SLICES, offered_load, unstable_because


class Watch:
    """Runs a world to the horizon and takes the readings on its way.

    Parameters
    ----------
    nodes, channels : whose queues are watched.
    probe_s : distance of the readings of the time series; None: there is none.
    """

    def __init__(
        self,
        world: World,
        nodes: Sequence[Node],
        channels: Sequence[Channel],
        probe_s: float | None = None,
    ):
        self._world = world
        queues = queues_of(nodes, channels)
        self._window = QueueWindow(world, queues)
        radios = [meter for node in nodes for meter in (node.transmitter, node.receiver)]
        self._series = None if probe_s is None else _Series(world, queues, radios, probe_s)

    def run(
        self,
        warmup_s: float,
        horizon_s: float,
        open_window: Callable[[], None],
        tell: Callable[[float], None],
    ) -> None:
        """Run until the horizon; `open_window` is called at the end of the warm-up.

        `tell` is told the share of the window that has passed.
        """
        self._run_until(warmup_s)
        open_window()
        self._window.open()
        edges_s = warmup_s + (horizon_s - warmup_s) * np.arange(N_SLICES + 1) / N_SLICES
        edges_s[-1] = horizon_s
        if self._window.cut_at(edges_s):
            self._run_until(horizon_s)
            tell(1.0)
        else:
            for slice_, end_s in enumerate(edges_s[1:].tolist(), start=1):
                self._run_until(end_s)
                self._window.cut()
                tell(slice_ / N_SLICES)
        self._window.close()

    def _run_until(self, t_s: float) -> None:
        series = self._series
        while series is not None and series.next_s <= t_s:
            self._world.run_until(series.next_s)
            series.read()
        self._world.run_until(t_s)

    def write(self, recorder: Recorder, label: str) -> None:
        """Hand the queues, and the series where there is one, to the recorder."""
        for row in self._window.rows():
            recorder.add(
                "queues",
                strategy=label,
                place=row.queue.place,
                component=row.queue.component,
                n_servers=row.queue.n_servers,
                n_jobs=row.n_jobs,
                offered_load=offered_load(row.joined_s, row.slice_s),
                utilisation=row.utilisation,
                mean_wait_s=row.mean_wait_s,
                max_wait_s=row.max_wait_s,
                mean_waiting=row.mean_waiting,
                backlog_s=float(row.backlog_s[-1]),
                unstable_because=unstable_because(row.joined_s, row.backlog_s, row.slice_s),
            )
        if self._series is not None:
            self._series.write(recorder, label)


@dataclass(slots=True)
class _Columns:
    t_s: list[float] = field(default_factory=list)
    place: list[str] = field(default_factory=list)
    component: list[str] = field(default_factory=list)
    n_jobs: list[int | None] = field(default_factory=list)
    utilisation: list[float] = field(default_factory=list)
    watts: list[float | None] = field(default_factory=list)

    def add(self, *values: Any) -> None:
        for name, value in zip(self.__slots__, values, strict=True):
            getattr(self, name).append(value)


class _Series:
    """Readings at t = 0, probe_s, 2 probe_s, … of queues and radios."""

    def __init__(
        self, world: World, queues: Sequence[Queue], radios: Sequence[Meter], probe_s: float
    ):
        self._world = world
        self._queues = queues
        self._radios = radios
        self._probe_s = probe_s
        self._n = 0
        self._t_s = 0.0
        self._meters: Reading = {}
        self._served_s = [0.0] * len(queues)
        self._columns = _Columns()

    @property
    def next_s(self) -> float:
        """Time of the next reading; the k-th is k x probe_s, rounded once."""
        return self._n * self._probe_s

    def read(self) -> None:
        """Take the reading that is due now; the first only starts the intervals."""
        meters, here = read_meters(self._world), standing(self._world)
        served_s = [queue.served_s(meters) for queue in self._queues]
        now = self._world.now
        if self._n:
            length_s = now - self._t_s
            for queue, before, after in zip(self._queues, self._served_s, served_s, strict=True):
                meter = getattr(queue.part, "meter", None)
                self._columns.add(
                    now,
                    queue.place,
                    queue.component,
                    queue.n_present(here),
                    max(0.0, (after - before) / (length_s * queue.n_servers)),
                    None if meter is None else self._watts(meter, meters, length_s),
                )
            for radio in self._radios:
                used_s = self._busy_s(radio, meters) / max(1, radio.n_units)
                watts = self._watts(radio, meters, length_s)
                self._columns.add(
                    now, radio.node, radio.component, None, max(0.0, used_s / length_s), watts
                )
        self._t_s, self._meters, self._served_s = now, meters, served_s
        self._n += 1

    def _busy_s(self, meter: Meter, meters: Reading) -> float:
        before = self._meters[meter][0] if meter in self._meters else [0.0] * len(meter.states)
        return sum(
            after - earlier
            for state, earlier, after in zip(meter.states, before, meters[meter][0], strict=False)
            if state != DOWN
        )

    def _watts(self, meter: Meter, meters: Reading, length_s: float) -> float:
        none = [0.0] * len(meter.states)
        before_s, before_j = self._meters.get(meter, (none, none))
        after_s, after_j = meters[meter]
        down_s = 0.0
        if DOWN in meter.states:
            state = meter.states.index(DOWN)
            down_s = (after_s[state] - before_s[state]) / max(1, meter.n_units)
        base_j = max(0.0, length_s - down_s) * meter.idle_w
        return max(0.0, (sum(after_j) - sum(before_j) + base_j) / length_s)

    def write(self, recorder: Recorder, label: str) -> None:
        """Hand all readings to the recorder."""
        columns = {name: getattr(self._columns, name) for name in _Columns.__slots__}
        columns["strategy"] = [label] * len(self._columns.t_s)
        recorder.add_columns("series", columns)
