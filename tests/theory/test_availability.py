"""Outages and batteries against closed forms: availability, breakdowns, the time until empty."""

from __future__ import annotations

from math import exp

import numpy as np
from replications import backlog, check

from ecsim.core.errors import Down
from ecsim.kernel import After, Engine, Node, Use, World
from ecsim.kernel.battery import Battery
from ecsim.kernel.outages import NodeSwitch, Outages
from ecsim.kernel.periods import drawn


class Draws:
    """Exponential times whose deviations from their mean are summed, as a control.

    The number that is drawn depends on the past alone, so the sum has expectation zero (Wald).
    """

    def __init__(self, rng, mean_s, stretch=1.0):
        self.rng = rng
        self.mean_s = mean_s
        self.stretch = stretch
        self.deviation_s = 0.0

    def __call__(self):
        drawn_s = float(self.rng.exponential(self.mean_s))
        self.deviation_s += drawn_s - self.mean_s
        return drawn_s * self.stretch


def faulty_node(up, down, keeps=False):
    world = World()
    engine = Engine(world, "node", "engine")
    node = Node(world, "node", "edge", {"engine": engine})
    switch = NodeSwitch(world, node, keeps)
    Outages(world, switch, drawn(up, down))
    return world, engine, switch


def test_availability_of_a_repaired_node():
    """Alternating renewal process from a new node: E[down time] over [0, T] in closed form."""
    mtbf_s, mttr_s, length_s = 10.0, 3.0, 3000.0

    def replicate(rng, stretch):
        up, down = Draws(rng, mtbf_s), Draws(rng, mttr_s, stretch)
        world, engine, switch = faulty_node(up, down)
        world.run_until(length_s)
        metered_s = world.snapshot()[engine.meter][0][-1]
        assert metered_s == switch.down_s or abs(metered_s - switch.down_s) < 1e-9 * length_s
        return metered_s, [up.deviation_s, down.deviation_s]

    total_rate = 1.0 / mtbf_s + 1.0 / mttr_s
    share = mttr_s / (mtbf_s + mttr_s)
    check(replicate, share * (length_s - (1.0 - exp(-total_rate * length_s)) / total_rate), seed=91)


def test_work_done_between_breakdowns():
    """A job that is restarted after each breakdown: the time it takes in all.

    An attempt needs s of service in one piece; the expected time from the begin of the first
    to the end of the last is (e^(s / mtbf) - 1) (mtbf + mttr).
    """
    mtbf_s, mttr_s, service_s, n_jobs = 10.0, 2.0, 5.0, 1500

    def replicate(rng, stretch):
        up, down = Draws(rng, mtbf_s), Draws(rng, mttr_s)
        world, engine, switch = faulty_node(up, down)
        spent = []

        def stubborn():
            for _ in range(n_jobs):
                begin = world.now
                while True:
                    try:
                        yield Use(engine, service_s * stretch)
                        break
                    except Down:
                        yield After(switch.until_s - world.now)
                spent.append(world.now - begin)

        world.spawn(stubborn())
        while len(spent) < n_jobs:
            world.run_until(world.now + 1000.0)
        return float(np.sum(spent)), [up.deviation_s, down.deviation_s]

    mean_s = (exp(service_s / mtbf_s) - 1.0) * (mtbf_s + mttr_s)
    check(replicate, n_jobs * mean_s, seed=92)


def breakdown_queue(arrival, service, fail, repair):
    """Mean number in an M/M/1 queue whose server breaks down and resumes: its Markov chain solved.

    Breakdowns also befall an idle server. The chain is cut at 200 jobs, far beyond what occurs.
    """
    assert arrival < service * repair / (fail + repair)
    n = 200
    size = 2 * n
    rates = np.zeros((size, size))
    for k in range(n):
        up, down = 2 * k, 2 * k + 1
        rates[up, down] += fail
        rates[down, up] += repair
        if k + 1 < n:
            rates[up, up + 2] += arrival
            rates[down, down + 2] += arrival
        if k:
            rates[up, up - 2] += service
    rates -= np.diag(rates.sum(axis=1))
    system = np.vstack([rates.T, np.ones(size)])
    shares, *_ = np.linalg.lstsq(system, np.r_[np.zeros(size), 1.0], rcond=None)
    return float(sum((k // 2) * share for k, share in enumerate(shares)))


def test_a_queue_whose_server_breaks_down_and_resumes():
    """M/M/1 with breakdowns, after which a job goes on: mean sojourn by Little's law."""
    arrival, service, fail, repair, n_jobs = 0.4, 1.0, 0.1, 0.5, 14_000

    def replicate(rng, stretch):
        up, down = Draws(rng, 1.0 / fail), Draws(rng, 1.0 / repair)
        world, engine, _ = faulty_node(up, down, keeps=True)
        gaps = rng.exponential(1.0 / arrival, n_jobs)
        services = rng.exponential(1.0 / service, n_jobs)
        sojourns = []

        def job(seconds):
            begin = world.now
            yield Use(engine, seconds * stretch)
            sojourns.append(world.now - begin)

        times = np.cumsum(gaps)
        pairs = zip(times.tolist(), services.tolist(), strict=True)
        world.feed(pairs, lambda seconds: world.spawn(job(seconds)))
        while len(sojourns) < n_jobs:
            world.run_until(world.now + 1000.0)
        # the load of each stretch of the run explains most of its queue
        controls = [services.mean() - 1.0 / service, gaps.mean() - 1.0 / arrival]
        controls += [up.deviation_s / world.now, down.deviation_s / world.now]
        controls += backlog(arrival, times, services, 2.0)
        return float(np.mean(sojourns[500:])), controls

    check(replicate, breakdown_queue(arrival, service, fail, repair) / arrival, seed=93)


def test_time_until_a_battery_is_empty():
    """First passage of an on/off drain with exponential times: m'(c) of both states solved.

    With drains r0 < r1 (off, on) and rates b (off -> on), a (on -> off), the mean time from a
    full battery, starting off, is C / r0 + (b / r0) K (C - (1 - e^(-g C)) / g), where
    g = a / r1 + b / r0 and K = (1 / r1 - 1 / r0) / g.
    """
    off_s, on_s, idle_w, active_w, capacity_j, n_batteries = 4.0, 2.0, 0.5, 2.0, 60.0, 100

    def replicate(rng, stretch):
        off, on = Draws(rng, off_s), Draws(rng, on_s, stretch)
        lives = []
        for _ in range(n_batteries):
            world = World()
            engine = Engine(world, "node", "engine", idle_w=idle_w)
            node = Node(world, "node", "edge", {"engine": engine})
            switch = NodeSwitch(world, node)
            battery = Battery(world, node, switch, capacity_j)
            switch.on_change.append(lambda world=world: lives.append(world.now))

            def alternate(engine=engine):
                try:
                    while True:
                        yield After(off())
                        seconds = on()
                        yield Use(engine, seconds, active_w * seconds)
                except Down:
                    pass

            world.spawn(alternate())
            world.run()
            battery.check()
        assert len(lives) == n_batteries
        return float(np.mean(lives)), [off.deviation_s, on.deviation_s]

    a, b, r0, r1 = 1.0 / on_s, 1.0 / off_s, idle_w, idle_w + active_w
    g = a / r1 + b / r0
    k = (1.0 / r1 - 1.0 / r0) / g
    c = capacity_j
    check(replicate, c / r0 + (b / r0) * k * (c - (1.0 - exp(-g * c)) / g), seed=94)
