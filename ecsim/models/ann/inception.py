"""A network of inception blocks: four branches side by side, joined by their channels.

Source: Szegedy et al., 2015 (GoogLeNet, Table 1; without its two training-time classifiers), with
batch normalisation after each convolution, and for images of up to 64 pixels a 3x3 stem of stride 1
without pooling, as is usual for CIFAR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ecsim.core.errors import DataError
from ecsim.models.ann.frames import as_images

# 1x1; 3x3 reduced and out; 5x5 reduced and out; behind the pooling
_Widths = tuple[int, int, int, int, int, int]
_BLOCKS: dict[str, tuple[int, tuple[_Widths | Literal["M"], ...]]] = {
    "small": (16, ((8, 8, 16, 4, 8, 8), "M", (16, 16, 32, 4, 16, 16))),
    "googlenet": (
        64,
        (
            (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), "M",
            (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64),
            (128, 128, 256, 24, 64, 64), (112, 144, 288, 32, 64, 64),
            (256, 160, 320, 32, 128, 128), "M",
            (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128),
        ),
    ),
}  # fmt: skip
_LARGEST_SMALL_IMAGE = 64
_MIDDLE = 192  # channels of GoogLeNet's second convolution


class Inception(nn.Module):
    """An ANN backbone of inception blocks: images (N, C, H, W) to features (N, F).

    Attributes
    ----------
    stem, blocks : the first layers; blocks, and the poolings between them.
    feature_dim : F, the channels of the last block, averaged over its pixels.
    """

    @dataclass(frozen=True)
    class Params:
        """What a scenario may set: the size."""

        size: Literal["small", "googlenet"] = "small"

    def __init__(self, params: Params, in_shape: Sequence[int]):
        super().__init__()
        if len(in_shape) not in (3, 4) or min(in_shape) < 1:
            raise DataError(f"an Inception takes samples (C, H, W), got {tuple(in_shape)}")
        self.in_shape = tuple(in_shape)[-3:]  # frames have the same samples, with a T in front
        channels, blocks = _BLOCKS[params.size]
        if max(self.in_shape[1:]) <= _LARGEST_SMALL_IMAGE:
            self.stem = _conv(self.in_shape[0], channels, 3)
        else:
            self.stem = _conv(self.in_shape[0], channels, 7, stride=2)
            self.stem.append(nn.MaxPool2d(3, 2, padding=1))
            self.stem.extend([*_conv(channels, channels, 1), *_conv(channels, _MIDDLE, 3)])
            self.stem.append(nn.MaxPool2d(3, 2, padding=1))
            channels = _MIDDLE
        self.blocks = nn.ModuleList()
        for widths in blocks:
            if widths == "M":
                self.blocks.append(nn.MaxPool2d(3, 2, padding=1))
            else:
                self.blocks.append(_Block(channels, widths))
                channels = widths[0] + widths[2] + widths[4] + widths[5]
        self.feature_dim = channels

    def forward(self, x: Tensor) -> Tensor:
        """Give features (N, F); raise `DataError` when x has another shape than the net."""
        x = self.stem(as_images(x, self.in_shape, "Inception"))
        for block in self.blocks:
            x = block(x)
        return x.mean((2, 3))


class _Block(nn.Module):
    """Convolutions of 1x1, 3x3 and 5x5 and a pooling of one input, side by side."""

    def __init__(self, n_in: int, widths: _Widths):
        super().__init__()
        one, three_in, three, five_in, five, pooled = widths
        self.one = _conv(n_in, one, 1)
        self.three = nn.Sequential(*_conv(n_in, three_in, 1), *_conv(three_in, three, 3))
        self.five = nn.Sequential(*_conv(n_in, five_in, 1), *_conv(five_in, five, 5))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), *_conv(n_in, pooled, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pooled(x)], dim=1)


def _conv(n_in: int, n_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(n_in, n_out, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True))
