"""Plans of graphs against the enumeration of all assignments, and worked instances."""

import networkx as nx
import numpy as np
import pytest
from brute import assignments, dags, two_place_cost
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsim.partition.plans import dads, dads_heavy, qdmp, tiers_dag, two_way
from ecsim.partition.plans.constraints import Infeasible
from ecsim.partition.plans.dag import Dag, cost
from ecsim.partition.plans.flow import Network
from ecsim.partition.plans.tiers_dag import Tiers

EXACT = 1e-12  # absolute, of costs below 2: sums in another order


def rounded(found):  # costs are whole hundredths: equal means equal
    return round(found[0], 9), found[1], found[2]


def least(dag, **how):
    """Give the least (cost, bytes, layers in the cloud), costs compared as whole hundredths."""
    return min(rounded(two_place_cost(dag, a, **how)) for a in assignments(len(dag)))


@settings(max_examples=60, deadline=None)
@given(dags(most=9))
def test_every_algorithm_finds_the_least_cost_and_breaks_ties_as_documented(dag):
    one_way = least(dag)
    assert rounded(two_place_cost(dag, dads.light(dag))) == one_way
    assert rounded(two_place_cost(dag, qdmp.place(dag))) == one_way
    layers = np.vstack((dag.edge, dag.cloud))
    once = np.array([dag.any_edge, dag.any_cloud])
    tier = tiers_dag.place(Tiers(dag.preds, layers, dag.up[None], dag.sent_bytes, once))
    assert rounded(two_place_cost(dag, tier.astype(bool))) == one_way
    both = least(dag, one_way=False)
    assert rounded(two_place_cost(dag, two_way.place(dag), one_way=False)) == both
    each = least(dag, per_edge=True)
    found = dads.light(dag, tensors="per_edge")
    assert rounded(two_place_cost(dag, found, per_edge=True)) == each


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(dags(most=12))
def test_graphs_of_up_to_twelve_vertices(dag):
    costs = [two_place_cost(dag, a) for a in assignments(len(dag))]
    one_way = min(map(rounded, costs))
    assert rounded(two_place_cost(dag, dads.light(dag))) == one_way
    assert rounded(two_place_cost(dag, qdmp.place(dag))) == one_way
    both = least(dag, one_way=False)
    assert rounded(two_place_cost(dag, two_way.place(dag), one_way=False)) == both


@settings(max_examples=25, deadline=None)
@given(dags(most=8), *[st.sampled_from([0.0, 0.03])] * 2)
def test_the_heavy_plan_has_the_fastest_slowest_stage(dag, back, answer):
    found = dads_heavy.heavy(dag, back, answer)
    legal = [a for a in assignments(len(dag)) if two_place_cost(dag, a)[0] < np.inf]
    values = [(round(slowest(dag, a, back, answer), 9), *two_place_cost(dag, a)[1:]) for a in legal]
    assert two_place_cost(dag, found)[0] < np.inf
    mine = (round(slowest(dag, found, back, answer), 9), *two_place_cost(dag, found)[1:])
    assert mine == min(values)


@settings(max_examples=30, deadline=None)
@given(dags(most=6), st.data())
def test_three_tiers(dag, data):
    n = len(dag)
    middle, hop = (
        np.array(data.draw(st.lists(st.integers(0, 8), min_size=n, max_size=n))) / 100
        for _ in range(2)
    )
    layer = np.vstack((dag.edge, middle, dag.cloud))
    once = np.array([dag.any_edge, 0.01, dag.any_cloud])
    message = np.array(data.draw(st.lists(st.integers(0, 8), min_size=2, max_size=2))) / 100
    hops = np.vstack((dag.up, hop))
    tiers = Tiers(dag.preds, layer, hops, dag.sent_bytes, once, message)
    costs = [tiers_dag.cost(tiers, a) for a in assignments(n, 3)]
    found = tiers_dag.cost(tiers, tiers_dag.place(tiers))
    assert found == pytest.approx(min(costs), abs=EXACT)


def test_the_cost_of_tiers_counts_a_tensor_once_per_hop():
    preds = ((), (0,), (0,))
    layer, hop = np.zeros((3, 3)), np.array([[1.0, 0, 0], [10.0, 0, 0]])
    tiers = Tiers(preds, layer, hop, once=np.array([4.0, 2.0, 3.0]), message=np.array([0.5, 0.25]))
    assert tiers_dag.cost(tiers, np.array([0, 1, 2])) == 11.0 + 2.0 + 3.0 + 0.75
    assert tiers_dag.cost(tiers, np.array([0, 1, 1])) == 1.0 + 2.0 + 0.5
    assert tiers_dag.cost(tiers, np.array([0, 0, 0])) == 4.0
    back = Tiers(((), (0,), (1,)), layer, hop)
    assert tiers_dag.cost(back, np.array([0, 2, 1])) == np.inf


@settings(max_examples=60, deadline=None)
@given(dags(most=12))
def test_cut_vertices_are_on_every_way(dag):
    graph = nx.DiGraph([(u, v) for v, before in enumerate(dag.preds) for u in before])
    ends = [v for v in range(len(dag)) if graph.out_degree(v) == 0]
    expected = []
    for c in range(len(dag)):
        rest = graph.copy()
        rest.remove_node(c)
        others = [e for e in ends if e != c]
        misses = c != 0 and any(nx.has_path(rest, 0, e) for e in others)
        if not misses:
            expected.append(c)
    assert qdmp.cut_vertices(dag) == expected


def slowest(dag, is_cloud, back, answer):
    edge = sum(dag.edge[v] for v in range(len(dag)) if not is_cloud[v])
    cloud = sum(dag.cloud[v] for v in range(len(dag)) if is_cloud[v])
    sent = {u for v in range(len(dag)) for u in dag.preds[v] if is_cloud[v] > is_cloud[u]}
    if sum(is_cloud) < len(dag) - 1:
        edge += dag.any_edge
    if any(is_cloud):
        cloud, up = cloud + dag.any_cloud, sum(dag.up[u] for u in sent) + back
    return max(edge, cloud, up, answer) if any(is_cloud) else edge


def inception():
    """A block of two branches behind a cheap stem; only a cut through the branches pays."""
    edge = np.array([0, 1, 1, 20, 1, 20, 1]) / 100
    cloud = np.array([0, 9, 9, 1, 9, 1, 0.5]) / 100
    up = np.array([50, 30, 2, 9, 2, 9, 9]) / 100
    return Dag(((), (0,), (1,), (2,), (1,), (4,), (3, 5)), edge, cloud, up)


def test_a_cut_through_a_block_is_found_by_both():
    expected = [0, 0, 0, 1, 0, 1, 1]  # edge 0.03, two uploads 0.04, cloud 0.025
    assert dads.light(inception()).tolist() == expected
    assert qdmp.place(inception()).tolist() == expected
    assert cost(inception(), dads.light(inception())) == pytest.approx(0.095, abs=EXACT)


def test_a_block_pays_no_call_that_is_paid_before_it():
    """With the stem at the edge, one branch there too saves 0.01; a second call would be 0.05."""
    inf = np.inf
    dag = Dag(
        ((), (0,), (1,), (1,), (2, 3)),
        np.array([0, 0.01, 0.01, 9, 9]), np.array([0, inf, 0.03, 0.01, 0.01]),
        np.array([0, 0.01, 0.01, 0.02, 0]), any_edge=0.05,
    )  # fmt: skip
    assert qdmp.place(dag).tolist() == dads.light(dag).tolist() == [0, 0, 0, 1, 1]


def test_qdmp_asks_less_than_dads_on_a_chain_of_blocks():
    block, n_blocks = inception(), 8
    preds, offset = [()], 0
    for _ in range(n_blocks):
        preds += [tuple(u + offset for u in p) for p in block.preds[1:]]
        offset += 6
    n = len(preds)
    edge = np.concatenate(([0], np.tile(block.edge[1:], n_blocks)))
    cloud = np.concatenate(([0], np.tile(block.cloud[1:], n_blocks)))
    dag = Dag(tuple(preds), edge, cloud, np.full(n, 0.05))
    plan, whole = dads.counted(dag)
    same, staged = qdmp.counted(dag)
    assert np.array_equal(plan, same)
    assert staged < whole


def test_the_printed_graph_sends_back_for_free():
    """Vertex 1 is fast in the cloud, 2 at the edge; as printed, data come back for free."""
    dag = Dag(
        ((), (0,), (1,)),
        np.array([0, 0.9, 0.1]), np.array([0, 0.1, 0.9]), np.array([0.1, 0.1, 0.1]),
    )  # fmt: skip
    assert dads.as_printed(dag).tolist() == [False, True, False]
    assert two_place_cost(dag, dads.as_printed(dag))[0] == np.inf
    assert dads.light(dag).tolist() == [False, False, False]


def test_a_layer_that_can_run_nowhere_is_an_error():
    dag = Dag(((), (0,)), np.array([0, np.inf]), np.array([0, np.inf]), np.ones(2))
    for place in (dads.light, two_way.place, qdmp.place, dads_heavy.heavy):
        with pytest.raises(Infeasible, match="nowhere"):
            place(dag)
    with pytest.raises(Infeasible, match="nowhere"):
        tiers_dag.place(Tiers(dag.preds, np.vstack((dag.edge, dag.cloud)), np.ones((1, 2))))


def test_a_layer_that_cannot_run_at_the_edge_goes_to_the_cloud():
    dag = Dag(((), (0,), (1,)), np.array([0, 1, np.inf]), np.full(3, 5.0), np.ones(3))
    assert dads.light(dag).tolist() == [False, False, True]
    assert dads_heavy.heavy(dag).tolist() == [False, False, True]


@pytest.mark.parametrize(
    "change", [{"edge": np.ones(3)}, {"up": np.array([1.0, -1.0])}, {"preds": ((1,), ())}]
)
def test_what_is_no_problem_is_refused(change):
    fields = {"preds": ((), (0,)), "edge": np.zeros(2), "cloud": np.zeros(2), "up": np.zeros(2)}
    with pytest.raises(ValueError, match="expected"):
        Dag(**{**fields, **change})


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 9), st.data())
def test_flows_are_those_of_another_implementation(n, data):
    ends = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.integers(0, 5))
    arcs = [a for a in data.draw(st.lists(ends, max_size=30)) if a[0] != a[1]]
    network, other = Network(n), nx.DiGraph()
    other.add_nodes_from(range(n))
    for u, v, capacity in arcs:
        network.arc(u, v, capacity)
        before = other.edges[u, v]["capacity"] if other.has_edge(u, v) else 0
        other.add_edge(u, v, capacity=before + capacity)
    value, side = network.min_cut(0, n - 1)
    assert value == nx.maximum_flow_value(other, 0, n - 1)
    assert value == sum(c for u, v, c in arcs if side[u] and not side[v])
