"""What arms share and what they refer to: common random numbers, matched uploads, versions."""

import numpy as np
import pandas as pd
import pytest
import yaml

from ecsim.core.errors import StrategyError
from ecsim.core.registry import load_plugins
from ecsim.runtime.lookup import lookup
from ecsim.runtime.run import run_scenario
from ecsim.scenario import scenario_hash
from ecsim.scenario.dump import files_of
from ecsim.scenario.load import load

FIVE = [
    {"name": "random_offload", "rate": "match ecc_snn"},  # before its reference, on purpose
    {"name": "ecc_snn", "threshold": 0.5},
    {"name": "edge_only"},
    {"name": "cloud_only"},
    {"name": "random_offload", "label": "half", "rate": 0.5},
]


@pytest.fixture
def run(write_scenario, tmp_path):
    return run_scenario(write_scenario(strategies=FIVE), out=tmp_path / "runs")


def test_all_arms_meet_the_same_tasks(run):
    given = ["task_id", "device", "phase", "visit", "sample_id", "t_arrive_s", "label"]
    arms = [
        arm.sort_values("task_id")[given].reset_index(drop=True)
        for _, arm in run.tasks.groupby("strategy", observed=True)
    ]
    assert len(arms) == 5
    for arm in arms[1:]:
        pd.testing.assert_frame_equal(arm, arms[0])


def test_random_offload_uploads_exactly_as_often_per_phase_and_device(run):
    counts = run.tasks.pivot_table(
        index=["device", "phase"],
        columns="strategy",
        values="uploaded",
        aggfunc="sum",
        observed=True,
    )
    assert (counts["ecc_snn"] > 0).all()
    assert (counts["random_offload"] == counts["ecc_snn"]).all()
    chosen = run.tasks[run.tasks["uploaded"]].groupby("strategy", observed=True)["task_id"]
    assert set(chosen.get_group("random_offload")) != set(chosen.get_group("ecc_snn"))


def test_ecc_snn_uploads_what_exceeds_the_threshold_and_nothing_else(run):
    tasks = run.tasks[run.tasks["strategy"] == "ecc_snn"]
    assert (tasks["uploaded"] == (tasks["normalized_entropy"] > 0.5)).all()
    assert (tasks["route"] == np.where(tasks["uploaded"], "cloud", "edge")).all()


def test_references_do_without_uploads_and_with_all(run):
    assert run.summary["edge_only"]["cur"] == 0.0
    assert run.summary["edge_only"]["bytes_per_task"]["up"] == 0.0
    assert run.summary["cloud_only"]["cur"] == 1.0
    assert run.summary["cloud_only"]["bytes_per_task"]["up"] == 60_000.0
    assert 0.4 < run.summary["half"]["cur"] < 0.6
    assert list(run.summary) == ["random_offload", "ecc_snn", "edge_only", "cloud_only", "half"]


def test_latency_is_the_sum_of_its_parts(run):
    tasks = run.tasks
    parts = [c for c in tasks if c.endswith(("_wait_s", "_service_s"))] + ["propagation_s"]
    np.testing.assert_allclose(tasks[parts].sum(axis=1), tasks["latency_s"], rtol=1e-9, atol=1e-9)


def test_idle_cloud_path_by_hand(run):
    """The quickest uploads met no queue: serialisation, propagation both ways, cloud service."""
    tasks = run.tasks[run.tasks["strategy"] == "cloud_only"]
    upload_s = 60_000 * 8 / 18.88e6
    reply_s = 100 * 8 / 54.97e6
    cloud_s = 1e-3 + 1e9 / 3.9e12
    assert tasks["latency_s"].min() == pytest.approx(upload_s + reply_s + cloud_s + 2 * 2e-3)
    tx_w = 0.28317 * 18.88 + 0.13286
    rx_w = 0.13701 * 54.97 + 0.13286
    assert tasks["up_j"].to_numpy() == pytest.approx(tx_w * upload_s)
    assert tasks["down_j"].to_numpy() == pytest.approx(rx_w * reply_s)
    assert tasks["cloud_j"].to_numpy() == pytest.approx(325.0 * cloud_s)


def test_states_of_each_component_sum_to_the_window(run):
    sums = run.energy.groupby(["strategy", "node", "component"], observed=True)["seconds"].sum()
    assert sums.to_numpy() == pytest.approx(run.manifest["horizon_s"])


def test_warm_up_leaves_out_tasks_and_energy(write_scenario, tmp_path):
    whole = run_scenario(write_scenario("whole"), out=tmp_path / "runs")
    path = write_scenario("warm", run={"warmup": "15 s"})
    warm = run_scenario(path, out=tmp_path / "runs")
    pd.testing.assert_frame_equal(whole.tasks, warm.tasks)
    n_late = int((whole.tasks["t_arrive_s"] >= 15.0).sum())
    assert warm.summary["ecc_snn"]["n"] == n_late < whole.summary["ecc_snn"]["n"]
    seconds = warm.energy.groupby(["node", "component"], observed=True)["seconds"].sum()
    assert seconds.to_numpy() == pytest.approx(40.0 - 15.0)


def test_busy_seconds_of_the_meters_are_those_of_the_tasks(run):
    """Where every task ended before the horizon; else the meters cut the last ones."""
    whole = 0
    for label, tasks in run.tasks.groupby("strategy", observed=True):
        if (tasks["status"] != "answered").any():
            continue
        whole += 1
        rows = run.energy[run.energy["strategy"] == label]
        for tier, column in (("edge", "edge_service_s"), ("cloud", "cloud_service_s")):
            engine = rows[(rows["tier"] == tier) & (rows["component"] == "inference")]
            busy_s = engine.loc[engine["state"] == "active", "seconds"].sum()
            assert busy_s == pytest.approx(tasks[column].sum(), rel=1e-9, abs=1e-12)
        sent_s = rows[(rows["tier"] == "edge") & (rows["state"] == "tx")]["seconds"].sum()
        assert sent_s == pytest.approx(tasks["up_service_s"].sum(), rel=1e-9, abs=1e-12)
    assert whole > 0


@pytest.mark.parametrize("shared", [True, False])
def test_the_order_in_which_a_link_names_its_ends_changes_nothing(write_scenario, tmp_path, shared):
    runs = []
    for name, between in (("up", ["cam", "cloud"]), ("down", ["cloud", "cam"])):
        path = write_scenario(name)
        links = [{"between": between, "card": "wifi_2012", "shared": shared}]
        overrides = {"topology.links": links}
        runs.append(run_scenario(path, out=tmp_path / "runs", overrides=overrides))
    pd.testing.assert_frame_equal(runs[0].tasks, runs[1].tasks)


CHAIN = {
    "nodes": {
        "sensor": {"count": 2, "tier": "end", "card": "raspberry_pi_4b"},
        "gateway": {"tier": "edge", "card": "raspberry_pi_4b"},
        "cloud": {"tier": "cloud", "card": "rtx3090"},
    },
    "links": [
        {"between": ["sensor", "gateway"], "card": "wifi_2012"},
        {"between": ["gateway", "cloud"], "card": "lte_2012"},
    ],
}


def test_three_tiers_pass_messages_on_and_each_link_takes_its_time(write_scenario, tmp_path):
    path = write_scenario(topology=CHAIN, strategies=[{"name": "cloud_only"}])
    tasks = run_scenario(path, out=tmp_path / "runs").tasks
    up_s = 60_000 * 8 / 18.88e6 + 60_000 * 8 / 5.85e6
    assert tasks["up_service_s"].to_numpy() == pytest.approx(up_s)
    assert tasks["propagation_s"].to_numpy() == pytest.approx(2 * (2e-3 + 35e-3))
    assert set(tasks["device"]) == {"sensor[0]", "sensor[1]"}


PLUGIN = """
import ecsim
from ecsim.collab.routines import ask_cloud
from ecsim.collab.strategy import Strategy
from ecsim.core.types import Answer

@ecsim.register("strategy", "impatient")
class Impatient(Strategy):
    def serve(self, task, ctx):
        edge = yield ctx.infer(task.device, task)
        who, answer = yield ctx.first(ask_cloud(task, ctx, 100.0), ctx.after(0.01))
        return answer if who == 0 else Answer(edge.label, at=task.device, by=edge)

@ecsim.register("strategy", "peers")
class Peers(Strategy):
    def serve(self, task, ctx):
        edge = yield ctx.infer(task.device, task)
        yield ctx.send(task.device, "gateway", 1000.0)
        return Answer(edge.label, at=task.device, by=edge)

@ecsim.register("strategy", "liar")
class Liar(Strategy):
    def serve(self, task, ctx):
        edge = yield ctx.infer(task.device, task)
        return Answer(edge.label, at="cloud", by=edge)
"""


@pytest.fixture
def own_strategies(tmp_path):
    plugin = tmp_path / "plugin_of_the_test.py"
    plugin.write_text(PLUGIN)
    load_plugins([plugin])


def test_a_task_that_gave_up_wasted_what_its_message_had_used_until_then(
    own_strategies, write_scenario, tmp_path
):
    path = write_scenario(topology=CHAIN, strategies=[{"name": "impatient"}])
    tasks = run_scenario(path, out=tmp_path / "runs").tasks  # the books balance, or it raises
    assert (tasks["route"] == "end").all()
    wifi_j = (0.28317 * 18.88 + 0.13286) * 60_000 * 8 / 18.88e6
    assert tasks["wasted_j"].to_numpy() == pytest.approx(wifi_j)  # what follows is nobody's
    assert (tasks["latency_s"] < 1.0).all()
    assert tasks["uploaded"].all()


def test_messages_between_peers_are_no_uploads(own_strategies, write_scenario, tmp_path):
    path = write_scenario(topology=CHAIN, strategies=[{"name": "peers"}])
    run = run_scenario(path, out=tmp_path / "runs")
    assert run.summary["peers"]["cur"] == 0.0
    assert run.summary["peers"]["bytes_per_task"]["up"] == 1000.0


def test_an_answer_that_no_model_there_gave_is_refused(own_strategies, write_scenario, tmp_path):
    path = write_scenario(topology=CHAIN, strategies=[{"name": "liar"}])
    with pytest.raises(StrategyError, match="cannot give"):
        run_scenario(path, out=tmp_path / "runs")


def test_deadlines_count_from_the_arrival(write_scenario, tmp_path):
    path = write_scenario(strategies=[{"name": "edge_only"}, {"name": "cloud_only"}])
    run = run_scenario(path, out=tmp_path / "runs", overrides={"stream.deadline": "20 ms"})
    assert run.summary["edge_only"]["deadline_miss_ratio"] == 0.0
    assert run.summary["cloud_only"]["deadline_miss_ratio"] == 1.0
    late = run.tasks["latency_s"] > 0.020
    assert (run.tasks["deadline_met"] == ~late).all()


def test_phases_that_are_no_round_numbers_do_not_drift(write_scenario, tmp_path):
    sections = {
        "models": {
            "edge": {"name": "spiking_vgg", "size": "small", "steps": 1},
            "cloud": {"name": "vgg", "size": "small"},
        },
        "learning": {
            "cloud": {"epochs": 1},
            "setup": {"name": "joint_distillation", "epochs": 1},
            "update": {"name": "self_distillation", "epochs": 1, "min_support": 1},
        },
        "stream": {
            "schedule": {"kind": "class_incremental", "base_classes": 2, "increment": 1},
            "phase": "1.1 s",
            "arrivals": {"kind": "periodic", "rate": "20 /s"},
        },
        "strategies": [{"name": "ecc_snn", "threshold": 0.0}],
    }
    updates = run_scenario(write_scenario(**sections), out=tmp_path / "runs").updates
    ends = np.arange(1, 9) * 1.1
    for _, device in updates.groupby("device", observed=True):
        starts = device.sort_values("version")
        assert starts["phase"].tolist() == list(range(1, 9))
        assert (starts["t_start_s"].to_numpy() >= ends).all()


def test_a_run_is_named_after_the_content_of_its_files_too(write_scenario, tmp_path):
    path = write_scenario()
    first = run_scenario(path, out=tmp_path / "runs")
    with np.load(tmp_path / "edge.npz") as arrays:
        logits = arrays["logits"]
    np.savez(tmp_path / "edge.npz", logits=logits + 1.0)
    second = run_scenario(path, out=tmp_path / "runs")
    assert first.path != second.path
    assert first.manifest["files_sha256"] != second.manifest["files_sha256"]


@pytest.mark.parametrize("of", ["stream", "topology"])
def test_a_trace_enters_a_runs_identity_by_its_content(write_scenario, tmp_path, of):
    """The scenario is the same text throughout; only the CSV file that it names changes."""
    arrivals = {"kind": "trace", "path": "trace.csv", "column": "t"}
    rates = {"file": "trace.csv", "every": "1 s", "uplink": "t"}

    def name_of(*rows):
        (tmp_path / "trace.csv").write_text("\n".join(["t", *map(str, rows), ""]))
        path = write_scenario()
        sections = yaml.safe_load(path.read_text())
        if of == "stream":
            sections["stream"]["arrivals"] = arrivals
        else:
            sections["topology"]["links"][0]["trace"] = rates
        path.write_text(yaml.safe_dump(sections))
        loaded = load(path, lookup=lookup())
        assert [file.text for file in files_of(loaded.scenario)].count("trace.csv") == 1
        return scenario_hash(loaded.scenario)

    first = name_of(1, 2, 3)
    assert name_of(1, 2, 4) != first
    assert name_of(1, 2, 3) == first


def test_other_tenants_slow_the_cloud_and_change_nothing_else(write_scenario, tmp_path):
    quiet = run_scenario(write_scenario("quiet"), out=tmp_path / "runs")
    path = write_scenario("busy")
    overrides = {"topology.nodes.cloud.background": "{rate: 120 /s, service: 5 ms}"}
    busy = run_scenario(path, out=tmp_path / "runs", overrides=overrides)
    assert busy.summary["ecc_snn"]["accuracy"] == quiet.summary["ecc_snn"]["accuracy"]
    assert (
        busy.summary["ecc_snn"]["latency_s"]["mean"] > quiet.summary["ecc_snn"]["latency_s"]["mean"]
    )
    states = busy.energy[busy.energy["node"] == "cloud"].set_index("state")["seconds"]
    assert states["background"] / 40.0 == pytest.approx(0.6, abs=0.05)
