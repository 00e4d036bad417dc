"""Frames for networks that know no time."""

from __future__ import annotations

from torch import Tensor

from ecsim.core.errors import DataError


def as_images(x: Tensor, in_shape: tuple[int, ...], what: str) -> Tensor:
    """Give images (N, C, H, W): as they are, or frames (N, T, C, H, W) averaged over T.

    Raises `DataError` when x has another shape than `in_shape`, (C, H, W), says.
    """
    images = x.mean(1) if x.dim() == 5 else x
    if tuple(images.shape[1:]) != in_shape:
        raise DataError(
            f"this {what} takes (N, *{in_shape}) or (N, T, *{in_shape}), got {tuple(x.shape)}"
        )
    return images
