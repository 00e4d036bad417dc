"""Losses, priorities, processor sharing and batches against their closed forms.

Sources: L. Kleinrock, "Queueing Systems", Volume I, chapters 3 and 4, and Volume II, chapters 3
(priorities) and 4 (processor sharing), Wiley 1975 and 1976; N. T. J. Bailey, "On queueing
processes with bulk service", J. R. Stat. Soc. B 16, 1954.
"""

from math import exp, factorial

import numpy as np
import pytest
from replications import check, hyperexponential, poisson, run
from scipy import integrate
from scipy.optimize import brentq

from ecsim.kernel import Batcher, RankedUse, SharingServer, Station

N_JOBS, N_WARM = 10_000, 500


def station(n_servers=1, **options):
    return lambda world: Station(world, "a", "x", n_servers, **options)


def sharing(n_servers=1):
    return lambda world: SharingServer(world, "a", "x", n_servers)


def lost(make, rate, draw, n_jobs=N_JOBS):
    """Give a replication: share of the jobs that are refused."""

    def replicate(rng, stretch):
        times, gap = poisson(rng, rate, n_jobs)
        services = draw(rng, n_jobs)
        stays, server = run(make, times, services * stretch)
        refused = np.isnan(stays)
        assert server.n_refused == refused.sum()
        controls = (gap, services.mean() - 1.0) if draw is exponential else (gap,)
        return refused[N_WARM:].mean(), controls

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
    check(lost(station(capacity=k), rate, exponential), theory, seed=21, n=40)


@pytest.mark.parametrize("kind", ["M", pytest.param("D", marks=pytest.mark.slow)])
def test_erlang_b(kind):
    """M/G/c/c: the loss depends on the mean service only."""
    draw = {"M": exponential, "D": constant}[kind]
    check(lost(station(4, capacity=4), 3.0, draw), erlang_b(3.0, 4), seed=22, n=40)


@pytest.mark.parametrize(
    "kind", ["D", *(pytest.param(kind, marks=pytest.mark.slow) for kind in "MH")]
)
def test_sharing_does_not_depend_on_the_distribution(kind):
    """M/G/1-PS: mean stay = E[S] / (1 - rho), whatever the distribution."""
    draw = {"M": exponential, "D": constant, "H": lambda rng, n: hyperexponential(rng, 1.0, n)}
    rate = 0.5

    def replicate(rng, stretch):
        times, gap = poisson(rng, rate, N_JOBS)
        services = draw[kind](rng, N_JOBS)
        stays, _ = run(sharing(), times, services * stretch)
        controls = (gap,) if kind == "D" else (gap, services[N_WARM:].mean() - 1.0)
        return stays[N_WARM:].mean(), controls

    check(replicate, 1.0 / (1.0 - rate), seed=23, n=32 if kind == "H" else 24)


def test_sharing_is_fair_to_every_size():
    """M/G/1-PS: the mean stay of a job of size x is x / (1 - rho)."""
    rate, sizes = 0.5, (0.5, 2.0)

    def replicate(rng, stretch):
        times, gap = poisson(rng, rate, N_JOBS)
        services = np.where(rng.random(N_JOBS) < 2.0 / 3.0, 0.5, 2.0)
        stays, _ = run(sharing(), times, services * stretch)
        services[:N_WARM] = 0.0
        means = [stays[services == size].mean() for size in sizes]
        return means, (gap, services[N_WARM:].mean() - 1.0)

    check(replicate, [size / (1.0 - rate) for size in sizes], seed=24)


@pytest.mark.slow
def test_sharing_two_units():
    """M/M/2-PS holds as many jobs as M/M/2."""
    rate = 1.4

    def replicate(rng, stretch):
        times, gap = poisson(rng, rate, N_JOBS)
        services = exponential(rng, N_JOBS)
        stays, _ = run(sharing(2), times, services * stretch)
        return stays[N_WARM:].mean(), (gap, services.mean() - 1.0)

    check(replicate, 1.0 / (1.0 - (rate / 2.0) ** 2), seed=25)


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
        return means, (gap, low, high, ranks.mean() - LOW / both)

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
        times, gap = poisson(rng, rate, N_JOBS)
        stays, _ = run(make, times, np.full(N_JOBS, stretch))
        return stays[N_WARM:].mean(), (gap,)

    check(replicate, theory, seed=27)


@pytest.mark.slow
def test_bulk_service_queue():
    """One unit that takes what waits, up to 4, for an exponential time: Bailey's queue.

    The number that wait behind a busy unit is geometric with the root r < 1 of
    mu r^(b+1) - (lambda + mu) r + lambda = 0.
    """
    rate, largest = 2.0, 4
    root = brentq(lambda r: r ** (largest + 1) - (rate + 1.0) * r + rate, 0.01, 0.98)
    busy = 1.0 / (1.0 / rate + 1.0 / (1.0 - root))  # probability that the unit is busy, none waits
    theory = busy * root / (1.0 - root) ** 2 / rate + 1.0

    def replicate(rng, stretch):
        times, gap = poisson(rng, rate, N_JOBS)
        draws = iter(rng.exponential(stretch, N_JOBS + 1).tolist())

        def make(world):
            drawn = lambda n: next(draws)  # noqa: E731
            return Batcher(world, "a", "x", max_size=largest, latency=drawn, energy=float)

        stays, _ = run(make, times, np.ones(N_JOBS))
        return stays[N_WARM:].mean(), (gap,)

    check(replicate, theory, seed=28, n=40)
