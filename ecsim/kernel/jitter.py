"""Random parts of a link: delays that vary from message to message, and losses.

Each is drawn from a named stream of the link's direction in blocks of fixed size: the n-th
message over a link meets the same draw under every strategy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log, log1p, sqrt
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ecsim.core.errors import UserError

FloatBlock = npt.NDArray[np.float64]
_BLOCK = 1024


class Jitter(Protocol):
    """A distribution of what is added to a link's latency, in s."""

    def draw(self, rng: np.random.Generator, n: int, latency_s: float) -> FloatBlock:
        """Draw `n` values, none below ``-latency_s``: nothing arrives before it is sent."""


@dataclass(frozen=True, slots=True)
class UniformJitter:
    """Between `low_s` and `high_s`."""

    low_s: float
    high_s: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.low_s <= self.high_s < inf:
            raise UserError(f"expected 0 <= low <= high, got {self.low_s} s and {self.high_s} s")

    def draw(self, rng: np.random.Generator, n: int, latency_s: float) -> FloatBlock:
        """Draw `n` values."""
        return rng.uniform(self.low_s, self.high_s, n)


@dataclass(frozen=True, slots=True)
class NormalJitter:
    """About zero with a standard deviation, truncated (drawn again) below minus the latency."""

    deviation_s: float

    def __post_init__(self) -> None:
        _require("deviation", self.deviation_s)

    def draw(self, rng: np.random.Generator, n: int, latency_s: float) -> FloatBlock:
        """Draw `n` values; at least half of each round is kept."""
        values = rng.normal(0.0, self.deviation_s, n)
        while (below := values < -latency_s).any():
            values[below] = rng.normal(0.0, self.deviation_s, int(below.sum()))
        return values


@dataclass(frozen=True, slots=True)
class LognormalJitter:
    """Log-normal with this mean and standard deviation of the added delay itself."""

    mean_s: float
    deviation_s: float

    def __post_init__(self) -> None:
        _require("mean", self.mean_s)
        _require("deviation", self.deviation_s)

    def draw(self, rng: np.random.Generator, n: int, latency_s: float) -> FloatBlock:
        """Draw `n` values."""
        variance = log1p((self.deviation_s / self.mean_s) ** 2)
        return rng.lognormal(log(self.mean_s) - variance / 2.0, sqrt(variance), n)


@dataclass(frozen=True, slots=True)
class ExponentialJitter:
    """Exponential with this mean."""

    mean_s: float

    def __post_init__(self) -> None:
        _require("mean", self.mean_s)

    def draw(self, rng: np.random.Generator, n: int, latency_s: float) -> FloatBlock:
        """Draw `n` values."""
        return rng.exponential(self.mean_s, n)


@dataclass(frozen=True, slots=True)
class Loss:
    """Loss of whole messages, and what the sender does about it.

    An attempt that is lost has occupied the channel and cost its energy. The sender sends again
    when no receipt has come `timeout_s` after the end of its serialisation; the k-th time-out is
    ``timeout_s * backoff ** (k - 1)``. After the last of `attempts` it waits in vain once more and
    gives the message up. Receipts take no time and are never lost.

    Attributes
    ----------
    probability : of each attempt to be lost, in [0, 1].
    timeout_s : first time-out, >= 0; it should exceed the round trip.
    backoff : factor on the time-out from one attempt to the next, >= 1.
    attempts : how often a message is sent at most, >= 1.
    """

    probability: float
    timeout_s: float
    backoff: float = 2.0
    attempts: int = 8

    def __post_init__(self) -> None:
        if not 0.0 <= self.probability <= 1.0:
            raise UserError(f"expected a probability in [0, 1], got {self.probability}")
        if not 0.0 <= self.timeout_s < inf:
            raise UserError(f"expected a time-out that is finite and >= 0, got {self.timeout_s}")
        if not 1.0 <= self.backoff < inf:
            raise UserError(f"expected a back-off that is finite and >= 1, got {self.backoff}")
        if self.attempts < 1:
            raise UserError(f"expected at least one attempt, got {self.attempts}")


class Draws:
    """An endless sequence of numbers, drawn in blocks of fixed size.

    >>> draws = Draws(lambda n: np.arange(n, dtype=float))
    >>> draws(), draws()
    (0.0, 1.0)
    """

    __slots__ = ("_at", "_block", "_draw")

    def __init__(self, draw: Callable[[int], FloatBlock]) -> None:
        self._draw = draw
        self._block: list[float] = []
        self._at = 0

    def __call__(self) -> float:
        """Give the next number."""
        if self._at == len(self._block):
            self._block = self._draw(_BLOCK).tolist()
            self._at = 0
        value = self._block[self._at]
        self._at += 1
        return value


def _require(what: str, seconds: float) -> None:
    if not 0.0 < seconds < inf:
        raise UserError(f"expected a {what} that is finite and > 0, got {seconds} s")
