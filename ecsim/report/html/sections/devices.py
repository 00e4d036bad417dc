"""One page per device: its tasks, updates, energy and battery under each strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecsim.records.tables import ANSWERED
from ecsim.report.html.markup import Markup, join
from ecsim.report.html.section import MAX_PAGES, Section, note, pages
from ecsim.report.html.tables import Cell, Column, Row, count, records, share, table, text, value

if TYPE_CHECKING:
    import pandas as pd

    from ecsim.records.store import Run

_TASKS = (
    text("strategy"),
    Column("tasks"),
    Column("answered"),
    Column("stream accuracy", "%"),
    Column("CUR", "%"),
    Column("mean latency", "ms"),
    Column("p95 latency", "ms"),
    Column("energy per task", "mJ", meaning="marginal, without updates"),
    Column("own updates"),
    Column("their energy", "mJ"),
    Column("probe accuracy, last version", "%"),
)
_STATES = (
    text("strategy"),
    text("component"),
    text("state"),
    Column("time", "s"),
    Column("energy", "J", meaning="with idle power"),
    Column("of it, marginal", "J", meaning="charged to tasks, trainings or tenants"),
)
_BATTERY = (
    text("strategy"),
    Column("capacity", "J"),
    Column("at the start", "J"),
    Column("at the end", "J"),
    Column("charged", "J"),
    Column("drawn", "J"),
    Column("times empty"),
    Column("out of service", "s"),
)

_COLUMNS = (
    "strategy", "device", "task_id", "status", "t_arrive_s", "latency_s", "correct", "uploaded",
    "energy_j",
)  # fmt: skip


def of_run(run: Run) -> Section | None:
    """Give the pages of the devices at which tasks arrived; None without tasks."""
    tasks = run.some_tasks(*_COLUMNS)
    window = run.manifest["warmup_s"], run.manifest["horizon_s"]
    tasks = tasks[tasks["t_arrive_s"].between(*window).to_numpy()]
    if tasks.empty:
        return None
    by_device = {str(name): part for name, part in tasks.groupby("device", observed=True)}
    entries = []
    for device in sorted(by_device, key=_natural)[:MAX_PAGES]:
        mine = by_device[device]
        rows = [_line(run, device, label, mine) for label in run.summary]
        body = [table(f"{device}: tasks and updates", _TASKS, rows)]
        body += [part for part in (_states(run, device), _battery(run, device)) if part]
        entries.append((f"{device}: {mine['task_id'].nunique()} tasks", join(body)))
    left = len(by_device) - len(entries)
    more = note(f"{left} more devices are not shown; tasks.parquet has them.") if left else None
    return Section("devices", "Devices", join([pages(entries), more]))


def _line(run: Run, device: str, label: str, tasks: pd.DataFrame) -> Row:
    mine = tasks[(tasks["strategy"] == label).to_numpy()]
    is_answered = mine["status"].isin(ANSWERED).to_numpy()
    latency = mine["latency_s"][is_answered]
    updates, probe = _of(run.updates, device, label), _of(run.probe, device, label)
    own = updates[(updates["source"] == "own").to_numpy()]
    last = probe.sort_values(["version", "t_s"], kind="stable")["accuracy"].tolist()[-1:]
    times = [value(latency.mean(), 1e3), value(latency.quantile(0.95), 1e3)]
    if not run.summary[label].get("stable", True):
        times = [Cell("unstable"), Cell("unstable")]
    return [
        label,
        count(len(mine)),
        count(is_answered.sum()),
        share(mine["correct"].mean()),
        share(mine["uploaded"].mean()),
        *times,
        value(mine["energy_j"].mean(), 1e3),
        count(len(own)),
        value(own["joules"].sum(), 1e3),
        share(last[0] if last else None),
    ]


def _states(run: Run, device: str) -> Markup | None:
    rows: list[Row] = [
        [str(row.strategy), str(row.component), str(row.state),
         value(row.seconds), value(row.joules), value(row.marginal_j)]
        for row in records(run.energy, node=device)
        if row.seconds or row.joules
    ]  # fmt: skip
    caption = f"{device}: time and energy by state"
    return table(caption, _STATES, rows, n_heads=3) if rows else None


def _battery(run: Run, device: str) -> Markup | None:
    rows: list[Row] = [
        [str(row.strategy), value(row.capacity_j), value(row.initial_j), value(row.final_j),
         value(row.charged_j), value(row.drawn_j), count(row.n_depleted), value(row.down_s)]
        for row in records(run.batteries, node=device)
    ]  # fmt: skip
    return table(f"{device}: battery", _BATTERY, rows) if rows else None


def _of(frame: pd.DataFrame, device: str, label: str) -> pd.DataFrame:
    return frame[(frame["device"] == device).to_numpy() & (frame["strategy"] == label).to_numpy()]


def _natural(name: str) -> tuple[str, int, str]:
    """Order cam[2] before cam[10]."""
    head, _, index = name.partition("[")
    number = index.rstrip("]")
    return head, int(number) if number.isdecimal() else -1, name
