"""Changes of level while work is under way (DVFS): times and energies by hand and by integrals."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from labs import Lab, Powered

from ecsim.kernel import After, Batcher, SharingServer, Station, Train, Use, WorkClock
from ecsim.kernel.batching import curve
from ecsim.kernel.outages import Outages, Throttle


def change(lab, t, speed, power, transition_s=0.0):
    def flow():
        yield After(t)
        lab.npu.go_over(speed, power, transition_s)

    lab.world.spawn(flow())


def test_a_job_in_service_goes_on_at_the_new_speed():
    lab = Lab(make_npu=Station)
    job = lab.spawn_at(0.0, Use(lab.npu, 4.0, 8.0))
    queued = lab.spawn_at(2.0, Use(lab.npu, 2.0, 4.0))
    change(lab, 1.0, 0.5, 0.25)
    change(lab, 5.0, 1.0, 1.0)
    # 1 s of work by 1 s, 2 s more by 5 s, the last by 6 s
    assert lab.run() == [(6.0, "ok"), (8.0, "ok")]
    assert (job.wait_s[0], job.service_s[0]) == (0.0, 6.0)
    assert job.joules[0] == pytest.approx(2.0 + 4.0 * 0.5 + 2.0)  # a quarter of 2 W for 4 s
    assert (queued.wait_s[0], queued.service_s[0], queued.joules[0]) == (4.0, 2.0, 4.0)
    assert lab.npu.meter.seconds[0] == 8.0


def test_a_transition_stands_still_at_idle_power():
    lab = Lab(make_npu=Station)
    job = lab.spawn_at(0.0, Use(lab.npu, 4.0, 8.0))
    come = lab.spawn_at(1.2, Use(lab.npu, 1.0, 2.0))
    change(lab, 1.0, 0.5, 0.25, 0.5)
    lab.world.run_until(1.4)
    assert lab.world.snapshot()[lab.npu.meter][0][0] == 1.0
    # 3 s of work from 1.5 s on take 6 s
    assert lab.run() == [(7.5, "ok"), (9.5, "ok")]
    assert (job.wait_s[0], job.service_s[0], job.joules[0]) == (0.5, 7.0, pytest.approx(5.0))
    assert come.wait_s[0] == pytest.approx(6.3)


def test_transitions_one_after_the_other_add_up():
    lab = Lab(make_npu=Station)
    lab.spawn_at(0.0, Use(lab.npu, 4.0, 8.0))
    change(lab, 1.0, 0.5, 0.25, 0.5)
    change(lab, 1.25, 2.0, 4.0, 0.5)
    assert lab.run() == [(2.0 + 1.5, "ok")]


def test_an_idle_engine_in_transition_lets_what_comes_wait():
    lab = Lab(make_npu=Station)
    come = lab.spawn_at(1.2, Use(lab.npu, 1.0, 2.0))
    change(lab, 1.0, 2.0, 1.0, 0.5)
    assert lab.run() == [(2.0, "ok")]
    assert come.wait_s[0] == pytest.approx(0.3)


def test_what_is_in_service_goes_on_after_a_transition_within_a_block():
    lab = Lab(make_npu=Station)
    lab.spawn_at(0.0, Use(lab.npu, 2.0, 2.0))
    lab.spawn_at(1.5, Use(lab.npu, 1.0, 1.0))

    def block():
        yield After(0.5)
        lab.npu.block_until(10.0)

    lab.world.spawn(block())
    change(lab, 1.0, 1.0, 1.0, 0.25)
    # the first job ends inside the block, which lasts longer by what it stood still
    assert lab.run() == [(2.25, "ok"), (11.25, "ok")]


@pytest.mark.parametrize(
    "make_npu",
    [Station, SharingServer, partial(Batcher, max_size=1, latency=curve([(1, 1.0)]))],
)
@pytest.mark.parametrize("seed", range(5))
def test_work_conserving_engines_follow_the_integral_of_the_speed(make_npu, seed):
    """The last of a busy period ends where the integral of the speed reaches the work in it."""
    rng = np.random.default_rng(seed)
    speeds = [1.0, *rng.uniform(0.2, 3.0, 12).tolist()]
    times = [0.0, *np.sort(rng.uniform(0.0, 30.0, 12)).tolist()]
    clock = WorkClock(times, speeds)
    lab = Lab(make_npu=make_npu)
    for t, speed in zip(times[1:], speeds[1:], strict=True):
        change(lab, t, speed, speed**3)
    works = rng.uniform(0.1, 3.0, 15).tolist()
    for work in works:
        lab.spawn_at(0.0, Use(lab.npu, work, 2.0 * work))
    ends = [t for t, _ in lab.run()]
    assert max(ends) == pytest.approx(clock.end(0.0, sum(works)), rel=1e-12)
    # 2 W at speed 1, times the cube of the speed
    watts = WorkClock(times, [2.0 * speed**3 for speed in speeds])
    assert sum(lab.npu.meter.joules) == pytest.approx(watts.work(0.0, max(ends)), rel=1e-12)
    if make_npu is Station:
        expected = [clock.end(0.0, work) for work in np.cumsum(works)]
        assert ends == pytest.approx(expected, rel=1e-12)


def test_a_level_and_a_brown_out_multiply():
    lab = Lab(make_npu=Station)
    job = lab.spawn_at(0.0, Use(lab.npu, 4.0, 8.0))
    change(lab, 1.0, 0.5, 0.25)
    Outages(lab.world, Throttle(lab.world, [lab.npu], 0.5), [(3.0, 7.0)])
    # 1 s of work by 1 s, 1 s by 3 s, 1 s by 7 s, 1 s by 9 s; 2 W, then 0.5 W
    assert lab.run() == [(9.0, "ok")]
    assert job.joules[0] == pytest.approx(2.0 + 8.0 * 0.5)


@pytest.mark.parametrize("keeps", [True, False])
def test_a_level_may_change_while_the_node_is_out(keeps):
    lab = Lab(make_npu=Station, keeps=keeps)
    lab.spawn_at(0.0, Use(lab.npu, 4.0, 8.0))
    lab.spawn_at(6.0, Use(lab.npu, 2.0, 4.0))
    change(lab, 3.0, 2.0, 4.0)
    Outages(lab.world, lab.switch, [(2.0, 5.0)])
    kept = [(6.0, "ok"), (7.0, "ok")]
    assert lab.run() == (kept if keeps else [(2.0, "down"), (7.0, "ok")])


def test_a_training_is_slowed_too():
    lab = Lab(make_npu=partial(Station, can_train=True))
    lab.spawn_at(0.0, Train(lab.npu, 4.0, 8.0, steps=4))
    change(lab, 1.5, 0.5, 0.25)
    assert lab.run() == [(1.5 + 2.5 / 0.5, "ok")]


def test_a_battery_sees_the_change():
    lab = Powered(capacity_j=7.5, make_npu=Station)
    lab.spawn_at(2.0, Use(lab.npu, 2.0, 6.0))  # 3 W beside 0.75 W
    change(lab, 3.0, 0.5, 0.25, 0.5)
    # 6 J at 2 s, 2.25 J at 3 s, 1.875 J at 3.5 s, then 1.5 W for up to 2 s
    assert lab.run(20.0) == [(pytest.approx(3.5 + 1.875 / 1.5), True)]


@pytest.mark.parametrize(
    "level", [(0.0, 1.0, 0.0), (1.0, -1.0, 0.0), (1.0, 1.0, -1.0), (1.0, 1.0, float("nan"))]
)
def test_levels_that_cannot_be(level):
    lab = Lab(make_npu=Station)
    with pytest.raises(ValueError, match=r"expected a (speed|transition)"):
        lab.npu.go_over(*level)
