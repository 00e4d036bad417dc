"""What the scenario asserted, and whether it holds: what a reader wants to know first."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ecsim.report.html.markup import Markup, join, tag
from ecsim.report.html.section import note
from ecsim.report.html.tables import Cell, Row, table, text

Assertions = Sequence[Mapping[str, Any]]
"""Those of one run, as its manifest has them: text, holds, values."""

_LONG = re.compile(r"-?\d+\.\d{5,}(?:e[-+]?\d+)?")


def verdicts(entries: Sequence[tuple[str, Sequence[Assertions]]]) -> Markup:
    """Give the verdicts of (name of the result, the assertions of each of its runs)."""
    rows: list[Row] = []
    n_false = 0
    for name, runs in entries:
        by_text: dict[str, list[Mapping[str, Any]]] = {}
        for assertions in runs:
            for entry in assertions:
                by_text.setdefault(str(entry["text"]), []).append(entry)
        for asserted, found in by_text.items():
            n_holds = sum(bool(entry["holds"]) for entry in found)
            n_false += n_holds < len(found)
            values = str(found[0]["values"]) if len(found) == 1 else ""
            short = _LONG.sub(lambda match: f"{float(match[0]):.4g}", values)
            rows.append([_verdict(n_holds, len(found)), name, asserted, Cell(short, values)])
    if not rows:
        return note(
            "Nothing was asserted: the scenario has no section ", tag("code", "assert"), "."
        )
    said = "All assertions hold." if not n_false else f"{n_false} of {len(rows)} do not hold."
    head = tag("p", said, class_="bad" if n_false else "good")
    columns = [text("verdict"), text("result"), text("assertion"), text("with the values")]
    if not any(row[-1] != Cell("") for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return join([head, table("Assertions of the scenario", columns, rows)])


def _verdict(n_holds: int, n: int) -> Cell:
    is_true = n_holds == n
    words = "✓ holds" if is_true else "✗ FALSE"
    if n > 1:
        words += f" (in {n} runs)" if is_true else f" (holds in {n_holds} of {n} runs)"
    return Cell(tag("span", words, class_="good" if is_true else "bad"), words)
