"""What a metric is called, in which unit it is shown, and whether more of it is better."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ecsim.core.errors import UserError
from ecsim.records.metrics import MEANINGS, is_energy
from ecsim.records.shown import is_share, unit_of
from ecsim.report.numbers import NONE, number, percent, prefix, with_unit
from ecsim.scenario.messages import did_you_mean

_MORE_IS_BETTER = ("accuracy", "probe_accuracy", "n_answered", "status.answered", "stable")
_NAMES = {
    "accuracy": "stream accuracy",
    "cur": "cloud-upload rate",
    "cur_seen": "CUR, seen classes",
    "cur_unseen": "CUR, unseen classes",
    "latency_s.mean": "mean latency",
    **{f"latency_s.p{q}": f"p{q} latency" for q in (50, 95, 99)},
    "energy_per_task_j.total": "energy per task",
    "energy_per_task_j.update": "energy of updates per task",
    "idle_energy_per_task_j": "idle energy per task",
    **{f"bytes_per_task.{way}": f"bytes {way} per task" for way in ("up", "down")},
    "incremental.last": "A_n over the classes so far",
    "probe_accuracy.first": "probe accuracy, first version",
    "probe_accuracy.last": "probe accuracy, last version",
    "n": "tasks",
    "n_answered": "answered tasks",
    "stable": "stable queues (1: all)",
    "deadline_miss_ratio": "missed deadlines",
    "accuracy_in_time": "right answers in time",
    "recovery.s": "time to recovery",
    "recovery.above_s": "time above the level before",
    "recovery.peak_s": "peak of p95 latency",
    "recovery.never": "runs without recovery",
}
_UNITS = ("s", "j", "bytes")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A metric as figures and tables show it.

    Attributes
    ----------
    path : its dotted path, see `ecsim.records.metrics`.
    name : in words.
    unit : SI unit of the stored value; empty for shares and counts.
    is_share : a share of 1, shown in per cent.
    more_is_better : which end of the axis one wants.
    """

    path: str
    name: str
    unit: str
    is_share: bool
    more_is_better: bool

    def scale(self, values: Iterable[float]) -> tuple[float, str]:
        """Give the factor to show values with, and the unit then: ``(1e3, "ms")``.

        The prefix is that which shows the largest value between 1 and 1000.
        """
        if self.is_share:
            return 100.0, "%"
        if not self.unit:
            return 1.0, ""
        largest = max((abs(value) for value in values if value == value), default=0.0)
        size, sign = prefix(largest, self.unit)
        return 1.0 / size, sign + self.unit

    def label(self, unit: str) -> str:
        """Give the axis label or table head for values in a unit."""
        return f"{self.name} ({unit})" if unit else self.name

    @property
    def column(self) -> tuple[str, float]:
        """Unit of a column that is the same in every table, and the factor to it."""
        return ("%", 100.0) if self.is_share else unit_of(self.path)

    @property
    def meaning(self) -> str:
        """What it is, in a sentence; empty for a metric of phases alone."""
        return MEANINGS[self.path][1] if self.path in MEANINGS else ""

    @property
    def is_latency(self) -> bool:
        """Whether it is no result of a strategy whose queues cannot keep up."""
        return self.path.startswith("latency")

    @property
    def is_energy(self) -> bool:
        """Whether it is never mixed with that of another energy boundary."""
        return self.path in MEANINGS and is_energy(self.path)

    def of(self, summary: Mapping[str, Any]) -> float | None:
        """Give its value in the summary of one strategy, or of one phase of it."""
        found: Any = summary
        for key in self.path.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
        return None if found is None else float(found)

    def number(self, value: float | None) -> str:
        """Write a value in the unit of its column, without the unit."""
        return percent(value) if self.is_share else number(value, self.column[1])

    def text(self, value: float | None) -> str:
        """Write a value with the unit that suits it."""
        if value is None or value != value:
            return NONE
        return f"{percent(value)} %" if self.is_share else with_unit(value, self.unit)


def quantity(metric: str, name: str = "") -> Quantity:
    """Give how a metric is shown; `name`: under another name than its own.

    Raises `UserError` naming the nearest metric when there is none of this path.

    >>> quantity("latency_s.p95").scale([0.02])
    (1000.0, 'ms')
    """
    if metric not in MEANINGS:
        hint = did_you_mean(metric, MEANINGS) or f"; there are: {', '.join(MEANINGS)}"
        raise UserError(f"unknown metric {metric!r}{hint}")
    group = metric.partition(".")[0]
    return Quantity(
        metric,
        name or _NAMES.get(metric) or _in_words(metric),
        MEANINGS[metric][0],
        is_share(metric),
        group.startswith(_MORE_IS_BETTER[:2]) or metric in _MORE_IS_BETTER,
    )


def _in_words(metric: str) -> str:
    """Turn a path into words: ``latency_s.p99_9`` becomes "latency p99 9"."""
    parts = [
        " ".join(word for word in part.split("_") if word not in _UNITS or part in _UNITS)
        for part in metric.split(".")
    ]
    return re.sub(r"\bcur\b", "CUR", " ".join(parts))
