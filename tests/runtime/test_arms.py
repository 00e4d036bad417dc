"""What arms share and what they refer to: common random numbers, matched uploads, versions."""

import numpy as np
import pandas as pd
import pytest

from ecsim.runtime.run import run_scenario

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
