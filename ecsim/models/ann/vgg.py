"""The VGG of the cloud: convolution, batch normalisation, ReLU.

Source: Simonyan and Zisserman, 2015 (configurations A and D), with batch normalisation and global
average pooling in place of the three fully connected layers, as is usual for small images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval
from torch import Tensor, nn

from ecsim.models import plan as plans
from ecsim.models.ann.frames import as_images

PLANS: dict[str, plans.Plan] = {
    "small": (*plans.SMALL, 128, "F256"),
    "vgg9": plans.VGG9,
    "vgg11": plans.VGG11,
    "vgg16": plans.VGG16,
}


class VGG(nn.Module):
    """An ANN backbone: images (N, C, H, W), or frames with a T after N, to features (N, F).

    The plan of "small" and "vgg9" begins as the spiking VGG's of that size does, so that their
    stages overlap (ECC-SNN, Eq. 9-10). A plan that ends in a convolution or a pooling is averaged
    over its pixels.

    Attributes
    ----------
    plan : one entry per stage, see `ecsim.models.plan`.
    stages : a forward hook on one sees its activations (N, C, H, W), after the ReLU.
    feature_dim : F.
    """

    @dataclass(frozen=True)
    class Params:
        """What a scenario may set.

        Attributes
        ----------
        size : "small" is for images of 8x8 to 32x32.
        width : multiplies the channels of each layer.
        """

        size: Literal["small", "vgg9", "vgg11", "vgg16"] = "small"
        width: Annotated[float, Interval(gt=0, le=8)] = 1.0

    def __init__(self, params: Params, in_shape: Sequence[int]):
        super().__init__()
        self.plan = plans.scaled(PLANS[params.size], params.width)
        self.in_shape = tuple(in_shape)[-3:]  # frames have the same samples, with a T in front
        shapes = plans.shapes(self.plan, self.in_shape)
        self.feature_dim = shapes[-1][0]
        self.stages = nn.ModuleList(
            stage_of(entry, shape) for entry, shape in zip(self.plan, shapes, strict=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give features (N, F); raise `DataError` when x has another shape than the net."""
        x = as_images(x, self.in_shape, "VGG")
        for stage in self.stages:
            x = stage(x)
        return x.mean((2, 3)) if x.dim() == 4 else x


def stage_of(entry: int | str, shape: tuple[int, ...], bias: bool = False) -> nn.Module:
    """Give the stage of a plan's entry for inputs of a sample shape; `bias`: in convolutions."""
    if entry == "M":
        return nn.MaxPool2d(2) if plans.pools(shape) else nn.Identity()
    if isinstance(entry, int):
        conv = nn.Conv2d(shape[0], entry, 3, padding=1, bias=bias)
        return nn.Sequential(conv, nn.BatchNorm2d(entry), nn.ReLU(inplace=True))
    linear = nn.Linear(math.prod(shape), int(entry[1:]))
    return nn.Sequential(nn.Flatten(), linear, nn.ReLU(inplace=True))
