"""The residual networks of the cloud.

Source: He et al., 2016 (basic blocks; resnet18 and resnet34), with a 3x3 stem without pooling for
images of up to 64 pixels, as is usual for CIFAR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ecsim.core.errors import DataError
from ecsim.models.ann.frames import as_images

# size -> (channels, blocks) of each group; every group after the first halves the resolution
GROUPS: dict[str, tuple[tuple[int, int], ...]] = {
    "small": ((32, 1), (64, 1), (128, 1)),
    "resnet18": ((64, 2), (128, 2), (256, 2), (512, 2)),
    "resnet34": ((64, 3), (128, 4), (256, 6), (512, 3)),
}
_LARGEST_SMALL_IMAGE = 64


class ResNet(nn.Module):
    """An ANN backbone with basic residual blocks: images (N, C, H, W) to features (N, F).

    Attributes
    ----------
    stem, groups : the first layers, and the groups of blocks.
    feature_dim : F, the channels of the last group, averaged over its pixels.
    """

    @dataclass(frozen=True)
    class Params:
        """What a scenario may set: the size."""

        size: Literal["small", "resnet18", "resnet34"] = "small"

    def __init__(self, params: Params, in_shape: Sequence[int]):
        super().__init__()
        if len(in_shape) not in (3, 4) or min(in_shape) < 1:
            raise DataError(f"a ResNet takes samples of shape (C, H, W), got {tuple(in_shape)}")
        self.in_shape = tuple(in_shape)[-3:]  # frames have the same samples, with a T in front
        groups = GROUPS[params.size]
        channels = groups[0][0]
        if max(self.in_shape[1:]) <= _LARGEST_SMALL_IMAGE:
            self.stem = _conv_bn(self.in_shape[0], channels, 3, 1).append(nn.ReLU(inplace=True))
        else:
            self.stem = _conv_bn(self.in_shape[0], channels, 7, 2)
            self.stem.append(nn.ReLU(inplace=True)).append(nn.MaxPool2d(3, 2, padding=1))
        self.groups = nn.ModuleList()
        for i, (width, n_blocks) in enumerate(groups):
            blocks = [
                _Block(width if j else channels, width, 2 if i and not j else 1)
                for j in range(n_blocks)
            ]
            self.groups.append(nn.Sequential(*blocks))
            channels = width
        self.feature_dim = channels

    def forward(self, x: Tensor) -> Tensor:
        """Give features (N, F); raise `DataError` when x has another shape than the net."""
        x = as_images(x, self.in_shape, "ResNet")
        x = self.stem(x)
        for group in self.groups:
            x = group(x)
        return x.mean((2, 3))


class _Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is projected where the shape changes."""

    def __init__(self, n_in: int, n_out: int, stride: int):
        super().__init__()
        self.first = _conv_bn(n_in, n_out, 3, stride)
        self.second = _conv_bn(n_out, n_out, 3, 1)
        same = n_in == n_out and stride == 1
        self.shortcut = nn.Identity() if same else _conv_bn(n_in, n_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


def _conv_bn(n_in: int, n_out: int, kernel: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(n_in, n_out, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(n_out))
