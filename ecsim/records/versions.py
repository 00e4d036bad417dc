"""Figures of the versions that devices serve, from the probe's tables.

Of a strategy they are given for each device's first and last version, as means over devices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ecsim.records.certainty import acci, aurc, ece, routing_gain, selective_error

if TYPE_CHECKING:
    import pandas as pd

_OF_BINS = ("ece", "ece_known", "aurc", "routing_gain", "selective_error", "selective_error_seen")
_OF_CLASSES = (
    "probe_system_accuracy_known", "probe_cur_seen", "probe_cur_unseen",
    "probe_cur_unseen_worst", "auroc", "auroc_worst",
)  # fmt: skip
_OF_PROBE = {
    "probe_cur": "cur",
    "probe_system_accuracy": "system_accuracy",
    "probe_cloud_accuracy": "cloud_accuracy",
}
FIGURES = (*_OF_PROBE, *_OF_CLASSES, *_OF_BINS, "acci")
"""What is known of each version, besides its accuracies."""


def with_figures(
    probed: pd.DataFrame, classes: pd.DataFrame | None, bins: pd.DataFrame | None
) -> pd.DataFrame:
    """Give `probed` with a column for each of `FIGURES`; NaN where one does not exist.

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
    columns |= {name: probed[column] for name, column in _OF_PROBE.items()}
    accuracies = (probed[name] for name in ("accuracy", "system_accuracy", "cloud_accuracy"))
    columns["acci"] = [_nan(acci(*values)) for values in zip(*accuracies, strict=True)]
    return probed.assign(**columns)


def of_versions(
    figures: pd.DataFrame, columns: Mapping[str, str] | None = None
) -> dict[str, dict[str, float | None]]:
    """Give the means over devices of columns, of each one's first and last version.

    Parameters
    ----------
    figures : from `with_figures`.
    columns : by the name that each is given; by default `FIGURES`.
    """
    by_device = figures.sort_values(["version", "t_s"], kind="stable").groupby(
        "device", observed=True, sort=True
    )
    ends = {"first": by_device.nth(0), "last": by_device.nth(-1)}
    return {
        name: {which: _mean(rows[column].to_numpy(float)) for which, rows in ends.items()}
        for name, column in (columns or {name: name for name in FIGURES}).items()
    }


def _of_classes(rows: pd.DataFrame) -> list[float | None]:
    known = rows["known"].to_numpy(bool)
    n, n_uploaded = rows["n"].to_numpy(float), rows["n_uploaded"].to_numpy(float)
    auroc = rows["auroc"].to_numpy(float)[~known]
    right = rows["n_system_right"].to_numpy(float)
    return [
        _ratio(right[known].sum(), n[known].sum()),
        *(_ratio(n_uploaded[which].sum(), n[which].sum()) for which in (known, ~known)),
        _least((n_uploaded / n)[~known]),
        # all known samples stand against each class: the share of all pairs is the weighted mean
        _ratio((auroc * n[~known]).sum(), n[~known].sum()),
        _least(auroc),
    ]


def _of_bins(rows: pd.DataFrame) -> list[float | None]:
    known = rows[rows["known"].to_numpy(bool)]
    errors = (selective_error(rows), selective_error(known))
    return [ece(rows), ece(known), aurc(rows), routing_gain(rows), *errors]


def _ratio(part: float, whole: float) -> float | None:
    return None if not whole or math.isnan(part) else float(part / whole)


def _least(values: Any) -> float | None:
    return None if not len(values) or np.isnan(values).any() else float(values.min())


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def _mean(values: Any) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
