"""Thresholds against a search over all of them."""

from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ecsim.collab.filters import Filter, Filtered
from ecsim.collab.thresholds import for_accuracy, for_cur, for_error

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


@given(SAMPLES, SHARES)
def test_for_error_uploads_the_least_at_which_few_own_answers_are_wrong(samples, error):
    columns = [np.array(column) for column in zip(*samples, strict=True)]
    threshold = for_error(columns[0], columns[1], error)

    def uploads_and_wrong(delta):
        kept = [right for score, right, _ in samples if score <= delta]
        return len(samples) - len(kept), kept.count(False), len(kept)

    allowed = [
        uploads
        for delta in [-1.0, *{score for score, _, _ in samples}]
        for uploads, wrong, n_kept in [uploads_and_wrong(delta)]
        if wrong <= error * n_kept + 1e-9
    ]
    assert uploads_and_wrong(threshold)[0] == min(allowed)


def test_for_error_of_nothing_uploads_everything():
    assert for_error(np.empty(0), np.empty(0, bool), 0.1) < 0


def test_an_error_is_of_the_classes_that_the_version_knows():
    model = SimpleNamespace(key="v1", classes=(0, 1))
    logits = np.array([[9.0, 0.0], [0.0, 6.0], [3.0, 0.0], [8.0, 0.0]])  # the last is of class 2
    mine = SimpleNamespace(logits=logits, is_right=np.array([True, True, False, False]))
    seen = SimpleNamespace(of=lambda _: mine, labels=np.array([0, 1, 1, 2]), heads_of=None)
    filter = Filter(Filtered(filter="margin", threshold={"error": 0.1}))
    filter.prepare(seen)
    threshold = filter.threshold(model)
    scores = [filter._scores(model, row[None])[0] for row in logits]
    # answers 0 and 1 are kept; 3 is wrong too, but nobody could know its class
    assert [score > threshold for score in scores] == [False, False, True, False]
