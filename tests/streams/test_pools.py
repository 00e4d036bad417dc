import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecsim.core.errors import UserError
from ecsim.streams.pools import NAMES, split

SHARES = {"cloud": 0.4, "stream": 0.35, "validation": 0.1, "probe": 0.15}


def pooled(pools):
    return [getattr(pools, name) for name in NAMES]


@given(st.lists(st.integers(20, 60), min_size=1, max_size=6), st.integers(0, 2**31 - 1))
def test_disjoint_complete_and_stratified(sizes, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    parts = pooled(split(labels, SHARES, seed))
    together = np.concatenate(parts)
    assert sorted(together.tolist()) == list(range(len(labels)))
    for share, part in zip(SHARES.values(), parts, strict=True):
        assert (np.diff(part) > 0).all()
        for label, size in enumerate(sizes):
            assert abs((labels[part] == label).sum() - share * size) < 1 + 1e-9


def test_shares_below_one_leave_samples_out():
    labels = np.zeros(100, dtype=int)
    pools = split(labels, {"cloud": 0.1, "stream": 0.2}, 3)
    assert [len(part) for part in pooled(pools)] == [10, 20, 0, 0]


def test_the_seed_decides_and_another_class_changes_nothing():
    labels = np.repeat([0, 1], 50)
    more = np.repeat([0, 1, 2], 50)
    first = pooled(split(labels, SHARES, 1))
    assert all(map(np.array_equal, first, pooled(split(labels, SHARES, 1))))
    assert not np.array_equal(first[0], split(labels, SHARES, 2).cloud)
    # each class is shuffled by itself
    assert not np.array_equal(first[0][first[0] < 50], first[0][first[0] >= 50] - 50)
    with_third = split(more, SHARES, 1).cloud
    assert np.array_equal(first[0], with_third[with_third < 100])


@pytest.mark.parametrize(
    "shares",
    [{"cloud": 0.9, "stream": 0.2}, {"cloud": -0.1}, {"clouds": 0.5}],
)
def test_shares_that_do_not_fit(shares):
    with pytest.raises(UserError, match="pools"):
        split(np.zeros(50, dtype=int), shares, 0)


def test_a_class_too_small_for_a_pool_is_named():
    labels = np.array([0] * 50 + [1] * 2)
    with pytest.raises(UserError, match="class 1 has 2 samples"):
        split(labels, SHARES, 0)


def test_the_published_test_part_is_the_probe_pool_and_nothing_else():
    labels = np.arange(300) % 3
    test = np.arange(240, 300)
    pools = split(labels, {"cloud": 0.5, "stream": 0.5}, 4, test=test)
    assert np.array_equal(pools.probe, test)
    rest = np.concatenate([pools.cloud, pools.stream])
    assert sorted(rest.tolist()) == list(range(240)) and len(pools.validation) == 0
    few = split(labels, {"cloud": 0.5, "stream": 0.5}, 4, test=test, n_samples=60, n_test=15)
    assert len(few.cloud) == len(few.stream) == 30 and len(few.probe) == 15
    assert set(few.probe) <= set(test) and not set(few.cloud) & set(test)
    for part in (few.cloud, few.stream, few.probe):
        assert np.bincount(labels[part]).tolist() == [len(part) // 3] * 3
