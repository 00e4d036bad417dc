"""The small networks between a trunk and an early exit's head.

Source: BranchyNet (a convolution, then a fully connected layer); pooling keeps them smaller than
the layers that an early exit saves. Own sizes. Binary weights after Y. Huang et al., as the survey
has them (section IV.B, [88, 89]).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

from torch import Tensor, nn

from ecsim.models import plan as plans
from ecsim.models.snn.binary import BinaryConv2d

BranchName: TypeAlias = Literal["conv", "linear", "binary"]
_CONV_GRID, _LINEAR_GRID = 2, 4  # pixels a side that a head sees


def branch(kind: BranchName) -> Callable[[tuple[int, ...]], tuple[nn.Module, int]]:
    """Give what makes a branch and its number of features for a sample shape (C, H, W).

    "conv": 2x2 max-pooling where it fits, a 3x3 convolution with as many channels, batch
    normalisation, ReLU, and averages over a grid of 2 x 2; "binary": the same with weights of
    one bit; "linear": averages over 4 x 4 alone.
    """
    if kind == "linear":
        return _linear_branch
    return partial(_conv_branch, make_conv=BinaryConv2d if kind == "binary" else _float_conv)


def _float_conv(n_in: int, n_out: int, kernel: int, padding: int) -> nn.Module:
    return nn.Conv2d(n_in, n_out, kernel, padding=padding, bias=False)


def _conv_branch(
    shape: tuple[int, ...], make_conv: Callable[..., nn.Module]
) -> tuple[nn.Module, int]:
    channels, *pixels = shape
    layers: list[nn.Module] = []
    if plans.pools(shape):
        layers.append(nn.MaxPool2d(2))
        pixels = [size // 2 for size in pixels]
    grid = [min(size, _CONV_GRID) for size in pixels]
    conv = make_conv(channels, channels, 3, padding=1)
    layers += [conv, nn.BatchNorm2d(channels), nn.ReLU()]
    layers += [nn.AdaptiveAvgPool2d((grid[0], grid[1])), nn.Flatten()]
    return nn.Sequential(*layers), channels * grid[0] * grid[1]


def _linear_branch(shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    channels, *pixels = shape
    grid = [min(size, _LINEAR_GRID) for size in pixels]
    pool = nn.AdaptiveAvgPool2d((grid[0], grid[1]))
    return nn.Sequential(pool, nn.Flatten()), channels * grid[0] * grid[1]


def spiking_branch(shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """Give a branch that reads spikes (T, N, C, H, W) averaged over time and a grid of 4 x 4."""
    linear, dim = _linear_branch(shape)
    return nn.Sequential(MeanOverTime(), linear), dim


class MeanOverTime(nn.Module):
    """Means over the first axis, (T, N, ...) to (N, ...)."""

    def forward(self, x: Tensor) -> Tensor:
        """Give the means."""
        return x.mean(0)


class MeanOverPixels(nn.Module):
    """Means over the pixels, (N, C, H, W) to (N, C); anything else as it is."""

    def forward(self, x: Tensor) -> Tensor:
        """Give the means."""
        return x.mean((2, 3)) if x.dim() == 4 else x
