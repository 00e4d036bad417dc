"""Whether the links of a topology join its nodes; on plain data, passing over what is malformed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ecsim.scenario.messages import not_one_of
from ecsim.scenario.topology import member_of
from ecsim.scenario.tree import Path

Finding = tuple[Path, str]


def mapping_at(data: Any, *keys: str) -> dict[str, Any]:
    """Give the mapping at a place of the data, an empty one where there is none."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def items_at(data: Any, key: str) -> list[tuple[int, Any]]:
    """Give the numbered items of a list of the data, none where there is no list."""
    found = data.get(key)
    return list(enumerate(found)) if isinstance(found, list) else []


def check_tiers(data: dict[str, Any]) -> Iterator[Finding]:
    """Give a finding for each tier that a system must have and this one lacks."""
    nodes = mapping_at(data, "topology", "nodes")
    tiers = [node.get("tier") for node in nodes.values() if isinstance(node, dict)]
    for tier in ("edge", "cloud"):
        if nodes and tier not in tiers and None not in tiers:
            yield ("topology", "nodes"), f"expected at least one node of the tier {tier}, got none"


def check_links(data: dict[str, Any]) -> Iterator[Finding]:
    """Give the links whose ends do not exist or are linked already, and nodes without a cloud."""
    nodes = mapping_at(data, "topology", "nodes")
    links: list[tuple[Path, str, str]] = []
    is_whole = True
    for i, link in items_at(mapping_at(data, "topology"), "links") if nodes else ():
        between = link.get("between") if isinstance(link, dict) else None
        if not isinstance(between, list):
            continue
        path: Path = ("topology", "links", i, "between")
        found = list(_ends(path, between, nodes))
        yield from found
        is_whole = is_whole and not found
        if not found:
            links.append((path, between[0], between[1]))
    if is_whole:
        yield from _paths(nodes, links)


def _ends(path: Path, between: list[Any], nodes: dict[str, Any]) -> Iterator[Finding]:
    if len(between) != 2:
        yield path, f"expected two nodes, got {len(between)}"
        return
    unknown = [k for k, end in enumerate(between) if not _exists(end, nodes)]
    for k in unknown:
        yield (*path, k), not_one_of(between[k], _end_names(nodes), "node")
    if not unknown and between[0] == between[1] and not _count(nodes, between[0]):
        yield path, f"expected two different nodes, got {between[0]!r} twice"


def _count(nodes: dict[str, Any], name: object) -> int | None:
    count = mapping_at(nodes, str(name)).get("count")
    return count if isinstance(count, int) and not isinstance(count, bool) else None


def _end_names(nodes: dict[str, Any]) -> list[str]:
    return [*nodes, *(f"{name}[0]" for name in nodes if _count(nodes, name))]


def _exists(end: object, nodes: dict[str, Any]) -> bool:
    if not isinstance(end, str):
        return False
    member = member_of(end)
    return end in nodes or (member is not None and member[1] < (_count(nodes, member[0]) or 0))


def _paths(nodes: dict[str, Any], links: list[tuple[Path, str, str]]) -> Iterator[Finding]:
    """Walk from the clouds; a member that no link names is like all the other such members."""
    named = {end for _, *ends in links for end in ends if end not in nodes}
    members = {
        name: {end for end in named if (member_of(end) or ("", 0))[0] == name} for name in nodes
    }
    for name in nodes:
        if (_count(nodes, name) or 1) > len(members[name]):
            members[name].add(name)  # stands for the members that no link names
    neighbours: dict[str, set[str]] = {}
    for path, first, second in links:
        ends = [members.get(end, {end}) for end in (first, second)]
        taken = sorted((a, b) for a in ends[0] for b in ends[1] if b in neighbours.get(a, ()))
        if taken:
            pair = " and ".join(taken[0])
            yield path, f"expected one link between two nodes, got a second for {pair}"
        for a in ends[0]:
            for b in ends[1]:
                neighbours.setdefault(a, set()).add(b)
                neighbours.setdefault(b, set()).add(a)
    clouds = [name for name in nodes if mapping_at(nodes, name).get("tier") == "cloud"]
    seen = {member for name in clouds for member in members[name]}
    waiting = sorted(seen)
    while waiting:
        new = neighbours.get(waiting.pop(), set()) - seen
        seen |= new
        waiting += sorted(new)
    for name in nodes if clouds else ():
        if mapping_at(nodes, name).get("tier") in ("edge", "end") and members[name] - seen:
            lost = ", ".join(sorted(members[name] - seen))
            message = f"expected a way over links to a cloud node, got none from {lost}"
            yield ("topology", "nodes", name), message
