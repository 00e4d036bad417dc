"""Queueing theory: means over independent replications against closed forms.

A check fails when the t statistic over the replications exceeds the two-sided 1e-6 quantile, so a
false alarm has probability <= 1e-6 (and none with these fixed seeds). Each check is shown to have
power: it fails when services are 2 % longer.
"""

from __future__ import annotations

from math import factorial

import numpy as np
import pytest
from scipy import stats

from ecsim.kernel import Background, Engine, FifoServer, Use, World

N_REPLICATIONS, N_TASKS, N_WARM = 24, 14_000, 2_000
BOUND = float(stats.t.ppf(1 - 5e-7, N_REPLICATIONS - 1))


def mean_sojourn(rate, services, rng, n_servers=1):
    world = World()
    server = FifoServer(world, "s", n_servers)
    total = 0.0

    def serve(item):
        nonlocal total
        arrived, seconds, counts = item
        yield Use(server, seconds)
        if counts:
            total += world._now - arrived

    times = np.cumsum(rng.exponential(1.0 / rate, N_TASKS)).tolist()
    items = zip(times, services.tolist(), [i >= N_WARM for i in range(N_TASKS)], strict=True)
    world.feed(((item[0], item) for item in items), lambda item: world.spawn(serve(item)))
    world.run()
    return total / (N_TASKS - N_WARM)


def t_statistic(theory, rate, draw, n_servers=1, seed=0):
    means = []
    for replication in range(N_REPLICATIONS):
        rng = np.random.default_rng([seed, replication])
        means.append(mean_sojourn(rate, draw(rng), rng, n_servers))
    return (np.mean(means) - theory) / (np.std(means, ddof=1) / np.sqrt(N_REPLICATIONS))


def mm1(rate, mu):
    return 1.0 / (mu - rate)


def md1(rate, service):
    load = rate * service
    return service + load * service / (2.0 * (1.0 - load))


def mmc(rate, mu, c):
    offered = rate / mu
    tail = offered**c / factorial(c) / (1.0 - offered / c)
    waits = tail / (sum(offered**k / factorial(k) for k in range(c)) + tail)
    return waits / (c * mu - rate) + 1.0 / mu


@pytest.mark.parametrize("stretch, passes", [(1.0, True), (1.02, False)])
@pytest.mark.parametrize("system", ["M/M/1", "M/D/1", "M/M/3"])
def test_mean_sojourn(system, stretch, passes):
    theory, rate, draw, c = {
        "M/M/1": (mm1(0.5, 1.0), 0.5, lambda rng: rng.exponential(stretch, N_TASKS), 1),
        "M/D/1": (md1(0.6, 1.0), 0.6, lambda rng: np.full(N_TASKS, stretch), 1),
        "M/M/3": (mmc(1.5, 1.0, 3), 1.5, lambda rng: rng.exponential(stretch, N_TASKS), 3),
    }[system]
    assert bool(abs(t_statistic(theory, rate, draw, c)) <= BOUND) is passes


def test_background_load_by_poisson_arrivals_see_time_averages():
    """Tasks of 0 s meet the M/M/1 queue of the background: mean wait rho / (mu - rate)."""
    rate, mu = 50.0, 100.0
    means, utilisations = [], []
    for replication in range(N_REPLICATIONS):
        rng = np.random.default_rng([3, replication])
        world = World()
        engine = Engine(world, "cloud", "inference")
        background = Background(engine, rate, 1.0 / mu, 1.0, rng)
        probes = (5.0 + 0.2 * np.cumsum(rng.exponential(1.0, 2000))).tolist()
        world.feed(((t, None) for t in probes), lambda _, w=world, e=engine: w.spawn(use(e)))
        world.run()
        means.append(engine.wait_s / 2000)
        utilisations.append(background.joules / world.now)
    for values, theory in ((means, 0.5 / 50.0), (utilisations, 0.5)):
        t = (np.mean(values) - theory) / (np.std(values, ddof=1) / np.sqrt(N_REPLICATIONS))
        assert abs(t) <= BOUND
        assert abs(np.mean(values) / theory - 1.0) < 0.03  # the spread is small enough to tell


def use(engine):
    yield Use(engine, 0.0)
