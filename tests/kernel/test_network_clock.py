"""Work clocks against sums by hand and against small steps."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsim.core.errors import UserError
from ecsim.kernel.clock import Steps, WorkClock


def test_a_job_that_crosses_pieces_by_hand():
    clock = WorkClock([0.0, 10.0, 20.0], [8.0, 0.0, 2.0])
    assert clock.end(1.0, 8.0) == 2.0
    assert clock.end(9.0, 8.0) == 10.0  # ends with the piece, not after the pause
    assert clock.end(9.0, 9.0) == 20.5
    assert clock.end(12.0, 0.0) == 12.0  # no work needs no rate
    assert clock.end(12.0, 2.0) == 21.0
    assert clock.end(1000.0, 2.0) == 1001.0
    assert clock.work(9.0, 20.5) == 9.0
    assert clock.work(10.0, 20.0) == 0.0
    assert clock.work(0.0, 22.0) == 84.0


def test_a_repeating_rate_by_hand():
    clock = WorkClock([0.0, 1.0], [4.0, 0.0], period_s=3.0)  # 4 per 3 s
    assert clock.end(0.0, 4.0) == 1.0
    assert clock.end(0.0, 5.0) == 3.25
    assert clock.end(2.5, 8.0) == 7.0  # two whole turns: the end is not after the pause
    assert clock.end(0.5, 4.0 * 1000 + 1.0) == 3000.75
    assert clock.end(6.25, 1.0) == 6.5
    assert clock.work(0.5, 3000.75) == 4001.0
    assert clock.at(7.0) == 0.0 and clock.at(6.0) == 4.0
    assert clock.mean() == pytest.approx(4.0 / 3.0)
    assert WorkClock([0.0, 1.0, 3.0], [4.0, 1.0, 9.0]).mean() == 2.0
    assert WorkClock([0.0], [4.0]).mean() == 4.0


pieces = st.lists(
    st.tuples(st.floats(0.01, 5.0), st.one_of(st.just(0.0), st.floats(0.01, 100.0))),
    min_size=1,
    max_size=6,
)


works = st.one_of(st.just(0.0), st.floats(1e-6, 500.0))


@settings(max_examples=200)
@given(pieces, st.booleans(), st.floats(0.0, 50.0), works, works)
def test_end_is_the_inverse_of_work_and_rises(given_pieces, repeats, begin, work, more):
    lengths, rates = zip(*given_pieces, strict=True)
    times = [math.fsum(lengths[:i]) for i in range(len(lengths))]
    rates = [*rates[:-1], rates[-1] or 1.0]
    clock = WorkClock(times, rates, math.fsum(lengths) if repeats else None)
    end = clock.end(begin, work)
    assert begin <= end <= clock.end(begin, work + more) * (1 + 1e-12)
    assert clock.work(begin, end) == pytest.approx(work, rel=1e-9, abs=1e-9)
    middle = clock.end(begin, work / 2.0)
    # in halves: the same work, though an end at the brink of a pause may fall on its other side
    assert clock.work(begin, clock.end(middle, work / 2.0)) == pytest.approx(
        work, rel=1e-9, abs=1e-9
    )


@settings(max_examples=50)
@given(pieces, st.floats(0.0, 20.0))
def test_work_equals_a_sum_of_small_steps(given_pieces, begin):
    lengths, rates = zip(*given_pieces, strict=True)
    times = [math.fsum(lengths[:i]) for i in range(len(lengths))]
    period = math.fsum(lengths)
    if not any(rates):
        rates = [1.0] * len(rates)
    clock = WorkClock(times, rates, period)
    n = 4000
    step = 20.0 / n
    total = math.fsum(clock.at(begin + (i + 0.5) * step) for i in range(n)) * step
    switches = 20.0 / min(lengths) + len(lengths)
    assert clock.work(begin, begin + 20.0) == pytest.approx(total, abs=100.0 * step * switches)


def test_errors_of_clocks():
    for times, values, period, words in (
        ([], [], None, "a value for each time"),
        ([0.0, 1.0], [1.0], None, "a value for each time"),
        ([1.0], [1.0], None, "first piece at 0 s"),
        ([0.0, 2.0, 1.0], [1.0] * 3, None, r"times that rise, got 1.0 s after 2.0 s \(piece 2\)"),
        ([0.0, 1.0, 1.0], [1.0] * 3, None, "times that rise"),
        ([0.0, math.nan], [1.0] * 2, None, "times that rise"),
        ([0.0, 1.0], [1.0, -1.0], None, r">= 0, got -1.0 \(piece 1\)"),
        ([0.0], [math.nan], None, "finite values"),
        ([0.0, 1.0], [1.0, 2.0], 1.0, "a period beyond the last piece"),
    ):
        with pytest.raises(UserError, match=words):
            Steps(times, values, period)
    with pytest.raises(UserError, match=r"zero for ever from 1.0 s on"):
        WorkClock([0.0, 1.0], [1.0, 0.0])
    with pytest.raises(UserError, match="zero throughout"):
        WorkClock([0.0, 1.0], [0.0, 0.0], 2.0)
