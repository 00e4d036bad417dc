"""Shared by the theory suite: bare queues, replications, and the z score of a mean.

Every check compares a mean over at least 20 independent replications with a closed form, passes
for |z| <= 5.5, and is run again with service times 2 % longer, which it must catch. For a t
statistic of 17 degrees of freedom that is a false-alarm rate of 4e-5 per check at most, of which
the fixed seeds leave none.

Control variates keep it quick: means of the raw draws, and steps of a martingale made of them
(`backlog`), whose expectation is known, explain most of the spread between replications. They do
not see by how much service times are stretched.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from ecsim.core.errors import Refused
from ecsim.kernel import Use, World

BOUND = 5.5
STRETCH = 1.02
N = 24


def z_score(values, theory, controls=None):
    """Give the z score of a mean over replications.

    `controls`, shape (n, k), are of expectation zero; the regression on them costs as many
    degrees of freedom as they have dimensions (one that is always 0 has none).
    """
    values = np.asarray(values, float)
    n = len(values)
    assert n >= 20
    design = np.ones((n, 1))
    if controls is not None:
        design = np.column_stack([design, np.asarray(controls, float).reshape(n, -1)])
    coefficients, *_ = np.linalg.lstsq(design, values, rcond=None)
    residuals = values - design @ coefficients
    variance = residuals @ residuals / (n - np.linalg.matrix_rank(design))
    spread = variance * np.linalg.pinv(design.T @ design)[0, 0]
    return float((coefficients[0] - theory) / spread**0.5)


def check(replicate, theory, seed, n=N):
    """Assert that means agree with theory, and would not were services 2 % longer.

    Parameters
    ----------
    replicate : gives (values, controls) of one replication, from (rng, stretch).
    theory : the expectation of each value for stretch 1; one number, or a tuple for several
        values of the same replications.
    """
    expected = np.atleast_1d(theory)
    scores = []
    for stretch in (1.0, STRETCH):
        rows = [replicate(np.random.default_rng([seed, i]), stretch) for i in range(n)]
        values = np.array([np.atleast_1d(row[0]) for row in rows])
        controls = [row[1] for row in rows] if rows[0][1] else None
        scores.append([z_score(values[:, k], t, controls) for k, t in enumerate(expected)])
    for right, wrong, t in zip(*scores, expected, strict=True):
        assert abs(right) <= BOUND, f"z = {right:.1f} against {t}"
        assert abs(wrong) > BOUND, f"z = {wrong:.1f} only, for services 2 % longer"


def run(make, times, services, use=Use):
    """Give for each job its stay (NaN: refused), and the server.

    Parameters
    ----------
    make : gives a server in a world.
    use : gives an operation on the server, from (server, service).
    """
    world = World()
    server = make(world)
    jobs = _Jobs(world, server, len(times), use)
    world.feed(zip(times.tolist(), enumerate(services.tolist()), strict=True), jobs.start)
    world.run()
    return np.array(jobs.stays), server


class _Jobs:
    """Resumed when a job is over, notes its stay: a waiter without a generator."""

    ledger = None

    def __init__(self, world, server, n, use):
        self.world, self.server, self.use = world, server, use
        self.stays = [float("nan")] * n

    def start(self, item):
        number, service = item
        operation = self.use(self.server, service)
        operation.value = number, self.world._now
        with suppress(Refused):
            operation.start(self)

    def wake(self, operation):
        number, came = operation.value
        self.stays[number] = self.world._now - came


def poisson(rng, rate, n):
    """Give times of Poisson arrivals, and their control."""
    gaps = rng.exponential(1.0 / rate, n)
    return np.cumsum(gaps), gaps.mean() * rate - 1.0


def backlog(rate, times, services, second_moment, mean=1.0):
    """Give controls: what gaps and services do to the work in an M/G/1 queue and to its square.

    Lindley's recursion on the raw draws steps from a wait W to the backlog V = W + S and on to
    (V - gap)+. What a step gives, less its expectation from where it starts, sums to a
    martingale. Since the mean wait follows from the drift of V^2, such sums explain nearly all of
    the spread of a mean wait, and much of that of what goes with it.

    Source: S. G. Henderson and P. W. Glynn, "Approximating martingales for variance reduction in
    Markov process simulation", Mathematics of Operations Research 27, 2002.
    """
    gaps = np.diff(times)
    free = np.concatenate([[0.0], np.cumsum(services[:-1] - gaps)])  # were waits negative too
    waits = free - np.minimum.accumulate(free)
    before = (waits + services)[:-1]
    after = np.maximum(before - gaps, 0.0)
    empty = 1.0 - np.exp(-rate * before)  # probability that the gap outlasts the work
    by_gaps = after**2 - (before**2 - 2.0 * before / rate + 2.0 * empty / rate**2)
    by_services = 2.0 * waits * (services - mean) + services**2 - second_moment
    return by_gaps.mean(), by_services.mean(), (after - (before - empty / rate)).mean()


def hyperexponential(rng, mean, n):
    """Give services whose squared coefficient of variation is 3.8: 1 in 10 is 11 times longer."""
    is_long = rng.random(n) < 0.1
    return rng.exponential(mean / 2.0, n) * np.where(is_long, 11.0, 1.0)


HYPER_SECOND_MOMENT = 2 * (0.9 + 0.1 * 121) / 4.0  # of mean 1
