"""Plans of chains: Neurosurgeon, tiers, pipelines and JointDNN against every plan there is."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsim.partition.plans import jointdnn, jointdnn_ilp, neurosurgeon, pareto, pipeline, tiers
from ecsim.partition.plans.chain import Chain
from ecsim.partition.plans.constraints import Infeasible
from ecsim.partition.plans.jointdnn import Segments
from ecsim.partition.plans.jointdnn_ilp import Limit
from ecsim.partition.plans.tiers import Row

COARSE = st.integers(0, 8).map(lambda i: i / 100)


def arrays(*shape):
    n = int(np.prod(shape))
    return st.lists(COARSE, min_size=n, max_size=n).map(lambda v: np.array(v).reshape(shape))


def sizes(n):
    return st.lists(st.integers(0, 3), min_size=n, max_size=n).map(lambda v: np.array(v, float))


# A camera with a slow processor: three layers, the second tensor is small.
EDGE, CLOUD = np.array([2.0, 2.0, 4.0]), np.array([0.5, 0.5, 1.0])
UP, SIZE = np.array([8.0, 6.0, 1.0, 9.0]), np.array([800.0, 600.0, 100.0, 10.0])


def test_neurosurgeon_by_hand():
    chain = Chain(EDGE, CLOUD, UP, 0.5, SIZE)
    assert neurosurgeon.sums(chain).tolist() == [10.5, 10.0, 6.5, 8.0]
    assert neurosurgeon.cut(chain, neurosurgeon.sums(chain)) == 2
    assert neurosurgeon.bottlenecks(chain).tolist() == [8.0, 6.0, 4.0, 8.0]
    joules = chain.weighted(compute=5.0, send=1.0, receive=1.0, idle=0.5)
    # 5 x edge + up + down + idle x cloud
    assert neurosurgeon.sums(joules).tolist() == [9.5, 17.25, 22.0, 40.0]
    assert neurosurgeon.cut(chain, neurosurgeon.sums(joules)) == 0


def test_ties_go_to_fewest_bytes_and_then_to_the_edge():
    chain = Chain(np.ones(2), np.ones(2), np.zeros(3), 0.0, np.array([5.0, 2.0, 9.0]))
    assert neurosurgeon.cut(chain, neurosurgeon.sums(chain)) == 2  # nothing is sent
    assert neurosurgeon.cut(chain, np.array([1.0, 1.0, 2.0])) == 1  # 2 bytes, not 5
    level = Chain(np.ones(2), np.ones(2), np.zeros(3))
    assert neurosurgeon.cut(level, np.array([1.0, 1.0, 2.0])) == 1
    sums = np.array([0.1 + 0.2, 0.3, 9.0])  # differ in the last bit
    assert sums[0] != sums[1]
    assert neurosurgeon.cut(level, sums) == 1


def every_cuts(n_tiers, n):
    for cuts in itertools.combinations_with_replacement(range(n + 1), n_tiers - 1):
        yield np.array(cuts, dtype=np.int64)


@st.composite
def rows(draw, most=6):
    n_tiers, n = draw(st.integers(1, 4)), draw(st.integers(1, most))
    layer, hop = draw(arrays(n_tiers, n)), draw(arrays(n_tiers - 1, n + 1))
    once = draw(arrays(n_tiers))
    return Row(layer, hop, draw(arrays(n_tiers)), draw(sizes(n + 1)), once)


def moved(row, cuts):
    return sum(row.sent_bytes[k] for k in cuts if k < row.layer.shape[1])


@settings(max_examples=80, deadline=None)
@given(rows())
def test_tiers_and_pipelines_beat_every_other_plan(row):
    every = list(every_cuts(*row.layer.shape))

    def order(cuts, value):
        return round(value, 9), moved(row, cuts), *(-cuts)

    found = tiers.place(row)
    best = min(order(cuts, tiers.cost(row, cuts)) for cuts in every)
    assert order(found, tiers.cost(row, found)) == best
    found = pipeline.place(row)
    best = min(order(cuts, pipeline.bottleneck(row, cuts)) for cuts in every)
    assert order(found, pipeline.bottleneck(row, found)) == best


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6), st.data())
def test_two_tiers_are_neurosurgeons(n, data):
    edge, cloud, up = (data.draw(arrays(k)) for k in (n, n, n + 1))
    down, size, once = data.draw(COARSE), data.draw(sizes(n + 1)), data.draw(arrays(2))
    chain = Chain(edge, cloud, up, down, size, *once)
    row = Row(np.vstack((edge, cloud)), up[None], np.array([0.0, down]), size, once)
    assert tiers.place(row).tolist() == [neurosurgeon.cut(chain, neurosurgeon.sums(chain))]
    slowest = neurosurgeon.cut(chain, neurosurgeon.bottlenecks(chain))
    assert pipeline.place(row).tolist() == [slowest]


def test_three_tiers_by_hand():
    """End 2 s a layer, edge 1 s, cloud 0.1 s; a fast hop, a slow one, a small last tensor."""
    layer = np.array([[2.0] * 4, [1.0] * 4, [0.1] * 4])
    hop = np.array([[0.5, 0.5, 0.5, 0.5, 0], [9.0, 9.0, 9.0, 0.2, 0]])
    assert tiers.place(Row(layer, hop)).tolist() == [0, 3]  # 0.5 + 3 + 0.2 + 0.1
    assert tiers.place(Row(layer, hop, np.array([0, 0.0, 5.0]))).tolist() == [0, 4]  # 4.5 < 8.8
    assert tiers.place(Row(layer, 9.0 + hop)).tolist() == [4, 4]


def test_a_tier_that_cannot_run_a_layer_is_passed_and_none_is_an_error():
    layer = np.array([[1.0, np.inf], [np.inf, np.inf], [1.0, 1.0]])
    assert tiers.place(Row(layer, np.ones((2, 3)))).tolist() == [1, 1]
    assert pipeline.place(Row(layer, np.ones((2, 3)))).tolist() == [1, 1]
    layer[2, 1] = np.inf
    for place in (tiers.place, pipeline.place):
        with pytest.raises(Infeasible, match="nowhere"):
            place(Row(layer, np.ones((2, 3))))


def every_plan(segments):
    for places in itertools.product([False, True], repeat=len(segments)):
        yield np.array(places)


def spent(segments, places):
    """Give (cost, bytes) step by step, as a message would tell it."""
    total = moved = 0.0
    here, first = False, 0
    for k, place in enumerate([*places, False]):
        if place != here:
            if k > first:
                total += (segments.cloud if here else segments.mobile)[first, k - 1]
            total += (segments.up if place else segments.down)[k]
            moved += segments.sent_bytes[k]
            here, first = place, k
    if first < len(places):
        total += segments.mobile[first, len(places) - 1]
    return total, moved


@st.composite
def chains(draw, most=6):
    n = draw(st.integers(1, most))
    mobile, cloud = (np.triu(draw(arrays(n, n))) for _ in range(2))
    return Segments(mobile, cloud, draw(arrays(n + 1)), draw(arrays(n + 1)), draw(sizes(n + 1)))


@settings(max_examples=80, deadline=None)
@given(chains())
def test_the_shortest_path_is_the_best_of_all_plans(segments):
    def order(places):
        total, moved = spent(segments, places)
        return round(total, 9), moved, int(places.sum())

    found = jointdnn.place(segments)
    assert order(found) == min(map(order, every_plan(segments)))
    assert jointdnn.cost(segments, found) == pytest.approx(spent(segments, found)[0], abs=1e-12)


def energy_of(seconds):
    return seconds.weighted(3.0, 0.5, 2.0, 1.0)


@settings(max_examples=40, deadline=None)
@given(chains(most=6))
def test_the_front_is_all_that_nothing_dominates(seconds):
    joules = energy_of(seconds)
    every = {
        (round(spent(seconds, p)[0], 9), round(spent(joules, p)[0], 9)) for p in every_plan(seconds)
    }
    undominated = sorted(
        a for a in every if not any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in every)
    )
    found = [tuple(round(v, 9) for v in values) for values, _ in pareto.front([seconds, joules])]
    assert found == undominated


@settings(max_examples=25, deadline=None)
@given(chains(most=5), st.integers(0, 40), st.integers(0, 40))
def test_the_program_keeps_to_its_limits(seconds, deadline, cloud):
    n = len(seconds)
    free = np.zeros(n + 1)
    limits = {
        "deadline": Limit(seconds, deadline / 100, "s"),
        "cloud congestion": Limit(
            Segments(np.zeros((n, n)), seconds.cloud, free, free), cloud / 100, "s"
        ),
    }
    joules = energy_of(seconds)
    allowed = [
        (round(spent(joules, p)[0], 9), spent(joules, p)[1], int(p.sum()))
        for p in every_plan(seconds)
        if all(spent(m.costs, p)[0] <= m.at_most + 1e-12 for m in limits.values())
    ]
    if not allowed:
        with pytest.raises(Infeasible, match="no plan keeps to"):
            jointdnn_ilp.place(joules, limits)
        return
    found = jointdnn_ilp.place(joules, limits)
    total, moved = spent(joules, found)
    assert (round(total, 9), moved, int(found.sum())) == min(allowed)


def test_the_error_names_the_limit_that_cannot_be_kept():
    free = np.zeros(3)
    seconds = Segments(
        jointdnn.sums(np.array([4.0, 4.0])), jointdnn.sums(np.ones(2)), free + 1, free + 1
    )
    joules = seconds.weighted(1.0, 9.0, 9.0, 9.0)  # whoever is fast pays
    with pytest.raises(Infeasible, match=r"deadline: expected at most 3 s, .* possible is 4 s$"):
        jointdnn_ilp.place(
            joules, {"battery": Limit(joules, 99.0, "J"), "deadline": Limit(seconds, 3.0, "s")}
        )
    expected = "deadline: expected at most 5 s, .* possible is 8 s within battery 9 J"
    with pytest.raises(Infeasible, match=expected):
        jointdnn_ilp.place(
            seconds, {"battery": Limit(joules, 9.0, "J"), "deadline": Limit(seconds, 5.0, "s")}
        )


@pytest.mark.parametrize(
    "make",
    [
        lambda: Chain(np.ones(2), np.ones(3), np.ones(3)),
        lambda: Chain(np.ones(2), np.ones(2), np.array([1.0, -1.0, 0.0])),
        lambda: Row(np.ones((2, 3)), np.ones((1, 3))),
        lambda: Row(np.array([[np.nan]]), np.ones((0, 2))),
        lambda: Segments(np.ones((2, 2)), np.ones((3, 3)), np.ones(3), np.ones(3)),
        lambda: Segments(-np.ones((2, 2)), np.ones((2, 2)), np.ones(3), np.ones(3)),
    ],
)
def test_what_is_no_problem_is_refused(make):
    with pytest.raises(ValueError, match="expected"):
        make()
