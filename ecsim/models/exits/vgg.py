"""The VGG with early exits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ecsim.models import plan as plans
from ecsim.models.ann.frames import as_images
from ecsim.models.ann.vgg import PLANS, VGG
from ecsim.models.branched import Branched, checked_exits
from ecsim.models.exits.branch import BranchName, MeanOverPixels, branch


class MultiExitVGG(Branched):
    """The layers of `vgg` with a branch after named stages: images (N, C, H, W) to features.

    Source: BranchyNet, see `ecsim.models.multi_exit`.
    """

    @dataclass(frozen=True)
    class Params:
        """What a scenario may set.

        Attributes
        ----------
        size : as of `vgg`.
        exits : stages that an early exit follows: conv1, pool1, …, fc1, as `size` has them.
        branch : what stands before an early exit's head: conv (pooling and a convolution), binary
            (the same with weights of one bit) or linear (pooling alone).
        """

        size: Literal["small", "vgg9", "vgg11", "vgg16"] = "small"
        exits: tuple[str, ...] = ("pool1", "pool2")
        branch: BranchName = "conv"

        def __post_init__(self) -> None:
            checked_exits(self.exits, plans.names(PLANS[self.size]))

    def __init__(self, params: Params, in_shape: Sequence[int]):
        base = VGG(VGG.Params(params.size), in_shape)
        super().__init__(
            dict(zip(plans.names(base.plan), base.stages, strict=True)),
            params.exits,
            plans.shapes(base.plan, base.in_shape)[1:],
            branch(params.branch),
            MeanOverPixels(),
            base.feature_dim,
        )
        self.in_shape = base.in_shape

    def prepare(self, x: Tensor) -> Tensor:
        """Give images, of frames their mean; raise `DataError` for another shape."""
        return as_images(x, self.in_shape, "VGG")
