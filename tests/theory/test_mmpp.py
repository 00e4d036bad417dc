"""Markov-modulated arrivals against closed forms, over independent replications.

Each check is a z score over n >= 20 replications; |z| <= 5.5 has a false-alarm rate of 4e-8 for a
normal mean. Each is shown to fail for a rate that is wrong by 2 %.

Source: W. Fischer and K. Meier-Hellstern, "The Markov-modulated Poisson process (MMPP) cookbook",
Performance Evaluation 18, 1993: mean rate and the variance of counts of a two-state MMPP.
"""

from functools import cache

import numpy as np
import pytest

from ecsim.core.randomness import Streams
from ecsim.kernel import FifoServer, Use, World
from ecsim.streams.modulated import Mmpp

HIGH, LOW = 30.0, 10.0  # rates per s
UP, DOWN = 8.0, 12.0  # changes per s from low to high and back
HORIZON_S = 500.0
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


@pytest.mark.parametrize("window_s", [0.05, 0.2, 1.0])
def test_variance_of_counts_shows_the_correlation(window_s):
    """Of 60 x 250 windows; a Poisson process of the same mean rate fails by far."""
    per_replication = []
    for seed in range(N):
        found = times(1.0, seed)
        starts = np.arange(0.0, HORIZON_S, 2.0)  # correlation exp(-20) beyond a window
        counts = np.searchsorted(found, starts + window_s) - np.searchsorted(found, starts)
        per_replication.append(np.mean((counts - mean_count(window_s)) ** 2))
    error = np.std(per_replication, ddof=1) / N**0.5
    assert abs(np.mean(per_replication) - variance_of_count(window_s)) <= 5.5 * error
    assert abs(np.mean(per_replication) - mean_count(window_s)) > 5.5 * error


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
