import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsim.collab.drift import DriftWatch, PageHinkley


def brute_force(values, tolerance, threshold, least):
    """Page-Hinkley as its definition reads, over all numbers since the last detection."""
    found, start = [], 0
    for end in range(1, len(values) + 1):
        seen = np.array(values[start:end])
        means = np.cumsum(seen) / np.arange(1, len(seen) + 1)
        sums = np.cumsum(seen - means - tolerance)
        if len(seen) >= least and sums[-1] - min(0.0, sums.min()) > threshold:
            found.append(end - 1)
            start = end
    return found


@settings(max_examples=60)
@given(st.integers(0, 2**31 - 1), st.floats(0.0, 0.2), st.floats(0.5, 4.0), st.integers(1, 20))
def test_agrees_with_its_definition(seed, tolerance, threshold, least):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.uniform(0, 0.4, 60), rng.uniform(0.5, 1, 30)]).tolist()
    test = PageHinkley(tolerance, threshold, least)
    found = [i for i, x in enumerate(values) if test.sees(x)]
    assert found == brute_force(values, tolerance, threshold, least)


def test_a_constant_never_drifts_and_a_fall_is_no_rise():
    test = PageHinkley(0.0, 1.0, 1)
    assert not any(test.sees(0.7) for _ in range(1000))
    assert not any(test.sees(0.1) for _ in range(1000))


def test_delay_and_false_alarms():
    marks, fired = [], []
    test = PageHinkley(0.05, 1.0, 5)
    watch = DriftWatch(
        test, [100.0, 200.0], lambda: fired.append(1), lambda *mark: marks.append(mark)
    )
    for t in range(400):
        # a rise that is no change at 50, the change at 100, none seen of the one at 200, one at 300
        high = 50 <= t < 58 or 100 <= t < 110 or 300 <= t < 310
        watch.see(0.9 if high else 0.1, float(t))
    names = [name for name, _ in marks]
    assert names == ["drift_false_alarm", "drift_delay_s", "drift_delay_s"]
    assert 0 <= marks[1][1] < 6 and 100 <= marks[2][1] < 106
    assert len(fired) == 3
    watch.end(400.0)
    assert marks[-1] == ("drift_missed", 0.0)


def test_changes_without_a_detection_before_the_next_are_missed():
    marks = []
    watch = DriftWatch(
        PageHinkley(0.05, 1.0, 5), [50.0, 100.0, 200.0], lambda: None, lambda *m: marks.append(m)
    )
    for t in range(300):
        watch.see(0.9 if 100 <= t < 110 else 0.1, float(t))
    watch.end(300.0)  # that of 50 and that of 200
    assert [name for name, _ in marks] == ["drift_delay_s", "drift_missed"]
    assert marks[-1][1] == 2.0
