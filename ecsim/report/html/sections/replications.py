"""The sections of replications: means over the replicates with intervals, then each of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ecsim.records.metrics import Summary
from ecsim.records.replications import Replications
from ecsim.records.store import Run
from ecsim.report.html.charts.axes import linear
from ecsim.report.html.charts.bars import Estimate, estimates
from ecsim.report.html.markup import Markup
from ecsim.report.html.metrics import MAIN, cell_of, column_of
from ecsim.report.html.section import Section, capitalised, figure, panel
from ecsim.report.html.sections import exits, figures, phases, provenance, summary, warnings
from ecsim.report.html.tables import Column, Row, count, table, text
from ecsim.report.quantities import Quantity
from ecsim.statistics.interval import Interval


def of_replications(replications: Replications) -> list[Section]:
    """Give the sections of the replicates of a scenario."""
    manifest, runs = replications.manifest, replications.runs
    summaries = [run.summary for run in runs]
    mean = mean_summary(summaries)
    first = runs[0].manifest
    shared = {key: first[key] for key in provenance.SHARED if key in first}
    known = {key: value for key, value in manifest.items() if key != "intervals"}
    found = [
        summary.of_replicates(mean, summaries),
        warnings.of(summaries, first),
        figures.of_summary(mean, spread(mean, summaries)),
        phases.of_summary(mean, {}),
        exits.of_summary(mean),
        each(runs, manifest["seeds"]),
        provenance.of(known | shared),
    ]
    return [section for section in found if section is not None]


def mean_summary(summaries: Sequence[Summary]) -> Summary:
    """Give the summary whose every number is the mean over replicates that have one.

    A strategy is stable when it is in all of them.
    """
    labels = dict.fromkeys(label for summary in summaries for label in summary)
    return {label: _mean([of[label] for of in summaries if label in of]) for label in labels}


def spread(mean: Summary, summaries: Sequence[Summary]) -> Markup:
    """Draw mean and interval of the main metrics, strategy by strategy."""
    intervals = summary.t_intervals(summaries)
    panels = []
    for metric in MAIN:
        known = {label: found for label in mean if (found := metric.of(mean[label])) is not None}
        if metric.is_latency:
            known = {label: of for label, of in known.items() if mean[label].get("stable", True)}
        if known:
            of_metric = {label: intervals.get((label, metric.path)) for label in known}
            panels.append(
                panel(capitalised(metric.name), _estimates(metric, list(mean), known, of_metric))
            )
    columns = [text("strategy"), *(column_of(metric) for metric in MAIN)]
    rows: list[Row] = [
        [
            label,
            *(summary.with_interval(m, of, intervals.get((label, m.path))) for m in MAIN),
        ]
        for label, of in mean.items()
    ]
    title = "Means with 95 % intervals"
    return figure(title, panels, table(title, columns, rows), is_wide=True)


def each(runs: Sequence[Run], seeds: Sequence[int]) -> Section:
    """Give the main metrics of each replicate."""
    columns = [text("strategy"), text("run"), Column("replicate"), text("seed")]
    columns += [column_of(metric) for metric in MAIN]
    rows: list[Row] = [
        [label, run.path.name, count(i), str(seeds[i]),
         *(cell_of(metric, run.summary[label]) for metric in MAIN)]
        for label in runs[0].summary
        for i, run in enumerate(runs)
        if label in run.summary
    ]  # fmt: skip
    return Section("replicates", "Replicates", table("Each replicate", columns, rows, n_heads=2))


def _estimates(
    metric: Quantity,
    labels: Sequence[str],
    means: dict[str, float],
    intervals: dict[str, Interval | None],
) -> Markup:
    factor = 100.0 if metric.is_share else 1.0
    rows = []
    ends = []
    for label, mean in means.items():
        interval = intervals[label]
        low = high = math.nan
        shown = said = metric.text(mean)
        if interval is not None:
            low, high = factor * interval.low, factor * interval.high
            said = f"{shown}, {metric.text(interval.low)} to {metric.text(interval.high)}"
        ends += [end for end in (low, high, factor * mean) if math.isfinite(end)]
        rows.append(
            (
                label,
                shown,
                Estimate(labels.index(label), factor * mean, low, high, f"{label}: {said}"),
            )
        )
    unit = metric.unit
    axis = linear(metric.name + (" (%)" if metric.is_share else ""), ends, unit)
    return estimates(f"{metric.name} with intervals", axis, rows)


def _mean(values: Sequence[Any]) -> Any:
    """Give the mean of numbers, and of mappings and lists entry by entry."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    first = known[0]
    if isinstance(first, dict):
        keys = dict.fromkeys(key for value in known for key in value)
        return {key: _mean([value.get(key) for value in known]) for key in keys}
    if isinstance(first, list):
        return _mean_rows(known)
    if isinstance(first, bool):
        return all(known)
    if isinstance(first, str):
        return next((value for value in known if value), "")
    return sum(known) / len(known)


def _mean_rows(lists: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Give the mean over lists of the rows of the same phase, or of the same exit and tier.

    A replicate in which an exit answered nothing counts 0 to its number and share of answers.
    """
    together: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in (row for rows in lists for row in rows):
        name = tuple(row[key] for key in ("phase", "exit", "tier") if key in row)
        together.setdefault(name, []).append(row)
    found = []
    for name, rows in sorted(together.items()):
        mean = _mean(rows)
        if "share" in mean:
            mean |= {key: sum(row[key] for row in rows) / len(lists) for key in ("n", "share")}
        keys = ("phase",) if len(name) == 1 else ("exit", "tier")
        found.append(mean | dict(zip(keys, name, strict=True)))
    return found
