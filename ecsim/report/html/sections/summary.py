"""The summary: quality and costs of each strategy, with intervals where there can be some."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ecsim.records.metrics import Summary
from ecsim.records.tables import ANSWERED
from ecsim.report.html.markup import Markup, join
from ecsim.report.html.metrics import COSTS, MAIN, MEAN_LATENCY, QUALITY, cell_of, column_of
from ecsim.report.html.section import Section, note
from ecsim.report.html.tables import Cell, Column, Row, count, table, text
from ecsim.report.quantities import Quantity
from ecsim.statistics.interval import Floats, Interval, batch_means, t_interval

if TYPE_CHECKING:
    from ecsim.records.store import Run

N_BATCHES = 20
PER_BATCH = 25
"""Batches of fewer tasks are too short to be taken for independent."""
MAX_CORRELATION = 0.4
"""Of neighbouring batches; independent ones exceed it in about one case of forty."""

Intervals = Mapping[tuple[str, str], Interval]


def of_run(run: Run) -> Section:
    """Give the summary of a run: its mean latency has an interval where the run is long enough."""
    intervals: dict[tuple[str, str], Interval] = {}
    without = []
    for label, of in run.summary.items():
        if not of.get("stable", True):
            continue
        found = latency_interval(latencies(run, label))
        if isinstance(found, Interval):
            intervals[label, MEAN_LATENCY.path] = found
        else:
            without.append(f"{label} ({found})")
    said = "± is half a 95 % interval, by batch means. " if intervals else ""
    said += "A single run has no interval for anything else; replications have."
    if without:
        said += f" No interval for the mean latency of {', '.join(without)}."
    return Section("summary", "Summary", join([tables(run.summary, intervals), note(said)]))


def of_replicates(mean: Summary, summaries: Sequence[Summary]) -> Section:
    """Give the means over replicates with Student's intervals."""
    said = f"Means over {len(summaries)} replicates; ± is half a 95 % interval (Student's t). "
    said += "A percentile is the mean of the replicates' own percentiles."
    if len(summaries) < 2:
        said = "One replicate only: no intervals."
    body = join([tables(mean, t_intervals(summaries)), note(said)])
    return Section("summary", "Summary", body)


def of_results(entries: Sequence[tuple[str, Summary]]) -> Markup:
    """Give the main metrics of several results below each other."""
    columns = [text("strategy"), text("result"), *(column_of(metric) for metric in MAIN)]
    rows: list[Row] = [
        [label, name, *(cell_of(metric, of) for metric in MAIN)]
        for label in dict.fromkeys(label for _, summary in entries for label in summary)
        for name, summary in entries
        if (of := summary.get(label)) is not None
    ]
    return table("The results beside each other", columns, rows, n_heads=2)


def t_intervals(summaries: Sequence[Summary]) -> dict[tuple[str, str], Interval]:
    """Give the interval of each (label, metric) that has a value in two or more summaries."""
    found = {}
    for label in dict.fromkeys(label for summary in summaries for label in summary):
        for metric in (*QUALITY, *COSTS):
            values = [metric.of(summary[label]) for summary in summaries if label in summary]
            known = [value for value in values if value is not None and math.isfinite(value)]
            if len(known) > 1:
                found[label, metric.path] = t_interval(known)
    return found


def tables(summary: Summary, intervals: Intervals) -> Markup:
    """Give both tables of a summary."""
    costs = [metric for metric in COSTS if any(metric.of(of) for of in summary.values())]
    return join(
        [
            _table("Quality and latency", summary, QUALITY, intervals),
            _table("Energy, bytes and edge models", summary, costs, intervals),
        ]
    )


def with_interval(metric: Quantity, of: Mapping[str, Any], interval: Interval | None) -> Cell:
    """Give the cell of a metric, as mean ± half width where there is an interval."""
    cell = cell_of(metric, of)
    if interval is None or cell.key is None or not math.isfinite(interval.half_width):
        return cell
    ends = f"{metric.text(interval.low)} to {metric.text(interval.high)}, n = {interval.n}"
    half = interval.half_width
    if half < 1e-9 * abs(interval.mean):  # all are equal but for rounding
        half = 0.0
    shown = f"{metric.number(interval.mean)} ± {metric.number(half)}"
    return Cell(shown, interval.mean, ends)


def latencies(run: Run, label: str) -> Floats:
    """Give the latencies of a strategy's answered tasks in the window, by arrival, in seconds."""
    tasks = run.some_tasks("status", "t_arrive_s", "latency_s", strategy=label)
    ends = run.manifest["warmup_s"], run.manifest["horizon_s"]
    is_inside = tasks["t_arrive_s"].between(*ends).to_numpy()
    mine = tasks[tasks["status"].isin(ANSWERED).to_numpy() & is_inside]
    by_arrival = mine.sort_values("t_arrive_s", kind="stable")
    return np.asarray(by_arrival["latency_s"].to_numpy(float), dtype=np.float64)


def latency_interval(latency_s: Floats) -> Interval | str:
    """Give the interval of a mean by batch means, or why there is none.

    Batches that follow each other must look independent; drift and long busy periods forbid it.
    """
    length = len(latency_s) // N_BATCHES
    if length < PER_BATCH:
        return f"fewer than {N_BATCHES * PER_BATCH} answers"
    used = latency_s[len(latency_s) - length * N_BATCHES :]
    batches = used.reshape(N_BATCHES, length).mean(axis=1)
    centred = batches - batches.mean()
    spread = float((centred**2).sum())
    if spread > 1e-12 * float((batches**2).sum()):  # else all are equal but for rounding
        correlation = float((centred[1:] * centred[:-1]).sum()) / spread
        if correlation > MAX_CORRELATION:
            return "it drifts or is correlated for too long"
    return batch_means(latency_s, N_BATCHES)


def _table(
    caption: str, summary: Summary, metrics: Sequence[Quantity], intervals: Intervals
) -> Markup:
    columns = [text("strategy"), Column("tasks", meaning="tasks that arrived in the window")]
    columns += [column_of(metric) for metric in metrics]
    rows: list[Row] = [
        [
            label,
            count(of["n"]),
            *(with_interval(m, of, intervals.get((label, m.path))) for m in metrics),
        ]
        for label, of in summary.items()
    ]
    return table(caption, columns, rows)
