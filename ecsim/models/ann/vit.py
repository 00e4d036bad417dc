"""A vision transformer: patches of the image as tokens, attention and perceptrons in turn.

Source: Dosovitskiy et al., 2021 (ViT: class token, learned positions, normalisation before each
block); "tiny" has the widths of DeiT-Ti (Touvron et al., 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, cast

import torch
from annotated_types import Ge
from torch import Tensor, nn

from ecsim.core.errors import DataError
from ecsim.models.ann.frames import as_images

# width, blocks, heads, how much wider the perceptron is
_SIZES: dict[str, tuple[int, int, int, int]] = {"small": (32, 2, 4, 2), "tiny": (192, 12, 3, 4)}
_PATCHES = ((16, 2), (64, 4))  # images of up to so many pixels: side of a patch
_LARGEST_PATCH = 16


class ViT(nn.Module):
    """An ANN backbone of attention blocks: images (N, C, H, W) to features (N, F).

    Attributes
    ----------
    patches, tokens, blocks, norm : in this order; tokens are (N, 1 + patches, F), the first one is
        the class token, whose last value are the features.
    feature_dim : F.
    """

    @dataclass(frozen=True)
    class Params:
        """What a scenario may set.

        Attributes
        ----------
        size : "tiny" is the published one.
        patch : side of a patch in pixels; by default 2, 4 or 16 as the image is large.
        """

        size: Literal["small", "tiny"] = "small"
        patch: Annotated[int, Ge(1)] | None = None

    def __init__(self, params: Params, in_shape: Sequence[int]):
        super().__init__()
        if len(in_shape) not in (3, 4) or min(in_shape) < 1:
            raise DataError(f"a ViT takes samples of shape (C, H, W), got {tuple(in_shape)}")
        self.in_shape = tuple(in_shape)[-3:]  # frames have the same samples, with a T in front
        channels, height, width = self.in_shape
        side = params.patch or _patch(max(height, width))
        if height % side or width % side:
            raise DataError(
                f"a ViT's patches of {side} pixels must divide the image of {height} x {width}"
            )
        dim, n_blocks, heads, wider = _SIZES[params.size]
        self.patches = nn.Conv2d(channels, dim, side, side)
        self.tokens = _Tokens(height // side * (width // side), dim)
        self.blocks = nn.ModuleList(_Block(dim, heads, wider) for _ in range(n_blocks))
        self.norm = nn.LayerNorm(dim)
        self.feature_dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Give features (N, F); raise `DataError` when x has another shape than the net."""
        x = self.patches(as_images(x, self.in_shape, "ViT"))
        x = self.tokens(x.flatten(2).transpose(1, 2))  # (N, F, H, W) -> (N, H W, F)
        for block in self.blocks:
            x = block(x)
        return cast(Tensor, self.norm(x[:, 0]))


class _Tokens(nn.Module):
    """Puts the class token before the patches and adds each position's own vector."""

    own_macs = 0.0  # additions, as everywhere, are not counted

    def __init__(self, n: int, dim: int):
        super().__init__()
        self.first = nn.Parameter(torch.zeros(dim))
        self.positions = nn.Parameter(0.02 * torch.randn(1 + n, dim))

    def forward(self, x: Tensor) -> Tensor:
        first = self.first.expand(len(x), 1, -1)
        return torch.cat([first, x], dim=1) + self.positions


class _Block(nn.Module):
    """Attention over all tokens, then a perceptron for each; both added to what came in."""

    def __init__(self, dim: int, heads: int, wider: int):
        super().__init__()
        self.before = nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.between = nn.LayerNorm(dim)
        self.perceptron = nn.Sequential(
            nn.Linear(dim, wider * dim), nn.GELU(), nn.Linear(wider * dim, dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        seen = self.before(x)
        x = x + self.attention(seen, seen, seen, need_weights=False)[0]
        return x + cast(Tensor, self.perceptron(self.between(x)))


def _patch(side: int) -> int:
    return next((patch for limit, patch in _PATCHES if side <= limit), _LARGEST_PATCH)
