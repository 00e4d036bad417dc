from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecsim.core.errors import UserError
from ecsim.core.randomness import Streams
from ecsim.streams.decks import Deck, allocate


@given(st.integers(1, 30), st.integers(0, 100), st.integers(0, 2**31 - 1))
def test_every_sample_once_per_round(n, draws, seed):
    ids = np.arange(n) * 7
    deck = Deck(ids, Streams(seed)("deck"))
    drawn = [deck.draw() for _ in range(draws)]
    for start in range(0, draws - n + 1, n):
        assert sorted(drawn[start : start + n]) == ids.tolist()
    counts = Counter(drawn)
    assert max(counts.values(), default=0) - min(counts[i] for i in ids.tolist()) <= 1


def test_rounds_differ():
    deck = Deck(np.arange(50), Streams(0)("deck"))
    first, second = ([deck.draw() for _ in range(50)] for _ in range(2))
    assert first != second != list(range(50)) != first


def test_a_deck_is_not_empty():
    with pytest.raises(ValueError, match="at least one"):
        Deck(np.empty(0, dtype=int), Streams(0)("deck"))


@given(
    st.lists(st.integers(6, 25), min_size=1, max_size=5),
    st.integers(1, 6),
    st.integers(0, 2**31 - 1),
)
def test_disjoint_shares_nothing_and_every_class_with_all(sizes, n_devices, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    samples = np.flatnonzero(np.arange(len(labels)) >= 0)
    devices = [f"cam[{i}]" for i in range(n_devices)]
    hands = allocate(samples, labels, devices, "disjoint", Streams(seed))
    assert sorted(np.concatenate([hands[d] for d in devices]).tolist()) == samples.tolist()
    for label in range(len(sizes)):
        got = [int((labels[hands[d]] == label).sum()) for d in devices]
        assert min(got) >= 1 and max(got) - min(got) <= 1
    sizes_dealt = [len(hands[d]) for d in devices]
    assert max(sizes_dealt) - min(sizes_dealt) <= 1


def test_shared_gives_everyone_everything():
    hands = allocate(np.arange(9), np.zeros(9, dtype=int), ["a", "b"], "shared", Streams(0))
    assert hands["a"].tolist() == hands["b"].tolist() == list(range(9))


def test_too_many_devices_for_a_class():
    labels = np.array([0, 0, 0, 1, 1])
    with pytest.raises(UserError, match="class 1 has 2"):
        allocate(np.arange(5), labels, ["a", "b", "c"], "disjoint", Streams(0))
