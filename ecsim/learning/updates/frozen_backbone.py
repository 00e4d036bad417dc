"""A frozen backbone: only the heads learn, old and new.

Source: the text under Fig. 5 of ECC-SNN, which calls it usual for ANNs and harmful for SNNs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecsim.learning.update import UpdateMethod

if TYPE_CHECKING:
    from torch import Tensor

    from ecsim.models.incremental import IncrementalNet


class FrozenBackbone(UpdateMethod):
    """Train the heads on L_new; the backbone, its statistics included, stays as it is.

    Features of a sample never change, so that the backbone runs once per sample.
    """

    @dataclass(frozen=True, kw_only=True)
    class Params(UpdateMethod.Params):
        """Length and step size, and the weight of the cloud's logits."""

        def __post_init__(self) -> None:
            if self.augment:
                raise ValueError("augment: a frozen backbone sees each sample once, as it is")

    def freeze(self, child: IncrementalNet, has_new_head: bool) -> None:
        """Freeze the backbone."""
        child.backbone.requires_grad_(False)

    def logits_of(self, child: IncrementalNet, x: Tensor) -> Callable[[Tensor], Tensor]:
        """Compute the features once, and give what the heads make of them."""
        import torch

        with torch.no_grad():
            features = child.eval().features(x)
        return lambda i: torch.cat([head(features[i]) for head in child.heads], dim=1)

    def work_macs(self, n: int, n_old: int, n_all: int) -> float:
        """Count the backbone's forward pass once, and heads forward and backward."""
        heads = self._feature_dim * n_all
        return n * (self._backbone_macs + 3.0 * self.params.epochs * heads)

    def trained_bytes(self, n_old: int, n_all: int) -> float:
        """Count the heads."""
        return self._head_bytes(n_all)

    def batch_bytes(self, n: int) -> float:
        """Count the features of all samples; no activation is kept."""
        return 4.0 * n * self._feature_dim
