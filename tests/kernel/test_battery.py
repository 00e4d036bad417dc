"""Batteries by hand: when they run empty, when they come back, and where the energy went."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from labs import Powered

from ecsim.kernel import (
    Background,
    Engine,
    Node,
    RadioCard,
    Train,
    Travel,
    Use,
    World,
)
from ecsim.kernel.battery import Battery
from ecsim.kernel.charger import Charger
from ecsim.kernel.outages import LinkSwitch, NodeSwitch, Outages, Throttle


def test_idle_power_alone_empties_it():
    lab = Powered(capacity_j=7.5)
    assert lab.run(999.0) == [(10.0, True)]
    assert lab.battery.charge_j == pytest.approx(0.0, abs=1e-12)
    assert lab.battery.out_j == pytest.approx(7.5)
    assert lab.battery.n_depleted == 1


def test_services_bring_it_forward():
    lab = Powered(capacity_j=7.5)
    # 6 J are left at 2 s; then 3 W on top of 0.75 W
    lab.spawn_at(2.0, Use(lab.npu, 2.0, 6.0))
    assert lab.run(999.0) == [(pytest.approx(3.6), True)]  # within the service
    lab = Powered(capacity_j=7.5)
    lab.spawn_at(2.0, Use(lab.npu, 0.2, 0.6))
    assert lab.run(999.0) == [(pytest.approx(9.2), True)]


def test_what_was_held_falls_at_the_moment_of_depletion():
    lab = Powered(capacity_j=9.0)
    served = lab.spawn_at(2.0, Use(lab.npu, 4.0, 12.0))  # 7.5 J are left at 2 s; 3.75 W
    lab.spawn_at(2.0, Use(lab.npu, 4.0, 12.0))
    lab.spawn_at(3.0, Train(lab.host, 0.5, 1.0, steps=5))
    lab.spawn_at(5.0, Use(lab.npu, 1.0, 1.0))
    # 3.75 J at 3 s, then 5.75 W for 0.5 s: 0.875 J at 3.5 s
    empty_s = 3.5 + 0.875 / 3.75
    lab.run(20.0)
    assert lab.downs == [(pytest.approx(empty_s), True)]
    ends = [(pytest.approx(t), how) for t, how in lab.outcomes]
    assert ends == [(empty_s, "down"), (empty_s, "down"), (3.5, "ok"), (5.0, "down")]
    assert served.joules[0] == pytest.approx(3.0 * (empty_s - 2.0))
    assert lab.world.snapshot()[lab.npu.meter][1][0] == pytest.approx(3.0 * (empty_s - 2.0))


def test_transfers_draw_from_it():
    lab = Powered(capacity_j=7.5)
    up, down = lab.topology.route("cam", "cloud"), lab.topology.route("cloud", "cam")
    lab.spawn_at(1.0, Travel(up, 1500.0))  # 1.5 s at 1 W
    lab.spawn_at(1.0, Travel(down, 500.0))  # 0.5 s at 0.5 W
    assert lab.run(999.0) == [(pytest.approx(10.0 - (1.5 + 0.25) / 0.75), True)]
    lab = Powered(capacity_j=7.5)
    lab.spawn_at(9.0, Travel(up := lab.topology.route("cam", "cloud"), 1000.0))
    lab.spawn_at(9.0, Travel(up, 1000.0))
    assert lab.run(999.0) == [(pytest.approx(9.0 + 0.75 / 1.75), True)]
    assert [how for _, how in lab.outcomes] == ["down", "down"]


def test_promotion_and_tail_of_a_radio_draw_from_it():
    card = RadioCard(promotion_s=0.5, promotion_w=2.0, tail_s=2.0, tail_w=0.75)
    lab = Powered(capacity_j=7.5, link={"radio": card})
    lab.spawn_at(1.0, Travel(lab.topology.route("cam", "cloud"), 1000.0))
    # promotion 1 J, transfer 1 J, tail 1.5 J
    assert lab.run(999.0) == [(pytest.approx(10.0 - 3.5 / 0.75), True)]
    lab = Powered(capacity_j=7.5, link={"radio": card})
    lab.spawn_at(5.0, Travel(lab.topology.route("cam", "cloud"), 1000.0))
    # 3.75 J left at 5 s; until 6.5 s 1 + 1 + 1.125 J; 0.625 J at 1.5 W
    assert lab.run(999.0) == [(pytest.approx(6.5 + 0.625 / 1.5), True)]


def test_a_lump_of_energy_can_empty_it():
    lab = Powered(capacity_j=7.5)
    lab.spawn_at(2.0, Use(lab.npu, 0.0, 7.0))
    lab.run(20.0)
    assert lab.downs == [(2.0, True)]
    assert lab.battery.charge_j == pytest.approx(-1.0)  # a debt
    lab = Powered(capacity_j=7.5)
    lab.spawn_at(2.0, Use(lab.npu, 1.0, 0.5), Use(lab.npu, 0.0, 3.0))
    assert lab.run(20.0) == [(pytest.approx(4.0 / 0.75), True)]


def test_charging_windows_put_it_off_and_a_full_battery_takes_no_more():
    lab = Powered(capacity_j=7.5, charger=Charger(2.75, windows=((4.0, 10.0), (12.0, 13.0))))
    # 4.5 J at 4 s; + 2 W: full at 5.5 s; 7.5 J at 10 s; 6 J at 12 s; full at 12.75 s
    assert lab.run(999.0) == [(pytest.approx(13.0 + 10.0), True)]
    assert lab.battery.in_j == pytest.approx(1.5 * 2.75 + 4.5 * 0.75 + 0.75 * 2.75 + 0.25 * 0.75)


def test_an_empty_node_comes_back_at_the_restart_level():
    charger = Charger(1.0, at_s=5.0, every_s=20.0, for_s=2.0)
    lab = Powered(capacity_j=7.5, charge_j=3.0, restart_j=3.5, charger=charger)
    lab.spawn_at(10.0, Use(lab.npu, 1.0))
    lab.spawn_at(46.0, Use(lab.npu, 1.0))
    lab.run(60.0)
    # 3 J last for 4 s; 2 J each at 5..7 and 25..27 s: restart at 26.5 s with 3.5 J;
    # 0.25 W up to 27 s; 3.625 J last until 31.8333 s; then 2 J at 45..47, restart at 66.5 s
    assert lab.downs[:3] == [
        (4.0, True),
        (26.5, False),
        (pytest.approx(27.0 + 3.625 / 0.75), True),
    ]
    assert len(lab.downs) == 3
    assert lab.outcomes[0] == (10.0, "down")
    assert lab.battery.n_depleted == 2
    reading = lab.world.snapshot()[lab.npu.meter][0]
    assert reading[3] == pytest.approx(22.5 + 60.0 - lab.downs[2][0])


def test_a_cut_off_above_zero_is_where_it_stops():
    lab = Powered(capacity_j=10.0, cut_off_j=2.5, restart_j=3.0)
    assert lab.run(999.0) == [(10.0, True)]
    assert lab.battery.charge_j == pytest.approx(2.5)


def test_an_outage_saves_energy():
    lab = Powered(capacity_j=7.5)
    Outages(lab.world, lab.switch, [(2.0, 5.0)])
    assert lab.run(999.0) == [(2.0, True), (5.0, False), (13.0, True)]


def test_an_outage_over_depletion_ends_when_both_have():
    charger = Charger(1.0, windows=((20.0, 30.0),))
    lab = Powered(capacity_j=7.5, restart_j=4.0, charger=charger)
    Outages(lab.world, lab.switch, [(12.0, 22.0)])  # empty from 10 s, charged at 24 s
    lab.world.run_until(40.0)
    assert lab.downs[0] == (10.0, True)
    assert (24.0, False) in lab.downs
    other = Powered(capacity_j=7.5, restart_j=4.0, charger=charger)
    Outages(other.world, other.switch, [(12.0, 26.0)])
    other.run(40.0)
    assert (26.0, False) in other.downs
    assert (24.0, False) not in other.downs


def test_a_brown_out_draws_for_longer():
    lab = Powered(capacity_j=7.5)
    lab.spawn_at(2.0, Use(lab.npu, 0.5, 1.5))
    Outages(lab.world, Throttle(lab.world, [lab.npu], 0.5), [(2.25, 9.0)])
    # 0.25 s done, the other 0.25 s takes 0.5 s: 0.75 s at 3 W more
    assert lab.run(999.0) == [(pytest.approx(7.0), True)]


def test_nothing_happens_after_the_horizon():
    lab = Powered(capacity_j=7.5, before_s=8.0)
    lab.spawn_at(6.0, Use(lab.npu, 50.0, 1.0))
    lab.world.run_until(8.0)
    lab.battery.check()
    lab.world.run()
    assert lab.ends == [(56.0, "ok")]
    assert lab.downs == []


def test_windows_of_charging():
    periodic = Charger(1.0, at_s=5.0, every_s=10.0, for_s=2.0).after(6.5)
    assert [next(periodic) for _ in range(3)] == [(5.0, 7.0), (15.0, 17.0), (25.0, 27.0)]
    assert next(Charger(1.0, at_s=5.0, every_s=10.0, for_s=2.0).after(7.0)) == (15.0, 17.0)
    assert list(Charger(1.0).after(7.0)) == [(0.0, inf)]
    assert list(Charger(1.0, windows=((1.0, 2.0), (3.0, 4.0))).after(2.0)) == [(3.0, 4.0)]


@pytest.mark.parametrize(
    "levels",
    [
        {"capacity_j": 0.0},
        {"capacity_j": float("nan")},
        {"capacity_j": 5.0, "charge_j": 6.0},
        {"capacity_j": 5.0, "cut_off_j": 5.0},
        {"capacity_j": 5.0, "cut_off_j": 1.0, "restart_j": 1.0},
        {"capacity_j": 5.0, "cut_off_j": -1.0},
    ],
)
def test_levels_must_be_in_order(levels):
    with pytest.raises(ValueError, match="expected a cut-off below"):
        Powered(**levels)


def test_what_it_cannot_follow_is_refused():
    world = World()
    engine = Engine(world, "b", "npu")
    Background(engine, 1.0, 1.0, 1.0, np.random.default_rng(1))
    node = Node(world, "b", "edge", {"npu": engine})
    with pytest.raises(ValueError, match="an engine with events, as it has other tenants"):
        Battery(world, node, NodeSwitch(world, node), 5.0)
    node = Node(world, "c", "edge", {})
    with pytest.raises(ValueError, match="keeps no work"):
        Battery(world, node, NodeSwitch(world, node, keeps=True), 5.0)


def test_a_message_that_stands_still_draws_nothing_meanwhile():
    lab = Powered(capacity_j=7.5)
    up = lab.topology.route("cam", "cloud")
    lab.spawn_at(1.0, Travel(up, 2000.0), Travel(up, 500.0))  # 2.5 s at 1 W
    channels = [up[0].channel, lab.topology.route("cloud", "cam")[0].channel]
    Outages(lab.world, LinkSwitch(lab.world, "wifi", channels, keeps=True), [(2.0, 4.0)])
    assert lab.run(999.0) == [(pytest.approx(10.0 - 2.5 / 0.75), True)]
