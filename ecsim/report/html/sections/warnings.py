"""What to keep in mind: queues that cannot keep up, missing answers, assumed figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ecsim.records.metrics import Summary
from ecsim.report.html.markup import Markup, tag
from ecsim.report.html.section import Section, folded, note
from ecsim.report.html.tables import table, text


def of(summaries: Sequence[Summary], manifest: Mapping[str, Any]) -> Section:
    """Give the warnings about one or more runs of one scenario."""
    return section([*_of_strategies(summaries), *of_manifest(manifest)])


def section(items: Sequence[Markup]) -> Section:
    """Give the section of some warnings, or of none."""
    body = tag("ul", items, class_="warnings") if items else note("None.")
    return Section("warnings", "Warnings", body)


def of_manifest(manifest: Mapping[str, Any]) -> list[Markup]:
    """Give what the run itself warned of, assumed figures, and costs that nobody measured."""
    said = [tag("li", str(warning)) for warning in manifest.get("warnings", [])]
    return [*said, *_assumed(manifest.get("constants", {})), *_uncalibrated(manifest)]


def _of_strategies(summaries: Sequence[Summary]) -> list[Markup]:
    items = []
    for label in dict.fromkeys(label for summary in summaries for label in summary):
        mine = [summary[label] for summary in summaries if label in summary]
        some = f" in {{}} of {len(mine)} runs" if len(mine) > 1 else ""
        unstable = [of for of in mine if not of.get("stable", True)]
        if unstable:
            head = tag("strong", f"{label} is unstable{some.format(len(unstable))}: ")
            why = unstable[0].get("unstable_because") or "a queue cannot keep up"
            items.append(tag("li", head, f"{why}. Its latency depends on the run's length."))
        missing = sum(of["n"] - of["n_answered"] for of in mine)
        if missing:
            n = sum(of["n"] for of in mine)
            said = f"{missing:.0f} of {n:.0f} tasks have no answer; they count as wrong, and in no "
            items.append(tag("li", tag("strong", f"{label}: "), said + "latency."))
    return items


def _assumed(constants: Mapping[str, Mapping[str, Any]]) -> list[Markup]:
    rows = [
        [name, str(constant["value"]), str(constant["source"])]
        for name, constant in constants.items()
        if constant["assumed"]
    ]
    if not rows:
        return []
    head = tag("strong", f"{len(rows)} of {len(constants)} constants are assumed: ")
    columns = (text("constant"), text("value"), text("why this value"))
    shown = folded("Which ones, and why", table("Assumed constants", columns, rows))
    return [tag("li", head, "no published or measured figure stands behind them.", shown)]


def _uncalibrated(manifest: Mapping[str, Any]) -> list[Markup]:
    if "cost_bases" in manifest:
        return []  # such a run has warned of them itself
    nodes = manifest.get("scenario", {}).get("topology", {}).get("nodes", {})
    cards = dict.fromkeys(str(node["card"]) for node in nodes.values() if "card" in node)
    constants = manifest.get("constants", {})
    bare = [card for card in cards if f"{card}.calibration" not in constants]
    if not bare:
        return []
    said = f"times and energies on {', '.join(bare)} follow from the rates on their cards, not "
    return [tag("li", tag("strong", "Uncalibrated costs: "), said + "from measured networks.")]
