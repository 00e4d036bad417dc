"""A cascade of two models: a small one answers on the device, a large one further up when unsure.

With ``upper: edge_or_cloud`` the large model is asked wherever it is expected to answer sooner, by
the queues of now: load goes from a busy edge to the cloud.

Source: the survey, section IV.B; Y. Huang et al., "DeepAdapter", INFOCOM 2020, whose device runs a
pruned network and sends what its first convolution gives. Here the device's model is any
(`models.edge`), and the sample is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecsim.collab.context import Context
from ecsim.collab.outline import Outline
from ecsim.strategies.progressive import Progress, Progressive, Step, TierName


@dataclass(frozen=True)
class CascadeParams(Progress):
    """Where the large model is asked, and when the small one answers.

    Attributes
    ----------
    upper : tier of the cloud's model: cloud, edge, or edge_or_cloud (whichever is expected to
        answer sooner).
    """

    upper: Literal["edge", "cloud", "edge_or_cloud"] = "cloud"


class Cascade(Progressive[CascadeParams]):
    """Ask the device's model, then the cloud's model on another node."""

    Params = CascadeParams

    def places(self, outline: Outline) -> list[str]:
        """Give where the two models are asked."""
        return ["edge", self.params.upper]

    def steps(self, ctx: Context) -> list[Step]:
        """Give the two models' own answers; a model with exits is asked at its last."""
        device, cloud = ctx.devices[0], ctx.nodes("cloud")[0]
        own: TierName = "end" if device in ctx.nodes("end") else "edge"
        small, large = ctx.model(device), ctx.model(cloud)
        return [
            Step(small, own, len(ctx.exits(small)) - 1),
            Step(large, self.params.upper, len(ctx.exits(large)) - 1),
        ]
