"""Registered partitioners against every placement, priced by the problem's own estimate."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsim.core.errors import UserError
from ecsim.core.registry import names, resolve
from ecsim.core.types import Work
from ecsim.partition.graph import LayerGraph, Vertex
from ecsim.partition.partitioners.graphs import Dads, DadsHeavy, Qdmp, TwoWay
from ecsim.partition.partitioners.jointdnn import JointDnn, JointDnnParams
from ecsim.partition.partitioners.neurosurgeon import Neurosurgeon, NeurosurgeonParams
from ecsim.partition.partitioners.prices import Objective, value
from ecsim.partition.partitioners.rows import Pipeline, Tiers
from ecsim.partition.plans.constraints import Infeasible
from ecsim.partition.problem import Hop, PartitionProblem, estimate, partitioner_named, registered

EXACT = {"rel": 1e-9, "abs": 1e-12}
OBJECTIVES = [
    Objective(), Objective("energy"), Objective("energy", "device"),
    Objective("energy", "device", idle=True),
]  # fmt: skip


def hop(draw):
    rate = st.sampled_from([1e5, 1e6, 8e6])
    late = st.sampled_from([0.0, 0.01, 0.03])
    watts = [draw(st.sampled_from([0.0, 0.5, 2.0])) for _ in range(4)]
    return Hop(draw(rate), draw(rate), draw(late), draw(late), *watts, draw(st.booleans()))


@st.composite
def problems(draw, n_nodes=2, most=6, is_chain=False, has_exit=False):
    n = draw(st.integers(2, most))
    vertices = [Vertex("input", "input")]
    for v in range(1, n):
        if is_chain:
            preds = {v - 1}
        else:
            preds = draw(st.sets(st.integers(0, v - 1), min_size=1, max_size=3))
        weights = float(draw(st.integers(0, 9)))
        of = tuple(f"v{u}" if u else "input" for u in sorted(preds))
        vertices.append(Vertex(f"v{v}", "relu", of, Work(), weights, 0.0, (), weights + 1.0))
    end = f"v{draw(st.integers(1, n - 1))}" if has_exit else f"v{n - 1}"
    graph = LayerGraph(tuple(vertices), (end, f"v{n - 1}"))
    number = st.integers(0, 9).map(float)

    def table(*shape):
        size = int(np.prod(shape))
        return np.array(draw(st.lists(number, min_size=size, max_size=size))).reshape(shape)

    seconds, joules = table(n, n_nodes) / 100, table(n, n_nodes) / 10
    seconds[:, -1] /= 5
    seconds[0] = joules[0] = 0.0
    return PartitionProblem(
        graph, tuple("abcd"[:n_nodes]), seconds, joules, table(n_nodes) / 100, table(n_nodes) / 10,
        tuple(hop(draw) for _ in range(n_nodes - 1)), 100 * table(n), draw(number) * 100,
        table(n_nodes), exit=0,
    )  # fmt: skip


def placements(problem, one_way=True):
    """Give every placement of the needed vertices; the others lie at 0."""
    graph = problem.graph
    needed = [graph.index[name] for name in graph.needed(problem.exit)][1:]
    for where in itertools.product(range(len(problem.nodes)), repeat=len(needed)):
        node = [0] * len(graph)
        for v, k in zip(needed, where, strict=True):
            node[v] = k
        if one_way and any(node[u] > node[v] for v in needed for u in graph.preds[v]):
            continue
        yield tuple(node)


@settings(max_examples=40, deadline=None)
@given(problems(has_exit=True), st.sampled_from(OBJECTIVES))
def test_one_way_cuts_are_the_best_placements(problem, objective):
    best = min(value(problem, node, objective) for node in placements(problem))
    for cls in (Dads, Qdmp, Tiers):
        plan = cls(objective).plan(problem)
        assert plan.value == pytest.approx(best, **EXACT)
        assert plan.value == value(problem, plan.node, objective)
    whose = NeurosurgeonParams(objective.objective, objective.whose, objective.idle)
    cut = Neurosurgeon(whose).plan(problem)
    assert cut.value >= best - 1e-12
    if problem.graph.is_chain:
        assert cut.value == pytest.approx(best, **EXACT)
    both = TwoWay(objective).plan(problem)
    free = min(value(problem, node, objective) for node in placements(problem, one_way=False))
    assert free - 1e-12 <= both.value <= best + 1e-12


@settings(max_examples=15, deadline=None)
@given(problems(n_nodes=3, most=5), st.sampled_from(OBJECTIVES))
def test_three_nodes(problem, objective):
    best = min(value(problem, node, objective) for node in placements(problem))
    assert Tiers(objective).plan(problem).value == pytest.approx(best, **EXACT)


@settings(max_examples=40, deadline=None)
@given(problems(n_nodes=3, most=6, is_chain=True), st.sampled_from(OBJECTIVES))
def test_rows_of_tiers(problem, objective):
    best = min(value(problem, node, objective) for node in placements(problem))
    assert Tiers(objective).plan(problem).value == pytest.approx(best, **EXACT)
    slowest = min(estimate(problem, node).bottleneck_s for node in placements(problem))
    assert Pipeline(Pipeline.Params()).plan(problem).value == pytest.approx(slowest, **EXACT)


@settings(max_examples=25, deadline=None)
@given(problems())
def test_the_busiest_stage(problem):
    slowest = min(estimate(problem, node).bottleneck_s for node in placements(problem))
    heavy = DadsHeavy(DadsHeavy.Params()).plan(problem)
    assert heavy.value == pytest.approx(slowest, rel=1e-6, abs=1e-9)
    cut = Neurosurgeon(NeurosurgeonParams("throughput")).plan(problem)
    assert cut.value >= slowest - 1e-12
    if problem.graph.is_chain:
        assert cut.value == pytest.approx(slowest, **EXACT)


@settings(max_examples=25, deadline=None)
@given(problems(is_chain=True), st.sampled_from([0.05, 0.1, 0.3]), st.sampled_from([0.2, 1.0]))
def test_jointdnn_keeps_to_its_limits(problem, deadline, battery):
    every = {node: estimate(problem, node) for node in placements(problem, one_way=False)}
    best = min(found.latency_s for found in every.values())
    assert JointDnn(JointDnnParams()).plan(problem).value == pytest.approx(best, **EXACT)
    limited = JointDnn(JointDnnParams("energy", deadline=deadline, battery=battery))
    allowed = [
        found.energy_j
        for found in every.values()
        if found.latency_s <= deadline + 1e-12 and found.node_j[0] <= battery + 1e-12
    ]
    if not allowed:
        with pytest.raises(Infeasible, match=r"deadline|battery"):
            limited.plan(problem)
        return
    assert limited.plan(problem).value == pytest.approx(min(allowed), **EXACT)


def chain(*weights, memory=(np.inf, np.inf)):
    vertices = [Vertex("input", "input")]
    for i, size in enumerate(weights):
        before = vertices[-1].name
        vertices.append(Vertex(f"v{i}", "relu", (before,), Work(), size, 0.0, (), size))
    n = len(vertices)
    seconds = np.column_stack((np.zeros(n), np.ones(n)))
    graph = LayerGraph(tuple(vertices), (vertices[-1].name,))
    return PartitionProblem(
        graph, ("device", "cloud"), seconds, seconds, np.zeros(2), np.zeros(2),
        (Hop(1e3, 1e3),), np.ones(n), memory_bytes=np.array(memory),
    )  # fmt: skip


def test_memory_moves_the_cut_or_is_named():
    plan = Neurosurgeon(NeurosurgeonParams()).plan(chain(5, 5, 5, memory=(10, np.inf)))
    assert plan.node == (0, 0, 0, 1)
    assert JointDnn(JointDnnParams()).plan(chain(5, 5, 5, memory=(10, 99))).node == (0, 0, 0, 1)
    with pytest.raises(Infeasible, match=r"memory of device: expected at most 10 bytes, .* 15"):
        Dads(Objective()).plan(chain(5, 5, 5, memory=(10, np.inf)))
    with pytest.raises(Infeasible, match="memory"):
        Neurosurgeon(NeurosurgeonParams()).plan(chain(5, 5, 5, memory=(4, 4)))
    with pytest.raises(Infeasible, match="memory of"):
        JointDnn(JointDnnParams()).plan(chain(5, 5, 5, memory=(4, 4)))


def test_every_registered_one_plans_and_says_for_how_many_nodes():
    for name in names("partitioner"):
        if not resolve("partitioner", name).__module__.startswith("ecsim."):
            continue  # some other test's own
        assert registered(name).plan(chain(1, 1)).node == (0, 0, 0)
    with pytest.raises(UserError, match=r"expected a route of two nodes, got a, b, c; .*tiers"):
        three = PartitionProblem(
            chain(1).graph, ("a", "b", "c"), np.ones((2, 3)), np.ones((2, 3)), np.zeros(3),
            np.zeros(3), (Hop(1.0, 1.0),) * 2, np.ones(2),
        )  # fmt: skip
        registered("dads").plan(three)


def test_the_answer_counts_only_where_it_is_returned():
    slow_answer = PartitionProblem(
        chain(1).graph, ("device", "cloud"), np.array([[0, 0], [1.0, 0.1]]), np.zeros((2, 2)),
        np.zeros(2), np.zeros(2), (Hop(1e9, 8.0),), np.ones(2), reply_bytes=5.0,
    )  # fmt: skip
    assert Neurosurgeon(NeurosurgeonParams()).plan(slow_answer).node == (0, 0)
    assert Neurosurgeon(NeurosurgeonParams(answer="kept")).plan(slow_answer).node == (0, 1)


def test_the_latency_of_the_message_and_the_answers_time_on_the_link_count():
    """0.5 s are saved in the cloud, 0.4 s late is worth it and 0.6 s is not; so for the link."""
    graph = chain(1).graph
    seconds = np.array([[0, 0], [1.0, 0.5]])
    none = np.zeros(2)

    def problem(late_s, reply_bytes):
        hop = Hop(1e9, 8.0, late_s)
        return PartitionProblem(
            graph, ("device", "cloud"), seconds, seconds, none, none, (hop,), none, reply_bytes
        )

    for name in ("dads", "qdmp", "tiers", "neurosurgeon", "two_way", "jointdnn"):
        assert registered(name).plan(problem(0.4, 0.0)).node == (0, 1), name
        assert registered(name).plan(problem(0.6, 0.0)).node == (0, 0), name
        assert registered(name).plan(problem(0.2, 0.4)).node == (0, 0), name
    busiest = ("pipeline", "dads_heavy")
    for name in busiest:
        assert registered(name).plan(problem(9.0, 0.8)).node == (0, 1), name
        assert registered(name).plan(problem(0.0, 1.2)).node == (0, 0), name
        assert registered(name).plan(problem(9.0, 0.8)).value == 0.8


def test_narrow_cuts_where_less_than_ever_is_sent():
    seconds = np.zeros((6, 2))
    problem = PartitionProblem(
        chain(1, 1, 1, 1, 1).graph, ("device", "cloud"), seconds, seconds, np.zeros(2), np.zeros(2),
        (Hop(1.0, 1.0),), np.array([10.0, 12.0, 8.0, 8.0, 3.0, 1.0]),
    )  # fmt: skip
    on_device = {
        cut: 5 - sum(partitioner_named("narrow", {"cut": cut}).plan(problem).node)
        for cut in (0, 1, 2, 3, 9)
    }
    assert on_device == {0: 0, 1: 2, 2: 4, 3: 5, 9: 5}
