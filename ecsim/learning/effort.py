"""How long and how hard to train; no torch is loaded for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt


@dataclass(frozen=True, slots=True)
class Effort:
    """How long and how hard to train; the `Params` of every method that trains begin with it.

    Attributes
    ----------
    epochs : passes over the samples.
    batch_size : samples per step; a last batch of one sample joins the one before it.
    lr : initial learning rate of Adam; it falls to 0 over the steps along a cosine.
    weight_decay : L2 penalty of Adam.
    augment : whether samples are varied as the data set declares it (cropped at random, mirrored).
    """

    epochs: Annotated[int, Ge(1)] = 10
    batch_size: Annotated[int, Ge(2)] = 32
    lr: Annotated[float, Gt(0)] = 2e-3
    weight_decay: Annotated[float, Ge(0)] = 5e-4
    augment: bool = False

    def steps(self, n: int) -> int:
        """Give the number of mini-batches for `n` samples over all epochs."""
        return self.epochs * len(self.sizes(n))

    def sizes(self, n: int) -> list[int]:
        """Give the sizes of the mini-batches of one epoch over `n` samples."""
        whole, rest = divmod(n, self.batch_size)
        if rest == 1 and whole:
            return [self.batch_size] * (whole - 1) + [self.batch_size + 1]
        return [self.batch_size] * whole + ([rest] if rest else [])
