"""Event-driven engines: by hand, against plain SimPy and reservations, and their books."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsim.core.errors import Down, FlowError, Refused, StrategyError
from ecsim.kernel import (
    After,
    Background,
    Batcher,
    Engine,
    First,
    Ledger,
    MeterWindow,
    Node,
    RankedUse,
    Ranks,
    SharingServer,
    Station,
    Train,
    Use,
    World,
    check_energy,
)
from ecsim.kernel.batching import curve
from ecsim.kernel.outages import NodeSwitch, Throttle

ULP = 64


def station(world, n_servers=1, **options):
    return Station(world, "cam", "npu", n_servers, 1.0, True, **options)


def sharing(world, n_servers=1, **options):
    return SharingServer(world, "cam", "npu", n_servers, 1.0, True, **options)


def batcher(world, n_servers=1, **options):
    options = {"max_size": 3, "timeout_s": 0.5, "latency": curve([(1, 1), (3, 2)])} | options
    return Batcher(world, "cam", "npu", n_servers, 1.0, True, **options)


def engine(world, n_servers=1):
    return Engine(world, "cam", "npu", n_servers, 1.0, True)


def serve(world, jobs, make, n=None, **options):
    """Run jobs (time, seconds, rank); give server, (end or error name, ledger) per job."""
    server = make(world, *(() if n is None else (n,)), **options)
    found = {}

    def job(number, seconds, rank, ledger):
        try:
            yield RankedUse(server, seconds, 10.0 * seconds, rank)
            found[number] = world.now, ledger
        except FlowError as error:
            found[number] = type(error).__name__, ledger

    def arrive(item):
        number, (_t, seconds, rank) = item
        ledger = Ledger()
        world.spawn(job(number, seconds, rank, ledger), ledger)

    world.feed(((t, (i, (t, s, r))) for i, (t, s, r) in enumerate(jobs)), arrive)
    return server, found


def ends(found):
    return [found[number][0] for number in sorted(found)]


JOBS = [(0.0, 4.0, 1), (1.0, 1.0, 0), (2.0, 2.0, 1), (3.0, 1.0, 0)]


@pytest.mark.parametrize(
    "make, options, expected",
    [
        (station, {"ranks": Ranks()}, [4.0, 5.0, 8.0, 6.0]),  # the shorter wait of rank 0
        (station, {"preempts": True}, [6.0, 2.0, 8.0, 4.0]),  # 1-2 and 3-4 taken from the first
        # 4 | 1 with 1 | 3 | 4 jobs | ... : by virtual work
        (sharing, {}, None),
    ],
)
def test_orders_by_hand(make, options, expected):
    world = World()
    server, found = serve(world, JOBS, make, **options)
    world.run()
    if expected is None:
        # 0-1: A alone (3 left). 1-2: A, B at half (2.5, .5). 2-3: A, B, C at a third
        # (2.1667, .1667, 1.6667). 3-: four jobs at a quarter: B ends after .1667 x 4, then three
        # jobs at a third until D (.8333 left) ends, then two, and the last alone
        b = 3.0 + 4.0 / 6.0
        d = b + 3.0 * 5.0 / 6.0
        c = d + 2.0 * (1.0 + 2.0 / 3.0 - 1.0)
        a = c + 0.5
        expected = [a, b, c, d]
    assert ends(found) == pytest.approx(expected, rel=1e-12)
    assert sum(ledger.service_s[0] for _, ledger in found.values()) == pytest.approx(8.0)
    waits = sum(ledger.wait_s[0] for _, ledger in found.values())
    assert waits == pytest.approx(sum(ends(found)) - sum(t + s for t, s, _ in JOBS))
    assert server.meter.seconds[0] == pytest.approx(8.0)
    check_energy(world, sum(ledger.total_j for _, ledger in found.values()))


def test_batches_by_hand():
    world = World()
    # three by 0.2: full, 2 s. One at 1 waits for the unit, and is overdue by then: alone, 1 s.
    # one at 2.5 does too, and waits until 3.2 (its time-out passes at 3.0)
    jobs = [(0.0, 1.0, 0), (0.1, 1.0, 0), (0.2, 1.0, 0), (1.0, 1.0, 0), (2.5, 1.0, 0)]
    server, found = serve(world, jobs, batcher)
    world.run()
    assert ends(found) == pytest.approx([2.2, 2.2, 2.2, 3.2, 4.2])
    # 30 J at 2/3 for the full batch, in equal parts
    assert [ledger.joules[0] for _, ledger in found.values()] == pytest.approx(
        [20 / 3, 20 / 3, 20 / 3, 10.0, 10.0]
    )
    assert server.meter.seconds[0] == pytest.approx(2.0 + 1.0 + 1.0)
    assert server.meter.joules[0] == pytest.approx(40.0)
    world = World()
    _, found = serve(world, [(0.0, 1.0, 0)], batcher)
    world.run()
    assert ends(found) == [1.5]  # nobody else came within the time-out


def draw(seed, n=2500, load=0.8, n_servers=1):
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.exponential(1.0, n)).tolist()
    services = rng.exponential(load * n_servers, n).tolist()
    return list(zip(times, services, rng.integers(2, size=n).tolist(), strict=True))


def in_plain_simpy(jobs, n_servers, capacity=None, ranked=False):
    env = simpy.Environment()
    resource = simpy.PriorityResource(env, n_servers) if ranked else simpy.Resource(env, n_servers)
    rows = {}

    def job(number, t, seconds, rank):
        yield env.timeout(t)
        if capacity is not None and resource.count + len(resource.queue) >= capacity:
            rows[number] = "Refused"
            return
        with resource.request(**({"priority": rank} if ranked else {})) as request:
            yield request
            yield env.timeout(seconds)
        rows[number] = env.now

    for number, row in enumerate(jobs):
        env.process(job(number, *row))
    env.run()
    return [rows[number] for number in range(len(jobs))]


@pytest.mark.parametrize("n_servers", [1, 3])
@pytest.mark.parametrize("kind", ["plain", "finite", "ranked"])
def test_every_task_ends_when_plain_simpy_says(kind, n_servers):
    jobs = draw(7, load=1.1 if kind == "finite" else 0.8, n_servers=n_servers)
    capacity = n_servers + 2 if kind == "finite" else None
    theirs = in_plain_simpy(jobs, n_servers, capacity, kind == "ranked")
    if kind != "ranked":
        jobs = [(t, seconds, 0) for t, seconds, _ in jobs]
    world = World()
    server, found = serve(world, jobs, station, n_servers, capacity=capacity)
    world.run()
    ours = ends(found)
    refused = [end == "Refused" for end in theirs]
    assert [end == "Refused" for end in ours] == refused
    assert server.n_refused == sum(refused)
    assert (sum(refused) > 200) == (kind == "finite")
    np.testing.assert_allclose(
        [end for end in ours if end != "Refused"],
        [end for end in theirs if end != "Refused"],
        rtol=0,
        atol=ULP * np.spacing(3000.0),
    )


def test_who_leaves_at_this_moment_leaves_first():
    world = World()
    jobs = [(0.0, 1.0, 0), (0.0, 1.0, 0), (1.0, 1.0, 0), (1.0, 1.0, 0)]
    _, found = serve(world, jobs, station, capacity=2)
    world.run()
    assert ends(found) == [1.0, 2.0, 3.0, "Refused"]
    # also where the newcomer's entry was made before that of the departure
    world = World()
    server = station(world, capacity=1)

    def come(after):
        yield After(after)
        yield Use(server, 1.0)
        return world.now

    late, early = world.spawn(come(1.0)), world.spawn(come(0.0))
    world.run()
    assert (early.value, late.value) == (1.0, 2.0)


def test_a_buffer_with_background():
    """Other tenants' jobs fill it too; what is refused of both is M/M/1/K's share (PASTA)."""
    world = World()
    jobs = [(t, s, 0) for t, s, _ in draw(3, n=20_000, load=0.5)]
    server = station(world, capacity=3)
    Background(server, 0.4, 0.5, 2.0, np.random.default_rng(5))
    _, found = serve(world, jobs, lambda _world: server)
    world.run()
    rho = 0.7
    share = (1 - rho) * rho**3 / (1 - rho**4)
    assert server.n_refused / 20_000 == pytest.approx(share, rel=0.05)
    n_tenants = server.background.n_jobs + server.n_lost
    assert server.n_lost / n_tenants == pytest.approx(share, rel=0.08)
    assert n_tenants == pytest.approx(0.4 * world.now, rel=0.03)
    check_energy(world, sum(ledger.total_j for _, ledger in found.values()))


@pytest.mark.parametrize("mode", ["share", "idle_only", "offline"])
def test_with_equal_ranks_a_station_is_a_fifo_engine(mode):
    """Tasks, other tenants and a training: each task ends when the reservation engine says."""
    results = []
    for make in (engine, station):
        world = World()
        server = make(world)
        Background(server, 0.3, 0.5, 2.0, np.random.default_rng(5))
        ledger = Ledger()

        def learn(server=server):
            yield After(20.0)
            yield Train(server, 60.0, 30.0, 100, mode)

        flow = world.spawn(learn(), ledger)
        jobs = [(t, s, 0) for t, s, _ in draw(4, n=400, load=0.5)]
        _, found = serve(world, jobs, lambda _world, server=server: server)
        world.run_until(150.0)
        reading = world.snapshot()[server.meter]
        world.run()
        assert flow.is_done
        total = sum(entry[1].total_j for entry in found.values()) + ledger.total_j
        check_energy(world, total)
        waits = [entry[1].wait_s[0] for entry in found.values()]
        results.append([*ends(found), *waits, *reading[0], *reading[1], *ledger.wait_s, total])
    np.testing.assert_allclose(*results, rtol=1e-9, atol=1e-9)


def test_training_gives_way_by_rank_and_is_interrupted():
    world = World()
    server = station(world, preempts=True, ranks=Ranks(training=1))
    ledger = Ledger()

    def learn():
        yield Train(server, 4.0, 4.0, 2, "share")
        return world.now

    flow = world.spawn(learn(), ledger)
    _, found = serve(world, [(1.0, 1.0, 0), (2.5, 1.0, 0)], lambda _world: server)
    world.run()
    assert ends(found) == [2.0, 3.5]
    assert flow.value == pytest.approx(6.0)
    assert ledger.wait_s[0] == pytest.approx(2.0)
    assert server.meter.seconds[:2] == pytest.approx([2.0, 4.0])


@pytest.mark.parametrize("make", [station, sharing, batcher])
def test_offline_training_elsewhere_blocks_it(make):
    world = World()
    server = make(world)
    host = Engine(world, "cam", "host", can_train=True)
    jobs = [(0.0, 1.0, 0), (3.0, 1.0, 0)]
    _, found = serve(world, jobs, lambda _world: server)

    def learn():
        yield After(0.6)
        yield Train(host, 10.0, 1.0, mode="offline", inference_engine=server)
        return world.now

    flow = world.spawn(learn())
    world.run()
    first = ends(found)[0]
    assert flow.value == pytest.approx(first + 10.0)
    assert ends(found)[1] == pytest.approx(first + 10.0 + 1.0)


@pytest.mark.parametrize("make", [station, sharing])
def test_a_loser_runs_on_or_is_taken_out(make):
    for cancels, expected in ((False, 5.0), (True, 3.0)):
        world = World()
        server = make(world, cancels=cancels)
        ledger = Ledger()

        def race(server=server):
            yield First(Use(server, 4.0, 8.0), After(2.0))

        def follower(server=server, world=world):
            yield After(2.0)
            yield Use(server, 1.0)
            return world.now

        world.spawn(race(), ledger)
        flow = world.spawn(follower())
        world.run()
        assert ledger.wasted_s == pytest.approx(2.0 if cancels else 4.0)
        assert ledger.wasted_j == pytest.approx(4.0 if cancels else 8.0)
        assert ledger.service_s == [0.0]
        if make is station:
            assert flow.value == pytest.approx(expected)
        check_energy(world, ledger.total_j)


@pytest.mark.parametrize("make", [station, sharing, batcher])
def test_an_outage_ends_what_is_there_and_refuses_what_comes(make):
    world = World()
    server = make(world)
    switch = NodeSwitch(world, Node(world, "cam", "edge", {"npu": server}))
    jobs = [(0.0, 3.0, 0), (0.5, 1.0, 0), (1.5, 1.0, 0), (4.0, 1.0, 0)]
    _, found = serve(world, jobs, lambda _world: server)
    world.run_until(1.0)
    switch.go_down(2.0)
    world.run_until(2.0)
    switch.come_up()
    world.run()
    late = 5.5 if make is batcher else 5.0
    assert ends(found) == ["Down", "Down", "Down", late]
    served = {station: 1.0, sharing: 1.0, batcher: 0.5}[make]
    assert server.meter.seconds[0] == pytest.approx(served + 1.0)
    assert server.n_inside == 0
    check_energy(world, sum(ledger.total_j for _, ledger in found.values()))


@pytest.mark.parametrize("make", [station, sharing, batcher])
def test_an_outage_that_keeps_jobs_stops_the_clock(make):
    results = []
    for is_out in (False, True):
        world = World()
        server = make(world)
        switch = NodeSwitch(world, Node(world, "cam", "edge", {"npu": server}), keeps=True)
        jobs = [(0.0, 3.0, 0), (0.4, 1.0, 0), (9.0, 1.0, 0)]
        _, found = serve(world, jobs, lambda _world, server=server: server)
        world.run_until(1.0)
        if is_out:
            switch.go_down(3.0)
        world.run_until(3.0)
        switch.come_up()
        world.run()
        results.append(ends(found))
        check_energy(world, sum(ledger.total_j for _, ledger in found.values()))
        assert server.meter.seconds[0] == pytest.approx(5.0 if make is not batcher else 5.5, abs=1)
    quiet, late = results
    assert late[:2] == pytest.approx([end + 2.0 for end in quiet[:2]])
    assert late[2] == pytest.approx(quiet[2])


@pytest.mark.parametrize("make", [station, sharing, batcher])
def test_a_brown_out_stretches_what_is_left(make):
    world = World()
    server = make(world)
    throttle = Throttle(world, [server], 0.5)
    _, found = serve(world, [(0.0, 4.0, 0)], lambda _world: server)
    start = 0.5 if make is batcher else 0.0
    world.run_until(start + 1.0)
    throttle.go_down(start + 3.0)  # 1 s of work in 2 s
    world.run_until(start + 3.0)
    throttle.come_up()
    world.run()
    assert ends(found) == pytest.approx([start + 5.0])
    assert server.meter.seconds[0] == pytest.approx(5.0)
    assert server.meter.joules[0] == pytest.approx(50.0)


def test_a_level_changes_time_and_energy_from_then_on():
    world = World()
    server = station(world)
    _, found = serve(world, [(0.0, 4.0, 0)], lambda _world: server)
    world.run_until(1.0)
    server.set_speed(0.5, 0.25)
    world.run()
    assert ends(found) == pytest.approx([7.0])
    assert server.meter.joules[0] == pytest.approx(10.0 + 6.0 * 10.0 * 0.25)
    for speed, power in ((0.0, 1.0), (float("nan"), 1.0), (1.0, -1.0)):
        with pytest.raises(ValueError, match="expected a speed"):
            server.set_speed(speed, power)


@pytest.mark.parametrize("make", [station, sharing, batcher])
def test_meters_are_exact_in_the_midst_of_a_service(make):
    world = World()
    server = make(world)
    serve(world, [(0.0, 3.0, 0)], lambda _world: server)
    window = MeterWindow(world)
    window.open()
    world.run_until(2.0)
    window.close()
    rows = {row.state: row for row in window.rows() if row.component == "npu"}
    served = 1.5 if make is batcher else 2.0
    active = rows["active"]
    assert active.seconds == pytest.approx(served)
    assert active.joules == pytest.approx((10.0 + 1.0) * served)  # beyond its idle power of 1 W
    assert rows["idle"].joules == pytest.approx(2.0 - served)


@pytest.mark.parametrize("make", [station, sharing, batcher])
def test_bad_amounts_stop_at_the_door(make):
    world = World()
    server = make(world)

    def flow():
        yield Use(server, float("nan"))

    with pytest.raises(StrategyError, match="must be finite"):
        world.spawn(flow())
    with pytest.raises(ValueError, match="capacity of at least 1"):
        make(world, capacity=0)


@pytest.mark.parametrize(
    "points", [[], [(2, 1.0)], [(1, 2.0)], [(1, 1), (1, 2)], [(1, 1), (4, 0.5)]]
)
def test_curves_that_are_none(points):
    with pytest.raises(ValueError, match="expected"):
        curve(points)


jobs = st.lists(
    st.tuples(st.floats(0, 2), st.floats(0, 3), st.integers(0, 2)), min_size=1, max_size=25
)


@settings(max_examples=150, deadline=None)
@given(
    jobs=jobs,
    kind=st.sampled_from(["ranked", "preempting", "sharing", "batches"]),
    n_servers=st.integers(1, 3),
    capacity=st.none() | st.integers(1, 4),
    patience=st.floats(0.1, 5.0),
    cancels=st.booleans(),
    outage=st.none() | st.tuples(st.floats(0, 10), st.floats(0, 5), st.booleans()),
    throttle=st.none() | st.tuples(st.floats(0, 10), st.floats(0, 5)),
    has_background=st.booleans(),
    trains=st.none() | st.sampled_from(["share", "idle_only", "offline"]),
)
def test_books_balance_whatever_happens(
    jobs, kind, n_servers, capacity, patience, cancels, outage, throttle, has_background, trains
):
    world = World()
    make, options = {
        "ranked": (station, {"ranks": Ranks(training=5, background=1)}),
        "preempting": (station, {"preempts": True, "ranks": Ranks(training=5)}),
        "sharing": (sharing, {}),
        "batches": (batcher, {}),
    }[kind]
    server = make(world, n_servers, capacity=capacity, cancels=cancels, **options)
    if has_background:
        Background(server, 1.0, 0.5, 3.0, np.random.default_rng(1))
    node = Node(world, "cam", "edge", {"npu": server})
    ledgers, ended = [], []

    def job(seconds, rank, impatient):
        with suppress(Refused, Down):
            use = RankedUse(server, seconds, 2.0 * seconds + 0.1, rank)
            yield First(use, After(patience)) if impatient else use
        ended.append(world.now)

    def learn():
        with suppress(Down):
            yield Train(server, 3.0, 5.0, 4, trains)
        ended.append(world.now)

    t = 0.0
    arrivals = []
    for gap, seconds, rank in jobs:
        t += gap
        arrivals.append((t, (seconds, rank, len(arrivals) % 2 == 1)))

    def arrive(item):
        ledgers.append(Ledger())
        world.spawn(job(*item), ledgers[-1])

    world.feed(arrivals, arrive)
    if trains:
        ledgers.append(Ledger())
        world.spawn(learn(), ledgers[-1])
    switch = NodeSwitch(world, node, keeps=bool(outage) and outage[2])
    window = MeterWindow(world)
    window.open()
    changes = []
    if outage:
        end = outage[0] + outage[1]
        changes += [(outage[0], 0, lambda: switch.go_down(end)), (end, 1, switch.come_up)]
    if throttle:
        slow = Throttle(world, [server], 0.4)
        until = throttle[0] + throttle[1]
        changes += [(throttle[0], 2, lambda: slow.go_down(until)), (until, 3, slow.come_up)]
    for at, _, change in sorted(changes, key=lambda entry: entry[:2]):
        world.run_until(max(at, world.now))
        change()
        world.snapshot()
    world.run()
    world.run_until(world.now + 1.0)
    window.close()
    assert len(ended) == len(jobs) + (trains is not None)
    window.rows()  # raises when anything was busy for longer than the window
    check_energy(world, sum(ledger.total_j for ledger in ledgers))
    for ledger in ledgers:
        assert min(*ledger.wait_s, *ledger.service_s, *ledger.joules, ledger.wasted_s) >= 0.0
    assert not server.parked()
