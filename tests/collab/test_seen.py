"""What a device infers from its own messages."""

import numpy as np
import pytest

from ecsim.collab.seen import Seen
from ecsim.partition.graph import Vertex, chain
from ecsim.partition.problem import Hop, PartitionProblem, estimate

HOP = Hop(8e6, 8e6, up_s=0.010, down_s=0.020)


def seen(weight=0.5):
    return Seen((HOP,), 2, weight)


def problem():
    graph = chain([Vertex("input", "input"), Vertex("a", "relu")])
    tables = np.ones((2, 2)), np.zeros((2, 2)), np.zeros(2), np.zeros(2)
    return PartitionProblem(graph, ("d", "c"), *tables, (HOP,), np.array([1000.0, 1.0]))


def test_rates_are_weighted_means_of_seconds_per_bit_without_propagation():
    link = seen()
    link.sent(0, True, 1000.0, 0.010 + 8000 / 4e6, now=3.0)  # 4 Mbit/s, promised were 8
    assert 1.0 / link.s_per_bit[0, 0] == pytest.approx(8e6 * 2 / 3)
    assert link.s_per_bit[0, 1] == 1.0 / 8e6
    assert link.heard_s == 3.0
    link.sent(0, False, 0.0, 5.0, now=4.0)  # an empty message tells no rate
    assert link.s_per_bit[0, 1] == 1.0 / 8e6


def test_a_lost_message_shuts_the_link_until_one_comes_through():
    link = seen()
    before = link.snapshot()
    link.lost(0)
    assert link.change(before, 1.0) == np.inf
    shut = estimate(link.applied(problem()), (0, 1)).latency_s
    assert shut > 1e100
    assert estimate(link.applied(problem()), (0, 0)).latency_s == 2.0
    assert link.change(link.snapshot(), 1.0) == 0.0
    link.sent(0, True, 1000.0, 0.010 + 8000 / 4e6, now=1.0)
    assert 1.0 / link.s_per_bit[0, 0] == pytest.approx(4e6)


def test_waits_at_other_nodes_are_added_to_their_calls():
    link = seen()
    link.waited(1, 0.4)
    link.waited(0, 9.0)  # the device's own queue is what it plans for
    assert link.wait_s.tolist() == [0.0, 0.2]
    plain, busy = problem(), link.applied(problem())
    assert estimate(busy, (0, 1)).latency_s == pytest.approx(
        estimate(plain, (0, 1)).latency_s + 0.2
    )
    assert link.change((link.s_per_bit, np.zeros(2)), scale_s=0.5) == pytest.approx(0.4)


def test_a_change_is_the_larger_ratio_in_either_direction():
    slow, fast = seen(1.0), seen(1.0)
    slow.sent(0, True, 1000.0, 0.010 + 8000 / 2e6, now=1.0)
    fast.sent(0, True, 1000.0, 0.010 + 8000 / 32e6, now=1.0)
    promised = seen().snapshot()
    assert slow.change(promised, 1.0) == pytest.approx(3.0)
    assert fast.change(promised, 1.0) == pytest.approx(3.0)
