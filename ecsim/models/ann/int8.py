"""Layers that answer in 8-bit integers: post-training quantisation, simulated exactly.

Weights are symmetric per output channel, inputs symmetric per tensor, both in -127 ... 127. The
largest input is a running mean over the batches of the training, as batch normalisation has its
statistics; it travels with the weights. Products and sums are whole numbers (computed in float64,
where they are exact), so that an answer does not depend on the batch. What follows a layer
(normalisation, ReLU) is computed in float: batch normalisation scales channels, which commutes with
a scale per channel. A network trains in float32; where gradients are wanted, and before anything
was trained, it answers in float32 too.

Source: Krishnamoorthi, Quantizing deep convolutional networks for efficient inference, 2018, in
the symmetric form of section 2.3; the range by moving averages as in section 3.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 127
MOMENTUM = 0.1


class _Int8(nn.Module):
    """What a convolution and a linear layer have in common; to be inherited from before them."""

    value_bytes = 1
    """Bytes of a weight, an input and an output, for the counting of work."""
    weight: Tensor
    largest_input: Tensor

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.register_buffer("largest_input", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self._watch(x.detach())
        elif not torch.is_grad_enabled() and self.largest_input > 0:
            return self._in_integers(x)
        return cast(Tensor, super().forward(x))

    def _watch(self, x: Tensor) -> None:
        largest, seen = self.largest_input, x.abs().amax()
        largest.copy_(torch.where(largest > 0, torch.lerp(largest, seen, MOMENTUM), seen))

    def _in_integers(self, x: Tensor) -> Tensor:
        x_step = self.largest_input / LEVELS
        w_step = steps_of(self.weight)
        product = self._product(whole(x, x_step).double(), whole(self.weight, w_step).double())
        channels = w_step.flatten().view(-1, *[1] * (product.dim() - 2))  # (N, C, ...)
        return (product * (x_step * channels)).to(x.dtype)

    def _product(self, x: Tensor, weight: Tensor) -> Tensor:
        raise NotImplementedError


def steps_of(weight: Tensor) -> Tensor:
    """Give the step of each output channel, (C, 1, ...): its largest weight is 127 steps."""
    largest = weight.abs().flatten(1).amax(1).clamp_min(torch.finfo(weight.dtype).tiny * LEVELS)
    return largest.view(-1, *[1] * (weight.dim() - 1)) / LEVELS


def whole(x: Tensor, step: Tensor) -> Tensor:
    """Give x in whole steps, at most 127 of them.

    >>> whole(torch.tensor([-9.0, 0.24, 0.26]), torch.tensor(0.5)).tolist()
    [-18.0, 0.0, 1.0]
    """
    return (x / step).round().clamp(-LEVELS, LEVELS)


class Int8Conv2d(_Int8, nn.Conv2d):
    """A convolution without bias that answers in 8-bit integers."""

    def _product(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, None, self.stride, self.padding, self.dilation, self.groups)


class Int8Linear(_Int8, nn.Linear):
    """A linear layer without bias that answers in 8-bit integers."""

    def _product(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.linear(x, weight)
