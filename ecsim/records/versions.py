"""Figures of the versions that devices serve, from the probe's tables.

Of a strategy they are given for each device's first and last version, as means over devices.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ecsim.records.certainty import acci, aurc, ece, routing_gain

if TYPE_CHECKING:
    import pandas as pd

_OF_BINS = ("ece", "ece_known", "aurc", "routing_gain")
_OF_CLASSES = ("probe_cur_seen", "probe_cur_unseen")


def of_versions(
    probed: pd.DataFrame, classes: pd.DataFrame | None, bins: pd.DataFrame | None
) -> dict[str, dict[str, float | None]]:
    """Give AccI, calibration, risk and coverage, and CUR of known and unknown classes.

    Parameters
    ----------
    probed, classes, bins : rows of the tables ``probe``, ``probe_classes`` and ``probe_bins`` of
        one strategy.
    """
    figures: dict[str, dict[str, float | None]] = {}
    for table, names, of in ((classes, _OF_CLASSES, _of_classes), (bins, _OF_BINS, _of_bins)):
        by_key = {} if table is None else dict(iter(table.groupby(table["key"].astype(str))))
        for key, rows in by_key.items():
            figures.setdefault(key, {}).update(zip(names, of(rows), strict=True))
    columns: dict[str, Any] = {
        name: [_nan(figures.get(str(key), {}).get(name)) for key in probed["key"]]
        for name in (*_OF_CLASSES, *_OF_BINS)
    }
    accuracies = (probed[name] for name in ("accuracy", "system_accuracy", "cloud_accuracy"))
    columns["acci"] = [_nan(acci(*values)) for values in zip(*accuracies, strict=True)]
    frame = probed.assign(**columns)
    return {name: first_last(frame, name) for name in columns}


def first_last(probed: pd.DataFrame, column: str) -> dict[str, float | None]:
    """Give the mean over devices of a column, of each one's first and last version."""
    by_device = probed.sort_values(["version", "t_s"], kind="stable").groupby(
        "device", observed=True, sort=True
    )
    return {
        "first": _mean(by_device.nth(0)[column].to_numpy(float)),
        "last": _mean(by_device.nth(-1)[column].to_numpy(float)),
    }


def _of_classes(rows: pd.DataFrame) -> list[float | None]:
    known = rows["known"].to_numpy(bool)
    n, n_uploaded = rows["n"].to_numpy(float), rows["n_uploaded"].to_numpy(float)
    return [_ratio(n_uploaded[which].sum(), n[which].sum()) for which in (known, ~known)]


def _of_bins(rows: pd.DataFrame) -> list[float | None]:
    known = rows[rows["known"].to_numpy(bool)]
    return [ece(rows), ece(known), aurc(rows), routing_gain(rows)]


def _ratio(part: float, whole: float) -> float | None:
    return None if not whole or math.isnan(part) else float(part / whole)


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def _mean(values: Any) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
