"""Networks to calibrate on: random chains of the usual layers, none of them a registered model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from ecsim.models.seeding import seeded
from ecsim.models.snn.lif import LIF

Nets = dict[str, tuple[nn.Module, Sequence[int]]]
_WIDTHS = (16, 24, 40, 56, 80, 112, 144, 192, 272, 384, 448)


def calibration_networks(seed: int = 0) -> Nets:
    """Give plain, separable, residual and spiking chains of random widths, and perceptrons."""
    rng = np.random.default_rng(seed)
    nets: Nets = {}
    with seeded(seed):
        for i, side in enumerate((16, 32, 48, 64, 96, 32)):
            nets[f"plain {i}"] = (_chain(rng, side, _plain), (3, side, side))
        for i, side in enumerate((24, 32, 48, 64, 96)):
            nets[f"separable {i}"] = (_chain(rng, side, _separable), (3, side, side))
        for i, side in enumerate((16, 32, 56)):
            nets[f"residual {i}"] = (_chain(rng, side, _residual), (3, side, side))
        for i, (side, width) in enumerate(
            (
                (3, 320),
                (4, 480),
                (6, 360),
                (2, 640),
                (8, 240),
                (3, 560),
                (5, 440),
                (1, 400),
                (2, 280),
                (4, 240),
                (1, 600),
                (2, 440),
            )
        ):
            nets[f"wide {i}"] = (_wide(side, width), (3, side, side))
        for i, side in enumerate((12, 24, 40, 32)):
            nets[f"spiking {i}"] = (_Spiking(rng, side, steps=3 + i), (3, side, side))
        for i, width in enumerate((200, 400, 700, 1000, 1500, 2300, 3300)):
            layers = [nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, width // 2)]
            nets[f"perceptron {i}"] = (nn.Sequential(*layers, nn.ReLU(), nn.Linear(width // 2, 10)),
                                       (3, 8, 8))  # fmt: skip
    return nets


def _chain(rng: np.random.Generator, side: int, block: type[nn.Module]) -> nn.Module:
    """Give a stem, blocks of growing width with halvings between, and a head."""
    start = int(rng.integers(0, 4))
    widths = [_WIDTHS[start]]
    layers: list[nn.Module] = [
        nn.Conv2d(3, widths[0], int(rng.choice([3, 5])), padding=2, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
    ]
    for level in range(4):
        for _ in range(int(rng.integers(1, 3))):
            step = int(rng.integers(0, 2))
            width = _WIDTHS[min(_WIDTHS.index(widths[-1]) + step + (level > 0), 10)]
            layers.append(block(widths[-1], width, rng))
            widths.append(width)
        if side // 2 ** (level + 1) >= 2:
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
    return nn.Sequential(*layers, _Mean(), nn.Linear(widths[-1], 10))


def _wide(side: int, width: int) -> nn.Module:
    """Give convolutions of many channels on few pixels, as at the end of deep networks."""
    layers: list[nn.Module] = []
    for n_in, n_out in ((3, 48), (48, width), (width, width), (width, width + 32)):
        conv = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, _Mean(), nn.Linear(width + 32, 10))


class _Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class _plain(nn.Sequential):  # noqa: N801 (a block to be called, as a function is)
    def __init__(self, n_in: int, n_out: int, rng: np.random.Generator):
        kernel = int(rng.choice([1, 3, 3, 3, 5]))
        conv = nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2, bias=False)
        super().__init__(conv, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True))


class _separable(nn.Sequential):  # noqa: N801
    def __init__(self, n_in: int, n_out: int, rng: np.random.Generator):
        inner = n_in * int(rng.integers(1, 5))
        super().__init__(
            nn.Conv2d(n_in, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU6(inplace=True),
            nn.Conv2d(inner, inner, int(rng.choice([3, 5])), padding="same", groups=inner,
                      stride=1, bias=False),
            nn.BatchNorm2d(inner), nn.ReLU6(inplace=True),
            nn.Conv2d(inner, n_out, 1, bias=False), nn.BatchNorm2d(n_out),
        )  # fmt: skip


class _residual(nn.Module):  # noqa: N801
    def __init__(self, n_in: int, n_out: int, rng: np.random.Generator):
        super().__init__()
        stride = int(rng.integers(1, 3))
        self.body = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(n_out),
            nn.ReLU(), nn.Conv2d(n_out, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out),
        )  # fmt: skip
        self.side = nn.Conv2d(n_in, n_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.side(x))


class _Spiking(nn.Module):
    """Convolutions and a linear layer with LIF neurons over a number of time-steps."""

    def __init__(self, rng: np.random.Generator, side: int, steps: int):
        super().__init__()
        self.steps = steps
        self.lif = LIF()
        widths = [3, *sorted(rng.choice(_WIDTHS[:8], 4).tolist())]
        self.convs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b))
            for a, b in pairwise(widths)
        )
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(widths[-1] * (side // 4) ** 2, 300, bias=False)
        self.head = nn.Linear(300, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = x.unsqueeze(0).expand(self.steps, *x.shape)
        for number, conv in enumerate(self.convs):
            y = self._neurons(conv(y.flatten(0, 1)), len(x))
            if number in (1, 2):
                y = self.pool(y.flatten(0, 1)).unflatten(0, (self.steps, len(x)))
        y = self._neurons(self.hidden(y.flatten(0, 1).flatten(1)), len(x))
        out: Tensor = self.head(y.mean(0))
        return out

    def _neurons(self, current: Tensor, n: int) -> Tensor:
        shape = (self.steps, n, *current.shape[1:])
        spikes: Tensor = self.lif(current.view(shape))
        return spikes
