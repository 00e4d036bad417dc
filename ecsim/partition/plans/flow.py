"""A minimum cut of a small network with whole-number capacities, by Dinic's algorithm.

Capacities are Python integers of any size, so that a cut is exact: no tolerance decides whether an
arc is saturated, and `ties.Weights` can pack a cost and its tie-breaks into one number.

Source: Dinic, Soviet Math. Doklady 11 (1970) 1277.
"""

from __future__ import annotations


class Network:
    """A directed network; arcs are added, then `min_cut` is asked once.

    Attributes
    ----------
    n_steps : arcs that were looked at so far, a measure of the work done.
    """

    def __init__(self, n_vertices: int):
        self._out: list[list[int]] = [[] for _ in range(n_vertices)]  # arcs by tail
        self._head: list[int] = []
        self._left: list[int] = []  # capacity left; the reverse of arc a is a ^ 1
        self.n_steps = 0

    def vertex(self) -> int:
        """Add a vertex and give its number."""
        self._out.append([])
        return len(self._out) - 1

    def arc(self, tail: int, head: int, capacity: int, back: int = 0) -> None:
        """Add an arc, and one the other way with capacity `back`."""
        self._out[tail].append(len(self._head))
        self._out[head].append(len(self._head) + 1)
        self._head += [head, tail]
        self._left += [capacity, back]

    def min_cut(self, source: int, sink: int) -> tuple[int, list[bool]]:
        """Give the least capacity between source and sink, and which vertices the source keeps.

        Of all minimum cuts it is the one that leaves most vertices on the source's side; they
        contain each other there, so that it is the only one.

        >>> network = Network(3)
        >>> network.arc(0, 1, 2)
        >>> network.arc(1, 2, 2)
        >>> network.min_cut(0, 2)
        (2, [True, True, False])
        """
        value = 0
        while (level := self._levels(source, sink))[sink] >= 0:
            value += self._block(source, sink, level)
        return value, [depth < 0 for depth in self._to_sink(sink)]

    def _levels(self, source: int, sink: int) -> list[int]:
        """Give each vertex's distance from the source over arcs with capacity left; -1: none."""
        level = [-1] * len(self._out)
        level[source] = 0
        front = [source]
        while front and level[sink] < 0:
            following = []
            for u in front:
                self.n_steps += len(self._out[u])
                for arc in self._out[u]:
                    v = self._head[arc]
                    if level[v] < 0 and self._left[arc]:
                        level[v] = level[u] + 1
                        following.append(v)
            front = following
        return level

    def _to_sink(self, sink: int) -> list[int]:
        """Give each vertex's distance to the sink over arcs with capacity left; -1: none."""
        depth = [-1] * len(self._out)
        depth[sink] = 0
        stack = [sink]
        while stack:
            v = stack.pop()
            self.n_steps += len(self._out[v])
            for arc in self._out[v]:
                u = self._head[arc]
                if depth[u] < 0 and self._left[arc ^ 1]:
                    depth[u] = depth[v] + 1
                    stack.append(u)
        return depth

    def _block(self, source: int, sink: int, level: list[int]) -> int:
        """Send flow along shortest ways until none is left; give how much."""
        out, head, left = self._out, self._head, self._left
        at = [0] * len(out)  # the arc of each vertex that is to be tried next
        path: list[int] = []
        total, u = 0, source
        while True:
            if u == sink:
                amount = min(left[arc] for arc in path)
                total += amount
                first = len(path)
                for i, arc in enumerate(path):
                    left[arc] -= amount
                    left[arc ^ 1] += amount
                    if not left[arc] and i < first:
                        first = i
                u = head[path[first] ^ 1]
                del path[first:]
                continue
            arcs, i = out[u], at[u]
            while i < len(arcs) and not (left[arcs[i]] and level[head[arcs[i]]] == level[u] + 1):
                i += 1
            self.n_steps += i - at[u] + 1
            at[u] = i
            if i < len(arcs):
                path.append(arcs[i])
                u = head[arcs[i]]
            elif path:
                u = head[path.pop() ^ 1]
                at[u] += 1
            else:
                return total
