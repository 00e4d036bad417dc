"""Tables for papers: LaTeX (booktabs), Markdown, or CSV; means with intervals where replicated."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ecsim.core.errors import UserError
from ecsim.report.keys import short
from ecsim.report.material import Material
from ecsim.report.quantities import quantity
from ecsim.scenario.messages import not_one_of

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("latex", "markdown", "csv")
DEFAULT = ("accuracy", "cur", "latency_s.mean", "latency_s.p95", "energy_per_task_j.total")
_NO_VALUE = {"latex": "--", "markdown": "–"}
_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "µ": r"$\mu$",
} | {sign: f"\\{sign}" for sign in "&%$#_{}"}  # fmt: skip


def render(material: Material, metrics: Sequence[str] = (), form: str = "latex") -> str:
    """Give a table with one row per strategy (and source, and cell of a sweep).

    Parameters
    ----------
    metrics : its columns; empty: accuracy, upload rate, latency and energy.
    form : "latex", "markdown" or "csv". CSV has SI units, all digits and the interval's bounds.

    Raises
    ------
    UserError : there is no such metric or format.
    """
    if form not in FORMATS:
        raise UserError(not_one_of(form, FORMATS, "format"))
    metrics = tuple(metrics) or DEFAULT
    frame = material.means(metrics)
    if form == "csv":
        text: str = frame.to_csv(index=False, lineterminator="\n")
        return text
    keys = ["source"] if frame["source"].nunique() > 1 else []
    keys += [*material.keys, "strategy"]
    heads, cells = _columns(frame, metrics, form)
    rows = [
        [*(_key(row[key], form) for key in keys), *(column[i] for column in cells)]
        for i, row in enumerate(frame.to_dict("records"))
    ]
    titles = [_word("strategy" if key == "strategy" else key, form) for key in keys]
    note = _note(frame, material)
    if form == "markdown":
        return _markdown([*titles, *heads], rows, len(keys), note)
    return _latex([*titles, *heads], rows, len(keys), note)


def _columns(
    frame: pd.DataFrame, metrics: Sequence[str], form: str
) -> tuple[list[str], list[list[str]]]:
    heads, columns = [], []
    for metric in metrics:
        shown = quantity(metric)
        scale, unit = shown.scale(frame[metric])
        heads.append(_word(shown.label(unit), form))
        rows = frame.to_dict("records")
        columns.append([_cell(row, metric, scale, form) for row in rows])
    return heads, columns


def _cell(row: dict[Any, Any], metric: str, scale: float, form: str) -> str:
    """Write a mean with its half-width; latency of a queue that cannot keep up is no result."""
    if metric.startswith("latency") and row["n_unstable"]:
        several = f" ({row['n_unstable']} of {row['n']})" if row["n"] > 1 else ""
        return f"unstable{several}"
    mean, high = row[metric] * scale, row[f"{metric} high"] * scale
    if math.isnan(mean):
        return _NO_VALUE[form]
    half = high - mean
    if math.isnan(half):
        return _number(mean, _digits(mean))
    digits = _digits(half, significant=2) if half > 0 else _digits(mean)
    if form == "latex":
        return f"${_number(mean, digits)} \\pm {_number(half, digits)}$"
    return f"{_number(mean, digits)} ± {_number(half, digits)}"


def _digits(value: float, significant: int = 3) -> int:
    """Give how many digits after the point show so many significant ones, at most 9."""
    if value == 0:
        return 0
    return min(9, max(0, significant - 1 - math.floor(math.log10(abs(value)))))


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}"


def _note(frame: pd.DataFrame, material: Material) -> str:
    sources = ", ".join(dict.fromkeys(frame["source"]))
    most, least = int(frame["n"].max()), int(frame["n"].min())
    if most == 1:
        return f"{sources}: one run each, no intervals"
    n = str(most) if most == least else f"{least} to {most}"
    return f"{sources}: means and 95 % t-intervals over {n} replicates"


def _key(value: object, form: str) -> str:
    """Write a swept value; a source that does not vary the key has none."""
    if value is None or value != value:
        return _NO_VALUE[form]
    return _word(short(value), form)


def _word(text: object, form: str) -> str:
    if form == "markdown":
        return str(text).replace("|", "\\|")
    return re.sub(r"[\\~^µ&%$#_{}]", lambda match: _SPECIAL[match[0]], str(text))


def _latex(heads: list[str], rows: list[list[str]], n_words: int, note: str) -> str:
    columns = "l" * n_words + "r" * (len(heads) - n_words)
    lines = [
        f"% {note}",
        f"\\begin{{tabular}}{{{columns}}}",
        "\\toprule",
        " & ".join(heads) + r" \\",
        "\\midrule",
        *(" & ".join(row) + r" \\" for row in rows),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _markdown(heads: list[str], rows: list[list[str]], n_words: int, note: str) -> str:
    rule = ["---"] * n_words + ["---:"] * (len(heads) - n_words)
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows)]
    return "\n".join([*lines, "", note]) + "\n"
