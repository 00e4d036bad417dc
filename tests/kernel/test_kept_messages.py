"""Nodes that keep their work in an outage keep their messages too: by hand, on every medium."""

from __future__ import annotations

import pytest
from labs import Lab

from ecsim.kernel import After, First, Ledger, Loss, MeterWindow, RadioCard, Travel, Use
from ecsim.kernel.outages import NodeSwitch, Outages


def test_messages_that_were_not_sent_are_sent_anew():
    lab = Lab(keeps=True)
    sending = lab.spawn_at(0.0, Travel(lab.up, 4000.0, 2))  # half of it has left at 2 s
    queued = lab.spawn_at(1.0, Travel(lab.up, 1000.0, 2))
    meanwhile = lab.spawn_at(3.0, Travel(lab.up, 1000.0, 2))
    Outages(lab.world, lab.switch, [(2.0, 5.0)])
    # 4 s from 5 s on, then 1 s each; 0.5 s on the way
    assert lab.run() == [(9.5, "ok"), (10.5, "ok"), (11.5, "ok")]
    # 2 s lost at 1 W, 3 s of outage
    assert (sending.wait_s[2], sending.service_s[2]) == (3.0, 6.0)
    assert (sending.joules[2], sending.propagation_s) == (6.0, 0.5)
    assert sending.bytes[2] == 8000.0
    assert (queued.wait_s[2], queued.service_s[2], queued.bytes[2]) == (8.0, 1.0, 1000.0)
    assert (meanwhile.wait_s[2], meanwhile.bytes[2]) == (7.0, 1000.0)
    (hop,) = lab.up
    assert (hop.n_jobs, hop.bytes, hop.work_s) == (4, 10_000.0, 8.0)
    assert hop.wait_s == pytest.approx(18.0)


def test_a_message_on_its_way_to_the_node_arrives_when_it_is_back():
    lab = Lab(keeps=True)
    towards = lab.spawn_at(0.0, Travel(lab.down, 1000.0))  # would arrive at 1.5 s
    behind = lab.spawn_at(0.0, Travel(lab.down, 1000.0))  # begins at 1 s
    left = lab.spawn_at(0.0, Travel(lab.up, 1000.0))  # has left
    Outages(lab.world, lab.switch, [(1.2, 5.0)])
    assert lab.run() == [(5.0, "ok"), (6.5, "ok"), (1.5, "ok")]
    assert (towards.wait_s[0], towards.service_s[0]) == (pytest.approx(3.5), 1.0)
    assert towards.propagation_s == 0.5
    assert behind.service_s[0] == pytest.approx(1.2)
    assert left.wait_s[0] == 0.0


def test_a_relay_keeps_what_it_passes_on():
    lab = Lab(keeps=True)
    route = lab.topology.route("cam", "other")
    ledger = lab.spawn_at(0.0, Travel(route, 1000.0))  # at the cloud at 1.5 s, sent by 2.5 s
    Outages(lab.world, lab.cloud_switch, [(2.0, 9.0)])
    assert lab.run() == [(10.5, "ok")]
    assert (ledger.wait_s[0], ledger.service_s[0]) == (7.0, 2.5)
    assert ledger.propagation_s == 1.0


def test_outages_that_overlap_keep_messages_until_the_last_is_over():
    lab = Lab(keeps=True)
    lab.spawn_at(0.0, Travel(lab.up, 4000.0))
    lab.spawn_at(0.5, Travel(lab.down, 1000.0))  # would arrive at 2 s
    Outages(lab.world, lab.switch, [(1.6, 5.0)])
    Outages(lab.world, lab.switch, [(4.0, 7.0)])
    Outages(lab.world, lab.cloud_switch, [(6.0, 8.0)])
    # the cloud is out until 8 s, but the message towards cam has left it
    assert lab.run() == [(12.5, "ok"), (7.0, "ok")]


def test_whoever_sends_to_a_kept_node_and_goes_out_itself_loses_what_it_holds():
    lab = Lab(keeps=True)
    losing = NodeSwitch(lab.world, lab.other)
    lab.spawn_at(1.0, Travel(lab.topology.route("other", "cloud"), 1000.0))
    lab.spawn_at(1.0, Travel(lab.up, 1000.0))
    Outages(lab.world, lab.cloud_switch, [(0.5, 5.0)])
    Outages(lab.world, losing, [(2.0, 3.0)])
    ledger = lab.ledgers[0]
    assert lab.run() == [(2.0, "down"), (6.5, "ok")]
    assert (ledger.wait_s[0], ledger.service_s[0]) == (1.0, 0.0)


def test_on_a_shared_medium_only_its_own_messages_wait():
    lab = Lab(keeps=True, shared=True)
    lab.spawn_at(0.0, Travel(lab.up, 2000.0))
    other = lab.spawn_at(0.0, Travel(lab.topology.route("other", "cloud"), 1000.0))
    Outages(lab.world, lab.switch, [(1.0, 4.0)])
    # the airtime that it had reserved until 2 s stays unused
    assert lab.run() == [(6.5, "ok"), (3.5, "ok")]
    assert other.wait_s[0] == 2.0


def test_on_a_medium_that_messages_share_the_others_get_its_part():
    lab = Lab(keeps=True, shared=True, sharing=True)
    mine = lab.spawn_at(0.0, Travel(lab.up, 2000.0))
    lab.spawn_at(0.0, Travel(lab.topology.route("other", "cloud"), 2000.0))
    Outages(lab.world, lab.switch, [(1.0, 4.0)])
    # 0.5 s each by 1 s; the other alone until 2.5 s; mine anew from 4 to 6 s
    assert lab.run() == [(6.5, "ok"), (3.0, "ok")]
    assert mine.service_s[0] == pytest.approx(2.5)
    assert mine.bytes[0] == 4000.0


def test_radios_are_promoted_anew():
    card = RadioCard(promotion_s=0.5, promotion_w=2.0, tail_s=2.0, tail_w=0.75)
    lab = Lab(keeps=True, radio=card)
    ledger = lab.spawn_at(0.0, Travel(lab.up, 1000.0))
    Outages(lab.world, lab.switch, [(1.0, 4.0)])
    assert lab.run() == [(6.0, "ok")]
    assert ledger.joules[0] == pytest.approx(2.0 * 1.0 + 0.5 + 1.0)
    lab = Lab(keeps=True, radio=card)
    lab.spawn_at(0.0, Travel(lab.up, 1000.0))
    Outages(lab.world, lab.switch, [(0.25, 4.0)])  # in the middle of the promotion
    assert lab.run() == [(6.0, "ok")]


def test_attempts_that_are_lost_count_from_the_first_again():
    losses = iter([0.0, 0.9, 0.9])  # the first attempt is lost
    lab = Lab(keeps=True, loss=Loss(0.5, 2.0, attempts=2))
    lab.up[0].line.losses = lambda: next(losses)
    lab.spawn_at(0.0, Travel(lab.up, 1000.0))  # lost at 1 s, again at 3 s
    Outages(lab.world, lab.switch, [(2.0, 5.0)])
    assert lab.run() == [(6.5, "ok")]


def test_the_states_of_an_outage_sum_to_the_window():
    lab = Lab(keeps=True)
    lab.spawn_at(0.0, Travel(lab.up, 4000.0))
    lab.spawn_at(0.0, Use(lab.npu, 4.0, 8.0))
    Outages(lab.world, lab.switch, [(2.0, 5.0)])
    window = MeterWindow(lab.world)
    window.open()
    for t in (1.0, 3.0, 6.0, 20.0):
        lab.world.run_until(t)
        sent_s = {1.0: 1.0, 3.0: 2.0, 6.0: 3.0, 20.0: 6.0}[t]
        assert lab.world.snapshot()[lab.cam.transmitter][0][0] == sent_s
    window.close()
    rows = {
        r.state: r.seconds for r in window.rows() if (r.node, r.component) == ("cam", "transmitter")
    }
    assert rows["down"] == 3.0
    lab.check()


def test_after_an_outage_a_link_of_its_own_is_free():
    """Whatever the policy: what had been reserved for messages that are gone is given back."""
    for keeps in (False, True):
        lab = Lab(keeps=keeps)
        lab.spawn_at(0.0, Travel(lab.up, 100_000.0))
        Outages(lab.world, lab.switch, [(1.0, 2.0)])
        lab.world.run_until(2.5)
        ledger = lab.spawn_at(0.0, Travel(lab.up, 1000.0))
        lab.run()
        assert ledger.wait_s[0] == (99.5 if keeps else 0.0)


@pytest.mark.parametrize("lost_s", [1.0, 3.0, 7.0])
def test_a_message_that_lost_a_race_is_wasted_whenever_it_was(lost_s):
    """Before the outage, in it, and while the message is sent anew."""
    lab = Lab(keeps=True)
    ledger = Ledger(3)
    lab.ledgers.append(ledger)

    def flow():
        yield First(Travel(lab.up, 4000.0, 2), After(lost_s))

    lab.world.spawn(flow(), ledger)
    Outages(lab.world, lab.switch, [(2.0, 5.0)])
    lab.run()
    assert (ledger.wait_s[2], ledger.service_s[2], ledger.joules[2]) == (0.0, 0.0, 0.0)
    assert ledger.propagation_s == 0.0
    assert (ledger.wasted_s, ledger.wasted_j) == (6.0, 6.0)
