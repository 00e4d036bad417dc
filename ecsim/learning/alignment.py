"""Where the backbones of student and teacher overlap, and the alignment of features there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ecsim.core.errors import UserError
from ecsim.learning.compute import Compute
from ecsim.learning.losses import FeatureAlignment
from ecsim.models.incremental import IncrementalNet


def overlapping_stage(student: nn.Module, teacher: nn.Module) -> int:
    """Give the last stage at which both backbones' plans agree; raise `UserError` if none does.

    >>> from types import SimpleNamespace as Backbone
    >>> overlapping_stage(Backbone(plan=(16, "M", 32)), Backbone(plan=(16, "M", 64, 64)))
    1
    """
    plans = [getattr(backbone, "plan", ()) for backbone in (student, teacher)]
    n_shared = 0
    for mine, theirs in zip(*plans, strict=False):
        if mine != theirs:
            break
        n_shared += 1
    if n_shared == 0:
        raise UserError(
            "learning.setup.align_weight: the edge's and the cloud's networks overlap in no "
            "stage; set it to 0 or choose networks of one family"
        )
    return n_shared - 1


class Alignment:
    """The alignment term at the overlapping stage, fed by forward hooks."""

    def __init__(
        self,
        net: IncrementalNet,
        teacher: IncrementalNet,
        sample: Tensor,
        seed: int,
        compute: Compute,
    ):
        stage = overlapping_stage(net.backbone, teacher.backbone)
        backbones: tuple[Any, Any] = net.backbone, teacher.backbone
        self._stages: tuple[nn.Module, ...] = tuple(b.stages[stage] for b in backbones)
        self._seen: dict[nn.Module, Tensor] = {}
        was_training = net.training
        with self.watching(), torch.no_grad():
            net.eval()(sample)
            teacher(sample)
        net.train(was_training)
        spikes, features = (self._seen[stage] for stage in self._stages)
        generator = torch.Generator().manual_seed(seed)
        self.module = FeatureAlignment(
            spikes[0, 0].numel(), features[0].numel(), generator
        )  # spikes (T, N, …), features (N, …)
        compute.put(self.module)

    def loss(self, reaches_student: bool = True) -> Tensor:
        """Give the term for the batch that both networks have just seen.

        Its gradient reaches the map from one side to the other and, unless that is unwanted, the
        student.
        """
        spikes, features = (self._seen.pop(stage) for stage in self._stages)
        spikes = spikes if reaches_student else spikes.detach()
        loss: Tensor = self.module(spikes, features.float())
        return loss

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Keep what the two stages give, inside the block."""
        hooks = [stage.register_forward_hook(self._keep) for stage in self._stages]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _keep(self, stage: nn.Module, _: Any, output: Tensor) -> None:
        self._seen[stage] = output
