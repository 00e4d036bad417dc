"""What each exit answered: its share of the answers, how often it was right, what it took."""

from __future__ import annotations

from ecsim.records.exits import has_early
from ecsim.records.metrics import Summary
from ecsim.report.html.section import Section
from ecsim.report.html.tables import Column, Row, count, share, table, text, value


def of_summary(summary: Summary) -> Section | None:
    """Give the table; None where no model has answered at more than one exit."""
    if not any(has_early(of) for of in summary.values()):
        return None
    columns = [
        text("strategy"),
        Column("exit", meaning="number of the exit of the model that answered, from 0"),
        text("tier"),
        Column("answers"),
        Column("share", "%", meaning="of the strategy's answers"),
        Column("accuracy", "%", meaning="of the answers at this exit"),
        Column("mean latency", "ms"),
        Column("energy per task", "mJ"),
    ]
    rows: list[Row] = [
        [
            label,
            count(exit["exit"]),
            exit["tier"],
            count(exit["n"]),
            share(exit["share"]),
            share(exit["accuracy"]),
            value(exit["latency_mean_s"], 1e3),
            value(exit["energy_mean_j"], 1e3),
        ]
        for label, of in summary.items()
        for exit in of["exits"]
    ]
    return Section("exits", "Exits", table("What each exit answered", columns, rows))
