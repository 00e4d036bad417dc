"""The recorder: one fixed-width row per task, packed at the task's end, columns made at flush.

A run ends millions of tasks, so the hot call stores raw numbers only: text as a code, and no value
that follows from others. Every 65,536 rows the derived columns are computed with numpy and one
row group is written. Small tables (updates, energy, probe, marks) are dictionaries until `close`.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa

from ecsim.core.types import IntArray, Task
from ecsim.records.arrow import ROW_GROUP, open_writer, schema, write_columns, write_rows
from ecsim.records.tables import ANSWERED, STAGES, STATUSES, TABLES, TASKS, WATCHED

_UP, _DOWN = STAGES.index("up"), STAGES.index("down")
_STATUS_CODE = {status: code for code, status in enumerate(STATUSES)}
_N_ANSWERED = len(ANSWERED)  # the statuses with an answer come first, see `STATUSES`
_SMALL = {table.name: table for table in TABLES if table is not TASKS}
_WATCHED = {table.name: table for table in WATCHED}

_DERIVED = ("latency_s", "correct", "deadline_met", "energy_j")
_FORMAT = {"text": "i", "int32": "i", "int64": "q", "float64": "d", "bool": "?"}
_PACKED = [(c.name, _FORMAT[c.dtype]) for c in TASKS.columns if c.name not in _DERIVED]
_PACKED.append(("deadline_s", "d"))  # needed for deadline_met, not stored
# aligned as C would: packing a double that stands anywhere takes a fifth longer
_ROW = struct.Struct("@" + "".join(code for _name, code in _PACKED) + "0q")
_DTYPE = np.dtype(_PACKED, align=True)


class Ledger(Protocol):
    """What the recorder reads of a task's account; the lists have one value per stage."""

    @property
    def wait_s(self) -> Sequence[float]: ...  # noqa: D102
    @property
    def service_s(self) -> Sequence[float]: ...  # noqa: D102
    @property
    def joules(self) -> Sequence[float]: ...  # noqa: D102
    @property
    def bytes(self) -> Sequence[float]: ...  # noqa: D102
    @property
    def propagation_s(self) -> float: ...  # noqa: D102
    @property
    def wasted_j(self) -> float: ...  # noqa: D102


class _Codes(dict[str, int]):
    """Text -> small number, given at first sight."""

    def __missing__(self, text: str) -> int:
        code = self[text] = len(self)
        return code


class Recorder:
    """Writes the tables of one run into a folder; a context manager that closes itself.

    Parameters
    ----------
    folder : where ``tasks.parquet``, ``updates.parquet``, … are written; it must exist.
    """

    def __init__(self, folder: Path):
        self._folder = Path(folder)
        self._writer = open_writer(self._folder / "tasks.parquet", TASKS)
        self._buffer = bytearray(_ROW.size * ROW_GROUP)
        self._n = 0
        self._codes = _Codes()
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for name in _SMALL}
        self._counts: Counter[tuple[int, int]] = Counter()
        self._joules: dict[int, float] = {}
        self._watched: dict[str, Any] = {}

    def task_row(
        self,
        strategy: str,
        task: Task,
        status: str,
        t_answer_s: float,
        ledger: Ledger,
        route: str,
        uploaded: bool,
        label: int,
        predicted: int,
        seen: bool,
        new_in_phase: bool,
        normalized_entropy: float,
        model_version: int,
        model_key: str,
    ) -> None:
        """Store one ended task. Call it once per task and strategy, with positional arguments.

        A task without an answer has `t_answer_s` NaN, `route` and `model_key` empty, `predicted`
        and `model_version` -1; `normalized_entropy` is NaN when the edge predicted nothing.

        Raises
        ------
        KeyError : `status` is none of `STATUSES`.
        struct.error : a value does not fit its column, or a ledger has not one value per stage.
        """
        codes = self._codes
        moved = ledger.bytes
        deadline_s = task.deadline_s
        _ROW.pack_into(
            self._buffer,
            self._n * _ROW.size,
            codes[strategy],
            task.id,
            codes[task.device],
            task.phase,
            task.visit,
            task.sample_id,
            _STATUS_CODE[status],
            task.t_arrive_s,
            t_answer_s,
            *ledger.wait_s,
            *ledger.service_s,
            ledger.propagation_s,
            codes[route],
            uploaded,
            label,
            predicted,
            seen,
            new_in_phase,
            normalized_entropy,
            model_version,
            codes[model_key],
            *ledger.joules,
            ledger.wasted_j,
            moved[_UP],
            moved[_DOWN],
            math.nan if deadline_s is None else deadline_s,
        )
        self._n += 1
        if self._n == ROW_GROUP:
            self._flush()

    def task_block(
        self,
        strategy: str,
        columns: Mapping[str, Any],
        texts: Mapping[str, Sequence[str]],
        order: IntArray,
    ) -> None:
        """Store many ended tasks at once, as `task_row` would one after the other.

        Parameters
        ----------
        columns : an array per column of `TASKS` that does not follow from others, and one of
            ``deadline_s`` (NaN: none); ``status`` and the columns in `texts` as indices.
        texts : what the indices of ``device``, ``route`` and ``model_key`` stand for.
        order : index of each row to be written, in the order of writing.
        """
        codes = {
            name: np.array([self._codes[text] for text in those]) for name, those in texts.items()
        }
        done = 0
        while done < len(order):
            room = min(len(order) - done, ROW_GROUP - self._n)
            which = order[done : done + room]
            rows = np.frombuffer(self._buffer, _DTYPE)[self._n : self._n + room]
            rows["strategy"] = self._codes[strategy]
            for name, _code in _PACKED[1:]:
                part = columns[name][which]
                rows[name] = codes[name][part] if name in codes else part
            self._n += room
            done += room
            if self._n == ROW_GROUP:
                self._flush()

    def add(self, table: str, /, **values: Any) -> None:
        """Store one row of a small table; nullable columns may be left out.

        Raises
        ------
        ValueError : a column is unknown or missing.
        """
        declared = _SMALL[table]
        unknown = sorted(set(values) - set(declared.names))
        missing = [
            c.name for c in declared.columns if not c.nullable and values.get(c.name) is None
        ]
        if unknown or missing:
            raise ValueError(f"table {table}: unknown columns {unknown}, missing columns {missing}")
        self._rows[table].append(values)

    def add_columns(self, table: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """Write rows of a table that a run has only when asked, all columns at once."""
        if table not in self._watched:
            path = self._folder / f"{table}.parquet"
            self._watched[table] = open_writer(path, _WATCHED[table])
        write_columns(self._watched[table], _WATCHED[table], columns)

    def status_counts(self) -> dict[str, dict[str, int]]:
        """Give the number of task rows by strategy label and status, including zeros."""
        counts = self._counts + self._count_buffer()
        texts = list(self._codes)
        labels = {strategy: texts[strategy] for strategy, _status in counts}
        return {
            label: {status: counts[strategy, code] for status, code in _STATUS_CODE.items()}
            for strategy, label in sorted(labels.items())
        }

    def charged_j(self, strategy: str) -> float:
        """Give the energy in all task rows of a strategy so far, wasted included, in J."""
        return self._sum_joules().get(self._codes[strategy], 0.0)

    def close(self) -> None:
        """Write what is left; calling it again does nothing."""
        if self._writer is None:
            return
        self._flush()
        self._writer.close()
        self._writer = None
        self._close_watched()
        for name, table in _SMALL.items():
            write_rows(self._folder / f"{name}.parquet", table, self._rows[name])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        elif self._writer is not None:  # only free the file: its folder will be discarded
            self._writer.close()
            self._writer = None
            self._close_watched()

    def _close_watched(self) -> None:
        for writer in self._watched.values():
            writer.close()

    def _count_buffer(self) -> Counter[tuple[int, int]]:
        rows = np.frombuffer(self._buffer, _DTYPE, self._n)
        pairs = rows["strategy"].astype(np.int64) * len(STATUSES) + rows["status"]
        values, counts = np.unique(pairs, return_counts=True)
        return Counter(
            {
                divmod(pair, len(STATUSES)): n
                for pair, n in zip(values.tolist(), counts.tolist(), strict=True)
            }
        )

    def _sum_joules(self) -> dict[int, float]:
        """Add the energy in the buffer to that of the rows written, by strategy."""
        rows = np.frombuffer(self._buffer, _DTYPE, self._n)
        joules = sum((rows[f"{stage}_j"] for stage in STAGES), start=rows["wasted_j"])
        found = enumerate(np.bincount(rows["strategy"], joules).tolist())
        return self._joules | {
            code: self._joules.get(code, 0.0) + more for code, more in found if more
        }

    def _flush(self) -> None:
        if not self._n:
            return
        self._counts += self._count_buffer()
        self._joules = self._sum_joules()
        rows = np.frombuffer(self._buffer, _DTYPE, self._n)
        columns = {name: rows[name].copy() for name, _code in _PACKED}
        _derive(columns)
        texts = list(self._codes)
        arrays = []
        for column in TASKS.columns:
            values = columns[column.name]
            if column.name == "status":
                arrays.append(_dictionary(values, STATUSES))
            elif column.dtype == "text":
                arrays.append(_dictionary(values, texts))
            elif column.name == "deadline_met":
                arrays.append(pa.array(values, mask=np.isnan(columns["deadline_s"])))
            else:
                arrays.append(pa.array(values, from_pandas=column.nullable))
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=schema(TASKS)), ROW_GROUP)
        self._n = 0


def _derive(columns: dict[str, Any]) -> None:
    """Add the columns that follow from the packed ones, in place."""
    t_answer_s = columns["t_answer_s"]
    is_answered = columns["status"] < _N_ANSWERED
    t_answer_s[~is_answered] = math.nan
    columns["latency_s"] = t_answer_s - columns["t_arrive_s"]
    columns["correct"] = is_answered & (columns["predicted"] == columns["label"])
    # NaN compares false: a task without an answer never meets its deadline
    columns["deadline_met"] = columns["latency_s"] <= columns["deadline_s"]
    energy_j = columns[f"{STAGES[0]}_j"].copy()
    for stage in STAGES[1:]:
        energy_j += columns[f"{stage}_j"]
    columns["energy_j"] = energy_j + columns["wasted_j"]


def _dictionary(codes: Any, texts: Sequence[str]) -> Any:
    """Encode a chunk with only the texts that occur in it."""
    used, positions = np.unique(codes, return_inverse=True)
    found = pa.array([texts[code] for code in used.tolist()], pa.string())
    return pa.DictionaryArray.from_arrays(positions.astype(np.int32), found)
