"""Energy and time by state against integrals worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ecsim.core.errors import ConservationError
from ecsim.kernel import (
    After,
    Background,
    Engine,
    FifoServer,
    First,
    Ledger,
    Link,
    Meter,
    MeterWindow,
    Node,
    Topology,
    Travel,
    Use,
    World,
    check_energy,
    expand,
)


def table(window):
    return {
        (row.node, row.component, row.state): (
            row.seconds,
            row.joules if row.state == "idle" else row.marginal_j,
        )
        for row in window.rows()
    }


def star(world, n, link):
    topology = Topology(world)
    names = expand("cam", n)
    for name in names:
        topology.add_node(Node(world, name, "edge", {}, tx_idle_w=0.1, rx_idle_w=0.2))
    topology.add_node(Node(world, "cloud", "cloud", {}))
    topology.connect(names, "cloud", link)
    return topology


@pytest.mark.parametrize(
    "opened, closed, active, idle_s",
    [
        (0.0, 8.0, (5.0, 26.0), 3.0),
        (0.0, 4.0, (4.0, 24.0), 0.0),  # the horizon cuts the second service in two
        (1.0, 4.0, (3.0, 14.0), 0.0),  # the warm-up cuts the first
        (1.0, 8.0, (4.0, 16.0), 3.0),
        (3.0, 4.0, (1.0, 2.0), 0.0),  # inside one service
        (5.0, 8.0, (0.0, 0.0), 3.0),
    ],
)
def test_a_window_cuts_services_of_different_power(opened, closed, active, idle_s):
    """A: 0 to 2 s at 10 W; B, reserved at 0 too: 2 to 5 s at 2 W; idle at 0.5 W."""
    world = World()
    engine = Engine(world, "cam", "npu", idle_w=0.5)

    def serve(seconds, joules):
        yield Use(engine, seconds, joules)

    window = MeterWindow(world)
    world.spawn(serve(2.0, 20.0))
    world.spawn(serve(3.0, 6.0))
    world.run_until(opened)
    window.open()
    world.run_until(closed)
    window.close()
    rows = table(window)
    assert rows["cam", "npu", "active"] == active
    assert rows["cam", "npu", "idle"] == (idle_s, 0.5 * idle_s)
    assert sum(seconds for seconds, _ in rows.values()) == closed - opened


def test_abandoned_work_is_metered_while_it_runs():
    world = World()
    engine = Engine(world, "cam", "npu")
    ledger = Ledger()

    def serve():
        yield First(After(1.0), Use(engine, 4.0, 8.0))

    window = MeterWindow(world)
    world.spawn(serve(), ledger)
    window.open()
    world.run_until(3.0)
    window.close()
    assert table(window)["cam", "npu", "active"] == (3.0, 6.0)
    world.run()
    assert ledger.wasted_j == 8.0
    check_energy(world, ledger.total_j)


def test_a_job_without_duration_has_its_energy_at_its_turn():
    world = World()
    engine = Engine(world, "cam", "npu")

    def serve(seconds, joules):
        yield Use(engine, seconds, joules)

    world.spawn(serve(2.0, 0.0))
    world.spawn(serve(0.0, 7.0))
    meter = engine.meter
    world.run_until(1.0)
    assert world.snapshot()[meter][1][0] == 0.0
    world.run_until(2.0)
    assert world.snapshot()[meter][1][0] == 7.0


def test_idle_power_is_drawn_in_every_state():
    """A board of 25 W idle and 350 W active, busy for 3 s of 5 s: 3 x 350 + 2 x 25 J."""
    world = World()
    engine = Engine(world, "cloud", "gpu", idle_w=25.0)

    def serve():
        yield Use(engine, 3.0, 3.0 * (350.0 - 25.0))

    window = MeterWindow(world)
    window.open()
    world.spawn(serve())
    world.run_until(5.0)
    window.close()
    rows = {row.state: row for row in window.rows()}
    assert (rows["active"].joules, rows["idle"].joules) == (1050.0, 50.0)
    assert sum(row.joules - row.marginal_j for row in rows.values()) == 5.0 * 25.0


def test_two_servers_are_each_half_of_the_component():
    world = World()
    engine = Engine(world, "cloud", "gpu", n_servers=2, idle_w=10.0)

    def serve():
        yield Use(engine, 4.0, 100.0)

    window = MeterWindow(world)
    window.open()
    world.spawn(serve())
    world.run_until(8.0)
    window.close()
    rows = table(window)
    assert rows["cloud", "gpu", "active"] == (2.0, 100.0)  # one of two units, for half the time
    assert rows["cloud", "gpu", "idle"] == (6.0, 60.0)


def test_radio_energy_goes_to_each_end_in_its_direction():
    """1000 bytes up at 8 kbit/s: 1 s at 3 W and 5 W; down at 16 kbit/s: 0.5 s at 7 W and 2 W."""
    world = World()
    link = Link("radio", 8e3, 16e3, 0.25, near_tx_w=3.0, near_rx_w=2.0, far_tx_w=7.0, far_rx_w=5.0)
    topology = star(world, 1, link)
    ledger = Ledger(2)

    def serve():
        yield Travel(topology.route("cam[0]", "cloud"), 1000.0, 0)
        yield Travel(topology.route("cloud", "cam[0]"), 1000.0, 1)

    window = MeterWindow(world)
    window.open()
    world.spawn(serve(), ledger)
    world.run_until(4.0)
    window.close()
    rows = table(window)
    assert rows["cam[0]", "transmitter", "tx"] == (1.0, 3.0)
    assert rows["cloud", "receiver", "rx"] == (1.0, 5.0)
    assert rows["cloud", "transmitter", "tx"] == (0.5, 3.5)
    assert rows["cam[0]", "receiver", "rx"] == (0.5, 1.0)
    assert rows["cam[0]", "transmitter", "idle"] == (3.0, pytest.approx(0.3))
    assert ledger.joules == [8.0, 4.5]
    assert (ledger.bytes, ledger.propagation_s) == ([1000.0, 1000.0], 0.5)
    check_energy(world, ledger.total_j)


def test_the_horizon_cuts_a_message_in_two_and_propagation_costs_nothing():
    world = World()
    topology = star(world, 1, Link("radio", 8e3, 8e3, 10.0, near_tx_w=3.0))
    meter = topology.nodes["cam[0]"].transmitter

    def serve():
        yield Travel(topology.route("cam[0]", "cloud"), 1000.0)

    world.spawn(serve())
    for t, joules in ((0.25, 0.75), (1.0, 3.0), (6.0, 3.0), (11.0, 3.0)):
        world.run_until(t)
        assert world.snapshot()[meter][1] == [joules]
    assert world.unowned_j == 3.0


def test_on_a_shared_medium_each_device_pays_for_its_own_messages():
    world = World()
    topology = star(world, 3, Link("wifi", 8e3, 8e3, near_tx_w=1.0, far_rx_w=1.0, shared=True))

    def serve(name, size):
        yield Travel(topology.route(name, "cloud"), size)

    window = MeterWindow(world)
    window.open()
    world.spawn(serve("cam[0]", 1000.0))
    world.spawn(serve("cam[1]", 2000.0))  # waits 1 s for the medium, then 2 s
    world.run_until(2.0)
    window.close()
    rows = table(window)
    assert rows["cam[0]", "transmitter", "tx"] == (1.0, 1.0)
    assert rows["cam[1]", "transmitter", "tx"] == (1.0, 1.0)
    assert rows["cam[2]", "transmitter", "tx"] == (0.0, 0.0)
    assert rows["cloud", "receiver", "rx"] == (2.0, 2.0)
    assert rows["cloud", "receiver", "idle"][0] == 0.0


def test_background_energy_is_apart_and_cut_at_the_horizon():
    class Script:
        draws = ([1.0, 0.5, 100.0], [2.0, 4.0, 1.0])  # arrivals at 1 and 1.5: served 1-3, 3-7

        def __init__(self):
            self._draws = list(self.draws)

        def exponential(self, mean, size):
            return np.pad(self._draws.pop(0), (0, size - 3), constant_values=1e9)

    world = World()
    engine = Engine(world, "cloud", "gpu", idle_w=1.0)
    background = Background(engine, 1.0, 1.0, 5.0, Script())

    def serve():
        yield After(2.0)
        yield Use(engine, 1.0, 2.0)

    window = MeterWindow(world)
    window.open()
    flow = world.spawn(serve())
    world.run_until(6.0)
    window.close()
    rows = table(window)
    assert rows["cloud", "gpu", "background"] == (5.0, 25.0)
    assert rows["cloud", "gpu", "active"] == (0.0, 0.0)
    assert rows["cloud", "gpu", "idle"] == (1.0, 1.0)
    world.run_until(7.5)
    assert world.snapshot()[engine.meter] == ([0.5, 0.0, 6.0], [1.0, 0.0, 30.0])
    world.run()  # ends although the background does not
    assert flow.is_done and world.now == 8.0
    assert (background.n_jobs, background.joules) == (2, 30.0)
    check_energy(world, 0.0)


def test_an_untouched_engine_still_meters_its_background():
    world = World()
    engine = Engine(world, "cloud", "gpu")
    Background(engine, 10.0, 0.01, 5.0, np.random.default_rng(0))
    world.run_until(100.0)
    seconds, joules = world.snapshot()[engine.meter]
    assert 5.0 < seconds[2] < 20.0  # about 1000 jobs of 10 ms
    assert joules[2] == pytest.approx(5.0 * seconds[2])


def test_blocking_a_server_shortens_nothing():
    world = World()
    server = FifoServer(world, "s", n_servers=2)
    server.reserve(5.0, 0.0, 0)
    server.block_until(3.0)
    assert (server.free_at(), server.all_free_at()) == (3.0, 5.0)


def test_the_books_are_checked():
    world = World()
    server = FifoServer(world, "s")
    ledger = Ledger()

    def serve():
        yield Use(server, 1.0, 5.0)

    world.spawn(serve(), ledger)
    world.run()
    check_energy(world, 5.0)
    with pytest.raises(ConservationError, match=r"hold 5\.0 J, but 4\.0 J"):
        check_energy(world, 4.0)
    meter = Meter(world, "n", "c")
    window = MeterWindow(world)
    with pytest.raises(ValueError, match="opened and closed"):
        window.rows()
    window.open()
    meter.seconds[0] = 2.0
    world.run_until(2.0)
    window.close()
    with pytest.raises(ConservationError, match=r"busy 2\.0 s in a window of 1\.0 s"):
        window.rows()
