"""Training of the cloud's network: all classes, the cloud's own pool, plain cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ecsim.core.types import IntArray
from ecsim.data.dataset import Augmentation
from ecsim.learning.augmentation import variation
from ecsim.learning.columns import columns_of
from ecsim.learning.compute import Compute
from ecsim.learning.effort import Effort

if TYPE_CHECKING:
    from ecsim.models.incremental import IncrementalNet


class CloudTraining:
    """Supervised training on true labels.

    Source: own choice; ECC-SNN takes a pre-trained and fine-tuned network for granted
    (section 4.2). `learning.cloud` of a scenario gives its params.
    """

    @dataclass(frozen=True, kw_only=True)
    class Params(Effort):
        """Length and step size."""

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
        """
        from torch.nn import functional as F

        from ecsim.learning.training import batch_mode, train

        compute.put(net)
        batch_mode(net, len(labels))
        x, y = compute.tensor(images), compute.tensor(columns_of(net.classes, labels))
        vary = variation(self.params.augment, augmentation or Augmentation(), seed)
        loss = train(
            net.parameters(),
            lambda i: F.cross_entropy(net(vary(x[i])).float(), y[i]),
            len(labels),
            self.params,
            seed,
            compute,
        )
        net.cpu().eval()
        return {"loss": loss}
