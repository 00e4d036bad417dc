"""Arrivals from a CSV file: times that were measured, or made elsewhere."""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge

from ecsim.core.errors import DataError
from ecsim.core.units import Seconds
from ecsim.scenario.files import File
from ecsim.streams.arrivals import BLOCK, Arrivals

Floats = npt.NDArray[np.float64]
_FACTOR = {
    "us": Fraction(1, 10**6), "ms": Fraction(1, 1000), "min": Fraction(60), "h": Fraction(3600),
}  # fmt: skip


class Trace:
    """Tasks at the times of a CSV file with a header line, ascending for each device."""

    @dataclass(frozen=True, kw_only=True)
    class Params:
        """Where the times stand.

        Attributes
        ----------
        path : the CSV file, relative to the scenario.
        column : name of the column with the times of arrival.
        unit : unit of that column.
        device : name of the column that says at which device a task arrives; without it every
            device follows all the times.
        offset : added to every time.
        stagger : the second device is later than the first by this, the third by twice this, ….
        """

        path: File
        column: str = "t_s"
        unit: Literal["us", "ms", "s", "min", "h"] = "s"
        device: str | None = None
        offset: Annotated[Seconds, Ge(0)] = 0.0
        stagger: Annotated[Seconds, Ge(0)] = 0.0

        def __post_init__(self) -> None:
            try:
                _of(self)
            except DataError as error:
                raise ValueError(f"path: {error}") from None

    def __init__(self, params: Params):
        self.params = params
        self._times = _of(params)

    def at(self, device: str, seat: int) -> Arrivals:
        """Give the arrivals at one device; `seat` is its number from 0.

        A device that the file does not name has none.
        """
        name = device if self.params.device is not None else None
        shift_s = self.params.offset + seat * self.params.stagger
        return _Given(self._times.get(name, np.empty(0)) + shift_s)

    def check_devices(self, devices: Sequence[str]) -> None:
        """Raise `DataError` when the file names a device that there is not."""
        unknown = [name for name in self._times if name is not None and name not in devices]
        if unknown:
            raise DataError(
                f"column {self.params.device!r} names {unknown[0]!r}, which is no device; "
                f"there are: {', '.join(devices)}"
            )

    def blocks(self, rng: np.random.Generator, horizon_s: float) -> Iterator[Floats]:
        """Give the times of the first device, or all when no column tells the device."""
        return self.at(next(iter(self._times)) or "", 0).blocks(rng, horizon_s)


class _Given:
    """Times that are known."""

    def __init__(self, times: Floats):
        self._times = times

    def blocks(self, rng: np.random.Generator, horizon_s: float) -> Iterator[Floats]:
        """Give the times before the horizon."""
        times = self._times[: int(np.searchsorted(self._times, horizon_s, side="left"))]
        for start in range(0, len(times), BLOCK):
            yield times[start : start + BLOCK]


def _of(params: Trace.Params) -> dict[str | None, Floats]:
    path = params.path.path
    return read_times(path, params.column, params.unit, params.device, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)  # checked when the scenario is read, used when it is run
def read_times(
    path: Path, column: str, unit: str, device: str | None, changed_ns: int = 0
) -> dict[str | None, Floats]:
    """Give the times in s by device; one entry None when no column tells the device.

    Raises
    ------
    DataError
        With file, line and column of a time that is no number, negative or before its
        predecessor; when a column is missing, or there is no time at all.
    """
    found: dict[str | None, list[float]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            heads = [head.strip() for head in next(rows, [])]
            for name in (column, *([] if device is None else [device])):
                if name not in heads:
                    raise DataError(
                        f"{path.name}:1: expected a column {name!r}, got {', '.join(heads)}"
                    )
            at, by = heads.index(column), None if device is None else heads.index(device)
            for row in rows:
                if not row:
                    continue
                where = f"{path.name}:{rows.line_num}:{at + 1}"
                if len(row) <= max(at, by or 0):
                    raise DataError(f"{where}: expected {len(heads)} fields, got {len(row)}")
                times = found.setdefault(None if by is None else row[by].strip(), [])
                t_s = _seconds(row[at].strip(), unit, where)
                if times and t_s < times[-1]:
                    raise DataError(
                        f"{where}: expected ascending times, got {row[at]} after {times[-1]!r} s"
                    )
                times.append(t_s)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name}: not a readable CSV file: {error}") from error
    if not found:
        raise DataError(f"{path.name}: expected at least one time, got none")
    return {name: np.array(times) for name, times in found.items()}


def _seconds(text: str, unit: str, where: str) -> float:
    try:
        t_s = float(text)
        if unit != "s" and isfinite(t_s):
            t_s = float(Fraction(text) * _FACTOR[unit])  # rounded once
    except ValueError:
        raise DataError(f"{where}: expected a number of {unit}, got {text!r}") from None
    if not 0.0 <= t_s < float("inf"):
        raise DataError(f"{where}: expected a finite time of at least 0, got {text}")
    return t_s
