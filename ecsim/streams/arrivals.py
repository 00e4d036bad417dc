"""When tasks arrive at one device."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt

from ecsim.core.units import PerSecond, Seconds

_BLOCK = 1024  # arrivals drawn at once: amortises numpy's call, and 8 kB a device


class Arrivals(Protocol):
    """A process of arrival times."""

    def blocks(
        self, rng: np.random.Generator, horizon_s: float
    ) -> Iterator[npt.NDArray[np.float64]]:
        """Give ascending times in [0, horizon_s) seconds, block by block, none of them empty."""


class Periodic:
    """One task every 1 / rate seconds; uses no randomness.

    The k-th time is ``k / rate + offset`` in one rounding each, so that it never drifts.
    """

    @dataclass(frozen=True, kw_only=True)
    class Params:
        """Rate and phase.

        Attributes
        ----------
        rate : tasks per second and device.
        offset : time of the first task.
        """

        rate: Annotated[PerSecond, Gt(0)]
        offset: Annotated[Seconds, Ge(0)] = 0.0

    def __init__(self, params: Params):
        self.params = params

    def blocks(
        self, rng: np.random.Generator, horizon_s: float
    ) -> Iterator[npt.NDArray[np.float64]]:
        """Give the times before the horizon; `rng` is not used."""
        start = 0
        while True:
            counts = np.arange(start, start + _BLOCK, dtype=np.float64)
            times = counts / self.params.rate + self.params.offset
            times = times[times < horizon_s]
            if times.size:
                yield times
            if times.size < _BLOCK:
                return
            start += _BLOCK


class Poisson:
    """Tasks at a constant mean rate and otherwise at random: exponential gaps."""

    @dataclass(frozen=True, kw_only=True)
    class Params:
        """Rate.

        Attributes
        ----------
        rate : mean number of tasks per second and device.
        """

        rate: Annotated[PerSecond, Gt(0)]

    def __init__(self, params: Params):
        self.params = params

    def blocks(
        self, rng: np.random.Generator, horizon_s: float
    ) -> Iterator[npt.NDArray[np.float64]]:
        """Draw the times before the horizon; a longer horizon only adds to them."""
        last = 0.0
        while math.isfinite(last):
            times = last + np.cumsum(rng.exponential(1 / self.params.rate, _BLOCK))
            last = float(times[-1])
            times = times[times < horizon_s]
            if times.size:
                yield times
            if times.size < _BLOCK:
                return
