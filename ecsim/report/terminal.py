"""A run's summary as tables for the terminal. Fits 80 columns with the usual labels."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from ecsim.records.metrics import Summary
from ecsim.records.tables import STAGES

_NONE = "-"


def show(summary: Summary, console: Console | None = None) -> None:
    """Print all tables of a summary."""
    console = console or Console()
    for table in (quality(summary), costs(summary), phases(summary)):
        console.print(table)


def quality(summary: Summary) -> Table:
    """Give the table of stream accuracy, cloud-upload rates and latency, one line per strategy."""
    table = _table("Stream accuracy, cloud-upload rate (CUR) and latency")
    for head in ("acc.\n%", "CUR\n%", "seen\n%", "unseen\n%"):
        table.add_column(head, justify="right", no_wrap=True)
    for head in ("mean", "p50", "p95", "p99"):
        table.add_column(f"{head}\nms", justify="right", no_wrap=True)
    for label, of in summary.items():
        shares = [of["accuracy"], of["cur"], of["cur_seen"], of["cur_unseen"]]
        latency = [of["latency_s"][key] for key in ("mean", "p50", "p95", "p99")]
        cells = [_percent(share) for share in shares] + [_number(value, 1e3) for value in latency]
        table.add_row(label, *cells)
    unanswered = {label: of["n"] - of["n_answered"] for label, of in summary.items()}
    if any(unanswered.values()):
        lost = ", ".join(f"{label} {n}" for label, n in unanswered.items() if n)
        table.caption = f"tasks without an answer (wrong, and in no latency): {lost}"
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
        energy = [_number(of["energy_per_task_j"][part], 1e3) for part in ("total", *parts)]
        moved = [_number(of["bytes_per_task"][way], 1e-3) for way in ("up", "down")]
        table.add_row(label, *energy, _number(of["idle_energy_per_task_j"], 1e3), *moved)
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
            label, *(_percent(cur.get(phase)) for phase in found), *(_percent(p) for p in probe)
        )
    return table


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("strategy", overflow="fold")
    return table


def _percent(value: Any) -> str:
    return _NONE if value is None else f"{100 * value:.1f}"


def _number(value: Any, scale: float) -> str:
    """Write three significant digits without an exponent, where that is readable."""
    if value is None:
        return _NONE
    scaled = value * scale
    if scaled == 0 or 0.01 <= abs(scaled) < 1e6:
        digits = 0 if abs(scaled) >= 100 or scaled == 0 else 1 if abs(scaled) >= 10 else 2
        return f"{scaled:.{digits}f}"
    return f"{scaled:.1e}"
