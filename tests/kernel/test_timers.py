"""Time-outs of one length stand behind each other: nobody may notice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecsim.core.errors import StrategyError
from ecsim.kernel import After, Engine, First, Use, World

# few lengths and round services, so that lines are long and many things happen at one time
lengths = st.sampled_from([0.0, 1.0, 1.0, 2.0, 5.0])
branches = st.one_of(
    lengths.map(lambda length: ("timer", length)),
    st.sampled_from([0.0, 1.0, 3.0]).map(lambda seconds: ("use", seconds)),
)
jobs = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 1.0, 2.5]),  # after the one before
        st.lists(st.lists(branches, min_size=1, max_size=3), min_size=1, max_size=3),
    ),
    max_size=12,
)


def history(jobs):
    """Give who was resumed when, in order, and how often the clock's heap was pushed to."""
    world = World()
    engine = Engine(world, "a", "x")
    log = []

    def make(kind, seconds):
        return After(seconds, "timer") if kind == "timer" else Use(engine, seconds, value="use")

    def flow(number, rounds):
        for branches in rounds:
            index, value = yield First(*(make(*branch) for branch in branches))
            log.append((world.now, number, index, value))
            yield After(0.0)

    at = 0.0
    arrivals = []
    for number, (gap, rounds) in enumerate(jobs):
        at += gap
        arrivals.append((at, (number, rounds)))
    world.feed(arrivals, lambda item: world.spawn(flow(*item)))
    world.run()
    assert world.n_done == len(jobs)
    assert not world.timers
    return log


@given(jobs)
def test_a_line_of_timers_fires_like_timers_on_the_heap(jobs):
    expected = pytest.MonkeyPatch()
    with expected.context() as patch:
        patch.setattr(After, "start_in_line", After.start)
        alone = history(jobs)
    assert history(jobs) == alone


def timed(world, log, name, seconds, until=None):
    """Flow that waits for a time-out, which another timer may end before."""
    index, _ = yield First(After(seconds), *([] if until is None else [After(until)]))
    log.append((world.now, name, index))


def test_only_the_first_of_a_length_is_on_the_heap():
    world, log = World(), []
    for number in range(50):
        world.spawn(timed(world, log, number, 3.0))
    assert len(world.queue) == 1
    world.run()
    assert log == [(3.0, number, 0) for number in range(50)]


@pytest.mark.parametrize("gone", [{0}, {1, 2}, {0, 1}, {3}, {0, 3}, {0, 1, 2, 3}])
def test_those_that_gave_up_are_passed_over(gone):
    """The k-th begins at k s and waits for 10 s; some give up after a quarter of a second."""
    world, log = World(), []

    def begin(number):
        world.spawn(timed(world, log, number, 10.0, 0.25 if number in gone else None))

    world.feed([(float(number), number) for number in range(4)], begin)
    world.run()
    given_up = [(number + 0.25, number, 1) for number in sorted(gone)]
    assert sorted(log) == sorted(
        given_up + [(number + 10.0, number, 0) for number in range(4) if number not in gone]
    )
    # the last who waits ends the run: no entry of one that gave up moves the clock
    assert world.now == log[-1][0]


def test_a_timer_of_the_same_length_may_be_set_as_one_fires():
    world, ends = World(), []

    def again():
        for _ in range(3):
            yield First(After(2.0))
            ends.append(world.now)

    world.spawn(again())
    world.run()
    assert ends == [2.0, 4.0, 6.0]
    assert not world.timers


def test_a_line_survives_a_run_in_pieces_and_step_by_step():
    logs = []
    for way in ("at once", "in pieces", "in steps"):
        world, log = World(), []
        for number in range(4):
            until = 0.5 if number % 2 else None
            world.spawn(timed(world, log, number, 1.0 + number // 2, until))
        if way == "at once":
            world.run()
        elif way == "in pieces":
            for t in range(1, 20):
                world.run_until(0.25 * t)
        else:
            while world.peek() < float("inf"):
                try:
                    world.step()
                except Exception as error:  # SimPy's: only stale entries were left
                    assert type(error).__name__ == "EmptySchedule"
        logs.append(log)
    assert logs[0] == [(0.5, 1, 1), (0.5, 3, 1), (1.0, 0, 0), (2.0, 2, 0)]
    assert logs[0] == logs[1] == logs[2]


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_time_out_that_is_no_time_is_refused_at_the_yield(seconds):
    world, caught = World(), []

    def flow():
        try:
            yield First(After(seconds))
        except StrategyError as error:
            caught.append(str(error))

    world.spawn(flow())
    world.run()
    assert len(caught) == 1 and "seconds to wait" in caught[0]
    assert not world.timers


def test_a_timer_serves_once_in_a_line_too():
    world, caught = World(), []
    timer = After(1.0)

    def flow():
        yield First(timer)
        try:
            yield First(timer)
        except StrategyError as error:
            caught.append(str(error))

    world.spawn(flow())
    world.run()
    assert "one yield" in caught[0]
