"""A small network of depthwise separable convolutions, for devices and the cloud alike.

Source: Sandler et al., 2018 (MobileNetV2: inverted residuals with linear bottlenecks and ReLU6),
with a stem of stride 1 and fewer halvings for images of up to 64 pixels, as is usual for CIFAR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from torch import Tensor, nn

from ecsim.core.errors import DataError
from ecsim.models.ann.frames import as_images

# (expansion, channels, blocks, stride) of each group, then the channels of the last convolution
_Group = tuple[int, int, int, int]
_GROUPS: dict[str, tuple[tuple[_Group, ...], int]] = {
    "small": (((1, 16, 1, 1), (4, 24, 1, 2), (4, 32, 2, 2)), 128),
    "v2": (
        (
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
            (6, 160, 3, 2), (6, 320, 1, 1),
        ),
        1280,
    ),
}  # fmt: skip
_STEM = {"small": 16, "v2": 32}
_LARGEST_SMALL_IMAGE = 64


class MobileNet(nn.Module):
    """An ANN backbone of inverted residuals: images (N, C, H, W) to features (N, F).

    Attributes
    ----------
    stages : stem, blocks and the last convolution; a forward hook on one sees its output.
    feature_dim : F, the channels of the last convolution, averaged over its pixels.
    """

    @dataclass(frozen=True)
    class Params:
        """What a scenario may set: the size; "v2" has MobileNetV2's blocks."""

        size: Literal["small", "v2"] = "small"

    def __init__(self, params: Params, in_shape: Sequence[int]):
        super().__init__()
        if len(in_shape) not in (3, 4) or min(in_shape) < 1:
            raise DataError(f"a MobileNet takes samples of shape (C, H, W), got {tuple(in_shape)}")
        self.in_shape = tuple(in_shape)[-3:]  # frames have the same samples, with a T in front
        groups, last = _GROUPS[params.size]
        is_small = max(self.in_shape[1:]) <= _LARGEST_SMALL_IMAGE
        channels = _STEM[params.size]
        stages: list[nn.Module] = [_conv(self.in_shape[0], channels, 3, 1 if is_small else 2)]
        for number, (expansion, width, n_blocks, stride) in enumerate(groups):
            first = 1 if is_small and number == 1 else stride  # one halving less
            for block in range(n_blocks):
                stages.append(_Block(channels, width, expansion, first if block == 0 else 1))
                channels = width
        stages.append(_conv(channels, last, 1, 1))
        self.stages = nn.ModuleList(stages)
        self.feature_dim = last

    def forward(self, x: Tensor) -> Tensor:
        """Give features (N, F); raise `DataError` when x has another shape than the net."""
        x = as_images(x, self.in_shape, "MobileNet")
        for stage in self.stages:
            x = stage(x)
        return x.mean((2, 3))


class _Block(nn.Module):
    """Expand, convolve each channel by itself, project; added to the input where it fits."""

    def __init__(self, n_in: int, n_out: int, expansion: int, stride: int):
        super().__init__()
        inner = n_in * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [_conv(n_in, inner, 1, 1)]
        layers += [
            _conv(inner, inner, 3, stride, groups=inner),
            nn.Conv2d(inner, n_out, 1, bias=False),
            nn.BatchNorm2d(n_out),
        ]
        self.layers = nn.Sequential(*layers)
        self.is_residual = n_in == n_out and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = cast(Tensor, self.layers(x))
        return x + y if self.is_residual else y


def _conv(n_in: int, n_out: int, kernel: int, stride: int, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(
        n_in, n_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False
    )  # fmt: skip
    return nn.Sequential(conv, nn.BatchNorm2d(n_out), nn.ReLU6(inplace=True))
