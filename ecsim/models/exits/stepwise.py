"""The spiking VGG that may answer after each time-step: all layers, fewer steps.

A spiking neuron knows nothing of later steps, so that what the network says after t of T steps is
what the same network with T = t says: the steps that are left need not be run.

Source: own model after Y. Li et al., "SEENN: Towards Temporal Spiking Early-Exit Neural Networks",
NeurIPS 2023 (confidence of the averaged output, threshold per sample).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from ecsim.core.errors import UserError
from ecsim.models.snn.vgg import SpikingVGG


class StepwiseSpikingVGG(SpikingVGG):
    """`spiking_vgg` whose exits are time-steps; one head serves them all."""

    @dataclass(frozen=True)
    class Params(SpikingVGG.Params):
        """What a scenario may set: what `spiking_vgg` takes, and the exits.

        Attributes
        ----------
        exits : time-steps after which it may answer, rising, below `steps`; the last exit is at
            `steps`. Empty: after each.
        """

        exits: tuple[int, ...] = ()

        def __post_init__(self) -> None:
            exits = [*self.exits]
            if exits != sorted(set(exits)) or any(not 1 <= t < self.steps for t in exits):
                raise ValueError(
                    f"exits: expected rising time-steps from 1 to {self.steps - 1}, got {exits}"
                )

    shares_head = True

    def __init__(self, params: Params, in_shape: Sequence[int]):
        super().__init__(params, in_shape)
        self.params = params
        self.ends = (*(params.exits or range(1, params.steps)), params.steps)
        self.exit_names = tuple(f"step{t}" for t in self.ends)
        self.exit_dims = (self.feature_dim,) * len(self.ends)
        self.crossing_bytes: tuple[float | None, ...] = (None,) * len(self.ends)

    def exit_features(self, x: Tensor) -> list[Tensor]:
        """Give the features (N, F) after each exit's time-step, in one pass."""
        spikes = self.spikes(x).flatten(2)  # (T, N, F)
        return [spikes[:t].mean(0) for t in self.ends]

    def part(self, exit: int, after: int | None) -> nn.Module:
        """Give a network that runs the steps up to an exit only, with a copy of the weights.

        Raises `UserError` with `after`: membranes are not handed on to another node.
        """
        if after is not None:
            raise UserError("an exit over time-steps cannot be continued on another node")
        return self.first(self.ends[exit])

    def first(self, steps: int) -> nn.Module:
        """Give a network that runs so many steps only, with a copy of the weights."""
        short = _FirstSteps(replace(self.params, steps=steps, exits=()), self.in_shape)
        short.load_state_dict(self.state_dict())
        return short.train(self.training)


class _FirstSteps(SpikingVGG):
    """A spiking VGG that looks at its first T frames only, if there are more."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[:, : self.steps] if x.dim() == 5 else x)
