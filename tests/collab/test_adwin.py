import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsim.collab.adwin import Adwin


def differs(older, newer, delta):
    """Give by how much the newer part lies above, 0 where the bound says that they are alike."""
    window = np.concatenate([older, newer])
    m = 1 / (1 / len(older) + 1 / len(newer))
    spread = np.log(2 * max(np.log(len(window)), 1) / delta)
    bound = np.sqrt(2 / m * window.var() * spread) + 2 / (3 * m) * spread
    rise = np.mean(newer) - np.mean(older)
    return rise if abs(rise) > bound else 0.0


def brute_force(values, delta, least, per_size):
    """ADWIN2 on buckets that hold all their numbers; gives detections and windows' lengths."""
    buckets, found, lengths, n_since = [], [], [], 0
    for i, x in enumerate(values):
        buckets.append([x])
        n_since += 1
        size = 1
        while True:
            alike = [k for k, bucket in enumerate(buckets) if len(bucket) == size]
            if len(alike) <= per_size:
                break
            k = alike[0]
            buckets[k : k + 2] = [buckets[k] + buckets[k + 1]]
            size *= 2
        has_risen, shrinks = False, True
        while shrinks:
            shrinks = False
            for cut in range(1, len(buckets)):
                older, newer = (np.concatenate(part) for part in (buckets[:cut], buckets[cut:]))
                rise = differs(older, newer, delta)
                if rise:
                    has_risen |= rise > 0
                    shrinks = True
                    del buckets[0]
                    break
        if has_risen and n_since >= least:
            found.append(i)
            n_since = 0
        lengths.append(sum(map(len, buckets)))
    return found, lengths


def run(test, values):
    found, lengths = [], []
    for i, x in enumerate(values):
        if test.sees(x):
            found.append(i)
        lengths.append(len(test))
    return found, lengths


def steps(seed, levels, n):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.uniform(low, low + 0.3, n) for low in levels]).tolist()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    levels=st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.7]), min_size=2, max_size=4),
    delta=st.sampled_from([0.002, 0.05, 0.3]),
    least=st.integers(1, 25),
    per_size=st.sampled_from([1, 2, 5, 200]),
)
def test_agrees_with_windows_that_keep_every_number(seed, levels, delta, least, per_size):
    """With 200 buckets of a size each bucket is one number, and every cut is looked at."""
    values = steps(seed, levels, 40)
    assert run(Adwin(delta, least, per_size), values) == brute_force(values, delta, least, per_size)


@pytest.mark.parametrize("per_size", [1, 2, 5])
def test_the_histogram_is_exponential(per_size):
    test = Adwin(1e-9, 10, per_size)
    rng = np.random.default_rng(1)
    for n in range(1, 400):
        test.sees(float(rng.random()))
        sizes = test.sizes
        assert sum(sizes) == n
        assert sizes == sorted(sizes, reverse=True)
        assert all(size & (size - 1) == 0 for size in sizes)
        assert max(sizes.count(size) for size in sizes) <= per_size
        assert len(sizes) <= per_size * (np.log2(n / per_size + 1) + 1) + 1


def test_false_alarms_are_rarer_than_delta_per_number():
    """5000 numbers of one law: at most delta 5000 = 10 cuts by the bound; none are seen."""
    values = np.random.default_rng(3).random(5000).tolist()
    found, lengths = run(Adwin(0.002, 10), values)
    assert len(found) <= 10
    assert lengths[-1] > 2500


def test_a_fall_shortens_the_window_and_is_no_detection():
    values = steps(2, [0.7, 0.1], 100)
    found, lengths = run(Adwin(0.002, 10), values)
    assert found == []
    assert max(lengths) < lengths[-1] + 80  # the window lost most of the high numbers


def test_a_larger_rise_is_found_sooner():
    delays = []
    for level in (0.2, 0.4, 0.7):
        found, _ = run(Adwin(0.002, 10), steps(5, [0.0, level], 150))
        delays.append(found[0] - 150)
    assert delays[0] > delays[1] > delays[2] >= 0
