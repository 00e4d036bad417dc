"""One page per phase of the schedule: what each strategy did while it lasted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecsim.records.metrics import Summary
from ecsim.report.html.markup import join
from ecsim.report.html.metrics import OF_A_PHASE, cell_of, column_of
from ecsim.report.html.section import MAX_PAGES, Section, note, pages
from ecsim.report.html.tables import Column, Row, count, table, text


def of_summary(summary: Summary, manifest: Mapping[str, Any]) -> Section | None:
    """Give the pages of the phases; None when there are none."""
    numbers = sorted({phase["phase"] for of in summary.values() for phase in of["phases"]})
    if not numbers:
        return None
    groups = manifest.get("class_groups", [])
    columns = [text("strategy"), Column("tasks"), *(column_of(metric) for metric in OF_A_PHASE)]
    entries = []
    for number in numbers[:MAX_PAGES]:
        rows: list[Row] = []
        n_tasks = 0.0
        for label, of in summary.items():
            for phase in of["phases"]:
                if phase["phase"] == number:
                    about = {"stable": of.get("stable", True)} | phase
                    cells = [cell_of(metric, about) for metric in OF_A_PHASE]
                    rows.append([label, count(phase["n"]), *cells])
                    n_tasks = max(n_tasks, phase["n"])
        title = f"Phase {number}: {n_tasks:.0f} tasks"
        if number < len(groups):
            title += f", new classes {', '.join(map(str, groups[number]))}"
        entries.append((title, table(f"Phase {number}", columns, rows)))
    left = len(numbers) - len(entries)
    more = note(f"{left} later phases are not shown; they are in summary.json.") if left else None
    return Section("phases", "Phases", join([pages(entries), more]))
