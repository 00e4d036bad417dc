"""From a placement of vertices to parts that run one after the other, and what moves between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ecsim.core.types import Cut
from ecsim.partition.graph import INPUT, LayerGraph


def cut_of(graph: LayerGraph, node: Mapping[str, int], codec: str = "raw") -> Cut:
    """Give the parts in which a placement runs: as few as there can be, greedily.

    The node that has the pass runs all it can; then it goes to the nearest node along the route
    that can run something, the one further up first. A one-way placement so has one part per node.

    Parameters
    ----------
    node : position along the route of each vertex, by name; the input's says where it begins.
        Vertices that are not in it are not run: the exits that nobody asks.

    Raises
    ------
    ValueError
        when a vertex reads one that is not placed.
    """
    placed = [vertex for vertex in graph.vertices if vertex.name in node]
    for vertex in placed:
        lacking = [pred for pred in vertex.preds if pred not in node]
        if lacking:
            raise ValueError(f"{vertex.name} reads {lacking[0]}, which is not placed")
    here = node[graph.vertices[0].name]
    parts: list[tuple[str, ...]] = []
    nodes: list[int] = []
    done: set[str] = set()
    while len(done) < len(placed):
        part = []
        for vertex in placed:
            if (
                vertex.name not in done
                and node[vertex.name] == here
                and done.issuperset(vertex.preds)
            ):
                part.append(vertex.name)
                done.add(vertex.name)
        parts.append(tuple(part))
        nodes.append(here)
        ready = [node[v.name] for v in placed if v.name not in done and done.issuperset(v.preds)]
        here = min(ready, key=lambda at: (abs(at - here), -at), default=here)
    return Cut(tuple(parts), tuple(nodes), codec)


def transfers(graph: LayerGraph, cut: Cut) -> tuple[tuple[str, ...], ...]:
    """Give for each part but the last the vertices whose outputs go on with it to the next part.

    A value goes along where a part to come reads it before the pass is back at a node that has it;
    so none is sent to a node twice.

    >>> from ecsim.partition.graph import Vertex, chain
    >>> graph = chain([Vertex("input", "input"), Vertex("a", "relu"), Vertex("b", "relu")])
    >>> transfers(graph, Cut((("input", "a"), ("b",)), (0, 1)))
    (('a',),)
    """
    at: dict[str, set[int]] = {}  # where each value is
    found = []
    for i, (part, here) in enumerate(zip(cut.parts, cut.nodes, strict=True)):
        for name in part:
            at[name] = {here}
        if i + 1 == len(cut.parts):
            break
        there = cut.nodes[i + 1]
        moved = [
            name
            for name in graph.names
            if name in at and here in at[name] and _is_wanted(graph, cut, i + 1, name, at[name])
        ]
        for name in moved:
            at[name].add(there)
        found.append(tuple(moved))
    return tuple(found)


def _is_wanted(graph: LayerGraph, cut: Cut, first: int, name: str, at: set[int]) -> bool:
    """Whether a part from `first` on reads a value before the pass is back at where it is."""
    for part, node in zip(cut.parts[first:], cut.nodes[first:], strict=True):
        if node in at:
            return False
        if any(name in graph[vertex].preds for vertex in part):
            return True
    return False


def is_empty(part: Sequence[str]) -> bool:
    """Whether a part runs no layer: it has nothing but the input."""
    return all(name == INPUT for name in part)
