"""Fine-tuning: learn what is new and let the old be forgotten; the floor of a comparison."""

from __future__ import annotations

from dataclasses import dataclass

from ecsim.learning.update import UpdateMethod


class FineTune(UpdateMethod):
    """Train all weights, old heads included, on L_new alone."""

    @dataclass(frozen=True, kw_only=True)
    class Params(UpdateMethod.Params):
        """Length and step size, and the weight of the cloud's logits."""
