"""What the swept keys do to the metrics: heat maps of two keys, lines over one, points over many.

Cells that differ in seeds alone are replicates: what is drawn is their mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from ecsim.report.html import swept
from ecsim.report.html.charts import lines, marks
from ecsim.report.html.charts.axes import Axis, Frame, linear, positions
from ecsim.report.html.charts.heat import heat_map, shades
from ecsim.report.html.markup import Markup
from ecsim.report.html.metrics import ACCURACY, CUR, ENERGY, P95_LATENCY, cell_with, column_of
from ecsim.report.html.section import capitalised, figure, panel
from ecsim.report.html.swept import Point
from ecsim.report.html.tables import Cell, Column, Row, count, table, text
from ecsim.report.keys import Key, show, texts
from ecsim.report.numbers import number, prefix
from ecsim.report.quantities import Quantity

if TYPE_CHECKING:
    import pandas as pd

DRAWN = (ACCURACY, CUR, P95_LATENCY, ENERGY)
MAX_MARKS = 1500  # in a figure, so that the page stays light
MAX_ROWS = 300  # of the table behind a figure
_FILLED = 0.5  # of a grid; emptier ones are drawn as points


def effects(
    cells: pd.DataFrame, keys: Sequence[Key], metrics: Sequence[Quantity] = DRAWN
) -> list[Markup]:
    """Draw each metric over the keys that are not seeds."""
    strategies = [str(label) for label in dict.fromkeys(cells["strategy"].tolist())]
    free = [key for key in keys if len(key.values) > 1]
    free.sort(key=lambda key: -len(key.values))
    drawn = []
    for metric in metrics:
        if not free:
            break
        if len(free) >= 2 and _is_grid(cells, free[:2]):
            drawn.append(_maps(cells, free, strategies, metric))
        elif len(free) == 1:
            drawn.append(_lines(cells, free[0], strategies, metric))
        else:
            drawn.append(_scatter(cells, free, strategies, metric))
    return [part for part in drawn if part]


def _maps(
    cells: pd.DataFrame, free: Sequence[Key], strategies: Sequence[str], metric: Quantity
) -> Markup:
    across, down = free[0], free[1]
    found = swept.points(cells, [across.name, down.name], metric)
    known = [point for point in found if point.is_stable or not metric.is_latency]
    if not known:
        return Markup("")
    ends = (min(p.interval.mean for p in known), max(p.interval.mean for p in known))
    (x_name, columns), (y_name, rows) = texts(across), texts(down)
    names = (swept.fitted(x_name, 300), swept.fitted(y_name, max(27 * len(rows), 100)))
    panels = []
    n_drawn = max(MAX_MARKS // (len(across.values) * len(down.values)), 1)
    for label in strategies[:n_drawn]:
        mine = [point for point in found if point.strategy == label]
        size, unit = _scale(metric, mine)
        values = {
            (across.values.index(point.at[0]), down.values.index(point.at[1])): _shown(
                point, metric, size, (across, down)
            )
            for point in mine
        }
        if values:
            title = f"{label}: {metric.name} ({unit})"
            picture = heat_map(title, names, columns, rows, values, ends)
            panels.append(panel(f"{label} ({unit})", picture))
    said = _means(cells, [across, down], [key.name for key in free[2:]])
    said += " The same shades for every strategy." if len(panels) > 1 else ""
    left = len(strategies) - n_drawn
    said += f" {left} more strategies are not drawn." if left > 0 else ""
    legend = shades(metric.text(ends[0]), metric.text(ends[1]))
    title = f"{capitalised(metric.name)} by {across.name} and {down.name}"
    table = _values(title, found, (across, down), metric, has_intervals=len(free) == 2)
    return figure(title, panels, table, legend, said, is_wide=True)


def _lines(cells: pd.DataFrame, key: Key, strategies: Sequence[str], metric: Quantity) -> Markup:
    found = swept.points(cells, [key.name], metric)
    name, shown = texts(key)
    x = positions(swept.fitted(name, 380), shown)
    title = f"{capitalised(metric.name)} by {key.name}"
    series = [
        lines.Series(i, [
            _point(float(key.values.index(point.at[0])), point, metric, (key,))
            for point in sorted(found, key=lambda point: key.values.index(point.at[0]))
            if point.strategy == label and _is_result(point, metric)
        ])
        for i, label in enumerate(strategies)
    ]  # fmt: skip
    if not any(one.points for one in series):
        return Markup("")
    frame = Frame(x, _metric_axis(metric, series), width=460, height=280, left=60)
    said = _means(cells, [key], [])
    said += " Bars: 95 % interval (Student's t)." if said else ""
    return figure(
        title,
        [lines.lines(title, frame, series)],
        _values(title, found, (key,), metric),
        marks.lines_legend(strategies),
        said,
    )


def _scatter(
    cells: pd.DataFrame, free: Sequence[Key], strategies: Sequence[str], metric: Quantity
) -> Markup:
    found = swept.points(cells, [key.name for key in free], metric)
    every = 1 + len(found) * len(free) // MAX_MARKS
    drawn = found[::every]
    panels = []
    for index, key in enumerate(free):
        at = key.numbers or tuple(float(i) for i in range(len(key.values)))
        where = dict(zip(key.values, at, strict=True))
        name, shown = texts(key)
        x = positions(swept.fitted(name, 310), shown)
        if key.numbers:
            x = linear(swept.fitted(key.name, 240), key.numbers, key.unit)
        series = [
            lines.Series(i, [
                _point(where[point.at[index]], point, metric, free)
                for point in drawn
                if point.strategy == label and _is_result(point, metric)
            ])
            for i, label in enumerate(strategies)
        ]  # fmt: skip
        if any(one.points for one in series):
            frame = Frame(x, _metric_axis(metric, series), left=60)
            panels.append(panel(key.name, lines.lines(key.name, frame, series, is_joined=False)))
    if not panels:
        return Markup("")
    title = f"{capitalised(metric.name)} by {', '.join(key.name for key in free)}"
    values = _values(title, found, free, metric)
    said = _means(cells, free, [])
    said += f" Every {every}th of {len(found)} points is drawn." if every > 1 else ""
    legend = marks.lines_legend(strategies, is_joined=False)
    return figure(title, panels, values, legend, said, is_wide=True)


def _is_grid(cells: pd.DataFrame, keys: Sequence[Key]) -> bool:
    n = len(keys[0].values) * len(keys[1].values)
    pairs = set(zip(*(cells[key.name].map(show) for key in keys), strict=True))
    return len(pairs) >= _FILLED * n and n <= MAX_MARKS


def _is_result(point: Point, metric: Quantity) -> bool:
    return point.is_stable or not metric.is_latency


def _scale(metric: Quantity, points: Sequence[Point]) -> tuple[float, str]:
    """Give the size of a unit that suits a panel's middle value, and its name."""
    if metric.is_share:
        return 0.01, "%"
    size, sign = prefix(median(abs(point.interval.mean) for point in points) if points else 0.0)
    return size, f"{sign}{metric.unit}"


def _shown(
    point: Point, metric: Quantity, size: float, keys: Sequence[Key]
) -> tuple[float, str, str]:
    if not _is_result(point, metric):
        return math.nan, "unst.", _hint(point, "unstable", keys)
    mean = point.interval.mean
    shown = metric.number(mean) if metric.is_share else number(mean / size)
    return mean, shown, _hint(point, metric.text(mean), keys)


def _point(x: float, point: Point, metric: Quantity, keys: Sequence[Key]) -> lines.Point:
    factor = 100.0 if metric.is_share else 1.0
    of = point.interval
    said = _hint(point, metric.text(of.mean), keys)
    return lines.Point(x, factor * of.mean, said, factor * of.low, factor * of.high)


def _hint(point: Point, said: str, keys: Sequence[Key]) -> str:
    where = ", ".join(f"{key.name} {at}" for key, at in zip(keys, point.at, strict=True))
    n = f" (mean of {point.interval.n})" if point.interval.n > 1 else ""
    return f"{point.strategy}, {where}: {said}{n}"


def _metric_axis(metric: Quantity, series: Sequence[lines.Series]) -> Axis:
    ends = [
        end
        for one in series
        for point in one.points
        for end in (point.y, point.low, point.high)
        if math.isfinite(end)
    ]
    if metric.is_share:
        low, high = min(0.0, *ends, 0.0), max(100.0, *ends)
        return linear(f"{metric.name} (%)", [], low=low, high=high)
    return linear(metric.name, [0.0, *ends], metric.unit)


def _means(cells: pd.DataFrame, keys: Sequence[Key], others: Sequence[str]) -> str:
    settings = cells.groupby(
        [cells["strategy"].astype(str), *(cells[key.name].map(show) for key in keys)]
    )
    most = int(settings.size().max())
    if most <= 1:
        return ""
    over = f"seeds and {', '.join(others)}" if others else "seeds"
    return f"Means over {over}: up to {most} cells each."


def _values(
    caption: str,
    found: Sequence[Point],
    keys: Sequence[Key],
    metric: Quantity,
    *,
    has_intervals: bool = True,
) -> Markup:
    """Give the values behind a figure; cells that differ in other keys have no interval."""
    columns = [text("strategy"), *(text(key.name) for key in keys), column_of(metric)]
    if has_intervals:
        columns.append(Column("± (95 %)", metric.column[0], meaning="half of Student's interval"))
    rows: list[Row] = []
    for point in found:
        is_result = _is_result(point, metric)
        cells = [cell_with(metric, point.interval.mean) if is_result else Cell("unstable")]
        if has_intervals:
            half = point.interval.half_width
            cells.append(cell_with(metric, half) if is_result else Cell("-"))
        rows.append([point.strategy, *point.at, *cells, count(point.interval.n)])
    return table(
        caption, [*columns, Column("cells")], rows, n_heads=1 + len(keys), max_rows=MAX_ROWS
    )
