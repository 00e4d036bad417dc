import numpy as np
import pytest

from ecsim.collab.buffer import Buffer
from ecsim.core.types import ModelRef, Prediction, Work

CLOUD = ModelRef("cloud", 0, "k", (7, 8, 9), 0)


def answer(*logits):
    row = np.array(logits, np.float32)
    return Prediction(CLOUD.classes[int(row.argmax())], row, 0.5, Work(), CLOUD)


def flush(kept):
    batch = kept.batch()
    if batch is not None:
        kept.discard(batch.sample_ids.tolist())
    return batch


def buffer(capacity, on_full=None, seed=0):
    return Buffer(capacity, np.random.default_rng(seed), on_full)


def test_flush_gives_what_was_kept_by_sample_and_starts_anew():
    kept = buffer(10)
    kept.put(5, answer(1, 0, 0))
    kept.put(2, answer(0, 0, 1))
    kept.put(5, answer(0, 2, 0))  # the latest answer wins
    batch = flush(kept)
    assert batch.sample_ids.tolist() == [2, 5]
    assert batch.labels.tolist() == [9, 8]
    assert batch.logits.tolist() == [[0, 0, 1], [0, 2, 0]]
    assert batch.classes == (7, 8, 9)
    assert len(kept) == 0
    assert flush(kept) is None


def test_a_full_buffer_tells_and_keeps_its_size():
    told = []
    kept = buffer(2, lambda: told.append(len(kept)))
    kept.put(1, answer(1, 0, 0))
    assert told == []
    kept.put(1, answer(0, 1, 0))  # nothing new
    assert told == []
    kept.put(2, answer(1, 0, 0))
    kept.put(3, answer(1, 0, 0))
    assert told == [2, 2]
    assert len(kept) == 2


def test_no_capacity_keeps_nothing():
    kept = buffer(0)
    kept.put(1, answer(1, 0, 0))
    assert len(kept) == 0
    assert flush(kept) is None


def test_reservoir_keeps_each_sample_equally_often():
    """Binomial counts: |z| <= 5.5 over 20 samples has a false-alarm rate below 1e-6."""
    n, capacity, repeats = 20, 5, 4000
    counts = np.zeros(n)
    rng = np.random.default_rng(1)
    for _ in range(repeats):
        kept = Buffer(capacity, rng)
        for sample in range(n):
            kept.put(sample, answer(1, 0, 0))
        counts[flush(kept).sample_ids] += 1
    share = capacity / n
    z = (counts - repeats * share) / np.sqrt(repeats * share * (1 - share))
    assert np.abs(z).max() < 5.5
    assert counts.sum() == repeats * capacity


def test_a_sample_offered_often_is_kept_no_more_often():
    """Ten of 20 samples come five times each; each is kept with probability 1/4 (|z| <= 5.5)."""
    n, capacity, repeats = 20, 5, 3000
    counts = np.zeros(n)
    rng = np.random.default_rng(2)
    for _ in range(repeats):
        kept = Buffer(capacity, rng)
        for sample in rng.permutation(np.r_[np.arange(n), np.repeat(np.arange(10), 4)]).tolist():
            kept.put(sample, answer(1, 0, 0))
        counts[flush(kept).sample_ids] += 1
    often, once = counts[:10].sum(), counts[10:].sum()
    z = (often - once) / np.sqrt(repeats * capacity)
    # those that come often tend to come first, and the first are as likely to stay as the last
    assert abs(z) < 5.5


def test_what_is_not_discarded_stays_for_the_next_batch():
    kept = buffer(10)
    for sample in (1, 2, 3):
        kept.put(sample, answer(sample, 0, 0))
    kept.discard([1, 3])
    assert kept.batch().sample_ids.tolist() == [2]
    kept.put(1, answer(9, 0, 0))
    assert kept.batch().sample_ids.tolist() == [1, 2]


def test_reservoir_and_answers_stay_together():
    kept = buffer(3, seed=4)
    for sample in range(50):
        kept.put(sample, answer(sample, 0, 0))
    batch = flush(kept)
    assert batch.logits[:, 0].tolist() == pytest.approx(batch.sample_ids.tolist())
