"""Varied samples: random crops and mirroring, as a data set declares them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ecsim.core.randomness import derive_seed
from ecsim.data.dataset import Augmentation

if TYPE_CHECKING:
    from torch import Generator, Tensor


def variation(is_wanted: bool, augmentation: Augmentation, seed: int) -> Callable[[Tensor], Tensor]:
    """Give what a training does to each batch of samples (N, ..., H, W) before it sees them.

    Without augmentation that is nothing: the very same tensor comes back and nothing is drawn.
    Otherwise each sample is varied by itself, all its channels and frames alike; what is drawn
    follows from the training's seed and the number of samples seen before.
    """
    if not is_wanted or augmentation == Augmentation():
        return _same
    import torch

    generator = torch.Generator().manual_seed(derive_seed(seed, "augmentation"))
    return lambda x: varied(x, augmentation, generator)


def varied(x: Tensor, augmentation: Augmentation, generator: Generator) -> Tensor:
    """Give a random crop of each sample, padded with zeros, mirrored in half of the cases."""
    import torch
    from torch.nn import functional as F

    n, (height, width) = len(x), x.shape[-2:]
    pad = augmentation.pad
    if pad:
        top, left = torch.randint(2 * pad + 1, (2, n), generator=generator).tolist()
        padded = F.pad(x, (pad, pad, pad, pad))
        crops = [
            padded[i, ..., t : t + height, s : s + width]
            for i, (t, s) in enumerate(zip(top, left, strict=True))
        ]
        x = torch.stack(crops)
    if augmentation.flip:
        mirrored = torch.rand(n, generator=generator) < 0.5
        shape = (n, *[1] * (x.dim() - 1))
        x = torch.where(mirrored.view(shape).to(x.device), x.flip(-1), x)
    return x


def _same(x: Tensor) -> Tensor:
    return x
