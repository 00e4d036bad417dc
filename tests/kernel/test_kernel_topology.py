"""Routes, links and the time messages take, by hand."""

from __future__ import annotations

import math

import pytest

from ecsim.core.errors import StrategyError, UserError
from ecsim.kernel import (
    After,
    First,
    Ledger,
    Link,
    Node,
    Topology,
    Travel,
    World,
    check_energy,
    expand,
)


def build(names, links):
    """`links`: (near, far, bit/s, latency in s)."""
    world = World()
    topology = Topology(world, reference_bytes=1000.0)
    for name in names:
        topology.add_node(Node(world, name, "edge", {}))
    for near, far, bit_per_s, latency_s in links:
        topology.connect([near], far, Link(f"{near}{far}", bit_per_s, bit_per_s, latency_s, 1.0))
    return world, topology


def send(world, topology, a, b, size, at=0.0, log=None, ledger=None):
    def flow():
        yield After(at)
        yield Travel(topology.route(a, b), size)
        if log is not None:
            log.append(world.now)

    return world.spawn(flow(), ledger)


def names_of(topology, a, b):
    return [hop.channel.name for hop in topology.route(a, b)]


def test_propagation_does_not_occupy_a_link():
    """1 ms of serialisation every 50 ms is 2 % load: each message takes 0.101 s."""
    world, topology = build("ab", [("a", "b", 8e6, 0.1)])
    log = []
    for i in range(200):
        send(world, topology, "a", "b", 1000.0, at=0.05 * i, log=log)
    world.run()
    assert log == pytest.approx([0.05 * i + 0.101 for i in range(200)], rel=1e-12)


def test_directions_do_not_disturb_each_other_and_one_direction_queues():
    world, topology = build("ab", [("a", "b", 8e3, 0.5)])
    log = []
    send(world, topology, "a", "b", 1000.0, log=log)  # 1 s + 0.5 s
    send(world, topology, "a", "b", 2000.0, log=log)  # waits 1 s, 2 s + 0.5 s
    send(world, topology, "b", "a", 1500.0, log=log)  # 1.5 s + 0.5 s
    world.run_until(0.25)
    assert topology.route("a", "b")[0].channel.backlog_s() == 2.75
    world.run()
    assert log == [1.5, 2.0, 3.5]


def test_a_shared_medium_is_one_queue_per_direction():
    world = World()
    topology = Topology(world)
    names = expand("cam", 2)
    for name in [*names, "cloud"]:
        topology.add_node(Node(world, name, "edge", {}))
    topology.connect(names, "cloud", Link("wifi", 8e3, 8e3, shared=True))
    log = []
    for name in names:
        send(world, topology, name, "cloud", 1000.0, log=log)
    send(world, topology, "cloud", names[0], 1000.0, log=log)
    world.run()
    assert sorted(log) == [1.0, 1.0, 2.0]
    assert len(topology.channels) == 2 and topology.channels[0].work_s == 2.0
    assert [topology.route(name, "cloud")[0].n_jobs for name in names] == [1, 1]


def test_each_link_of_a_route_is_reserved_on_arrival():
    """A message from c reaches the second link first, though one from a was sent earlier."""
    world, topology = build(
        "abcd", [("a", "b", 8e3, 0.0), ("c", "b", 8e6, 0.0), ("b", "d", 8e3, 0)]
    )
    log = []
    ledger = Ledger()
    send(world, topology, "a", "d", 1000.0, log=log, ledger=ledger)  # at b at 1, waits until 1.5
    send(world, topology, "c", "d", 1000.0, at=0.499, log=log)  # at b at 0.5, at d at 1.5
    world.run()
    assert log == pytest.approx([1.5, 2.5])
    assert ledger.wait_s[0] == pytest.approx(0.5)
    assert (ledger.service_s, ledger.bytes) == ([2.0], [1000.0])


def test_no_link_is_needed_to_stay_at_home():
    world, topology = build("ab", [("a", "b", 8e3, 1.0)])
    assert topology.route("a", "a") == ()
    log = []
    ledger = Ledger()
    send(world, topology, "a", "a", 1000.0, at=2.0, log=log, ledger=ledger)
    world.run()
    assert log == [2.0] and ledger.bytes == [0.0]


def test_a_message_cannot_be_called_back():
    world, topology = build("abc", [("a", "b", 8e3, 0.5), ("b", "c", 8e3, 0.5)])
    ledger = Ledger()

    def flow():
        return (yield First(After(1.2, "late"), Travel(topology.route("a", "c"), 1000.0)))

    running = world.spawn(flow(), ledger)
    world.run()
    assert running.value == (0, "late")
    assert world.now == 3.0 and topology.route("b", "c")[0].n_jobs == 1
    assert (ledger.wasted_s, ledger.wasted_j, ledger.bytes) == (2.0, 2.0, [1000.0])
    assert (ledger.service_s, ledger.wait_s, ledger.propagation_s) == ([0.0], [0.0], 0.0)
    check_energy(world, ledger.total_j)


def test_routes_are_the_quickest_for_the_reference_size():
    # 1000 bytes: a-c direct 8 s; a-b-c 2 x (1 s + 1 s)
    _, topology = build("abc", [("a", "c", 1e3, 0.0), ("a", "b", 8e3, 1.0), ("b", "c", 8e3, 1.0)])
    assert names_of(topology, "a", "c") == ["ab a-b up", "bc b-c up"]
    assert names_of(topology, "c", "a") == ["bc b-c down", "ab a-b down"]
    # propagation counts: 2 s direct; 2 x (0.5 s + 1 s) by way of b
    _, topology = build("abc", [("a", "c", 4e3, 0.0), ("a", "b", 16e3, 1.0), ("b", "c", 16e3, 1.0)])
    assert names_of(topology, "a", "c") == ["ac a-c up"]
    assert topology.route("a", "c") is topology.route("a", "c")


def test_ties_go_to_the_link_declared_first():
    diamond = [
        ("a", "b", 8e3, 1.0),
        ("a", "c", 8e3, 1.0),
        ("b", "d", 8e3, 1.0),
        ("c", "d", 8e3, 1.0),
    ]
    leaves = [("s", "a", 8e3, 0.0), ("d", "t", 8e3, 0.0)]
    _, topology = build("abcdst", diamond + leaves)
    assert names_of(topology, "s", "t") == ["sa s-a up", "ab a-b up", "bd b-d up", "dt d-t up"]
    _, topology = build("abcdst", [diamond[1], diamond[0], *diamond[2:], *leaves])
    assert names_of(topology, "s", "t")[1] == "ac a-c up"


def test_a_new_link_is_found_by_later_routes():
    _, topology = build("abc", [("a", "b", 8e3, 5.0), ("b", "c", 8e3, 5.0)])
    assert len(topology.route("a", "c")) == 2
    topology.connect(["a"], "c", Link("short", 8e3, 8e3))
    assert names_of(topology, "a", "c") == ["short a-c up"]


def test_errors_of_topologies_say_what_is_wrong():
    world, topology = build("abcd", [("a", "b", 8e3, 0.0), ("c", "d", 8e3, 0.0)])
    with pytest.raises(UserError, match="no route leads from 'a' to 'd'"):
        topology.route("a", "d")
    with pytest.raises(UserError, match="'x' is no node; there are: a, b, c, d"):
        topology.route("a", "x")
    with pytest.raises(UserError, match="goes to 'x', which is no node"):
        topology.connect(["a"], "x", Link("l", 1.0, 1.0))
    with pytest.raises(UserError, match="connected already"):
        topology.connect(["b"], "a", Link("l", 1.0, 1.0))
    with pytest.raises(UserError, match="connected already"):
        topology.connect(["a"], "a", Link("l", 1.0, 1.0))
    with pytest.raises(UserError, match="two nodes called 'a'"):
        topology.add_node(Node(world, "a", "edge", {}))
    for bad in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(UserError, match="up_bit_per_s must be > 0"):
            Link("l", bad, 1.0)
    for bad in (-1.0, math.inf, math.nan):
        with pytest.raises(UserError, match="latency_s must be finite"):
            Link("l", 1.0, 1.0, bad)
        with pytest.raises(StrategyError, match="size of a message"):
            send(world, topology, "a", "b", bad)
            world.run()
    with pytest.raises(ValueError, match="at least 1"):
        expand("cam", 0)
