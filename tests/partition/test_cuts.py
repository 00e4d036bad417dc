"""Parts and transfers of placements: against a walk of the graph, and by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsim.core.types import Cut, Work
from ecsim.partition.cuts import cut_of, transfers
from ecsim.partition.graph import LayerGraph, Vertex, chain
from ecsim.partition.problem import Hop, PartitionProblem, estimate

V = Vertex("input", "input", out_bytes=100.0)


def diamond() -> LayerGraph:
    return LayerGraph(
        (
            V,
            Vertex("a", "conv", ("input",), out_bytes=10.0),
            Vertex("b", "conv", ("a",), out_bytes=20.0),
            Vertex("c", "conv", ("a",), out_bytes=30.0),
            Vertex("d", "add", ("b", "c", "a"), out_bytes=5.0),
        ),
        ("d",),
    )


def place(graph, *nodes):
    return dict(zip(graph.names, nodes, strict=True))


def test_a_value_that_several_layers_read_crosses_once():
    graph = diamond()
    cut = cut_of(graph, place(graph, 0, 0, 1, 1, 1))
    assert cut == Cut((("input", "a"), ("b", "c", "d")), (0, 1))
    assert transfers(graph, cut) == (("a",),)


def test_what_the_last_node_needs_passes_through_the_node_between():
    graph = diamond()
    cut = cut_of(graph, place(graph, 0, 0, 1, 1, 2))
    assert cut.nodes == (0, 1, 2)
    assert transfers(graph, cut) == (("a",), ("a", "b", "c"))


def test_two_ways_a_value_is_found_where_it_was():
    graph = diamond()
    cut = cut_of(graph, place(graph, 0, 0, 1, 0, 0))  # b goes to the cloud, the rest stays
    assert cut.parts == (("input", "a", "c"), ("b",), ("d",))
    assert cut.nodes == (0, 1, 0)
    assert transfers(graph, cut) == (("a",), ("b",))


def test_an_unplaced_exit_is_not_run_but_what_is_read_must_be_placed():
    graph = LayerGraph(
        (V, Vertex("a", "x", ("input",)), Vertex("e", "x", ("a",)), Vertex("b", "x", ("a",))),
        ("e", "b"),
    )
    assert graph.needed(0) == ("input", "a", "e")
    assert graph.needed() == ("input", "a", "b")
    cut = cut_of(graph, {"input": 0, "a": 0, "b": 1})
    assert transfers(graph, cut) == (("a",),)
    with pytest.raises(ValueError, match="b reads a"):
        cut_of(graph, {"input": 0, "b": 1})


def test_an_order_that_is_not_topological_is_refused():
    with pytest.raises(ValueError, match="before"):
        LayerGraph((V, Vertex("b", "x", ("a",)), Vertex("a", "x", ("input",))), ("b",))


def test_networkx_has_the_edges_and_bytes():
    graph = diamond().networkx()
    assert set(graph.edges) == {
        ("input", "a"), ("a", "b"), ("a", "c"), ("a", "d"), ("b", "d"), ("c", "d"),
    }  # fmt: skip
    assert graph.edges["b", "d"]["out_bytes"] == 20.0


def problem(graph, k, rng, reply=7.0):
    v = len(graph)
    seconds = rng.uniform(0.1, 1.0, (v, k))
    seconds[0] = 0.0
    return PartitionProblem(
        graph=graph,
        nodes=tuple("abcd"[:k]),
        seconds=seconds,
        joules=2.0 * seconds,
        fixed_s=np.full(k, 0.01),
        fixed_j=np.full(k, 0.02),
        hops=tuple(Hop(8.0 * 10**i, 16.0, 0.5, 0.25, near_up_w=1.0) for i in range(k - 1)),
        out_bytes=np.array([x.out_bytes for x in graph.vertices]),
        reply_bytes=reply,
    )


def test_latency_by_hand_over_two_hops():
    graph = chain([V, Vertex("a", "conv", out_bytes=10.0), Vertex("b", "conv", out_bytes=4.0)])
    p = problem(graph, 3, np.random.default_rng(0))
    got = estimate(p, (0, 0, 2))
    device = 0.01 + p.seconds[1, 0]
    cloud = 0.01 + p.seconds[2, 2]
    up = 10.0 / 1.0 + 0.5 + 10.0 / 10.0 + 0.5
    down = 2 * (7.0 / 2.0 + 0.25)
    assert got.latency_s == pytest.approx(device + up + cloud + down, rel=1e-14)
    assert got.up_s == pytest.approx([10.0, 1.0])
    assert got.down_s == pytest.approx([3.5, 3.5])
    assert got.hop_s == pytest.approx([10.0, 3.5])
    shared = replace(p, hops=tuple(replace(hop, is_shared=True) for hop in p.hops))
    assert estimate(shared, (0, 0, 2)).hop_s == pytest.approx([13.5, 4.5])
    assert got.energy_j == pytest.approx(2 * (device + cloud) + 10.0 + 1.0)  # near_up_w on both
    assert got.bottleneck_s == 10.0


def test_all_at_the_device_sends_nothing_and_all_in_the_cloud_the_sample():
    graph = chain([V, Vertex("a", "conv", out_bytes=10.0)])
    p = problem(graph, 2, np.random.default_rng(0))
    assert estimate(p, (0, 0)).latency_s == pytest.approx(0.01 + p.seconds[1, 0])
    cloud = estimate(p, (0, 1))
    assert cloud.sent_bytes == (100.0, 7.0)
    assert cloud.part_s[0] == 0.0  # no layer, no call
    assert cloud.latency_s == pytest.approx(100.5 + 0.01 + p.seconds[1, 1] + 3.75)


@st.composite
def graphs(draw):
    n = draw(st.integers(2, 8))
    vertices = [V]
    for i in range(1, n):
        preds = draw(st.sets(st.integers(0, i - 1), min_size=1, max_size=3))
        names = tuple(vertices[j].name for j in sorted(preds))
        vertices.append(Vertex(f"v{i}", "x", names, Work(macs=1.0), out_bytes=float(i)))
    return LayerGraph(tuple(vertices), (vertices[-1].name,))


@given(graphs(), st.data())
@settings(max_examples=300, deadline=None)
def test_every_part_finds_what_it_reads_and_nothing_is_sent_in_vain(graph, data):
    k = data.draw(st.integers(2, 3))
    nodes = [0] + [data.draw(st.integers(0, k - 1)) for _ in graph.names[1:]]
    placement = {n: at for n, at in zip(graph.names, nodes, strict=True) if n in graph.needed()}
    cut = cut_of(graph, placement)
    assert sorted(n for part in cut.parts for n in part) == sorted(placement)
    moved = (*transfers(graph, cut), ())
    has = {node: set() for node in range(k)}
    used = set()
    sent = []
    for i, (part, at) in enumerate(zip(cut.parts, cut.nodes, strict=True)):
        for name in part:
            for pred in graph[name].preds:
                assert pred in has[at]
                used.add((pred, at))
            has[at].add(name)
        if i + 1 < len(cut.parts):
            there = cut.nodes[i + 1]
            assert set(moved[i]) <= has[at] - has[there]
            sent += [(name, there, i) for name in moved[i]]
            has[there].update(moved[i])
    for name, there, i in sent:  # it is read there, or goes on from there
        goes_on = any(name in m for m in moved[i + 1 :])
        assert (name, there) in used or goes_on
