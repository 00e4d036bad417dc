"""The verdict on queues whose stability is known, from independent replications.

False alarms at load 0.9: each window is 8 to 3000 times the mean service long. With no alarm in
6000 windows the rate is below 2.3e-3 with probability 1 - 1e-6; the seeds are fixed.
"""

import numpy as np
import pytest

from ecsim.records.stability import N_SLICES, offered_load, unstable_because
from ecsim.streams.modulated import Bursts

N = 1000


def window(load, n_jobs, rng, service="exponential", warm_up=2000.0, pulse=1.0):
    """Simulate an M/G/1 queue by Lindley's recursion; mean service 1, `n_jobs` in the window.

    `pulse` > 1 lets arrivals come in groups of about that many: more variable than Poisson.
    """
    length = n_jobs / load
    n = int(n_jobs + warm_up * load + 10 * (n_jobs + warm_up) ** 0.5 * pulse)
    arrivals = np.repeat(np.cumsum(rng.exponential(pulse / load, int(n / pulse) + 1)), int(pulse))
    n = len(arrivals)
    services = rng.exponential(1.0, n) if service == "exponential" else np.ones(n)
    done = np.cumsum(services)
    ends = done + np.maximum.accumulate(arrivals - (done - services))
    cuts = warm_up + np.linspace(0.0, length, N_SLICES + 1)
    joined = np.searchsorted(arrivals, cuts)
    brought = np.diff(np.concatenate([[0.0], done])[joined])
    backlog = np.maximum(np.concatenate([[0.0], ends])[joined] - cuts, 0.0)[1:]
    return unstable_because(brought, backlog, length / N_SLICES)


def alarms(n, *args, **kwargs):
    rng = np.random.default_rng(11)
    return sum(bool(window(*args, rng, **kwargs)) for _ in range(n))


@pytest.mark.parametrize("service", ["exponential", "constant"])
@pytest.mark.parametrize("n_jobs", [60, 500, 3000])
def test_no_false_alarm_at_load_0_9(n_jobs, service):
    assert alarms(N, 0.9, n_jobs, service=service) == 0


def test_hardly_a_false_alarm_where_tasks_come_in_groups():
    assert alarms(N, 0.9, 3000, pulse=10.0) <= 2


@pytest.mark.parametrize(
    ("load", "n_jobs", "least"),
    [(1.1, 3000, 0.85), (1.2, 1000, 0.7), (1.5, 300, 0.85), (2.0, 300, 0.99), (3.0, 100, 0.95)],
)
def test_overload_is_found(load, n_jobs, least):
    assert alarms(200, load, n_jobs, warm_up=0.0) >= least * 200


def test_a_queue_that_was_long_and_shrinks_is_no_overload():
    """A training blocked the device for 30 % of the window; what waited is served since."""
    t = np.arange(1, N_SLICES + 1)
    backlog = np.where(t <= 15, t * 1.0, np.maximum(15.0 - 0.3 * (t - 15), 0.0))
    assert unstable_because(np.full(N_SLICES, 0.7), backlog, 1.0) == ""
    growing = np.where(t <= 35, 0.0, (t - 35) * 1.0)
    rng = np.random.default_rng(2)
    assert "grew to 15 s" in unstable_because(rng.uniform(0.6, 0.8, N_SLICES), growing, 1.0)


def test_reasons_name_the_figures():
    assert unstable_because(np.full(50, 1.3), np.arange(50) * 0.3, 1.0) == (
        "offered load 1.30 exceeds its capacity"
    )
    assert offered_load(np.full(50, 0.6), 2.0) == pytest.approx(0.3)


@pytest.mark.parametrize("load", [0.0, 0.5, 1.0])
def test_work_without_any_variability(load):
    """Periodic arrivals of equal work: at full load exactly, nothing grows."""
    assert unstable_because(np.full(50, load), np.zeros(50), 1.0) == ""


def test_bursts_as_long_as_a_slice_are_hardly_ever_taken_for_growth():
    """On/off arrivals, load 1.8 and 0 for a slice each on average: load 0.9."""
    length, warm_up, n_alarms = 4000 / 0.9, 2000.0, 0
    slice_s = length / N_SLICES
    process = Bursts(Bursts.Params(rate=1.8, on=slice_s, off=slice_s))
    for seed in range(200):
        times, services = np.random.default_rng(seed), np.random.default_rng(10_000 + seed)
        arrivals = np.concatenate(list(process.blocks(times, warm_up + length)))
        done = np.cumsum(services.exponential(1.0, len(arrivals)))
        starts = np.concatenate([[0.0], done[:-1]])
        ends = done + np.maximum.accumulate(arrivals - starts)
        cuts = warm_up + np.linspace(0.0, length, N_SLICES + 1)
        joined = np.searchsorted(arrivals, cuts)
        brought = np.diff(np.concatenate([[0.0], done])[joined])
        backlog = np.maximum(np.concatenate([[0.0], ends])[joined] - cuts, 0.0)[1:]
        n_alarms += bool(unstable_because(brought, backlog, slice_s))
    assert n_alarms <= 4


def test_a_job_that_has_just_come_is_no_growth():
    joined_s, backlog_s = np.zeros(50), np.zeros(50)
    joined_s[[3, 17, 31, 49]] = 0.003  # four jobs in all, the last under way at the end
    backlog_s[-1] = 0.0029
    assert unstable_because(joined_s, backlog_s, 1.0) == ""


def test_a_job_in_service_at_the_end_of_an_idle_queue_is_no_backlog():
    """Load 0.001 in jobs of 0.5 ms, one of them at the horizon: of 500 devices one looks so."""
    joined_s = np.random.default_rng(2).poisson(2.4, 50) * 0.0005
    backlog_s = np.zeros(50)
    backlog_s[-1] = 0.00047
    assert unstable_because(joined_s, backlog_s, 1.2) == ""
    assert unstable_because(np.zeros(50), backlog_s, 1.2) == ""  # it joined before
