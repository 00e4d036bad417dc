"""Operations of one layer: MACs, and synaptic operations of the spikes it saw."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ecsim.core.types import FloatArray


def layer_macs(layer: nn.Module, output: Tensor) -> int:
    """Give the MACs with which a Conv or Linear layer made `output`, padding included."""
    if isinstance(layer, nn.Linear):
        return output.numel() * layer.in_features
    conv = cast(_ConvNd, layer)
    return output.numel() * conv.in_channels // conv.groups * math.prod(conv.kernel_size)


def attention_macs(layer: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor) -> int:
    """Give the MACs of one call: four projections, and both products over pairs of positions."""
    n_queries = query.numel() // query.shape[-1]  # of all samples
    n_keys = key.numel() // key.shape[-1]
    axis = 0 if query.dim() == 2 or not layer.batch_first else 1
    width: int = layer.embed_dim
    projections = width * (
        n_queries * (query.shape[-1] + width) + n_keys * (key.shape[-1] + value.shape[-1])
    )
    return projections + 2 * n_queries * key.shape[axis] * width


def synaptic_operations(layer: nn.Module, spikes: Tensor) -> FloatArray:
    """Give the synaptic operations (N,) that spikes (T, N, ...) cause in a Conv or Linear layer.

    Exact: each spike counts once for each weight that it really meets at an output position;
    padding, stride, dilation and groups are taken into account.
    """
    if isinstance(layer, nn.Linear):
        counts = per_sample(spikes).sum(1, dtype=torch.float64)
        return cast(FloatArray, (counts * layer.out_features).numpy(force=True))
    conv = cast(_ConvNd, layer)
    rank = len(conv.kernel_size)
    # exact in float32: T times channels stays far below 2^24
    image = spikes.sum(0).sum(1).double()  # (T, N, C, *size) -> (N, *size)
    pads = conv._reversed_padding_repeated_twice  # last axis first
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    if isinstance(conv.padding, str) or conv.padding_mode != "zeros":
        image = F.pad(image.unsqueeze(1), pads, mode=mode).squeeze(1)
        padding = [0] * rank
    else:
        padding = list(conv.padding)
    for axis in range(rank, 0, -1):
        size, i = image.shape[axis], axis - 1
        fan = _fan_out(size, conv.kernel_size[i], conv.stride[i], conv.dilation[i], padding[i])
        image = image @ torch.from_numpy(fan).to(image.device)
    return cast(FloatArray, (image * (conv.out_channels // conv.groups)).numpy(force=True))


def _fan_out(size: int, kernel: int, stride: int, dilation: int, padding: int) -> FloatArray:
    """Give, for each position along one axis, how many outputs a value there reaches."""
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    first = np.arange(outputs)[:, None] * stride - padding
    reached = (first + np.arange(kernel) * dilation).ravel()
    inside = reached[(reached >= 0) & (reached < size)]
    return np.bincount(inside, minlength=size).astype(np.float64)


def per_sample(x: Tensor) -> Tensor:
    """Give one row per sample for (T, N, ...)."""
    return x.transpose(0, 1).flatten(1)
