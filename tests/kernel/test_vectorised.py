"""Stages served as a whole against the event loop, on random jobs: equal to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsim.kernel import FifoServer, Ledger, Link, Node, Topology, Travel, Use, World
from ecsim.kernel.meter import read_meters
from ecsim.kernel.queues import standing
from ecsim.kernel.vectorised import Playback, fifo_ends, grouped

RATE = 8e3  # 1 kB takes a second
# gaps of zero and services that fill them exactly: ties and busy periods that touch
GAPS = st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0, 3.0]) | st.floats(0.0, 5.0)
JOBS = st.lists(st.tuples(GAPS, GAPS), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(JOBS, st.integers(1, 4))
def test_a_server_serves_as_in_the_event_loop(jobs, n_servers):
    gaps, services = (np.array(column) for column in zip(*jobs, strict=True))
    join_s = np.cumsum(gaps)
    world = World()
    server = FifoServer(world, "server", n_servers)
    found = {}

    def job(number):
        ledger = Ledger()
        use = Use(server, float(services[number]))
        flow = world.spawn(one(use), ledger)
        found[number] = (world.now + ledger.wait_s[0], use.t)
        return flow

    def one(use):
        yield use

    world.feed(zip(join_s.tolist(), range(len(jobs)), strict=True), job)
    world.run()
    begin_s, end_s = fifo_ends(join_s, services, n_servers)
    assert end_s.tolist() == [found[number][1] for number in range(len(jobs))]
    np.testing.assert_allclose(begin_s, [found[n][0] for n in range(len(jobs))], rtol=1e-12)


def test_few_waiting_and_many_take_different_ways_to_the_same_ends():
    rng = np.random.default_rng(1)
    join_s = np.cumsum(rng.exponential(1.0, 5000))
    for load in (0.05, 0.5, 0.99, 1.5):
        seconds = rng.exponential(load, 5000)
        end, right = 0.0, []
        for t, s in zip(join_s.tolist(), seconds.tolist(), strict=True):
            end = max(end, t) + s
            right.append(end)
        begin_s, end_s = fifo_ends(join_s, seconds)
        assert end_s.tolist() == right
        assert begin_s.tolist() == np.maximum(join_s, [0.0, *right[:-1]]).tolist()


def build(world, n_devices):
    topology = Topology(world)
    for name in ("cloud", *(f"cam{i}" for i in range(n_devices))):
        topology.add_node(Node(world, name, "edge", {}))
    cams = [f"cam{i}" for i in range(n_devices)]
    link = Link("air", RATE, RATE, 0.3, near_tx_w=2.0, far_rx_w=0.5, shared=True)
    topology.connect(cams, "cloud", link)
    server = FifoServer(world, "server")
    return server, [topology.route(cam, "cloud") for cam in cams]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    JOBS,
    st.lists(st.floats(0.0, 60.0), min_size=1, max_size=6).map(sorted),
    st.sampled_from([1000.0, 300.0, 0.0]),
)
def test_books_at_any_time_are_those_of_the_event_loop(jobs, times, size_bytes):
    """A shared medium, then a server; what stands in the books and what is still under way."""
    gaps, services = (np.array(column) for column in zip(*jobs, strict=True))
    join_s, seats = np.cumsum(gaps), np.arange(len(jobs)) % 3
    joules = services * 4.0

    world = World()
    server, routes = build(world, 3)

    def job(number):
        yield Travel(routes[seats[number]], size_bytes)
        yield Use(server, float(services[number]), float(joules[number]))

    world.feed(
        zip(join_s.tolist(), range(len(jobs)), strict=True),
        lambda number: world.spawn(job(number), Ledger()),
    )

    played = World()
    twin, ways = build(played, 3)
    playback = Playback(played)
    hops = [route[0] for route in ways]
    seconds = np.full(len(jobs), size_bytes * 8.0 / RATE)
    latency_s = np.full(len(jobs), 0.3)
    _, end_s = playback.send(hops[0].channel, hops, seats, join_s, seconds, latency_s, size_bytes)
    arrive_s = end_s + latency_s
    order, _ = grouped(np.zeros(len(jobs), dtype=int), np.argsort(arrive_s, kind="stable"))
    playback.serve(twin, arrive_s[order], services[order], joules[order])

    for t in [*times, 1e6]:
        world.run_until(t)
        played.run_until(t)
        left = [hop.n_jobs for hop in hops], [h.n_jobs for h in (r[0] for r in routes)]
        assert left[0] == left[1]
        assert (twin.n_jobs, twin.wait_s, twin.max_wait_s) == (
            server.n_jobs, server.wait_s, server.max_wait_s,
        )  # fmt: skip
        assert twin.frees == server.frees
        here, there = (sorted(standing(each).values()) for each in (world, played))
        # they add up in the order of the heap
        np.testing.assert_allclose(np.ravel(here), np.ravel(there), rtol=1e-12)
        for mine, other in zip(
            read_meters(world).values(), read_meters(played).values(), strict=True
        ):
            np.testing.assert_allclose(mine, other, rtol=1e-12, atol=1e-9)


def test_many_units_are_free_again_from_the_latest_ends():
    world = World()
    server = FifoServer(world, "server", 3)
    playback = Playback(world)
    playback.serve(server, np.array([0.0, 0.0]), np.array([5.0, 2.0]), np.zeros(2))
    world.run_until(1.0)
    assert server.frees == [0.0, 2.0, 5.0]
    assert server.backlog_s() == 0.0
    world.run()
    assert world.now == 5.0


def test_jobs_without_seconds_are_served():
    begin_s, end_s = fifo_ends(np.array([1.0, 1.0]), np.zeros(2))
    assert begin_s.tolist() == end_s.tolist() == pytest.approx([1.0, 1.0])
