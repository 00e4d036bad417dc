"""The table of tasks, one column of one strategy at a time: it never lies in memory whole.

A column of a million tasks takes 8 MB at most; the whole table, as a frame, about 600.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ecsim.core.types import IntArray
from ecsim.records.tables import TASKS

if TYPE_CHECKING:
    import pandas as pd

Rows = IntArray | slice
_DTYPES = {"int32": np.int32, "int64": np.int64, "float64": np.float64, "bool": np.bool_}


class TaskColumns(Protocol):
    """Columns of `TASKS`, each made when it is asked for; nobody keeps them."""

    @property
    def labels(self) -> list[str]:
        """The strategies that have rows, in the order of their first ones."""

    def of(self, label: str) -> TaskColumns:
        """Give the columns of the rows of a strategy, in the order in which they were written."""

    def __len__(self) -> int:
        """Give the number of rows."""

    def __getitem__(self, name: str) -> Any:
        """Give a column of numbers or truths, shape (n,); in those that have nulls, they are NaN.

        Truths that may be null are float16.
        """

    def coded(self, name: str) -> tuple[IntArray, Sequence[str]]:
        """Give a column of texts: the place of each row's in the list of all, and that list."""


class StoredColumns:
    """The columns of a file that a `Recorder` has written.

    Parameters
    ----------
    rows : which rows of each row group; None: all of all.
    """

    def __init__(self, path: Path, rows: Mapping[int, Rows] | None = None):
        self._path = path
        self._chosen = rows

    @property
    def labels(self) -> list[str]:
        """The strategies that have rows."""
        return list(self._rows_by_label)

    def of(self, label: str) -> StoredColumns:
        """Give those of a strategy."""
        return StoredColumns(self._path, self._rows_by_label.get(label, {}))

    def __len__(self) -> int:
        return sum(_length(rows) for rows in self._rows.values())

    def __getitem__(self, name: str) -> Any:
        column = TASKS[name]
        is_maybe = column.dtype == "bool" and column.nullable
        values: Any = np.empty(len(self), np.float16 if is_maybe else _DTYPES[column.dtype])
        end = 0
        for chunk, rows in self._chunks(name):
            part = (chunk.cast("int8") if is_maybe else chunk).to_numpy(zero_copy_only=False)[rows]
            values[end : end + len(part)] = part
            end += len(part)
        return values

    def coded(self, name: str) -> tuple[IntArray, Sequence[str]]:
        """Give a column of texts, listed in the order in which the file names them."""
        codes, end = np.empty(len(self), np.int32), 0
        texts: dict[str, int] = {}
        for chunk, rows in self._chunks(name):
            those = [texts.setdefault(text, len(texts)) for text in chunk.dictionary.to_pylist()]
            part = np.array(those, np.int32)[chunk.indices.to_numpy()[rows]]
            codes[end : end + len(part)] = part
            end += len(part)
        return codes, list(texts)

    @cached_property
    def _rows(self) -> Mapping[int, Rows]:
        if self._chosen is not None:
            return self._chosen
        meta = self._metadata
        return {i: slice(0, meta.row_group(i).num_rows) for i in range(meta.num_row_groups)}

    @cached_property
    def _rows_by_label(self) -> dict[str, dict[int, Rows]]:
        found: dict[str, dict[int, Rows]] = {}
        for group, (chunk, rows) in zip(self._rows, self._chunks("strategy"), strict=True):
            codes = chunk.indices.to_numpy()[rows]
            for code, label in enumerate(chunk.dictionary.to_pylist()):
                found.setdefault(label, {})[group] = as_slice(np.flatnonzero(codes == code))
        return found

    @cached_property
    def _metadata(self) -> Any:
        import pyarrow.parquet as pq

        return pq.read_metadata(self._path)

    def _chunks(self, name: str) -> Iterator[tuple[Any, Rows]]:
        """Give each row group's part of a column, and which rows of it are meant."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        with pq.ParquetFile(self._path, metadata=self._metadata) as file:
            for group, rows in self._rows.items():
                stored = file.read_row_group(group, [name], use_threads=False)
                yield stored[name].combine_chunks(), rows
                del stored
        pa.default_memory_pool().release_unused()


class FrameColumns:
    """The columns of a frame, as `Run.tasks` gives it or as one chose from it."""

    def __init__(self, frame: pd.DataFrame):
        self._frame = frame

    @property
    def labels(self) -> list[str]:
        """The strategies that have rows."""
        return list(dict.fromkeys(self._frame["strategy"]))

    def of(self, label: str) -> FrameColumns:
        """Give those of a strategy."""
        return FrameColumns(self._frame[(self._frame["strategy"] == label).to_numpy()])

    def __len__(self) -> int:
        return len(self._frame)

    def __getitem__(self, name: str) -> Any:
        column = self._frame[name]
        if TASKS[name].dtype != "bool":
            return column.to_numpy()
        if TASKS[name].nullable:
            return column.astype("boolean").to_numpy(np.float16, na_value=np.nan)
        return column.to_numpy(bool)

    def coded(self, name: str) -> tuple[IntArray, Sequence[str]]:
        """Give a column of texts, in the order of its categories."""
        column = self._frame[name].astype("category")
        return column.cat.codes.to_numpy(), [str(text) for text in column.cat.categories]


def as_slice(rows: IntArray) -> Rows:
    """Give rows that follow each other as a slice, so that choosing them copies nothing.

    >>> as_slice(np.array([3, 4, 5])), as_slice(np.array([3, 5]))
    (slice(3, 6, None), array([3, 5], dtype=int32))
    """
    if len(rows) and int(rows[-1]) - int(rows[0]) + 1 == len(rows):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows.astype(np.int32)


def _length(rows: Rows) -> int:
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)
