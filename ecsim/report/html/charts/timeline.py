"""Who was served where and when: one row per server or link, one fill per task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ecsim.report.html.charts import marks
from ecsim.report.html.charts.axes import CHAR, Axis, Frame, linear, picture, shorten, write
from ecsim.report.html.markup import Markup, join, tag

_NARROW, _BROAD = 920.0, 1700.0
_READABLE = 22.0  # width of a service with room for its number
_LANE = 22.0


@dataclass(frozen=True, slots=True)
class Stay:
    """A service or a wait of a task (-1: none's) in a row, with what it says when pointed at."""

    row: int
    task_id: int
    start_s: float
    end_s: float
    is_wait: bool
    hint: str


def timeline(
    label: str, ends_s: tuple[float, float], rows: Sequence[str], stays: Sequence[Stay]
) -> Markup:
    """Draw services as bars and waits as thin lines under them.

    The picture is as broad as it takes to write a task's number into the longest services, unless
    that is too broad to be looked at.
    """
    begin_s, end_s = ends_s
    left = min(max((len(row) for row in rows), default=1) * CHAR + 14, 230.0)
    longest_s = max((stay.end_s - stay.start_s for stay in stays if not stay.is_wait), default=0.0)
    wanted = left + 14 + _READABLE * (end_s - begin_s) / longest_s if longest_s > 0 else 0.0
    width = max(wanted, _NARROW) if wanted <= _BROAD else _NARROW
    axis = linear("simulated time", [], "s", low=begin_s, high=end_s, n=int(width / 150))
    height = len(rows) * _LANE + 54
    bare = replace(axis, label="")
    frame = Frame(bare, Axis("", 0.0, 1.0, ()), width, height, left, right=14, top=8, bottom=46)
    base = height - frame.bottom
    drawn = [
        tag("line", class_="grid", x1=frame.px(at), x2=frame.px(at), y1=frame.top, y2=base)
        for at, _text in axis.ticks
    ]
    for i, row in enumerate(rows):
        y = frame.top + i * _LANE
        drawn.append(tag("line", class_="grid", x1=left, x2=width - 14, y1=y, y2=y))
        drawn.append(write(shorten(row, left - 12), left - 8, y + 15, "end"))
    for stay in sorted(stays, key=lambda stay: not stay.is_wait):
        start, end = frame.px(stay.start_s), frame.px(min(stay.end_s, axis.high))
        y, length = frame.top + stay.row * _LANE, max(end - start, 2.0)
        if stay.is_wait:
            colour = marks.line_class(stay.task_id) if stay.task_id >= 0 else "c7"
            path = f"M{start:.1f} {y + 19.5:.1f}h{length:.1f}"
            shape = tag("path", d=path, class_=f"wait {colour}")
        else:
            fill = marks.task_fill(stay.task_id) if stay.task_id >= 0 else marks.area("update")
            shape = tag("rect", x=start, y=y + 3, width=length, height=14, fill=fill,
                        class_="piece" if length > 4 else "piece slim")  # fmt: skip
            if len(str(stay.task_id)) * CHAR + 6 < length and stay.task_id >= 0:
                plate = tag("rect", x=start + 2, y=y + 4, height=12, class_="plate",
                            width=len(str(stay.task_id)) * CHAR + 3)  # fmt: skip
                shape = join([shape, plate, write(str(stay.task_id), start + 3.5, y + 14)])
        drawn.append(marks.hint(shape, stay.hint))
    named = write(axis.label, left, height - 6, kind="label")  # in sight however broad it is
    return picture(label, width, height, [*drawn, *frame.axes(), named])
