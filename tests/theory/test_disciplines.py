"""Losses, priorities, processor sharing and batches against their closed forms.

Sources: L. Kleinrock, "Queueing Systems", Volume I, chapters 3 and 4, and Volume II, chapters 3
(priorities) and 4 (processor sharing), Wiley 1975 and 1976; N. T. J. Bailey, "On queueing
processes with bulk service", J. R. Stat. Soc. B 16, 1954.
"""

from math import exp, factorial

import numpy as np
import pytest
from replications import HYPER_SECOND_MOMENT, backlog, check, hyperexponential, poisson, run
from scipy import integrate
from scipy.optimize import brentq

from ecsim.kernel import Batcher, RankedUse, SharingServer, Station

N_JOBS, N_WARM = 5_000, 300


def station(n_servers=1, **options):
    return lambda world: Station(world, "a", "x", n_servers, **options)


def sharing(n_servers=1):
    return lambda world: SharingServer(world, "a", "x", n_servers)


def lost(make, rate, draw, controls=lambda times, services: (), n_jobs=N_JOBS):
    """Give a replication: share of the jobs that are refused."""

    def replicate(rng, stretch):
        times, gap = poisson(rng, rate, n_jobs)
        services = draw(rng, n_jobs)
        stays, server = run(make, times, services * stretch)
        refused = np.isnan(stays)
        assert server.n_refused == refused.sum()
        return refused[N_WARM:].mean(), (gap, services.mean() - 1.0, *controls(times, services))

    return replicate


def exponential(rng, n):
    return rng.exponential(1.0, n)


def constant(rng, n):
    return np.ones(n)


def erlang_b(offered, c):
    terms = [offered**k / factorial(k) for k in range(c + 1)]
    return terms[-1] / sum(terms)


def test_mm1k_loss():
    rate, k = 0.8, 5
    theory = (1.0 - rate) * rate**k / (1.0 - rate ** (k + 1))

    def all_held(times, services):
        return backlog(rate, times, services, 2.0)

    replicate = lost(station(capacity=k), rate, exponential, all_held, 6_000)
    check(replicate, theory, seed=21, n=40)


@pytest.mark.parametrize("kind", ["M", "D"])
def test_erlang_b(kind):
    """M/G/c/c: the loss depends on the mean service only."""
    draw = {"M": exponential, "D": constant}[kind]
    check(lost(station(4, capacity=4), 3.0, draw), erlang_b(3.0, 4), seed=22, n=40)


@pytest.mark.parametrize("kind", ["D", "M", "H"])
def test_sharing_does_not_depend_on_the_distribution(kind):
    """M/G/1-PS: mean stay = E[S] / (1 - rho), whatever the distribution."""
    draw = {"M": exponential, "D": constant, "H": lambda rng, n: hyperexponential(rng, 1.0, n)}
    rate, second = 0.5, {"D": 1.0, "M": 2.0, "H": HYPER_SECOND_MOMENT}[kind]

    def replicate(rng, stretch):
        n_jobs = {"D": 2_000, "M": 4_000, "H": 5_000}[kind]
        times, gap = poisson(rng, rate, n_jobs)
        services = draw[kind](rng, n_jobs)
        stays, _ = run(sharing(), times, services * stretch)
        first_come = backlog(rate, times, services, second)
        return stays[N_WARM:].mean(), (gap, services[N_WARM:].mean() - 1.0, *first_come)

    check(replicate, 1.0 / (1.0 - rate), seed=23, n=48 if kind == "H" else 24)


def test_sharing_is_fair_to_every_size():
    """M/G/1-PS: the mean stay of a job of size x is x / (1 - rho)."""
    rate, sizes, n_jobs = 0.5, (0.5, 2.0), 2_500

    def replicate(rng, stretch):
        times, gap = poisson(rng, rate, n_jobs)
        services = np.where(rng.random(n_jobs) < 2.0 / 3.0, 0.5, 2.0)
        stays, _ = run(sharing(), times, services * stretch)
        controls = gap, services[N_WARM:].mean() - 1.0, *backlog(rate, times, services, 1.5)
        services[:N_WARM] = 0.0
        means = [stays[services == size].mean() for size in sizes]
        return means, controls

    check(replicate, [size / (1.0 - rate) for size in sizes], seed=24)


def test_sharing_two_units():
    """M/M/2-PS holds as many jobs as M/M/2."""
    rate = 1.4

    def replicate(rng, stretch):
        times, gap = poisson(rng, rate, N_JOBS)
        services = exponential(rng, N_JOBS)
        stays, _ = run(sharing(2), times, services * stretch)
        single = backlog(rate, times, services / 2.0, 0.5, 0.5)
        return stays[N_WARM:].mean(), (gap, services.mean() - 1.0, *single)

    check(replicate, 1.0 / (1.0 - (rate / 2.0) ** 2), seed=25, n=28)


LOW, HIGH = 0.3, 0.4  # rates of the two classes


@pytest.mark.parametrize("preempts", [False, True], ids=["waiting", "preempting"])
def test_priorities(preempts):
    """Mean stay in M/M/1 with two classes of equal services, class 0 first."""
    first, both = HIGH, HIGH + LOW
    if preempts:
        theory = 1.0 / (1.0 - first), 1.0 / ((1.0 - first) * (1.0 - both))
    else:
        theory = 1.0 + both / (1.0 - first), 1.0 + both / ((1.0 - first) * (1.0 - both))

    def replicate(rng, stretch):
        times, gap = poisson(rng, both, N_JOBS)
        services = exponential(rng, N_JOBS)
        ranks = (rng.random(N_JOBS) < LOW / both).astype(int)
        todo = iter(ranks.tolist())
        stays, _ = run(
            station(preempts=preempts),
            times,
            services * stretch,
            lambda server, seconds: RankedUse(server, seconds, rank=next(todo)),
        )
        is_low = ranks == 1
        low, high = services[is_low].mean() - 1.0, services[~is_low].mean() - 1.0
        counted, is_low = stays[N_WARM:], is_low[N_WARM:]
        means = counted[~is_low].mean(), counted[is_low].mean()
        first_come = backlog(both, times, services, 2.0)
        return means, (gap, low, high, ranks.mean() - LOW / both, *first_come)

    check(replicate, theory, seed=26, n=32)


def test_batches_that_close_when_full_or_after_a_time_out():
    """With units to spare the stay is the wait for the batch to close, and its service."""
    rate, largest, timeout_s, slope = 4.0, 5, 0.6, 0.25

    def p(k, t):  # exactly k more requests in t
        return exp(-rate * t) * (rate * t) ** k / factorial(k)

    # a batch is open at age t while fewer than `largest` - 1 followed its first request
    waits, _ = integrate.quad(
        lambda t: sum((1 + k) * p(k, t) for k in range(largest - 1)), 0.0, timeout_s
    )
    sizes = [p(n - 1, timeout_s) for n in range(1, largest)]
    sizes.append(1.0 - sum(sizes))
    mean_size = sum(n * q for n, q in enumerate(sizes, 1))
    services = sum(n * q * (1.0 + slope * (n - 1)) for n, q in enumerate(sizes, 1))
    theory = (waits + services) / mean_size

    def make(world):
        latency = lambda n: 1.0 + slope * (n - 1)  # noqa: E731
        return Batcher(world, "a", "x", 100, max_size=largest, timeout_s=timeout_s, latency=latency)

    def replicate(rng, stretch):
        times, gap = poisson(rng, rate, N_JOBS // 2)
        stays, _ = run(make, times, np.full(N_JOBS // 2, stretch))
        return stays[N_WARM:].mean(), (gap,)

    check(replicate, theory, seed=27)


def test_bulk_service_queue():
    """One unit that takes what waits, up to 4, for an exponential time: Bailey's queue.

    The number that wait behind a busy unit is geometric with the root r < 1 of
    mu r^(b+1) - (lambda + mu) r + lambda = 0.
    """
    rate, largest, n_jobs = 2.8, 4, 8_000
    root = brentq(lambda r: r ** (largest + 1) - (rate + 1.0) * r + rate, 0.01, 0.98)
    busy = 1.0 / (1.0 / rate + 1.0 / (1.0 - root))  # probability that the unit is busy, none waits
    theory = busy * root / (1.0 - root) ** 2 / rate + 1.0

    def replicate(rng, stretch):
        times, gap = poisson(rng, rate, n_jobs)
        draws = rng.exponential(1.0, n_jobs + 1)
        coming = iter((draws * stretch).tolist())

        def make(world):
            drawn = lambda n: next(coming)  # noqa: E731
            return Batcher(world, "a", "x", max_size=largest, latency=drawn, energy=float)

        stays, _ = run(make, times, np.ones(n_jobs))
        drawn = draws[: n_jobs + 1 - len(list(coming))]
        return stays[N_WARM:].mean(), (gap, (drawn - 1.0).sum() / n_jobs)

    check(replicate, theory, seed=28, n=32)
