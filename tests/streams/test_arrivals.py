from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ecsim.core.randomness import Streams
from ecsim.streams.arrivals import Periodic, Poisson


def times(process, horizon_s, seed=0):
    blocks = list(process.blocks(Streams(seed)("arrivals", "cam[0]"), horizon_s))
    assert all(len(block) for block in blocks)
    return np.concatenate([np.empty(0), *blocks])


@given(st.floats(0.1, 1000, allow_nan=False), st.floats(0, 5), st.floats(0.1, 3))
def test_periodic_never_drifts(rate, offset, horizon):
    found = times(Periodic(Periodic.Params(rate=rate, offset=offset)), horizon)
    assert (found < horizon).all()
    for k in {0, len(found) // 2, len(found) - 1} - {-1} if len(found) else ():
        exact = Fraction(k) / Fraction(rate) + Fraction(offset)
        # two roundings: of the quotient and of the sum
        assert abs(Fraction(float(found[k])) - exact) <= 2 * Fraction(np.spacing(float(exact)))
    following = float(Fraction(len(found)) / Fraction(rate) + Fraction(offset))
    assert following >= horizon or np.isclose(following, horizon, rtol=1e-12)


def test_periodic_divides_and_does_not_multiply():
    found = times(Periodic(Periodic.Params(rate=10.0)), 1.0)
    assert found.tolist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def test_periodic_crosses_blocks():
    found = times(Periodic(Periodic.Params(rate=10.0, offset=0.5)), 300.0)
    assert len(found) == 2995 and found[0] == 0.5 and found[2048] == 2048 / 10 + 0.5


def test_periodic_offset_beyond_the_horizon_is_no_task():
    assert len(times(Periodic(Periodic.Params(rate=1.0, offset=9.0)), 9.0)) == 0


def test_poisson_mean_variance_and_gaps():
    # 4.9 standard errors: false alarm 1e-6 per test of the fixed draw
    rate, horizon = 2.0, 20_000.0
    found = times(Poisson(Poisson.Params(rate=rate)), horizon)
    assert (np.diff(found) > 0).all() and found[0] > 0 and found[-1] < horizon
    expected = rate * horizon
    assert abs(len(found) - expected) < 4.9 * expected**0.5
    counts = np.histogram(found, bins=2000, range=(0, horizon))[0]
    # variance of a Poisson(20) sample of 2000: sd of (variance / mean) is about (2 / n)^0.5
    assert abs(counts.var(ddof=1) / counts.mean() - 1) < 4.9 * (2 / 2000) ** 0.5
    gaps = np.diff(found)
    # exponential: standard deviation equals mean; relative se of their ratio is n^-0.5
    assert abs(gaps.std() / gaps.mean() - 1) < 4.9 * len(gaps) ** -0.5


def test_a_longer_horizon_only_adds():
    process = Poisson(Poisson.Params(rate=30.0))
    short, long = times(process, 50.0), times(process, 200.0)
    assert np.array_equal(long[long < 50.0], short) and len(long) > 3 * len(short)


@pytest.mark.parametrize("kind", [Periodic, Poisson])
@pytest.mark.parametrize("rate", ["0 /s", "-2 /s", "2", 2])
def test_rate_is_positive_and_has_a_unit(kind, rate):
    with pytest.raises(ValidationError):
        TypeAdapter(kind.Params).validate_python({"rate": rate})
    assert TypeAdapter(kind.Params).validate_python({"rate": "30 /min"}).rate == 0.5
