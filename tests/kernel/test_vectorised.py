"""Stages served as a whole against the event loop, on random jobs: equal to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsim.kernel import FifoServer, Ledger, Link, Node, Topology, Travel, Use, World
from ecsim.kernel.lindley import by_time, fifo_ends, grouped, many_servers_ends
from ecsim.kernel.meter import read_meters
from ecsim.kernel.queues import standing
from ecsim.kernel.vectorised import Playback

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
    one_queue = np.zeros(1, dtype=int)
    begin_s, end_s = (
        fifo_ends(join_s, services, one_queue)
        if n_servers == 1
        else many_servers_ends(join_s, services, n_servers)
    )
    assert end_s.tolist() == [found[number][1] for number in range(len(jobs))]
    np.testing.assert_allclose(begin_s, [found[n][0] for n in range(len(jobs))], rtol=1e-12)


def one_by_one(joins, jobs):
    """Give when jobs of several queues begin and end, as the event loop adds up."""
    begins, ends = [], []
    for join_s, seconds in zip(joins, jobs, strict=True):
        end = 0.0
        for t, s in zip(join_s.tolist(), seconds.tolist(), strict=True):
            begins.append(max(end, t))
            end = begins[-1] + s
            ends.append(end)
    return begins, ends


@pytest.mark.parametrize("load", [0.05, 0.5, 0.99, 1.5])
@pytest.mark.parametrize("service", ["exponential", "constant"])
def test_long_queues_end_to_the_bit(load, service):
    rng = np.random.default_rng(1)
    lengths = [5000, 1, 40, 2000]
    joins = [np.cumsum(rng.exponential(1.0, n)) for n in lengths]
    jobs = [rng.exponential(load, n) if service[0] == "e" else np.full(n, load) for n in lengths]
    firsts = np.cumsum([0, *lengths[:-1]])
    begin_s, end_s = fifo_ends(np.concatenate(joins), np.concatenate(jobs), firsts)
    assert (begin_s.tolist(), end_s.tolist()) == one_by_one(joins, jobs)


@settings(max_examples=150, deadline=None)
@given(st.lists(JOBS, min_size=1, max_size=5), st.sampled_from([0.0, 1e9]))
def test_queues_do_not_mix(queues, late_s):
    """Also where a clock far on rounds the sums from which it is guessed who waits."""
    joins = [late_s + np.cumsum([gap for gap, _ in jobs]) for jobs in queues]
    seconds = [np.array([service for _, service in jobs]) for jobs in queues]
    firsts = np.cumsum([0, *map(len, joins[:-1])])
    begin_s, end_s = fifo_ends(np.concatenate(joins), np.concatenate(seconds), firsts)
    assert (begin_s.tolist(), end_s.tolist()) == one_by_one(joins, seconds)


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
    _, end_s = playback.send(hops, seats, join_s, seconds, latency_s, size_bytes)
    arrive_s = end_s + latency_s
    order = by_time(arrive_s)
    nought = np.zeros(len(jobs), dtype=int)
    playback.serve([twin], nought, arrive_s[order], services[order], joules[order])

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
    nought = np.zeros(2, dtype=int)
    playback.serve([server], nought, np.zeros(2), np.array([5.0, 2.0]), np.zeros(2))
    world.run_until(1.0)
    assert server.frees == [0.0, 2.0, 5.0]
    assert server.backlog_s() == 0.0
    world.run()
    assert world.now == 5.0


@given(st.lists(st.integers(0, 70_000), min_size=1))
def test_grouping_keeps_the_order_within_a_key(keys):
    order, firsts = grouped(np.array(keys), 70_001)
    assert order.tolist() == sorted(range(len(keys)), key=keys.__getitem__)
    assert [keys[order[first]] for first in firsts] == sorted(set(keys))


def test_jobs_without_seconds_are_served():
    begin_s, end_s = fifo_ends(np.array([1.0, 1.0]), np.zeros(2), np.zeros(1, dtype=int))
    assert begin_s.tolist() == end_s.tolist() == pytest.approx([1.0, 1.0])
