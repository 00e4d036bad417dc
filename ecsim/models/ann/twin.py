"""The analogue twin of the spiking VGG: the same layers with ReLU instead of neurons.

Own control, for what the paper leaves open: whether a spiking network is what the edge needs.
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
from ecsim.models.ann.int8 import Int8Conv2d, Int8Linear
from ecsim.models.snn.vgg import PLANS


class ReluVGG(nn.Module):
    """An ANN backbone with the plan, the layers and as many weights as `spiking_vgg` of its size.

    Images (N, C, H, W), or frames with a T after N, to features (N, F). An image is seen once, not
    at every time-step. The fully connected layer starts with torch's own initial weights: the
    spiking one's larger ones serve to make neurons fire.

    Attributes
    ----------
    plan : one entry per stage, see `ecsim.models.plan`.
    stages : a forward hook on one sees its activations, after the ReLU.
    feature_dim : F.
    """

    @dataclass(frozen=True)
    class Params:
        """What a scenario may set.

        Attributes
        ----------
        size, width : as of `spiking_vgg`.
        numbers : in which its layers answer; int8 is quantised after the training, which is in
            float32, as is the classifier (see `ecsim.models.ann.int8`).
        """

        size: Literal["small", "vgg9"] = "small"
        width: Annotated[float, Interval(gt=0, le=8)] = 1.0
        numbers: Literal["float32", "int8"] = "float32"

    def __init__(self, params: Params, in_shape: Sequence[int]):
        super().__init__()
        self.plan = plans.scaled(PLANS[params.size], params.width)
        self.in_shape = tuple(in_shape)[-3:]  # frames have the same samples, with a T in front
        shapes = plans.shapes(self.plan, self.in_shape)
        self.feature_dim = math.prod(shapes[-1])
        self.stages = nn.ModuleList(
            _stage(entry, shape, params.numbers == "int8")
            for entry, shape in zip(self.plan, shapes, strict=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give features (N, F); raise `DataError` when x has another shape than the net."""
        x = as_images(x, self.in_shape, "ReLU VGG")
        for stage in self.stages:
            x = stage(x)
        return x.flatten(1)


def _stage(entry: int | str, shape: tuple[int, ...], is_int8: bool) -> nn.Module:
    """Give the stage of a plan's entry for inputs of a sample shape."""
    if entry == "M":
        return nn.MaxPool2d(2) if plans.pools(shape) else nn.Identity()
    if isinstance(entry, int):
        conv = (Int8Conv2d if is_int8 else nn.Conv2d)(shape[0], entry, 3, padding=1, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(entry), nn.ReLU(inplace=True))
    linear = (Int8Linear if is_int8 else nn.Linear)(math.prod(shape), int(entry[1:]), bias=False)
    return nn.Sequential(nn.Flatten(), linear, nn.ReLU(inplace=True))
