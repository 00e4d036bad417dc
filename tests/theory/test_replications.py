"""The suite's own tools: do they see what is wrong, and only that?"""

import numpy as np
import pytest
from replications import (
    BOUND,
    HYPER_SECOND_MOMENT,
    backlog,
    check,
    hyperexponential,
    poisson,
    run,
    z_score,
)
from scipy import stats

from ecsim.kernel import Engine


def means(rng, stretch):
    services = rng.exponential(1.0, 40_000)
    return services.mean() * stretch, (services[:20_000].mean() - 1.0,)


def test_what_is_right_passes():
    check(means, 1.0, seed=1)


@pytest.mark.parametrize("theory", [1.02, 0.98])
def test_a_theory_that_is_wrong_by_2_percent_fails(theory):
    with pytest.raises(AssertionError, match="against"):
        check(means, theory, seed=1)


def test_a_check_that_does_not_see_services_fails():
    with pytest.raises(AssertionError, match="services 2 % longer"):
        check(lambda rng, stretch: means(rng, 1.0), 1.0, seed=1)


def test_a_check_without_the_power_to_see_2_percent_fails():
    with pytest.raises(AssertionError, match="services 2 % longer"):
        check(lambda rng, stretch: (rng.exponential(stretch, 100).mean(), ()), 1.0, seed=1)


def test_one_wrong_value_of_several_is_seen():
    def two(rng, stretch):
        value, controls = means(rng, stretch)
        return (value, value), controls

    check(two, (1.0, 1.0), seed=1)
    with pytest.raises(AssertionError):
        check(two, (1.0, 1.02), seed=1)


def test_fewer_than_20_replications_are_refused():
    with pytest.raises(AssertionError):
        check(means, 1.0, seed=1, n=19)


def test_scores_with_controls_have_students_distribution():
    """Each control costs a degree of freedom; of 20 values 11 and one that is always 0 leave 8."""
    rng = np.random.default_rng(3)
    weights = np.arange(12.0)
    scores = []
    for _ in range(1_500):
        controls = rng.normal(size=(20, 12)) * (weights != 5.0)
        values = 5.0 + controls @ weights + rng.normal(size=20)
        scores.append(z_score(values, 5.0, controls))
    assert stats.kstest(scores, "t", args=(8,)).pvalue > 1e-3
    assert stats.kstest(np.array(scores) * (8 / 20) ** 0.5, "t", args=(8,)).pvalue < 1e-9


DRAWS = {
    "constant": (lambda rng, n: np.ones(n), 1.0),
    "exponential": (lambda rng, n: rng.exponential(1.0, n), 2.0),
    "hyperexponential": (lambda rng, n: hyperexponential(rng, 1.0, n), HYPER_SECOND_MOMENT),
}


@pytest.mark.parametrize("kind", DRAWS)
def test_controls_have_expectation_zero(kind):
    """Otherwise the regression on them would bias every mean that they explain."""
    draw, second_moment = DRAWS[kind]
    rate, n = 0.5, 2_000

    def controls(i, second_moment=second_moment):
        rng = np.random.default_rng([7, i])
        times, gap = poisson(rng, rate, n)
        return gap, *backlog(rate, times, draw(rng, n), second_moment)

    rows = np.array([controls(i) for i in range(300)])
    wrong = np.array([controls(i, 1.1 * second_moment) for i in range(300)])
    for column in rows.T:
        if np.ptp(column) > 1e-9:
            assert abs(z_score(column, 0.0)) <= BOUND
    assert abs(z_score(wrong[:, 2], 0.0)) > BOUND  # of `by_services`, which knows the moment


def test_controls_explain_waits_and_know_nothing_of_the_server():
    """They are made of raw draws: the same, bit for bit, whatever the services are stretched by."""
    rate, n = 0.6, 3_000
    found = {}
    for stretch in (1.0, 1.02):
        rows = []
        for i in range(40):
            rng = np.random.default_rng([8, i])
            times, gap = poisson(rng, rate, n)
            services = rng.exponential(1.0, n)
            stays, _ = run(lambda world: Engine(world, "a", "x"), times, services * stretch)
            mean_wait = (stays - services * stretch).mean()
            rows.append((mean_wait, gap, *backlog(rate, times, services, 2.0)))
        found[stretch] = np.array(rows)
    np.testing.assert_array_equal(found[1.0][:, 1:], found[1.02][:, 1:])
    waits, controls = found[1.0][:, 0], found[1.0][:, 1:]
    design = np.column_stack([np.ones(len(waits)), controls])
    residuals = waits - design @ np.linalg.lstsq(design, waits, rcond=None)[0]
    assert residuals.var() < 0.1 * waits.var()
