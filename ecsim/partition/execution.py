"""Running a cut network: its parts one after the other, with what crosses really coded.

The calls are the whole network's own, on the same modules in the same order within a part; what
crosses without loss so leads to the same floats as the whole network gives, bit for bit.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, fx, nn

from ecsim.core.types import Cut, FloatArray
from ecsim.models.work import is_spiking, layer_work, observed, readout_of
from ecsim.partition.codecs import Codec, codec_named, coded
from ecsim.partition.cuts import transfers
from ecsim.partition.graph import INPUT, LayerGraph
from ecsim.partition.layout import Layout, lay_out
from ecsim.partition.tracing import call, plain_attention

Counts = FloatArray  # (5, N): MACs, SOPs, neuron updates, bytes moved, MACs of 8-bit integers
_MACS, _SOPS, _UPDATES, _BYTES, _INT8 = range(5)


@dataclass(frozen=True, slots=True, eq=False)
class PartRun:
    """What one part did for N samples.

    Attributes
    ----------
    counts : MACs, SOPs, neuron updates, bytes moved and MACs in int8, (5, N); weights are read
        once.
    out_bytes : what its coded values take on the way to the next part, (N,), without the sample.
    answers : logits (N, K) of each exit whose last layer it runs, by exit, in the dtype of the
        computation.
    """

    counts: Counts
    out_bytes: FloatArray
    answers: Mapping[int, FloatArray]


class CutNet:
    """A network that can be run in parts.

    Parameters
    ----------
    net : in evaluation mode it is what `models.work.predict` runs; copied, never changed.
    in_shape : of one sample.
    dtype : of the computation; None is float64 for a spiking net (see `models.work`), else that
        of the weights.
    """

    def __init__(self, net: nn.Module, in_shape: Sequence[int], dtype: torch.dtype | None = None):
        like = next(net.parameters())
        self.is_spiking = is_spiking(net)
        self.weights_dtype = like.dtype
        self.dtype = dtype or (torch.float64 if self.is_spiking else like.dtype)
        self._net = copy.deepcopy(net).to(self.dtype).eval()
        self._in_shape = tuple(in_shape)
        self._layouts: dict[int, Layout] = {}

    def layout(self, n: int) -> Layout:
        """Give the traced pass for n samples."""
        if n not in self._layouts:
            self._layouts[n] = lay_out(copy.deepcopy(self._net), self._in_shape, n)
        return self._layouts[n]

    def run(
        self, x: Tensor | FloatArray, cut: Cut, graph: LayerGraph, codec: Codec | None = None
    ) -> list[PartRun]:
        """Run samples x (N, *in_shape) through the parts of a cut.

        Parameters
        ----------
        graph : of this network: which values are spikes, and how many bytes weights have.
        codec : None is the cut's own, with its default parameters.
        """
        x = torch.as_tensor(x).to(next(self._net.parameters()).device, self.dtype)
        layout = self.layout(len(x))
        codec = codec_named(cut.codec) if codec is None else codec
        tally = Tally(layout.module, len(x), self.weights_dtype.itemsize, self.is_spiking)
        values: dict[int, dict[str, Any]] = {at: {} for at in set(cut.nodes)}
        moved = (*transfers(graph, cut), ())
        runs = []
        with tallied(layout, tally):
            for i, (part, at) in enumerate(zip(cut.parts, cut.nodes, strict=True)):
                tally.counts = np.zeros((5, len(x)))
                _run_layers(layout, part, values[at], x)
                if layout.is_exported:  # no modules to observe, and no spikes
                    tally.counts[_MACS] += sum(graph[name].work.macs for name in part)
                tally.counts[_BYTES] += sum(graph[name].param_bytes for name in part)
                out_bytes = np.zeros(len(x))
                for name in moved[i]:
                    value = values[at][name]
                    if name != INPUT:
                        value, sizes = self.cross(layout, name, value, graph, codec)
                        out_bytes += sizes
                    values[cut.nodes[i + 1]][name] = value
                answers = {
                    k: cast(Tensor, _value(layout, node, values[at])).numpy(force=True)
                    for k, node in enumerate(layout.outputs)
                    if layout.sources[node][0] in part
                }
                runs.append(PartRun(tally.counts, out_bytes, answers))
        return runs

    def cross(
        self, layout: Layout, name: str, value: Any, graph: LayerGraph, codec: Codec
    ) -> tuple[Any, FloatArray]:
        """Give what arrives of a layer's value on another node, and each sample's bytes."""
        is_tuple = not isinstance(value, Tensor)
        wanted = wanted_items(layout, name)
        axes = iter(layout.axes[name])
        total: FloatArray | None = None
        arrived = []
        for number, tensor in enumerate(value if is_tuple else (value,)):
            if not isinstance(tensor, Tensor):
                arrived.append(tensor)
                continue
            axis = next(axes)
            if is_tuple and number not in wanted:
                arrived.append(None)
                continue
            plain = tensor.to(self.weights_dtype) if tensor.is_floating_point() else tensor
            rows = axis.split(plain) if axis.times else plain.reshape(1, -1)
            back, sizes = coded(codec, rows.numpy(force=True), graph[name].is_spikes)
            found = torch.as_tensor(back).to(tensor.device, tensor.dtype)
            arrived.append(axis.join(found, tensor) if axis.times else found.view_as(tensor))
            total = sizes if total is None else total + sizes
        assert total is not None
        return (tuple(arrived) if is_tuple else arrived[0]), total


class Tally:
    """Counts what the layers of a pass do, by the rules of `models.work`.

    Attributes
    ----------
    counts : what is added to, (5, N); exchanged where another part, or layer, begins.
    """

    def __init__(self, module: nn.Module, n: int, value_bytes: int, spiking: bool):
        self.counts: Counts = np.zeros((5, n))
        self._n = n
        self._bytes = value_bytes
        self._spiking = spiking
        self._readout = readout_of(module)

    def on_layer(self, layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Count a call of a layer with weights."""
        is_dense = not self._spiking or layer in self._readout
        work = layer_work(layer, args, output, self._n, is_dense)
        self.counts[_MACS] += work.macs
        self.counts[_SOPS] += work.sops
        size = getattr(layer, "value_bytes", self._bytes)
        self.counts[_BYTES] += work.read * size + work.spikes / 8
        self.counts[_BYTES] += output.numel() / self._n * size
        if size == 1:
            self.counts[_INT8] += work.macs

    def on_neurons(self, _: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        """Count the updates of neurons."""
        each = output.numel() / self._n
        self.counts[_UPDATES] += each
        self.counts[_BYTES] += each * (2 * self._bytes + 1 / 8)


@contextmanager
def tallied(layout: Layout, tally: Tally) -> Iterator[None]:
    """Let a tally count what is run, without gradient; exported calls have no modules to see."""
    if layout.is_exported:
        with torch.no_grad(), plain_attention():
            yield
    else:
        with observed(layout.module, tally.on_layer, tally.on_neurons):
            yield


def run_layer(layout: Layout, name: str, values: dict[str, Any], x: Tensor) -> Any:
    """Run one layer on what `values` has of those before it, and give its output."""
    node = layout.layers[name]
    if name == INPUT:
        return x.clone()  # the first layer may work in place
    args: Any = fx.map_arg(node.args, lambda n: _value(layout, n, values))
    kwargs = fx.map_arg(node.kwargs, lambda n: _value(layout, n, values))
    if name in layout.overwrites:
        args = (args[0].clone(), *args[1:])
    return call(layout.module, node, args, kwargs)


def _run_layers(layout: Layout, part: Sequence[str], values: dict[str, Any], x: Tensor) -> None:
    for name in part:
        values[name] = run_layer(layout, name, values, x)


def _value(layout: Layout, node: fx.Node, values: Mapping[str, Any]) -> Any:
    """Give what a node gives: a layer's output, or an arrangement of it, made where it is read."""
    name = layout.name_of.get(node)
    if name is not None:
        return values[name]
    args = fx.map_arg(node.args, lambda n: _value(layout, n, values))
    kwargs = fx.map_arg(node.kwargs, lambda n: _value(layout, n, values))
    return call(layout.module, node, args, kwargs)


def wanted_items(layout: Layout, name: str) -> set[int]:
    """Give which of a layer's several outputs are read; {0} of a single one."""
    found = set()
    value = layout.layers[name].meta["value"]
    if isinstance(value, Tensor):
        return {0}
    for user in layout.layers[name].users:
        item = user.args[1] if len(user.args) > 1 else None
        found |= {item} if isinstance(item, int) else set(range(len(value)))
    return found
