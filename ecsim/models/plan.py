"""Plans of VGG-type networks: what stages there are, and which poolings fit an input.

A plan is a tuple with one entry per stage: an int is a 3x3 convolution (padding 1) with that many
channels, ``"M"`` a 2x2 max-pooling, ``"F1024"`` a fully connected layer with 1024 outputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from ecsim.core.errors import DataError

Plan: TypeAlias = tuple[int | str, ...]

SMALL: Plan = (32, "M", 64, "M")
VGG9: Plan = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", "F1024")
VGG11: Plan = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M")
VGG16: Plan = (
    64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M",
)  # fmt: skip

AFLKD_BLOCKS = ((32,) * 3, (48,) * 2, (80,) * 5, (128,) * 5)  # AFLKD, section 6.2.2


def scaled(plan: Plan, width: float) -> Plan:
    """Give the plan with `width` (> 0) times the channels and outputs per stage, rounded up.

    >>> scaled((64, "M", "F10"), 0.25)
    (16, 'M', 'F3')
    """

    def entry_of(entry: int | str) -> int | str:
        if isinstance(entry, int):
            return math.ceil(width * entry)
        return entry if entry == "M" else f"F{math.ceil(width * int(entry[1:]))}"

    return tuple(map(entry_of, plan))


def shapes(plan: Plan, in_shape: Sequence[int]) -> list[tuple[int, ...]]:
    """Give the sample shape before each stage and after the last: ``len(plan) + 1`` shapes.

    A pooling whose input is less than 2 pixels high or wide is skipped (its stage passes the input
    on), so that one plan serves 8x8 and 224x224 images; odd sizes round down (28, 14, 7, 3).
    Raises `DataError` when `in_shape` is not (C, H, W) of positive numbers.

    >>> shapes((4, "M", "F10"), (1, 8, 8))
    [(1, 8, 8), (4, 8, 8), (4, 4, 4), (10,)]
    """
    if len(in_shape) != 3 or min(in_shape) < 1:
        raise DataError(f"a VGG takes samples of shape (C, H, W), got {tuple(in_shape)}")
    found = [tuple(in_shape)]
    for entry in plan:
        shape = found[-1]
        if entry == "M":
            found.append((shape[0], shape[1] // 2, shape[2] // 2) if pools(shape) else shape)
        elif isinstance(entry, int):
            found.append((entry, *shape[1:]))
        else:
            found.append((int(entry[1:]),))
    return found


def pools(shape: Sequence[int]) -> bool:
    """Give whether a 2x2 pooling fits an input of shape (C, H, W)."""
    return min(shape[1:]) >= 2


def names(plan: Plan) -> list[str]:
    """Give a name for each stage, numbered by kind.

    >>> names((4, "M", 8, 8, "F10"))
    ['conv1', 'pool1', 'conv2', 'conv3', 'fc1']
    """
    found: list[str] = []
    for entry in plan:
        kind = "pool" if entry == "M" else "conv" if isinstance(entry, int) else "fc"
        found.append(f"{kind}{sum(name.startswith(kind) for name in found) + 1}")
    return found
