"""A convolution with binary weights, trained through floating-point ones.

Source: EM-PF, Eq. 3-4; erratum EM-PF 3 (the sign of 0 is +1) and 4 (scale).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn


class BinaryConv2d(nn.Conv2d):
    """`nn.Conv2d` without bias that convolves with the signs of its weights.

    The gradient passes straight through the sign where -1 <= w <= 1 (both ends included).

    Parameters
    ----------
    scale : "none" uses the signs alone (as printed); "channel_mean" multiplies them by the mean
        absolute weight of the output channel, as the binary convolution that the paper cites.
    **kwargs : as for `nn.Conv2d`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        scale: Literal["none", "channel_mean"] = "none",
        **kwargs: Any,
    ):
        super().__init__(in_channels, out_channels, kernel_size, bias=False, **kwargs)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Give the convolution (N, C_out, H, W) of x with the binary weights."""
        out: Tensor = self._conv_forward(x, self.binary_weight(), None)
        return out

    def binary_weight(self) -> Tensor:
        """Give the weights in use, shaped like ``weight``."""
        w = self.weight
        sign = torch.where(w >= 0, 1.0, -1.0).to(w)
        if self.scale == "channel_mean":
            sign = sign * w.detach().abs().mean((1, 2, 3), keepdim=True)
        through = w.clamp(-1, 1)
        return sign + (through - through.detach())  # the value of sign, the gradient of clamp
