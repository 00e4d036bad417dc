"""The recorder: task rows as blocks of columns, and the small tables, to Parquet.

A run ends millions of tasks, so a block holds raw numbers only: text as a code, and no value that
follows from others. Every 32,768 rows the derived columns are computed with numpy and one row
group is written. Small tables (updates, energy, probe, marks) are lists until `close`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from ecsim.core.types import IntArray
from ecsim.core.variants import NAMES as VARIANTS
from ecsim.records.arrow import ROW_GROUP, open_writer, schema, write_columns, write_table
from ecsim.records.tables import ANSWERED, STAGES, STATUSES, TABLES, TASKS, WATCHED

_N_ANSWERED = len(ANSWERED)  # the statuses with an answer come first, see `STATUSES`
_SMALL = {table.name: table for table in TABLES if table is not TASKS}
_NAMES = {name: frozenset(table.names) for name, table in _SMALL.items()}
_NEEDED = {
    name: frozenset(column.name for column in table.columns if not column.nullable)
    for name, table in _SMALL.items()
}
_WATCHED = {table.name: table for table in WATCHED}

_DERIVED = ("corruption", "latency_s", "correct", "deadline_met", "energy_j")
_DTYPES = {"text": "i4", "int32": "i4", "int64": "i8", "float64": "f8", "bool": "?"}
_GIVEN = {c.name: _DTYPES[c.dtype] for c in TASKS.columns if c.name not in _DERIVED}
_GIVEN["deadline_s"] = "f8"  # needed for deadline_met, not stored


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
    n_samples : rows of the data set; larger ids are of corrupted variants (`core.variants`).
    """

    def __init__(self, folder: Path, n_samples: int | None = None):
        self._n_samples = n_samples
        self._folder = Path(folder)
        self._writer = open_writer(self._folder / "tasks.parquet", TASKS)
        self._group = {name: np.empty(ROW_GROUP, dtype) for name, dtype in _GIVEN.items()}
        self._n = 0
        self._codes = _Codes()
        self._small: dict[str, dict[str, list[Any]]] = {
            name: {column: [] for column in table.names} for name, table in _SMALL.items()
        }
        self._counts: Counter[tuple[int, int]] = Counter()
        self._joules: dict[int, float] = {}
        self._watched: dict[str, Any] = {}

    def task_block(
        self,
        strategy: str,
        columns: Mapping[str, Any],
        texts: Mapping[str, Sequence[str]],
        order: IntArray | None = None,
    ) -> None:
        """Store ended tasks; once per task and strategy.

        A task without an answer has an empty `route` and `model_key`, and -1 as `predicted` and
        `model_version`; its `t_answer_s` does not matter. `normalized_entropy` is NaN when the
        edge predicted nothing.

        Parameters
        ----------
        columns : an array per column of `TASKS` that does not follow from others, and one of
            ``deadline_s`` (NaN: none); ``status`` and the columns in `texts` as indices.
        texts : what the indices of ``device``, ``route`` and ``model_key`` stand for.
        order : index of each row to be written, in the order of writing; None: all, as they are.

        Raises
        ------
        KeyError, IndexError : a column is missing, or a text that an index stands for.
        ValueError : the columns are not equally long. Nothing is stored then.
        """
        given = {name: columns[name] for name in _GIVEN if name != "strategy"}
        lengths = {len(values) for values in given.values()}
        if len(lengths) != 1:
            raise ValueError(f"columns of different lengths: {sorted(lengths)}")
        for name, those in texts.items():
            given[name] = np.array([self._codes[text] for text in those])[given[name]]
        n = lengths.pop() if order is None else len(order)
        done = 0
        while done < n:
            first = self._n
            room = min(n - done, ROW_GROUP - first)
            which = slice(done, done + room) if order is None else order[done : done + room]
            self._group["strategy"][first : first + room] = self._codes[strategy]
            for name, values in given.items():
                self._group[name][first : first + room] = values[which]
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
        self._check(table, values)
        for name, stored in self._small[table].items():
            stored.append(values.get(name))

    def add_rows(self, table: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """Store rows of a small table given by their columns, equally long and without nulls."""
        self._check(table, columns)
        lengths = {len(values) for values in columns.values()}
        if len(lengths) != 1:
            raise ValueError(f"columns of different lengths: {sorted(lengths)}")
        nothing = [None] * lengths.pop()
        for name, stored in self._small[table].items():
            stored += columns.get(name, nothing)

    def _check(self, table: str, values: Mapping[str, Any]) -> None:
        names, needed = _NAMES[table], _NEEDED[table]
        if not needed <= values.keys() <= names or None in values.values():
            unknown = sorted(values.keys() - names)
            missing = sorted(name for name in needed if values.get(name) is None)
            if unknown or missing:
                raise ValueError(
                    f"table {table}: unknown columns {unknown}, missing columns {missing}"
                )

    def add_columns(self, table: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """Write rows of a table that a run has only when asked, all columns at once."""
        if table not in self._watched:
            path = self._folder / f"{table}.parquet"
            self._watched[table] = open_writer(path, _WATCHED[table])
        write_columns(self._watched[table], _WATCHED[table], columns)

    def status_counts(self) -> dict[str, dict[str, int]]:
        """Give the number of task rows by strategy label and status, including zeros."""
        counts = self._counts + self._count_group()
        texts = list(self._codes)
        labels = {strategy: texts[strategy] for strategy, _status in counts}
        return {
            label: {status: counts[strategy, code] for code, status in enumerate(STATUSES)}
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
        self._group = {name: values[:0].copy() for name, values in self._group.items()}
        self._close_watched()
        for name, table in _SMALL.items():
            write_table(self._folder / f"{name}.parquet", table, self._small[name])

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

    def _rows(self) -> dict[str, Any]:
        """Give the columns that are stored and not yet written."""
        return {name: values[: self._n] for name, values in self._group.items()}

    def _count_group(self) -> Counter[tuple[int, int]]:
        rows = self._rows()
        counts = np.bincount(rows["strategy"] * len(STATUSES) + rows["status"])
        return Counter(
            {
                divmod(pair, len(STATUSES)): int(counts[pair])
                for pair in counts.nonzero()[0].tolist()
            }
        )

    def _sum_joules(self) -> dict[int, float]:
        """Add the energy in the rows not yet written to that of the others, by strategy."""
        rows = self._rows()
        joules = sum((rows[f"{stage}_j"] for stage in STAGES), start=rows["wasted_j"])
        found = enumerate(np.bincount(rows["strategy"], joules).tolist())
        return self._joules | {
            code: self._joules.get(code, 0.0) + more for code, more in found if more
        }

    def _flush(self) -> None:
        if not self._n:
            return
        self._counts += self._count_group()
        self._joules = self._sum_joules()
        columns = self._rows()
        _derive(columns, self._n_samples)
        texts = list(self._codes)
        arrays = []
        for column in TASKS.columns:
            values = columns[column.name]
            if column.name == "status":
                arrays.append(_dictionary(values, STATUSES))
            elif column.name == "corruption":
                arrays.append(_dictionary(values, VARIANTS))
            elif column.dtype == "text":
                arrays.append(_dictionary(values, texts))
            elif column.name == "deadline_met":
                arrays.append(pa.array(values, mask=np.isnan(columns["deadline_s"])))
            else:
                arrays.append(pa.array(values, from_pandas=column.nullable))
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=schema(TASKS)), ROW_GROUP)
        self._n = 0


def _derive(columns: dict[str, Any], n_samples: int | None) -> None:
    """Add the columns that follow from the packed ones, in place."""
    ids = columns["sample_id"]
    columns["corruption"] = np.zeros(len(ids), dtype=np.int64)
    if n_samples is not None:
        columns["corruption"], columns["sample_id"] = np.divmod(ids, n_samples)
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
    occurs = np.zeros(len(texts), dtype=np.int32)
    occurs[codes] = 1
    used = occurs.nonzero()[0].tolist()
    positions = (np.cumsum(occurs, dtype=np.int32) - 1)[codes]
    found = pa.array([texts[code] for code in used], pa.string())
    return pa.DictionaryArray.from_arrays(positions, found)
