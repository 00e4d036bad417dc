"""The figures of a summary: accuracy and CUR over phases and against each other, stacked parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ecsim.records.metrics import Summary
from ecsim.report.html.charts import bars, marks
from ecsim.report.html.charts.axes import Frame, linear, logarithmic, positions
from ecsim.report.html.charts.lines import Point, Series, lines
from ecsim.report.html.markup import Markup, tag
from ecsim.report.html.metrics import (
    ACCURACY,
    CUR,
    CUR_SEEN,
    CUR_UNSEEN,
    PROBE_ACCURACY,
    cell_of,
    column_of,
)
from ecsim.report.html.section import Section, figure, panel
from ecsim.report.html.sections.summary import latencies
from ecsim.report.html.tables import Column, Row, table, text, value
from ecsim.report.numbers import with_unit

if TYPE_CHECKING:
    from ecsim.records.store import Run

_PANELS = (
    (ACCURACY, "Stream accuracy: answers given in the stream"),
    (PROBE_ACCURACY, "Probe accuracy: edge model alone, all classes"),
    (CUR, "Cloud-upload rate (CUR), all tasks"),
    (CUR_SEEN, "CUR of classes that the device's version knows"),
    (CUR_UNSEEN, "CUR of classes that it does not know"),
)
_ON_THE_WAY = ("end", "edge", "up", "cloud", "down")  # the stages as a task passes them
_ENERGY = [(part, part, False) for part in (*_ON_THE_WAY, "wasted", "update")]
_LATENCY = [
    *(
        (f"{stage}_{kind}", stage, kind == "wait")
        for stage in _ON_THE_WAY
        for kind in ("wait", "service")
    ),
    ("propagation", "propagation", False),
]
_QUANTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99, 100)
_WORDS = {"up": "uplink", "down": "downlink", "wasted": "abandoned work", "update": "updates"}


def of_summary(summary: Summary, *more: Markup) -> Section | None:
    """Give the figures of a summary, and `more` of a result's own; None without phases."""
    if not any(of["phases"] for of in summary.values()):
        return None
    drawn = [over_phases(summary), against_cur(summary), *more, energy(summary), latency(summary)]
    return Section("figures", "Figures", tag("div", drawn, class_="figures"))


def over_phases(summary: Summary) -> Markup:
    """Draw accuracy and CUR over phases, each in a panel of its own."""
    labels = list(summary)
    last = max(phase["phase"] for of in summary.values() for phase in of["phases"])
    x = positions("phase", [str(phase) for phase in range(last + 1)])
    panels = []
    for metric, title in _PANELS:
        series = [
            Series(i, [
                Point(phase["phase"], 100 * found,
                      f"{label}, phase {phase['phase']}: {metric.text(found)}")
                for phase in summary[label]["phases"]
                if (found := metric.of(phase)) is not None
            ])
            for i, label in enumerate(labels)
        ]  # fmt: skip
        if any(one.points for one in series):
            y = linear(f"{metric.name} (%)", [], low=0.0, high=100.0)
            panels.append(panel(title, lines(title, Frame(x, y), series)))
    columns = [text("strategy"), Column("phase"), *(column_of(metric) for metric, _ in _PANELS)]
    rows: list[Row] = [
        [label, str(phase["phase"]), *(cell_of(metric, phase) for metric, _ in _PANELS)]
        for label in labels
        for phase in summary[label]["phases"]
    ]
    values = table("Accuracy and CUR by phase", columns, rows)
    return figure(
        "Accuracy and CUR over phases", panels, values, marks.lines_legend(labels), is_wide=True
    )


def against_cur(summary: Summary) -> Markup:
    """Draw stream accuracy against CUR: filled for the whole, hollow per phase."""
    series = []
    for i, (label, of) in enumerate(summary.items()):
        points = []
        for part, name in [*((p, f"phase {p['phase']}") for p in of["phases"]), (of, "all phases")]:
            cur, accuracy = CUR.of(part), ACCURACY.of(part)
            if cur is not None and accuracy is not None:
                said = f"{label}, {name}: accuracy {ACCURACY.text(accuracy)}, CUR {CUR.text(cur)}"
                is_whole = part is of
                size = 6.0 if is_whole else 3.4
                points.append(Point(100 * cur, 100 * accuracy, said, size=size, is_filled=is_whole))
        path = [(point.x, point.y) for point in points if not point.is_filled]
        series.append(Series(i, points, path))
    lowest = min((point.y for one in series for point in one.points), default=0.0)
    x = linear("cloud-upload rate, CUR (%)", [], low=-4.0, high=104.0)
    y = linear("stream accuracy (%)", [], low=10 * (lowest // 10) - 2.0, high=103.0)
    title = "Stream accuracy against cloud-upload rate"
    columns = [text("strategy"), column_of(ACCURACY), column_of(CUR)]
    rows: list[Row] = [
        [label, cell_of(ACCURACY, of), cell_of(CUR, of)] for label, of in summary.items()
    ]
    return figure(
        title,
        [lines(title, Frame(x, y, width=460, height=320), series)],
        table("Stream accuracy and CUR", columns, rows),
        marks.lines_legend(list(summary)),
        "Large filled markers: all phases together. Small hollow ones: single phases, joined in "
        "their order.",
    )


def energy(summary: Summary) -> Markup:
    """Draw the marginal energy per task, stacked by the stage that spends it."""
    title = "Energy per task by component"
    note = "Marginal energy; idle power is not in it."
    return _stacked(summary, "energy_per_task_j", _ENERGY, title, ("energy per task", "J"), note)


def latency(summary: Summary) -> Markup:
    """Draw the mean latency of answered tasks, stacked by stage."""
    stable = {label: of for label, of in summary.items() if of.get("stable", True)}
    note = "Means over answered tasks. Filled: being served; hatched on white: waiting."
    left = ", ".join(label for label in summary if label not in stable)
    if left:
        note += f" Not shown, as a queue cannot keep up: {left}."
    overlapping = ", ".join(label for label, of in stable.items() if _overlaps(of))
    if overlapping:
        note += f" Bars add up what runs at once, the number is the latency: {overlapping}."
    title = "Mean latency by stage"
    return _stacked(stable, "latency_parts_s", _LATENCY, title, ("latency", "s"), note)


def distribution(run: Run) -> Markup:
    """Draw the distribution of latency: the share of answers within a time."""
    labels = list(run.summary)
    by_label = {label: latencies(run, label) for label in labels}
    known = {label: of for label, of in by_label.items() if len(of) and of.min() > 0}
    if not known:
        return Markup("")
    series = []
    for i, label in enumerate(labels):
        if label in known:
            shares = np.linspace(0, 100, 101)
            times_s = np.percentile(known[label], shares)
            points = [
                Point(at_s, float(q), f"{label}: {q} % of answers within {with_unit(at_s, 's')}")
                for q in (5, 25, 50, 75, 95, 99)
                for at_s in [float(times_s[q])]
            ]
            path = _steps(times_s.tolist(), shares.tolist())
            series.append(Series(i, points, path))
    ends = [end for of in known.values() for end in (float(of.min()), float(of.max()))]
    x, y = logarithmic("latency", ends, "s"), linear("answers (%)", [], low=0.0, high=100.0)
    title = "Distribution of latency"
    columns = [text("strategy")]
    columns += [Column("longest" if q == 100 else f"{q} % within", "ms") for q in _QUANTILES]
    rows: list[Row] = [
        [label, *(value(float(at), 1e3) for at in np.percentile(of, _QUANTILES))]
        for label, of in known.items()
    ]
    note = "Logarithmic axis of time. Markers at 5, 25, 50, 75, 95 and 99 % of the answers."
    unstable = [label for label, of in run.summary.items() if not of.get("stable", True)]
    if unstable:
        note += f" Of an unstable strategy ({', '.join(unstable)}) it depends on the run's length."
    return figure(
        title,
        [lines(title, Frame(x, y, width=460, height=320), series)],
        table("Percentiles of latency", columns, rows),
        marks.lines_legend(labels),
        note,
    )


def _steps(times_s: Sequence[float], shares: Sequence[float]) -> list[tuple[float, float]]:
    """Give the way along a distribution: on at the same height, then up."""
    path = [(times_s[0], shares[0])]
    for time_s, share in zip(times_s[1:], shares[1:], strict=True):
        path += [(time_s, path[-1][1]), (time_s, share)]
    return path


def _stacked(
    summary: Summary,
    group: str,
    parts: Sequence[tuple[str, str, bool]],
    title: str,
    axis: tuple[str, str],
    note: str,
) -> Markup:
    quantity, unit = axis
    shown = [part for part in parts if any(_of(of, group, part[0]) for of in summary.values())]
    if not shown:
        return Markup("")
    rows = []
    for label, of in summary.items():
        pieces = [
            bars.Piece(length, marks.area(stage, is_wait=is_wait),
                       f"{label}, {_words(name)}: {with_unit(length, unit)}")
            for name, stage, is_wait in shown
            if (length := _of(of, group, name)) > 0
        ]  # fmt: skip
        total = sum(piece.length for piece in pieces)
        if group == "latency_parts_s" and _overlaps(of):
            total = of["latency_s"]["mean"]
        rows.append((label, with_unit(total, unit), pieces))
    totals = [sum(piece.length for piece in pieces) for _, _, pieces in rows]
    x = linear(quantity, [0.0, *totals], unit)
    columns = [text("strategy"), *(Column(_words(name), f"m{unit}") for name, _, _ in shown)]
    cells: list[Row] = [
        [label, *(value(_of(of, group, name), 1e3) for name, _, _ in shown)]
        for label, of in summary.items()
    ]
    legend = marks.areas_legend([(_words(name), stage, wait) for name, stage, wait in shown])
    return figure(title, [bars.stacked(title, x, rows)], table(title, columns, cells), legend, note)


def _overlaps(of: Mapping[str, Any]) -> bool:
    mean_s = of["latency_s"]["mean"] or 0.0
    return sum(_of(of, "latency_parts_s", name) for name, _, _ in _LATENCY) > mean_s * (1 + 1e-6)


def _of(of: Mapping[str, Any], group: str, name: str) -> float:
    return float(of[group].get(name) or 0.0)


def _words(name: str) -> str:
    stage, _, kind = name.partition("_")
    return f"{_WORDS.get(stage, stage)} {kind}".strip()
