"""Batteries where the end of a service is not known: engines with events, media that are shared.

cam idles at 0.75 W in all; unless a test says otherwise it has 7.5 J, so 6 J at 2 s.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from labs import Powered

from ecsim.kernel import (
    Background,
    Batcher,
    Link,
    Node,
    RadioCard,
    RankedUse,
    Ranks,
    SharingServer,
    Station,
    Topology,
    Train,
    Travel,
    Use,
    WorkClock,
    World,
    check_energy,
)
from ecsim.kernel.batching import curve
from ecsim.kernel.battery import Battery
from ecsim.kernel.charger import Charger
from ecsim.kernel.outages import NodeSwitch, Outages, Throttle

PREEMPTIVE = partial(Station, preempts=True)
BATCHER = partial(
    Batcher, max_size=2, latency=curve([(1, 1.0), (2, 1.5)]), energy=curve([(1, 1.0), (2, 2.0)])
)


def powered(make_npu, **options):
    return Powered(**{"capacity_j": 7.5, "make_npu": make_npu} | options)


def test_an_interruption_changes_the_power():
    lab = powered(PREEMPTIVE)
    low = RankedUse(lab.npu, 4.0, 12.0, rank=1)
    lab.spawn_at(2.0, low)
    lab.spawn_at(3.0, Use(lab.npu, 1.0, 6.0))
    # 2.25 J are left at 3 s; then 6.75 W
    empty_s = 3.0 + 2.25 / 6.75
    assert lab.run(20.0) == [(pytest.approx(empty_s), True)]
    assert lab.outcomes == [(pytest.approx(empty_s), "down")] * 2
    assert low.joules == pytest.approx(3.0)
    lab.world.run()
    lab.check()


def test_an_interrupted_job_goes_on():
    lab = powered(PREEMPTIVE)
    lab.spawn_at(2.0, RankedUse(lab.npu, 1.0, 3.0, rank=1))
    lab.spawn_at(2.5, Use(lab.npu, 0.25, 0.5))
    # 3.5 J beside idle power, all before it is empty
    assert lab.run(999.0) == [(pytest.approx(4.0 / 0.75), True)]
    assert lab.outcomes == [(3.25, "ok"), (2.75, "ok")]


def test_several_units_draw_at_once():
    lab = powered(Station, link={}, n_servers=2)
    for _ in range(3):
        lab.spawn_at(2.0, Use(lab.npu, 2.0, 6.0))
    assert lab.run(20.0) == [(pytest.approx(2.0 + 6.0 / 6.75), True)]
    assert [how for _, how in lab.outcomes] == ["down"] * 3


def test_jobs_that_share_an_engine_draw_for_their_parts():
    lab = powered(SharingServer)
    lab.spawn_at(2.0, Use(lab.npu, 2.0, 6.0))  # 3 W
    lab.spawn_at(2.0, Use(lab.npu, 1.0, 1.0))  # 1 W
    # 2 W together until 4 s, when the short one ends: 0.5 J left, then 3.75 W
    assert lab.run(20.0) == [(pytest.approx(4.0 + 0.5 / 3.75), True)]
    assert lab.outcomes == [(pytest.approx(4.0 + 0.5 / 3.75), "down"), (4.0, "ok")]


def test_a_batch_draws_its_own_energy():
    lab = powered(BATCHER)
    lab.spawn_at(2.0, Use(lab.npu, 2.0, 6.0))
    lab.spawn_at(2.0, Use(lab.npu, 2.0, 6.0))
    # the first goes alone at 3 W (no time-out), until the battery is empty
    assert lab.run(20.0) == [(pytest.approx(3.6), True)]
    lab = powered(partial(BATCHER, timeout_s=1.0))
    lab.spawn_at(2.0, Use(lab.npu, 2.0, 6.0))
    lab.spawn_at(2.4, Use(lab.npu, 2.0, 6.0))
    # 5.7 J at 2.4 s; a batch of two: 12 J in 3 s
    assert lab.run(20.0) == [(pytest.approx(2.4 + 5.7 / 4.75), True)]


def test_energy_that_an_engine_draws_in_no_time():
    lab = powered(Station)
    lab.spawn_at(2.0, Use(lab.npu, 0.0, 7.0))
    lab.run(20.0)
    assert lab.downs == [(2.0, True)]
    assert lab.battery.charge_j == pytest.approx(-1.0)
    lab = powered(Station)
    lab.spawn_at(2.0, Use(lab.npu, 1.0, 0.5), Use(lab.npu, 0.0, 3.0))
    assert lab.run(20.0) == [(pytest.approx(4.0 / 0.75), True)]


def test_a_training_shares_an_engine_and_is_lost():
    lab = powered(partial(Station, ranks=Ranks(training=1), can_train=True))
    lab.spawn_at(2.0, Train(lab.npu, 4.0, 8.0, steps=4))  # 2 W
    lab.spawn_at(2.5, Use(lab.npu, 0.5, 2.5))  # served from 3.0 to 3.5 s at 5 W
    # 6 - 2.75 = 3.25 J at 3 s; 0.375 J at 3.5 s
    assert lab.run(20.0) == [(pytest.approx(3.5 + 0.375 / 2.75), True)]
    assert [how for _, how in lab.outcomes] == ["down", "ok"]
    assert lab.ledgers[0].wasted_j == pytest.approx(2.0 * (1.0 + 0.375 / 2.75))


def test_a_change_of_speed_changes_the_power():
    lab = powered(Station)
    lab.spawn_at(2.0, Use(lab.npu, 2.0, 2.0))  # 1 W, 2 s
    Outages(lab.world, Throttle(lab.world, [lab.npu], 0.5), [(3.0, 99.0)])
    # at its power for 3 s in all: 3 J
    assert lab.run(999.0) == [(pytest.approx((7.5 - 3.0) / 0.75), True)]


def test_work_that_an_outage_ends_is_drawn_up_to_then():
    lab = powered(PREEMPTIVE)
    lab.spawn_at(1.0, Use(lab.npu, 4.0, 4.0))
    Outages(lab.world, lab.switch, [(2.0, 5.0)])
    assert lab.run(999.0) == [
        (2.0, True), (5.0, False), (pytest.approx(5.0 + (7.5 - 1.0 - 1.5) / 0.75), True),
    ]  # fmt: skip


@pytest.mark.parametrize("make_npu", [Station, PREEMPTIVE, SharingServer])
def test_other_tenants_draw_from_it(make_npu):
    """The moment it is empty, found by adding up busy periods; a queue's order changes nothing."""
    lab = powered(make_npu, capacity_j=60.0)
    Background(lab.npu, 2.0, 0.3, 2.0, np.random.default_rng(8))
    lab.run(100.0)
    rng = np.random.default_rng(8)
    begins = np.cumsum(rng.exponential(0.5, 4096))
    services = rng.exponential(0.3, 4096)
    left_j, now, busy_until = 60.0, 0.0, 0.0
    for begin, seconds in zip(begins, services, strict=True):
        for until, watts in ((min(busy_until, begin), 2.75), (begin, 0.75)):
            if until > now and left_j > 0.0:
                length = min(until - now, left_j / watts)
                left_j -= length * watts
                now += length
        if left_j <= 0.0:
            break
        busy_until = max(busy_until, begin) + seconds
    assert lab.downs == [(pytest.approx(now, rel=1e-12), True)]


def test_with_a_horizon_a_world_with_other_tenants_gets_idle():
    lab = powered(Station, capacity_j=60.0, before_s=5.0)
    Background(lab.npu, 2.0, 0.3, 2.0, np.random.default_rng(8))
    lab.spawn_at(1.0, Use(lab.npu, 1.0, 2.0))
    lab.world.run()
    lab.check()
    assert lab.downs == []
    assert 5.0 <= lab.world.now < 20.0


def test_an_empty_node_with_other_tenants_comes_back():
    lab = powered(Station, charger=Charger(3.0, windows=((20.0, 90.0),)), restart_j=6.0)
    Background(lab.npu, 2.0, 0.3, 2.0, np.random.default_rng(8))
    lab.spawn_at(25.0, Use(lab.npu, 1.0, 0.5))
    lab.run(30.0)
    # what it is charged with: 6 J in 2 s (less a debt there is not)
    assert lab.downs[1] == (pytest.approx(22.0), False)
    assert lab.outcomes[0][1] == "ok"


def test_messages_that_share_a_medium_draw_for_their_airtime():
    lab = Powered(capacity_j=8.0, link={"shared": True, "sharing": True})
    lab.spawn_at(1.0, Travel(lab.up, 4000.0))  # 4 s alone, at 1 W
    lab.spawn_at(2.0, Travel(lab.topology.route("other", "cloud"), 2000.0))
    # 1.75 W for 1 s; then both until the other ends at 6 s: 1.25 W; then 1.75 W again
    empty_s = 6.0 + (8.0 - 0.75 - 1.75 - 5.0) / 1.75
    assert lab.run(20.0) == [(pytest.approx(empty_s), True)]
    assert lab.outcomes == [(pytest.approx(empty_s), "down"), (6.5, "ok")]
    lab.world.run()
    lab.check()


def test_both_directions_of_a_cell_draw():
    cell = {"shared": True, "sharing": True, "half_duplex": True}
    lab = Powered(capacity_j=7.5, link=cell)
    lab.spawn_at(1.0, Travel(lab.up, 1000.0))
    lab.spawn_at(1.0, Travel(lab.down, 1000.0))
    # 1 J and 0.5 J in all, whatever the order
    assert lab.run(999.0) == [(pytest.approx(6.0 / 0.75), True)]
    lab = Powered(capacity_j=7.5, link={"half_duplex": True})
    lab.spawn_at(8.0, Travel(lab.up, 1000.0))
    lab.spawn_at(8.0, Travel(lab.down, 1000.0))  # from 9 s on, at 0.5 W
    # 1.5 J at 8 s: empty while it sends
    assert lab.run(999.0) == [(pytest.approx(8.0 + 1.5 / 1.75), True)]
    lab = Powered(capacity_j=8.5, link={"half_duplex": True})
    lab.spawn_at(8.0, Travel(lab.up, 1000.0))
    lab.spawn_at(8.0, Travel(lab.down, 1000.0))
    assert lab.run(999.0) == [(pytest.approx(9.0 + 0.75 / 1.25), True)]


def test_a_radio_on_a_shared_medium_has_its_tail_after_the_last_message():
    card = RadioCard(promotion_s=0.5, promotion_w=2.0, tail_s=2.0, tail_w=0.75)
    lab = Powered(capacity_j=7.5, link={"shared": True, "sharing": True, "radio": card})
    lab.spawn_at(1.0, Travel(lab.up, 1000.0))
    lab.spawn_at(1.6, Travel(lab.up, 1000.0))
    # promotion 1 J, two messages 2 J, idle power 2.625 J until 3.5 s; then 1.5 W with the tail
    assert lab.run(999.0) == [(pytest.approx(3.5 + 1.875 / 1.5), True)]


@pytest.mark.parametrize("sharing", [False, True])
def test_energy_per_bit_follows_the_rate(sharing):
    """8 kbit/s until 3 s, then 2 kbit/s: 1 mJ per byte and no power of its own."""
    clock = WorkClock([0.0, 3.0], [8e3, 2e3])
    link = {"up_clock": clock, "near_tx_j_per_bit": 1e-3 / 8, "near_tx_w": 0.0, "sharing": sharing}
    lab = Powered(capacity_j=7.5, link=link)
    lab.spawn_at(2.0, Travel(lab.up, 5000.0))
    # 6 J at 2 s, 1.75 W until 3 s, then 1 W
    assert lab.run(999.0) == [(pytest.approx(3.0 + 4.25), True)]


@pytest.mark.parametrize("seed", range(6))
def test_random_worlds_agree_with_their_meters(seed):
    """Whatever the engines and media, the charge is what the meters say, at every moment."""
    rng = np.random.default_rng(seed)
    kinds = [
        Station, PREEMPTIVE, partial(Station, capacity=2), SharingServer,
        partial(BATCHER, timeout_s=0.5),
    ]  # fmt: skip
    link = {
        "shared": bool(seed % 2), "sharing": seed % 3 > 0, "half_duplex": bool(rng.random() < 0.5),
        "radio": RadioCard(0.3, 1.0, 0.7, 0.4) if seed % 2 else None,
    }  # fmt: skip
    lab = Powered(
        capacity_j=30.0, make_npu=kinds[seed % len(kinds)], link=link, n_servers=1 + seed % 2
    )
    Background(lab.npu, 0.5, 0.3, 1.0, rng)
    Outages(lab.world, Throttle(lab.world, [lab.npu], 0.5), [(4.0, 8.0)])
    Outages(lab.world, lab.switch, [(3.0, 5.0), (9.0, 10.0)])
    for _ in range(40):
        t, seconds, joules = rng.uniform(0.0, 20.0), rng.exponential(0.4), rng.exponential(0.3)
        way = lab.up if rng.random() < 0.5 else lab.down
        lab.spawn_at(t, Use(lab.npu, seconds, joules), Travel(way, rng.uniform(0.0, 800.0)))
    for t in np.sort(rng.uniform(0.0, 60.0, 30)):
        lab.run(float(t))
    assert lab.battery.n_depleted == 1
    assert lab.battery.charge_j == pytest.approx(0.0, abs=1e-9)


def test_two_engines_and_a_relay():
    """A node between draws for what it passes on, on both of its shared media."""
    world = World()
    topology = Topology(world)
    for name in ("a", "b", "c"):
        topology.add_node(Node(world, name, "edge", {}))
    topology.connect(["a"], "b", Link("ab", 8e3, 8e3, near_tx_w=1.0, far_rx_w=0.5, sharing=True))
    topology.connect(["b"], "c", Link("bc", 8e3, 8e3, near_tx_w=2.0, far_rx_w=0.5, sharing=True))
    middle = topology.nodes["b"]
    switch = NodeSwitch(world, middle)
    battery = Battery(world, middle, switch, 1.75, before_s=99.0)
    world.spawn((op for op in [Travel(topology.route("a", "c"), 1000.0)]), None, lambda flow: None)
    # 0.5 J to receive it by 1 s; 1.25 J at 2 W
    world.run_until(50.0)
    battery.check()
    assert switch.is_down
    assert battery.n_depleted == 1
    assert switch.down_s == pytest.approx(50.0 - 1.625)
    check_energy(world, 0.0)
