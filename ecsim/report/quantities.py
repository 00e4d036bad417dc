"""What a metric is called, in which unit it is shown, and whether more of it is better."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ecsim.core.errors import UserError
from ecsim.records.metrics import MEANINGS
from ecsim.report.numbers import prefix
from ecsim.scenario.messages import did_you_mean

_SHARES = ("accuracy", "cur", "probe_accuracy", "deadline_miss_ratio")
_MORE_IS_BETTER = ("accuracy", "probe_accuracy", "n_answered", "status.answered", "stable")
_NAMES = {
    "accuracy": "stream accuracy",
    "cur": "cloud-upload rate",
    "latency_s.mean": "mean latency",
    "energy_per_task_j.total": "energy per task",
    "probe_accuracy.last": "probe accuracy",
    "n": "tasks",
    "n_answered": "answered tasks",
    "stable": "stable queues (1: all)",
    "deadline_miss_ratio": "missed deadlines",
}
_UNITS = ("s", "j", "bytes")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A metric as figures and tables show it.

    Attributes
    ----------
    metric : its dotted path, see `ecsim.records.metrics`.
    name : in words.
    unit : SI unit of the stored value; empty for shares and counts.
    is_share : a share of 1, shown in per cent.
    more_is_better : which end of the axis one wants.
    """

    metric: str
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
        return _scale(values, self.unit)

    def label(self, unit: str) -> str:
        """Give the axis label or table head for values in a unit."""
        return f"{self.name} ({unit})" if unit else self.name


def quantity(metric: str) -> Quantity:
    """Give how a metric is shown.

    Raises `UserError` naming the nearest metric when there is none of this path.

    >>> quantity("latency_s.p95").scale([0.02])
    (1000.0, 'ms')
    """
    if metric not in MEANINGS:
        hint = did_you_mean(metric, MEANINGS) or f"; there are: {', '.join(MEANINGS)}"
        raise UserError(f"unknown metric {metric!r}{hint}")
    group = metric.partition(".")[0]
    is_share = group.startswith(_SHARES)
    return Quantity(
        metric,
        _NAMES.get(metric) or _in_words(metric),
        MEANINGS[metric][0],
        is_share,
        group.startswith(_MORE_IS_BETTER[:2]) or metric in _MORE_IS_BETTER,
    )


def prefixed(value: float, unit: str) -> str:
    """Write a value with three significant digits and the prefix that shows it between 1 and 1000.

    >>> prefixed(0.0211, "s"), prefixed(1.37e-6, "J"), prefixed(0.0, "s")
    ('21.1 ms', '1.37 µJ', '0 s')
    """
    factor, shown = _scale([value], unit)
    return f"{value * factor:.3g} {shown}"


def short(value: object) -> str:
    """Write a swept value with at most three significant digits.

    >>> short("14.4915786282 Mbit/s"), short(0.30000000000000004), short("fifo")
    ('14.5 Mbit/s', '0.3', 'fifo')
    """
    number, _, unit = str(value).partition(" ")
    try:
        return f"{float(number):.3g} {unit}".rstrip()
    except ValueError:
        return str(value)


def _scale(values: Iterable[float], unit: str) -> tuple[float, str]:
    largest = max((abs(value) for value in values if value == value), default=0.0)
    size, sign = prefix(largest)
    if unit == "s" and size > 1.0:  # nobody reads kiloseconds
        size, sign = 1.0, ""
    return 1.0 / size, sign + unit


def _in_words(metric: str) -> str:
    """Turn a path into words: ``latency_s.p95`` becomes "latency p95"."""
    parts = [
        " ".join(word for word in part.split("_") if word not in _UNITS or part in _UNITS)
        for part in metric.split(".")
    ]
    return " ".join(parts).replace("cur", "CUR")
