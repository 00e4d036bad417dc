from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecsim.core.errors import UserError
from ecsim.streams.schedule import ClassIncremental, class_order, split_classes

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "ecc_class_splits.npz"


def scheduled(n=10, seed=2025, **params):
    return ClassIncremental(ClassIncremental.Params(**params), n, seed)


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not here")
def test_published_splits():
    vectors = np.load(VECTORS)
    names = {key.removesuffix("_class_order") for key in vectors if key.endswith("_class_order")}
    assert len(names) >= 5
    for name in names:
        order = vectors[f"{name}_class_order"].tolist()
        sizes = vectors[f"{name}_cpertask"].tolist()
        base = int(name.split("_B")[1].split("_")[0]) if "_B" in name else 0
        assert list(class_order(len(order), 2025)) == order
        assert list(split_classes(len(order), base, n_tasks=len(sizes))) == sizes
        starts = [0, *accumulate(sizes)][:-1]
        assert starts == vectors[f"{name}_init_class"].tolist()


def test_published_groups_by_increment():
    # B-50 Inc-10 on 100 classes is six tasks of the same order
    groups = scheduled(n=100, base_classes=50, increment=10).groups
    assert [len(group) for group in groups] == [50, 10, 10, 10, 10, 10]
    assert groups[0][:4] == (49, 77, 61, 69)


@given(st.integers(2, 60), st.integers(0, 60), st.integers(1, 20), st.integers(0, 2**31 - 1))
def test_every_class_is_in_one_group_and_arrives(n, base, increment, seed):
    if base >= n or (base == 0 and increment >= n):
        with pytest.raises(UserError):
            scheduled(n, seed, base_classes=base, increment=increment)
        return
    schedule = scheduled(n, seed, base_classes=base, increment=increment)
    flat = [label for group in schedule.groups for label in group]
    assert sorted(flat) == list(range(n))
    assert all(len(group) == increment for group in schedule.groups[1:-1])
    assert 1 <= len(schedule.groups[-1]) <= increment
    assert schedule.n_phases == len(schedule.groups)
    assert list(schedule.update_phases) == list(range(schedule.n_phases - 1))
    seen = set(schedule.groups[0])
    for phase in range(schedule.n_phases):
        new = set(schedule.new_in(phase))
        assert set(schedule.classes_in(phase)) == seen | new and not seen & new
        assert bool(new) == (phase in schedule.update_phases)
        seen |= new
    assert seen == set(range(n))


def test_whole_shows_all_classes_from_the_start():
    schedule = scheduled(base_classes=4, increment=2, classes="whole")
    for phase in range(schedule.n_phases):
        assert sorted(schedule.classes_in(phase)) == list(range(10))
    assert sorted(schedule.new_in(0)) == sorted(set(range(10)) - set(schedule.groups[0]))
    assert schedule.new_in(1) == ()


@pytest.mark.parametrize(
    ("params", "key"),
    [
        ({"base_classes": 12, "increment": 2}, "base_classes"),
        ({"base_classes": 10, "increment": 2}, "base_classes"),
        ({"base_classes": 0, "increment": 10}, "increment"),
    ],
)
def test_impossible_splits_name_the_key(params, key):
    with pytest.raises(UserError, match=f"^{key}:"):
        scheduled(**params)


def test_a_phase_that_does_not_exist():
    with pytest.raises(IndexError):
        scheduled(base_classes=4, increment=2).classes_in(4)
