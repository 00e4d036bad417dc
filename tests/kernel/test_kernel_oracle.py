"""Per task equality with systems written independently in plain SimPy (Resource, timeouts)."""

from __future__ import annotations

import numpy as np
import pytest
import simpy

from ecsim.kernel import (
    Background,
    Engine,
    FifoServer,
    Ledger,
    Link,
    Node,
    Topology,
    Travel,
    Use,
    World,
    expand,
)

N_TASKS = 3000
REPLY_BYTES = 5000.0
ULP = 64  # tolerance in ulp of the horizon: both sides add the same terms in the same order


def draw(n_devices, n_cloud, seed):
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.exponential(0.05, N_TASKS))
    return [
        (float(t), int(device), float(edge), float(size), float(cloud))
        for t, device, edge, size, cloud in zip(
            times,
            rng.integers(n_devices, size=N_TASKS),
            rng.exponential(0.1, N_TASKS),
            rng.exponential(4000.0, N_TASKS),
            rng.exponential(0.04 * n_cloud, N_TASKS),
            strict=True,
        )
    ]


def in_plain_simpy(tasks, n_devices, n_cloud, is_shared, bit_per_s, latency_s):
    env = simpy.Environment()
    edges = [simpy.Resource(env) for _ in range(n_devices)]
    ups = [simpy.Resource(env) for _ in range(1 if is_shared else n_devices)]
    downs = [simpy.Resource(env) for _ in range(1 if is_shared else n_devices)]
    cloud = simpy.Resource(env, n_cloud)
    rows = {}

    def hold(resource, seconds):
        asked = env.now
        with resource.request() as request:
            yield request
            waited = env.now - asked
            yield env.timeout(seconds)
        return waited

    def task(number, t, device, edge, size, service):
        yield env.timeout(t)
        link = 0 if is_shared else device
        w1 = yield from hold(edges[device], edge)
        w2 = yield from hold(ups[link], size * 8.0 / bit_per_s)
        yield env.timeout(latency_s)
        w3 = yield from hold(cloud, service)
        w4 = yield from hold(downs[link], REPLY_BYTES * 8.0 / (2 * bit_per_s))
        yield env.timeout(latency_s)
        rows[number] = (env.now, w1, w2, w3, w4)

    for number, row in enumerate(tasks):
        env.process(task(number, *row))
    env.run()
    return np.array([rows[number] for number in range(len(tasks))])


def in_ecsim(tasks, n_devices, n_cloud, is_shared, bit_per_s, latency_s):
    world = World()
    topology = Topology(world)
    names = expand("cam", n_devices)
    for name in names:
        engines = {"inference": Engine(world, name, "inference")}
        topology.add_node(Node(world, name, "edge", engines))
    cloud = Engine(world, "cloud", "inference", n_servers=n_cloud)
    topology.add_node(Node(world, "cloud", "cloud", {"inference": cloud}))
    link = Link("radio", bit_per_s, 2 * bit_per_s, latency_s, shared=is_shared)
    topology.connect(names, "cloud", link)
    rows = {}

    def serve(device, edge, size, service):
        name = names[device]
        yield Use(topology.nodes[name].engines["inference"], edge, stage=0)
        yield Travel(topology.route(name, "cloud"), size, stage=1)
        yield Use(cloud, service, stage=2)
        yield Travel(topology.route("cloud", name), REPLY_BYTES, stage=3)

    def done(flow):
        rows[flow.item] = (world.now, *flow.ledger.wait_s)

    world.feed(
        ((t, (number, rest)) for number, (t, *rest) in enumerate(tasks)),
        lambda item: world.spawn(serve(*item[1]), Ledger(4), done, item[0]),
    )
    world.run()
    return np.array([rows[number] for number in range(len(tasks))])


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("n_cloud", [1, 3])
def test_every_task_ends_when_plain_simpy_says(is_shared, n_cloud):
    n_devices = 4
    tasks = draw(n_devices, n_cloud, seed=11)
    system = (n_devices, n_cloud, is_shared, 1e6, 0.02)
    theirs, ours = in_plain_simpy(tasks, *system), in_ecsim(tasks, *system)
    assert theirs[:, 1:].mean(axis=0).min() > 1e-4  # every queue matters
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=ULP * np.spacing(theirs.max()))


class Script:
    """Stands in for a random generator: gives what it is told, then nothing for a long time."""

    def __init__(self, gaps, services):
        self.draws = [gaps, services]

    def exponential(self, mean, size):
        values = np.full(size, 1e12)
        script = self.draws.pop(0)
        values[: len(script)] = script
        return values


@pytest.mark.parametrize("n_servers", [1, 2])
def test_background_jobs_queue_as_plain_simpy_says(n_servers):
    rng = np.random.default_rng(5)
    gaps, services = rng.exponential(0.1, 2000), rng.exponential(0.05 * n_servers, 2000)
    tasks = [(float(t), float(s)) for t, s in zip(
        np.cumsum(rng.exponential(0.3, 600)), rng.exponential(0.1 * n_servers, 600), strict=True
    )]  # fmt: skip

    env = simpy.Environment()
    resource = simpy.Resource(env, n_servers)
    theirs = {}

    def job(t, seconds, number=None):
        yield env.timeout(t)
        with resource.request() as request:
            yield request
            yield env.timeout(seconds)
        theirs[number] = env.now

    t = 0.0
    for gap, seconds in zip(gaps.tolist(), services.tolist(), strict=True):
        t += gap
        env.process(job(t, seconds))
    for number, row in enumerate(tasks):
        env.process(job(*row, number))
    env.run()

    world = World()
    server = Engine(world, "cloud", "inference", n_servers)
    background = Background(server, 10.0, 0.05, 3.0, Script(gaps, services))
    ours = {}

    def serve(number, seconds):
        yield Use(server, seconds)
        ours[number] = world.now

    world.feed(
        ((t, (number, s)) for number, (t, s) in enumerate(tasks)),
        lambda item: world.spawn(serve(*item)),
    )
    world.run()
    expected = [theirs[number] for number in range(600)]
    np.testing.assert_allclose(
        [ours[number] for number in range(600)], expected, rtol=0, atol=ULP * np.spacing(1e3)
    )
    assert background.n_jobs > 1500
    joined = float(services[: background.n_jobs].sum())
    assert background.joules == pytest.approx(3.0 * joined, rel=1e-12)
    assert server.n_jobs == 600  # the tasks alone


def test_background_refuses_what_cannot_be():
    world = World()
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="rate > 0"):
        Background(Engine(world, "a", "x"), 0.0, 1.0, 0.0, rng)
    with pytest.raises(ValueError, match="no state for background"):
        Background(FifoServer(world, "plain"), 1.0, 1.0, 0.0, rng)
    engine = Engine(world, "b", "x")
    Background(engine, 1.0, 1.0, 0.0, rng)
    with pytest.raises(ValueError, match="already"):
        Background(engine, 1.0, 1.0, 0.0, rng)
