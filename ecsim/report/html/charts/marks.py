"""Lines, markers, patterns and legends: what tells things apart when colour does not.

Class ``c0`` … ``c6`` are the colours of `ecsim.report.style` in the same order; a strategy has the
same colour, marker and dashes in every figure, on paper and here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ecsim.report.html.markup import Markup, join, tag

N_COLOURS = 7
N_PATTERNS = 4  # of one colour in a timeline

_DASHES = (None, "7 4", "8 3 2 3", "2 3", "8 2 2 2 2 2", "2 2", "11 4")
_MARKERS = (
    "M{l} {y}A{r} {r} 0 1 0 {h} {y}A{r} {r} 0 1 0 {l} {y}Z",  # circle
    "M{l} {t}H{h}V{b}H{l}Z",  # square
    "M{x} {t}L{h} {b}H{l}Z",  # triangle
    "M{x} {t}L{h} {y}L{x} {b}L{l} {y}Z",  # diamond
    "M{x} {b}L{h} {t}H{l}Z",  # triangle, pointing down
    "M{x} {t}V{b}M{l} {y}H{h}",  # plus
    "M{l} {t}L{h} {b}M{h} {t}L{l} {b}",  # cross
)
_HATCHES = {
    "plain": "",
    "down": "M-2 6L2 10M0 0L8 8M6 -2L10 2",
    "up": "M-2 2L2 -2M0 8L8 0M6 10L10 6",
    "cross": "M0 0L8 8M0 8L8 0",
    "bars": "M2 0V8M6 0V8",
    "rows": "M0 2H8M0 6H8",
    "plus": "M4 1V7M1 4H7",
    "dots": "M3 4A1 1 0 1 0 5 4A1 1 0 1 0 3 4Z",
    "rings": "M2 4A2 2 0 1 0 6 4A2 2 0 1 0 2 4Z",
}
AREAS = {
    "end": ("c4", "down"),
    "edge": ("c0", "plain"),
    "cloud": ("c1", "up"),
    "up": ("c2", "dots"),
    "down": ("c6", "cross"),
    "propagation": ("c7", "bars"),
    "wasted": ("c5", "plus"),
    "update": ("c3", "rows"),
}
"""Colour and hatch of each part of a task, as `ecsim.report.style` has them."""


def line_class(index: int) -> str:
    """Give the class of the colour of the index-th line."""
    return f"c{index % N_COLOURS}"


def dashes(index: int) -> str | None:
    """Give the dashes of the index-th line; None: solid."""
    return _DASHES[index % N_COLOURS]


def marker(index: int, x: float, y: float, size: float = 4.0, *, is_filled: bool = False) -> Markup:
    """Draw the marker of the index-th line; a second round pairs colours with other markers."""
    shape = _MARKERS[(index + index // N_COLOURS) % N_COLOURS]
    ends = {"l": x - size, "h": x + size, "t": y - size, "b": y + size, "x": x, "y": y, "r": size}
    path = shape.format(**{name: f"{end:.1f}" for name, end in ends.items()})
    return tag("path", d=path, class_=f"mark {line_class(index)}" + (" full" if is_filled else ""))


def hint(shape: Markup, text: str) -> Markup:
    """Give a shape that says `text` when pointed at."""
    return tag("g", tag("title", text), shape, class_="hint")


def area(part: str, *, is_wait: bool = False) -> str:
    """Give the fill of a part of a task: hatched on colour for work, on white for waiting."""
    return f"url(#{'wait' if is_wait else 'part'}-{part})"


def task_fill(number: int) -> str:
    """Give the fill of a task in a timeline."""
    return f"url(#task-{number % (N_COLOURS * N_PATTERNS)})"


def patterns() -> Markup:
    """Give the definitions of all fills; a page needs them once."""
    made = []
    for part, (colour, hatch) in AREAS.items():
        made.append(_pattern(f"part-{part}", colour, hatch, is_wait=False))
        outline = "rings" if hatch == "plain" else hatch
        made.append(_pattern(f"wait-{part}", colour, outline, is_wait=True))
    for i in range(N_COLOURS * N_PATTERNS):
        hatch = ("plain", "up", "dots", "bars")[i // N_COLOURS]
        made.append(_pattern(f"task-{i}", line_class(i), hatch, is_wait=False))
    return tag("svg", tag("defs", made), width=0, height=0, aria_hidden="true", class_="defs")


def lines_legend(labels: Sequence[str], *, is_joined: bool = True) -> Markup:
    """Give the legend of lines: a piece of each with its marker, or the marker alone."""
    return _legend(
        (join([_stroke(i, 0, 34, 8) if is_joined else None, marker(i, 17, 8)]), label)
        for i, label in enumerate(labels)
    )


def areas_legend(parts: Iterable[tuple[str, str, bool]]) -> Markup:
    """Give the legend of areas, for (text, part, is it waiting)."""
    swatches = (
        (tag("rect", x=1, y=1, width=32, height=14, fill=area(part, is_wait=is_wait),
             class_="piece"), text)
        for text, part, is_wait in parts
    )  # fmt: skip
    return _legend(swatches)


def _legend(entries: Iterable[tuple[Markup, str]]) -> Markup:
    items = [
        tag("li", tag("svg", swatch, width=34, height=16, viewBox="0 0 34 16", aria_hidden="true"),
            tag("span", text))
        for swatch, text in entries
    ]  # fmt: skip
    return tag("div", tag("ul", items), class_="legend")


def _stroke(index: int, x1: float, x2: float, y: float) -> Markup:
    return tag("line", x1=x1, x2=x2, y1=y, y2=y, stroke_dasharray=dashes(index),
               class_=f"line {line_class(index)}")  # fmt: skip


def _pattern(name: str, colour: str, hatch: str, *, is_wait: bool) -> Markup:
    ground = tag("rect", width=8, height=8, class_="paper" if is_wait else f"fill {colour}")
    lines = tag("path", d=_HATCHES[hatch], class_=f"hatch {colour if is_wait else 'paper'}")
    return tag("pattern", ground, lines if hatch != "plain" else None, id=name, width=8, height=8,
               patternUnits="userSpaceOnUse")  # fmt: skip
