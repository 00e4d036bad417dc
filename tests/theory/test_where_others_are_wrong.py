"""Known failures of edge simulators, each with the right answer worked out by hand."""

import io

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from ecsim.core.randomness import Streams
from ecsim.costs.cards import cards
from ecsim.kernel import (
    After,
    Engine,
    Ledger,
    Link,
    MeterWindow,
    Node,
    Topology,
    Travel,
    Use,
    World,
)
from ecsim.report.terminal import show
from ecsim.runtime.run import run_scenario
from ecsim.streams.arrivals import Poisson


def linked(link, n=1):
    """Give a world with `n` cameras that are each linked to a cloud."""
    world = World()
    topology = Topology(world)
    names = [f"cam{i}" for i in range(n)]
    for name in (*names, "cloud"):
        engines = {"inference": Engine(world, name, "inference", idle_w=2.0)}
        topology.add_node(Node(world, name, "edge", engines))
    topology.connect(names, "cloud", link)
    return world, topology


def test_propagation_does_not_occupy_a_link():
    """1 ms of serialisation and 100 ms of propagation at 20 messages/s: load 2 %, 0.101 s.

    Were the link occupied for all of the 101 ms, its load would be 202 % and the mean delay of
    300 s of such traffic some 150 s.
    """
    world, topology = linked(Link("far", 8e6, 8e6, 0.1))
    route = topology.route("cam0", "cloud")
    stays = []

    def send(came):
        yield Travel(route, 1000.0)
        stays.append(world.now - came)

    rng = np.random.default_rng(1)
    times = np.cumsum(rng.exponential(0.05, 6000)).tolist()
    world.feed(((t, t) for t in times), lambda came: world.spawn(send(came)))
    world.run()
    assert min(stays) == pytest.approx(0.101, abs=1e-9)
    # M/D/1: those that meet another wait rho s / (2 (1 - rho)) = 10 us on average
    assert np.mean(stays) == pytest.approx(0.101 + 0.02 * 0.001 / (2 * 0.98), abs=5e-6)
    # ten at once are ten serialisations apart, and all under way at the same time
    world, topology = linked(Link("far", 8e6, 8e6, 0.1))
    route, stays = topology.route("cam0", "cloud"), []
    for _ in range(10):
        world.spawn(send(0.0))
    world.run()
    assert stays == pytest.approx([0.1 + 0.001 * k for k in range(1, 11)])


def test_energy_between_two_samples_is_not_lost():
    """100 W for 20 s are 2000 J, whenever they fall; a meter read every 10 s may say 1000 J."""
    world, topology = linked(Link("l", 1e6, 1e6))
    engine = topology.nodes["cam0"].engines["inference"]

    def work():
        yield After(5.5)
        yield Use(engine, 9.0, 900.0)  # between the readings at 0 and 10, but for its end
        yield After(6.5)
        yield Use(engine, 8.0, 800.0)
        yield After(2.0)
        yield Use(engine, 3.0, 300.0)

    window = MeterWindow(world)
    window.open()
    ledger = Ledger()
    world.spawn(work(), ledger)
    world.run_until(40.0)
    window.close()
    rows = {
        row.state: row
        for row in window.rows()
        if (row.node, row.component) == ("cam0", "inference")
    }
    assert rows["active"].seconds == pytest.approx(20.0)
    assert rows["active"].marginal_j == pytest.approx(2000.0)
    assert ledger.total_j == pytest.approx(2000.0)
    # its 2 W of idle power it draws all the time
    assert rows["active"].joules + rows["idle"].joules == pytest.approx(2000.0 + 2.0 * 40.0)


def test_energy_of_a_window_that_cuts_a_service():
    """Of 100 W from 5 s to 25 s a window from 10 s to 20 s has 1000 J."""
    world, topology = linked(Link("l", 1e6, 1e6))
    engine = topology.nodes["cam0"].engines["inference"]

    def work():
        yield After(5.0)
        yield Use(engine, 20.0, 2000.0)

    window = MeterWindow(world)
    world.spawn(work())
    world.run_until(10.0)
    window.open()
    world.run_until(20.0)
    window.close()
    active = [row for row in window.rows() if row.state == "active"]
    assert sum(row.marginal_j for row in active) == pytest.approx(1000.0)


def test_exponential_gaps_are_not_rounded():
    """2000 tasks/s have gaps of 0.5 ms on average; whole ticks of 1 ms or 1 s know no such gaps.

    Kolmogorov-Smirnov against the exponential distribution; false alarms 1e-6, none with this seed.
    """
    process = Poisson(Poisson.Params(rate=2000.0))
    times = np.concatenate(list(process.blocks(Streams(1)("arrivals"), 20.0)))
    gaps = np.diff(times)
    assert stats.kstest(gaps, "expon", args=(0.0, 1.0 / 2000.0)).pvalue > 1e-6
    assert len(np.unique(times)) == len(times)
    rounded = np.round(times, 3)
    assert stats.kstest(np.diff(rounded), "expon", args=(0.0, 0.0005)).pvalue < 1e-6


def test_no_wireless_link_is_free_of_energy(write_scenario, tmp_path):
    """The radio's power comes with the card: nobody can forget it, and none is 0."""
    wireless = [card for name, card in cards("links").items() if "wifi" in name or "lte" in name]
    assert len(wireless) >= 2
    for card in wireless:
        assert card["base_power"] > 0.0 or card["up_slope"] > 0.0
    run = run_scenario(write_scenario(strategies=[{"name": "cloud_only"}]), out=tmp_path / "runs")
    # 60 kB at 18.88 Mbit/s; 0.28317 W per Mbit/s and 0.13286 W besides
    assert run.tasks["up_j"].to_numpy() == pytest.approx(
        (0.28317 * 18.88 + 0.13286) * 60e3 * 8 / 18.88e6
    )


@pytest.fixture
def overloaded(write_scenario, tmp_path):
    """8 tasks/s of 480 kbit over one uplink of 2 Mbit/s: load 1.92."""
    nodes = {
        "cam": {"count": 2, "tier": "edge", "card": "darwin3"},
        "cloud": {"tier": "cloud", "card": "rtx3090"},
    }
    link = {
        "between": ["cam", "cloud"], "card": "wifi_2012", "shared": True, "uplink": "2 Mbit/s",
        "latency": "50 ms",
    }  # fmt: skip
    path = write_scenario(
        topology={"nodes": nodes, "links": [link]}, strategies=[{"name": "cloud_only"}]
    )
    return run_scenario(path, out=tmp_path / "runs")


def test_an_overload_is_called_unstable(overloaded):
    summary = overloaded.summary["cloud_only"]
    assert not summary["stable"]
    assert "offered" in summary["unstable_because"] or "load" in summary["unstable_because"]
    # no delay falls short of what a lone task needs, whatever the load
    least = 480e3 / 2e6 + 2 * 0.05
    assert overloaded.tasks["latency_s"].min() > least
    # what is brought in excess waits: 0.92 of 40 s at the end
    assert overloaded.tasks["up_wait_s"].max() == pytest.approx(0.92 * 40.0, rel=0.15)


def test_the_table_shows_no_mean_of_an_overload(overloaded):
    out = io.StringIO()
    show(overloaded.summary, Console(file=out, width=160))
    text = out.getvalue()
    assert "unstable" in text
    mean_ms = 1e3 * overloaded.summary["cloud_only"]["latency_s"]["mean"]
    assert f"{mean_ms:.0f}" not in text


def test_every_task_weighs_the_same_in_a_mean(write_scenario, tmp_path):
    """A mean over tasks, not of means over devices (or phases), which are of unequal size."""
    nodes = {
        "cam": {"tier": "edge", "card": "darwin3"},
        "far": {"tier": "edge", "card": "darwin3"},
        "cloud": {"tier": "cloud", "card": "rtx3090"},
    }
    links = [
        {"between": ["cam", "cloud"], "card": "wifi_2012", "latency": "1 ms"},
        {"between": ["far", "cloud"], "card": "wifi_2012", "latency": "400 ms"},
    ]
    path = write_scenario(
        topology={"nodes": nodes, "links": links}, strategies=[{"name": "ecc_snn"}]
    )
    run = run_scenario(path, out=tmp_path / "runs")
    tasks = run.tasks[run.tasks["status"].isin(["answered", "late"])]
    total = float(tasks["latency_s"].sum())
    summary = run.summary["ecc_snn"]
    assert summary["latency_s"]["mean"] == pytest.approx(total / len(tasks), rel=1e-12)
    by_route = tasks.groupby("route", observed=True)["latency_s"].mean().mean()
    assert abs(by_route / (total / len(tasks)) - 1.0) > 0.05  # another mean is another figure


def test_a_service_is_not_rounded_up_to_a_tick():
    """Three services of 0.3 ms end at 0.9 ms, not at 3 ms."""
    world, topology = linked(Link("l", 1e6, 1e6))
    engine = topology.nodes["cam0"].engines["inference"]
    ends = []

    def work():
        yield Use(engine, 0.0003)
        ends.append(world.now)

    for _ in range(3):
        world.spawn(work())
    world.run()
    assert ends == [0.0003, 0.0003 + 0.0003, 0.0003 + 0.0003 + 0.0003]


def test_a_load_is_a_share_of_all_the_time():
    """Busy in three of four seconds: 0.75. A mean over n samples divided by n + 1 says 0.6."""
    world, topology = linked(Link("l", 1e6, 1e6))
    engine = topology.nodes["cam0"].engines["inference"]

    def work():
        yield Use(engine, 1.0)
        yield After(1.0)
        yield Use(engine, 2.0)

    window = MeterWindow(world)
    window.open()
    world.spawn(work())
    world.run_until(4.0)
    window.close()
    active = next(
        row
        for row in window.rows()
        if (row.node, row.component, row.state) == ("cam0", "inference", "active")
    )
    assert active.seconds / window.length_s == 0.75


def test_the_way_back_is_not_the_way_there():
    """A request of 100 kB and a reply of 100 B over 1 and 8 Mbit/s: 0.9001 s, not 2 x 0.85 s."""
    world, topology = linked(Link("adsl", 1e6, 8e6, 0.05))
    there, back = topology.route("cam0", "cloud"), topology.route("cloud", "cam0")

    def ask():
        yield Travel(there, 100e3)
        yield Travel(back, 100.0)
        return world.now

    flow = world.spawn(ask())
    world.run()
    assert flow.value == pytest.approx(0.8 + 0.05 + 0.0001 + 0.05)
