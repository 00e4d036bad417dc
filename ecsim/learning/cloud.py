"""Training of the cloud's network: all classes, the cloud's own pool, plain cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt

from ecsim.core.types import IntArray
from ecsim.learning.columns import columns_of
from ecsim.learning.compute import Compute

if TYPE_CHECKING:
    from ecsim.models.incremental import IncrementalNet


class CloudTraining:
    """Supervised training on true labels.

    Source: own choice; ECC-SNN takes a pre-trained and fine-tuned network for granted
    (section 4.2). `learning.cloud` of a scenario gives its params.
    """

    @dataclass(frozen=True, kw_only=True)
    class Params:
        """Length and step size.

        Attributes
        ----------
        epochs, batch_size : passes over the pool and samples per step.
        lr, weight_decay : of Adam; the learning rate falls to 0 along a cosine.
        """

        epochs: Annotated[int, Ge(1)] = 10
        batch_size: Annotated[int, Ge(2)] = 32
        lr: Annotated[float, Gt(0)] = 2e-3
        weight_decay: Annotated[float, Ge(0)] = 5e-4

    def __init__(self, params: Params):
        self.params = params

    def fit(
        self,
        net: IncrementalNet,
        images: npt.NDArray[np.float32],
        labels: IntArray,
        seed: int,
        compute: Compute,
    ) -> dict[str, float]:
        """Train `net` in place and leave it on the CPU in eval mode; give the final loss.

        Parameters
        ----------
        images, labels : the samples, (N, C, H, W) and (N,); labels are global class ids.
        """
        from torch.nn import functional as F

        from ecsim.learning.training import Effort, batch_mode, train

        p = self.params
        compute.put(net)
        batch_mode(net, len(labels))
        x, y = compute.tensor(images), compute.tensor(columns_of(net.classes, labels))
        effort = Effort(p.epochs, p.batch_size, p.lr, p.weight_decay)
        loss = train(
            net.parameters(),
            lambda i: F.cross_entropy(net(x[i]).float(), y[i]),
            len(labels),
            effort,
            seed,
            compute,
        )
        net.cpu().eval()
        return {"loss": loss}
