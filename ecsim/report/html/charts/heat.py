"""Heat maps: a value per pair of things, as a shade and, where there is room, as a number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ecsim.report.html.charts import marks
from ecsim.report.html.charts.axes import CHAR, picture, shorten, write
from ecsim.report.html.markup import Markup, join, tag

N_SHADES = 9
_WIDTH = 420.0
_CELL = 30.0


def heat_map(
    label: str,
    names: tuple[str, str],
    across: Sequence[str],
    down: Sequence[str],
    values: Mapping[tuple[int, int], tuple[float, str, str]],
    ends: tuple[float, float],
) -> Markup:
    """Draw values at (column, row), each as (value, text, hint); a missing one is hatched.

    Parameters
    ----------
    label : what the picture is.
    names : of what lies across, and of what lies down.
    across, down : the names of the columns, left to right, and of the rows, from below.
    values : by indices into `across` and `down`.
    ends : the values of the first and the last shade.
    """
    left = min(max((len(name) for name in down), default=1) * CHAR, 110.0) + 30
    size = (_WIDTH - left - 8) / max(len(across), 1)
    cell = _CELL if len(down) <= 16 else 480 / len(down)
    base = 8 + cell * len(down)
    every = 1 + int(max(len(name) for name in across) * CHAR + 6) // max(int(size), 1)
    drawn = []
    for column, name in enumerate(across):
        if column % every == 0:
            text = shorten(name, size * every)
            drawn.append(write(text, left + (column + 0.5) * size, base + 16, "middle"))
    every_row = 1 + int(13 / cell)
    for row, name in enumerate(down):
        if row % every_row == 0:
            at = base - (row + 0.5) * cell + 4
            drawn.append(write(shorten(name, 110), left - 6, at, "end"))
    longest = max((len(text) for _, text, _ in values.values()), default=0)
    has_room = longest * CHAR < size - 2 and cell >= 14
    for column in range(len(across)):
        for row in range(len(down)):
            x, y = left + column * size, base - (row + 1) * cell
            of = values.get((column, row))
            shade = "none" if of is None or not math.isfinite(of[0]) else shade_of(of[0], *ends)
            box = tag("rect", x=x, y=y, width=size, height=cell, class_=f"cell h-{shade}")
            text = of[1] if of is not None and has_room else ""
            number = write(text, x + size / 2, y + cell / 2 + 4, "middle", f"on h-{shade}")
            says = of[2] if of is not None else f"{across[column]}, {down[row]}: no value"
            drawn.append(marks.hint(join([box, number if text else None]), says))
    height = base + 42
    drawn.append(write(names[0], (left + _WIDTH - 8) / 2, height - 6, "middle", "label"))
    middle = 8 + cell * len(down) / 2
    turn = f"rotate(-90 13 {middle:.2f})"
    drawn.append(write(names[1], 13, middle, "middle", "label", transform=turn))
    return picture(label, _WIDTH, height, drawn)


def shade_of(value: float, low: float, high: float) -> str:
    """Give the number of the shade of a value, 0 at the low end.

    >>> shade_of(1.0, 0.0, 1.0), shade_of(0.0, 0.0, 1.0), shade_of(5.0, 5.0, 5.0)
    ('8', '0', '0')
    """
    if high <= low:
        return "0"
    return str(min(max(int(N_SHADES * (value - low) / (high - low)), 0), N_SHADES - 1))


def shades(low: str, high: str) -> Markup:
    """Give the legend: the row of shades between the texts of its ends."""
    boxes = [
        tag("rect", x=i * 16.0, y=1, width=16, height=14, class_=f"cell h-{i}")
        for i in range(N_SHADES)
    ]
    row = tag("svg", boxes, width=144, height=16, viewBox="0 0 144 16", aria_hidden="true")
    return tag("div", tag("span", low), " ", row, " ", tag("span", high), class_="legend shades")
