"""From a network's layer graph to the chain of layers that can be split in space."""

from __future__ import annotations

from ecsim.core.errors import UserError
from ecsim.partition.graph import LayerGraph, Vertex
from ecsim.partition.spatial.stacks import Kind, Layer, Stack
from ecsim.partition.spatial.windows import Window


def leading_chain(graph: LayerGraph) -> tuple[Stack, tuple[str, ...], tuple[str, ...]]:
    """Give the stack with which a network begins, the names of its vertices, and of the others.

    The others are those that the network's own answer needs, not those of early exits.

    The chain goes on as long as a vertex reads nothing but the one before it, nothing else reads
    that one, and its windows are known; the input is the first of its vertices.

    Raises
    ------
    UserError : the network spikes, or does not begin with a layer that can be split.
    """
    if any(vertex.work.neuron_updates for vertex in graph.vertices):
        raise UserError("spiking networks are not split in space: their work depends on the spikes")
    first = graph.vertices[0]
    names, layers = [first.name], []
    for i, vertex in enumerate(graph.vertices[1:], 1):
        follows = graph.preds[i] == (i - 1,) and graph.succs[i - 1] == (i,)
        if not follows or vertex.windows is None or len(vertex.out_shape) != 3:
            break
        layers.append(_layer(vertex, vertex.windows))
        names.append(vertex.name)
    if not layers or len(first.out_shape) != 3:
        begins = graph.vertices[1]
        raise UserError(
            "a network is split in space from its first layer on, which must be a convolution, a "
            f"pooling or work pixel by pixel; this one begins with {begins.kind}"
        )
    channels, height, width = first.out_shape
    rest = tuple(name for name in graph.needed() if name not in set(names))
    return Stack((channels, height, width), tuple(layers)), tuple(names), rest


def _layer(vertex: Vertex, windows: tuple[Window, Window]) -> Layer:
    channels, height, width = vertex.out_shape
    kind: Kind = "conv" if vertex.work.macs else "pool"
    if windows == (Window(), Window()) and not vertex.work.macs:
        kind = "pointwise"
    outputs = channels * height * width
    return Layer(
        vertex.name, kind, *windows, channels,
        macs=round(vertex.work.macs / outputs),
        parameters=round(vertex.param_bytes / 4),
        moves=vertex.work.bytes_moved > vertex.param_bytes,
    )  # fmt: skip
