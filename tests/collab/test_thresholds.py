"""Thresholds against a search over all of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ecsim.collab.thresholds import for_accuracy, for_cur

SAMPLES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0]), st.booleans(), st.booleans()),
    min_size=1, max_size=14,
)  # fmt: skip
SHARES = st.sampled_from([0.0, 0.2, 0.25, 0.5, 0.7, 0.95, 1.0])


def outcomes(samples):
    """(uploads, right answers) of every threshold there can be."""
    found = []
    for delta in [-1.0, *{score for score, _, _ in samples}]:
        sent = [score > delta for score, _, _ in samples]
        n_right = sum(c if up else e for up, (_, e, c) in zip(sent, samples, strict=True))
        found.append((sum(sent), n_right))
    return found


def at(threshold, samples):
    sent = [score > threshold for score, _, _ in samples]
    return sum(sent), sum(c if up else e for up, (_, e, c) in zip(sent, samples, strict=True))


@given(SAMPLES, SHARES)
def test_for_cur_uploads_the_most_that_is_allowed(samples, cur):
    threshold = for_cur(np.array([score for score, _, _ in samples]), cur)
    allowed = [n for n, _ in outcomes(samples) if n <= cur * len(samples) + 1e-9]
    assert at(threshold, samples)[0] == max(allowed)


@given(SAMPLES, SHARES)
def test_for_accuracy_uploads_the_least_that_is_enough(samples, accuracy):
    columns = [np.array(column) for column in zip(*samples, strict=True)]
    got = at(for_accuracy(*columns, accuracy), samples)
    n = len(samples)
    enough = [n_up for n_up, n_right in outcomes(samples) if n_right >= accuracy * n - 1e-9]
    if enough:
        assert got[0] == min(enough)
    else:
        best = max(n_right for _, n_right in outcomes(samples))
        assert got == (min(n_up for n_up, right in outcomes(samples) if right == best), best)
