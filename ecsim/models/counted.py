"""What a network answers for samples and what that costs, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecsim.core.types import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Logits and counted work of N samples.

    Attributes
    ----------
    logits : (N, K) float32, one column per class of the net.
    macs, sops, neuron_updates : (N,) float64, whole numbers unless SOPs are approximated.
    bytes_moved : (N,) float64, bytes of weights, activations and membranes read and written.
    int8_macs : (N,) float64, of the MACs those of 8-bit integers.
    """

    logits: FloatArray
    macs: FloatArray
    sops: FloatArray
    neuron_updates: FloatArray
    bytes_moved: FloatArray
    int8_macs: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class CountedExits:
    """Logits of E exits for N samples, and what each piece of the way there costs.

    Attributes
    ----------
    logits : (E, N, K) float32.
    trunk : (E, 4, N) float64: MACs, SOPs, neuron updates and bytes moved between the exit before
        and this one.
    branch : (E, 4, N) float64, the same of what this exit alone needs: its branch and its heads.
    """

    logits: FloatArray
    trunk: FloatArray
    branch: FloatArray

    def of(self, exit: int, after: int | None = None) -> Counted:
        """Give an exit's answers, and the work of getting there from the sample or from `after`.

        Branches of other exits are not in it.
        """
        first = 0 if after is None else after + 1
        work = self.trunk[first : exit + 1].sum(axis=0) + self.branch[exit]
        macs, sops, updates, moved = work
        return Counted(self.logits[exit], macs, sops, updates, moved, np.zeros_like(macs))
