"""Time, energy and bytes are conserved on links of every kind, with outages and lost races."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from ecsim.core.errors import FlowError
from ecsim.core.randomness import Streams
from ecsim.kernel import (
    After,
    ExponentialJitter,
    First,
    Ledger,
    Link,
    Loss,
    MeterWindow,
    Node,
    RadioCard,
    Steps,
    Topology,
    Travel,
    WorkClock,
    World,
    check_energy,
)
from ecsim.kernel.outages import LinkSwitch, NodeSwitch, Outages

features = st.fixed_dictionaries(
    {},
    optional={
        "half_duplex": st.just(True),
        "sharing": st.just(True),
        "shared": st.just(True),
        "up_clock": st.sampled_from(
            [WorkClock([0.0, 2.0], [8e3, 3e3], 5.0), WorkClock([0.0, 1.0, 1.5], [9e3, 0.0, 2e3])]
        ),
        "latency": st.just(Steps([0.0, 3.0], [0.5, 0.1])),
        "jitter": st.just(ExponentialJitter(0.3)),
        "in_order": st.booleans(),
        "loss": st.sampled_from([Loss(0.4, 0.2, 2.0, 2), Loss(0.3, 0.0, 1.0, 9)]),
        "radio": st.sampled_from(
            [RadioCard(0.25, 2.0, 1.5, 1.0), RadioCard(tail_s=0.5, tail_w=1.0)]
        ),
        "near_tx_j_per_bit": st.just(1e-3),
        "near_rx_j_per_bit": st.just(2e-3),
    },
)
messages = st.lists(
    st.tuples(
        st.floats(0.0, 6.0),
        st.sampled_from([("a", "c"), ("c", "a"), ("b", "c"), ("a", "b"), ("c", "b")]),
        st.sampled_from([0.0, 1.0, 300.0, 1000.0]),
        st.sampled_from([None, None, 0.4, 2.0]),
    ),
    max_size=10,
)
periods = st.lists(st.tuples(st.floats(0.1, 2.0), st.floats(0.1, 2.0)), max_size=3)


def in_row(gaps):
    t, found = 0.0, []
    for up, down in gaps:
        found.append((t + up, t + up + down))
        t += up + down
    return found


@settings(max_examples=300, deadline=None)
@given(features, features, messages, periods, st.sampled_from(["link", "a", "h"]),
       st.floats(0.0, 4.0), st.floats(0.1, 5.0))  # fmt: skip
def test_links_conserve_time_energy_and_bytes(first, second, sends, outages, what, start, length):
    world = World()
    topology = Topology(world, 100.0, streams=Streams(1))
    for name in "abch":
        topology.add_node(Node(world, name, "edge", {}, 0.1, 0.1))
    powers = {"near_tx_w": 1.0, "near_rx_w": 0.5, "far_tx_w": 0.3, "far_rx_w": 0.2}
    topology.connect(["a", "b"], "h", Link("l", 8e3, 6e3, 0.2, **powers, **first))
    topology.connect(["h"], "c", Link("m", 8e3, 6e3, 0.1, **powers, **second))
    if what == "link":
        channels = dict.fromkeys(topology.graph.edges[p]["hop"].channel for p in ("ah", "ha"))
        part = LinkSwitch(world, "link a-h", channels)
    else:
        part = NodeSwitch(world, topology.nodes[what])
    Outages(world, part, in_row(outages))
    ledgers, stays = [], []

    def flow(at, ends, size, race, ledger):
        yield After(at)
        begin = world.now
        travel = Travel(topology.route(*ends), size)
        try:
            if race is None:
                yield travel
                stays.append((world.now - begin, ledger))
            else:
                yield First(travel, After(race))
        except FlowError:
            pass

    for at, ends, size, race in sends:
        ledgers.append(Ledger())
        world.spawn(flow(at, ends, size, race, ledgers[-1]), ledgers[-1])
    window = MeterWindow(world)
    world.run_until(start)
    window.open()
    world.run_until(start + length)
    window.close()
    parts = {}
    for row in window.rows():
        assert row.seconds >= -1e-9 and row.joules >= -1e-9, row
        parts.setdefault((row.node, row.component), []).append(row.seconds)
    for seconds in parts.values():
        assert sum(seconds) == approx(length)
    world.run()
    assert world.n_done == len(sends)
    check_energy(world, sum(ledger.total_j for ledger in ledgers))
    for stay, ledger in stays:
        spent = ledger.wait_s[0] + ledger.service_s[0] + ledger.propagation_s
        assert stay == approx(spent, rel=1e-9, abs=1e-9)
    for ledger in ledgers:
        amounts = (*ledger.wait_s, *ledger.service_s, *ledger.joules, *ledger.bytes)
        assert min(*amounts, ledger.propagation_s, ledger.wasted_s, ledger.wasted_j) >= 0.0
    for channel in topology.channels:
        for hop in channel.hops:
            assert min(hop.work_s, hop.wait_s, hop.bytes) >= -1e-9 and hop.n_jobs >= 0
