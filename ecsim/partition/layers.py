"""The layer graph of a real network: each layer's work, weights, output and memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from ecsim.core.errors import UserError
from ecsim.core.types import FloatArray, Operation, Operations, Work
from ecsim.models.calls import describe, observe_calls
from ecsim.partition.codecs import codec_named
from ecsim.partition.execution import CutNet, Tally, run_layer, tallied, wanted_items
from ecsim.partition.graph import INPUT, LayerGraph, Vertex
from ecsim.partition.layout import Axis, Layout, kind_of
from ecsim.partition.spatial.execution import windows_of
from ecsim.partition.spatial.windows import Window
from ecsim.partition.tracing import plain_attention, tensors

_POINTWISE = (
    nn.BatchNorm2d, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh,
    nn.Hardswish, nn.Hardsigmoid, nn.Dropout, nn.Dropout2d, nn.Identity,
)  # fmt: skip
_KEEP_SPIKES = ("maxpool2d", "max_pool2d", "getitem", "select")


def layer_graph(net: CutNet, x: Tensor | FloatArray, with_operations: bool = False) -> LayerGraph:
    """Give the layers of a network, with their work averaged over samples x (N, *in_shape).

    Parameters
    ----------
    with_operations : whether the works list the operations of one sample's pass, for a calibrated
        device.

    Raises
    ------
    UserError
        when the network cannot be traced, or has weights that no rule counts.
    """
    x = torch.as_tensor(x).to(net.dtype)
    layout = net.layout(len(x))
    value_bytes = net.weights_dtype.itemsize
    tally = Tally(layout.module, len(x), value_bytes, net.is_spiking)
    calls = _operations(net, x) if with_operations or layout.is_exported else {}
    values: dict[str, Any] = {}
    found: dict[str, Vertex] = {}
    seen: set[str] = set()  # modules whose weights stand at an earlier call
    with tallied(layout, tally):
        for name, node in layout.layers.items():
            tally.counts = np.zeros((5, len(x)))
            values[name] = run_layer(layout, name, values, x)
            weights = _weight_bytes(layout, node, value_bytes, seen)
            macs, sops, updates, moved, int8_macs = tally.counts.mean(axis=1).tolist()
            rows = calls.get(name, ())
            if layout.is_exported:
                macs = sum(row.calls * row.macs for row in rows)
            work = Work(
                macs=macs,
                sops=sops,
                neuron_updates=updates,
                bytes_moved=moved + weights,
                operations=Operations(rows) if with_operations else None,
                int8_macs=int8_macs,
            )
            is_spikes = _is_spikes(layout, node, values[name], found)
            size = _size(layout, name, values[name], value_bytes, is_spikes)
            preds = layout.preds[name]
            held = sum(_size(layout, p, values[p], value_bytes, False) for p in preds)
            found[name] = Vertex(
                name=name,
                kind=kind_of(layout.module, node),
                preds=preds,
                work=work,
                param_bytes=float(weights),
                out_bytes=size,
                out_shape=_shape(values[name], layout.axes[name]),
                peak_bytes=weights + held + _size(layout, name, values[name], value_bytes, False),
                is_spikes=is_spikes,
                windows=_windows(layout.module, node),
            )
    outputs = tuple(layout.sources[node][0] for node in layout.outputs)
    return LayerGraph(tuple(found.values()), outputs)


def with_codec(net: CutNet, x: Tensor | FloatArray, graph: LayerGraph, codec: str) -> LayerGraph:
    """Give a graph whose outputs have the mean bytes that a codec really makes of them."""
    x = torch.as_tensor(x).to(net.dtype)
    layout, made = net.layout(len(x)), codec_named(codec)
    values: dict[str, Any] = {}
    vertices = []
    with torch.no_grad(), plain_attention():
        for vertex in graph.vertices:
            values[vertex.name] = run_layer(layout, vertex.name, values, x)
            size = vertex.out_bytes
            if vertex.kind != INPUT:
                _, sizes = net.cross(layout, vertex.name, values[vertex.name], graph, made)
                size = float(sizes.mean())
            vertices.append(replace(vertex, out_bytes=size))
    return LayerGraph(tuple(vertices), graph.outputs)


def _operations(net: CutNet, x: Tensor) -> dict[str, tuple[Operation, ...]]:
    """Give the calls of each layer for one sample, as torch dispatches them."""
    layout = net.layout(1)
    values: dict[str, Any] = {}
    found: dict[str, tuple[Operation, ...]] = {}
    for name in layout.layers:
        counts: dict[Operation, int] = {}

        def note(func: Any, args: Any, kwargs: Any, counts: Any = counts) -> Any:
            output = func(*args, **kwargs)
            operation = describe(func, args, output)
            counts[operation] = counts.get(operation, 0) + 1
            return output

        with torch.no_grad(), plain_attention(), observe_calls(note):
            values[name] = run_layer(layout, name, values, x[:1])
        found[name] = (
            ()
            if name == INPUT
            else tuple(
                Operation(o.kind, o.signature, n, o.macs, o.read, o.written, o.weights)
                for o, n in counts.items()
            )
        )
    return found


def _weight_bytes(layout: Layout, node: fx.Node, value_bytes: int, seen: set[str]) -> int:
    """Give the bytes of a layer's weights, as a transfer moves them; 0 at a second call."""
    held: dict[str, Tensor] = {}
    saved = 0
    if node.op == "call_module":
        module = layout.module.get_submodule(str(node.target))
        held = {f"{node.target}.{key}": value for key, value in module.state_dict().items()}
        own_bytes: Any = getattr(module, "value_bytes", value_bytes)  # 1 where weights are int8
        if own_bytes != value_bytes and f"{node.target}.weight" not in seen:
            saved = held[f"{node.target}.weight"].numel() * (value_bytes - own_bytes)
    for each in _with_arrangements(layout, node):
        if each.op == "get_attr":
            held[str(each.target)] = each.meta["value"]
    new = {key: value for key, value in held.items() if key not in seen}
    seen.update(new)
    return sum(t.numel() * value_bytes for t in new.values() if t.is_floating_point()) - saved


def _with_arrangements(layout: Layout, node: fx.Node) -> list[fx.Node]:
    """Give what a layer reads, arrangements followed to their ends."""
    found = []
    for each in node.all_input_nodes:
        found.append(each)
        if each not in layout.name_of:
            found += _with_arrangements(layout, each)
    return found


def _is_spikes(layout: Layout, node: fx.Node, value: Any, before: dict[str, Vertex]) -> bool:
    """Whether a layer gives spikes that are bits: neurons that fire them, or what keeps them so."""
    if not isinstance(value, Tensor) or not ((value == 0) | (value == 1)).all():
        return False
    if node.op == "call_module":
        module = layout.module.get_submodule(str(node.target))
        if getattr(module, "is_spiking", False):
            return not getattr(module, "fires_floats", False)
    name = layout.name_of[node]
    preds = layout.preds[name]
    keeps = kind_of(layout.module, node) in _KEEP_SPIKES
    return keeps and bool(preds) and all(before[pred].is_spikes for pred in preds)


def _size(layout: Layout, name: str, value: Any, value_bytes: int, is_spikes: bool) -> float:
    """Give the bytes of one sample's output: of what is read of it, spikes as bits."""
    wanted = wanted_items(layout, name)
    items = [value] if isinstance(value, Tensor) else list(value)
    axes = iter(layout.axes[name])
    total = 0.0
    for number, tensor in enumerate(items):
        if not isinstance(tensor, Tensor):
            continue
        axis = next(axes)
        if number not in wanted:
            continue
        n = tensor.shape[axis.axis] // axis.times if axis.times else 1
        each = tensor.numel() // n
        floats = value_bytes if tensor.is_floating_point() else tensor.element_size()
        total += math.ceil(each / 8) if is_spikes else each * floats
    return total


def _shape(value: Any, axes: Sequence[Axis]) -> tuple[int, ...]:
    """Give the shape of one sample's (first) output."""
    tensor, axis = next(tensors(value)), axes[0]
    sizes = list(tensor.shape)
    if axis.times == 1:
        del sizes[axis.axis]
    elif axis.times:
        sizes[axis.axis] = axis.times
    return tuple(sizes)


def _windows(module: nn.Module, node: fx.Node) -> tuple[Window, Window] | None:
    """Give what rows and columns a layer reads for those it gives, where that is a window."""
    if node.op != "call_module":
        return None
    layer = module.get_submodule(str(node.target))
    if isinstance(layer, _POINTWISE) or getattr(layer, "is_spiking", False):
        return Window(), Window()
    if not isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        return None
    try:
        return windows_of(layer)
    except UserError:
        return None  # its borders are not like the rest
