"""Set-up of the edge network on the cloud, with the cloud's network as its teacher."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.nn import functional as F

from ecsim.core.errors import UserError
from ecsim.core.types import IntArray
from ecsim.learning.columns import columns_of
from ecsim.learning.compute import Compute
from ecsim.learning.losses import FeatureAlignment, logit_loss
from ecsim.learning.training import Effort, batch_mode, train
from ecsim.models.incremental import IncrementalNet


class JointDistillation:
    """Train the edge SNN on its base classes with logits, and features, of the cloud's ANN.

    The teacher's logits are restricted to the student's columns before the softmax: the cloud
    knows all classes, the student its base classes. The teacher is in eval mode throughout.

    Source: ECC-SNN, Eq. 8 and, when `align_weight` > 0, Eq. 9-10 at the last stage at which the
    two networks' plans still agree ("overlapping").
    """

    @dataclass(frozen=True, kw_only=True)
    class Params:
        """Weights of the loss terms, length and step size.

        Attributes
        ----------
        logit_weight : lambda_1 of Eq. 8.
        temperature : T of the softened logits.
        align_weight : lambda_2 of Eq. 10; 0 leaves the term out.
        epochs, batch_size : passes over the base samples and samples per step.
        lr, weight_decay : of Adam; the learning rate falls to 0 along a cosine.
        """

        logit_weight: Annotated[float, Ge(0)] = 0.5
        temperature: Annotated[float, Gt(0)] = 3.0
        align_weight: Annotated[float, Ge(0)] = 0.0
        epochs: Annotated[int, Ge(1)] = 10
        batch_size: Annotated[int, Ge(2)] = 32
        lr: Annotated[float, Gt(0)] = 2e-3
        weight_decay: Annotated[float, Ge(0)] = 5e-4

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
    ) -> dict[str, float]:
        """Train `net` in place and leave both networks on the CPU in eval mode; give the loss.

        Parameters
        ----------
        images, labels : samples of the student's classes, (N, C, H, W) and (N,).

        Raises
        ------
        UserError : when features are to be aligned and no stage overlaps.
        """
        p = self.params
        compute.put(net)
        compute.put(teacher.eval())
        batch_mode(net, len(labels))
        x, y = compute.tensor(images), compute.tensor(columns_of(net.classes, labels))
        shared = compute.tensor(columns_of(teacher.classes, net.classes))
        alignment = _Alignment(net, teacher, x[:2], seed, compute) if p.align_weight else None

        def loss_of(i: Tensor) -> Tensor:
            with torch.no_grad():
                taught = teacher(x[i])[:, shared].float()
            logits = net(x[i]).float()
            loss = F.cross_entropy(logits, y[i])
            if p.logit_weight:
                loss = loss + p.logit_weight * logit_loss(logits, taught, p.temperature)
            if alignment is not None:
                loss = loss + p.align_weight * alignment.loss()
            return loss

        parameters = list(net.parameters())
        if alignment is not None:
            parameters += alignment.module.parameters()
        effort = Effort(p.epochs, p.batch_size, p.lr, p.weight_decay)
        with alignment.watching() if alignment is not None else _nothing():
            loss = train(parameters, loss_of, len(labels), effort, seed, compute)
        net.cpu().eval()
        teacher.cpu()
        return {"loss": loss}


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


class _Alignment:
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

    def loss(self) -> Tensor:
        """Give the term for the batch that both networks have just seen."""
        spikes, features = (self._seen.pop(stage) for stage in self._stages)
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


@contextmanager
def _nothing() -> Iterator[None]:
    yield
