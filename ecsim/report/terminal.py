"""A run's summary as tables for the terminal. Fits 80 columns with the usual labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from ecsim.records.exits import has_early
from ecsim.records.metrics import Summary
from ecsim.records.tables import STAGES
from ecsim.report.numbers import NONE, number, percent

if TYPE_CHECKING:
    import pandas as pd


def show(summary: Summary, console: Console | None = None) -> None:
    """Print all tables of a summary."""
    console = console or Console()
    for table in (quality(summary), costs(summary), phases(summary)):
        console.print(table)
    if any(has_early(of) for of in summary.values()):
        console.print(exits(summary))


def quality(summary: Summary) -> Table:
    """Give the table of stream accuracy, cloud-upload rates and latency, one line per strategy."""
    table = _table("Stream accuracy, cloud-upload rate (CUR) and latency")
    for head in ("acc.\n%", "CUR\n%", "seen\n%", "unseen\n%"):
        table.add_column(head, justify="right", no_wrap=True)
    for head in ("mean", "p50", "p95", "p99"):
        table.add_column(f"{head}\nms", justify="right", no_wrap=True)
    for label, of in summary.items():
        shares = [of["accuracy"], of["cur"], of["cur_seen"], of["cur_unseen"]]
        latency = ["unstable", NONE, NONE, NONE]
        if of.get("stable", True):
            latency = [number(of["latency_s"][k], 1e3) for k in ("mean", "p50", "p95", "p99")]
        table.add_row(label, *(percent(share) for share in shares), *latency)
    notes = [
        f"{label} is unstable: {of['unstable_because']}"
        for label, of in summary.items()
        if not of.get("stable", True)
    ]
    unanswered = {label: of["n"] - of["n_answered"] for label, of in summary.items()}
    if any(unanswered.values()):
        lost = ", ".join(f"{label} {n}" for label, n in unanswered.items() if n)
        notes.append(f"tasks without an answer (wrong, and in no latency): {lost}")
    table.caption = "\n".join(notes) or None
    return table


def costs(summary: Summary) -> Table:
    """Give the table of marginal energy per task by component and bytes per task."""
    parts = [
        part
        for part in (*STAGES, "wasted", "update")
        if any(of["energy_per_task_j"][part] for of in summary.values())
    ]
    table = _table("Energy per task by component, with updates; idle apart; bytes per task")
    for head in ("total", *parts):
        table.add_column(f"{head}\nmJ", justify="right", no_wrap=True)
    table.add_column("idle\nmJ", justify="right", no_wrap=True)
    for head in ("up", "down"):
        table.add_column(f"{head}\nkB", justify="right", no_wrap=True)
    for label, of in summary.items():
        energy = [number(of["energy_per_task_j"][part], 1e3) for part in ("total", *parts)]
        moved = [number(of["bytes_per_task"][way], 1e-3) for way in ("up", "down")]
        table.add_row(label, *energy, number(of["idle_energy_per_task_j"], 1e3), *moved)
    return table


def phases(summary: Summary) -> Table:
    """Give the table of CUR per phase, and probe accuracy of the first and last versions."""
    found = sorted({phase["phase"] for of in summary.values() for phase in of["phases"]})
    table = _table("CUR per phase (%), and probe accuracy (%) of the edge models")
    for phase in found:
        table.add_column(f"phase\n{phase}", justify="right", no_wrap=True)
    for head in ("first", "last"):
        table.add_column(f"probe\n{head}", justify="right", no_wrap=True)
    for label, of in summary.items():
        cur = {phase["phase"]: phase["cur"] for phase in of["phases"]}
        probe = [of["probe_accuracy"][end] for end in ("first", "last")]
        table.add_row(
            label, *(percent(cur.get(phase)) for phase in found), *(percent(p) for p in probe)
        )
    return table


def exits(summary: Summary) -> Table:
    """Give the table of what each exit answered, how often it was right, and what it took."""
    table = _table("Exits: share of the answers, accuracy, latency and energy of each")
    for head in ("exit", "tier", "share\n%", "acc.\n%", "mean\nms", "energy\nmJ"):
        table.add_column(head, justify="right", no_wrap=True)
    for label, of in summary.items():
        for row in of["exits"]:
            table.add_row(
                label,
                str(row["exit"]),
                row["tier"],
                percent(row["share"]),
                percent(row["accuracy"]),
                number(row["latency_mean_s"], 1e3),
                number(row["energy_mean_j"], 1e3),
            )
    return table


def queues(frame: pd.DataFrame, n_busiest: int = 5) -> Table:
    """Give the table of the busiest queues of each strategy, and of all that cannot keep up."""
    table = _table(f"Queues: the {n_busiest} busiest per strategy, and all that cannot keep up")
    for head in ("load", "use\n%", "jobs", "wait\nms", "max\nms", "waiting\nmean"):
        table.add_column(head, justify="right", no_wrap=True)
    for label in dict.fromkeys(frame["strategy"].tolist()):
        mine = frame[(frame["strategy"] == label).to_numpy()]
        busiest = mine.sort_values(["utilisation", "offered_load"], ascending=False, kind="stable")
        is_shown = (busiest["unstable_because"] != "").to_numpy(copy=True)
        is_shown[:n_busiest] = True
        table.add_row(str(label))
        for row in busiest[is_shown].itertuples(index=False):
            mark = " (unstable)" if row.unstable_because else ""
            wait_s = None if row.mean_wait_s != row.mean_wait_s else row.mean_wait_s
            table.add_row(
                f"  {row.place} {row.component}{mark}",
                f"{row.offered_load:.2f}",
                percent(row.utilisation),
                str(row.n_jobs),
                number(wait_s, 1e3),
                number(row.max_wait_s, 1e3),
                number(row.mean_waiting, 1.0),
            )
    return table


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("strategy", overflow="fold")
    return table
