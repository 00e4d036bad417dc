"""Trainings that share an engine with inference, by hand."""

from __future__ import annotations

import math

import pytest

from ecsim.core.errors import StrategyError
from ecsim.kernel import (
    After,
    Engine,
    First,
    Ledger,
    MeterWindow,
    Train,
    Use,
    World,
    check_energy,
)


class Device:
    def __init__(self):
        self.world = World()
        self.npu = Engine(self.world, "cam", "inference", can_train=True)
        self.host = Engine(self.world, "cam", "host", can_train=True)
        self.log = []

    def infer(self, at, seconds, name="infer"):
        def flow():
            yield After(at)
            yield Use(self.npu, seconds)
            self.log.append((name, self.world.now))

        self.world.spawn(flow())

    def train(self, ledger=None, at=0.0, **arguments):
        def flow():
            yield After(at)
            value = yield Train(**arguments, value="trained")
            self.log.append((value, self.world.now))

        self.world.spawn(flow(), ledger)

    def run(self):
        self.world.run()
        return self.log


def test_share_makes_inference_wait_for_one_step_at_most():
    device = Device()
    ledger = Ledger()
    device.train(ledger, engine=device.npu, seconds=4.0, joules=8.0, steps=4, mode="share")
    device.infer(1.5, 0.5, "a")  # step 2 runs 1-2: served 2-2.5, step 3 at 2.5
    device.infer(2.0, 0.5, "b")  # joins behind a, before step 3 asks at 2
    # steps 1: 0-1, 2: 1-2; a 2-2.5; then b or step 3 by who asks first at t = 2
    log = device.run()
    assert log[0] == ("a", 2.5)
    assert log[-1] == ("trained", 5.0)
    assert max(t for name, t in log if name == "b") <= 3.5
    assert ledger.service_s == [4.0] and ledger.joules == [8.0]
    assert ledger.wait_s[0] == pytest.approx(1.0)
    check_energy(device.world, 8.0)


def test_idle_only_lets_all_waiting_inference_go_first():
    device = Device()
    ledger = Ledger()
    device.train(ledger, at=0.5, engine=device.npu, seconds=2.0, steps=2, mode="idle_only")
    device.infer(0.0, 1.0, "a")  # 0-1: the training waits
    device.infer(0.25, 1.0, "b")  # 1-2
    device.infer(0.75, 1.0, "c")  # 2-3, though it came after the training
    device.infer(3.5, 1.0, "d")  # step 1 runs 3-4; d 4-5; step 2 5-6
    assert device.run() == [("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 5.0), ("trained", 6.0)]
    assert ledger.service_s == [2.0]


def test_share_would_have_gone_before_the_later_request():
    device = Device()
    device.train(at=0.5, engine=device.npu, seconds=2.0, steps=2, mode="share")
    device.infer(0.0, 1.0, "a")
    device.infer(0.25, 1.0, "b")
    device.infer(0.75, 1.0, "c")  # behind step 1 (2-3): 3-4; step 2 4-5
    assert device.run() == [("a", 1.0), ("b", 2.0), ("c", 4.0), ("trained", 5.0)]


def test_offline_blocks_inference_for_the_whole_training_without_joules():
    device = Device()
    ledger = Ledger()
    window = MeterWindow(device.world)
    window.open()
    device.infer(0.0, 1.0, "before")  # inference is busy until 1: the training waits for it
    device.train(
        ledger,
        at=0.5,
        engine=device.host,
        seconds=4.0,
        joules=12.0,
        steps=4,
        mode="offline",
        inference_engine=device.npu,
    )
    device.infer(2.0, 1.0, "after")
    device.world.run_until(3.0)
    window.close()
    rows = {(row.component, row.state): (row.seconds, row.joules) for row in window.rows()}
    assert rows["inference", "active"] == (1.0, 0.0)
    assert rows["inference", "idle"][0] == 2.0
    assert rows["host", "training"] == (2.0, 6.0)
    assert device.run() == [("before", 1.0), ("trained", 5.0), ("after", 6.0)]
    assert device.host.wait_s == 0.5 and ledger.wait_s == [0.5] and ledger.joules == [12.0]


def test_training_on_the_host_leaves_inference_alone():
    device = Device()
    device.train(engine=device.host, seconds=3.0, steps=3, mode="share")
    device.infer(0.0, 1.0)
    assert device.run() == [("infer", 1.0), ("trained", 3.0)]


@pytest.mark.parametrize("mode", ["share", "idle_only"])
def test_a_training_that_loses_a_race_stops_after_its_step(mode):
    device = Device()
    ledger = Ledger()

    def flow():
        training = Train(device.npu, 10.0, 20.0, steps=5, mode=mode)
        return (yield First(After(3.0, "stop"), training))

    running = device.world.spawn(flow(), ledger)
    device.world.run()
    assert running.value == (0, "stop")
    assert device.world.now == 4.0  # the second step of 2 s ends
    assert device.npu.work_s == 4.0
    assert (ledger.wasted_j, ledger.wasted_s, ledger.total_j) == (8.0, 4.0, 8.0)
    check_energy(device.world, ledger.total_j)


def test_a_training_that_still_waits_wastes_nothing():
    device = Device()
    ledger = Ledger()
    device.infer(0.0, 5.0)

    def flow():
        yield After(1.0)
        yield First(After(1.0), Train(device.npu, 10.0, 20.0, steps=5, mode="idle_only"))

    device.world.spawn(flow(), ledger)
    device.world.run()
    assert device.world.now == 5.0 and ledger.total_j == 0.0 and device.npu.work_s == 5.0


def test_the_horizon_cuts_a_step():
    device = Device()
    device.train(engine=device.npu, seconds=4.0, joules=8.0, steps=2)
    device.world.run_until(3.0)
    assert device.world.snapshot()[device.npu.meter] == ([0.0, 3.0, 0.0], [0.0, 6.0, 0.0])


def test_what_cannot_be_trained_is_refused():
    world = World()
    frozen = Engine(world, "cam", "npu")
    trains = Engine(world, "cam", "host", can_train=True)
    with pytest.raises(StrategyError, match="cannot train"):
        Train(frozen, 1.0)
    with pytest.raises(StrategyError, match="at least one step"):
        Train(trains, 1.0, steps=0)
    with pytest.raises(StrategyError, match="unknown mode"):
        Train(trains, 1.0, mode="sometimes")

    def flow():
        yield Train(trains, math.nan)

    with pytest.raises(StrategyError, match="finite"):
        world.spawn(flow())
