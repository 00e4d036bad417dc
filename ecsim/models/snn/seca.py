"""Spiking efficient channel attention: each channel scaled by its neighbours' mean current.

Source: EM-PF, Eq. 9-10, after ECA (Wang et al., 2020). Erratum EM-PF 8: Eq. 9 prints Sign where the
pooled current is squeezed; the printed form is ``squeeze="sign"``.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ecsim.models.snn.binary import BinaryConv2d


class SECA(nn.Module):
    """SECA-I: currents (N, C, H, W) to currents of that shape.

    One kernel serves all time-steps: merge time and batch before calling.

    Parameters
    ----------
    channels : C.
    kernel_size : odd width over neighbouring channels; None takes ECA's rule.
    squeeze : "mean" attends to the pooled current itself, "sign" to its sign.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int | None = None,
        squeeze: Literal["mean", "sign"] = "mean",
    ):
        super().__init__()
        width = eca_kernel(channels) if kernel_size is None else kernel_size
        if width % 2 == 0:
            raise ValueError(f"the kernel of channel attention must be odd, got {width}")
        self.conv = nn.Conv1d(1, 1, width, padding=width // 2, bias=False)
        self.squeeze = squeeze

    def forward(self, current: Tensor) -> Tensor:
        """Give the current, each channel scaled by its attention in (0, 1)."""
        pooled = current.mean((2, 3))  # (N, C)
        if self.squeeze == "sign":
            pooled = torch.sign(pooled)
        score = torch.sigmoid(self.conv(pooled.unsqueeze(1)).squeeze(1))
        return current * score[:, :, None, None]


class SECA2(nn.Module):
    """SECA-II: SECA of ``I + BN(BConv(I))``, with a binary 3x3 convolution of its own."""

    def __init__(
        self,
        channels: int,
        kernel_size: int | None = None,
        scale: Literal["none", "channel_mean"] = "none",
    ):
        super().__init__()
        self.conv = BinaryConv2d(channels, channels, 3, scale=scale, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.attention = SECA(channels, kernel_size)

    def forward(self, current: Tensor) -> Tensor:
        """Give the attended current (N, C, H, W)."""
        attended: Tensor = self.attention(current + self.norm(self.conv(current)))
        return attended


def eca_kernel(channels: int) -> int:
    """Give ECA's kernel width for a number of channels (its gamma 2, b 1).

    >>> [eca_kernel(c) for c in (8, 64, 128, 256, 512)]
    [3, 3, 5, 5, 5]
    """
    width = int(abs((math.log2(channels) + 1) / 2))
    return width if width % 2 else width + 1
