"""Faults in whole runs: outages, brown-outs, fall-backs and retries, batteries, bad input."""

import numpy as np
import pandas as pd
import pytest

from ecsim.collab.buffer import Buffer
from ecsim.core.errors import ScenarioError
from ecsim.core.types import ModelRef, Prediction, Work
from ecsim.runtime.run import run_scenario

NODES = {
    "cam": {"count": 2, "tier": "edge", "card": "darwin3"},
    "cloud": {"tier": "cloud", "card": "rtx3090"},
}
LINK = {"between": ["cam", "cloud"], "card": "wifi_2012", "shared": True}


def topology(cam=(), cloud=(), link=()):
    nodes = {"cam": NODES["cam"] | dict(cam), "cloud": NODES["cloud"] | dict(cloud)}
    return {"nodes": nodes, "links": [LINK | dict(link)]}


@pytest.fixture
def simulate(write_scenario, tmp_path):
    def run(name="small", **sections):
        return run_scenario(write_scenario(name, **sections), out=tmp_path / "runs")

    return run


def of(run, label):
    return run.tasks[run.tasks["strategy"] == label]


SLOW_LINK = {"uplink": "2 Mbit/s"}  # 0.24 s per upload: something is always under way


def test_a_device_that_goes_out_loses_what_it_holds(simulate):
    schedule = {"schedule": [{"at": "10 s", "for": "5 s"}]}
    run = simulate(
        topology=topology(cam={"outages": schedule}, link=SLOW_LINK),
        strategies=[{"name": "cloud_only"}, {"name": "edge_only"}],
    )
    for label in ("cloud_only", "edge_only"):
        tasks = of(run, label)
        during = tasks["t_arrive_s"].between(10.0, 15.0, inclusive="left")
        assert (tasks.loc[during, "status"] == "died").all()
        assert during.sum() > 20
        assert not tasks.loc[during, "uploaded"].any()
        assert (tasks.loc[tasks["t_arrive_s"] >= 15.0, "status"] != "died").all()
    tasks = of(run, "cloud_only")
    held = (tasks["t_arrive_s"] < 10.0) & (tasks["status"] == "died")
    assert held.sum() >= 1
    assert (tasks.loc[held, "wasted_j"] + tasks.loc[held, "up_j"] > 0).any()
    done = tasks["t_answer_s"].dropna()
    assert not done.between(10.0, 15.0).any()
    energy = run.energy[run.energy["state"] == "down"]
    seconds = energy.set_index(["strategy", "node", "component"])["seconds"]
    assert seconds["edge_only", "cam[0]", "inference"] == 5.0
    assert energy["joules"].sum() == 0.0
    sums = run.energy.groupby(["strategy", "node", "component"], observed=True)["seconds"].sum()
    assert sums.to_numpy() == pytest.approx(run.manifest["horizon_s"])


def test_an_outage_of_the_cloud_drops_tasks_or_lets_the_edge_answer(simulate):
    schedule = {"schedule": [{"at": "10 s", "for": "10 s"}]}
    run = simulate(
        topology=topology(cloud={"outages": schedule}),
        strategies=[
            {"name": "ecc_snn", "threshold": 0.5},
            {"name": "ecc_snn", "threshold": 0.5, "label": "falls_back", "on_timeout": "edge"},
            {"name": "cloud_only", "on_timeout": "edge"},
            {"name": "edge_only"},
        ],
    )
    plain, falling = of(run, "ecc_snn"), of(run, "falls_back")
    during = plain["t_arrive_s"].between(10.0, 19.9).to_numpy()
    unsure = (plain["normalized_entropy"] > 0.5).to_numpy()
    dropped = (plain["status"] == "dropped").to_numpy()
    assert (dropped == (during & unsure) | dropped).all()
    assert dropped.sum() == (during & unsure & dropped).sum() > 10
    assert falling["status"].isin(["answered", "late"]).all()
    lost = falling[falling["task_id"].isin(plain.loc[dropped, "task_id"])]
    assert (lost["route"] == "edge").all()
    edge = of(run, "edge_only").set_index("task_id")["predicted"]
    assert (lost.set_index("task_id")["predicted"] == edge.loc[lost["task_id"]]).all()
    cloud_only = of(run, "cloud_only")
    assert cloud_only["status"].isin(["answered", "late"]).all()
    assert set(cloud_only["route"]) == {"edge", "cloud"}
    assert run.summary["ecc_snn"]["status"]["dropped"] == dropped.sum()


def test_a_time_out_falls_back_to_the_edges_own_answer(simulate):
    common = {"name": "ecc_snn", "threshold": 0.5, "timeout": "150 ms"}
    run = simulate(
        topology=topology(link=SLOW_LINK | {"shared": False}),
        strategies=[
            {"name": "ecc_snn", "threshold": 0.5},
            common | {"label": "edge", "on_timeout": "edge"},
            common | {"label": "drop", "on_timeout": "drop"},
            common | {"label": "wait", "on_timeout": "wait"},
        ],
    )
    unsure = of(run, "edge")["normalized_entropy"] > 0.5
    late = of(run, "edge")[unsure]
    assert late["status"].isin(["answered", "late"]).all()
    assert (late["route"] == "edge").all()  # an upload alone takes 240 ms
    assert late["uploaded"].all()
    parts = late["edge_wait_s"] + late["edge_service_s"]
    assert late["latency_s"].to_numpy() == pytest.approx(parts.to_numpy() + 0.15)
    assert (late["wasted_j"] > 0).any()
    assert (of(run, "drop").loc[unsure.to_numpy(), "status"] == "dropped").all()
    drop = of(run, "drop")[unsure.to_numpy()]
    assert drop["t_answer_s"].isna().all()
    waited = of(run, "wait").drop(columns="strategy").reset_index(drop=True)
    pd.testing.assert_frame_equal(
        waited, of(run, "ecc_snn").drop(columns="strategy").reset_index(drop=True)
    )


def test_retries_come_back_after_growing_pauses(simulate):
    schedule = {"schedule": [{"at": "10 s", "for": "3 s"}]}
    patient = {"name": "cloud_only", "retries": 3, "backoff": "0.5 s"}
    run = simulate(
        topology=topology(cloud={"outages": schedule}),
        strategies=[patient, {"name": "cloud_only", "label": "once"}],
    )
    once, tried = of(run, "once"), of(run, "cloud_only")
    # pauses of 0.5, 1 and 2 s: who comes within the outage's last 3.5 s is served in the end
    assert (once["status"] == "dropped").sum() > 10
    assert tried["status"].isin(["answered", "late"]).all()
    early = tried[tried["t_arrive_s"].between(10.0, 10.9)]
    # refused at 0, 0.5 and 1.5 s after arrival; served at 3.5 s
    assert len(early) > 0
    assert early["latency_s"].between(3.5, 3.9).all()


def test_every_strategy_meets_the_same_drawn_faults(simulate):
    outages = {"mtbf": "6 s", "mttr": "2 s"}
    run = simulate(
        topology=topology(cam={"outages": outages}),
        strategies=[{"name": "edge_only"}, {"name": "cloud_only"}],
    )
    down = run.energy[run.energy["state"] == "down"].set_index(["strategy", "node", "component"])
    a, b = (down.loc[label, "seconds"] for label in ("edge_only", "cloud_only"))
    pd.testing.assert_series_equal(a, b)
    assert a["cam[0]", "inference"] > 0
    assert a["cam[0]", "inference"] != a["cam[1]", "inference"]  # a stream each
    died = of(run, "edge_only").groupby("device", observed=True)["status"].value_counts()
    assert (died.loc[:, "died"] > 0).all()


def test_another_component_shifts_nobody_elses_faults(simulate):
    outages = {"mtbf": "6 s", "mttr": "2 s"}
    alone = simulate("alone", topology=topology(cam={"outages": outages}))
    more = simulate(
        "more",
        topology=topology(cam={"outages": outages}, link={"outages": outages}),
    )
    down = [
        run.energy[run.energy["state"] == "down"].reset_index(drop=True) for run in (alone, more)
    ]
    pd.testing.assert_frame_equal(*down)
    assert more.summary["ecc_snn"]["status"]["dropped"] > 0
    assert alone.summary["ecc_snn"]["status"]["dropped"] == 0


def test_outages_of_private_links_are_each_ones_own(simulate):
    outages = {"mtbf": "5 s", "mttr": "5 s", "distribution": "weibull", "shape": 2.0}
    run = simulate(
        topology=topology(link={"outages": outages, "shared": False}),
        strategies=[{"name": "cloud_only"}],
    )
    tasks = run.tasks.assign(second=run.tasks["t_arrive_s"].astype(int))
    lost = tasks[tasks["status"] == "dropped"].groupby("device", observed=True)["second"].unique()
    assert set(lost["cam[0]"]) != set(lost["cam[1]"])


def test_work_that_stands_still_is_answered_later(simulate):
    outages = {"schedule": [{"at": "10 s", "for": "5 s"}], "policy": "resume"}
    run = simulate(topology=topology(cam={"outages": outages}), strategies=[{"name": "edge_only"}])
    during = run.tasks[run.tasks["t_arrive_s"].between(10.0, 15.0)]
    assert (during["status"] == "answered").all()
    assert (during["t_answer_s"] > 15.0).all()
    waited = during["edge_wait_s"] + during["edge_service_s"]
    assert waited.to_numpy() == pytest.approx(during["latency_s"].to_numpy())


def test_a_brown_out_makes_the_cloud_slow_for_a_while(simulate):
    brown_outs = {"schedule": [{"at": "10 s", "for": "10 s"}], "speed": 0.25}
    run = simulate(
        topology=topology(cloud={"brown_outs": brown_outs}), strategies=[{"name": "cloud_only"}]
    )
    tasks = run.tasks
    inside = tasks["t_arrive_s"].between(10.1, 19.5) & (tasks["cloud_wait_s"] == 0.0)
    outside = tasks["t_arrive_s"] > 20.5
    normal_s = 1e-3 + 1e9 / 3.9e12
    assert tasks.loc[outside, "cloud_service_s"].to_numpy() == pytest.approx(normal_s)
    assert tasks.loc[inside, "cloud_service_s"].to_numpy() == pytest.approx(4 * normal_s)


def test_time_outs_without_faults_that_never_strike_change_nothing(simulate):
    run = simulate(
        strategies=[
            {"name": "ecc_snn", "threshold": 0.5},
            {
                "name": "ecc_snn",
                "label": "patient",
                "threshold": 0.5,
                "timeout": "1000 s",
                "retries": 2,
                "on_timeout": "edge",
            },
        ]
    )
    pair = [
        of(run, label).drop(columns="strategy").reset_index(drop=True)
        for label in ("ecc_snn", "patient")
    ]
    pd.testing.assert_frame_equal(*pair)


@pytest.mark.parametrize(
    ("section", "where", "message"),
    [
        ({"cam": {"outages": {"mtbf": "0 s", "mttr": "1 s"}}}, "mtbf", "expected more than 0 s"),
        ({"cam": {"outages": {"mtbf": "-3 s", "mttr": "1 s"}}}, "mtbf", "expected more than 0 s"),
        ({"cam": {"outages": {"mtbf": "3 s"}}}, "outages", "expected mtbf and mttr, or a schedule"),
        ({"cam": {"outages": {}}}, "outages", "or a schedule, got neither"),
        (
            {
                "cam": {
                    "outages": {
                        "schedule": [
                            {"at": "9 s", "for": "2 s"},
                            {"at": "3 s", "for": "1 s"},
                        ]
                    }
                }
            },
            "schedule[1].at",
            "expected a begin at or after the end of the one before, 11 s, got 3 s",
        ),
        (
            {"cam": {"outages": {"schedule": [{"at": "9 s", "for": "0 s"}]}}},
            "schedule[0].for",
            "expected more than 0 s",
        ),
        (
            {"cam": {"outages": {"mtbf": "3 s", "mttr": "1 s", "shape": 2.0}}},
            "outages",
            "expected a shape with the distribution weibull alone",
        ),
        (
            {"cloud": {"brown_outs": {"mtbf": "3 s", "mttr": "1 s", "speed": 1.5}}},
            "speed",
            "expected less than 1",
        ),
        ({"link": {"outages": {"mtbf": "3 s", "mttr": ".nan s"}}}, "mttr", "expected a time"),
    ],
)
def test_bad_input_is_refused_with_its_position(simulate, section, where, message):
    with pytest.raises(ScenarioError) as caught:
        simulate(topology=topology(**section))
    problems = [p for p in caught.value.problems if message in p.message]
    assert problems, str(caught.value)
    assert problems[0].path.endswith(where)
    assert problems[0].line is not None


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"timeout": "0 s"}, "expected more than 0 s"),
        ({"retries": -1}, "expected at least 0"),
        ({"on_timeout": "cloud"}, "expected 'edge', 'drop' or 'wait'"),
        ({"backoff": "-1 s"}, "expected at least 0 s"),
    ],
)
def test_bad_patience_is_refused(simulate, params, message):
    with pytest.raises(ScenarioError, match=message):
        simulate(strategies=[{"name": "ecc_snn"} | params])


def test_latencies_are_finite_and_waits_never_negative(simulate):
    everything = {"mtbf": "4 s", "mttr": "1 s"}
    run = simulate(
        topology=topology(
            cam={"outages": everything},
            cloud={"outages": everything, "brown_outs": everything | {"speed": 0.1}},
            link={"outages": everything} | SLOW_LINK,
        ),
        strategies=[
            {"name": "ecc_snn", "threshold": 0.5, "timeout": "0.4 s", "on_timeout": "edge"},
            {"name": "cloud_only", "timeout": "0.4 s", "retries": 2, "backoff": "0.1 s"},
            {"name": "edge_only"},
        ],
    )
    tasks = run.tasks
    numbers = tasks.select_dtypes("number").drop(columns=["predicted", "model_version", "exit"])
    assert not (numbers < 0).any(axis=None)
    assert np.isfinite(tasks.loc[tasks["status"].isin(["answered", "late"]), "latency_s"]).all()
    for label in ("ecc_snn", "cloud_only", "edge_only"):
        assert run.summary[label]["status"]["died"] > 0


# Batteries ------------------------------------------------------------------------------------

STARVED = {"capacity": "6 J", "initial": 0.5, "restart": 0.2}


def test_a_battery_runs_empty_and_comes_back(simulate):
    charging = {"power": "0.5 W", "every": "10 s", "for": "4 s", "at": "3 s"}
    run = simulate(
        topology=topology(
            cam={"card": "raspberry_pi_4b", "battery": STARVED | {"charging": charging}}
        ),
        strategies=[{"name": "edge_only"}, {"name": "cloud_only"}],
    )
    assert len(run.batteries) == 4
    for row in run.batteries.itertuples():
        assert row.n_depleted >= 1
        assert row.initial_j + row.charged_j - row.drawn_j == pytest.approx(row.final_j)
        assert row.final_j <= row.capacity_j
        mine = run.energy[
            (run.energy["strategy"] == row.strategy) & (run.energy["node"] == row.node)
        ]
        assert mine["joules"].sum() == pytest.approx(row.drawn_j)
        down = mine[(mine["state"] == "down") & (mine["component"] == "inference")]
        assert down["seconds"].sum() == pytest.approx(row.down_s)
        assert row.down_s > 1.0
    for label in ("edge_only", "cloud_only"):
        statuses = set(of(run, label)["status"])
        assert "died" in statuses
        assert "answered" in statuses


def test_a_battery_that_is_never_charged_ends_it_all(simulate):
    run = simulate(
        topology=topology(cam={"card": "raspberry_pi_4b", "battery": {"capacity": "20 J"}}),
        strategies=[{"name": "edge_only"}],
    )
    (a, b) = run.batteries.itertuples()
    assert a.n_depleted == b.n_depleted == 1
    for row in (a, b):
        assert row.final_j == pytest.approx(0.0, abs=1e-9)
        tasks = run.tasks[run.tasks["device"] == row.node]
        empty_s = 40.0 - row.down_s
        is_after = tasks["t_arrive_s"] >= empty_s
        assert (tasks.loc[is_after, "status"] == "died").all()
        assert is_after.sum() > 10
        assert (tasks["t_answer_s"].dropna() <= empty_s).all()


@pytest.mark.parametrize(
    ("cam", "where", "message"),
    [
        ({"battery": {}}, "capacity", "missing; expected: energy when full"),
        ({"battery": {"capacity": "0 J"}}, "capacity", "expected more than 0 J"),
        ({"battery": {"capacity": "1 J", "initial": 1.5}}, "initial", "expected at most 1"),
        ({"battery": {"capacity": "1 J", "cut_off": 0.5}}, "battery", "expected a restart above"),
        (
            {"battery": {"capacity": "1 J", "initial": 0.1, "cut_off": 0.2, "restart": 0.5}},
            "battery",
            "expected an initial charge above the cut-off",
        ),
        (
            {"battery": {"capacity": "1 J", "charging": {"power": "1 W", "every": "5 s"}}},
            "charging",
            "expected every and for together",
        ),
        (
            {
                "battery": {
                    "capacity": "1 J",
                    "charging": {"power": "1 W", "every": "5 s", "for": "6 s"},
                }
            },
            "charging",
            "expected a window within its period",
        ),
        (
            {
                "battery": {"capacity": "1 J"},
                "outages": {"mtbf": "1 s", "mttr": "1 s", "policy": "resume"},
            },
            "cam",
            "expected outages of the policy lose",
        ),
    ],
)
def test_bad_batteries_are_refused_with_their_position(simulate, cam, where, message):
    with pytest.raises(ScenarioError) as caught:
        simulate(topology=topology(cam=cam))
    problems = [p for p in caught.value.problems if message in p.message]
    assert problems, str(caught.value)
    assert problems[0].path.endswith(where)
    assert problems[0].line is not None


@pytest.mark.parametrize(
    "keys",
    [
        {"discipline": "preemptive", "background": {"rate": "4 /s", "service": "50 ms"}},
        {"discipline": "sharing", "servers": 2},
        {"batch": {"max": 4, "timeout": "20 ms", "latency": [[1, 1.0], [4, 2.0]]}},
        {"capacity": 1, "outages": {"schedule": [{"at": "3 s", "for": "2 s"}]}},
        {"background": {"rate": "4 /s", "service": "50 ms"}},
        {"levels": {"low": {"speed": 0.5, "power": 0.3}}, "start_level": "low"},
    ],
)
def test_a_battery_follows_every_engine_on_a_shared_medium(simulate, keys):
    """The run itself checks the charge against the meters, and would raise."""
    cam = {"card": "raspberry_pi_4b", "battery": {"capacity": "25 J"}} | keys
    run = simulate(
        topology=topology(cam=cam, link={"medium": "sharing", "duplex": "half"}),
        strategies=[{"name": "edge_only"}, {"name": "cloud_only"}],
    )
    assert (run.batteries["n_depleted"] == 1).all()
    assert run.batteries["final_j"].to_numpy() == pytest.approx(0.0, abs=1e-9)
    for row in run.batteries.itertuples():
        tasks = run.tasks[
            (run.tasks["strategy"] == row.strategy) & (run.tasks["device"] == row.node)
        ]
        outages_s = 2.0 if "outages" in keys else 0.0
        empty_s = 40.0 - (row.down_s - outages_s)
        is_after = tasks["t_arrive_s"] >= empty_s
        assert is_after.sum() > 10
        assert (tasks.loc[is_after, "status"] == "died").all()
        assert (tasks["t_answer_s"].dropna() <= empty_s).all()
        assert tasks["status"].isin(["answered", "died", "dropped"]).all()


def test_an_offline_training_and_levels_exclude_each_other(simulate):
    learning = {"update": {"name": "self_distillation", "while_updating": "offline"}}
    levels = {"levels": {"low": {"speed": 0.5, "power": 0.3}}}
    with pytest.raises(ScenarioError, match="expected share or idle_only, as 'cam' has levels"):
        simulate(topology=topology(cam=levels), learning=learning)


def test_so_they_do_in_the_cloud(simulate):
    learning = {"update": {"name": "fine_tune", "while_updating": "offline", "where": "cloud"}}
    levels = {"levels": {"low": {"speed": 0.5, "power": 0.3}}}
    with pytest.raises(ScenarioError, match="expected share or idle_only, as 'cloud' has levels"):
        simulate(topology=topology(cloud=levels), learning=learning)


@pytest.mark.parametrize("update", [{"when": "charging"}, {"only_while_charging": True}])
def test_updates_cannot_wait_for_a_charge_that_never_comes(simulate, update):
    learning = {"update": {"name": "self_distillation"} | update}
    for battery in ({}, {"battery": {"capacity": "1 J"}}):
        with pytest.raises(ScenarioError, match="expected a battery with charging"):
            simulate(topology=topology(cam=battery), learning=learning)


def test_a_training_that_is_lost_with_its_device_is_tried_again(simulate):
    """The outage begins just after the first phase, while every device trains."""
    cam = {"count": 1, "card": "raspberry_pi_4b"}
    run = simulate(
        topology=topology(cam=cam | {"outages": {"schedule": [{"at": "10.001 s", "for": "2 s"}]}}),
        models={
            "edge": {"name": "spiking_vgg", "size": "small", "steps": 2},
            "cloud": {"name": "vgg", "size": "small"},
        },
        learning={
            "cloud": {"epochs": 2},
            "setup": {"name": "joint_distillation", "epochs": 1},
            "update": {"name": "self_distillation", "epochs": 2},
        },
    )
    starts = run.updates["t_start_s"]
    assert len(starts) == 2  # of three phases with an update
    assert not (starts < 20.0).any()
    trained = run.energy[(run.energy["state"] == "training") & (run.energy["node"] == "cam[0]")]
    assert trained["seconds"].sum() > run.updates["seconds"].sum()  # the lost one took time too


def test_a_device_that_was_out_has_forgotten_what_it_asked_the_cloud(simulate):
    """Their samples wait in a slow cloud when the devices go out, and its answers find them up."""
    run = simulate(
        topology=topology(
            cam={"outages": {"schedule": [{"at": "12 s", "for": "1 s"}]}},
            cloud={"slowdown": 400},  # 0.5 s each at 8 /s: the queue is long
        ),
        strategies=[{"name": "cloud_only"}],
        run={"horizon": "14 s"},
    )
    tasks = run.tasks
    asked = (tasks["t_arrive_s"] < 11.5) & ~(tasks["t_answer_s"] < 12.0)
    assert asked.sum() > 20
    assert (tasks.loc[asked, "up_bytes"] == 60_000.0).all()  # by now they are in the cloud
    assert (tasks.loc[asked, "status"] == "died").all()
    later = tasks["t_arrive_s"] > 13.0
    assert later.sum() > 3
    assert tasks.loc[later, "status"].isin(["answered", "late"]).all()


def test_messages_wait_for_a_cloud_that_keeps_its_work(simulate):
    """Nothing is lost: what was under way, or comes meanwhile, is answered after the outage."""
    outages = {"schedule": [{"at": "10 s", "for": "5 s"}], "policy": "resume"}
    run = simulate(
        topology=topology(cloud={"outages": outages}), strategies=[{"name": "cloud_only"}]
    )
    tasks = run.tasks
    assert (tasks["status"] == "answered").all()
    during = tasks["t_arrive_s"].between(10.0, 15.0)
    assert during.sum() > 20
    assert (tasks.loc[during, "t_answer_s"] > 15.0).all()
    waits = tasks.loc[during, "up_wait_s"] + tasks.loc[during, "t_arrive_s"]
    assert (waits >= 15.0 - 1e-9).all()


def test_tasks_go_round_a_link_that_is_out(simulate):
    """cam - a - cloud is short, cam - b - cloud long; cam - a is out from 10 to 20 s.

    60 kB at 48 Mbit/s take 10 ms per link, 100 B back 1/60 ms; 3 ms + 3 ms the short way, 3 ms +
    47 ms the long one. The cloud takes 1 ms and 1e9 MACs at 3.9e12 per s.
    """
    gates = {name: {"tier": "edge", "card": "raspberry_pi_4b"} for name in ("a", "b")}
    plain = {"card": "ethernet_gigabit", "uplink": "48 Mbit/s", "downlink": "48 Mbit/s"}
    out = {"schedule": [{"at": "10 s", "for": "10 s"}]}
    links = [
        {"between": ["cam", "a"], "latency": "3 ms", "outages": out},
        {"between": ["a", "cloud"], "latency": "3 ms"},
        {"between": ["cam", "b"], "latency": "3 ms"},
        {"between": ["b", "cloud"], "latency": "47 ms"},
    ]
    nodes = {"cam": {"tier": "end", "card": "darwin3"}, "cloud": NODES["cloud"]} | gates
    run = simulate(
        topology={"nodes": nodes, "links": [link | plain for link in links]},
        strategies=[{"name": "cloud_only"}],
    )
    tasks = run.tasks
    base_s = 2 * 0.010 + 2 * 100 * 8 / 48e6 + 1e-3 + 1e9 / 3.9e12
    waits_s = tasks[["up_wait_s", "cloud_wait_s", "down_wait_s"]].sum(axis=1)
    t = tasks["t_arrive_s"]
    is_under_way = t.between(9.9, 10.0) | t.between(19.9, 20.0)  # and may go each way once
    is_round = t.between(10.0, 19.9)
    is_short = ~is_round & ~is_under_way
    latency_s = tasks["latency_s"] - waits_s
    assert is_round.sum() > 20
    assert latency_s[is_short].to_numpy() == pytest.approx(base_s + 2 * 0.006, rel=1e-9)
    assert latency_s[is_round].to_numpy() == pytest.approx(base_s + 2 * 0.050, rel=1e-9)
    assert (tasks.loc[is_short | is_round, "status"] == "answered").all()


def test_a_buffer_takes_back_what_came_to_nothing():
    model = ModelRef("cloud", 0, "key", (0, 1), 1)
    old, new = (
        Prediction(0, np.array([value, 0.0], np.float32), 0.5, Work(), model) for value in (1, 2)
    )
    buffer = Buffer(4, np.random.default_rng(1))
    for sample in (3, 5):
        buffer.put(sample, old)
    buffer.discard([3, 5])
    buffer.put(5, new)
    buffer.restore()
    batch = buffer.batch()
    assert batch.sample_ids.tolist() == [3, 5]
    assert batch.logits[:, 0].tolist() == [1.0, 2.0]  # the newer answer stays
    buffer.restore()
    assert len(buffer) == 2
