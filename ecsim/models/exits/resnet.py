"""The residual network with early exits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ecsim.models.ann.frames import as_images
from ecsim.models.ann.resnet import GROUPS, ResNet
from ecsim.models.branched import Branched, checked_exits
from ecsim.models.exits.branch import BranchName, MeanOverPixels, branch


class MultiExitResNet(Branched):
    """The layers of `resnet` with a branch after named groups: images (N, C, H, W) to features.

    Source: BranchyNet, see `ecsim.models.multi_exit`.
    """

    @dataclass(frozen=True)
    class Params:
        """What a scenario may set.

        Attributes
        ----------
        size : as of `resnet`.
        exits : stages that an early exit follows: stem, group1, group2, ….
        branch : what stands before an early exit's head: conv (pooling and a convolution), binary
            (the same with weights of one bit) or linear (pooling alone).
        """

        size: Literal["small", "resnet18", "resnet34"] = "small"
        exits: tuple[str, ...] = ("group1", "group2")
        branch: BranchName = "conv"

        def __post_init__(self) -> None:
            checked_exits(self.exits, _names(len(GROUPS[self.size])))

    def __init__(self, params: Params, in_shape: Sequence[int]):
        base = ResNet(ResNet.Params(params.size), in_shape)
        stages = [base.stem, *base.groups]
        super().__init__(
            dict(zip(_names(len(base.groups)), stages, strict=True)),
            params.exits,
            _shapes(stages, base.in_shape),
            branch(params.branch),
            MeanOverPixels(),
            base.feature_dim,
        )
        self.in_shape = base.in_shape

    def prepare(self, x: Tensor) -> Tensor:
        """Give images, of frames their mean; raise `DataError` for another shape."""
        return as_images(x, self.in_shape, "ResNet")


def _names(n_groups: int) -> list[str]:
    return ["stem", *(f"group{i + 1}" for i in range(n_groups))]


def _shapes(stages: Sequence[nn.Module], in_shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Give the sample shape after each stage; the statistics of its layers stay as they are."""
    x = torch.zeros(1, *in_shape)
    found = []
    for stage in stages:
        with torch.no_grad():
            x = stage.eval()(x)
        stage.train()
        found.append(tuple(x.shape[1:]))
    return found
