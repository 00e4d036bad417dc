"""Between the declared tables and Parquet: schemas, writing rows, reading frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ecsim.records.columns import StoredColumns
from ecsim.records.tables import (
    ENERGY,
    MARKS,
    PROBE,
    PROBE_BINS,
    PROBE_CLASSES,
    QUEUES,
    UPDATES,
    Column,
    Table,
)

if TYPE_CHECKING:
    import pandas as pd

ROW_GROUP = 32_768
_TYPES = {
    "text": pa.dictionary(pa.int32(), pa.string()),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
}


@cache
def schema(table: Table) -> Any:
    """Give the Arrow schema; each field carries its unit and meaning as metadata."""
    return pa.schema([_field(column) for column in table.columns])


def _field(column: Column) -> Any:
    about = {"unit": column.unit, "meaning": column.meaning}
    return pa.field(column.name, _TYPES[column.dtype], nullable=column.nullable, metadata=about)


def open_writer(sink: Any, table: Table) -> Any:
    """Open a Parquet writer on a path or stream.

    It compresses with zstd, and has dictionaries for text only and no statistics of floats.
    """
    text = [column.name for column in table.columns if column.dtype == "text"]
    numbers = [column.name for column in table.columns if column.dtype in ("int32", "int64")]
    return pq.ParquetWriter(
        sink,
        schema(table),
        compression="zstd",
        compression_level=1,
        use_dictionary=text,
        write_statistics=numbers,
    )


def write_table(path: Path, table: Table, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write a small table from its columns; None stands where a row has no value."""
    if not any(columns.values()):  # as most are: their bytes are always the same
        path.write_bytes(_empty(table))
        return
    _write_table(path, table, columns)


@cache
def _empty(table: Table) -> bytes:
    sink = pa.BufferOutputStream()
    _write_table(sink, table, {name: [] for name in table.names})
    return bytes(sink.getvalue())


def _write_table(sink: Any, table: Table, columns: Mapping[str, Sequence[Any]]) -> None:
    arrays = [
        pa.array(columns[column.name], _TYPES[column.dtype], from_pandas=True)
        for column in table.columns
    ]
    with open_writer(sink, table) as writer:
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema(table)), ROW_GROUP)


def write_columns(writer: Any, table: Table, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write one row group of equally long columns."""
    arrays = [
        pa.array(columns[column.name], _TYPES[column.dtype], from_pandas=column.nullable)
        for column in table.columns
    ]
    writer.write_table(pa.Table.from_arrays(arrays, schema=schema(table)), ROW_GROUP)


def read_frame(
    path: Path,
    table: Table,
    names: Sequence[str] = (),
    equal: Mapping[str, object] = MappingProxyType({}),
) -> pd.DataFrame:
    """Read a stored table: text as categories, nullable bool as pandas' `boolean`.

    Parameters
    ----------
    names : the columns; default: all.
    equal : values that columns must have in the rows read.
    """
    names = names or table.names
    filters = [(name, "==", value) for name, value in equal.items()] or None
    stored = pq.read_table(path, columns=list(names), filters=filters, use_threads=False)
    frame: pd.DataFrame = stored.to_pandas(use_threads=False)
    nullable = [name for name in names if table[name].dtype == "bool" and table[name].nullable]
    return frame.astype(dict.fromkeys(nullable, "boolean"))


def read_tables(folder: Path) -> dict[str, Any]:
    """Read the tables that metrics are made of: ``summarise(**read_tables(writer.path))``.

    Of tasks, columns are read when they are asked for.
    """
    small = {
        table.name: read_frame(folder / f"{table.name}.parquet", table)
        for table in (UPDATES, ENERGY, PROBE, PROBE_CLASSES, PROBE_BINS, QUEUES, MARKS)
    }
    return {"tasks": StoredColumns(folder / "tasks.parquet"), **small}
