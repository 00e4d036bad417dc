"""Tables that a reader, a screen reader and the sorting script understand alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ecsim.report.html.markup import Child, Markup, tag
from ecsim.report.numbers import number, percent

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS = 1000
"""A longer table is cut, and says so: the file stays small, the data are in the result's folder."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its head, its unit (shown under the head) and whether it holds numbers."""

    head: str
    unit: str = ""
    is_number: bool = True
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell shows, what it is sorted by, and what it says when pointed at."""

    shown: Child
    key: float | str | None = None
    hint: str = ""


Row = Sequence["Cell | str"]


def records(frame: pd.DataFrame, **where: str) -> list[Any]:
    """Give the rows of a frame as named tuples: all, or those with these values."""
    for column, wanted in where.items():
        frame = frame[(frame[column] == wanted).to_numpy()]
    return list(frame.itertuples(index=False))


def text(head: str, meaning: str = "") -> Column:
    """Give a column of words."""
    return Column(head, "", False, meaning)


def value(of: Any, scale: float = 1.0) -> Cell:
    """Give the cell of a number, in the unit that `scale` makes of it."""
    return Cell(number(of, scale), None if of is None or of != of else float(of))


def count(of: Any) -> Cell:
    """Give the cell of a number of things."""
    return Cell(f"{of:.0f}", float(of))


def share(of: Any) -> Cell:
    """Give the cell of a share, in per cent."""
    return Cell(percent(of), None if of is None or of != of else float(of))


def table(
    caption: str,
    columns: Sequence[Column],
    rows: Iterable[Row],
    *,
    n_heads: int = 1,
    max_rows: int = MAX_ROWS,
) -> Markup:
    """Give a table in a frame that scrolls sideways; the first `n_heads` cells name their row."""
    all_rows = list(rows)
    shown = all_rows[:max_rows]
    heads = [
        tag(
            "th",
            tag("span", _breakable(column.head)),
            tag("span", column.unit, class_="unit") if column.unit else None,
            scope="col",
            class_="num" if column.is_number else None,
            title=column.meaning or None,
        )
        for column in columns
    ]
    body = [
        tag("tr", [_cell(cell, columns[i], i < n_heads) for i, cell in enumerate(row)])
        for row in shown
    ]
    cut = f" (the first {max_rows} of {len(all_rows)} rows)" if len(all_rows) > max_rows else ""
    inner = tag(
        "table",
        tag("caption", caption + cut),
        tag("thead", tag("tr", heads)),
        tag("tbody", body),
        class_="sortable" if len(shown) > 1 else None,
    )
    return tag("div", inner, class_="scroll", role="group", aria_label=caption, tabindex=0)


def _breakable(name: str) -> list[Child]:
    """Let a dotted or underscored name go on in the next line after these signs."""
    return [[part, tag("wbr")] for part in re.split(r"(?<=[._])", name)]


def _cell(cell: Cell | str, column: Column, is_head: bool) -> Markup:
    of = cell if isinstance(cell, Cell) else Cell(cell)
    kind = "num" if column.is_number else None
    if not column.is_number and isinstance(of.shown, str) and len(of.shown) > 30:
        kind = "long"
    return tag(
        "th" if is_head else "td",
        of.shown,
        scope="row" if is_head else None,
        class_=kind,
        data_v=repr(of.key) if isinstance(of.key, float) else of.key,
        title=of.hint or None,
    )
