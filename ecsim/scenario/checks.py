"""What must fit together across sections: names that refer to other parts of the scenario.

The checks read plain data and pass over what is malformed, which the schema reports, so that one
reading of a file tells all of its mistakes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ecsim.scenario.assertion as assertions
from ecsim.scenario.links import Finding, check_links, check_tiers, items_at, mapping_at
from ecsim.scenario.lookup import Lookup
from ecsim.scenario.messages import not_one_of, show
from ecsim.scenario.replications import check_replications
from ecsim.scenario.schema import Costs
from ecsim.scenario.strategy import MATCHING, matched_label
from ecsim.scenario.tree import Path


def check(data: dict[str, Any], lookup: Lookup) -> Iterator[Finding]:
    """Give path and message of every reference that does not fit."""
    yield from check_tiers(data)
    yield from check_links(data)
    yield from _strategies(data)
    yield from _assertions(data, lookup)
    yield from _boundary(data, lookup)
    yield from _cloud(data)
    yield from _updates(data)
    yield from check_replications(data, lookup)


def _strategies(data: dict[str, Any]) -> Iterator[Finding]:
    labels: dict[str, int] = {}
    for i, entry in items_at(data, "strategies"):
        entry = entry if isinstance(entry, dict) else {}
        key = "label" if "label" in entry else "name"
        label = entry.get(key)
        if isinstance(label, str) and label in labels:
            yield (
                ("strategies", i, key),
                f"expected a label of its own, got {label!r} again "
                f"(as strategies[{labels[label]}])",
            )
        elif isinstance(label, str):
            labels[label] = i
    needs: dict[str, list[tuple[Path, str]]] = {label: [] for label in labels}
    for i, entry in items_at(data, "strategies"):
        for key, label in _references(entry if isinstance(entry, dict) else {}):
            path: Path = ("strategies", i, key)
            if label is None:
                got = show(entry[key])
                other = "a number" if key == "rate" else "routed"
                yield path, f"expected {other} or 'match LABEL', got {got}"
            elif label not in labels:
                others = [other for other in labels if labels[other] != i]
                also = ["own"] if key == "versions" else []
                yield path, not_one_of(label, [*also, *others], "strategy's label")
            else:
                own = next((name for name, place in labels.items() if place == i), None)
                if own is not None:
                    needs[own].append((path, label))
    yield from _cycles(needs)


def _references(entry: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    versions = entry.get("versions", "own")
    if isinstance(versions, str) and versions != "own":
        yield "versions", versions
    for key in MATCHING:
        given = entry.get(key)
        if isinstance(given, str) and given.split()[:1] == ["match"]:
            yield key, matched_label(given)


def _cycles(needs: dict[str, list[tuple[Path, str]]]) -> Iterator[Finding]:
    done: set[str] = set()

    def visit(label: str, chain: list[str]) -> Iterator[Finding]:
        for path, other in needs[label]:
            if other in [*chain, label]:
                cycle = [*chain, label, other]
                names = " -> ".join(cycle[cycle.index(other) :])
                yield path, f"expected strategies that do not wait for each other, got {names}"
            elif other not in done:
                yield from visit(other, [*chain, label])
        done.add(label)

    for label in needs:
        if label not in done:
            yield from visit(label, [])


def _assertions(data: dict[str, Any], lookup: Lookup) -> Iterator[Finding]:
    names = [
        entry.get("label", entry.get("name"))
        for _, entry in items_at(data, "strategies")
        if isinstance(entry, dict)
    ]
    labels = [name for name in names if isinstance(name, str)]
    for i, text in items_at(data, "assert"):
        if not isinstance(text, str):
            continue
        path: Path = ("assert", i)
        try:
            found = assertions.parse(text)
        except assertions.AssertionSyntaxError as error:
            yield path, str(error)
            continue
        for metric in found.metrics:
            where = f"column {metric.column} of the text: "
            if metric.label not in labels:
                yield path, where + not_one_of(metric.label, labels, "strategy's label")
            if metric.path not in lookup.metrics():
                yield path, where + not_one_of(metric.path, lookup.metrics(), "metric")


def _boundary(data: dict[str, Any], lookup: Lookup) -> Iterator[Finding]:
    boundary = mapping_at(data, "energy").get("boundary")
    name = mapping_at(data, "costs").get("name", Costs.default_name)
    if name in lookup.names("costs") and isinstance(boundary, str):
        valid = lookup.boundaries(name)
        if boundary not in valid:
            yield ("energy", "boundary"), not_one_of(boundary, valid, f"boundary of {name}")


def _cloud(data: dict[str, Any]) -> Iterator[Finding]:
    """Find a label delay that is missing, or has no effect."""
    cloud = mapping_at(data, "learning", "cloud")
    is_delayed = cloud.get("knowledge") == "delayed"
    has_delay = cloud.get("label_delay") is not None
    if is_delayed and not has_delay:
        path: Path = ("learning", "cloud", "knowledge")
        yield path, "expected `label_delay: TIME` beside knowledge: delayed"
    if has_delay and not is_delayed:
        path = ("learning", "cloud", "label_delay")
        yield path, "has no effect without knowledge: delayed"


def _updates(data: dict[str, Any]) -> Iterator[Finding]:
    """Find updates that wait for a charge in vain, or whose end cannot be known ahead."""
    nodes = mapping_at(data, "topology", "nodes")
    update = mapping_at(data, "learning", "update")
    tiers = [mapping_at(nodes, name).get("tier") for name in nodes]
    lowest = "end" if "end" in tiers else "edge"
    devices = [name for name in nodes if mapping_at(nodes, name).get("tier") == lowest]
    uncharged = [name for name in devices if not mapping_at(nodes, name, "battery", "charging")]
    clouds = [name for name in nodes if mapping_at(nodes, name).get("tier") == "cloud"]
    trainers = clouds if update.get("where") == "cloud" else devices
    levelled = [name for name in trainers if mapping_at(nodes, name, "levels")]
    if update.get("while_updating") == "offline" and levelled:
        yield (
            ("learning", "update", "while_updating"),
            f"expected share or idle_only, as {levelled[0]!r} has levels, got 'offline'",
        )
    if update.get("when") == "periodic" and "every" not in update:
        yield ("learning", "update", "when"), "expected `every: TIME` beside when: periodic"
    for key, value in (("when", "charging"), ("only_while_charging", True)):
        if update.get(key) == value and uncharged:
            yield (
                ("learning", "update", key),
                f"expected a battery with charging on every device, got none on {uncharged[0]!r}",
            )
