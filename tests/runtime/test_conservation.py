"""Conservation in whole runs over random systems: tasks, time, energy, charge and bytes.

Each example draws a topology, faults, batteries and strategies. The run itself checks tasks, task
energy and battery charge (and would raise); here the tables are checked against each other.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ecsim.api import load_plugins
from ecsim.records.tables import STAGES
from ecsim.runtime.run import run_scenario


def seconds(low, high):
    return st.floats(low, high).map(lambda value: f"{value:.6f} s")


schedules = st.lists(st.floats(0.1, 6.0), min_size=2, max_size=6).map(
    lambda gaps: {
        "schedule": [
            {"at": f"{sum(gaps[: i + 1]):.6f} s", "for": f"{gaps[i + 1] * 0.9:.6f} s"}
            for i in range(0, len(gaps) - 1, 2)
        ]
    }
)
times = st.one_of(
    schedules,
    st.fixed_dictionaries({"mtbf": seconds(0.5, 10.0), "mttr": seconds(0.1, 5.0)}),
    st.fixed_dictionaries(
        {
            "mtbf": seconds(0.5, 10.0),
            "mttr": seconds(0.1, 5.0),
            "distribution": st.just("weibull"),
            "shape": st.floats(0.5, 3.0),
        }
    ),
)
maybe_times = st.one_of(st.none(), times)
policies = st.one_of(
    st.none(),
    st.builds(lambda t, name: t | {"policy": name}, times, st.sampled_from(["lose", "resume"])),
)
charging = st.one_of(
    st.none(),
    st.fixed_dictionaries({"power": st.floats(0.1, 12.0).map(lambda w: f"{w:.6f} W")}),
    st.fixed_dictionaries(
        {
            "power": st.floats(0.1, 12.0).map(lambda w: f"{w:.6f} W"),
            "every": seconds(3.0, 8.0),
            "for": seconds(0.1, 3.0),
            "at": seconds(0.0, 5.0),
        }
    ),
)
batteries = st.one_of(
    st.none(),
    st.builds(
        lambda capacity, initial, cut_off, charging: (
            {
                "capacity": f"{capacity:.6f} J",
                "initial": initial,
                "cut_off": cut_off,
                "restart": 0.3,
            }
            | ({"charging": charging} if charging else {})
        ),
        st.floats(1.0, 60.0),
        st.floats(0.25, 1.0),
        st.sampled_from([0.0, 0.1]),
        charging,
    ),
)
patience = st.fixed_dictionaries(
    {},
    optional={
        "timeout": seconds(0.01, 2.0),
        "retries": st.integers(0, 2),
        "backoff": seconds(0.0, 0.5),
        "on_timeout": st.sampled_from(["edge", "drop", "wait"]),
    },
)
PLUGIN = """
import ecsim
from ecsim.core.errors import FlowError
from ecsim.core.types import Answer
from ecsim.strategies.ecc_snn import EccSnn
from ecsim.strategies.edge_only import EdgeOnly

@ecsim.register("strategy", "restless")
class Restless(EccSnn):
    def background(self, ctx):
        yield from super().background(ctx)
        for node in (*ctx.devices, *ctx.nodes("cloud")):
            yield self.change(node, ctx)

    def change(self, node, ctx):
        rng = ctx.random("levels", node)
        while ctx.now < 16.0:
            yield ctx.after(rng.exponential(0.7))
            ctx.set_level(node, (None, "low", "high")[rng.integers(3)])

@ecsim.register("strategy", "racer")
class Racer(EdgeOnly):
    "Asks device and cloud at once, and does without what fails or comes late."

    def serve(self, task, ctx):
        remote, local = self.remote(task, ctx), self.local(task, ctx)
        try:
            if task.id % 3 == 0:
                return (yield ctx.first(remote, local))[1]
            if task.id % 3 == 1:
                return (yield ctx.all(remote, local, ctx.after(0.05)))[0]
            both = ctx.all(remote, self.remote(task, ctx))
            winner, answers = yield ctx.first(both, ctx.after(0.3))
            if winner == 0:
                return answers[1]
        except FlowError:
            pass
        return (yield from self.local(task, ctx))

    def local(self, task, ctx):
        found = yield ctx.infer(task.device, task)
        return Answer(found.label, task.device, found)

    def remote(self, task, ctx):
        cloud = ctx.near(task.device, "cloud")
        yield ctx.send(task.device, cloud, task.payload_bytes)
        found = yield ctx.infer(cloud, task)
        yield ctx.send(cloud, task.device, 100.0)
        return Answer(found.label, cloud, found)
"""
LEVELS = {
    "low": {"speed": 0.3, "power": 0.2},
    "high": {"speed": 1.7, "power": 3.0, "transition": "130 ms"},
}
CHANGES = [
    {"at": "2 s", "uplink": "0.4 Mbit/s"},
    {"at": "6.5 s", "uplink": "0 Mbit/s", "latency": "30 ms"},
    {"at": "7.5 s", "uplink": "5 Mbit/s", "downlink": "1 Mbit/s"},
]
disciplines = st.one_of(
    st.just({}),
    st.sampled_from(["priority", "preemptive", "sharing"]).map(lambda name: {"discipline": name}),
    st.just({"batch": {"max": 3, "timeout": "40 ms", "latency": [[1, 1.0], [3, 2.0]]}}),
)
tenants = st.sampled_from([None, {"rate": "5 /s", "service": "60 ms"}])


@st.composite
def services(draw, slowdown):
    """Draw how a node serves."""
    found = dict(draw(disciplines)) | {
        "servers": draw(st.integers(1, 2)),
        "slowdown": draw(st.sampled_from([1.0, slowdown])),
        "levels": LEVELS,
        "start_level": draw(st.sampled_from([None, "low"])),
        "capacity": draw(st.sampled_from([None, 1, 4])),
    }
    return {key: value for key, value in found.items() if value is not None}


strategies = st.lists(
    st.one_of(
        patience.map(lambda p: {"name": "restless", "threshold": 0.4} | p),
        st.just({"name": "racer"}),
        st.just({"name": "edge_only"}),
        patience.map(lambda p: {"name": "cloud_only"} | p),
        patience.map(lambda p: {"name": "ecc_snn", "threshold": 0.4} | p),
        patience.map(lambda p: {"name": "random_offload", "rate": 0.5} | p),
    ),
    min_size=1,
    max_size=2,
)


@st.composite
def systems(draw):
    """Draw sections of a scenario: two or three tiers, one or two clouds, one medium or many."""
    battery = draw(batteries)
    outages = draw(maybe_times)
    keeps = battery is None and draw(st.booleans())
    device = draw(services(60.0)) | {
        "background": draw(tenants),
        "count": draw(st.integers(1, 3)),
        "card": draw(st.sampled_from(["darwin3", "raspberry_pi_4b"])),
        "battery": battery,
        "outages": outages and outages | ({"policy": "resume"} if keeps else {}),
    }
    sleeps = draw(st.booleans()) and not keeps
    if sleeps:  # needs a plain engine
        sleep = {"after": draw(seconds(0.0, 1.0)), "power": "1 mW", "wake": draw(seconds(0.0, 0.5))}
        plain = ("count", "card", "battery", "outages")
        device = {key: device[key] for key in plain} | {"sleep": sleep}
    cloud = draw(services(300.0)) | {
        "tier": "cloud",
        "card": "rtx3090",
        "count": draw(st.integers(1, 2)),
        "outages": draw(policies),
        "background": draw(st.sampled_from([None, {"rate": "40 /s", "service": "9 ms"}])),
    }
    brown_outs = draw(maybe_times)
    cloud["brown_outs"] = brown_outs and brown_outs | {"speed": draw(st.floats(0.1, 0.9))}
    link = {"card": draw(st.sampled_from(["wifi_2012", "lte_2012"]))}
    link |= {"shared": draw(st.booleans()), "uplink": draw(st.sampled_from(["1 Mbit/s", None]))}
    link["duplex"] = draw(st.sampled_from(["full", "half"]))
    link["outages"] = draw(policies)
    if not link["outages"] or link["outages"]["policy"] == "lose":
        link["medium"] = draw(st.sampled_from(["fifo", "sharing"]))
        link["loss"] = draw(st.sampled_from([None, {"probability": 0.2, "timeout": "50 ms"}]))
        link["changes"] = draw(st.sampled_from([None, CHANGES]))
    link["jitter"] = draw(st.sampled_from([None, {"kind": "exponential", "mean": "40 ms"}]))
    link["in_order"] = draw(st.booleans())
    nodes = {"cloud": cloud}
    if draw(st.booleans()):
        nodes["cam"] = device | {"tier": "end"}
        nodes["gate"] = {"tier": "edge", "card": "raspberry_pi_4b", "outages": draw(policies)}
        links = [{"between": ["cam", "gate"]} | link, {"between": ["gate", "cloud"]} | link]
    else:
        nodes["cam"] = device | {"tier": "edge"}
        links = [{"between": ["cam", "cloud"]} | link]
    nodes = {name: {k: v for k, v in node.items() if v is not None} for name, node in nodes.items()}
    links = [{k: v for k, v in one.items() if v is not None} for one in links]
    chosen = [entry | {"label": f"s{number}"} for number, entry in enumerate(draw(strategies))]
    if sleeps:  # there are no levels to change
        chosen = [e | {"name": "ecc_snn"} if e["name"] == "restless" else e for e in chosen]
    return {
        "seed": draw(st.integers(0, 10_000)),
        "topology": {"nodes": nodes, "links": links},
        "strategies": chosen,
        "energy": {"boundary": draw(st.sampled_from(["device", "device", "wall", "op_memory"]))},
        "run": {
            "warmup": draw(st.sampled_from(["0 s", "3.7 s"])),
            "drain": draw(st.sampled_from(["100000 s", "0.7 s"])),
            "trace": draw(st.sampled_from([0, 20])),
        },
        "stream": {
            "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
            "phase": "4 s",
            "arrivals": {"kind": "poisson", "rate": draw(st.sampled_from(["1 /s", "6 /s"]))},
            "payload": "60 kB",
        },
    }


@pytest.fixture
def restless(tmp_path):
    plugin = tmp_path / "plugin_of_conservation.py"
    plugin.write_text(PLUGIN)
    load_plugins([plugin])


def check(run, racers=()):
    tasks, energy = run.tasks, run.energy
    numbers = tasks.select_dtypes("number").drop(columns=["predicted", "model_version", "exit"])
    assert not (numbers < 0).any(axis=None)
    # tasks: every arm has a row for each, with one status
    per_arm = tasks.groupby("strategy", observed=True)["task_id"]
    assert len({tuple(sorted(ids)) for _, ids in per_arm}) <= 1
    assert not tasks.duplicated(["strategy", "task_id"]).any()
    is_answered = tasks["status"].isin(["answered", "late"])
    assert tasks.loc[is_answered, "t_answer_s"].notna().all()
    assert tasks.loc[~is_answered, "t_answer_s"].isna().all()
    # time: no part of a task is longer than its life, unless parts went on side by side
    is_answered &= ~tasks["strategy"].isin(racers)
    parts = [f"{stage}_{part}_s" for stage in STAGES for part in ("wait", "service")]
    lives = tasks.loc[is_answered, "latency_s"].to_numpy()
    total = tasks.loc[is_answered, [*parts, "propagation_s"]].sum(axis=1).to_numpy()
    assert (total <= lives + 1e-9 * (1.0 + lives + 16.0)).all()
    window_s = run.manifest["horizon_s"] - run.manifest["warmup_s"]
    sums = energy.groupby(["strategy", "node", "component"], observed=True)["seconds"].sum()
    assert sums.to_numpy() == pytest.approx(window_s, rel=1e-9)
    assert (energy["seconds"] >= -1e-12).all()
    assert (energy["joules"] >= -1e-9).all()
    # energy: the rows' total is the sum of their parts
    stages = tasks[[f"{stage}_j" for stage in STAGES]].sum(axis=1) + tasks["wasted_j"]
    np.testing.assert_allclose(stages, tasks["energy_j"], rtol=1e-12)
    # charge
    for row in run.batteries.itertuples():
        balance = row.initial_j + row.charged_j - row.drawn_j
        assert balance == pytest.approx(row.final_j, abs=1e-9 * row.capacity_j)
        assert row.final_j <= row.capacity_j * (1 + 1e-12)
        assert row.charged_j >= 0.0
        if run.manifest["warmup_s"] == 0.0:
            is_mine = (energy["strategy"] == row.strategy) & (energy["node"] == row.node)
            assert energy.loc[is_mine, "joules"].sum() == pytest.approx(row.drawn_j, rel=1e-9)
    # bytes: a message is a payload or a reply, and only what was sent is uploaded
    payloads = tasks["up_bytes"] / 60_000.0
    np.testing.assert_array_equal(payloads, payloads.round())
    assert (tasks["uploaded"] <= (tasks["up_bytes"] > 0)).all()
    assert (tasks["down_bytes"] % 100.0 == 0.0).all()


@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # an example is a whole run: no shrinking
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(system=systems())
def test_nothing_is_lost_or_made(restless, system, write_scenario, tmp_path):
    racers = [entry["label"] for entry in system["strategies"] if entry["name"] == "racer"]
    check(run_scenario(write_scenario(**system), out=tmp_path / "runs"), racers)
