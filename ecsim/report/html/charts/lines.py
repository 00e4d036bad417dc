"""Lines and points over two axes: one line per strategy, with intervals where there are some."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ecsim.report.html.charts import marks
from ecsim.report.html.charts.axes import Frame, picture
from ecsim.report.html.markup import Markup, tag


@dataclass(frozen=True, slots=True)
class Point:
    """A point, what it says when pointed at, and the ends of its interval (NaN: none)."""

    x: float
    y: float
    hint: str
    low: float = math.nan
    high: float = math.nan
    size: float = 4.0
    is_filled: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """The points of one strategy; `index` chooses its colour, marker and dashes."""

    index: int
    points: Sequence[Point]
    path: Sequence[tuple[float, float]] | None = None  # a finer line than through the points


def lines(label: str, frame: Frame, series: Sequence[Series], *, is_joined: bool = True) -> Markup:
    """Draw lines with markers; without `is_joined` the markers alone."""
    drawn = frame.axes()
    for one in series:
        through = one.path if one.path is not None else [(p.x, p.y) for p in one.points]
        if is_joined and len(through) > 1:
            places = " ".join(f"{frame.px(x):.1f},{frame.py(y):.1f}" for x, y in through)
            drawn.append(
                tag("polyline", points=places, stroke_dasharray=marks.dashes(one.index),
                    class_=f"line {marks.line_class(one.index)}")
            )  # fmt: skip
    # the markers of later lines are smaller, so that equal points stay visible
    for rank, one in enumerate(series):
        for point in one.points:
            x, y = frame.px(point.x), frame.py(point.y)
            size = max(point.size - 0.4 * rank, 2.2)
            shapes = [marks.marker(one.index, x, y, size, is_filled=point.is_filled)]
            if math.isfinite(point.low) and math.isfinite(point.high):
                low, high = frame.py(point.low), frame.py(point.high)
                cap = f"M{x - 3:.1f} {{:.1f}}h6"
                path = f"M{x:.1f} {low:.1f}V{high:.1f}" + cap.format(low) + cap.format(high)
                shapes.append(tag("path", d=path, class_=f"bar {marks.line_class(one.index)}"))
            reach = tag("circle", cx=x, cy=y, r=9.0, class_="reach")
            drawn.append(marks.hint(Markup("".join([reach, *shapes])), point.hint))
    return picture(label, frame.width, frame.height, drawn)
