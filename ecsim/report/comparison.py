"""Replications, comparisons and verdicts as tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from ecsim.records.metrics import MAIN_METRICS
from ecsim.records.shown import named, number

if TYPE_CHECKING:
    from ecsim.records.sweeps import Sweep

_OF_CELLS = ("accuracy", "cur", "latency_s.mean", "energy_per_task_j.total")


def replications(manifest: Mapping[str, Any]) -> Table:
    """Give the means with 95 % intervals of the main metrics, one line per strategy and metric."""
    n, reason = len(manifest["runs"]), manifest["stop_reason"]
    table = _table(f"{n} replicates ({reason}): means and 95 % intervals")
    table.add_column("strategy", overflow="fold")
    table.add_column("metric", overflow="fold")
    for head in ("mean", "low", "high", "n"):
        table.add_column(head, justify="right", no_wrap=True)
    rows = manifest["intervals"]
    stable = {row["strategy"]: row["mean"] for row in rows if row["metric"] == "stable"}
    for row in rows:
        metric, label = row["metric"], row["strategy"]
        if metric not in MAIN_METRICS or not row["n"]:
            continue
        cells = [number(row[name], metric) for name in ("mean", "low", "high")]
        if metric.startswith("latency") and stable[label] < 1.0:
            cells = ["unstable", "-", "-"]
        table.add_row(label, named(metric), *cells, str(row["n"]))
    return table


def cells(sweep: Sweep, most: int = 40) -> Table:
    """Give the main metrics of a sweep's cells, one line per cell and strategy, `most` of them."""
    frame = sweep.cells
    title = f"Cells of {sweep.path.name}"
    table = _table(title + (f", the first {most} of {len(frame)} lines" * (len(frame) > most)))
    names = ["cell", *sweep.keys, "strategy"]
    for head in names:
        table.add_column(head, overflow="fold")
    for metric in _OF_CELLS:
        table.add_column(named(metric), justify="right")
    for row in frame.head(most).to_dict("records"):
        figures = [number(row[metric], metric) for metric in _OF_CELLS]
        if row["stable"] < 1.0:
            figures[_OF_CELLS.index("latency_s.mean")] = "unstable"
        table.add_row(*(str(row[name]) for name in names), *figures)
    return table


def comparison(rows: Sequence[Mapping[str, Any]], level: float) -> Table:
    """Give the differences a - b of a comparison, one line per pair of arms and metric."""
    table = _table(f"Differences a - b with {100 * level:g} % intervals, p after Holm")
    for head in ("metric", "a", "b"):
        table.add_column(head, overflow="fold")
    for head in ("n", "mean a", "mean b", "a - b", "low", "high", "p", "d", "detectable"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("finding", overflow="fold")
    for row in rows:
        metric = row["metric"]
        figures = [
            number(row[key], metric) for key in ("mean_a", "mean_b", "difference", "low", "high")
        ]
        table.add_row(
            named(metric), row["a"], row["b"], str(row["n"]), *figures,
            _p(row["p_holm"]), plain(row["effect_size"], "{:.2f}"),
            number(row["smallest_detectable"], metric),
            row["finding"],
        )  # fmt: skip
    return table


def verdicts(rows: Sequence[Mapping[str, Any]], level: float) -> Table:
    """Give the verdicts of a claims suite, one line per claim; the reasons stand below it.

    A scale that all have in common is said once, above them.
    """
    scales = {row["scale"] for row in rows}
    title = f"Verdicts, with {100 * level:g} % intervals; effects in the unit of the metric"
    if len(scales) == 1 and (scale := next(iter(scales))):
        title += f"\nscale: {scale}"
    table = _table(title)
    for head in ("id", "claim", "verdict"):
        table.add_column(head, overflow="fold")
    for head in ("effect", "low", "high", "n", "paper", "sei"):
        table.add_column(head, justify="right", no_wrap=True)
    if len(scales) > 1:
        table.add_column("scale", overflow="fold")
    for row in rows:
        figures = [plain(row[key]) for key in ("effect", "low", "high")]
        table.add_row(
            row["id"], row["claim"], row["verdict"], *figures, str(row["n"] or "-"),
            plain(row["paper"]), plain(row["sei"]), *([row["scale"]] if len(scales) > 1 else []),
        )  # fmt: skip
    return table


def plain(value: float, form: str = "{:.3g}") -> str:
    """Write a number; `-` where there is none."""
    return form.format(value) if math.isfinite(value) else "-"


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else plain(value, "{:.3f}").removeprefix("0")


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
