"""Self-distillation: the update of ECC-SNN.

Source: ECC-SNN, Eq. 12 with L_new as Eq. 8 on the buffer; L_old is computed over the classes known
before, on the buffered samples (nothing else is at hand on the device).
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


class SelfDistillation(UpdateMethod):
    """Learn the buffered samples and stay close to the model before the update.

    With a new class the backbone and the new head are trained, the old heads stay as they are;
    without one the existing heads are trained.
    """

    @dataclass(frozen=True, kw_only=True)
    class Params(UpdateMethod.Params):
        """Weights of the loss terms, length and step size.

        Attributes
        ----------
        old_weight : lambda_3 of Eq. 12.
        temperature : T of the old model's softened logits.
        """

        old_weight: Annotated[float, Ge(0)] = 0.5
        temperature: Annotated[float, Gt(0)] = 2.0

    params: Params

    def freeze(self, child: IncrementalNet, has_new_head: bool) -> None:
        """Freeze the heads but for the newest, where there is a new one."""
        if has_new_head:
            for head in list(child.heads)[:-1]:
                head.requires_grad_(False)

    def term(
        self, child: IncrementalNet, net: IncrementalNet, x: Tensor, images: Samples, seed: int
    ) -> Term | None:
        """Give lambda_3 L_old."""
        p = self.params
        if not p.old_weight:
            return None
        import torch

        from ecsim.learning.losses import logit_loss

        n_old = len(net.classes)
        with torch.no_grad():
            old = child.eval()(x)[:, :n_old].float()  # before the first step it is the old model

        return lambda i, logits: p.old_weight * logit_loss(logits[:, :n_old], old[i], p.temperature)

    def work_macs(self, n: int, n_old: int, n_all: int) -> float:
        """Count the training, and the old model once on each sample."""
        old = self._forward(n_old) if self.params.old_weight else 0.0
        return n * (3 * self.params.epochs * self._forward(n_all) + old)

    def trained_bytes(self, n_old: int, n_all: int) -> float:
        """Count the backbone and the head that is trained."""
        return self._backbone_bytes + self._head_bytes(n_all - n_old or n_all)

    def extra_bytes(self, n: int, n_old: int, n_all: int) -> float:
        """Count the old model's answers."""
        return 4.0 * n * n_old if self.params.old_weight else 0.0
