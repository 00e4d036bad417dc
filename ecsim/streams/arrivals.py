"""When tasks arrive at one device; more in `modulated`, `diurnal` and `arrival_trace`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt

from ecsim.core.units import PerSecond, Seconds

BLOCK = 1024  # arrivals drawn at once: amortises numpy's call, and 8 kB a device


class Arrivals(Protocol):
    """A process of arrival times."""

    def blocks(
        self, rng: np.random.Generator, horizon_s: float
    ) -> Iterator[npt.NDArray[np.float64]]:
        """Give ascending times in [0, horizon_s) seconds, block by block, none of them empty."""


@runtime_checkable
class PerDevice(Protocol):
    """A process that knows which device it is asked for."""

    def at(self, device: str, seat: int) -> Arrivals:
        """Give the arrivals at the device with this name and number, from 0."""

    def check_devices(self, devices: Sequence[str]) -> None:
        """Raise `UserError` when the process names devices other than these."""


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

    @property
    def mean_per_s(self) -> float:
        """Mean rate of arrivals."""
        return self.params.rate

    def blocks(
        self, rng: np.random.Generator, horizon_s: float
    ) -> Iterator[npt.NDArray[np.float64]]:
        """Give the times before the horizon; `rng` is not used."""
        start = 0
        while True:
            counts = np.arange(start, start + BLOCK, dtype=np.float64)
            times = counts / self.params.rate + self.params.offset
            times = times[times < horizon_s]
            if times.size:
                yield times
            if times.size < BLOCK:
                return
            start += BLOCK


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

    @property
    def mean_per_s(self) -> float:
        """Mean rate of arrivals."""
        return self.params.rate

    def blocks(
        self, rng: np.random.Generator, horizon_s: float
    ) -> Iterator[npt.NDArray[np.float64]]:
        """Draw the times before the horizon; a longer horizon only adds to them."""
        last = 0.0
        while math.isfinite(last):
            times = last + np.cumsum(rng.exponential(1 / self.params.rate, BLOCK))
            last = float(times[-1])
            times = times[times < horizon_s]
            if times.size:
                yield times
            if times.size < BLOCK:
                return
