"""Cuts that move: what the planner chose on an idle system, and a fall of the bandwidth."""

import numpy as np
import pytest
from slow_camera import ADAPTIVE, cuts, lab, of

from ecsim.runtime.run import run_scenario


@pytest.fixture(scope="module")
def run(write_shared_scenario, tmp_path_factory):
    def simulate(name, *strategies, **more):
        path = lab(write_shared_scenario, name, *strategies, **more)
        return run_scenario(path, out=tmp_path_factory.mktemp("runs"))

    return simulate


@pytest.fixture(scope="module")
def falls(run):
    """8 Mbit/s for 10 s, 50 kbit/s for 6 s, and 8 Mbit/s again; a task every 0.5 s."""
    changes = [{"at": "10 s", "uplink": "50 kbit/s"}, {"at": "16 s", "uplink": "8 Mbit/s"}]
    return run(
        "falls", {"name": "split"}, ADAPTIVE | {"step_macs": 100.0},
        link={"changes": changes},
    )  # fmt: skip


def test_on_an_idle_system_it_does_what_the_planner_says(run):
    idle = run("idle", {"name": "split"}, {"name": "adaptive_split"}, ADAPTIVE | {"label": "eager"})
    split = of(idle.tasks, "split")
    assert len(split) >= 40
    for label in ("adaptive_split", "eager"):
        adaptive = of(idle.tasks, label)
        for column in ("latency_s", "energy_j", "predicted", "up_bytes"):
            np.testing.assert_array_equal(split[column], adaptive[column])
        assert cuts(idle, label) == [(0.0, 4)]
        assert set(of(idle.marks, label)["name"]) == {"layers_on_device", "planned_value"}


def test_the_cut_moves_soon_after_the_bandwidth_falls_and_back_when_a_probe_says_so(falls):
    """The first slow message ends 0.33 s after it begins; the next task, 0.5 s later, plans.

    What the link promises is the mean of its rates, so that the first message is news too.
    """
    _first, fallen, back, *more = cuts(falls, "adaptive_split")
    assert 10.0 < fallen[0] <= 11.1
    assert fallen[1] == 15  # all of it
    assert 16.0 < back[0] <= 16.0 + 1.0 + 2 * 0.5 + 0.2  # a probe, then a task, each at a task
    assert back[1] == 4
    assert not more
    tasks = of(falls.tasks, "adaptive_split")
    between = tasks[(tasks["t_arrive_s"] > fallen[0]) & (tasks["t_arrive_s"] < 15.9)]
    assert (between["up_bytes"] == 0).all()
    slow = of(falls.tasks, "split")
    slow = slow[(slow["t_arrive_s"] > fallen[0]) & (slow["t_arrive_s"] < 15.9)]
    assert between["latency_s"].max() < slow["latency_s"].min() / 5


def test_planning_is_work_on_the_device_that_stands_in_the_tasks_row(falls):
    marks = of(falls.marks, "adaptive_split")
    steps = marks[marks["name"] == "planning_steps"]
    tasks = of(falls.tasks, "adaptive_split")
    assert len(steps) >= 2
    for t_s, value in zip(steps["t_s"], steps["value"], strict=True):
        task = tasks[np.isclose(tasks["t_arrive_s"], t_s)].iloc[0]
        like = tasks[(tasks["up_bytes"] == task["up_bytes"]) & (tasks["t_arrive_s"] != t_s)]
        seconds = value * 100.0 / 20e6
        usual = like[~like["t_arrive_s"].isin(steps["t_s"])].iloc[-1]
        assert task["edge_service_s"] == pytest.approx(usual["edge_service_s"] + seconds, rel=1e-9)
        assert task["energy_j"] > usual["energy_j"] + 0.4 * seconds


def test_hysteresis_keeps_the_cut_where_little_is_to_be_gained(run):
    """Around 540 kbit/s the cuts behind 4 and 8 layers are close."""
    changes = [
        {"at": f"{second} s", "uplink": ("580 kbit/s", "500 kbit/s")[second % 2]}
        for second in range(1, 20)
    ]
    always = ADAPTIVE | {"change": 0.0, "hold": "0 s"}
    wobble = run(
        "wobble",
        always,
        always | {"label": "nervous", "gain": 0.0},
        rate="560 kbit/s",
        link={"changes": changes},
    )
    assert len(cuts(wobble, "adaptive_split")) == 1
    assert len(cuts(wobble, "nervous")) > 5
    planned = of(wobble.marks, "adaptive_split")["name"].value_counts()
    assert planned["planning_steps"] > 15  # it looked, and stayed


def test_an_outage_is_bridged_on_the_device(run):
    line = {"outages": {"schedule": [{"at": "5.001 s", "for": "4 s"}], "policy": "resume"}}
    patient = ADAPTIVE | {"timeout": "200 ms"}
    out = run(
        "outage", patient, patient | {"label": "drops", "on_failure": "drop"}, link=line
    )  # fmt: skip
    tasks, drops = of(out.tasks, "adaptive_split"), of(out.tasks, "drops")
    assert set(tasks["status"]) == {"answered"}
    assert (drops["status"] == "dropped").any()
    during = tasks[tasks["t_arrive_s"].between(5.1, 8.9)]
    assert set(during["route"]) == {"edge"}
    assert set(tasks[tasks["t_arrive_s"] > 12.0]["route"]) == {"cloud"}
    whole = of(run("whole", {"name": "split", "after": ["cat"]}).tasks, "split")
    assert tasks["predicted"].tolist() == whole["predicted"].tolist()
    fell = tasks[tasks["latency_s"] > 0.2].iloc[0]  # the first one waited for the time-out
    assert fell["latency_s"] == pytest.approx(0.2 + 0.037, abs=0.002)
