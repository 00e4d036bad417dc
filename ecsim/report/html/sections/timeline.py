"""The first tasks of a traced run on a common time axis, server by server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ecsim.report.html.charts.timeline import Stay, timeline
from ecsim.report.html.markup import Markup, join
from ecsim.report.html.section import Section, figure, note, wide
from ecsim.report.html.tables import Column, Row, records, table, text, value
from ecsim.report.numbers import with_unit

if TYPE_CHECKING:
    import pandas as pd

    from ecsim.records.store import Run

N_TASKS = 12
MAX_ROWS = 24


def of_run(run: Run, n_tasks: int = N_TASKS) -> Section | None:
    """Give the timelines of the first tasks; None for a run that was not traced."""
    if "spans.parquet" not in run.manifest["files"]:
        return None
    spans = run.spans
    drawn = [
        _of_strategy(spans[(spans["strategy"] == label).to_numpy()], label, n_tasks)
        for label in run.summary
    ]
    said = "One row per server and link direction. A bar is a service, a thin line under it a "
    said += "wait; number, colour and pattern are the task's."
    return Section("timeline", "Timeline of the first tasks", join([note(said), *drawn]))


def _of_strategy(spans: pd.DataFrame, label: str, n_tasks: int) -> Markup | None:
    tasks = spans[(spans["kind"] == "task").to_numpy()].sort_values("t_start_s", kind="stable")
    first = tasks.head(n_tasks)
    of_tasks = spans["task_id"].isin(first["task_id"]).to_numpy()
    stays = spans[of_tasks & spans["kind"].isin(["service", "wait"]).to_numpy()]
    stays = stays.sort_values("t_start_s", kind="stable")
    if stays.empty:
        return None
    rows, shown = _lanes(records(stays))
    begin, end = float(first["t_start_s"].min()), float(stays["t_end_s"].max())
    title = f"{label}: the first {len(first)} tasks"
    columns = (Column("task"), text("what"), text("where"), Column("from", "s"), Column("to", "s"),
               Column("for", "ms"))  # fmt: skip
    listed: list[Row] = [
        [str(row.task_id), f"{row.what} ({row.kind})", f"{row.place} {row.component}",
         value(row.t_start_s), value(row.t_end_s), value(row.t_end_s - row.t_start_s, 1e3)]
        for row in records(stays)
    ]  # fmt: skip
    left = len(rows) - MAX_ROWS
    cut = f"{left} more servers are not drawn." if left > 0 else ""
    picture = timeline(
        title,
        (begin, end + 0.01 * (end - begin)),
        rows[:MAX_ROWS],
        [s for s in shown if s.row < MAX_ROWS],
    )
    return figure(title, [wide(picture, title)], table(title, columns, listed), note=cut)


def _lanes(stays: Iterable[Any]) -> tuple[list[str], list[Stay]]:
    """Give the names of the rows and the stays; who serves several at once has several rows."""
    rows: dict[tuple[str, int], int] = {}
    busy: dict[str, list[float]] = {}
    found = []
    for row in sorted(stays, key=lambda row: (f"{row.place} {row.component}", row.t_start_s)):
        server = f"{row.place} {row.component}"
        is_wait = row.kind == "wait"
        lane = 0
        if not is_wait:
            lanes = busy.setdefault(server, [])
            free = (i for i, until_s in enumerate(lanes) if until_s <= row.t_start_s + 1e-12)
            lane = next(free, len(lanes))
            lanes[lane : lane + 1] = [row.t_end_s]
        at = rows.setdefault((server, lane), len(rows))
        lasts = with_unit(row.t_end_s - row.t_start_s, "s")
        said = f"task {row.task_id}, {row.what}: {row.kind} at {server} from {row.t_start_s:.4f} s "
        said += f"for {lasts}"
        found.append(Stay(at, int(row.task_id), row.t_start_s, row.t_end_s, is_wait, said))
    return [name if lane == 0 else f"{name} ({lane + 1})" for name, lane in rows], found
