"""Tasks, time and energy are conserved in random small worlds with joins and trainings."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsim.kernel import (
    After,
    All,
    Background,
    Engine,
    First,
    Ledger,
    Link,
    MeterWindow,
    Node,
    Topology,
    Train,
    Travel,
    Use,
    World,
    check_energy,
)

amounts = st.one_of(st.just(0.0), st.floats(1e-6, 3.0))
nodes = st.integers(0, 4)
simple = st.one_of(
    st.tuples(st.just("use"), nodes, amounts, amounts),
    st.tuples(st.just("send"), nodes, nodes, st.floats(0.0, 5000.0)),
    st.tuples(st.just("after"), amounts),
    st.tuples(
        st.just("train"), nodes, amounts, amounts, st.integers(1, 4),
        st.sampled_from(["share", "idle_only", "offline"]),
    ),
)  # fmt: skip
plans = st.recursive(
    st.lists(simple, max_size=3),
    lambda inner: st.lists(
        st.one_of(
            simple,
            st.tuples(st.just("all"), st.lists(inner, max_size=3)),
            st.tuples(st.just("first"), st.lists(inner, min_size=1, max_size=3)),
        ),
        max_size=3,
    ),
    max_leaves=6,
)
worlds = st.fixed_dictionaries(
    {
        "n_nodes": st.integers(1, 5),
        "parents": st.lists(st.integers(0, 100), min_size=4, max_size=4),
        "extra": st.booleans(),
        "shared": st.booleans(),
        "latency_s": amounts,
        "n_servers": st.integers(1, 3),
        "background": st.booleans(),
        "tasks": st.lists(st.tuples(st.floats(0.0, 10.0), plans), max_size=8),
        "window": st.tuples(st.floats(0.0, 6.0), st.floats(0.0, 8.0)),
    }
)


class Lab:
    def __init__(self, given_world):
        self.world = world = World()
        self.topology = topology = Topology(world)
        n = given_world["n_nodes"]
        self.names = [f"n{i}" for i in range(n)]
        self.engines = []
        for name in self.names:
            npu = Engine(world, name, "npu", given_world["n_servers"], 0.5)
            host = Engine(world, name, "host", 1, 0.25, can_train=True)
            self.engines.append((npu, host))
            topology.add_node(Node(world, name, "edge", {"npu": npu, "host": host}, 0.1, 0.1))
        for i in range(1, n):
            parent = self.names[given_world["parents"][i - 1] % i]
            link = Link(
                f"l{i}", 8e3, 16e3, given_world["latency_s"], 1.0, 0.5, 0.3, 0.2,
                shared=given_world["shared"],
            )  # fmt: skip
            topology.connect([self.names[i]], parent, link)
        if given_world["extra"] and n > 2 and not topology.graph.has_edge("n0", f"n{n - 1}"):
            topology.connect(["n0"], f"n{n - 1}", Link("extra", 4e3, 4e3, 0.0, 2.0))
        if given_world["background"]:
            Background(self.engines[0][0], 3.0, 0.1, 2.0, np.random.default_rng(1))

    def run_plan(self, plan):
        for kind, *rest in plan:
            yield self.operation(kind, rest)

    def operation(self, kind, rest):
        n = len(self.names)
        if kind == "use":
            node, seconds, joules = rest
            return Use(self.engines[node % n][0], seconds, joules, 0)
        if kind == "send":
            a, b, size = rest
            return Travel(self.topology.route(self.names[a % n], self.names[b % n]), size, 1)
        if kind == "after":
            return After(*rest)
        if kind == "train":
            node, seconds, joules, steps, mode = rest
            npu, host = self.engines[node % n]
            return Train(host, seconds, joules, steps, mode, npu, 2)
        return {"all": All, "first": First}[kind](*[self.run_plan(plan) for plan in rest[0]])


@settings(max_examples=250, deadline=None, derandomize=True)
@given(worlds)
def test_tasks_time_and_energy_are_conserved(given_world):
    lab = Lab(given_world)
    world = lab.world
    ledgers = []

    def arrive(plan):
        ledgers.append(Ledger(3))
        world.spawn(lab.run_plan(plan), ledgers[-1])

    world.feed(sorted(given_world["tasks"], key=lambda task: task[0]), arrive)
    window = MeterWindow(world)
    world.run_until(given_world["window"][0])
    window.open()
    world.run_until(sum(given_world["window"]))
    window.close()
    world.run()

    # tasks: nothing parks for ever here
    assert world.n_spawned == world.n_done == len(ledgers) == len(given_world["tasks"])
    # time: what the ledgers were charged is what the servers served
    waits = sum(sum(ledger.wait_s) for ledger in ledgers)
    served = sum(sum(ledger.service_s) + ledger.wasted_s for ledger in ledgers)
    background_s = sum(b.server.meter.seconds[2] for b in world.backgrounds)
    worked = sum(engine.work_s for pair in lab.engines for engine in pair) - background_s
    worked += sum(channel.work_s for channel in lab.topology.channels)
    assert abs(served - worked) <= 1e-9 * (1.0 + worked)
    assert all(wait >= 0.0 for ledger in ledgers for wait in ledger.wait_s)
    assert waits >= 0.0
    # energy
    check_energy(world, sum(ledger.total_j for ledger in ledgers))
    # states of each component sum to the window, and none is negative
    length_s = window.length_s
    sums: dict[tuple[str, str], float] = {}
    for row in window.rows():
        assert row.seconds >= -1e-9 and row.joules >= -1e-9
        key = (row.node, row.component)
        sums[key] = sums.get(key, 0.0) + row.seconds
    assert all(abs(total - length_s) <= 1e-9 * (1.0 + world.now) for total in sums.values())
    # after the drain a reading holds everything that was ever booked, background excepted
    reading = world.snapshot()
    for meter in world.meters:
        booked = meter.booked()
        states = slice(0, 2)
        assert np.allclose(reading[meter][1][states], booked[1][states], rtol=1e-9, atol=1e-12)
