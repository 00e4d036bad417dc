"""A classifier that grows: one backbone and one linear head per group of classes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import cast

import torch
from torch import Tensor, nn

from ecsim.core.randomness import derive_seed
from ecsim.models.seeding import seeded


class IncrementalNet(nn.Module):
    """A backbone with one head per group of classes, whose logits stand side by side.

    ``head_classes`` and the `state_dict` are enough to rebuild a net around a like backbone.

    Parameters
    ----------
    backbone : maps a batch to features (N, F) and has ``feature_dim`` = F.
    head_classes : for each head the global class ids of its columns; at least one head.

    Attributes
    ----------
    memory : tensors that an update method left for the next update; no part of the weights.

    Raises
    ------
    ValueError
        for a head without classes and for a class that stands twice.
    """

    def __init__(self, backbone: nn.Module, head_classes: Sequence[Sequence[int]]):
        super().__init__()
        self.backbone = backbone
        self.head_classes: tuple[tuple[int, ...], ...] = ()
        self.heads = nn.ModuleList()
        self.memory: dict[str, Tensor] = {}
        if not head_classes:
            raise ValueError("a net needs at least one head")
        for classes in head_classes:
            self._add_head(classes)

    @property
    def classes(self) -> tuple[int, ...]:
        """The global class id of each column of the logits."""
        return tuple(chain.from_iterable(self.head_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Give the logits (N, K) of a batch, heads in the order in which they were added."""
        features = self.features(x)
        return torch.cat([head(features) for head in self.heads], dim=1)

    def features(self, x: Tensor) -> Tensor:
        """Give the backbone's features (N, F) of a batch."""
        return cast(Tensor, self.backbone(x))

    def grow(self, classes: Sequence[int], seed: int = 0) -> nn.Linear:
        """Add a head for new classes and give it; the other heads stay as they are.

        Its initial weights depend on `seed` and on how many heads there are; torch's global random
        state is untouched. Raises `ValueError` when the net has one of the classes already.
        """
        with seeded(derive_seed(seed, f"head/{len(self.heads)}")):
            return self._add_head(classes)

    def _add_head(self, classes: Sequence[int]) -> nn.Linear:
        new = tuple(int(c) for c in classes)
        if not new:
            raise ValueError("a head needs at least one class")
        known = sorted(set(new) & set(self.classes))
        if known or len(set(new)) < len(new):
            raise ValueError(f"a class can stand in one column only; given twice: {known or new}")
        feature_dim = cast(int, self.backbone.feature_dim)
        like = next(self.parameters(), torch.empty(0))
        head = nn.Linear(feature_dim, len(new)).to(like)  # made on the CPU: same weights anywhere
        self.heads.append(head)
        self.head_classes = (*self.head_classes, new)
        return head
