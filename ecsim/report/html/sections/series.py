"""Queue lengths, use and power over time, of runs that were read regularly (`run: {probe}`)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ecsim.report.html.charts import lines, marks
from ecsim.report.html.charts.axes import Axis, Frame, linear
from ecsim.report.html.markup import Markup, join, tag
from ecsim.report.html.section import Section, figure, note, panel
from ecsim.report.html.tables import Cell, Column, Row, share, table, text, value
from ecsim.report.numbers import number, percent, with_unit

if TYPE_CHECKING:
    import pandas as pd

    from ecsim.records.store import Run

MOST_LINES = 6
MOST_READINGS = 100  # of a line; more are put together
N_HINTS = 8  # along a line


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A column of the table `series`: how it is called, ranked and put together."""

    column: str
    title: str
    axis: str
    unit: str
    rank: str
    is_of_queues: bool
    takes_highest: bool = False

    def text(self, of: float) -> str:
        if self.unit == "%":
            return f"{percent(of)} %"
        return with_unit(of, self.unit) if self.unit else number(of)

    def cell(self, of: float) -> Cell:
        return share(of) if self.unit == "%" else value(of)

    def y(self, highest: float) -> Axis:
        if self.unit == "%":
            return linear(f"{self.axis} (%)", [], low=0.0, high=max(100.0, 100 * highest))
        return linear(self.axis, [0.0, highest], self.unit)


_QUANTITIES = (
    _Quantity("n_jobs", "Jobs that wait or are served", "jobs", "", "utilisation", True, True),
    _Quantity("utilisation", "Use since the last reading", "use", "%", "utilisation", True),
    _Quantity("watts", "Mean power since the last reading", "power", "W", "watts", False),
)


def of_run(run: Run) -> Section | None:
    """Give a figure per quantity with a panel per strategy; None for a run that was not read."""
    if "series.parquet" not in run.manifest["files"]:
        return None
    what = run.series["place"].astype(str) + " " + run.series["component"].astype(str)
    rows = run.series.assign(what=what).sort_values("t_s", kind="stable")
    every = math.ceil(rows["t_s"].nunique() / MOST_READINGS)
    drawn = [_figure(rows, list(run.summary), quantity, every) for quantity in _QUANTITIES]
    said = f"The {MOST_LINES} busiest engines and links, and those of the highest power."
    if every > 1:
        said += f" A point stands for {every} readings: of jobs their highest, else their mean."
    body = join([note(said), tag("div", drawn, class_="figures")])
    return Section("series", "Queues and power over time", body)


def _figure(rows: pd.DataFrame, labels: list[str], of: _Quantity, every: int) -> Markup:
    is_known = rows[of.column].notna() & (rows["n_jobs"].notna() | (not of.is_of_queues))
    known = rows[is_known.to_numpy(bool)]
    ranks = known.groupby("what")[of.rank].mean().sort_values(ascending=False, kind="stable")
    chosen = [str(what) for what in ranks.index[:MOST_LINES]]
    if not chosen:
        return Markup("")
    found = {(label, what): _thinned(known, label, what, of, every)
             for label in labels for what in chosen}  # fmt: skip
    highest = max((y for points in found.values() for _, y in points), default=0.0)
    x = linear("time", [0.0, *rows["t_s"].tolist()], "s")
    frame = Frame(x, of.y(highest), width=360, height=200)
    factor = 100.0 if of.unit == "%" else 1.0
    panels = []
    for label in labels:
        series = []
        for i, what in enumerate(chosen):
            points = found[label, what]
            step = math.ceil(len(points) / N_HINTS) or 1
            hints = [
                lines.Point(t, factor * y, f"{label}, {what}, {with_unit(t, 's')}: {of.text(y)}")
                for t, y in points[step // 2 :: step]
            ]
            series.append(lines.Series(i, hints, [(t, factor * y) for t, y in points]))
        panels.append(panel(label, lines.lines(f"{of.title}: {label}", frame, series)))
    columns = [text("strategy"), Column("time", "s"), *(Column(what, of.unit) for what in chosen)]
    times = {label: sorted({t for what in chosen for t, _ in found[label, what]})
             for label in labels}  # fmt: skip
    values = {key: dict(points) for key, points in found.items()}
    cells: list[Row] = [
        [label, value(t), *(of.cell(values[label, what].get(t, math.nan)) for what in chosen)]
        for label in labels
        for t in times[label]
    ]
    legend = marks.lines_legend(chosen)
    return figure(of.title, panels, table(of.title, columns, cells), legend, is_wide=True)


def _thinned(
    rows: pd.DataFrame, label: str, what: str, of: _Quantity, every: int
) -> list[tuple[float, float]]:
    """Give (time of the last reading, value) of each `every` readings, in order."""
    mine = rows[(rows["strategy"] == label).to_numpy() & (rows["what"] == what).to_numpy()]
    blocks = mine.groupby(np.arange(len(mine)) // every)
    values = blocks[of.column].max() if of.takes_highest else blocks[of.column].mean()
    return list(zip(blocks["t_s"].last().tolist(), values.astype(float).tolist(), strict=True))
