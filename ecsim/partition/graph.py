"""The layer graph of a network: what each layer costs and what its output takes on a link.

Plain data: no tensor, no torch. `ecsim.partition.tracing` makes one of a module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ecsim.core.types import Work
from ecsim.partition.spatial.windows import Window

if TYPE_CHECKING:
    import networkx as nx

INPUT = "input"
"""Name and kind of the first vertex, the sample, which costs nothing and is sent as it arrived."""


@dataclass(frozen=True, slots=True)
class Vertex:
    """One layer: a call in the forward pass that computes something.

    Attributes
    ----------
    name : of the module, with the number of the call where it is called again; or of the function.
    kind : "input", or what it is: "conv2d", "relu", "add", …
    preds : the vertices whose outputs it reads, in the order of its arguments, each once.
    work : of one sample, all time-steps.
    param_bytes : of its weights.
    out_bytes : what its output takes when it is sent without a codec; all time-steps, spikes as
        bits.
    out_shape : of its output for one sample; with time-steps in front where it has them.
    peak_bytes : its weights, inputs and output in memory, for one sample.
    is_spikes : whether its output holds only 0 and 1.
    windows : which rows and which columns of its input it needs for each of its output; None where
        that is more than a window.
    """

    name: str
    kind: str
    preds: tuple[str, ...] = ()
    work: Work = field(default_factory=Work)
    param_bytes: float = 0.0
    out_bytes: float = 0.0
    out_shape: tuple[int, ...] = ()
    peak_bytes: float = 0.0
    is_spikes: bool = False
    windows: tuple[Window, Window] | None = None


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """The layers of a network in topological order; the first is the input.

    Attributes
    ----------
    outputs : the vertex of each exit; the last one's output is the network's.

    Raises
    ------
    ValueError
        when the vertices are not in topological order, or a name stands twice.
    """

    vertices: tuple[Vertex, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for vertex in self.vertices:
            late = set(vertex.preds) - seen
            if vertex.name in seen or late:
                raise ValueError(f"{vertex.name} stands twice or before {sorted(late)}")
            seen.add(vertex.name)
        if not self.vertices or self.vertices[0].kind != INPUT or set(self.outputs) - seen:
            raise ValueError("expected the input first, and outputs that are vertices")

    def __len__(self) -> int:
        return len(self.vertices)

    def __getitem__(self, name: str) -> Vertex:
        return self.vertices[self.index[name]]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The vertices' names in topological order."""
        return tuple(vertex.name for vertex in self.vertices)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """The place of each vertex in the order, by name."""
        return {vertex.name: i for i, vertex in enumerate(self.vertices)}

    @cached_property
    def preds(self) -> tuple[tuple[int, ...], ...]:
        """Of each vertex the places of those it reads."""
        return tuple(tuple(self.index[p] for p in vertex.preds) for vertex in self.vertices)

    @cached_property
    def succs(self) -> tuple[tuple[int, ...], ...]:
        """Of each vertex the places of those that read it."""
        found: list[list[int]] = [[] for _ in self.vertices]
        for i, preds in enumerate(self.preds):
            for p in preds:
                found[p].append(i)
        return tuple(map(tuple, found))

    @cached_property
    def is_chain(self) -> bool:
        """Whether every vertex reads the one before it and nothing else."""
        return all(preds == ((i - 1,) if i else ()) for i, preds in enumerate(self.preds))

    def needed(self, exit: int | None = None) -> tuple[str, ...]:
        """Give the vertices that an exit (None: the last) needs, in topological order."""
        wanted = {self.index[self.outputs[-1 if exit is None else exit]]}
        for i in range(len(self) - 1, -1, -1):
            if i in wanted:
                wanted.update(self.preds[i])
        return tuple(self.names[i] for i in sorted(wanted | {0}))

    def networkx(self) -> nx.DiGraph:
        """Give the graph as a `networkx.DiGraph` with the vertices' fields as attributes.

        An edge carries `out_bytes` of the vertex that it comes from.
        """
        import networkx as nx

        graph = nx.DiGraph()
        for vertex in self.vertices:
            fields = {name: getattr(vertex, name) for name in Vertex.__slots__ if name != "name"}
            graph.add_node(vertex.name, **fields)
        for vertex in self.vertices:
            for pred in vertex.preds:
                graph.add_edge(pred, vertex.name, out_bytes=self[pred].out_bytes)
        return graph


def chain(vertices: Sequence[Vertex]) -> LayerGraph:
    """Give the graph of vertices that each read the one before; their own `preds` are ignored."""
    linked = [
        replace(vertex, preds=(vertices[i - 1].name,) if i else ())
        for i, vertex in enumerate(vertices)
    ]
    return LayerGraph(tuple(linked), (linked[-1].name,))
