"""A graph of layers between two places: what each assignment costs, and which are legal.

Vertices are numbered in topological order. A vertex without predecessors is an input: it lies at
the edge, and its tensor is what the device has. A tensor that several layers of the other place
use travels once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ecsim.core.types import BoolArray, FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Dag:
    """Costs of a graph of n vertices, all in one unit: seconds or joules.

    Attributes
    ----------
    preds : predecessors of each vertex, all with smaller numbers.
    edge, cloud : of each vertex there, shape (n,); infinite where it cannot run. What the way
        back of the answer takes belongs to the cloud's cost of the vertex that gives it.
    up, down : of sending each vertex's tensor to the cloud and to the edge, shape (n,).
    sent_bytes : size of each vertex's tensor, shape (n,); decides between equal plans.
    any_edge, any_cloud : paid once if any layer runs there at all: what a call costs beside its
        layers and, for the cloud, the latency of the one message that carries all tensors up.

    Raises
    ------
    ValueError
        If the shapes do not fit together, the order is not topological, or a cost is negative.
    """

    preds: tuple[tuple[int, ...], ...]
    edge: FloatArray
    cloud: FloatArray
    up: FloatArray
    down: FloatArray = field(default_factory=lambda: np.zeros(0))
    sent_bytes: FloatArray = field(default_factory=lambda: np.zeros(0))
    any_edge: float = 0.0
    any_cloud: float = 0.0

    def __post_init__(self) -> None:
        n = len(self.preds)
        for name in ("down", "sent_bytes"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.zeros(n))
        arrays = (self.edge, self.cloud, self.up, self.down, self.sent_bytes)
        if any(values.shape != (n,) for values in arrays):
            raise ValueError(f"expected {n} values each, one per vertex")
        once = np.array([self.any_edge, self.any_cloud])
        if any(not (values >= 0.0).all() for values in (*arrays, once)):
            raise ValueError("expected costs of at least 0")
        if any(not 0 <= u < v for v, before in enumerate(self.preds) for u in before):
            raise ValueError("expected vertices in topological order")

    def __len__(self) -> int:
        return len(self.preds)

    def is_input(self) -> BoolArray:
        """Tell which vertices are inputs, shape (n,)."""
        return np.array([not before for before in self.preds], dtype=bool)

    def successors(self) -> list[list[int]]:
        """Give the successors of each vertex."""
        after: list[list[int]] = [[] for _ in self.preds]
        for v, before in enumerate(self.preds):
            for u in before:
                after[u].append(v)
        return after


def crossing(dag: Dag, is_cloud: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Tell which tensors an assignment sends up and which it sends down, each of shape (n,)."""
    up, down = np.zeros(len(dag), dtype=bool), np.zeros(len(dag), dtype=bool)
    for v, before in enumerate(dag.preds):
        for u in before:
            if is_cloud[v] and not is_cloud[u]:
                up[u] = True
            elif is_cloud[u] and not is_cloud[v]:
                down[u] = True
    return up, down


def cost(dag: Dag, is_cloud: BoolArray) -> float:
    """Give what an assignment, shape (n,), costs: layers, and tensors up and down once each.

    Infinite where an input does not lie at the edge.
    """
    is_input = dag.is_input()
    if (is_cloud & is_input).any():
        return np.inf
    up, down = crossing(dag, is_cloud)
    once = dag.any_cloud * is_cloud.any() + dag.any_edge * (~is_cloud & ~is_input).any()
    layers = np.where(is_cloud, dag.cloud, dag.edge).sum()
    return float(layers + dag.up[up].sum() + dag.down[down].sum() + once)


def sent(dag: Dag, is_cloud: BoolArray) -> float:
    """Give the bytes that an assignment sends, up and down."""
    up, down = crossing(dag, is_cloud)
    return float(dag.sent_bytes[up].sum() + dag.sent_bytes[down].sum())
