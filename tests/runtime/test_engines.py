"""How a node's engine serves, from the scenario to the tables."""

import numpy as np
import pytest

from ecsim.core.errors import ScenarioError
from ecsim.runtime.run import run_scenario

CLOUD = {"tier": "cloud", "card": "rtx3090"}
CLOUD_ONLY = [{"name": "cloud_only"}]
# 8 tasks/s of 1e9 MACs: 1.256 ms each; the cloud is slowed until queues matter
SLOW = {"slowdown": 60}


@pytest.fixture
def cloud(write_scenario, tmp_path):
    """Give a function that runs `cloud_only` with these keys on the cloud node."""

    def run(name="cloud", strategies=CLOUD_ONLY, **keys):
        nodes = {
            "cam": {"count": 2, "tier": "edge", "card": "darwin3"},
            "cloud": CLOUD | keys,
        }
        links = [{"between": ["cam", "cloud"], "card": "wifi_2012"}]
        path = write_scenario(
            name, topology={"nodes": nodes, "links": links}, strategies=strategies
        )
        return run_scenario(path, out=tmp_path / "runs")

    return run


def served(run):
    return run.tasks.sort_values("task_id").reset_index(drop=True)


def test_without_keys_nothing_changes(cloud):
    plain = served(cloud("plain"))
    assert plain["cloud_wait_s"].max() < 0.01
    one = served(cloud("one", servers=1, discipline="fifo", slowdown=1))
    np.testing.assert_array_equal(plain["latency_s"], one["latency_s"])


def test_slowdown_and_level_change_time_and_energy(cloud):
    plain = served(cloud("plain"))
    slow = served(cloud("slow", slowdown=5.06))
    np.testing.assert_allclose(slow["cloud_service_s"], 5.06 * plain["cloud_service_s"])
    np.testing.assert_allclose(slow["cloud_j"], 5.06 * plain["cloud_j"])
    low = served(cloud("low", level={"speed": 0.5, "power": 0.3}))
    np.testing.assert_allclose(low["cloud_service_s"], 2.0 * plain["cloud_service_s"])
    np.testing.assert_allclose(low["cloud_j"], 0.6 * plain["cloud_j"])


def test_more_servers_wait_less(cloud):
    one, two = served(cloud("one", **SLOW)), served(cloud("two", servers=2, **SLOW))
    assert one["cloud_wait_s"].mean() > 3.0 * two["cloud_wait_s"].mean() > 0.0
    np.testing.assert_allclose(one["cloud_service_s"], two["cloud_service_s"])


def test_sharing_serves_everybody_at_once(cloud):
    fifo, sharing = (
        served(cloud("one", **SLOW)),
        served(cloud("shared", discipline="sharing", **SLOW)),
    )
    np.testing.assert_allclose(fifo["cloud_service_s"], sharing["cloud_service_s"])
    # equal services: nobody overtakes, and whoever came first leaves later
    assert sharing["latency_s"].mean() > fifo["latency_s"].mean()


def test_a_full_buffer_drops_tasks(cloud):
    run = cloud("full", capacity=1, servers=1, **SLOW)
    tasks = served(run)
    status = tasks["status"].astype(str)
    assert set(status) == {"answered", "dropped"} or set(status) == {"answered", "dropped", "late"}
    assert 0.1 < (status == "dropped").mean() < 0.6
    assert (tasks.loc[status != "dropped", "cloud_wait_s"] == 0.0).all()


def test_batches_save_energy_and_time(cloud):
    keys = {"slowdown": 200}  # load 2 one by one
    batch = {"max": 8, "timeout": "5 ms", "latency": [[1, 1.0], [8, 2.4]]}
    run = cloud("batched", batch=batch, **keys)
    tasks = served(run)
    plain = served(cloud("alone", **keys))
    assert tasks["latency_s"].mean() < 0.5 * plain["latency_s"].mean()
    assert tasks["cloud_j"].mean() < 0.7 * plain["cloud_j"].mean()
    energy = run.energy
    active = energy[(energy["node"] == "cloud") & (energy["state"] == "active")]
    assert active["seconds"].sum() < tasks["cloud_service_s"].sum()


def test_own_tasks_go_before_other_tenants(cloud):
    background = {"rate": "60 /s", "service": "10 ms"}
    waits = {
        name: served(cloud(name, background=background, **keys))["cloud_wait_s"].mean()
        for name, keys in {
            "fifo": {},
            "priority": {"discipline": "priority"},
            "preemptive": {"discipline": "preemptive"},
            "last": {"discipline": "priority", "order": ["background", "inference", "training"]},
        }.items()
    }
    assert waits["preemptive"] < 0.2 * waits["priority"]
    assert waits["priority"] < 0.7 * waits["fifo"]
    assert waits["fifo"] < 0.7 * waits["last"]


def test_runs_repeat_and_books_balance_with_other_tenants(cloud):
    keys = {
        "background": {"rate": "60 /s", "service": "10 ms"},
        "capacity": 3,
        "discipline": "preemptive",
    }
    first, second = cloud("a", **keys), cloud("b", **keys)
    np.testing.assert_array_equal(served(first)["latency_s"], served(second)["latency_s"])
    sums = first.energy.groupby(["node", "component"], observed=True)["seconds"].sum()
    assert sums.to_numpy() == pytest.approx(first.manifest["horizon_s"])


@pytest.mark.parametrize(
    "keys, message",
    [
        ({"servers": 0}, "expected at least 1"),
        ({"discipline": "lifo"}, "expected 'fifo'"),
        ({"capacity": 0}, "expected at least 1"),
        ({"slowdown": 0.5}, "expected at least 1"),
        ({"level": {"speed": 0, "power": 1}}, "expected more than 0"),
        ({"order": ["inference", "background", "training"]}, "expected no order"),
        ({"discipline": "priority", "order": ["inference"]}, "expected an order of"),
        ({"card": "raspberry_pi_4b", "batch": {"max": 4}}, "has no batch_fixed"),
        ({"batch": {"max": 4, "latency": [[2, 1.0]]}}, "begin with"),
        ({"batch": {"max": 4, "latency": [[1, 1.0], [4, 0.5]]}}, "increase"),
        ({"batch": {"max": 4, "timeout": 5, "latency": [[1, 1.0]]}}, "without a unit"),
        (
            {"discipline": "sharing", "batch": {"max": 4, "latency": [[1, 1.0]]}},
            "expected batches with",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(write_scenario, tmp_path, keys, message):
    nodes = {"cam": {"tier": "edge", "card": "darwin3"}, "cloud": CLOUD | keys}
    links = [{"between": ["cam", "cloud"], "card": "wifi_2012"}]
    path = write_scenario(topology={"nodes": nodes, "links": links})
    with pytest.raises(ScenarioError) as caught:
        run_scenario(path, out=tmp_path / "runs")
    problem = caught.value.problems[0]
    assert message in str(problem)
    assert problem.path.startswith("topology.nodes.cloud")
    assert problem.line is not None


def test_a_full_batch_by_hand_from_the_card(cloud):
    """Eight at once on an RTX 3090: f = 0.6 is paid once, at 350 - 25 W; an own curve wins."""
    one_s = 60 * (1e-3 + 1e9 / 3.9e12)  # the card's overhead and rate, slowed
    batch = {"max": 8, "timeout": "30 s"}
    card = cloud("card", batch=batch, **SLOW)
    first = served(card).iloc[0]
    assert first["cloud_service_s"] == pytest.approx(one_s * (0.6 + 0.4 * 8))
    assert first["cloud_j"] == pytest.approx(325.0 * one_s * (0.6 + 0.4 * 8) / 8)
    entry = card.manifest["cost_bases"]["rtx3090"]
    assert entry["basis"] == "effective rates, uncalibrated"
    assert entry["nodes"] == ["cloud"] and "batch_fixed" in entry["assumed"]
    note = next(text for text in card.manifest["warnings"] if "rtx3090" in text)
    assert "uncalibrated" in note and "batch_fixed" in note

    own = cloud("own", batch=batch | {"latency": [[1, 1.0], [8, 2.0]]}, **SLOW)
    assert served(own).iloc[0]["cloud_service_s"] == pytest.approx(one_s * 2.0)
    assert "batch_fixed" not in own.manifest["cost_bases"]["rtx3090"]["assumed"]


def test_a_batch_saves_no_arithmetic(write_scenario, tmp_path):
    """At the boundary `op` each request costs 1e9 MACs of 4.6 pJ: batched, slowed or not."""
    batch = {"max": 8, "timeout": "30 s"}
    nodes = {"cam": {"tier": "edge", "card": "darwin3"}, "cloud": CLOUD | {"batch": batch} | SLOW}
    links = [{"between": ["cam", "cloud"], "card": "lte_2012"}]
    path = write_scenario(
        topology={"nodes": nodes, "links": links},
        strategies=CLOUD_ONLY,
        energy={"boundary": "op"},
    )
    run = run_scenario(path, out=tmp_path / "runs")
    assert served(run).iloc[0]["cloud_j"] == pytest.approx(4.6e-3)
    assert any("lte_2012" in text and "boundary op" in text for text in run.manifest["warnings"])
    # the transfer is the radio's, the tail after it is drawn by nobody
    transfer_j = 480_000 / 5.85e6 * (438.39e-9 * 5.85e6 + 1.28804)
    assert run.tasks["up_j"].max() == pytest.approx(transfer_j + 0.26 * 1.211)
    radio = run.energy[(run.energy["component"] == "radio") & (run.energy["state"] == "tail")]
    assert radio["joules"].sum() == 0.0 < radio["seconds"].sum()


def test_an_engine_that_sleeps(cloud):
    plain = served(cloud("plain"))
    run = cloud("asleep", sleep={"after": "10 ms", "power": "1 W", "wake": "30 ms"})
    waits_s = served(run)["cloud_wait_s"] - plain["cloud_wait_s"]
    assert waits_s.max() == pytest.approx(0.03, abs=1e-3)
    energy = run.energy[(run.energy["node"] == "cloud") & (run.energy["component"] == "inference")]
    asleep = energy[energy["state"] == "sleep"].iloc[0]
    assert asleep["seconds"] > 0.0
    assert asleep["joules"] == pytest.approx(asleep["seconds"] * 1.0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("servers", 2),
        ("discipline", "sharing"),
        ("background", {"rate": "1 /s", "service": "9 ms"}),
        ("brown_outs", {"mtbf": "1 s", "mttr": "1 s", "speed": 0.5}),
    ],
)
def test_sleep_is_refused_beside_what_it_does_not_know(cloud, key, value):
    with pytest.raises(ScenarioError, match=f"expected no {key}"):
        cloud(sleep={"after": "1 s", "power": "1 W", "wake": "9 ms"}, **{key: value})


def test_an_engine_that_sleeps_does_not_stand_still(cloud):
    outages = {"mtbf": "1 s", "mttr": "1 s", "policy": "resume"}
    with pytest.raises(ScenarioError, match=r"expected outages of the policy lose .* got resume"):
        cloud(sleep={"after": "1 s", "power": "1 W", "wake": "9 ms"}, outages=outages)
