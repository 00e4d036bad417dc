"""The rows of an arm's tasks: raw numbers when a task ends, columns when there are many.

A task that ends adds the cells of its account, its number and what came out to a list of numbers,
which is packed for a few tasks at once: cheaper than one by one, and a longer list would not stay
in the cache of the processor. Everything else follows and is worked out for thousands of rows at
once: what arrived, from the blocks of the stream; what the device's version knew then, from the
order of arrivals and deployments.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import nan
from typing import Any

import numpy as np

from ecsim import compiled
from ecsim.collab.operations import ENTROPY, Account
from ecsim.core.types import ModelRef
from ecsim.kernel.ledger import (
    BYTES,
    HEAD,
    JOULES,
    MARKED,
    PROPAGATION,
    SERVICE,
    WAIT,
    WASTED_J,
    WIDTH,
)
from ecsim.records.recorder import Recorder
from ecsim.records.tables import STAGES, STATUSES
from ecsim.runtime.system import System
from ecsim.streams.blocks import TaskBlock

_CHUNK = 8_192  # rows that are worked out at once
_ID_BITS = 40  # of a task's number; above them stands a seat
_N_CELLS = ENTROPY + 1
_TASK_ID, _NOW_S, _STATUS, _SOURCE, _PREDICTED = range(_N_CELLS, _N_CELLS + 5)
_WIDTH = _N_CELLS + 5  # of a row; whole numbers are exact in it below 2 ** 53
_FEW = 16  # rows that are packed at once: their numbers still lie in the processor's cache
_FULL = _WIDTH * _FEW
_CHUNK_BYTES = 8 * _WIDTH * _CHUNK
_PACK = struct.Struct(f"{_FULL}d").pack
_CELLS = {
    "propagation_s": PROPAGATION,
    "wasted_j": WASTED_J,
    "normalized_entropy": ENTROPY,
    "up_bytes": HEAD + BYTES + WIDTH * STAGES.index("up"),
    "down_bytes": HEAD + BYTES + WIDTH * STAGES.index("down"),
} | {
    f"{stage}_{name}": HEAD + which + WIDTH * number
    for number, stage in enumerate(STAGES)
    for name, which in (("wait_s", WAIT), ("service_s", SERVICE), ("j", JOULES))
}
_ANSWERED, _LATE = STATUSES.index("answered"), STATUSES.index("late")
NOWHERE = 0
"""The source of tasks without an answer."""

Source = tuple[str, ModelRef, int]  # tier of the node, version and exit that answered


class TaskRows:
    """Takes the tasks of one arm as they end, and hands them to the recorder as columns.

    Parameters
    ----------
    label : of the strategy.
    first : the version that each device serves at the start.
    open_accounts : accounts of the tasks that have arrived and not ended, by number, in order of
        arrival; what was drawn of older tasks is forgotten.

    Attributes
    ----------
    n_arrived : tasks that have arrived so far; their numbers are below it.
    uploads, tasks : number of uploads, and of tasks, by device and phase.
    asks_edge : whether any device inferred.
    """

    def __init__(
        self,
        system: System,
        recorder: Recorder,
        label: str,
        first: Mapping[str, ModelRef],
        open_accounts: Mapping[int, Account],
    ):
        self._system = system
        self._recorder = recorder
        self._label = label
        self._open = open_accounts
        self._row_after_row: list[float] = []
        self._packed = bytearray()
        self._chunk_bytes = _CHUNK_BYTES
        self._blocks: list[TaskBlock] = []
        self._sources: list[Source | None] = [None]
        self.n_arrived = 0
        self.uploads: Counter[tuple[str, int]] = Counter()
        self.tasks: Counter[tuple[str, int]] = Counter()
        self.asks_edge = False
        labels = system.labels
        self._labels = labels
        n_classes = int(labels.max()) + 1
        n_phases = system.schedule.n_phases
        self._is_new = np.zeros((n_phases, n_classes), dtype=bool)
        for phase in range(n_phases):
            self._is_new[phase, list(system.schedule.new_in(phase))] = True
        self._n_classes = n_classes
        self._versions: dict[str, int] = {}  # by key: its row in `_knows`
        self._knows: list[Any] = []
        self._seats = {name: seat for seat, name in enumerate(system.devices)}
        # which seat served which version, from which task on
        self._served = [(seat, 0, self._version(first[name])) for name, seat in self._seats.items()]
        deadline_s = system.scenario.stream.deadline
        self._deadline_s = nan if deadline_s is None else deadline_s

    def blocks(self) -> Iterator[TaskBlock]:
        """Give the stream of tasks; what it tells of them is kept until they have ended."""
        for block in self._system.task_blocks():
            self._blocks.append(block)
            yield block

    def source(self, tier: str, model: ModelRef, exit: int) -> int:
        """Give the number of a tier, version and exit that answer."""
        self._sources.append((tier, model, exit))
        return len(self._sources) - 1

    def deployed(self, device: str, model: ModelRef) -> None:
        """Hear that a device serves another version to tasks that arrive from now on."""
        seat = self._seats.get(device)
        if seat is not None:
            self._served.append((seat, self.n_arrived, self._version(model)))

    def write(
        self, task_id: int, now_s: float, account: Account, status: int, source: int, predicted: int
    ) -> None:
        """Store a task that ends; with an answer, it turns out at the end whether it was late."""
        numbers = self._row_after_row
        numbers += account.cells
        numbers += (task_id, now_s, status, source, predicted)
        account.is_closed = True
        if len(numbers) == _FULL:
            self._packed += _PACK(*numbers)
            numbers.clear()
            if len(self._packed) >= self._chunk_bytes:
                self.flush()

    def flush(self) -> None:
        """Hand the rows to the recorder."""
        numbers = self._row_after_row
        packed = self._packed + struct.pack(f"{len(numbers)}d", *numbers)
        numbers.clear()
        self._packed.clear()
        if not packed:
            return
        cells = np.frombuffer(packed).reshape(-1, _WIDTH).T.copy()
        now_s, ids = cells[_NOW_S], cells[_TASK_ID].astype(np.int64)
        status, source = cells[_STATUS].astype(np.int32), cells[_SOURCE].astype(np.int32)
        drawn = ids - self._blocks[0].first_id

        def column(name: str) -> Any:
            return np.concatenate([getattr(block, name) for block in self._blocks])[drawn]

        seat, phase, sample = column("seat"), column("phase"), column("sample_id")
        labels = self._labels[sample]
        status[(status == _ANSWERED) & (now_s >= self._system.horizon_s)] = _LATE
        uploaded = cells[MARKED] != 0.0
        self._count(seat, phase, uploaded)
        columns: dict[str, Any] = {name: cells[which] for name, which in _CELLS.items()}
        self.asks_edge |= not bool(np.isnan(columns["normalized_entropy"]).all())
        columns |= {
            "task_id": ids,
            "device": seat,
            "phase": phase,
            "visit": column("visit"),
            "sample_id": sample,
            "status": status,
            "t_arrive_s": column("t_arrive_s"),
            "t_answer_s": now_s,
            "route": source,
            "uploaded": uploaded,
            "label": labels,
            "predicted": cells[_PREDICTED].astype(np.int32),
            "seen": np.array(self._knows)[self._serving(seat, ids), labels],
            "new_in_phase": self._is_new[phase, labels],
            "model_version": self._of_source(lambda known: known[1].version)[source],
            "model_key": source,
            "exit": self._of_source(lambda known: known[2])[source],
            "deadline_s": np.full(len(ids), self._deadline_s),
        }
        texts: dict[str, Sequence[str]] = {
            "device": self._system.devices,
            "route": ["" if known is None else known[0] for known in self._sources],
            "model_key": ["" if known is None else known[1].key for known in self._sources],
        }
        self._recorder.task_block(self._label, columns, texts)
        oldest = next(iter(self._open), self.n_arrived)
        while len(self._blocks) > 1 and self._blocks[1].first_id <= oldest:
            del self._blocks[0]

    def _of_source(self, read: Callable[[Source], int]) -> Any:
        return np.array([-1 if known is None else read(known) for known in self._sources])

    def _version(self, model: ModelRef) -> int:
        number = self._versions.get(model.key)
        if number is None:
            number = self._versions[model.key] = len(self._knows)
            knows = np.zeros(self._n_classes, dtype=bool)
            knows[[c for c in model.classes if c < self._n_classes]] = True
            self._knows.append(knows)
        return number

    def _serving(self, seat: Any, ids: Any) -> Any:
        """Give the version that the device of each task served when the task arrived."""
        seats, from_ids, versions = np.array(self._served).T
        if len(versions) == len(self._seats):  # the first ones, in order
            return versions[seat]
        keys = (seats << _ID_BITS) + from_ids
        order = np.argsort(keys, kind="stable")  # of two at one task the later one counts
        place = np.searchsorted(keys[order], (seat << _ID_BITS) + ids, side="right") - 1
        return versions[order][place]

    def _count(self, seat: Any, phase: Any, uploaded: Any) -> None:
        n_phases = self._system.schedule.n_phases
        places = seat * n_phases + phase
        tasks, uploads = np.bincount(places), np.bincount(places, uploaded)
        for place in tasks.nonzero()[0].tolist():
            number, in_phase = divmod(place, n_phases)
            key = self._system.devices[number], in_phase
            self.tasks[key] += int(tasks[place])
            self.uploads[key] += int(uploads[place])


compiled.bind(TaskRows)
