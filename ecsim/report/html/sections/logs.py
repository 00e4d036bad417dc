"""The run's own tables that are worth reading whole: energy by state, queues, updates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecsim.report.html.markup import join
from ecsim.report.html.section import Section, note
from ecsim.report.html.tables import Cell, Column, Row, count, records, share, table, text, value

if TYPE_CHECKING:
    from ecsim.records.store import Run

_ENERGY = (
    text("strategy"),
    text("tier"),
    text("component"),
    text("state"),
    Column("time", "s"),
    Column("energy", "J", meaning="with idle power"),
    Column("of it, marginal", "J", meaning="charged to tasks, trainings or tenants"),
)
_QUEUES = (
    text("strategy"),
    text("queue"),
    text("state"),
    Column("offered load", meaning="work that tasks and tenants brought per capacity"),
    Column("utilisation", "%"),
    Column("jobs"),
    Column("mean wait", "ms"),
    Column("longest wait", "ms"),
    Column("waiting jobs, mean"),
)
_UPDATES = (
    text("strategy"),
    text("device"),
    Column("version"),
    Column("training began", "s"),
    Column("deployed", "s"),
    Column("on the engine", "s"),
    Column("energy", "J"),
    Column("samples"),
    Column("classes"),
    text("new classes"),
    text("trained by"),
    Column("loss"),
)


def energy(run: Run) -> Section:
    """Give where the joules went: by tier, component and state, summed over nodes."""
    keys = ["strategy", "tier", "component", "state"]
    groups = run.energy.groupby(keys, observed=True, sort=False)
    sums = groups[["seconds", "joules", "marginal_j"]].sum().reset_index()
    rows: list[Row] = [
        [str(row.strategy), str(row.tier), str(row.component), str(row.state),
         value(row.seconds), value(row.joules), value(row.marginal_j)]
        for row in records(sums)
        if row.seconds or row.joules
    ]  # fmt: skip
    said = f"Energy boundary: {run.manifest.get('boundary', 'unknown')}. Over [warm-up, horizon], "
    said += "summed over the nodes of a tier, other tenants included; only states that occurred."
    shown = table("Time and energy by state", _ENERGY, rows, n_heads=4)
    return Section("energy", "Energy breakdown", join([note(said), shown]))


def queues(run: Run) -> Section | None:
    """Give load, use and waits of every engine and link direction, busiest first."""
    if run.queues.empty:
        return None
    ordered = run.queues.sort_values("utilisation", ascending=False, kind="stable")
    rows: list[Row] = []
    for label in run.summary:
        for row in records(ordered, strategy=label):
            state = "unstable" if row.unstable_because else "keeps up"
            rows.append(
                [label, f"{row.place} {row.component}",
                 Cell(state, state, str(row.unstable_because)),
                 value(row.offered_load), share(row.utilisation), count(row.n_jobs),
                 value(row.mean_wait_s, 1e3), value(row.max_wait_s, 1e3), value(row.mean_waiting)]
            )  # fmt: skip
    return Section("queues", "Queues", table("Queues, busiest first", _QUEUES, rows, n_heads=2))


def updates(run: Run) -> Section | None:
    """Give the update log: each version that was deployed after the start."""
    if run.updates.empty:
        return None
    in_order = run.updates.sort_values("t_start_s", kind="stable")
    rows: list[Row] = [
        [label, str(row.device), count(row.version),
         value(row.t_start_s), value(row.t_deploy_s), value(row.seconds), value(row.joules),
         count(row.n_samples), count(row.n_classes), str(row.new_classes), str(row.source),
         value(row.train_loss)]
        for label in run.summary
        for row in records(in_order, strategy=label)
    ]  # fmt: skip
    said = note("Versions that a strategy takes from another have no time, energy or loss here.")
    shown = table("Deployed versions", _UPDATES, rows, n_heads=3)
    return Section("updates", "Update log", join([shown, said]))
