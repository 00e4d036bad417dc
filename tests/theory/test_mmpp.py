"""Markov-modulated arrivals against closed forms, over independent replications.

Each check is a z score over n >= 20 replications; |z| <= 5.5 has a false-alarm rate of 4e-8 for a
normal mean. Each is shown to fail when rates, or a service time where there is one, are wrong by
2 %; the start of the path, of which only 10 ms are seen, when it begins in a wrong state.

Source: W. Fischer and K. Meier-Hellstern, "The Markov-modulated Poisson process (MMPP) cookbook",
Performance Evaluation 18, 1993: mean rate and the variance of counts of a two-state MMPP.
"""

from functools import cache

import numpy as np
import pytest
from replications import BOUND, backlog, check, run, z_score

from ecsim.core.randomness import Streams
from ecsim.kernel import Engine, FifoServer, Use, World
from ecsim.streams.modulated import Mmpp

HIGH, LOW = 30.0, 10.0  # rates per s
UP, DOWN = 8.0, 12.0  # changes per s from low to high and back
HORIZON_S = 500.0
LONG_S = 3000.0
N = 60


def process(factor=1.0):
    return Mmpp(
        Mmpp.Params(rates=(LOW * factor, HIGH * factor), transitions=((0.0, UP), (DOWN, 0.0)))
    )


@cache
def times(factor, seed, horizon_s=HORIZON_S):
    """Give a path; the checks share them."""
    return np.concatenate(list(process(factor).blocks(Streams(seed)("arrivals"), horizon_s)))


def mean_count(t):
    return (HIGH * UP + LOW * DOWN) / (UP + DOWN) * t


def variance_of_count(t):
    """Of the number of arrivals in (0, t], started in the stationary distribution."""
    both = UP + DOWN
    a = 2.0 * (HIGH - LOW) ** 2 * UP * DOWN / both**3
    return mean_count(t) + a * (t - (1.0 - np.exp(-both * t)) / both)


def z_of_mean(factor):
    counts = [len(times(factor, seed)) for seed in range(N)]
    return (np.mean(counts) - mean_count(HORIZON_S)) / (variance_of_count(HORIZON_S) / N) ** 0.5


def test_mean_rate():
    assert abs(z_of_mean(1.0)) <= 5.5
    assert abs(z_of_mean(1.02)) > 5.5
    assert process().mean_per_s == pytest.approx(mean_count(1.0), rel=1e-12)


@pytest.mark.parametrize(("window_s", "apart_s"), [(0.05, 0.5), (0.2, 0.7), (1.0, 1.4)])
def test_variance_of_counts_shows_the_correlation(window_s, apart_s):
    """Windows so far apart that their counts hardly know each other; rates 2 % off are seen."""
    scores = {}
    for factor in (1.0, 1.02):
        per_replication = []
        for seed in range(N):
            found = times(factor, seed, LONG_S)
            starts = np.arange(0.0, LONG_S - window_s, apart_s)
            counts = np.searchsorted(found, starts + window_s) - np.searchsorted(found, starts)
            per_replication.append(np.mean((counts - mean_count(window_s)) ** 2))
        scores[factor] = z_score(per_replication, variance_of_count(window_s))
    assert abs(scores[1.0]) <= BOUND
    assert abs(scores[1.02]) > BOUND


def mean_stay_of_mmpp_m1(mean_service_s):
    """Mean stay in an MMPP/M/1 queue: R of the quasi-birth-death process by iteration, and Little.

    Source: M. F. Neuts, "Matrix-geometric solutions in stochastic models", Johns Hopkins 1981,
    chapter 3.
    """
    rates, mu = np.diag([LOW, HIGH]), 1.0 / mean_service_s
    one = np.eye(2)
    changes = np.array([[-UP, UP], [DOWN, -DOWN]])
    stays = changes - rates - mu * one
    r = np.zeros((2, 2))
    while np.abs(rates + r @ stays + mu * r @ r).max() > 1e-11:
        r = -(rates + mu * r @ r) @ np.linalg.inv(stays)
    more = np.linalg.inv(one - r)
    empty = changes - rates + mu * r  # the rows of level 0: left null vector, sums to 1 in all
    system = np.vstack([empty.T, (more @ np.ones(2))[None]])
    of_empty, *_ = np.linalg.lstsq(system, np.array([0.0, 0.0, 1.0]), rcond=None)
    return float((of_empty @ r @ more @ more).sum() / mean_count(1.0))


def test_mean_stay_behind_mmpp_arrivals():
    """MMPP/M/1 at load 0.6, where Poisson arrivals of the same rate would stay for less."""
    service_s, n_warm = 1.0 / 30.0, 200
    expected = mean_stay_of_mmpp_m1(service_s)
    assert expected > 1.15 * service_s / (1.0 - mean_count(service_s))

    def replicate(rng, stretch):
        came = times(1.0, int(rng.integers(1 << 31)))
        services = rng.exponential(service_s, len(came))
        stays, _ = run(lambda world: Engine(world, "a", "x"), came, services * stretch)
        count = len(came) / mean_count(HORIZON_S) - 1.0
        by_services = backlog(1.0, came, services, 2.0 * service_s**2, service_s)[1]
        return stays[n_warm:].mean(), (count, services.mean() - service_s, by_services)

    check(replicate, expected, seed=21, n=40)


def load_of(seconds, seed):
    """Give the busy share of one server over the horizon, as its meter tells it."""
    world = World()
    server = FifoServer(world, "s")

    def serve():
        yield Use(server, seconds)

    world.feed(((t, None) for t in times(1.0, seed).tolist()), lambda _: world.spawn(serve()))
    world.run_until(HORIZON_S)
    return world.snapshot()[server.meter][0][0] / HORIZON_S


def test_mmpp_load():
    """Utilisation is mean rate x service, although the rate of a burst exceeds the capacity."""
    service_s = 0.04  # load 0.72; 1.2 in the high state
    expected = mean_count(1.0) * service_s
    n = 40
    # what is served differs from what was brought by the backlog alone
    error = (variance_of_count(HORIZON_S) / n) ** 0.5 * service_s / HORIZON_S
    assert HIGH * service_s > 1 > expected

    def z(factor):
        return (
            np.mean([load_of(service_s * factor, seed) for seed in range(n)]) - expected
        ) / error

    assert abs(z(1.0)) <= 5.5
    assert abs(z(1.02)) > 5.5


def test_the_path_starts_in_its_stationary_distribution():
    """The first 10 ms of 4000 devices have the mean rate already."""
    n = 4000
    counts = [len(times_until(seed, 0.01)) for seed in range(n)]
    error = (variance_of_count(0.01) / n) ** 0.5
    assert abs(np.mean(counts) - mean_count(0.01)) <= 5.5 * error
    assert abs(np.mean(counts) - LOW * 0.01) > 5.5 * error


def times_until(seed, horizon_s):
    blocks = process().blocks(Streams(seed)("arrivals"), horizon_s)
    return np.concatenate([np.empty(0), *blocks])
