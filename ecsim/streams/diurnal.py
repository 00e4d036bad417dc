"""Arrivals whose rate follows the time of day."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Interval, MinLen

from ecsim.core.units import PerSecond, Seconds
from ecsim.streams.arrivals import BLOCK
from ecsim.streams.modulated import under_rates

Floats = npt.NDArray[np.float64]


class Diurnal:
    """Poisson arrivals at a rate that repeats every period: a sinusoid, or pieces of equal length.

    The sinusoid ``rate (1 + swing cos(2 pi (t - peak) / period))`` is drawn by thinning a Poisson
    process of its largest rate, which is exact. Source: P. Lewis and G. Shedler, "Simulation of
    nonhomogeneous Poisson processes by thinning", Naval Research Logistics 26, 1979.
    """

    @dataclass(frozen=True, kw_only=True)
    class Params:
        """Either `rate` with `swing` and `peak`, or `rates`.

        Attributes
        ----------
        rate : mean number of tasks per second and device of a sinusoid.
        swing : largest departure from the mean, as a share of it.
        peak : time of the first peak of the sinusoid.
        rates : tasks per second and device in pieces of equal length, together one period.
        period : time after which the rates repeat.
        """

        rate: Annotated[PerSecond, Gt(0)] | None = None
        swing: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.5
        peak: Annotated[Seconds, Ge(0)] = 0.0
        rates: Annotated[tuple[Annotated[PerSecond, Ge(0)], ...], MinLen(1)] | None = None
        period: Annotated[Seconds, Gt(0)] = 86_400.0

        def __post_init__(self) -> None:
            if (self.rate is None) == (self.rates is None):
                raise ValueError("expected either rate (a sinusoid) or rates (pieces)")
            if self.rates is not None and not any(self.rates):
                raise ValueError("rates: expected a rate of more than 0 /s, got none")

    def __init__(self, params: Params):
        self.params = params

    @property
    def mean_per_s(self) -> float:
        """Mean rate of arrivals over a period."""
        rates = self.params.rates
        return sum(rates) / len(rates) if rates else self.params.rate or 0.0

    def blocks(self, rng: np.random.Generator, horizon_s: float) -> Iterator[Floats]:
        """Draw the times before the horizon; a longer horizon only adds to them."""
        rates = self.params.rates
        if rates is None:
            return self._sinusoid(rng, horizon_s)
        pieces = np.array(rates)
        lengths = np.full(len(pieces), self.params.period / len(pieces))
        return under_rates(rng, lambda: (lengths, pieces), horizon_s)

    def _sinusoid(self, rng: np.random.Generator, horizon_s: float) -> Iterator[Floats]:
        p = self.params
        assert p.rate is not None
        of_times, of_choice = rng.spawn(2)
        last = 0.0
        while last < horizon_s:
            gaps = of_times.exponential(1.0 / (p.rate * (1.0 + p.swing)), BLOCK)
            times = last + np.cumsum(gaps)
            last = float(times[-1])
            share = 1.0 + p.swing * np.cos(2.0 * math.pi * ((times - p.peak) / p.period))
            kept = of_choice.random(BLOCK) * (1.0 + p.swing) < share
            times = times[kept & (times < horizon_s)]
            if times.size:
                yield times
