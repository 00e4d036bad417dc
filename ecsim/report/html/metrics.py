"""Which metrics the tables and figures of a page show, under what heads and in what units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ecsim.records.metrics import MEANINGS
from ecsim.report.html.tables import Cell, Column, share, value
from ecsim.report.numbers import NONE, number, percent, with_unit


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as it is shown: its path in a summary, head, unit and scale (None: a share)."""

    path: str
    head: str
    unit: str = "%"
    scale: float | None = None

    @property
    def column(self) -> Column:
        """The column of a table that holds it."""
        return Column(self.head, self.unit, meaning=self.meaning)

    @property
    def meaning(self) -> str:
        """What it is, in a sentence."""
        return MEANINGS[self.path][1] if self.path in MEANINGS else ""

    @property
    def is_latency(self) -> bool:
        """Say whether it is no result of a strategy whose queues cannot keep up."""
        return self.path.startswith("latency")

    @property
    def si_unit(self) -> str:
        """The unit in which results are stored."""
        return MEANINGS[self.path][0] if self.path in MEANINGS else ""

    def of(self, summary: Mapping[str, Any]) -> float | None:
        """Give its value in the summary of one strategy, or of one phase of it."""
        found: Any = summary
        for key in self.path.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
        return None if found is None else float(found)

    def number(self, of: float | None) -> str:
        """Write a value in the unit of its column, without the unit."""
        return percent(of) if self.scale is None else number(of, self.scale)

    def text(self, of: float | None) -> str:
        """Write a value with a unit, for a hint."""
        if of is None or of != of:
            return NONE
        return f"{percent(of)} %" if self.scale is None else with_unit(of, self.si_unit)

    def cell(self, summary: Mapping[str, Any]) -> Cell:
        """Give its cell in the line of a strategy; an unstable one has no latency."""
        if self.is_latency and not summary.get("stable", True):
            return Cell("unstable", None, str(summary.get("unstable_because", "")))
        of = self.of(summary)
        return share(of) if self.scale is None else value(of, self.scale)


ACCURACY = Metric("accuracy", "stream accuracy")
CUR = Metric("cur", "CUR")
MEAN_LATENCY = Metric("latency_s.mean", "mean latency", "ms", 1e3)
P95_LATENCY = Metric("latency_s.p95", "p95 latency", "ms", 1e3)
ENERGY = Metric("energy_per_task_j.total", "energy per task", "mJ", 1e3)
QUALITY = (
    ACCURACY,
    CUR,
    Metric("cur_seen", "CUR, seen classes"),
    Metric("cur_unseen", "CUR, unseen classes"),
    MEAN_LATENCY,
    Metric("latency_s.p50", "p50 latency", "ms", 1e3),
    P95_LATENCY,
    Metric("latency_s.p99", "p99 latency", "ms", 1e3),
)
COSTS = (
    ENERGY,
    Metric("energy_per_task_j.update", "of it, updates", "mJ", 1e3),
    Metric("idle_energy_per_task_j", "idle energy per task", "mJ", 1e3),
    Metric("bytes_per_task.up", "bytes up per task", "kB", 1e-3),
    Metric("bytes_per_task.down", "bytes down per task", "kB", 1e-3),
    Metric("deadline_miss_ratio", "missed deadlines"),
    Metric("probe_accuracy.first", "probe accuracy, first version"),
    Metric("probe_accuracy.last", "probe accuracy, last version"),
)
OF_A_PHASE = (
    ACCURACY,
    CUR,
    Metric("cur_seen", "CUR, seen classes"),
    Metric("cur_unseen", "CUR, unseen classes"),
    MEAN_LATENCY,
    P95_LATENCY,
    ENERGY,
    Metric("probe_accuracy", "probe accuracy"),
    Metric("probe_accuracy_known", "probe accuracy, known classes"),
)
MAIN = (ACCURACY, CUR, MEAN_LATENCY, P95_LATENCY, ENERGY)
