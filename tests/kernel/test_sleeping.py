"""Engines that sleep: waits and joules by hand, and the share of time asleep by theory."""

from math import exp, inf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsim.core.errors import Down
from ecsim.kernel import After, MeterWindow, Node, Use, World
from ecsim.kernel.battery import Battery
from ecsim.kernel.meter import check_energy
from ecsim.kernel.outages import NodeSwitch, Outages
from ecsim.kernel.sleeping import SleepingEngine

IDLE_W, SLEEP_W, AFTER_S, WAKE_S = 2.0, 0.5, 4.0, 1.0


def run(arrivals_s, window_s, service_s=1.0, after_s=AFTER_S, wake_s=WAKE_S):
    """Give waits, and (seconds, joules) by state of the window, of jobs of 10 J each."""
    world = World()
    engine = SleepingEngine(
        world, "cam", "npu", IDLE_W, after_s=after_s, sleep_w=SLEEP_W, wake_s=wake_s
    )
    waits = []

    def job(t):
        yield After(t)
        use = Use(engine, service_s, 10.0)
        yield use
        waits.append(use.wait_s)

    for t in arrivals_s:
        world.spawn(job(t))
    window = MeterWindow(world)
    world.run_until(window_s[0])
    window.open()
    world.run_until(window_s[1])
    window.close()
    rows = {row.state: (row.seconds, row.joules) for row in window.rows()}
    assert sum(seconds for seconds, _ in rows.values()) == pytest.approx(window_s[1] - window_s[0])
    world.run()
    check_energy(world, 0.0)  # flows without ledgers
    return waits, rows


# The first job comes at 1 and is served until 2; asleep from 6 on.
@pytest.mark.parametrize(
    ("second_s", "wait_s", "asleep_s", "waking_s"),
    [(5.0, 0.0, 0.0, 0.0), (6.0, 0.0, 0.0, 0.0), (8.0, 1.0, 2.0, 1.0)],
    ids=["shorter", "equal", "longer"],
)
def test_a_gap(second_s, wait_s, asleep_s, waking_s):
    waits, rows = run([1.0, second_s], (0.0, 10.0))
    assert waits == [0.0, wait_s]
    assert rows["sleep"] == (asleep_s, asleep_s * SLEEP_W)
    assert rows["waking"] == (waking_s, waking_s * IDLE_W)
    assert rows["active"] == (2.0, 2.0 * IDLE_W + 20.0)
    assert rows["idle"][0] == 8.0 - asleep_s - waking_s


@pytest.mark.parametrize(
    ("window_s", "sleep_s", "waking_s", "active_s"),
    [
        ((0.0, 7.5), 1.5, 0.0, 1.0),  # ends asleep
        ((0.0, 8.25), 2.0, 0.25, 1.0),  # ends waking
        ((7.0, 9.5), 1.0, 1.0, 0.5),  # begins asleep, ends in service
        ((8.5, 16.0), 2.0, 0.5, 1.0),  # begins waking, ends asleep: idle 10 to 14
    ],
)
def test_borders_of_the_window(window_s, sleep_s, waking_s, active_s):
    _, rows = run([1.0, 8.0], window_s)
    assert rows["sleep"] == pytest.approx((sleep_s, sleep_s * SLEEP_W))
    assert rows["waking"][0] == pytest.approx(waking_s)
    assert rows["active"][0] == pytest.approx(active_s)


def test_jobs_behind_a_waking_engine_wait_too():
    assert run([8.0, 8.5], (0.0, 12.0))[0] == [1.0, 1.5]


def test_a_job_that_comes_asleep_is_told_of_the_waking():
    world = World()
    engine = SleepingEngine(world, "cam", "npu", after_s=1.0, sleep_w=0.0, wake_s=3.0)
    world.run_until(2.0)
    assert engine.backlog_s() == 3.0
    assert engine.reserve(1.0, 0.0, 1) == (5.0, 6.0)


def test_share_of_time_asleep_is_that_of_theory():
    """M/D/1 with an exceptional first service, by renewal at the end of each busy period.

    A cycle is an idle time, 1 / rate on average, and a busy period: begun by work of
    s + wake p on average, p = exp(-rate after), it lasts 1 / (1 - rho) times that. It sleeps for
    p / rate on average. Over independent runs |z| <= 5.5.
    """
    rate, service_s, after_s, wake_s = 1.0, 0.5, 0.8, 0.6
    p = exp(-rate * after_s)
    cycle_s = 1.0 / rate + (service_s + wake_s * p) / (1.0 - rate * service_s)
    expected = p / rate / cycle_s
    rng = np.random.default_rng(7)
    shares = []
    for _ in range(30):
        arrivals_s = np.cumsum(rng.exponential(1.0 / rate, 1_200)).tolist()
        _, rows = run(arrivals_s, (50.0, 1_000.0), service_s, after_s, wake_s)
        shares.append(rows["sleep"][0] / 950.0)
    z = (np.mean(shares) - expected) / (np.std(shares, ddof=1) / sqrt(len(shares)))
    assert abs(z) <= 5.5


def powered(
    capacity_j=None, outage_s=None, jobs_s=(), before_s=100.0, service_s=1.0, wake_s=WAKE_S
):
    """Give the world of an engine on a node with a battery or an outage, its node and outcomes."""
    world = World()
    engine = SleepingEngine(
        world, "cam", "npu", IDLE_W, after_s=AFTER_S, sleep_w=SLEEP_W, wake_s=wake_s
    )
    node = Node(world, "cam", "edge", {"npu": engine})
    switch = NodeSwitch(world, node)
    battery = None
    if capacity_j is not None:
        battery = Battery(
            world, node, switch, capacity_j, capacity_j, 0.0, capacity_j, before_s=before_s
        )
    if outage_s is not None:
        Outages(world, switch, [outage_s])
    outcomes = []

    def job(t):
        yield After(t)
        try:
            yield Use(engine, service_s, 10.0)
        except Down:
            outcomes.append((world.now, "down"))
        else:
            outcomes.append((world.now, "ok"))

    for t in jobs_s:
        world.spawn(job(t))
    return world, engine, switch, battery, outcomes


def states_until(world, end_s):
    window = MeterWindow(world)
    window.open()
    world.run_until(end_s)
    window.close()
    return {row.state: (row.seconds, row.joules) for row in window.rows() if row.component == "npu"}


def test_an_outage_ends_sleep_and_leaves_the_engine_awake():
    world, _, _, _, outcomes = powered(outage_s=(8.0, 10.0), jobs_s=[1.0, 9.0, 16.0])
    rows = states_until(world, 20.0)
    # served 1 to 2, asleep 6 to 8, out 8 to 10, asleep 14 to 16, waking to 17, served to 18
    assert outcomes == [(2.0, "ok"), (9.0, "down"), (18.0, "ok")]
    assert rows["sleep"] == pytest.approx((4.0, 4.0 * SLEEP_W))
    assert rows["waking"] == pytest.approx((1.0, 1.0 * IDLE_W))
    assert rows["down"] == (2.0, 0.0)
    assert rows["idle"][0] == pytest.approx(20.0 - 4.0 - 1.0 - 2.0 - 2.0)
    world.run()
    check_energy(world, 0.0)


def test_an_outage_cuts_a_waking():
    world, _, _, _, outcomes = powered(outage_s=(8.4, 10.0), jobs_s=[1.0, 8.0])
    rows = states_until(world, 12.0)
    assert outcomes == [(2.0, "ok"), (8.4, "down")]
    assert rows["sleep"][0] == pytest.approx(2.0)
    assert rows["waking"][0] == pytest.approx(0.4)
    assert rows["active"][0] == pytest.approx(1.0)
    assert rows["down"][0] == pytest.approx(1.6)
    world.run()
    check_energy(world, 0.0)


def test_sleep_spares_the_battery():
    # 4 s at 2 W leave 6 J, which last 12 s at 0.5 W
    world, _, switch, battery, _ = powered(capacity_j=14.0)
    states_until(world, 50.0)
    assert (switch.until_s, battery.n_depleted) == (inf, 1)
    assert switch.down_s == pytest.approx(50.0 - 16.0)
    assert battery.out_j == pytest.approx(14.0)
    battery.check()


def test_waking_and_service_draw_from_the_battery():
    # 8 J until 4, 3 J until 10, 2 J in waking, and the last 1 J at 12 W
    world, _, switch, battery, outcomes = powered(capacity_j=14.0, jobs_s=[10.0])
    rows = states_until(world, 20.0)
    empty_s = 11.0 + 1.0 / 12.0
    assert outcomes == [(pytest.approx(empty_s), "down")]
    assert switch.down_s == pytest.approx(20.0 - empty_s)
    assert rows["sleep"][0] == pytest.approx(6.0)
    assert sum(joules for _, joules in rows.values()) == pytest.approx(14.0)
    battery.check()
    world.run()
    check_energy(world, 0.0)


@settings(max_examples=100, deadline=None)
@given(
    gaps_s=st.lists(st.floats(0.01, 9.0), min_size=1, max_size=12),
    capacity_j=st.floats(5.0, 120.0),
    outage=st.one_of(st.none(), st.tuples(st.floats(0.1, 30.0), st.floats(0.1, 9.0))),
    wake_s=st.sampled_from([0.0, 0.3, 5.0]),
)
def test_books_balance_whatever_comes(gaps_s, capacity_j, outage, wake_s):
    arrivals_s = np.cumsum(gaps_s).tolist()
    outage_s = None if outage is None else (outage[0], sum(outage))
    world, _, _, battery, outcomes = powered(
        capacity_j, outage_s, arrivals_s, service_s=0.7, wake_s=wake_s
    )
    rows = states_until(world, 90.0)
    assert sum(seconds for seconds, _ in rows.values()) == pytest.approx(90.0)
    assert all(seconds >= -1e-9 for seconds, _ in rows.values())
    battery.check()
    assert sum(joules for _, joules in rows.values()) == pytest.approx(battery.out_j, rel=1e-9)
    world.run()
    check_energy(world, 0.0)
    assert len(outcomes) == len(arrivals_s)
