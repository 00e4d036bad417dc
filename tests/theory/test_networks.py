"""Networks of queues, repair shops and energy over time against their closed forms.

Source: L. Kleinrock, "Queueing Systems, Volume I", Wiley 1975, chapter 4; renewal theory for on
and off: D. R. Cox, "Renewal Theory", Methuen 1962, chapter 7.
"""

from math import exp, factorial

import numpy as np
import pytest
from replications import check, poisson

from ecsim.kernel import After, Engine, Link, MeterWindow, Node, Topology, Travel, Use, World
from ecsim.kernel.meter import Meter

N_JOBS, N_WARM = 5_000, 400


def through(world, times, way):
    """Let jobs go through a generator function ``way(number)``; give their stays."""
    stays = np.full(len(times), np.nan)

    def go(number):
        came = world._now
        yield from way(number)
        stays[number] = world._now - came

    arrivals = zip(times.tolist(), range(len(times)), strict=True)
    world.feed(arrivals, lambda number: world.spawn(go(number)))
    world.run()
    return stays


def test_tandem():
    """Two M/M/1 in a row: their stays add up, since the first one's output is Poisson."""
    rate, second = 0.5, 0.8  # mean services 1 and 0.8

    def replicate(rng, stretch):
        world = World()
        a, b = Engine(world, "a", "x"), Engine(world, "b", "x")
        times, gap = poisson(rng, rate, N_JOBS)
        services = rng.exponential(1.0, (N_JOBS, 2)) * (1.0, second)
        first_s, second_s = (services * stretch).T.tolist()

        def way(number):
            yield Use(a, first_s[number])
            yield Use(b, second_s[number])

        stays = through(world, times, way)
        return stays[N_WARM:].mean(), (gap, *(services.mean(axis=0) - (1.0, second)))

    check(replicate, 1.0 / (1.0 - rate) + 1.0 / (1.0 / second - rate), seed=41)


def test_burke():
    """The output of M/M/1 is Poisson and forgets: P(stay > t) in the next queue is as if alone."""
    rate, second, at, n_jobs = 0.6, 1.0, 3.0, 8_000

    def replicate(rng, stretch):
        world = World()
        a, b = Engine(world, "a", "x"), Engine(world, "b", "x")
        times, gap = poisson(rng, rate, n_jobs)
        services = rng.exponential(1.0, (n_jobs, 2)) * (1.0, second)
        first_s, second_s = services[:, 0].tolist(), (services[:, 1] * stretch).tolist()
        stays = np.empty(n_jobs)

        def way(number):
            yield Use(a, first_s[number])
            came = world._now
            yield Use(b, second_s[number])
            stays[number] = world._now - came

        through(world, times, way)
        exceeds = (services[:, 1] > at).mean() - exp(-at / second)
        controls = gap, services[:, 1].mean() - second, exceeds
        return (stays[N_WARM:] > at).mean(), controls

    check(replicate, exp(-(1.0 / second - rate) * at), seed=42, n=32)


def test_jackson_network():
    """Three queues with feedback: each holds as many as an M/M/1 of its own rate."""
    outside, means = 0.3, np.array([1.0, 0.7, 0.9])
    routing = np.array([[0.0, 0.5, 0.3], [0.2, 0.0, 0.4], [0.3, 0.1, 0.0]])  # the rest leaves
    rates = np.linalg.solve(np.eye(3) - routing.T, np.array([outside, 0.0, 0.0]))
    loads = rates * means
    assert loads.max() < 0.75
    theory = (loads / (1.0 - loads)).sum() / outside
    n_jobs, n_warm = 4_000, 400

    def replicate(rng, stretch):
        world = World()
        engines = [Engine(world, name, "x") for name in "abc"]
        times, gap = poisson(rng, outside, n_jobs)
        draws = iter(rng.exponential(1.0, 8 * n_jobs).tolist())
        turns = iter(rng.random(8 * n_jobs).tolist())
        borders = np.cumsum(routing, axis=1).tolist()
        work = np.zeros(3)

        def way(number):
            at = 0
            while at < 3:
                seconds = next(draws) * means[at]
                work[at] += seconds
                yield Use(engines[at], seconds * stretch)
                turn = next(turns)
                at = sum(turn >= border for border in borders[at])

        stays = through(world, times, way)
        brought = (work / n_jobs - loads / outside) @ (1.0 / (1.0 - loads))  # all have left
        return stays[n_warm:].mean(), (gap, brought)

    check(replicate, theory, seed=43)


def test_uplink_then_server():
    """Poisson messages over a link of constant serialisation: M/D/1, then propagation."""
    rate, service_s, latency_s = 0.6, 1.0, 5.0

    def replicate(rng, stretch):
        world = World()
        topology = Topology(world)
        for name in ("cam", "cloud"):
            topology.add_node(Node(world, name, "edge", {}))
        topology.connect(["cam"], "cloud", Link("l", 1e6, 1e6, latency_s))
        times, gap = poisson(rng, rate, N_JOBS)
        route, size = topology.route("cam", "cloud"), 1e6 / 8.0 * service_s * stretch

        def way(number):
            yield Travel(route, size)

        stays = through(world, times, way)
        return stays[N_WARM:].mean(), (gap,)

    theory = service_s + rate * service_s**2 / (2.0 * (1.0 - rate * service_s)) + latency_s
    check(replicate, theory, seed=44)


def test_machine_repair():
    """Five machines and one repairer: mean share of machines that work."""
    n, up, repair = 5, 10.0, 2.0
    weights = [factorial(n) / factorial(n - k) * (repair / up) ** k for k in range(n + 1)]
    working = sum((n - k) * w for k, w in enumerate(weights)) / sum(weights) / n
    horizon_s, n_draws = 8_000.0, 16_000

    def replicate(rng, stretch):
        world = World()
        repairer = Engine(world, "shop", "x")
        lives, repairs = rng.exponential(up, n_draws), rng.exponential(repair, n_draws)
        next_life, next_repair = iter(lives.tolist()), iter((repairs * stretch).tolist())
        downs = []

        def machine():
            while world._now < horizon_s:
                yield After(next(next_life))
                failed = world._now
                yield Use(repairer, next(next_repair))
                downs.append((failed, world._now))

        for _ in range(n):
            world.spawn(machine())
        world.run()
        begin, end = np.clip(np.array(downs).T, 200.0, horizon_s)
        used = int(0.7 * horizon_s * n * working / up)  # fewer than are drawn
        controls = lives[:used].mean() / up - 1.0, repairs[:used].mean() / repair - 1.0
        return 1.0 - (end - begin).sum() / (n * (horizon_s - 200.0)), controls

    check(replicate, working, seed=45, n=40)


@pytest.mark.parametrize("kind", ["exponential", "fixed"])
def test_energy_of_on_and_off(kind):
    """A device that works for X and pauses for Y, at two powers, in a window that cuts services.

    The energy of a window is power x time in each state. For exponential times the expected time
    on in (0, T] is known exactly; for others the share E[X] / (E[X] + E[Y]) holds up to a bounded
    amount of time, here less than a thousandth of the power.
    """
    on, off, busy_w, idle_w, horizon_s = 2.0, 3.0, 7.0, 0.5, 6_000.0
    share = on / (on + off)
    on_s = share * horizon_s
    if kind == "exponential":
        both = 1.0 / on + 1.0 / off
        on_s -= share / both * (1.0 - exp(-both * horizon_s))
    theory = on_s * busy_w / horizon_s + idle_w  # busy power is what comes on top of idle

    def replicate(rng, stretch):
        world = World()
        meter = Meter(world, "cam", "npu", ("active",), idle_w)
        engine = Engine(world, "cam", "x")
        engine.meter = meter
        pauses = rng.exponential(off, 4_000)
        works = rng.exponential(on, 4_000) if kind == "exponential" else np.full(4_000, on)

        def device():
            for pause, work in zip(pauses.tolist(), (works * stretch).tolist(), strict=True):
                yield After(pause)
                yield Use(engine, work, work * busy_w)

        world.spawn(device())
        window = MeterWindow(world)
        window.open()
        world.run_until(horizon_s)
        window.close()
        joules = sum(row.joules for row in window.rows() if row.component == "npu")
        n = 1_100  # about as many cycles as fit
        controls = (pauses[:n].mean() / off - 1.0,)
        if kind == "exponential":
            controls += (works[:n].mean() / on - 1.0,)
        return joules / horizon_s, controls

    check(replicate, theory, seed=46, n=40)
