"""Outages by hand: who fails and when, what stands still, what is charged, what meters show."""

from __future__ import annotations

import numpy as np
import pytest
from labs import Lab

from ecsim.core.errors import Down
from ecsim.kernel import (
    After,
    All,
    Background,
    First,
    Ledger,
    MeterWindow,
    Node,
    Train,
    Travel,
    UniformJitter,
    Use,
    World,
    check_energy,
)
from ecsim.kernel.outages import NodeSwitch, Outages, Throttle
from ecsim.kernel.periods import drawn, sampler


def test_a_job_in_service_and_one_in_the_queue_end_when_the_outage_begins():
    lab = Lab()
    served = lab.spawn_at(0.0, Use(lab.npu, 4.0, 8.0))
    queued = lab.spawn_at(1.0, Use(lab.npu, 4.0, 8.0))
    Outages(lab.world, lab.switch, [(3.0, 5.0)])
    assert lab.run() == [(3.0, "down"), (3.0, "down")]
    assert (served.wait_s[0], served.service_s[0], served.joules[0]) == (0.0, 3.0, 6.0)
    assert (queued.wait_s[0], queued.service_s[0], queued.joules[0]) == (2.0, 0.0, 0.0)
    assert lab.npu.work_s == 3.0
    assert lab.npu.wait_s == 2.0


def test_arrivals_in_an_outage_fail_at_once_and_the_server_is_empty_afterwards():
    lab = Lab()
    lab.spawn_at(0.0, Use(lab.npu, 100.0, 8.0))
    during = lab.spawn_at(4.0, Use(lab.npu, 1.0, 2.0))
    lab.spawn_at(5.0, Use(lab.npu, 1.0, 2.0))  # at the very end: it works again
    lab.spawn_at(5.0, Use(lab.npu, 1.0, 2.0))
    Outages(lab.world, lab.switch, [(3.0, 5.0)])
    assert lab.run() == [(3.0, "down"), (4.0, "down"), (6.0, "ok"), (7.0, "ok")]
    assert during.joules[0] == during.service_s[0] == 0.0


def test_the_error_names_the_node_and_can_be_caught():
    lab = Lab()
    seen = []

    def flow():
        try:
            yield Use(lab.npu, 10.0, 1.0)
        except Down as error:
            seen.append((lab.world.now, error.node, str(error)))
        yield After(3.0)
        seen.append(lab.world.now)

    lab.world.spawn(flow(), Ledger(1))
    Outages(lab.world, lab.switch, [(2.0, 4.0)])
    lab.world.run()
    assert seen == [(2.0, "cam", "cam is down"), 5.0]


def test_without_anyone_to_hear_of_it_an_error_leaves_the_run():
    lab = Lab()
    lab.world.spawn(operation for operation in [Use(lab.npu, 10.0)])
    Outages(lab.world, lab.switch, [(2.0, 4.0)])
    with pytest.raises(Down) as caught:
        lab.world.run()
    assert "flow 1" in caught.value.__notes__[0]


def test_kept_jobs_stand_still_and_go_on():
    lab = Lab(n_servers=2, keeps=True)
    a = lab.spawn_at(0.0, Use(lab.npu, 4.0, 8.0))
    lab.spawn_at(0.0, Use(lab.npu, 6.0, 12.0))
    queued = lab.spawn_at(1.0, Use(lab.npu, 1.0, 2.0))
    during = lab.spawn_at(4.0, Use(lab.npu, 1.0, 2.0))
    Outages(lab.world, lab.switch, [(3.0, 5.0)])
    # a has 1 s left at 3 s, b 3 s; queued begins at 6 s, when a ends
    assert lab.run() == [(6.0, "ok"), (8.0, "ok"), (7.0, "ok"), (8.0, "ok")]
    assert (a.wait_s[0], a.service_s[0], a.joules[0]) == (2.0, 4.0, 8.0)
    assert queued.wait_s[0] == 5.0
    assert during.wait_s[0] == 3.0  # until 7 s
    assert lab.npu.wait_s == sum(ledger.wait_s[0] for ledger in lab.ledgers)


def test_meters_in_an_outage_show_down_and_no_idle_power():
    lab = Lab()
    lab.spawn_at(0.0, Use(lab.npu, 4.0, 8.0))
    Outages(lab.world, lab.switch, [(3.0, 5.0), (8.0, 100.0)])
    window = MeterWindow(lab.world)
    lab.world.run_until(1.0)
    window.open()
    lab.world.run_until(10.0)  # in the middle of an outage
    window.close()
    rows = {(r.component, r.state): (r.seconds, r.joules) for r in window.rows() if r.node == "cam"}
    assert rows["npu", "active"] == (2.0, 5.0)  # 4 J of the job, 1 J of idle power
    assert rows["npu", "down"] == (4.0, 0.0)
    assert rows["npu", "idle"] == (3.0, 1.5)
    assert rows["host", "idle"] == (5.0, 1.25)
    assert rows["transmitter", "down"] == (4.0, 0.0)


def test_meters_read_within_an_outage_see_kept_work_stand_still():
    lab = Lab(keeps=True)
    lab.spawn_at(0.0, Use(lab.npu, 4.0, 8.0))
    lab.spawn_at(0.0, Train(lab.host, 6.0, 12.0, steps=2))
    Outages(lab.world, lab.switch, [(1.0, 7.0)])
    for t, active_s, training_s in ((0.5, 0.5, 0.5), (3.0, 1.0, 1.0), (8.0, 2.0, 2.0)):
        lab.world.run_until(t)
        reading = lab.world.snapshot()
        assert reading[lab.npu.meter][0][0] == active_s
        assert reading[lab.npu.meter][1][0] == 2.0 * active_s
        assert reading[lab.host.meter][0][1] == training_s
    lab.run()


def test_overlapping_outages_last_until_the_last_of_them_ends():
    lab = Lab()
    lab.spawn_at(5.5, Use(lab.npu, 1.0))
    lab.spawn_at(6.0, Use(lab.npu, 1.0))
    Outages(lab.world, lab.switch, [(3.0, 6.0)])
    Outages(lab.world, lab.switch, [(4.0, 5.0)])
    assert lab.run() == [(5.5, "down"), (7.0, "ok")]
    assert lab.switch.n_outages == 1
    assert lab.switch.down_s == 3.0
    kept = Lab(keeps=True)
    kept.spawn_at(0.0, Use(kept.npu, 4.0, 8.0))
    Outages(kept.world, kept.switch, [(3.0, 5.0)])
    Outages(kept.world, kept.switch, [(4.0, 7.0)])
    assert kept.run() == [(8.0, "ok")]


def test_a_training_is_lost_and_its_energy_is_wasted():
    lab = Lab()
    ledger = lab.spawn_at(0.0, Train(lab.host, 6.0, 12.0, steps=3, stage=1))
    Outages(lab.world, lab.switch, [(3.0, 5.0)])  # one step of 2 s done, half of the next
    assert lab.run() == [(3.0, "down")]
    assert ledger.joules[1] == 0.0
    assert ledger.wasted_j == pytest.approx(6.0)
    assert ledger.wasted_s == pytest.approx(3.0)
    lab.spawn_at(1.0, Train(lab.host, 6.0, 12.0, steps=3))
    assert lab.run()[-1] == (lab.world.now, "ok")


@pytest.mark.parametrize("mode", ["idle_only", "offline"])
def test_other_modes_of_training_are_lost_too(mode):
    lab = Lab()
    busy = lab.spawn_at(0.0, Use(lab.host, 2.5, 5.0))
    training = Train(lab.host, 6.0, 12.0, steps=3, mode=mode, inference_engine=lab.npu, stage=1)
    ledger = lab.spawn_at(0.0, training)
    after = lab.spawn_at(5.0, Use(lab.npu, 1.0))
    Outages(lab.world, lab.switch, [(3.0, 5.0)])
    assert lab.run() == [(2.5, "ok"), (3.0, "down"), (6.0, "ok")]
    assert busy.joules[0] == 5.0
    assert ledger.wasted_j == pytest.approx(1.0)
    assert after.wait_s[0] == 0.0  # the block of an offline training is lifted


def test_a_training_that_starts_in_an_outage_fails_at_once():
    lab = Lab()
    lab.spawn_at(4.0, Train(lab.host, 6.0, 12.0))
    Outages(lab.world, lab.switch, [(3.0, 5.0)])
    assert lab.run() == [(4.0, "down")]


def test_messages_that_a_node_has_not_sent_are_lost_with_it():
    lab = Lab()
    sending = lab.spawn_at(0.0, Travel(lab.up, 4000.0, 2))  # serialised from 0 to 4 s
    queued = lab.spawn_at(1.0, Travel(lab.up, 1000.0, 2))
    Outages(lab.world, lab.switch, [(3.0, 5.0)])
    door = lab.spawn_at(4.0, Travel(lab.up, 1000.0, 2))
    lab.spawn_at(5.0, Travel(lab.up, 1000.0, 2))
    assert lab.run() == [(3.0, "down"), (3.0, "down"), (4.0, "down"), (6.5, "ok")]
    assert (sending.service_s[2], sending.joules[2], sending.propagation_s) == (3.0, 3.0, 0.0)
    assert (queued.wait_s[2], queued.service_s[2], queued.bytes[2]) == (2.0, 0.0, 1000.0)
    assert door.bytes[2] == 0.0  # a link that is down takes no byte


def test_a_message_that_has_left_a_node_arrives_and_one_towards_it_is_lost():
    lab = Lab()
    lab.spawn_at(0.0, Travel(lab.up, 1000.0))  # propagates from 1.0 to 1.5 s
    towards = lab.spawn_at(0.0, Travel(lab.down, 1000.0))
    Outages(lab.world, lab.switch, [(1.2, 5.0)])
    assert lab.run() == [(1.5, "ok"), (1.2, "down")]
    assert towards.service_s[0] == 1.0
    assert towards.propagation_s == pytest.approx(0.2)


def test_a_node_on_the_way_loses_what_it_relays():
    lab = Lab()
    route = lab.topology.route("cam", "other")
    ledger = lab.spawn_at(0.0, Travel(route, 1000.0))  # at the cloud from 1.5 s
    Outages(lab.world, lab.cloud_switch, [(2.0, 9.0)])
    assert lab.run() == [(2.0, "down")]
    assert ledger.service_s[0] == 1.5
    lab.spawn_at(0.0, Travel(route, 1000.0))
    lab2 = Lab()
    lab2.spawn_at(0.0, Travel(lab2.topology.route("cam", "other"), 1000.0))
    Outages(lab2.world, lab2.cloud_switch, [(1.4, 1.6)])  # on its last 0.1 s towards the cloud
    assert lab2.run() == [(1.4, "down")]


def test_a_link_that_goes_out_loses_what_is_on_it():
    lab = Lab()
    lab.spawn_at(0.0, Travel(lab.up, 4000.0))
    lab.spawn_at(0.0, Travel(lab.down, 1000.0))  # propagates from 1.0 to 1.5 s
    lab.spawn_at(4.0, Travel(lab.up, 1000.0))
    lab.spawn_at(5.0, Travel(lab.up, 1000.0))
    lab.spawn_at(2.0, Use(lab.npu, 2.0))
    Outages(lab.world, lab.link_switch, [(1.2, 5.0)])
    assert lab.run() == [(1.2, "down"), (1.2, "down"), (4.0, "down"), (6.5, "ok"), (4.0, "ok")]
    error = lab.ends[0][1]
    assert (error.node, str(error)) == ("", "wifi is down")


def test_kept_messages_stand_still_on_a_link():
    lab = Lab(keeps_link=True)
    first = lab.spawn_at(0.0, Travel(lab.up, 4000.0))
    second = lab.spawn_at(0.0, Travel(lab.up, 1000.0))
    lab.spawn_at(0.0, Travel(lab.down, 1000.0))  # its last bit is sent
    third = lab.spawn_at(2.0, Travel(lab.up, 1000.0))
    Outages(lab.world, lab.link_switch, [(1.2, 5.2)])
    lab.world.run_until(3.0)
    assert lab.world.snapshot()[lab.cam.transmitter][0][0] == pytest.approx(1.2)
    ends = lab.run()
    assert ends[0] == (8.5, "ok")
    assert ends[1] == (9.5, "ok")
    assert ends[2] == (1.5, "ok")
    assert ends[3] == (10.5, "ok")
    assert (first.wait_s[0], first.service_s[0]) == (4.0, 4.0)
    assert second.wait_s[0] == pytest.approx(8.0)
    assert third.wait_s[0] == pytest.approx(7.0)


def test_branches_of_joins_fall_with_what_they_use():
    lab = Lab()
    caught = []

    def flow():
        try:
            yield All(Use(lab.npu, 9.0, 9.0), Use(lab.gpu, 9.0, 9.0))
        except Down:
            caught.append(lab.world.now)
        index, _ = yield First(Use(lab.gpu, 1.0, 1.0), After(99.0))
        caught.append((lab.world.now, index))

    lab.ledgers.append(ledger := Ledger(1))
    lab.world.spawn(flow(), ledger)
    Outages(lab.world, lab.switch, [(2.0, 4.0)])
    lab.run()
    assert caught == [2.0, (10.0, 0)]  # abandoned work on the cloud's engine still runs
    assert ledger.wasted_j == 9.0


def test_a_branch_that_is_refused_at_the_door_ends_its_join():
    lab = Lab()
    caught = []

    def flow():
        yield After(3.0)
        try:
            yield All(Use(lab.gpu, 9.0, 9.0), Use(lab.npu, 9.0, 9.0), Use(lab.gpu, 1.0, 1.0))
        except Down:
            caught.append(lab.world.now)
        yield After(50.0)
        caught.append(lab.world.now)

    lab.ledgers.append(Ledger(1))
    lab.world.spawn(flow(), lab.ledgers[0])
    Outages(lab.world, lab.switch, [(2.0, 4.0)])
    lab.run()
    assert caught == [3.0, 53.0]
    assert lab.ledgers[0].total_j == 9.0


def test_abandoned_work_is_cut_too_before_and_after_its_row_is_written():
    for closes in (False, True):
        lab = Lab()

        def flow(lab=lab):
            yield First(Use(lab.npu, 9.0, 9.0), After(1.0))
            yield After(0.5)

        lab.ledgers.append(ledger := Ledger(1))
        lab.world.spawn(flow(), ledger)
        lab.world.run_until(1.7)
        ledger.is_closed = closes
        Outages(lab.world, lab.switch, [(2.0, 4.0)])
        lab.run()
        assert ledger.wasted_j == pytest.approx(9.0 if closes else 2.0)
        assert lab.world.unowned_j == pytest.approx(-7.0 if closes else 0.0)
        assert sum(lab.npu.meter.booked()[1]) == pytest.approx(2.0)


def test_other_tenants_lose_their_jobs_or_wait():
    for keeps in (False, True):
        lab = Lab(keeps=keeps)
        background = Background(lab.gpu, 2.0, 0.4, 10.0, np.random.default_rng(3))
        Outages(lab.world, lab.cloud_switch, [(50.0, 60.0), (70.0, 71.0)])
        window = MeterWindow(lab.world)
        window.open()
        for t in (30.0, 55.0, 70.5, 300.0):
            lab.world.run_until(t)
            seconds, joules = (part[2] for part in lab.world.snapshot()[lab.gpu.meter])
            assert joules == pytest.approx(10.0 * seconds)
        window.close()
        rows = {row.state: row.seconds for row in window.rows() if row.component == "gpu"}
        assert rows["down"] == pytest.approx(11.0)
        assert sum(rows.values()) == pytest.approx(300.0)
        check_energy(lab.world, 0.0)
        assert background.n_jobs > 400


def test_a_brown_out_slows_what_runs_and_what_comes():
    lab = Lab()
    running = lab.spawn_at(0.0, Use(lab.npu, 4.0, 8.0))
    queued = lab.spawn_at(1.0, Use(lab.npu, 2.0, 4.0))
    come = lab.spawn_at(3.0, Use(lab.host, 1.0, 2.0))
    lab.spawn_at(3.0, Train(lab.host, 4.0, 8.0, steps=2))
    Outages(lab.world, Throttle(lab.world, [lab.npu, lab.host], 0.5), [(2.0, 6.0)])
    lab.world.run_until(4.0)  # half of the queued job's wait is over
    assert lab.world.snapshot()[lab.npu.meter][0][0] == 4.0
    assert lab.world.snapshot()[lab.npu.meter][1][0] == 8.0
    ends = lab.run()
    # running: 2 s done at 2 s, 2 s left take 4 s -> 6 s; queued then runs at full speed
    # host: 1 s takes 2 s (3..5); step 1 runs from 5 s, half of 2 s... 0.5 s done at 6 s
    assert ends == [(6.0, "ok"), (8.0, "ok"), (5.0, "ok"), (9.5, "ok")]
    assert (running.service_s[0], running.joules[0]) == (6.0, 12.0)
    assert (queued.wait_s[0], queued.service_s[0]) == (5.0, 2.0)
    assert (come.service_s[0], come.joules[0]) == (2.0, 4.0)


def test_brown_outs_of_other_tenants_keep_the_books():
    lab = Lab()
    Background(lab.gpu, 2.0, 0.2, 10.0, np.random.default_rng(3))
    Outages(lab.world, Throttle(lab.world, [lab.gpu], 0.5), [(50.0, 150.0)])
    readings = []
    for t in (50.0, 150.0, 250.0):
        lab.world.run_until(t)
        readings.append(lab.world.snapshot()[lab.gpu.meter][0][2])
    check_energy(lab.world, 0.0)
    assert readings[1] - readings[0] > 1.6 * (readings[2] - readings[1])  # twice, up to noise


def test_periods_must_follow_each_other():
    world = World()
    with pytest.raises(ValueError, match="expected an outage after"):
        Outages(world, NodeSwitch(world, Node(world, "a", "edge", {})), [(5.0, 4.0)])
    with pytest.raises(ValueError, match="expected an outage after"):
        Outages(world, NodeSwitch(world, Node(world, "a", "edge", {})), [(float("nan"), 4.0)])
    Outages(world, NodeSwitch(world, Node(world, "a", "edge", {})), [(1.0, 2.0), (1.5, 3.0)])
    with pytest.raises(ValueError, match=r"expected an outage after 2\.0 s, got 1\.5 s to 3\.0 s"):
        world.run()


def test_no_outage_begins_after_the_horizon():
    lab = Lab()
    lab.spawn_at(9.0, Use(lab.npu, 100.0))
    Outages(lab.world, lab.switch, drawn(lambda: 5.0, lambda: 1.0), before_s=10.0)
    assert lab.run() == [(109.0, "ok")]
    assert lab.switch.n_outages == 1


def test_drawn_times_have_the_mean_they_are_given():
    for name, shape in (("exponential", 1.0), ("weibull", 0.7), ("weibull", 3.0)):
        draw = sampler(np.random.default_rng(1), 20.0, name, shape)
        times = np.array([draw() for _ in range(20_000)])
        # 6 standard errors: false alarm below 1e-8
        assert abs(times.mean() - 20.0) < 6.0 * times.std() / len(times) ** 0.5
    assert sampler(np.random.default_rng(1), 20.0, "deterministic")() == 20.0
    with pytest.raises(ValueError, match="unknown distribution"):
        sampler(np.random.default_rng(1), 20.0, "gauss")
    for mean_s in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="expected a mean"):
            sampler(np.random.default_rng(1), mean_s)


@pytest.mark.parametrize("loses", [{}, {"jitter": UniformJitter(0.0, 0.0)}])
def test_a_message_that_stands_still_is_lost_for_what_was_sent(loses):
    """The link is out from 1.2 s, one of its ends from 2 s; a link with a line, and without."""
    lab = Lab(keeps_link=True, **loses)
    sent = lab.spawn_at(0.0, Travel(lab.up, 4000.0))
    queued = lab.spawn_at(0.0, Travel(lab.up, 1000.0))
    later = lab.spawn_at(3.5, Travel(lab.up, 1000.0))
    Outages(lab.world, lab.link_switch, [(1.2, 5.2)])
    Outages(lab.world, lab.switch, [(2.0, 3.0)])
    assert lab.run() == [(2.0, "down"), (2.0, "down"), (pytest.approx(6.7), "ok")]
    assert (sent.wait_s[0], sent.service_s[0]) == (pytest.approx(0.8), pytest.approx(1.2))
    assert (queued.wait_s[0], queued.service_s[0]) == (pytest.approx(2.0), 0.0)
    assert later.wait_s[0] == pytest.approx(1.7)  # the link is still out until 5.2 s


def test_a_brown_out_of_a_node_that_stands_still():
    lab = Lab(keeps=True)
    job = lab.spawn_at(0.0, Use(lab.npu, 2.0, 4.0))
    lab.spawn_at(0.0, Train(lab.host, 2.0, 4.0))
    lab.spawn_at(0.0, Use(lab.npu, 1.0, 2.0))
    Outages(lab.world, lab.switch, [(1.0, 5.0)])
    Outages(lab.world, Throttle(lab.world, [lab.npu, lab.host], 0.5), [(3.0, 7.5)])
    # 1 s left of each at 5 s: 2 s; the queued one has 0.25 s done by 7.5 s
    assert lab.run() == [(7.0, "ok"), (7.0, "ok"), (8.25, "ok")]
    assert (job.wait_s[0], job.service_s[0], job.joules[0]) == (4.0, 3.0, 6.0)
