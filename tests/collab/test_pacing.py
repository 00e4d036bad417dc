"""The bucket against a fluid bound, the controller against the sum of its own steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecsim.collab.pacing import Bucket, Budget, Controller, TokenBucket

GAPS = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 4.0]), min_size=1, max_size=40)


@given(GAPS, st.sampled_from([0.0, 0.5, 2.0]), st.sampled_from([1.0, 2.5]))
def test_in_no_stretch_of_time_more_are_taken_than_came(gaps, rate, burst):
    bucket = TokenBucket(Bucket(rate=rate, burst=burst))
    times = np.cumsum(gaps)
    taken = [t for t in times.tolist() if bucket.take(t)]
    for i, start in enumerate(taken):
        for n, end in enumerate(taken[i:], start=1):
            assert n <= burst + rate * (end - start) + 1e-9
    assert taken[0] == times[0]  # it is full at the start


def test_tokens_by_hand():
    bucket = TokenBucket(Bucket(rate=0.5, burst=2))
    times = (0, 0, 0, 1, 2, 3, 3.5, 100, 100, 100)
    assert [bucket.take(t) for t in times] == [
        True, True, False, False, True, False, False, True, True, False,
    ]  # fmt: skip


def test_the_mean_cost_comes_to_the_budget():
    """A task costs 1 where it is uploaded, 0.1 where not; its score is uniform."""
    rng = np.random.default_rng(2)
    controller = Controller(Budget(latency=0.4, gain=0.02), 0.9)
    n, costs = 4000, []
    first = controller.threshold
    for score in rng.random(n):
        costs.append(1.0 if score > controller.threshold else 0.1)
        controller.measure(costs[-1])
    # no end was met, so the steps add up: an exact identity, to the last bits of a sum
    miss = (controller.threshold - first) / (0.02 * n)
    assert np.mean(costs) == pytest.approx(0.4 * (1 + miss), rel=1e-9)
    assert abs(miss) < 0.02
    # P(upload) = 1 - threshold; 0.1 + 0.9 (1 - threshold) = 0.4; 5 standard deviations of .02
    assert controller.threshold == pytest.approx(2 / 3, abs=0.25)


def test_a_budget_that_cannot_be_kept_or_used_up_ends_at_an_end():
    for cost, end in ((3.0, 1.0), (0.1, 0.0)):
        controller = Controller(Budget(energy=1.0, gain=0.1), 0.5)
        for _ in range(50):
            controller.measure(cost)
        assert controller.threshold == end
        controller.measure(1.5)
        assert controller.threshold == min(1.0, end + 0.05)  # nothing was wound up meanwhile
