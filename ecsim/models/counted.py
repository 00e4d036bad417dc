"""What a network answers for samples and what that costs, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

from ecsim.core.types import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Logits and counted work of N samples.

    Attributes
    ----------
    logits : (N, K) float32, one column per class of the net.
    macs, sops, neuron_updates : (N,) float64, whole numbers unless SOPs are approximated.
    bytes_moved : (N,) float64, bytes of weights, activations and membranes read and written.
    """

    logits: FloatArray
    macs: FloatArray
    sops: FloatArray
    neuron_updates: FloatArray
    bytes_moved: FloatArray
