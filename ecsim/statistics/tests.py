"""Tests of a mean difference, their correction for many, effect sizes and power.

`d` is always one difference per replicate (see `interval.differences`). Nothing here is used to
choose what is tested: that is fixed before the runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ecsim.statistics.interval import Floats, Values

POWER = 0.8


def t_test(d: Values) -> float:
    """Give the two-sided p-value of a mean of 0 (paired t); NaN for one value alone."""
    return 2 * min(_one_sided(np.asarray(d, float), 0.0))


def welch_test(x: Values, y: Values) -> float:
    """Give the two-sided p-value of equal means of independent samples; NaN where n is 1."""
    from scipy import stats

    if min(len(x), len(y)) < 2:
        return math.nan
    if np.ptp(x) == np.ptp(y) == 0:
        return float(x[0] == y[0])
    return float(stats.ttest_ind(x, y, equal_var=False).pvalue)


def sign_flip(d: Values, n_resamples: int = 65_536, seed: int = 0) -> float:
    """Give the two-sided p-value of a distribution symmetric about 0, exact up to 16 values.

    All 2^n signs of the differences are tried (above 16 values a sample of them), so that the
    smallest possible p is 2 / 2^n: .25 at n = 3, .031 at n = 6. It needs no normal distribution.

    >>> sign_flip([0.1, 0.2, 0.4])
    0.25
    """
    values = np.asarray(d, dtype=np.float64)
    n, observed = len(values), abs(float(values.sum()))
    exact = 2**n <= n_resamples
    if exact:
        bits = np.arange(2**n)[:, None] >> np.arange(n) & 1
        signs = 1.0 - 2.0 * bits.astype(np.float64)
    else:
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(n_resamples, n))
    # sums that are equal but for rounding count as equal
    n_extreme = int((np.abs(signs @ values) >= observed * (1 - 1e-12)).sum())
    return n_extreme / len(signs) if exact else (n_extreme + 1) / (n_resamples + 1)


def tost(d: Values, margin: float) -> float:
    """Give the p-value of equivalence: of |mean| >= margin, by two one-sided t tests.

    It is at most 5 % exactly when the 90 % interval lies inside (-margin, margin); NaN for one
    value. Source: Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987).
    """
    values = np.asarray(d, dtype=np.float64)
    above = _one_sided(values, -margin)[1]
    below = _one_sided(values, margin)[0]
    return max(above, below) if len(values) > 1 else math.nan


def holm(p_values: Sequence[float]) -> list[float]:
    """Give p-values corrected so that any false rejection among all has the level's chance.

    A NaN is no test: it stays NaN and does not count. Source: Holm, Scand. J. Statist. 6 (1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    tested = [i for i, p in enumerate(p_values) if not math.isnan(p)]
    adjusted = [math.nan] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(tested, key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(tested) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def effect_size(d: Values) -> float:
    """Give the paired effect size d_z, mean over standard deviation of the differences.

    NaN for one value or where all differences are 0, infinite where they are otherwise equal.
    """
    values = np.asarray(d, dtype=np.float64)
    if len(values) < 2:
        return math.nan
    return _ratio(float(values.mean()), deviation(values))


def effect_size_unpaired(x: Values, y: Values) -> float:
    """Give Cohen's d of independent samples: difference of means over the root mean variance."""
    if min(len(x), len(y)) < 2:
        return math.nan
    a, b = np.asarray(x, float), np.asarray(y, float)
    return _ratio(
        float(a.mean() - b.mean()), math.sqrt((deviation(a) ** 2 + deviation(b) ** 2) / 2)
    )


def smallest_detectable(d: Values, level: float = 0.95, power: float = POWER) -> float:
    """Give the true mean difference that a paired t test finds in 80 of 100 cases.

    Its spread and number are taken from the differences `d`; NaN for fewer than two.
    """
    n = len(d)
    if n < 2:
        return math.nan
    return _detectable(deviation(np.asarray(d, float)) / math.sqrt(n), n - 1, level, power)


def smallest_detectable_unpaired(
    x: Values, y: Values, level: float = 0.95, power: float = POWER
) -> float:
    """Give the same for independent samples of the spread and number of `x` and `y`."""
    if min(len(x), len(y)) < 2:
        return math.nan
    va, vb = (deviation(np.asarray(v, float)) ** 2 / len(v) for v in (x, y))
    if va + vb == 0:
        return 0.0
    df = (va + vb) ** 2 / (va**2 / (len(x) - 1) + vb**2 / (len(y) - 1))  # Welch
    return _detectable(math.sqrt(va + vb), df, level, power)


def _detectable(error: float, df: float, level: float, power: float) -> float:
    from scipy import optimize, stats

    critical = stats.t.ppf((1 + level) / 2, df)

    def lack(delta: float) -> float:
        return float(stats.nct.sf(critical, df, delta)) - power

    return error * float(optimize.brentq(lack, 0.0, critical * 4 + 10)) if error else 0.0


def deviation(values: Floats) -> float:
    """Give the standard deviation over replicates, exactly 0 where all are equal."""
    return float(values.std(ddof=1)) if np.ptp(values) else 0.0


def _one_sided(values: Floats, centre: float) -> tuple[float, float]:
    """Give the p-values of the alternatives mean < centre and mean > centre."""
    from scipy import stats

    n = len(values)
    if n < 2:
        return math.nan, math.nan
    error = deviation(values) / math.sqrt(n)
    away = float(values.mean()) - centre
    t = _ratio(away, error)
    if math.isnan(t):
        return 0.5, 0.5
    return float(stats.t.cdf(t, n - 1)), float(stats.t.sf(t, n - 1))


def _ratio(top: float, bottom: float) -> float:
    if bottom:
        return top / bottom
    return math.copysign(math.inf, top) if top else math.nan
