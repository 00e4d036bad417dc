"""AFLKD's networks: the cloud's, and edge networks that are its first blocks.

Source: AFLKD, section 6.2.2 and Fig. 6, with erratum 5: 3x3 convolutions (padding 1) with batch
normalisation and ReLU, a max-pooling behind each block, then fully connected layers of 1024 and K.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Interval
from torch import Tensor, nn

from ecsim.models import plan as plans
from ecsim.models.ann.frames import as_images
from ecsim.models.ann.vgg import stage_of


class AflkdCNN(nn.Module):
    """An ANN backbone: images (N, C, H, W), or frames with a T after N, to features (N, F).

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
        blocks : of convolutions; the cloud has 4, the edge networks 1, 2 and 3.
        fc : size of the fully connected layer before the classifier; 0 averages over the pixels
            instead, for inputs where it would be huge (401,408 x 1024 weights at 224 x 224).
        """

        blocks: Annotated[int, Interval(ge=1, le=4)] = 4
        fc: Annotated[int, Ge(0)] = 1024

    def __init__(self, params: Params, in_shape: Sequence[int]):
        super().__init__()
        self.in_shape = tuple(in_shape)[-3:]
        convolutions = [(*block, "M") for block in plans.AFLKD_BLOCKS[: params.blocks]]
        last = (f"F{params.fc}",) if params.fc else ()
        self.plan: plans.Plan = (*(entry for block in convolutions for entry in block), *last)
        shapes = plans.shapes(self.plan, self.in_shape)
        self.feature_dim = shapes[-1][0]
        self.stages = nn.ModuleList(
            stage_of(entry, shape, bias=True)
            for entry, shape in zip(self.plan, shapes, strict=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give features (N, F); raise `DataError` when x has another shape than the net."""
        x = as_images(x, self.in_shape, "AFLKD network")
        for stage in self.stages:
            x = stage(x)
        return x.mean((2, 3)) if x.dim() == 4 else x
