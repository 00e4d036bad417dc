"""Tests keep their error rates on synthetic data, and agree with scipy where it has them.

Shares out of `N` trials: 5 standard errors at N = 20,000 are .0077 about .05 and .0141 about .8.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ecsim.statistics import tests as ours

N = 20_000


def p_values(d):
    """Give the one-sample t test's p of every row, by scipy."""
    return stats.ttest_1samp(d, 0.0, axis=1).pvalue


def test_t_tests_are_those_of_scipy():
    rng = np.random.default_rng(1)
    d, y = rng.normal(0.3, 1, 7), rng.normal(0, 3, 5)
    assert ours.t_test(d) == pytest.approx(stats.ttest_1samp(d, 0).pvalue, rel=1e-10)
    welch = stats.ttest_ind(d, y, equal_var=False).pvalue
    assert ours.welch_test(d, y) == pytest.approx(welch, rel=1e-10)
    assert math.isnan(ours.t_test([1.0]))
    assert ours.t_test([2.0, 2.0]) == 0.0  # equal but not 0: certain
    assert ours.t_test([0.0, 0.0]) == 1.0


@pytest.mark.parametrize(("n", "smallest"), [(3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_smallest_p_of_the_sign_flip(n, smallest):
    assert ours.sign_flip(np.arange(1.0, n + 1)) == smallest


def test_sign_flip_is_that_of_scipy():
    d = np.random.default_rng(2).normal(0.4, 1, 9)
    theirs = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert ours.sign_flip(d) == pytest.approx(theirs.pvalue, abs=1e-12)
    sampled = ours.sign_flip(np.tile(d, 3), n_resamples=20_000)
    exact_like = stats.permutation_test(
        (np.tile(d, 3),), np.mean, permutation_type="samples", n_resamples=20_000,
        rng=np.random.default_rng(1),
    )  # fmt: skip
    assert sampled == pytest.approx(exact_like.pvalue, abs=0.01)


def test_sign_flip_needs_no_normal_distribution():
    """Of 6 symmetric Cauchy differences at most 2 / 64 are called extreme at p <= .05."""
    d = np.random.default_rng(3).standard_cauchy(size=(4000, 6))
    false = np.mean([ours.sign_flip(row) <= 0.05 for row in d])
    assert false == pytest.approx(2 / 64, abs=0.0138)  # 5 standard errors


def test_holm_bounds_the_chance_of_any_false_alarm():
    """Five tests that share data, two of them of true effects: the family keeps 5 %."""
    rng = np.random.default_rng(4)
    shared = rng.normal(size=(N, 6, 1))
    x = 0.7 * shared + rng.normal(size=(N, 6, 5)) + np.array([0, 0, 0, 2.5, 2.5])
    p = stats.ttest_1samp(x, 0.0, axis=1).pvalue
    adjusted = np.array([ours.holm(row) for row in p.tolist()])
    assert (adjusted[:, :3] <= 0.05).any(axis=1).mean() < 0.05 + 0.0077
    assert (p[:, :3] <= 0.05).any(axis=1).mean() > 0.1, "without a correction it does not"
    bonferroni = 5 * p
    assert (adjusted[:, 3:] <= 0.05).mean() > (bonferroni[:, 3:] <= 0.05).mean()


def test_holm_of_independent_nulls_has_the_stated_level():
    p = np.random.default_rng(5).random((N, 4))
    found = np.mean([min(ours.holm(row)) <= 0.05 for row in p.tolist()])
    assert found == pytest.approx(1 - (1 - 0.05 / 4) ** 4, abs=0.0077)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_by_its_definition(p):
    """A test is rejected at a level when all smaller ones pass their stricter levels."""
    adjusted = ours.holm(p)
    ranked = sorted(p)
    for level in (0.01, 0.05, 0.3):
        passed = 0
        while passed < len(p) and ranked[passed] * (len(p) - passed) <= level:
            passed += 1
        assert sum(a <= level for a in adjusted) >= passed
        assert sum(a <= level * (1 - 1e-9) for a in adjusted) <= passed


def test_a_missing_test_does_not_count_in_holm():
    assert ours.holm([0.01, math.nan, 0.04])[::2] == [0.02, 0.04]


def vector_tost(d, margin):
    one = stats.ttest_1samp(d, -margin, axis=1, alternative="greater").pvalue
    two = stats.ttest_1samp(d, margin, axis=1, alternative="less").pvalue
    return np.maximum(one, two)


def test_tost_is_that_of_two_tests_of_scipy():
    d = np.random.default_rng(6).normal(0.1, 0.3, size=(50, 6))
    assert [ours.tost(row, 0.5) for row in d] == pytest.approx(vector_tost(d, 0.5), rel=1e-9)


def test_tost_keeps_its_level_at_the_margin_and_has_its_power_inside():
    rng = np.random.default_rng(7)
    at_margin = rng.normal(1.0, 0.4, size=(4000, 8))
    share = np.mean([ours.tost(row, 1.0) <= 0.05 for row in at_margin])
    assert share == pytest.approx(0.05, abs=0.0172)
    inside = rng.normal(0.0, 0.4, size=(4000, 8))
    power = np.mean([ours.tost(row, 0.5) <= 0.05 for row in inside])
    # by another route: 90 % intervals wholly inside the margin
    sd = inside.std(axis=1, ddof=1)
    half = stats.t.ppf(0.95, 7) * sd / math.sqrt(8)
    assert power == np.mean(np.abs(inside.mean(axis=1)) + half <= 0.5)
    assert 0.7 < power < 0.95


@pytest.mark.parametrize("n", [3, 6, 12])
def test_the_smallest_detectable_difference_is_found_in_80_of_100(n):
    pattern = stats.zscore(np.arange(float(n)), ddof=1)  # of standard deviation 1
    delta = ours.smallest_detectable(2.0 * pattern)
    d = np.random.default_rng(8).normal(delta, 2.0, size=(N, n))
    assert (p_values(d) <= 0.05).mean() == pytest.approx(0.8, abs=0.0141)


def test_the_same_of_independent_samples():
    pattern = stats.zscore(np.arange(5.0), ddof=1)
    delta = ours.smallest_detectable_unpaired(2.0 * pattern, 2.0 * pattern)
    rng = np.random.default_rng(9)
    x, y = rng.normal(delta, 2.0, size=(N, 5)), rng.normal(0, 2.0, size=(N, 5))
    found = stats.ttest_ind(x, y, axis=1, equal_var=True).pvalue <= 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.0141)


def test_effect_sizes():
    assert ours.effect_size([1.0, 2.0, 3.0]) == 2.0
    assert ours.effect_size([0.5, 0.5]) == math.inf
    assert math.isnan(ours.effect_size([0.5]))
    x, y = [1.0, 3.0], [0.0, 0.0]
    assert ours.effect_size_unpaired(x, y) == pytest.approx(2 / math.sqrt((2 + 0) / 2))
