"""Flows, joins, signals and the run loop: order, time and errors, by hand."""

from __future__ import annotations

import math

import pytest
import simpy

from ecsim.core.errors import StrategyError
from ecsim.kernel import (
    After,
    All,
    FifoServer,
    First,
    Ledger,
    Mailbox,
    Operation,
    Signal,
    Use,
    World,
)


@pytest.fixture
def world():
    return World()


def test_operations_are_inert_until_yielded(world):
    server = FifoServer(world, "s")
    results = []

    def serve():
        early = Use(server, 5.0)
        yield After(2.0)
        assert server.n_jobs == 0
        results.append((yield early))
        results.append(world.now)

    world.spawn(serve())
    world.run()
    assert results == [None, 7.0]


def test_values_come_back_and_the_return_value_is_the_flows(world):
    server = FifoServer(world, "s")
    done = []

    def serve():
        first = yield Use(server, 1.0, value="a")
        second = yield After(1.0, "b")
        return first + second

    flow = world.spawn(serve(), on_done=done.append, item="task 1")
    assert not flow.is_done
    world.run()
    assert done == [flow] and flow.is_done
    assert (flow.value, flow.item, flow.id, world.n_spawned, world.n_done) == (
        "ab", "task 1", 1, 1, 1,
    )  # fmt: skip


def test_fifo_order_waits_and_statistics(world):
    server = FifoServer(world, "s")
    ends = []
    ledgers = [Ledger(2), Ledger(2)]

    def serve(seconds):
        yield Use(server, seconds, joules=seconds, stage=1)
        ends.append(world.now)

    world.spawn(serve(3.0), ledgers[0])
    world.spawn(serve(2.0), ledgers[1])
    assert (server.backlog_s(), server.free_at()) == (5.0, 5.0)
    world.run()
    assert ends == [3.0, 5.0]
    assert ledgers[0].wait_s == [0.0, 0.0] and ledgers[1].wait_s == [0.0, 3.0]
    assert ledgers[1].service_s == [0.0, 2.0] and ledgers[1].joules == [0.0, 2.0]
    assert (server.n_jobs, server.work_s, server.wait_s) == (2, 5.0, 3.0)


def test_two_servers_serve_two_at_once(world):
    server = FifoServer(world, "s", n_servers=2)
    ends = []

    def serve(seconds):
        yield Use(server, seconds)
        ends.append((seconds, world.now))

    for seconds in (4.0, 1.0, 2.0, 5.0):  # the third begins at 1, the fourth at 3
        world.spawn(serve(seconds))
    world.run()
    assert ends == [(1.0, 1.0), (2.0, 3.0), (4.0, 4.0), (5.0, 8.0)]


def test_all_gives_values_in_order_of_branches(world):
    server = FifoServer(world, "s")
    ledger = Ledger()

    def branch():
        yield After(1.0)
        yield Use(server, 1.0, joules=2.0)
        return "generator"

    def serve():
        values = yield All(After(5.0, "slow"), branch(), world.timeout(3.0, "event"), All())
        assert world.now == 5.0
        return values

    flow = world.spawn(serve(), ledger)
    world.run()
    assert flow.value == ["slow", "generator", "event", []]
    assert ledger.joules == [2.0]  # the branch charges the parent's ledger


def test_first_gives_index_and_value_and_wastes_the_loser(world):
    server = FifoServer(world, "s")
    ledger = Ledger()
    closed = []

    def loser():
        try:
            yield Use(server, 10.0, joules=30.0, value="too late")
        finally:
            closed.append(world.now)

    def serve():
        yield Use(server, 1.0, joules=1.0)
        winner = yield First(loser(), After(2.0, "time is up"))
        assert world.now == 3.0
        yield Use(server, 1.0, joules=5.0)  # the abandoned work still runs: 1 .. 11
        assert world.now == 12.0
        return winner

    flow = world.spawn(serve(), ledger)
    world.run()
    assert flow.value == (1, "time is up")
    assert closed == [3.0]
    assert ledger.joules == [6.0]
    assert ledger.service_s == [2.0]
    assert ledger.wait_s == [8.0]
    assert (ledger.wasted_j, ledger.wasted_s, ledger.total_j) == (30.0, 10.0, 36.0)


def test_a_lost_timer_does_not_move_the_clock(world):
    def serve():
        return (yield First(After(100.0), After(1.0, "x")))

    flow = world.spawn(serve())
    world.run()
    assert flow.value == (1, "x") and world.now == 1.0


def test_lost_work_moves_the_clock_until_it_has_run(world):
    server = FifoServer(world, "s")

    def serve():
        yield First(After(1.0), Use(server, 4.0))

    world.spawn(serve())
    world.run()
    assert world.now == 4.0


def test_branches_that_are_over_at_once_and_nested_joins(world):
    started = []

    def immediate(value):
        return value
        yield

    def never():
        started.append(1)
        yield After(1.0)

    def serve():
        first = yield First(All(immediate("a"), immediate("b")), After(0.0, "timer"))
        second = yield First(immediate("c"), never())
        third = yield All(First(After(2.0, 1), After(3.0, 2)), immediate("d"))
        return first, second, third

    flow = world.spawn(serve())
    world.run()
    # All() of branches that need no time resumes through the heap, before the later timer
    assert flow.value == ((0, ["a", "b"]), (0, "c"), [(0, 1), "d"])
    assert started == []
    assert world.now == 2.0


def test_many_immediate_joins_do_not_recurse(world):
    def immediate():
        return 1
        yield

    def serve():
        total = 0
        for _ in range(5000):
            total += sum((yield All(immediate(), immediate())))
        return total

    flow = world.spawn(serve())
    world.run()
    assert flow.value == 10_000


def test_ties_go_to_the_entry_that_was_made_first(world):
    def serve():
        return (yield First(After(1.0, "a"), After(1.0, "b")))

    flow = world.spawn(serve())
    world.run()
    assert flow.value == (0, "a")


def test_an_error_of_a_branch_is_raised_where_the_join_was_yielded(world):
    server = FifoServer(world, "s")
    closed = []
    ledger = Ledger()

    def bad():
        yield After(1.0)
        raise KeyError("lost")

    def other():
        try:
            yield Use(server, 5.0, joules=1.0)
        finally:
            closed.append(world.now)

    def serve():
        try:
            yield All(bad(), other())
        except KeyError as error:
            yield After(1.0)
            return error.args

    flow = world.spawn(serve(), ledger)
    world.run_until(10.0)
    assert flow.value == ("lost",)
    assert closed == [1.0]
    assert ledger.wasted_j == 1.0


def test_an_uncaught_error_names_flow_item_and_time(world):
    def serve():
        yield After(2.5)
        raise KeyError("oops")

    world.spawn(serve(), item="task 7")
    with pytest.raises(KeyError) as caught:
        world.run()
    (note,) = caught.value.__notes__
    assert "flow 1" in note and "serve" in note and "task 7" in note and "t = 2.5 s" in note


@pytest.mark.parametrize(
    "wrong, said",
    [(3.0, "3.0"), (None, "None"), (slice(2), "slice"), ((n for n in ()), "yield from")],
)
def test_yielding_something_else_is_an_error_that_names_it(world, wrong, said):
    def serve():
        yield wrong

    with pytest.raises(StrategyError, match=said) as caught:
        world.spawn(serve())
    assert "flow 1" in caught.value.__notes__[0]

    def branches():
        yield All(After(1.0), 3.0)

    with pytest.raises(StrategyError, match=r"branch of All.*3\.0"):
        world.spawn(branches())


@pytest.mark.parametrize("bad", [math.nan, -1.0, math.inf])
def test_work_that_is_no_amount_is_refused_at_the_door(world, bad):
    server = FifoServer(world, "s")

    def serve(operation):
        yield operation

    for operation in (Use(server, bad), Use(server, 1.0, bad), After(bad)):
        with pytest.raises(StrategyError, match="finite") as caught:
            world.spawn(serve(operation))
        assert "serve" in [entry.name for entry in caught.traceback]  # raised at the yield
    assert world.peek() == math.inf


def test_a_strategy_may_catch_the_refusal_of_an_operation(world):
    def serve():
        refused = []
        for wrong in (After(-1.0), 3.0, After(1.0)):
            try:
                yield wrong
            except StrategyError as error:
                refused.append(str(error))
        return refused

    flow = world.spawn(serve())
    world.run()
    assert len(flow.value) == 2 and world.now == 1.0


def test_an_error_of_a_branch_at_its_start_reaches_the_join(world):
    def bad():
        raise KeyError("at once")
        yield

    def serve():
        try:
            yield All(After(5.0), bad(), After(7.0))
        except KeyError:
            yield After(1.0)
        yield First(bad(), After(1.0))

    world.spawn(serve())
    with pytest.raises(KeyError, match="at once") as caught:
        world.run()
    assert world.now == 1.0
    assert len(caught.value.__notes__) == 2  # the branch and the flow that yielded the join


def test_an_operation_serves_for_one_yield(world):
    def serve(operation):
        yield operation
        yield operation

    world.spawn(serve(After(1.0)))
    with pytest.raises(StrategyError, match="already started"):
        world.run()
    with pytest.raises(StrategyError, match="at least one branch"):
        First()


def test_stale_entries_are_skipped(world):
    log = []

    def serve():
        yield timer
        log.append(world.now)

    timer = After(5.0)
    world.spawn(serve())
    timer._push(world, 2.0)  # moved: the entry at 5 is stale from now on
    world.run()
    assert log == [2.0] and world.now == 2.0


def test_signals_wake_all_who_wait_at_that_moment(world):
    signal = Signal(world)
    log = []

    def waiter(name):
        log.append((name, (yield signal.wait()), world.now))
        log.append((name, (yield First(signal.wait(), After(0.5, "nothing"))), world.now))

    def firer():
        signal.fire("nobody hears this")
        yield After(1.0)
        signal.fire("go")
        log.append("fired")
        yield After(1.0)
        signal.fire("too late")

    world.spawn(firer())
    for name in "ab":
        world.spawn(waiter(name))
    world.run()
    assert log == [
        "fired", ("a", "go", 1.0), ("b", "go", 1.0),
        ("a", (1, "nothing"), 1.5), ("b", (1, "nothing"), 1.5),
    ]  # fmt: skip
    assert world.n_done == 3


def test_mailbox_serves_takers_in_order_and_keeps_items(world):
    box = Mailbox(world)
    log = []

    def taker(name):
        log.append((name, (yield box.get()), world.now))

    def putter():
        yield After(1.0)
        for item in (1, 2, 3):
            box.put(item)

    world.spawn(taker("a"))
    world.spawn(taker("b"))
    world.spawn(putter())
    world.run()
    assert log == [("a", 1, 1.0), ("b", 2, 1.0)]
    assert len(box) == 1
    world.spawn(taker("c"))
    world.run()
    assert log[-1] == ("c", 3, 1.0) and len(box) == 0


def test_an_item_handed_to_a_loser_goes_back(world):
    box = Mailbox(world)

    def racer():
        # the timer's entry is older than the one the put makes: it wins, the item is returned
        return (yield First(After(1.0), box.get()))

    def putter():
        yield world.timeout(1.0)
        box.put("kept")

    world.spawn(putter())
    flow = world.spawn(racer())
    world.run()
    assert flow.value == (0, None)
    assert len(box) == 1


def test_a_loser_without_an_item_leaves_the_takers(world):
    box = Mailbox(world)

    def racer():
        yield First(After(1.0), box.get())

    world.spawn(racer())
    world.run()
    box.put("kept")
    assert len(box) == 1


def test_run_until_leaves_what_is_due_at_exactly_t(world):
    log = []

    def serve():
        yield After(2.0)
        log.append("heap")

    world.spawn(serve())
    world.feed([(1.0, "early"), (2.0, "at t")], log.append)
    world.run_until(2.0)
    assert log == ["early"] and world.now == 2.0 == world.peek()
    world.run()
    assert log == ["early", "heap", "at t"]  # at equal times the heap goes before arrivals
    with pytest.raises(ValueError, match="clock stands at"):
        world.run_until(1.0)
    with pytest.raises(ValueError, match="nan"):
        world.run_until(math.nan)


def test_a_run_cut_in_pieces_equals_a_run_in_one():
    def run(cuts):
        world = World()
        server = FifoServer(world, "s")
        log = []

        def serve(seconds):
            yield Use(server, seconds)
            yield After(0.25)
            log.append((seconds, world.now))

        world.feed([(0.5 * i, 0.1 * i) for i in range(20)], lambda s: world.spawn(serve(s)))
        for cut in cuts:
            world.run_until(cut)
        world.run()
        return log

    assert run([]) == run([1.0, 1.0, 2.25, 7.3]) == run([0.25 * i for i in range(60)])


def test_feeding_holds_one_arrival_and_refuses_time_that_goes_back(world):
    seen = []

    def arrivals():
        for i in range(3):
            seen.append(("drawn", i))
            yield float(i), i

    world.feed(arrivals(), lambda i: seen.append(("arrived", i)))
    assert seen == [("drawn", 0)]
    with pytest.raises(ValueError, match="already fed"):
        world.feed([], print)
    world.run()
    assert seen[-1] == ("arrived", 2) and world.now == 2.0
    for times in ([3.0, 2.5], [math.nan], [1.0], [math.inf]):
        fresh = World()
        fresh.run_until(2.0)
        with pytest.raises(ValueError, match="arrival at"):
            fresh.feed([(t, None) for t in times], lambda item: None)
            fresh.run()


def test_plain_simpy_works_beside_flows(world):
    log = []
    resource = simpy.Resource(world, 1)

    def process(name):
        with resource.request() as request:
            yield request
            yield world.timeout(2.0)
            log.append((name, world.now))

    def serve():
        value = yield world.timeout(1.0, "event")
        log.append((value, world.now))
        done = world.process(process("from a flow"))
        yield done
        assert (yield done) is None  # already processed
        log.append(("after", world.now))
        failing = world.event()
        failing.fail(KeyError("seen"))
        try:
            yield failing
        except KeyError:
            return "caught"

    world.process(process("plain"))
    flow = world.spawn(serve())
    world.run()
    assert log == [("event", 1.0), ("plain", 2.0), ("from a flow", 4.0), ("after", 4.0)]
    assert flow.value == "caught"


def test_simpys_ways_to_run(world):
    stop = world.timeout(3.0, "done")
    order = []
    stop.callbacks.append(lambda event: order.append("other callback"))

    def serve():
        yield After(1.0)
        yield After(9.0)

    world.spawn(serve())
    assert world.run(until=stop) == "done" and world.now == 3.0 and order == ["other callback"]
    assert world.run(until=stop) == "done"
    world.run(until=5.0)
    assert world.now == 5.0
    world.step()
    assert world.now == 10.0
    with pytest.raises(simpy.core.EmptySchedule):
        world.step()
    with pytest.raises(RuntimeError, match="not triggered"):
        world.run(until=world.event())
    failed = world.event()
    failed.fail(KeyError("unseen"))
    with pytest.raises(KeyError, match="unseen"):
        world.run()


def test_a_users_own_entry_is_called_with_its_id(world):
    from heapq import heappush

    class Bell:
        def fire(self, eid):
            rung.append((eid, world.now))

    rung = []
    eid = world.next_id()
    heappush(world.queue, (4.0, 1, eid, Bell()))
    world.run()
    assert rung == [(eid, 4.0)] and eid > 0


def test_a_user_may_write_an_operation(world):
    class Twice(Operation):
        __slots__ = ("_is_first",)

        def start(self, waiter):
            self.waiter, self._is_first = self, True
            self.value = waiter
            self._push(waiter.world, waiter.world.now + 1.0)

        def wake(self, operation):
            self.waiter, self.value = self.value, "twice"
            self._push(world, world.now + 1.0)

    def serve():
        return (yield Twice())

    flow = world.spawn(serve())
    world.run()
    assert (flow.value, world.now) == ("twice", 2.0)


def test_closing_a_loser_that_yields_again_is_an_error(world):
    def stubborn():
        try:
            yield After(5.0)
        finally:
            yield After(1.0)

    def serve():
        yield First(After(1.0), stubborn())

    world.spawn(serve())
    with pytest.raises(StrategyError, match="while it was closed"):
        world.run()
