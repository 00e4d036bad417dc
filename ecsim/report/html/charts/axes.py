"""Scales, ticks and the frame that charts are drawn in; positions are in units of the viewBox."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ecsim.report.html.markup import Markup, tag
from ecsim.report.numbers import prefix

CHAR = 6.7  # width of an average character at the size of chart text
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its label with unit, its ticks as (value, text), and what it covers."""

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    is_log: bool = False

    def at(self, value: float) -> float:
        """Give where a value lies, 0 at the low end and 1 at the high one."""
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def linear(
    label: str,
    values: Iterable[float],
    unit: str = "",
    *,
    low: float | None = None,
    high: float | None = None,
    n: int = 5,
) -> Axis:
    """Give a linear axis around values, or between given ends, with about `n` round ticks."""
    known = [value for value in values if math.isfinite(value)]
    lowest = low if low is not None else min(known, default=0.0)
    highest = high if high is not None else max(known, default=1.0)
    if highest <= lowest:
        highest = lowest + (abs(lowest) or 1.0)
    size, sign = prefix(max(abs(lowest), abs(highest)), unit) if unit else (1.0, "")
    step = _step(highest - lowest, n)
    first, last = math.floor(lowest / step + 1e-9), math.ceil(highest / step - 1e-9)
    if low is not None:
        first = math.ceil(low / step - 1e-9)
    if high is not None:
        last = math.floor(high / step + 1e-9)
    ticks = tuple((i * step, f"{round(i * step / size, 9):g}") for i in range(first, last + 1))
    ends = (
        lowest if low is not None else ticks[0][0],
        highest if high is not None else ticks[-1][0],
    )
    return Axis(f"{label} ({sign}{unit})" if unit else label, *ends, ticks)


def logarithmic(label: str, values: Iterable[float], unit: str = "") -> Axis:
    """Give an axis with a tick for each power of ten; only positive values count."""
    known = [value for value in values if value > 0 and math.isfinite(value)]
    first = math.floor(math.log10(min(known, default=1.0)) + 1e-9)
    last = max(math.ceil(math.log10(max(known, default=1.0)) - 1e-9), first + 1)
    every = 1 + (last - first) // 7
    ticks = []
    for i in range(first, last + 1, every):
        size, sign = prefix(10.0**i, unit) if unit else (1.0, "")
        ticks.append((10.0**i, f"{round(10.0**i / size, 12):g} {sign}{unit}".strip()))
    return Axis(label, 10.0**first, 10.0**last, tuple(ticks), is_log=True)


def positions(label: str, names: Sequence[str]) -> Axis:
    """Give an axis for things in a row, at 0, 1, …; of many only some have a tick."""
    every = 1 + (len(names) - 1) // 8
    ticks = tuple((float(i), name) for i, name in enumerate(names) if i % every == 0)
    return Axis(label, -0.5, len(names) - 0.5, ticks)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a chart is drawn: the picture's size and the margins around the data."""

    x: Axis
    y: Axis
    width: float = 400.0
    height: float = 250.0
    left: float = 52.0
    right: float = 12.0
    top: float = 12.0
    bottom: float = 44.0

    def px(self, value: float) -> float:
        """Give the horizontal position of a value."""
        return self.left + self.x.at(value) * (self.width - self.left - self.right)

    def py(self, value: float) -> float:
        """Give the vertical position of a value."""
        return self.height - self.bottom - self.y.at(value) * (self.height - self.top - self.bottom)

    def axes(self) -> list[Markup]:
        """Draw grid, ticks and labels."""
        right, base = self.width - self.right, self.height - self.bottom
        drawn = []
        for value, text in self.y.ticks:
            at = self.py(value)
            drawn.append(tag("line", class_="grid", x1=self.left, x2=right, y1=at, y2=at))
            drawn.append(write(text, self.left - 6, at + 4, "end"))
        room = (right - self.left) / max(len(self.x.ticks), 1)
        for value, text in self.x.ticks:
            at = self.px(value)
            drawn.append(tag("line", class_="tick", x1=at, x2=at, y1=base, y2=base + 4))
            drawn.append(write(shorten(text, room), at, base + 17, "middle"))
        drawn.append(tag("line", class_="axis", x1=self.left, x2=right, y1=base, y2=base))
        middle = (self.left + right) / 2
        drawn.append(write(self.x.label, middle, self.height - 6, "middle", "label"))
        up = (self.top + base) / 2
        turn = f"rotate(-90 13 {up:.2f})"
        return [*drawn, write(self.y.label, 13, up, "middle", "label", transform=turn)]


def picture(label: str, width: float, height: float, drawn: Iterable[Markup]) -> Markup:
    """Give a whole picture that says what it is to those who cannot see it."""
    box = f"0 0 {width:g} {height:g}"
    return tag("svg", list(drawn), viewBox=box, role="img", aria_label=label, class_="chart",
               width=width, height=height)  # fmt: skip


def write(
    text: str, x: float, y: float, anchor: str = "start", kind: str = "", **more: str
) -> Markup:
    """Write text at a position; `anchor` says which of its ends lies there."""
    if not text:
        return Markup("")
    where = None if anchor == "start" else anchor
    return tag("text", text, x=x, y=y, text_anchor=where, class_=kind or None, **more)


def shorten(text: str, width: float) -> str:
    """Cut text that would be wider than `width`; an ellipsis says so."""
    n = max(int(width / CHAR), 3)
    return text if len(text) <= n else text[: n - 1] + "…"


def _step(extent: float, n: int) -> float:
    rough = extent / n
    size = 10.0 ** math.floor(math.log10(rough))
    return size * next(step for step in _STEPS if step * size >= rough * (1 - 1e-9))
