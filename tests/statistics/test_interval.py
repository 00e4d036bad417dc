"""Intervals: coverage of known truths, and agreement with other implementations.

Coverage: of `N` intervals at 95 %, the share that covers is binomial; 5 standard errors at N =
20,000 are .0077, so that a right interval fails a test once in a million seeds or less.
"""

import math

import numpy as np
import pytest
from scipy import stats

from ecsim.core.errors import UserError
from ecsim.statistics.interval import (
    batch_means,
    bca,
    differences,
    paired_t,
    t_interval,
    welch,
)

N = 20_000


def share_covered(found, truth):
    return np.mean([interval.low <= truth <= interval.high for interval in found])


@pytest.mark.parametrize("n", [3, 6])
def test_t_intervals_cover_the_truth_in_95_percent(n):
    rng = np.random.default_rng(1)
    found = [t_interval(x) for x in rng.normal(4.0, 2.0, size=(N, n))]
    assert share_covered(found, 4.0) == pytest.approx(0.95, abs=0.0077)


def test_paired_intervals_gain_from_common_random_numbers():
    rng = np.random.default_rng(2)
    world = rng.normal(0, 5.0, size=(N, 6))  # what both arms meet
    x, y = (world + rng.normal(m, 0.5, size=world.shape) for m in (1.0, 0.7))
    paired = [paired_t(a, b) for a, b in zip(x, y, strict=True)]
    assert share_covered(paired, 0.3) == pytest.approx(0.95, abs=0.0077)
    paired, x, y = paired[:2000], x[:2000], y[:2000]
    unpaired = [welch(a, b) for a, b in zip(x, y, strict=True)]
    assert share_covered(unpaired, 0.3) > 0.99
    assert (
        np.mean([p.half_width / w.half_width for p, w in zip(paired, unpaired, strict=True)]) < 0.2
    )


def test_welch_is_that_of_scipy():
    rng = np.random.default_rng(3)
    x, y = rng.normal(1, 1, 5), rng.normal(0, 4, 9)
    theirs = stats.ttest_ind(x, y, equal_var=False).confidence_interval(0.9)
    ours = welch(x, y, 0.9)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)


def test_bca_is_that_of_its_formula():
    """Efron's formula written out once more, on resamples of our own."""
    x = np.random.default_rng(4).lognormal(0, 1, size=12)
    ours = bca(x, n_resamples=20_000, seed=1)
    means = x[np.random.default_rng(9).integers(0, 12, size=(200_000, 12))].mean(axis=1)
    z0 = stats.norm.ppf((means < x.mean()).mean())
    left_out = (x.sum() - x) / 11
    d = left_out.mean() - left_out
    a = (d**3).sum() / (6 * (d**2).sum() ** 1.5)
    z = z0 + stats.norm.ppf([0.025, 0.975])
    low, high = np.quantile(means, stats.norm.cdf(z0 + z / (1 - a * z)))
    assert ours.low == pytest.approx(low, rel=0.02)  # Monte-Carlo error of the quantiles
    assert ours.high == pytest.approx(high, rel=0.02)
    plain = np.quantile(means, [0.025, 0.975])
    assert abs(high / plain[1] - 1) > 0.05, "the correction is visible in this sample"


def test_bca_needs_eight_values():
    with pytest.raises(UserError, match="at least 8 values, got 7"):
        bca(np.arange(7.0))


def autoregressive(phi, n, n_series, rng):
    """Stationary AR(1) of mean 0 and unit innovations, one series to a row."""
    from scipy.signal import lfilter

    noise = rng.normal(size=(n_series, n))
    noise[:, 0] /= math.sqrt(1 - phi**2)
    return lfilter([1.0], [1.0, -phi], noise, axis=1)


def test_batch_means_cover_where_the_naive_interval_does_not():
    phi, n = 0.9, 10_000
    series = autoregressive(phi, n, 1500, np.random.default_rng(5))
    batches = [batch_means(x) for x in series]
    assert share_covered(batches, 0.0) == pytest.approx(0.95, abs=0.0282)
    assert share_covered([t_interval(x) for x in series], 0.0) < 0.5
    # the variance of the mean is known: 1 / (n (1 - phi)^2)
    widths = np.array([interval.half_width for interval in batches])
    variance = np.mean((widths / stats.t.ppf(0.975, 19)) ** 2)
    assert variance == pytest.approx(1 / (n * (1 - phi) ** 2), rel=0.06)


def test_batch_means_leave_the_rest_out_at_the_start():
    series = [99.0] * 5 + [1.0, 3.0] * 100
    assert batch_means(series, 20).mean == 2.0
    with pytest.raises(UserError, match="2 batches of 10"):
        batch_means(np.arange(50.0), 20)


def test_one_value_says_nothing_about_its_spread():
    one = t_interval([2.0])
    assert one.mean == 2.0
    assert math.isnan(one.low)
    assert not one.excludes(100.0)
    assert not one.within(-100.0, 100.0)


def test_wrong_input():
    for bad in ([], [1.0, math.nan], [[1.0]]):
        with pytest.raises(UserError, match="expected"):
            t_interval(bad)
    with pytest.raises(UserError, match="level"):
        t_interval([1.0, 2.0], level=95)
    with pytest.raises(UserError, match="pairs"):
        differences([1.0], [1.0, 2.0])
