"""Limits on a device's uploads: a bucket of tokens, and a threshold that keeps to a budget.

Own models; the second is the constraint of ECC-SNN's Eq. 5, which the paper leaves open, held on
average by integral control.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt

from ecsim.core.units import Joules, PerSecond, Seconds

_CONFIG = {"extra": "forbid", "strict": True, "allow_inf_nan": False}


@dataclass(frozen=True)
class Bucket:
    """Tokens of a device; an upload takes one, and without one the edge answers.

    Attributes
    ----------
    rate : tokens that come per second.
    burst : tokens that the bucket holds at most, and at the start.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _CONFIG

    rate: Annotated[PerSecond, Ge(0)]
    burst: Annotated[float, Ge(1)] = 1.0


class TokenBucket:
    """The bucket of one device."""

    def __init__(self, keys: Bucket):
        self._keys = keys
        self._tokens = keys.burst
        self._t_s = 0.0

    def take(self, now_s: float) -> bool:
        """Take a token if there is a whole one; whether there was. Times must not decrease."""
        came = self._keys.rate * (now_s - self._t_s)
        self._tokens = min(self._keys.burst, self._tokens + came)
        self._t_s = now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


@dataclass(frozen=True)
class Budget:
    """What a task may cost on average; the threshold of each device follows it.

    Attributes
    ----------
    latency : mean latency of answered tasks.
    energy : mean marginal energy of answered tasks, at whichever node it is spent.
    gain : change of the threshold for a task that cost twice the budget.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _CONFIG

    latency: Annotated[Seconds, Gt(0)] | None = None
    energy: Annotated[Joules, Gt(0)] | None = None
    gain: Annotated[float, Gt(0)] = 0.02

    def __post_init__(self) -> None:
        if (self.latency is None) == (self.energy is None):
            raise ValueError("expected either latency or energy")


class Controller:
    """The threshold of one device under a budget: integral control with a constant gain.

    As long as no end of [0, 1] is met, the mean cost of N tasks misses the budget by the share
    (last - first threshold) / (gain N), whatever the tasks are. At an end it waits: a budget that
    is never used up leaves the threshold at 0, one that cannot be kept at 1.
    """

    def __init__(self, keys: Budget, threshold: float):
        budget = keys.latency if keys.latency is not None else keys.energy
        assert budget is not None
        self._budget = budget
        self._gain = keys.gain
        self.threshold = threshold

    def measure(self, cost: float) -> None:
        """Take note of what a task cost, in the budget's unit."""
        miss = (cost - self._budget) / self._budget
        self.threshold = min(1.0, max(0.0, self.threshold + self._gain * miss))
