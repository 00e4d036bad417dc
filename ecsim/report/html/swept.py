"""The cells of a sweep as figures show them: keys with values in order, and means over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ecsim.report.html.charts.axes import CHAR, shorten
from ecsim.report.keys import Key, show
from ecsim.report.quantities import Quantity
from ecsim.statistics.interval import Interval, t_interval

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Point:
    """A metric of one strategy at one setting of the keys: its mean over seeds."""

    strategy: str
    at: tuple[str, ...]
    interval: Interval
    is_stable: bool


def keys_of(cells: pd.DataFrame, names: Sequence[str]) -> list[Key]:
    """Give the keys with their values, from low to high where these are quantities."""
    return [Key.of(name, cells[name].tolist()) for name in names]


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
