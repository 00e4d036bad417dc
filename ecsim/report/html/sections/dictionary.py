"""What every column and metric means, from the declarations that the files themselves follow."""

from __future__ import annotations

from ecsim.records.metrics import MEANINGS
from ecsim.records.tables import TABLES, WATCHED
from ecsim.report.html.markup import Markup, join, tag
from ecsim.report.html.section import folded, note
from ecsim.report.html.tables import table, text


def dictionary() -> Markup:
    """Give the metrics of a summary, then the columns of each table."""
    metrics = [[name, unit, meaning] for name, (unit, meaning) in MEANINGS.items()]
    heads = (text("metric"), text("unit"), text("meaning"))
    parts = [folded(tag("h3", "Metrics of a summary"), table("Metrics", heads, metrics))]
    heads = (text("column"), text("type and unit"), text("meaning"))
    for of in (*TABLES, *WATCHED):
        rows = [
            [c.name, f"{c.dtype}{' or null' if c.nullable else ''} {c.unit}".strip(), c.meaning]
            for c in of.columns
        ]
        name = f"{of.name}.parquet"
        parts.append(folded(tag("h3", name), note(of.meaning), table(name, heads, rows)))
    return join(parts)
