"""Single queues on reservation engines against their closed forms.

Source: L. Kleinrock, "Queueing Systems, Volume I", Wiley 1975, chapters 3, 5 and 6.
"""

from math import exp, factorial

import numpy as np
import pytest
from replications import HYPER_SECOND_MOMENT, backlog, check, hyperexponential, poisson, run
from scipy.optimize import brentq

from ecsim.kernel import Engine, Station, Train, Use, World

N_JOBS, N_WARM = 6_000, 500


def fifo(n_servers=1):
    return lambda world: Engine(world, "a", "x", n_servers)


def mean_wait(make, rate, draw, second_moment=2.0, n_servers=1):
    """Give a replication: mean wait of the jobs after the warm-up."""
    c = n_servers  # as a control, one server that is as fast

    def replicate(rng, stretch):
        times, gap = poisson(rng, rate, N_JOBS)
        services = draw(rng)
        stays, _ = run(make, times, services * stretch)
        waits = (stays - services * stretch)[N_WARM:]
        single = backlog(rate, times, services / c, second_moment / c**2, 1.0 / c)
        return waits.mean(), (gap, services.mean() - 1.0, *single)

    return replicate


def exponential(rng):
    return rng.exponential(1.0, N_JOBS)


def pollaczek_khinchine(rate, second_moment):
    return rate * second_moment / (2.0 * (1.0 - rate))


def test_mm1_mean_wait():
    check(mean_wait(fifo(), 0.6, exponential), 0.6 / 0.4, seed=1)


def test_md1_mean_wait():
    def replicate(rng, stretch):
        times, gap = poisson(rng, 0.6, N_JOBS)
        stays, _ = run(fifo(), times, np.full(N_JOBS, stretch))
        return (stays - stretch)[N_WARM:].mean(), (gap, *backlog(0.6, times, np.ones(N_JOBS), 1.0))

    check(replicate, pollaczek_khinchine(0.6, 1.0), seed=2)


def test_mg1_mean_wait_with_very_different_services():
    def draw(rng):
        return hyperexponential(rng, 1.0, N_JOBS)

    replicate = mean_wait(fifo(), 0.4, draw, HYPER_SECOND_MOMENT)
    check(replicate, pollaczek_khinchine(0.4, HYPER_SECOND_MOMENT), seed=3, n=40)


def test_dm1_mean_wait():
    """Periodic arrivals: P(a job waits) is the root of s = exp(-mu (1 - s) / lambda)."""
    period = 1.6

    def replicate(rng, stretch):
        n_jobs = 2 * N_JOBS
        services = rng.exponential(1.0, n_jobs)
        times = period * np.arange(1.0, n_jobs + 1)
        stays, _ = run(fifo(), times, services * stretch)
        return (stays - services * stretch)[N_WARM:].mean(), (services.mean() - 1.0,)

    root = brentq(lambda s: s - exp(-(1.0 - s) * period), 0.0, 0.999)
    check(replicate, root / (1.0 - root), seed=4)


def erlang_c(offered, c):
    tail = offered**c / factorial(c) / (1.0 - offered / c)
    return tail / (sum(offered**k / factorial(k) for k in range(c)) + tail)


def test_mm3_mean_wait():
    replicate = mean_wait(fifo(3), 2.1, exponential, n_servers=3)
    check(replicate, erlang_c(2.1, 3) / (3.0 - 2.1), seed=5, n=32)


def test_mm1_number_in_system():
    """Seen by an independent Poisson observer."""
    rate = 0.5

    def replicate(rng, stretch):
        times, gap = poisson(rng, rate, N_JOBS)
        services = exponential(rng)
        stays, _ = run(fifo(), times, services * stretch)
        seen = np.sort(rng.uniform(times[N_WARM], times[-1], 4 * N_JOBS))
        n = np.searchsorted(times, seen) - np.searchsorted(np.sort(times + stays), seen)
        return n.mean(), (gap, services.mean() - 1.0, *backlog(rate, times, services, 2.0))

    check(replicate, rate / (1.0 - rate), seed=6)


def test_mm1_distribution_of_the_stay():
    """P(stay > t) = exp(-(mu - lambda) t)."""
    rate, at = 0.5, (1.0, 4.0)

    def replicate(rng, stretch):
        times, gap = poisson(rng, rate, N_JOBS)
        services = exponential(rng)
        stays, _ = run(fifo(), times, services * stretch)
        exceeds = (services > 1.0).mean() - exp(-1.0)
        shares = [(stays[N_WARM:] > t).mean() for t in at]
        controls = gap, services.mean() - 1.0, exceeds, *backlog(rate, times, services, 2.0)
        return shares, controls

    check(replicate, [exp(-(1.0 - rate) * t) for t in at], seed=7, n=32)


def test_training_in_idle_times_is_a_vacation():
    """M/G/1 with multiple vacations of d: the wait grows by d / 2.

    Source: Y. Levy and U. Yechiali, "Utilization of idle time in an M/G/1 queueing system",
    Management Science 22, 1975.
    """
    step_s = 0.8

    def replicate(rng, stretch):
        times, gap = poisson(rng, 0.6, N_JOBS)
        services = exponential(rng)

        def make_training(world):
            engine = Engine(world, "a", "x", can_train=True)
            steps = int(times[-1] / step_s)  # more than fit in before the last arrival
            world.spawn(train(engine, step_s, steps))
            return engine

        stays, _ = run(make_training, times, services * stretch)
        waits = (stays - services * stretch)[N_WARM:]
        controls = gap, services.mean() - 1.0, *backlog(0.6, times, services, 2.0)
        return waits.mean(), controls

    check(replicate, pollaczek_khinchine(0.6, 2.0) + step_s / 2.0, seed=8)


def train(engine, step_s, steps):
    yield Train(engine, step_s * steps, 0.0, steps, mode="idle_only")


def test_half_the_speed_doubles_the_work():
    """M/M/1 at a level of speed 1/2 and power 1/4: sojourn 1 / (mu / 2 - lambda), energy a half."""
    rate, n_jobs = 0.3, 2_500

    def at_half_speed(world: World):
        engine = Station(world, "a", "x")
        engine.set_speed(0.5, 0.25)
        return engine

    def replicate(rng, stretch):
        times, gap = poisson(rng, rate, n_jobs)
        services = rng.exponential(1.0, n_jobs)
        stays, engine = run(
            at_half_speed, times, services * stretch, lambda engine, s: Use(engine, s, 8.0 * s)
        )
        assert engine.meter.seconds[0] == pytest.approx(2.0 * stretch * services.sum())
        assert engine.meter.joules[0] == pytest.approx(4.0 * stretch * services.sum())
        doubled = backlog(rate, times, 2.0 * services, 8.0, 2.0)
        return stays[N_WARM:].mean(), (gap, services.mean() - 1.0, *doubled)

    check(replicate, 1.0 / (0.5 - rate), seed=9)
