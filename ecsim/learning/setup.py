"""Set-up of the edge network on the cloud, with the cloud's network as its teacher."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Interval

from ecsim.core.types import IntArray
from ecsim.data.dataset import Augmentation
from ecsim.learning.augmentation import variation
from ecsim.learning.columns import columns_of
from ecsim.learning.compute import Compute
from ecsim.learning.effort import Effort

if TYPE_CHECKING:
    from torch import Tensor

    from ecsim.models.incremental import IncrementalNet


class JointDistillation:
    """Train the edge SNN on its base classes with logits, and features, of the cloud's ANN.

    The teacher's logits are restricted to the student's columns before the softmax: the cloud
    knows all classes, the student its base classes. The teacher is in eval mode throughout.

    Source: ECC-SNN, Eq. 8 and, when `align_weight` > 0, Eq. 9-10 at the last stage at which the
    two networks' plans still agree ("overlapping").
    """

    @dataclass(frozen=True, kw_only=True)
    class Params(Effort):
        """Weights of the loss terms, length and step size.

        Attributes
        ----------
        logit_weight : lambda_1 of Eq. 8.
        temperature : T of the softened logits.
        align_weight : lambda_2 of Eq. 10; 0 leaves the term out.
        align_gradient : whether the term's gradient reaches the edge's network; false is a control,
            in which the term is computed and changes no weight of it (erratum 5).
        label_smoothing : share of each label that is spread over the student's classes; with
            `logit_weight` 0 the control that softens targets without a teacher.
        """

        logit_weight: Annotated[float, Ge(0)] = 0.5
        temperature: Annotated[float, Gt(0)] = 3.0
        align_weight: Annotated[float, Ge(0)] = 0.0
        align_gradient: bool = True
        label_smoothing: Annotated[float, Interval(ge=0, lt=1)] = 0.0

    def __init__(self, params: Params):
        self.params = params

    def fit(
        self,
        net: IncrementalNet,
        teacher: IncrementalNet,
        images: npt.NDArray[np.float32],
        labels: IntArray,
        seed: int,
        compute: Compute,
        augmentation: Augmentation | None = None,
    ) -> dict[str, float]:
        """Train `net` in place and leave both networks on the CPU in eval mode; give the loss.

        Parameters
        ----------
        images, labels : samples of the student's classes, (N, C, H, W) and (N,).
        augmentation : what ``augment`` does to a sample; teacher and student see the same.

        Raises
        ------
        UserError : when features are to be aligned and no stage overlaps.
        """
        import torch
        from torch.nn import functional as F

        from ecsim.learning.alignment import Alignment
        from ecsim.learning.losses import logit_loss
        from ecsim.learning.training import batch_mode, train

        p = self.params
        compute.put(net)
        compute.put(teacher.eval())
        batch_mode(net, len(labels))
        x, y = compute.tensor(images), compute.tensor(columns_of(net.classes, labels))
        shared = compute.tensor(columns_of(teacher.classes, net.classes))
        alignment = Alignment(net, teacher, x[:2], seed, compute) if p.align_weight else None
        vary = variation(p.augment, augmentation or Augmentation(), seed)

        def loss_of(i: Tensor) -> Tensor:
            seen = vary(x[i])
            with torch.no_grad():
                taught = teacher(seen)[:, shared].float()
            logits = net(seen).float()
            loss = F.cross_entropy(logits, y[i], label_smoothing=p.label_smoothing)
            if p.logit_weight:
                loss = loss + p.logit_weight * logit_loss(logits, taught, p.temperature)
            if alignment is not None:
                loss = loss + p.align_weight * alignment.loss(p.align_gradient)
            return loss

        parameters = list(net.parameters())
        if alignment is not None:
            parameters += alignment.module.parameters()
        with alignment.watching() if alignment is not None else _nothing():
            loss = train(parameters, loss_of, len(labels), p, seed, compute)
        net.cpu().eval()
        teacher.cpu()
        return {"loss": loss}


@contextmanager
def _nothing() -> Iterator[None]:
    yield
