"""Channel splits of convolutions and linear layers: by filters, by kernels, and the fused pair.

Nodes share out output channels (filters) or input channels (the kernels of every filter); unlike a
spatial split, each holds only a part of the weights.

Source: survey of end-edge-cloud co-inference, section III.B; the fused pair is Stahl et al.,
"DeeperThings", IJPP 49, 2021, as the survey describes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecsim.core.errors import UserError
from ecsim.partition.spatial.shares import apportion

Layer: TypeAlias = nn.Conv2d | nn.Linear
Shares: TypeAlias = int | Sequence[float]


@dataclass(frozen=True, slots=True)
class Share:
    """What one node has, gets and gives, for one sample.

    Attributes
    ----------
    channels : what is its own, of the axis that is split.
    weights : values that it holds, bias included.
    received, sent : elements; what is sent are its outputs, or partial sums of all outputs.
    macs : that it computes.
    """

    channels: range
    weights: int
    received: int
    sent: int
    macs: int


def output_split(layer: Layer, x: Tensor, shares: Shares) -> tuple[Tensor, list[Share]]:
    """Give the layer's output with its filters divided: all of the input goes to every node.

    Parameters
    ----------
    x : (N, C, H, W), or (N, F) for a linear layer.
    shares : number of nodes, or their weights; an empty share is refused (`UserError`).
    """
    parts = _ranges(layer, layer.weight.shape[0], shares)
    outputs = [_filters(layer, x, part) for part in parts]
    kernels = layer.weight[0].numel()
    found = [
        Share(
            part,
            weights=len(part) * (kernels + (layer.bias is not None)),
            received=x[0].numel(),
            sent=y[0].numel(),
            macs=y[0].numel() * kernels,
        )
        for part, y in zip(parts, outputs, strict=True)
    ]
    return torch.cat(outputs, dim=1), found


def input_split(layer: Layer, x: Tensor, shares: Shares) -> tuple[Tensor, list[Share]]:
    """Give the layer's output with its kernels divided: partial sums are added, the bias once.

    The bias is held by the first node. Parameters as of `output_split`.
    """
    parts = _ranges(layer, layer.weight.shape[1], shares)
    sums = [_kernels(layer, x[:, part.start : part.stop], part, i) for i, part in enumerate(parts)]
    found = [
        Share(
            part,
            weights=_held_kernels(layer, part, i),
            received=x[:1, part.start : part.stop].numel(),
            sent=y[0].numel(),
            macs=y[0].numel() * _kernel_size(layer) * len(part),
        )
        for i, (part, y) in enumerate(zip(parts, sums, strict=True))
    ]
    return _added(sums), found


def fused_pair(
    first: Layer,
    second: Layer,
    x: Tensor,
    shares: Shares,
    between: Callable[[Tensor], Tensor] = F.relu,
) -> tuple[Tensor, list[Share]]:
    """Give the output of two layers, the first split by filters and the second by kernels.

    Each node's outputs of the first are its inputs of the second: nothing is exchanged in between.

    Parameters
    ----------
    between : works on each value alone; without it the halves would not fit together.
    """
    parts = _ranges(first, first.weight.shape[0], shares)
    if second.weight.shape[1] != first.weight.shape[0]:
        raise UserError("the second layer of a fused pair takes the channels that the first gives")
    _ranges(second, second.weight.shape[1], shares)
    sums, found = [], []
    kernels = first.weight[0].numel()
    for i, part in enumerate(parts):
        middle = between(_filters(first, x, part))
        y = _kernels(second, middle, part, i)
        sums.append(y)
        found.append(
            Share(
                part,
                weights=len(part) * (kernels + (first.bias is not None))
                + _held_kernels(second, part, i),
                received=x[0].numel(),
                sent=y[0].numel(),
                macs=middle[0].numel() * kernels + y[0].numel() * _kernel_size(second) * len(part),
            )
        )
    return _added(sums), found


def _ranges(layer: Layer, size: int, shares: Shares) -> list[range]:
    if isinstance(layer, nn.Conv2d) and layer.groups != 1:
        raise UserError("a grouped convolution is not split by channels")
    counts = apportion(size, [1.0] * shares if isinstance(shares, int) else shares)
    if 0 in counts:
        raise UserError(
            f"{size} channels in {len(counts)} parts leave part {counts.index(0)} empty"
        )
    stops = [sum(counts[: i + 1]) for i in range(len(counts))]
    return [range(stop - count, stop) for stop, count in zip(stops, counts, strict=True)]


def _filters(layer: Layer, x: Tensor, part: range) -> Tensor:
    bias = None if layer.bias is None else layer.bias[part.start : part.stop]
    return _run(layer, x, layer.weight[part.start : part.stop], bias)


def _kernels(layer: Layer, x: Tensor, part: range, node: int) -> Tensor:
    bias = layer.bias if node == 0 else None
    return _run(layer, x, layer.weight[:, part.start : part.stop], bias)


def _run(layer: Layer, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if isinstance(layer, nn.Linear):
        return F.linear(x, weight, bias)
    whole: Tensor = layer._conv_forward(x, weight, bias)
    return whole


def _kernel_size(layer: Layer) -> int:
    return layer.weight[0, 0].numel()


def _held_kernels(layer: Layer, part: range, node: int) -> int:
    bias = layer.weight.shape[0] if node == 0 and layer.bias is not None else 0
    return layer.weight.shape[0] * len(part) * _kernel_size(layer) + bias


def _added(sums: Sequence[Tensor]) -> Tensor:
    total = sums[0]
    for other in sums[1:]:
        total = total + other
    return total
