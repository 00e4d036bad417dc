"""What lies in a node's memory, against another LRU and on a world with known times."""

from functools import lru_cache, partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecsim.collab.context import Context
from ecsim.collab.memory import Memory
from ecsim.collab.operations import Account
from ecsim.collab.oracle import Table
from ecsim.collab.place import Place
from ecsim.collab.updates import UpdatePolicy
from ecsim.core.errors import Refused
from ecsim.core.randomness import Streams
from ecsim.core.types import Batch, ModelRef, Plan, Task, Work
from ecsim.kernel import Engine, Node, Topology, World

A, B, C = (ModelRef("edge", i, f"edge-{i}", (0, 1), size) for i, size in enumerate((100, 60, 300)))
TASK = Task(0, "cam", 1, 0, 1, 0.0, 1000.0)
BATCH = Batch.answered([0, 1], np.zeros((2, 2), np.float32), (0, 1))


class Learner:
    def plan(self, parent, batch):
        return Plan(
            B, Work(macs=4.0, steps=4, is_training=True), (), np.arange(2), memory_bytes=140.0
        )


class Bench:
    """One node whose inference takes 2 s and 10 J, and which loads 50 B/s at 3 W."""

    def __init__(self, capacity_bytes, host=False):
        self.world = world = World()
        table = Table(np.zeros((2, 2), np.float32), Work(macs=1.0))
        engines = {"inference": Engine(world, "cam", "inference", can_train=True)}
        if host:
            engines["host"] = Engine(world, "cam", "host", can_train=True)
        self.memory = Memory("cam", capacity_bytes, 50.0, 3.0)
        place = Place(
            Node(world, "cam", "edge", engines), 1, lambda work: (2.0 * work.macs, 10.0),
            lambda work: (work.macs, 7.0), table, A, {A.key, B.key, C.key}, memory=self.memory,
        )  # fmt: skip
        topology = Topology(world)
        topology.add_node(place.node)
        policy = UpdatePolicy("end_of_phase", "share", 10, Learner(), lambda *_: None)
        self.ctx = Context(world, topology, {"cam": place}, ("cam",), Streams(0), policy)

    def run(self, generator):
        account = Account()
        flow = self.world.spawn(generator, account)
        self.world.run()
        return flow.value, account


def ends_of(bench, *models):
    def serve():
        ends = []
        for model in models:
            yield bench.ctx.infer("cam", TASK, model)
            ends.append(bench.ctx.now)
        return ends

    return bench.run(serve())


def test_a_version_is_loaded_before_it_is_asked_and_stays():
    bench = Bench(160.0)  # A and B together, to the byte
    ends, account = ends_of(bench, None, A, B, A, B)
    assert ends == [4.0, 6.0, 9.2, 11.2, 13.2]  # 100 B in 2 s, 60 B in 1.2 s
    assert account.service_s[1] == pytest.approx(5 * 2.0 + 3.2)
    assert account.joules[1] == pytest.approx(5 * 10.0 + 3.0 * 3.2)


def test_versions_swap_where_only_one_fits():
    bench = Bench(159.0)
    ends, _ = ends_of(bench, A, B, A)
    np.testing.assert_allclose(ends, [4.0, 7.2, 11.2])
    assert bench.memory.resident == (A.key,)


def test_two_requests_in_the_queue_load_once():
    bench = Bench(160.0)

    def serve():
        yield bench.ctx.all(bench.ctx.infer("cam", TASK), bench.ctx.infer("cam", TASK))
        return bench.ctx.now

    assert bench.run(serve())[0] == 6.0


def test_what_is_larger_than_the_memory_is_refused_at_the_yield():
    bench = Bench(299.0)

    def serve():
        yield bench.ctx.infer("cam", TASK, A)
        try:
            yield bench.ctx.infer("cam", TASK, C)
        except Refused as error:
            return str(error), bench.ctx.now

    (message, now), account = bench.run(serve())
    assert message == "version 2 of edge needs 300 B, the memory of cam has 299 B"
    assert now == account.service_s[1] == 4.0
    assert bench.memory.resident == (A.key,)  # nothing made room for it


@pytest.mark.parametrize(
    ("capacity_bytes", "host", "is_refused"),
    [(239.0, False, True), (240.0, False, False), (239.0, True, False)],
)
def test_a_training_must_fit_beside_the_version_that_serves(capacity_bytes, host, is_refused):
    bench = Bench(capacity_bytes, host)

    def learn():
        try:
            yield bench.ctx.train("cam", Learner(), A, BATCH)
        except Refused:
            return True
        return False

    assert bench.run(learn())[0] is is_refused
    assert bench.ctx.marks == ([(0.0, "training_refused", 240.0)] if is_refused else [])
    assert bench.world.now == (0.0 if is_refused else 4.0)


@given(st.integers(1, 4), st.lists(st.integers(0, 5), max_size=40))
def test_versions_of_one_size_are_kept_as_by_another_lru(room, asked):
    models = [ModelRef("edge", i, f"edge-{i}", (0,), 10) for i in range(6)]
    memory = Memory("cam", 10.0 * room, 10.0)
    theirs = lru_cache(maxsize=room)(partial(max, 0))
    for i in asked:
        before = theirs.cache_info().misses
        theirs(i)
        assert memory.use(models[i]) == theirs.cache_info().misses - before


@given(st.integers(0, 30), st.lists(st.integers(0, 7), max_size=30))
def test_it_never_holds_more_than_it_can(capacity, asked):
    models = [ModelRef("edge", i, f"edge-{i}", (0,), 5 * i) for i in range(8)]
    memory = Memory("cam", float(capacity))
    for i in asked:
        if 5 * i > capacity:
            with pytest.raises(Refused):
                memory.use(models[i])
        else:
            assert memory.use(models[i]) == 0.0  # no rate: at once
            assert memory.resident[-1] == models[i].key
        assert sum(5 * int(key.split("-")[1]) for key in memory.resident) <= capacity
