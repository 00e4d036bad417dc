"""Routes over a graph of nodes and directed links: shortest by latency, by hops or by weight.

Shortest-path trees are computed once per source and kept until the graph changes, by a new link or
by one that goes out or comes back. Of equally short ways the one whose links were declared first
is taken, so that routes are the same in every run.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Literal

import networkx as nx

Metric = Literal["latency", "hops", "weight"]
Edge = tuple[str, str]


class Router:
    """Finds the edges of the shortest way between two nodes.

    Parameters
    ----------
    metric : what is summed along a way: latency (with the serialisation of a message of the
        reference size), the number of links, or the weights that the user gave them.

    Attributes
    ----------
    graph : nodes, and edges with the attributes latency, hops, weight and link (its name).
    down : names of links and nodes, and pairs of nodes, that are out at present.
    """

    def __init__(self, metric: Metric = "latency") -> None:
        self.metric = metric
        self.graph = nx.DiGraph()
        self.down: set[Hashable] = set()
        self._core: nx.DiGraph | None = None
        self._trees: dict[str, dict[str, list[str]]] = {}

    def changed(self) -> None:
        """Forget what was found: the graph is another one now."""
        self._core = None
        self._trees.clear()

    def set_up(self, what: Hashable, is_up: bool) -> None:
        """Take a link, a node or a pair of nodes out, or back in."""
        if is_up:
            self.down.discard(what)
        else:
            self.down.add(what)
        self._trees.clear()

    def is_out(self, a: str, b: str) -> bool:
        """Whether the edge from `a` to `b` cannot be taken at present."""
        down = self.down
        return bool(down) and not down.isdisjoint(
            (a, b, (a, b), (b, a), self.graph.edges[a, b]["link"])
        )

    def find(self, a: str, b: str) -> list[Edge] | None:
        """Give the edges of the shortest way from `a` to `b`, None where there is none."""
        graph = self.graph
        head: list[Edge] = []
        tail: list[Edge] = []
        # A leaf has no choice. Taking its only link first keeps a search from a hub with
        # thousands of leaves from visiting all of them for each.
        if a != b and graph.out_degree(a) == 1:
            (following,) = graph.successors(a)
            head, a = [(a, following)], following
        if a != b and graph.in_degree(b) == 1:
            (former,) = graph.predecessors(b)
            tail, b = [(former, b)], former
        if any(self.is_out(*edge) for edge in head + tail):
            return None
        middle = self._between(a, b)
        return None if middle is None else head + middle + tail

    def usual(self, a: str, b: str) -> list[Edge] | None:
        """Give the shortest way as if nothing was out."""
        down, trees = self.down, self._trees
        self.down, self._trees = set(), {}
        try:
            return self.find(a, b)
        finally:
            self.down, self._trees = down, trees

    def _between(self, a: str, b: str) -> list[Edge] | None:
        if a == b:
            return []
        tree = self._trees.get(a)
        if tree is None:
            tree = self._trees[a] = self._tree(a)
        edges: list[Edge] = []
        while b != a:
            if not tree.get(b):
                return None
            former = tree[b][0]
            edges.append((former, b))
            b = former
        return edges[::-1]

    def _tree(self, source: str) -> dict[str, list[str]]:
        if self._core is None:
            inner = [name for name, degree in self.graph.out_degree() if degree > 1]
            self._core = self.graph.subgraph(inner)
        if source not in self._core:
            return {}
        key = self.metric

        def length(a: str, b: str, edge: dict[str, Any]) -> float | None:
            return None if self.is_out(a, b) else float(edge[key])

        tree: dict[str, list[str]]
        tree, _ = nx.dijkstra_predecessor_and_distance(self._core, source, weight=length)
        return tree
