"""The sections of a sweep: what was varied, what it did, every cell, and what failed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ecsim.report.html import swept
from ecsim.report.html.markup import Markup, join, tag
from ecsim.report.html.metrics import MAIN, cell_with, column_of
from ecsim.report.html.section import Section, folded, note
from ecsim.report.html.sections import provenance, warnings
from ecsim.report.html.sections.effects import DRAWN, effects
from ecsim.report.html.tables import Cell, Column, Row, count, table, text
from ecsim.report.keys import Key, is_seed, show, texts, together

if TYPE_CHECKING:
    import pandas as pd

    from ecsim.records.sweeps import Sweep

_LONG = ("cells", "axes")
MAX_TRACEBACKS = 20


def of_sweep(sweep: Sweep) -> list[Section]:
    """Give the sections of a sweep, finished or not."""
    cells = sweep.cells
    failures = [{"cell": cell} | dict(why) for cell, why in sweep.failures.items()]
    first: dict[str, Any] = next((run.manifest for run in sweep.runs.values()), {})
    shared = {key: first[key] for key in provenance.SHARED if key in first}
    keys = swept.keys_of(cells, sweep.keys)
    varied = [key.name for key in keys if len(key.values) > 1 and not is_seed(key.name)]
    same = together(cells[varied].to_dict("records"), varied)
    free = [key for key in keys if not is_seed(key.name) and key.name not in same]
    boundary_of = {cell: str(run.manifest.get("boundary", "")) for cell, run in sweep.runs.items()}
    found = [
        Section("summary", "Summary", _summary(cells, keys, same, failures, boundary_of)),
        warnings.section([*_warnings(cells, failures), *warnings.of_manifest(first)]),
    ]
    if len(cells):
        drawn = _effects(cells, free, boundary_of)
        if drawn:
            found.append(Section("figures", "Figures", tag("div", drawn, class_="figures")))
        found.append(Section("cells", "Cells", _cells(cells, keys)))
    if failures:
        found.append(Section("failures", "Failures", _failures(failures)))
    known = {key: of for key, of in sweep.manifest.items() if key not in _LONG}
    found.append(provenance.of(known | shared))
    return found


def _effects(
    cells: pd.DataFrame, keys: Sequence[Key], boundary_of: Mapping[str, str]
) -> list[Markup]:
    """Draw what keys do to metrics; energies of each boundary in figures of their own."""
    parts = _by_boundary(cells, boundary_of)
    if len(parts) == 1:
        return effects(cells, keys)
    drawn = effects(cells, keys, [metric for metric in DRAWN if not metric.is_energy])
    for boundary, mine in parts.items():
        inside = swept.keys_of(mine, [key.name for key in keys])
        for metric in DRAWN:
            if metric.is_energy:
                named = replace(metric, name=f"{metric.name}, boundary {boundary}")
                drawn += effects(mine, inside, [named])
    return drawn


def _by_boundary(cells: pd.DataFrame, boundary_of: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    found = cells["cell"].astype(str).map(boundary_of)
    known = found.dropna().unique()
    found = found.fillna(known[0] if len(known) == 1 else "unknown")  # cells whose run is gone
    return {name: cells[(found == name).to_numpy()] for name in dict.fromkeys(found.tolist())}


def _summary(
    cells: pd.DataFrame,
    keys: Sequence[Key],
    same: Mapping[str, str],
    failures: Sequence[Mapping[str, Any]],
    boundary_of: Mapping[str, str],
) -> Markup:
    n = cells["cell"].nunique() if len(cells) else 0
    said = f"{n} cells finished, {len(failures)} failed."
    rows: list[Row] = []
    for key in keys:
        name, shown = texts(key)
        if len(shown) > 12:
            shown = [*shown[:5], "…", shown[-1]]
        role = "replicates" if is_seed(key.name) else "varied"
        if key.name in same:
            role = f"together with {same[key.name]}"
        rows.append([name, role, count(len(key.values)), ", ".join(shown)])
    columns = (text("key"), text("role"), Column("values"), text("which"))
    parts = [note(said), table("What was varied", columns, rows)]
    if n:
        for boundary, mine in (found := _by_boundary(cells, boundary_of)).items():
            parts.append(_ranges(mine, f", boundary {boundary}" if len(found) > 1 else ""))
    return join(parts)


def _ranges(cells: pd.DataFrame, which: str) -> Markup:
    shown = [metric for metric in MAIN if metric.path in cells.columns]
    columns = [text("strategy"), Column("cells")]
    for metric in shown:
        columns += [
            Column(f"{metric.name}, {end}", metric.column[0]) for end in ("lowest", "highest")
        ]
    rows: list[Row] = []
    for label in dict.fromkeys(cells["strategy"].tolist()):
        mine = cells[(cells["strategy"] == label).to_numpy()]
        row: list[Cell | str] = [str(label), count(len(mine))]
        for metric in shown:
            known = mine if not metric.is_latency else mine[swept.is_stable(mine)]
            of = known[metric.path].to_numpy(float)
            of = of[[math.isfinite(one) for one in of]]
            row += [cell_with(metric, end(of) if len(of) else None) for end in (min, max)]
        rows.append(row)
    return table(f"Lowest and highest over the cells{which}", columns, rows)


def _warnings(cells: pd.DataFrame, failures: Sequence[Mapping[str, Any]]) -> list[Markup]:
    items = []
    if failures:
        items.append(tag("li", tag("strong", f"Failed cells: {len(failures)}; "), "see Failures."))
    for label in dict.fromkeys(cells["strategy"].tolist()) if len(cells) else ():
        mine = cells[(cells["strategy"] == label).to_numpy()]
        n = int((~swept.is_stable(mine)).sum())
        if n:
            head = tag("strong", f"{label} is unstable in {n} of {len(mine)} cells: ")
            why = "a queue cannot keep up there, and its latency depends on the run's length."
            items.append(tag("li", head, why))
    return items


def _cells(cells: pd.DataFrame, keys: Sequence[Key]) -> Markup:
    shown = [metric for metric in MAIN if metric.path in cells.columns]
    columns = [text("cell"), text("strategy")]
    columns += [Column(texts(key)[0], is_number=key.numbers is not None) for key in keys]
    columns += [column_of(metric) for metric in shown]
    short = {key.name: dict(zip(key.values, texts(key)[1], strict=True)) for key in keys}
    orders = {key.name: dict(zip(key.values, key.numbers or (), strict=False)) for key in keys}
    rows: list[Row] = []
    for row, is_stable in zip(cells.to_dict("records"), swept.is_stable(cells), strict=True):
        line: list[Cell | str] = [str(row["cell"])[:12], str(row["strategy"])]
        for name, of in short.items():
            said = show(row[name])
            line.append(Cell(of[said], orders[name].get(said), said))
        for metric in shown:
            if metric.is_latency and not is_stable:
                line.append(Cell("unstable"))
            else:
                line.append(cell_with(metric, row[metric.path]))
        rows.append(line)
    said = note("A cell is an ordinary run: ", tag("code", "ecsim report"), " takes its folder.")
    return join([table("Every cell", columns, rows, n_heads=2), said])


def _failures(failures: Sequence[Mapping[str, Any]]) -> Markup:
    parts = []
    for failure in failures[:MAX_TRACEBACKS]:
        about = {key: of for key, of in failure.items() if key not in ("traceback", "values")}
        about |= failure.get("values") or {}
        facts = [(tag("dt", str(key)), tag("dd", show(of))) for key, of in about.items()]
        cell = str(failure.get("cell", failure.get("id", "cell")))[:12]
        trace = str(failure.get("traceback", ""))
        pre = tag("div", tag("pre", tag("code", trace)), class_="scroll", role="group",
                  aria_label=f"Traceback of {cell}", tabindex=0)  # fmt: skip
        body = join([tag("dl", facts, class_="facts"), pre if trace else None])
        parts.append(folded(tag("h4", f"Cell {cell}"), body))
    left = len(failures) - MAX_TRACEBACKS
    return join([parts, note(f"{left} more are in the folder failures.") if left > 0 else None])
