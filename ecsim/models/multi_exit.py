"""Networks that may answer before their last layer: a trunk with a branch and a head per exit.

A backbone takes part by having ``exit_features`` and what `ExitBackbone` lists; `models.create`
then makes a `MultiExitNet` of it. One's own derives from `ecsim.models.branched.Branched`, so that
`ecsim.models.exit_work` can count what each exit costs.

Source: S. Teerapittayanon et al., "BranchyNet: Fast Inference via Early Exiting from Deep Neural
Networks", ICPR 2016; the survey's Eq. 5 (f_exit_n).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from ecsim.models.incremental import IncrementalNet


class ExitBackbone(Protocol):
    """What a backbone with exits offers; the last exit is the end of the network.

    Attributes
    ----------
    exit_names : of each exit, for people.
    exit_dims : features F_k that each exit's head sees.
    shares_head : whether one head serves all exits (they then have equally many features).
    crossing_bytes : size of one sample's tensor that the trunk hands on at each exit, as it would
        be sent to another node; None where nothing can be handed on.
    """

    exit_names: tuple[str, ...]
    exit_dims: tuple[int, ...]
    shares_head: bool
    crossing_bytes: tuple[float | None, ...]

    def exit_features(self, x: Tensor) -> list[Tensor]:
        """Give the features (N, F_k) of each exit, in one pass of the trunk."""

    def part(self, exit: int, after: int | None) -> nn.Module:
        """Give what computes an exit's features, from the sample or from what `after` saw."""


class MultiExitNet(IncrementalNet):
    """A classifier with a head per group of classes at every exit.

    Called, it answers at its last exit; `exits` gives the answers of all. `heads` are the last
    exit's, as of any other net; `early_heads` those of the exits before it.
    """

    early_heads: nn.ModuleList

    @property
    def n_exits(self) -> int:
        """Number of exits, the last included."""
        return len(self._exits.exit_dims)

    def exits(self, x: Tensor) -> list[Tensor]:
        """Give the logits (N, K) of each exit for a batch, in one pass."""
        features = self._exits.exit_features(x)
        return [_answer(self.heads_of(k), f) for k, f in enumerate(features)]

    def heads_of(self, exit: int) -> nn.ModuleList:
        """Give the heads of one exit; raise `IndexError` when there is no such exit."""
        if not 0 <= exit < self.n_exits:
            raise IndexError(f"there are exits 0 to {self.n_exits - 1}, not {exit}")
        if self._exits.shares_head or exit == self.n_exits - 1:
            return self.heads
        return cast(nn.ModuleList, self.early_heads[exit])

    def part(self, exit: int, after: int | None = None) -> ExitPart:
        """Give the module that computes one exit's logits, with this net's own weights.

        It takes samples or, with `after`, the tensor that an earlier exit saw. Raises `IndexError`
        for an exit that does not exist or does not come later.
        """
        if after is not None and not 0 <= after < exit:
            raise IndexError(f"exit {exit} does not come after exit {after}")
        return ExitPart(self._exits.part(exit, after), self.heads_of(exit))

    def _add_head(self, classes: Sequence[int]) -> nn.Linear:
        head = super()._add_head(classes)
        if not hasattr(self, "early_heads"):
            self.early_heads = nn.ModuleList(nn.ModuleList() for _ in self._early_dims)
        for heads, dim in zip(self.early_heads, self._early_dims, strict=True):
            cast(nn.ModuleList, heads).append(nn.Linear(dim, len(classes)).to(head.weight))
        return head

    @property
    def _early_dims(self) -> tuple[int, ...]:
        return () if self._exits.shares_head else self._exits.exit_dims[:-1]

    @property
    def _exits(self) -> ExitBackbone:
        return cast(ExitBackbone, self.backbone)


class ExitPart(nn.Module):
    """One exit of a net by itself: the layers up to it, its branch and its heads."""

    def __init__(self, backbone: nn.Module, heads: nn.ModuleList):
        super().__init__()
        self.backbone = backbone
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        """Give the exit's logits (N, K)."""
        return _answer(self.heads, self.backbone(x))


def _answer(heads: nn.ModuleList, features: Tensor) -> Tensor:
    return torch.cat([head(features) for head in heads], dim=1)
