"""The spiking VGG with early exits after stages: fewer layers, all time-steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ecsim.models import plan as plans
from ecsim.models.branched import Branched, checked_exits
from ecsim.models.exits.branch import MeanOverTime, spiking_branch
from ecsim.models.snn.vgg import PLANS, SpikingVGG, as_steps


class MultiExitSpikingVGG(Branched):
    """The layers of `spiking_vgg` with a branch after named stages.

    A branch reads the spikes averaged over time, as the classifier at the end does; what crosses
    to another node are the spikes of all time-steps, as bits.
    """

    @dataclass(frozen=True)
    class Params(SpikingVGG.Params):
        """What a scenario may set: what `spiking_vgg` takes, and the exits.

        Attributes
        ----------
        exits : stages that an early exit follows: conv1, pool1, …, fc1, as `size` has them.
        """

        exits: tuple[str, ...] = ("pool1", "pool2")

        def __post_init__(self) -> None:
            checked_exits(self.exits, plans.names(PLANS[self.size]))

    def __init__(self, params: Params, in_shape: Sequence[int]):
        base = SpikingVGG(params, in_shape)
        super().__init__(
            dict(zip(plans.names(base.plan), base.stages, strict=True)),
            params.exits,
            plans.shapes(base.plan, base.in_shape)[1:],
            spiking_branch,
            nn.Sequential(MeanOverTime(), nn.Flatten()),
            base.feature_dim,
            value_bytes=params.steps / 8,
        )
        self.in_shape, self.steps = base.in_shape, base.steps

    def prepare(self, x: Tensor) -> Tensor:
        """Give (1 or T, N, C, H, W); raise `DataError` for another shape."""
        return as_steps(x, self.in_shape, self.steps)
