"""How metrics stand in tables everywhere: under which head, in which unit; and tables of notebooks.

Stored results are in SI units and never rounded; only what is shown is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from ecsim.records.metrics import MEANINGS

_SHARES = (
    "accuracy", "cur", "probe_", "incremental", "selective_error", "energy_share",
    "deadline_miss_ratio", "first_exit_share",
)  # fmt: skip
_UNITS = {"s": ("ms", 1e3), "J": ("mJ", 1e3), "B": ("kB", 1e-3)}

IN_NOTEBOOKS = ("accuracy", "cur", "latency_s.mean", "energy_per_task_j.total")
"""The metrics that results show of themselves in a notebook."""


def is_share(metric: str) -> bool:
    """Whether a metric is a share of 1, shown in per cent."""
    return metric.partition(".")[0].startswith(_SHARES)


def unit_of(metric: str) -> tuple[str, float]:
    """Give the unit of a metric in tables, and the factor to it from what is stored.

    >>> unit_of("cur"), unit_of("latency_s.p95"), unit_of("n")
    (('%', 100.0), ('ms', 1000.0), ('', 1.0))
    """
    unit = MEANINGS[metric][0]
    return ("%", 100.0) if is_share(metric) else _UNITS.get(unit, (unit, 1.0))


def named(metric: str) -> str:
    """Write a metric with the unit it is shown in."""
    unit, _ = unit_of(metric)
    return f"{metric} ({unit})" if unit else metric


def number(value: float | None, metric: str = "", form: str = "{:.4g}") -> str:
    """Write a value, of a metric in its unit; `-` where there is none.

    >>> number(0.02641, "latency_s.mean"), number(0.5, "cur"), number(None), number(1234.56)
    ('26.41', '50', '-', '1235')
    """
    if value is None or not math.isfinite(value):
        return "-"
    return form.format(value * (unit_of(metric)[1] if metric else 1.0))


def result(value: float | None, metric: str, stable: float | bool | None) -> str:
    """Write a value of a strategy; one whose queues cannot keep up has no latency."""
    is_none = metric.startswith("latency") and stable is not None and stable < 1
    return "unstable" if is_none else number(value, metric)


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[object]], *notes: str) -> str:
    """Give an HTML table for a notebook, escaped; numbers are words already, or counts."""
    lines = [f"<tr>{''.join(f'<th>{escape(head)}</th>' for head in heads)}</tr>"]
    for row in rows:
        cells = (number(cell) if isinstance(cell, float) else str(cell) for cell in row)
        lines.append(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>")
    said = [f"<p><b>{escape(title)}</b></p>", *(f"<p>{escape(note)}</p>" for note in notes)]
    return f"{''.join(said)}<table>{''.join(lines)}</table>"
