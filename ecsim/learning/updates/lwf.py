"""Learning without forgetting: each old head keeps its answers on the new samples.

Source: Li and Hoiem, Learning without Forgetting, 2017, Eq. 2-3: the distillation loss is a sum
over the old tasks, a softmax for each (here: each head); T = 2. The new head is not warmed up.
A head of one class has nothing to keep: its softmax is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt

from ecsim.core.types import Samples
from ecsim.learning.update import UpdateMethod

if TYPE_CHECKING:
    from torch import Tensor

    from ecsim.learning.update import Term
    from ecsim.models.incremental import IncrementalNet


class LwF(UpdateMethod):
    """Train all weights on L_new and on the old heads' own former answers."""

    @dataclass(frozen=True, kw_only=True)
    class Params(UpdateMethod.Params):
        """Weights of the loss terms, length and step size.

        Attributes
        ----------
        old_weight : lambda_o, the weight of the old heads' softened logits.
        temperature : T of these.
        """

        old_weight: Annotated[float, Ge(0)] = 1.0
        temperature: Annotated[float, Gt(0)] = 2.0

    params: Params

    def term(
        self, child: IncrementalNet, net: IncrementalNet, x: Tensor, images: Samples, seed: int
    ) -> Term | None:
        """Give the distillation loss, summed over the old heads."""
        p = self.params
        if not p.old_weight:
            return None
        import torch

        from ecsim.learning.losses import logit_loss

        sizes = [len(classes) for classes in net.head_classes]
        n_old = sum(sizes)
        with torch.no_grad():
            old = child.eval()(x)[:, :n_old].float()

        def loss(i: Tensor, logits: Tensor) -> Tensor:
            now_and_before = (torch.split(t, sizes, 1) for t in (logits[:, :n_old], old[i]))
            heads = zip(*now_and_before, strict=True)
            terms = [logit_loss(now, before, p.temperature) for now, before in heads]
            return p.old_weight * torch.stack(terms).sum()

        return loss

    def work_macs(self, n: int, n_old: int, n_all: int) -> float:
        """Count the training, and the old model once on each sample."""
        old = n * self._forward(n_old) if self.params.old_weight else 0.0
        return super().work_macs(n, n_old, n_all) + old

    def extra_bytes(self, n: int, n_old: int, n_all: int) -> float:
        """Count the old heads' answers."""
        return 4.0 * n * n_old if self.params.old_weight else 0.0
