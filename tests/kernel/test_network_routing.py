"""Routes by latency, hops and weight; routes around what is out."""

from __future__ import annotations

import pytest

from ecsim.core.errors import UserError
from ecsim.kernel import Link, Node, Topology, World


def build(names, links, metric="latency"):
    """`links`: (near, far, latency in s, weight)."""
    topology = Topology(World(), 1000.0, metric)
    for name in names:
        topology.add_node(Node(topology.world, name, "edge", {}))
    for near, far, latency_s, weight in links:
        topology.connect([near], far, Link(near + far, 8e9, 8e9, latency_s, weight=weight))
    return topology


def way(topology, a, b):
    return [hop.channel.name.split()[0] for hop in topology.route(a, b)]


SQUARE = [("a", "b", 1.0, 5.0), ("b", "d", 1.0, 5.0), ("a", "c", 3.0, 1.0), ("c", "d", 3.0, 1.0),
          ("a", "d", 9.0, 3.0), ("s", "a", 0.0, 1.0), ("d", "t", 0.0, 1.0)]  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "middle"),
    [("latency", ["ab", "bd"]), ("weight", ["ac", "cd"]), ("hops", ["ad"])],
)
def test_the_metric_chooses_the_way(metric, middle):
    topology = build("abcdst", SQUARE, metric)
    assert way(topology, "s", "t") == ["sa", *middle, "dt"]
    assert way(topology, "t", "s") == ["dt", *middle[::-1], "sa"]


def test_routes_avoid_what_is_out_and_come_back():
    topology = build("abcdst", SQUARE)
    changes = []
    topology.on_change.append(lambda: changes.append(True))
    for what in ("ab", ("a", "b"), ("b", "a"), "b"):
        topology.set_up(what, False)
        assert way(topology, "s", "t") == ["sa", "ac", "cd", "dt"]
        topology.set_up(what, True)
        assert way(topology, "s", "t") == ["sa", "ab", "bd", "dt"]
    assert len(changes) == 8
    topology.set_up("b", False)
    topology.set_up("c", False)
    assert way(topology, "s", "t") == ["sa", "ad", "dt"]
    assert topology.is_up("s", "t") and not topology.is_up("s", "b")
    topology.set_up("ad", False)
    # nothing is left: the usual way, whose parts may be back in time
    assert way(topology, "s", "t") == ["sa", "ab", "bd", "dt"]
    assert not topology.is_up("s", "t") and topology.is_up("s", "a")
    topology.set_up("sa", False)
    assert way(topology, "s", "a") == ["sa"] and not topology.is_up("s", "a")
    topology.set_up("b", True)
    assert way(topology, "a", "d") == ["ab", "bd"]
    assert topology.route("s", "s") == ()


def test_what_goes_out_must_exist():
    topology = build("abcdst", SQUARE)
    for what in ("ax", ("a", "t")):
        with pytest.raises(UserError, match="neither a link nor a node"):
            topology.set_up(what, False)


def test_routes_of_a_random_graph_equal_networkx():
    import networkx as nx
    import numpy as np

    rng = np.random.default_rng(1)
    names = [f"n{i}" for i in range(25)]
    graph = nx.gnm_random_graph(25, 45, seed=2)
    topology = build(
        names,
        [(f"n{a}", f"n{b}", float(rng.uniform(0.1, 2.0)), float(rng.uniform(1, 9)))
         for a, b in graph.edges],
        "weight",
    )  # fmt: skip
    for a in names:
        for b in names:
            if nx.has_path(topology.graph, a, b):
                expected = nx.dijkstra_path_length(topology.graph, a, b, weight="weight")
                hops = topology.route(a, b)
                weights = nx.get_edge_attributes(topology.graph, "weight")
                by_hop = {topology.graph.edges[e]["hop"]: weights[e] for e in topology.graph.edges}
                assert sum(by_hop[hop] for hop in hops) == pytest.approx(expected)
            else:
                with pytest.raises(UserError, match="no route"):
                    topology.route(a, b)
