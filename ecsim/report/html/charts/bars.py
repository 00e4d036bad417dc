"""Stacked horizontal bars, and means with intervals; each name stands above its bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ecsim.report.html.charts import marks
from ecsim.report.html.charts.axes import Axis, Frame, picture, shorten, write
from ecsim.report.html.markup import Markup, join, tag

_ROW = 40.0
_BAR = 16.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a bar: its length, its fill and what it says when pointed at."""

    length: float
    fill: str
    hint: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with the ends of its interval (NaN: none); `index` chooses colour and marker."""

    index: int
    mean: float
    low: float
    high: float
    hint: str


def stacked(label: str, axis: Axis, rows: Sequence[tuple[str, str, Sequence[Piece]]]) -> Markup:
    """Draw one bar per (name, total as text, pieces); the axis begins at 0."""
    frame = _frame(axis, len(rows))
    drawn = _bare(frame)
    for i, (name, total, pieces) in enumerate(rows):
        drawn += _named(frame, i, name, total)
        x, y = 0.0, frame.top + i * _ROW + 19
        for piece in pieces:
            left, right = frame.px(x), frame.px(x + piece.length)
            x += piece.length
            rect = tag("rect", x=left, y=y, width=max(right - left, 0.4), height=_BAR,
                       fill=piece.fill, class_="piece")  # fmt: skip
            drawn.append(marks.hint(rect, piece.hint))
    return picture(label, frame.width, frame.height, drawn)


def estimates(label: str, axis: Axis, rows: Sequence[tuple[str, str, Estimate]]) -> Markup:
    """Draw one marker with its interval per (name, mean as text, estimate)."""
    frame = _frame(axis, len(rows))
    drawn = _bare(frame)
    for i, (name, shown, of) in enumerate(rows):
        drawn += _named(frame, i, name, shown)
        y = frame.top + i * _ROW + 19 + _BAR / 2
        shapes = []
        if math.isfinite(of.low) and math.isfinite(of.high):
            low, high = frame.px(of.low), frame.px(of.high)
            path = (
                f"M{low:.1f} {y:.1f}H{high:.1f}M{low:.1f} {y - 5:.1f}v10M{high:.1f} {y - 5:.1f}v10"
            )
            shapes.append(tag("path", d=path, class_=f"bar {marks.line_class(of.index)}"))
        shapes.append(marks.marker(of.index, frame.px(of.mean), y, 5.0))
        reach = tag("rect", x=frame.left, y=y - 9, width=frame.width - frame.left - frame.right,
                    height=18, class_="reach")  # fmt: skip
        drawn.append(marks.hint(join([reach, *shapes]), of.hint))
    return picture(label, frame.width, frame.height, drawn)


def _frame(axis: Axis, n: int) -> Frame:
    nothing = Axis("", 0.0, 1.0, ())
    return Frame(
        axis, nothing, width=400, height=n * _ROW + 54, left=10, right=16, top=4, bottom=46
    )


def _bare(frame: Frame) -> list[Markup]:
    """Draw the horizontal axis with lines upwards from its ticks."""
    base = frame.height - frame.bottom
    drawn = [
        tag("line", class_="grid", x1=frame.px(at), x2=frame.px(at), y1=frame.top, y2=base)
        for at, _text in frame.x.ticks
    ]
    return [*drawn, *frame.axes()]


def _named(frame: Frame, i: int, name: str, shown: str) -> list[Markup]:
    y = frame.top + i * _ROW + 13
    right = frame.width - frame.right
    room = right - frame.left - 7 * len(shown) - 12
    return [
        write(shorten(name, 0.8 * room), frame.left, y, kind="name"),
        write(shown, right, y, "end"),
    ]
