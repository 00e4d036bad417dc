"""Which metrics the tables and figures of a page show, and the columns and cells that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ecsim.report.html.tables import Cell, Column, share, value
from ecsim.report.quantities import Quantity, quantity

ACCURACY = quantity("accuracy")
CUR = quantity("cur")
CUR_SEEN = quantity("cur_seen")
CUR_UNSEEN = quantity("cur_unseen")
MEAN_LATENCY = quantity("latency_s.mean")
P95_LATENCY = quantity("latency_s.p95")
ENERGY = quantity("energy_per_task_j.total")
PROBE_ACCURACY = replace(
    quantity("probe_accuracy.last"), path="probe_accuracy", name="probe accuracy"
)
"""Of a phase; a whole run has that of its first and of its last version."""
QUALITY = (
    ACCURACY,
    CUR,
    CUR_SEEN,
    CUR_UNSEEN,
    MEAN_LATENCY,
    quantity("latency_s.p50"),
    P95_LATENCY,
    quantity("latency_s.p99"),
)
COSTS = (
    ENERGY,
    quantity("energy_per_task_j.update", "of it, updates"),
    quantity("idle_energy_per_task_j"),
    quantity("bytes_per_task.up"),
    quantity("bytes_per_task.down"),
    quantity("deadline_miss_ratio"),
    quantity("probe_accuracy.first"),
    quantity("probe_accuracy.last"),
)
OF_A_PHASE = (
    ACCURACY,
    CUR,
    CUR_SEEN,
    CUR_UNSEEN,
    MEAN_LATENCY,
    P95_LATENCY,
    ENERGY,
    PROBE_ACCURACY,
    replace(PROBE_ACCURACY, path="probe_accuracy_known", name="probe accuracy, known classes"),
)
MAIN = (ACCURACY, CUR, MEAN_LATENCY, P95_LATENCY, ENERGY)


def column_of(metric: Quantity) -> Column:
    """Give the column of a table that holds a metric."""
    return Column(metric.name, metric.column[0], meaning=metric.meaning)


def cell_with(metric: Quantity, of: float | None) -> Cell:
    """Give the cell of a value in its column."""
    return share(of) if metric.is_share else value(of, metric.column[1])


def cell_of(metric: Quantity, summary: Mapping[str, Any]) -> Cell:
    """Give its cell in the line of a strategy; an unstable one has no latency."""
    if metric.is_latency and not summary.get("stable", True):
        return Cell("unstable", None, str(summary.get("unstable_because", "")))
    return cell_with(metric, metric.of(summary))
