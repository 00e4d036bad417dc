"""The spiking VGG: convolution, batch normalisation and LIF neurons, over T time-steps.

Source: ECC-SNN, section 5.1, and errata ECC-SNN 8 for the layers of the VGG-9.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, cast

from annotated_types import Ge, Gt, Interval
from torch import Tensor, nn

from ecsim.core.errors import DataError
from ecsim.models import plan as plans
from ecsim.models.snn.lif import LIF
from ecsim.models.snn.surrogate import SurrogateName

PLANS: dict[str, plans.Plan] = {"small": (*plans.SMALL, "F128"), "vgg9": plans.VGG9}


class SpikingVGG(nn.Module):
    """A spiking backbone: images (N, C, H, W) or frames (N, T, C, H, W) to features (N, F).

    A static image is shown at every time-step. Its first convolution would give the same current T
    times, so it is computed (and counted) once and the current is injected T times. Features are
    the mean over T of the last stage's spikes. BatchNorm sees all time-steps of a batch together.

    Attributes
    ----------
    plan : one entry per stage, see `ecsim.models.plan`.
    stages : each maps (T, N, ...) to (T, N, ...); a forward hook on one sees what it computes.
    feature_dim : F.
    """

    @dataclass(frozen=True)
    class Params:
        """What a scenario may set.

        Attributes
        ----------
        size : "vgg9" is the paper's; "small" is for images of 8x8 to 32x32.
        width : multiplies the channels of each layer; .25 is a quarter-width network.
        steps : number of time-steps T.
        tau, threshold, v_reset, surrogate, alpha, detach_reset : see `LIF`.
        """

        size: Literal["small", "vgg9"] = "small"
        width: Annotated[float, Interval(gt=0, le=8)] = 1.0
        steps: Annotated[int, Ge(1)] = 4
        tau: Annotated[float, Interval(gt=0, le=1)] = 0.5
        threshold: Annotated[float, Gt(0)] = 1.0
        v_reset: float | None = 0.0
        surrogate: SurrogateName = "sigmoid"
        alpha: Annotated[float, Gt(0)] | None = None
        detach_reset: bool = True

    def __init__(self, params: Params, in_shape: Sequence[int]):
        super().__init__()
        self.steps = params.steps
        self.plan = plans.scaled(PLANS[params.size], params.width)
        self.in_shape = tuple(in_shape)[-3:]  # frames have the same samples, with a T in front
        shapes = plans.shapes(self.plan, self.in_shape)
        self.feature_dim = math.prod(shapes[-1])
        self.stages = nn.ModuleList(
            _stage(entry, shape, params) for entry, shape in zip(self.plan, shapes, strict=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give features (N, F); raise `DataError` when x has another shape than the net."""
        return self.spikes(x).mean(0).flatten(1)

    def spikes(self, x: Tensor) -> Tensor:
        """Give the last stage's spikes (T, N, ...)."""
        x = as_steps(x, self.in_shape, self.steps)
        for stage in self.stages:
            x = stage(x)
        return x


def as_steps(x: Tensor, in_shape: tuple[int, ...], steps: int) -> Tensor:
    """Give (1, N, C, H, W) of images and (T, N, C, H, W) of frames (N, T, C, H, W).

    Raises `DataError` when x has another shape than `in_shape`, (C, H, W), and `steps` say.
    """
    is_frames = x.dim() == 5
    fits = tuple(x.shape[-3:]) == in_shape and (not is_frames or x.shape[1] == steps)
    if x.dim() not in (4, 5) or not fits:
        shape = ", ".join(map(str, in_shape))
        takes = f"(N, {shape}) or (N, {steps}, {shape})"
        raise DataError(f"this spiking VGG takes {takes}, got {tuple(x.shape)}")
    return x.transpose(0, 1) if is_frames else x.unsqueeze(0)


def _stage(entry: int | str, shape: tuple[int, ...], params: SpikingVGG.Params) -> nn.Module:
    """Give the stage of a plan's entry for inputs of a sample shape."""
    if entry == "M":
        return _Pool() if plans.pools(shape) else nn.Identity()
    lif = LIF(
        params.tau,
        params.threshold,
        params.v_reset,
        params.surrogate,
        params.alpha,
        params.detach_reset,
    )
    if isinstance(entry, int):
        conv = nn.Conv2d(shape[0], entry, 3, padding=1, bias=False)
        return _Neurons(nn.Sequential(conv, nn.BatchNorm2d(entry)), lif, params.steps)
    linear = nn.Linear(math.prod(shape), int(entry[1:]), bias=False)
    # no normalisation follows, and torch's default init would leave these neurons silent: start
    # with currents of variance 1 where 10 % of the inputs spike
    nn.init.normal_(linear.weight, std=math.sqrt(10 / linear.in_features))
    return _Neurons(nn.Sequential(nn.Flatten(), linear), lif, params.steps)


class _Neurons(nn.Module):
    """Synapses, which know no time, and the neurons they feed."""

    def __init__(self, synapses: nn.Sequential, lif: LIF, steps: int):
        super().__init__()
        self.synapses = synapses
        self.lif = lif
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        current = self.synapses(x.flatten(0, 1))  # (T N, ...): time and batch are one batch
        current = current.unflatten(0, x.shape[:2])
        if x.shape[0] != self.steps:  # a static image: the same current at every step
            current = current.expand(self.steps, *current.shape[1:])
        return cast(Tensor, self.lif(current))


class _Pool(nn.MaxPool2d):
    """2x2 max-pooling at each time-step; the maximum of spikes is a spike."""

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, super().forward(x.flatten(0, 1)).unflatten(0, x.shape[:2]))
