"""Joint training: all data so far, at every update; the ceiling of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ecsim.core.types import Labelled
from ecsim.learning.update import UpdateMethod


class Joint(UpdateMethod):
    """Train all weights on the buffer (L_new) and all that was learned before, set-up included.

    Not realisable on a device, which flushes its buffer and never had the set-up's samples.
    """

    is_realisable: ClassVar[bool] = False

    @dataclass(frozen=True, kw_only=True)
    class Params(UpdateMethod.Params):
        """Length and step size, and the weight of the cloud's logits."""

    def keeps(self, samples: Labelled, n_classes: int) -> Labelled:
        """Keep all."""
        return samples
