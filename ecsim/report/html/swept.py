"""What a sweep varied: its keys, the order of their values, and means over seeds."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ecsim.core.units import Unit
from ecsim.report.html.charts.axes import CHAR, shorten
from ecsim.report.quantities import Quantity
from ecsim.statistics.interval import Interval, t_interval

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]

_DIMENSIONS = (
    "time", "rate", "bit rate", "size", "energy", "power", "throughput", "energy per bit",
)  # fmt: skip
_QUANTITY = re.compile(r"([-+]?\d[\d_]*\.?\d*(?:[eE][-+]?\d+)?)\s*([^\d\s]\S*|)")


@dataclass(frozen=True, slots=True)
class Key:
    """A swept key with its distinct values in order, and each as a number where all are numbers."""

    name: str
    values: tuple[str, ...]
    numbers: tuple[float, ...] | None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """A metric of one strategy at one setting of the keys: its mean over seeds."""

    strategy: str
    at: tuple[str, ...]
    interval: Interval
    is_stable: bool


def keys_of(cells: pd.DataFrame, names: Sequence[str]) -> list[Key]:
    """Give the keys with their values, from low to high where these are quantities."""
    return [_key(name, dict.fromkeys(map(show, cells[name].tolist()))) for name in names]


def zipped(cells: pd.DataFrame, keys: Sequence[Key]) -> dict[str, str]:
    """Give the keys that change only together with an earlier one, each with that one."""
    found: dict[str, str] = {}
    shown = {key.name: cells[key.name].map(show).tolist() for key in keys}
    for i, key in enumerate(keys):
        for other in keys[:i]:
            pairs = set(zip(shown[key.name], shown[other.name], strict=True))
            if other.name not in found and len(pairs) == len(key.values) == len(other.values):
                found.setdefault(key.name, other.name)
    return found


def points(cells: pd.DataFrame, names: Sequence[str], metric: Quantity) -> list[Point]:
    """Give the means of a metric over the cells that agree in the keys `names`."""
    if metric.path not in cells.columns:
        return []
    settings = list(
        zip(cells["strategy"].map(str), *(cells[name].map(show) for name in names), strict=True)
    )
    of, stable = cells[metric.path].to_numpy(float), is_stable(cells)
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, setting in enumerate(settings):
        if math.isfinite(of[i]):
            groups.setdefault(setting, []).append(i)
    return [
        Point(label, tuple(at), t_interval(of[rows].tolist()), bool(stable[rows].all()))
        for (label, *at), rows in groups.items()
    ]


def is_stable(cells: pd.DataFrame) -> Bools:
    """Give for each row whether all queues of its strategy kept up."""
    if "stable" not in cells.columns:
        return np.ones(len(cells), dtype=np.bool_)
    return np.asarray(cells["stable"].to_numpy(float) == 1, dtype=np.bool_)


def show(value: Any) -> str:
    """Write a value of a key as the sweep's file would have it.

    >>> show(0.1 + 0.2), show("5 Mbit/s"), show(3.0), show({"kind": "poisson"})
    ('0.3', '5 Mbit/s', '3', '{kind: poisson}')
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {show(of)}" for key, of in value.items()) + "}"
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else "-"
    return str(value)


def _key(name: str, values: dict[str, None]) -> Key:
    for dimension in ("", *_DIMENSIONS):
        try:
            read = {text: _read(text, dimension) for text in values}
        except ValueError:
            continue
        ordered = sorted(values, key=lambda text: read[text])
        unit = Unit(dimension).symbol if dimension else ""
        return Key(name, tuple(ordered), tuple(read[text] for text in ordered), unit)
    return Key(name, tuple(values), None)


def _read(text: str, dimension: str) -> float:
    of = Unit(dimension).parse(text) if dimension else float(text)
    if not math.isfinite(of):
        raise ValueError(text)
    return of


def texts(key: Key) -> tuple[str, list[str]]:
    """Give a key's name for an axis and its values, short ones; a common unit goes to the name.

    >>> texts(Key("rate", ("2.0 Mbit/s", "3.28134142 Mbit/s"), None))
    ('rate (Mbit/s)', ['2', '3.28'])
    >>> texts(Key("kind", ("fifo", "0.123456"), None))
    ('kind', ['fifo', '0.123'])
    """
    parts = [_QUANTITY.fullmatch(text) for text in key.values]
    units = {part[2] if part else None for part in parts}
    numbers = [f"{float(part[1]):.3g}" if part else "" for part in parts]
    if len(units) == 1 and (unit := units.pop()):
        return f"{key.name} ({unit})", numbers
    shown = zip(key.values, parts, numbers, strict=True)
    return key.name, [f"{n} {part[2]}".strip() if part else text for text, part, n in shown]


def fitted(name: str, width: float) -> str:
    """Leave out the first parts of a dotted name that would be wider than `width`.

    >>> fitted("strategies.ecc_snn.threshold", 150.0)
    '…ecc_snn.threshold'
    """
    parts = name.split(".")
    for i in range(len(parts)):
        shown = ("…" if i else "") + ".".join(parts[i:])
        if len(shown) * CHAR <= width:
            return shown
    return shorten(parts[-1], width)
