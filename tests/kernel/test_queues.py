"""What a window says about a queue, against each job's own times."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsim.kernel import (
    Background,
    Engine,
    FifoServer,
    Link,
    Node,
    Topology,
    Train,
    Travel,
    Use,
    World,
)
from ecsim.kernel.queues import Queue, QueueWindow, queues_of, standing

TIMES = st.lists(st.tuples(st.floats(0.0, 10.0), st.floats(0.0, 4.0)), max_size=30)


def simulate(jobs, server, world):
    """Let (arrival, service) jobs use a server; give their (arrival, begin, end)."""
    seen = []

    def serve(t, seconds):
        use = Use(server, seconds)
        seen.append((t, use, seconds))
        yield use

    jobs = sorted(jobs)
    world.feed(((t, (t, s)) for t, s in jobs), lambda job: world.spawn(serve(*job)))
    return lambda: [(t, t + use.wait_s, t + use.wait_s + s) for t, use, s in seen]


def overlap(begin, end, low, high):
    return max(0.0, min(end, high) - max(begin, low))


@settings(deadline=None, max_examples=150)
@given(TIMES, st.integers(1, 3), st.floats(0.0, 6.0), st.floats(1.0, 9.0), st.integers(1, 5))
def test_a_window_agrees_with_the_jobs(jobs, n_servers, start_s, length_s, n_cuts):
    world = World()
    server = FifoServer(world, "s", n_servers)
    times = simulate(jobs, server, world)
    window = QueueWindow(world, [Queue("s", "", server, n_servers)])
    world.run_until(start_s)
    window.open()
    for cut in range(1, n_cuts + 1):
        world.run_until(start_s + length_s * cut / n_cuts)
        window.cut()
    end_s = world.now
    window.close()
    world.run()
    (row,) = window.rows()
    found = times()
    joined = [job for job in found if start_s <= job[0] < end_s]
    assert row.n_jobs == len(joined)
    waits = [begin - t for t, begin, _ in joined]
    assert row.max_wait_s == pytest.approx(max(waits, default=0.0), abs=1e-12)
    if waits:
        assert row.mean_wait_s == pytest.approx(np.mean(waits), abs=1e-9)
    else:
        assert row.mean_wait_s is None
    waiting = sum(overlap(t, begin, start_s, end_s) for t, begin, _ in found)
    assert row.mean_waiting * length_s == pytest.approx(waiting, abs=1e-9)
    busy = sum(overlap(begin, end, start_s, end_s) for _, begin, end in found)
    assert row.utilisation * length_s * n_servers == pytest.approx(busy, abs=1e-9)
    work = sum(end - begin for _, begin, end in joined)
    assert sum(row.joined_s) * n_servers == pytest.approx(work, abs=1e-9)
    assert len(row.joined_s) == len(row.backlog_s) == n_cuts
    assert row.slice_s == pytest.approx(length_s / n_cuts)


@settings(deadline=None, max_examples=60)
@given(TIMES, st.floats(0.5, 12.0))
def test_standing_counts_who_is_there(jobs, t_s):
    world = World()
    server = FifoServer(world, "s")
    times = simulate(jobs, server, world)
    world.run_until(t_s)
    n, left_s = standing(world).get(server, (0, 0.0))
    found = times()
    assert n == sum(end > t_s for _, _, end in found)
    assert left_s == pytest.approx(sum(max(0.0, begin - t_s) for _, begin, _ in found), abs=1e-9)


def test_a_link_by_hand():
    world = World()
    a, b = Node(world, "a", "edge", {}), Node(world, "b", "cloud", {})
    topology = Topology(world)
    topology.add_node(a)
    topology.add_node(b)
    topology.connect(["a"], "b", Link("link 0", 8.0, 8.0, latency_s=100.0))
    queues = queues_of([a, b], topology.channels)
    assert [(q.place, q.component) for q in queues] == [
        ("link 0 a-b", "up"),
        ("link 0 a-b", "down"),
    ]
    window = QueueWindow(world, queues)
    window.open()

    def send():
        yield Travel(topology.route("a", "b"), 2.0)  # 2 s of serialisation

    for _ in range(3):
        world.spawn(send())
    world.run_until(3.0)
    assert standing(world)[topology.channels[0]] == (2, 1.0)
    window.cut()
    world.run_until(5.0)
    window.cut()
    window.close()
    up, down = window.rows()
    assert (up.n_jobs, up.mean_wait_s, up.max_wait_s) == (3, 2.0, 4.0)
    assert (up.mean_waiting, up.utilisation) == (6.0 / 5.0, 1.0)
    assert up.backlog_s.tolist() == [3.0, 1.0] and up.joined_s.tolist() == [6.0, 0.0]
    assert (down.n_jobs, down.mean_wait_s, down.utilisation) == (0, None, 0)
    assert down.backlog_s.tolist() == [0.0, 0.0]
    world.run_until(7.0)  # propagation, 100 s, occupies nothing
    assert topology.channels[0] not in standing(world)


def test_trainings_are_use_but_no_offered_load():
    world = World()
    engine = Engine(world, "cam", "host", can_train=True)

    def learn():
        yield Train(engine, 8.0, steps=4)

    world.spawn(learn())
    window = QueueWindow(world, queues_of([Node(world, "cam", "edge", {"host": engine})], []))
    window.open()
    world.run_until(5.0)
    window.cut()
    window.close()
    (row,) = window.rows()
    assert (row.utilisation, row.joined_s.tolist()) == (1.0, [0.0])


def test_other_tenants_are_load_and_use_but_not_among_the_jobs():
    world = World()
    engine = Engine(world, "cloud", "inference")
    background = Background(engine, 50.0, 0.01, 0.0, np.random.default_rng(3))
    window = QueueWindow(world, queues_of([Node(world, "cloud", "cloud", {"x": engine})], []))
    window.open()
    world.run_until(200.0)
    window.cut()
    window.close()
    (row,) = window.rows()
    assert row.n_jobs == 0 and background.n_jobs > 9000
    # 10000 exponential jobs: relative standard error of their work 0.014
    assert row.joined_s[0] / 200.0 == pytest.approx(0.5, rel=5.5 * 0.0142)
    assert row.utilisation == pytest.approx(row.joined_s[0] / 200.0, abs=1e-3)


@pytest.mark.parametrize("step_s", [0.013, 0.7, 5.0])
def test_how_often_one_looks_changes_no_bit_of_the_background(step_s):
    def books(step_s):
        world = World()
        engine = Engine(world, "cloud", "inference")
        Background(engine, 90.0, 0.01, 3.7, np.random.default_rng(3))
        for t in np.arange(step_s, 50.0, step_s):
            world.run_until(float(t))
            engine.catch_up(world.now)
        world.run_until(50.0)
        return world.snapshot()[engine.meter]

    assert books(step_s) == books(50.0)
