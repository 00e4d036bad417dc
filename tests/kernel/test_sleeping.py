"""Engines that sleep: waits and joules by hand, and the share of time asleep by theory."""

from math import exp, sqrt

import numpy as np
import pytest

from ecsim.kernel import After, MeterWindow, Use, World
from ecsim.kernel.meter import check_energy
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
