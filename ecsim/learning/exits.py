"""Joint training of a network's exits: one weighted sum of their losses.

Source: the survey, Eq. 3-6; equal weights 1/N as DDNN has them (Teerapittayanon et al., ICDCS
2017), other weights as BranchyNet. Eq. 3 divides the cross-entropy by the number of classes, a
constant factor on all terms, which is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt

from ecsim.core.errors import UserError
from ecsim.core.types import IntArray
from ecsim.data.dataset import Augmentation
from ecsim.learning.augmentation import variation
from ecsim.learning.columns import columns_of
from ecsim.learning.compute import Compute
from ecsim.learning.effort import Effort

if TYPE_CHECKING:
    from torch import Tensor

    from ecsim.models.incremental import IncrementalNet
    from ecsim.models.multi_exit import MultiExitNet


@dataclass(frozen=True, kw_only=True)
class Weighted(Effort):
    """Length and step size, and what each exit's loss counts.

    Attributes
    ----------
    exit_weights : w_n of Eq. 6, one per exit, the last included; without them 1/N each.
    """

    exit_weights: tuple[Annotated[float, Ge(0)], ...] = ()

    def __post_init__(self) -> None:
        if self.exit_weights and not any(self.exit_weights):
            raise ValueError("exit_weights: expected one above 0 at least")

    def of(self, net: IncrementalNet) -> tuple[float, ...]:
        """Give the weights for a net; raise `UserError` when they do not fit it."""
        n = exits_of(net).n_exits
        found = self.exit_weights or (1.0 / n,) * n
        if len(found) != n:
            raise UserError(f"exit_weights: expected {n} weights, one per exit, got {len(found)}")
        return found


class JointExits:
    """Supervised training of all exits of the cloud's network at once."""

    @dataclass(frozen=True, kw_only=True)
    class Params(Weighted):
        """Length, step size and the exits' weights."""

    def __init__(self, params: Params):
        self.params = params

    def fit(
        self,
        net: IncrementalNet,
        images: npt.NDArray[np.float32],
        labels: IntArray,
        seed: int,
        compute: Compute,
        augmentation: Augmentation | None = None,
    ) -> dict[str, float]:
        """Train `net` in place and leave it on the CPU in eval mode; give the final loss.

        Parameters
        ----------
        images, labels : the samples, (N, C, H, W) and (N,); labels are global class ids.
        augmentation : what ``augment`` does to a sample.

        Raises
        ------
        UserError : when the network has no exits, or not as many as there are weights.
        """
        return _fit(net, None, images, labels, seed, compute, self.params, augmentation)


class JointExitsSetup:
    """Set-up of an edge network with exits, each of which the cloud's network teaches.

    The loss of each exit is that of ECC-SNN's Eq. 8, weighted as in Eq. 6 of the survey; see
    `ecsim.learning.setup` for what the teacher says.
    """

    @dataclass(frozen=True, kw_only=True)
    class Params(Weighted):
        """Length, step size, the exits' weights and the teacher's.

        Attributes
        ----------
        logit_weight : lambda_1 of ECC-SNN's Eq. 8; 0 trains on true labels alone.
        temperature : T of the softened logits.
        """

        logit_weight: Annotated[float, Ge(0)] = 0.5
        temperature: Annotated[float, Gt(0)] = 3.0

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

        Raises
        ------
        UserError : when the network has no exits, or not as many as there are weights.
        """
        return _fit(net, teacher, images, labels, seed, compute, self.params, augmentation)


def exits_of(net: IncrementalNet) -> MultiExitNet:
    """Give a net that has exits as one; raise `UserError` for any other."""
    from ecsim.models.multi_exit import MultiExitNet

    if not isinstance(net, MultiExitNet):
        name = type(net.backbone).__name__
        raise UserError(f"joint training of exits: expected a network with exits, got {name}")
    return net


def _fit(
    net: IncrementalNet,
    teacher: IncrementalNet | None,
    images: npt.NDArray[np.float32],
    labels: IntArray,
    seed: int,
    compute: Compute,
    params: Weighted,
    augmentation: Augmentation | None,
) -> dict[str, float]:
    import torch
    from torch.nn import functional as F

    from ecsim.learning.losses import logit_loss
    from ecsim.learning.training import batch_mode, train

    weights = params.of(net)
    student = exits_of(net)
    taught = teacher if isinstance(params, JointExitsSetup.Params) and params.logit_weight else None
    compute.put(net)
    if taught is not None:
        compute.put(taught.eval())
    batch_mode(net, len(labels))
    x, y = compute.tensor(images), compute.tensor(columns_of(net.classes, labels))
    shared = compute.tensor(columns_of(taught.classes, net.classes)) if taught else None
    vary = variation(params.augment, augmentation or Augmentation(), seed)

    def loss_of(i: Tensor) -> Tensor:
        seen = vary(x[i])
        said = None
        if taught is not None:
            with torch.no_grad():
                said = taught(seen)[:, shared].float()
        total = torch.zeros((), device=x.device)
        for weight, logits in zip(weights, student.exits(seen), strict=True):
            loss = F.cross_entropy(logits.float(), y[i])
            if said is not None:
                assert isinstance(params, JointExitsSetup.Params)
                loss = loss + params.logit_weight * logit_loss(
                    logits.float(), said, params.temperature
                )
            total = total + weight * loss
        return total

    loss = train(net.parameters(), loss_of, len(labels), params, seed, compute)
    net.cpu().eval()
    if taught is not None:
        taught.cpu()
    return {"loss": loss}
