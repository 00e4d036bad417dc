"""Confidence intervals for means: over replicates, of paired differences, of one long series.

An interval of one value alone has the bounds NaN: nothing is known about its spread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ecsim.core.errors import UserError

Floats: TypeAlias = NDArray[np.float64]
Values: TypeAlias = Sequence[float] | Floats

LEVEL = 0.95
MIN_BOOTSTRAP = 8
"""Fewer replicates than this give a bootstrap interval that is too short."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its confidence interval.

    Attributes
    ----------
    mean, low, high : in the unit of the data; the bounds are NaN for n = 1.
    n : number of replicates (of batches, for batch means; of the smaller sample, for Welch).
    level : confidence, such as 0.95.
    method : ``t``, ``paired t``, ``Welch``, ``BCa`` or ``batch means``.
    """

    mean: float
    low: float
    high: float
    n: int
    level: float = LEVEL
    method: str = "t"

    @property
    def half_width(self) -> float:
        """Half the length of the interval."""
        return (self.high - self.low) / 2

    def excludes(self, value: float) -> bool:
        """Say whether the value lies outside; never for an interval without bounds."""
        return value < self.low or value > self.high

    def within(self, low: float, high: float) -> bool:
        """Say whether the whole interval lies inside (low, high)."""
        return low < self.low and self.high < high


def t_interval(x: Values, level: float = LEVEL, method: str = "t") -> Interval:
    """Give the mean of independent replicates with Student's interval.

    >>> t_interval([1.0, 2.0, 3.0]).half_width.__round__(3)
    2.484

    Raises
    ------
    UserError : no values, one that is not finite, or a level outside (0, 1).
    """
    from scipy import stats

    values = _checked(x, level)
    n, mean = len(values), float(values.mean())
    if n == 1:
        return Interval(mean, math.nan, math.nan, 1, level, method)
    half = float(stats.t.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / math.sqrt(n))
    return Interval(mean, mean - half, mean + half, n, level, method)


def paired_t(x: Values, y: Values, level: float = LEVEL) -> Interval:
    """Give the mean of x - y where x[i] and y[i] met the same world (common random numbers)."""
    return t_interval(differences(x, y), level, "paired t")


def differences(x: Values, y: Values) -> Floats:
    """Give x - y; raise `UserError` unless both have as many values."""
    if len(x) != len(y):
        raise UserError(f"expected pairs of values, got {len(x)} and {len(y)}")
    return np.asarray(x, dtype=np.float64) - np.asarray(y, dtype=np.float64)


def welch(x: Values, y: Values, level: float = LEVEL) -> Interval:
    """Give mean(x) - mean(y) of independent samples with unequal variances (Welch, 1947)."""
    from scipy import stats

    a, b = _checked(x, level), _checked(y, level)
    n, mean = min(len(a), len(b)), float(a.mean() - b.mean())
    if n == 1:
        return Interval(mean, math.nan, math.nan, 1, level, "Welch")
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    if va + vb == 0:
        return Interval(mean, mean, mean, n, level, "Welch")
    df = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    half = float(stats.t.ppf((1 + level) / 2, df) * math.sqrt(va + vb))
    return Interval(mean, mean - half, mean + half, n, level, "Welch")


def bca(x: Values, level: float = LEVEL, *, n_resamples: int = 9999, seed: int = 0) -> Interval:
    """Give the mean with the bias-corrected and accelerated bootstrap interval (Efron, 1987).

    Raises
    ------
    UserError : fewer than 8 values, as the interval is then too short.
    """
    from scipy import stats

    values = _checked(x, level)
    n, mean = len(values), float(values.mean())
    if n < MIN_BOOTSTRAP:
        raise UserError(f"a bootstrap interval needs at least {MIN_BOOTSTRAP} values, got {n}")
    if np.ptp(values) == 0:
        return Interval(mean, mean, mean, n, level, "BCa")
    found = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=level,
        n_resamples=n_resamples,
        method="BCa",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high), n, level, "BCa")


def batch_means(series: Values, n_batches: int = 20, level: float = LEVEL) -> Interval:
    """Give the mean of one stationary, correlated series with the interval of its batch means.

    The series, in order of time, is cut into equal batches; what does not fill a batch is left
    out at the start. The batches must be far longer than the correlation lasts.

    Raises
    ------
    UserError : fewer than two batches, or fewer than ten values to a batch.

    Source: Law, Simulation Modeling and Analysis, section 9.5.3.
    """
    return t_interval(batches(series, n_batches), level, "batch means")


def batches(series: Values, n_batches: int) -> Floats:
    """Give the means of equal batches, see `batch_means`."""
    values = _checked(series, LEVEL)
    length = len(values) // max(n_batches, 1)
    if n_batches < 2 or length < 10:
        raise UserError(
            f"batch means need at least 2 batches of 10 values, got {n_batches} of {length}"
        )
    means: Floats = (
        values[len(values) - length * n_batches :].reshape(n_batches, length).mean(axis=1)
    )
    return means


def _checked(x: Values, level: float) -> Floats:
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise UserError(f"expected a list of numbers, got an array of shape {values.shape}")
    if not np.isfinite(values).all():
        raise UserError(f"expected finite numbers, got {values[~np.isfinite(values)][0]}")
    if not 0 < level < 1:
        raise UserError(f"expected a level of confidence between 0 and 1, got {level}")
    return values
