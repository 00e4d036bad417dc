"""The scenario of the README on real data, trained for real, once per session."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecsim.collab.oracle import Oracle
from ecsim.runtime import models
from ecsim.runtime.run import run_scenario

QUICKSTART = Path(__file__).parents[2] / "scenarios" / "quickstart.yaml"

# float32 logits summed in another order (chunks of another size): see test_oracle
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def run(private_cache, tmp_path_factory):
    return run_scenario(QUICKSTART, out=tmp_path_factory.mktemp("quickstart"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [8, 9])
def test_other_seeds_too(seed, tmp_path):
    other = run_scenario(QUICKSTART, out=tmp_path, overrides={"seed": seed})
    test_ecc_snn_beats_both_edge_arms_and_random_at_equal_uploads(other)
    test_uploads_of_the_random_control_are_equal_per_phase_and_device(other)
    test_probed_accuracy_rises_from_the_first_to_the_last_version(other)


def test_ecc_snn_beats_both_edge_arms_and_random_at_equal_uploads(run):
    accuracy = {label: of["accuracy"] for label, of in run.summary.items()}
    assert accuracy["ecc_snn"] > accuracy["edge_only_learning"] > accuracy["edge_only"]
    assert accuracy["ecc_snn"] > accuracy["random_offload"]
    assert accuracy["cloud_only"] > 0.95
    assert all(entry["holds"] for entry in run.manifest["assertions"])


def test_uploads_of_the_random_control_are_equal_per_phase_and_device(run):
    arms = run.tasks.groupby(["strategy", "device", "phase"], observed=True)["uploaded"].sum()
    assert (arms["ecc_snn"] == arms["random_offload"]).all()


def test_probed_accuracy_rises_from_the_first_to_the_last_version(run):
    probed = run.probe[run.probe["strategy"] == "ecc_snn"].sort_values("version")
    for _, device in probed.groupby("device", observed=True):
        assert device["version"].tolist() == [0, 1, 2, 3]
        assert device["accuracy"].iloc[-1] > device["accuracy"].iloc[0] + 0.2


def test_updates_act_after_their_training_and_never_early(run):
    updates = run.updates[run.updates["source"] == "own"]
    assert len(updates) == 2 * 4 * 3  # two learning arms, four devices, three phase ends
    assert (updates["seconds"] > 0).all()
    took = updates["t_deploy_s"] - updates["t_start_s"]
    assert (took >= updates["seconds"] * (1 - 1e-9)).all()
    ecc = run.tasks[run.tasks["strategy"] == "ecc_snn"]
    for row in updates[updates["strategy"] == "ecc_snn"].itertuples():
        used = ecc[(ecc["model_key"] == row.key) & (ecc["device"] == row.device)]
        assert (used["t_arrive_s"] + used["latency_s"] >= row.t_deploy_s).all()


def test_versions_of_another_arm_are_served_at_the_same_times(run):
    columns = ["device", "version", "key", "t_deploy_s"]
    own = run.updates[run.updates["strategy"] == "ecc_snn"][columns]
    replayed = run.updates[run.updates["strategy"] == "edge_only_learning"]
    pd.testing.assert_frame_equal(
        own.sort_values(columns).reset_index(drop=True),
        replayed.sort_values(columns)[columns].reset_index(drop=True),
    )
    assert (replayed["source"] == "ecc_snn").all()
    assert replayed["joules"].isna().all()


def test_seen_is_whether_the_version_at_arrival_knows_the_class(run):
    updates = run.updates[run.updates["strategy"] == "ecc_snn"]
    base = set(run.manifest["class_groups"][0])
    ecc = run.tasks[run.tasks["strategy"] == "ecc_snn"]
    for device, tasks in ecc.groupby("device", observed=True):
        mine = updates[updates["device"] == device].sort_values("t_deploy_s")
        for task in tasks.itertuples():
            served = mine[mine["t_deploy_s"] <= task.t_arrive_s]
            added = {int(c) for new in served["new_classes"] for c in new.split()}
            assert task.seen == (task.label in base | added)


def test_training_costs_energy_on_the_host_and_appears_in_the_ledger(run):
    updates = run.updates[run.updates["strategy"] == "ecc_snn"]
    rows = run.energy[(run.energy["strategy"] == "ecc_snn") & (run.energy["component"] == "host")]
    training = rows[rows["state"] == "training"]
    assert training["marginal_j"].sum() == pytest.approx(updates["joules"].sum(), rel=1e-9)
    # by hand: 8 G MAC/s and 2 ms per mini-batch of 16 on a Raspberry Pi 4B, 5.0 - 1.6 W
    one = updates.iloc[0]
    batches, rest = divmod(one["n_samples"], 16)
    seconds = one["macs"] / 8e9 + 2e-3 * 40 * (batches + (rest > 1 or batches == 0))
    assert one["seconds"] == pytest.approx(seconds, rel=1e-9)
    assert one["joules"] == pytest.approx(3.4 * seconds, rel=1e-9)
    assert training["seconds"].sum() == pytest.approx(updates["seconds"].sum(), rel=1e-9)


def test_the_network_and_the_queue_matter(run):
    parts = run.summary["cloud_only"]["latency_parts_s"]
    assert parts["up_wait"] > 1e-3
    assert parts["cloud_wait"] > 1e-3
    assert parts["up_service"] == pytest.approx(60_000 * 8 / 18.88e6)


@pytest.mark.slow
def test_another_chunk_size_changes_no_decision(run, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "Oracle", partial(Oracle, chunk_size=37))
    other = run_scenario(QUICKSTART, out=tmp_path)
    exact = ["strategy", "task_id", "predicted", "uploaded", "route", "model_key", "status"]
    pd.testing.assert_frame_equal(run.tasks[exact], other.tasks[exact])
    for column in run.tasks.select_dtypes("float"):
        np.testing.assert_allclose(
            run.tasks[column], other.tasks[column], rtol=TOLERANCE, atol=TOLERANCE, err_msg=column
        )


def test_a_second_run_gives_identical_tables(run, tmp_path):
    again = run_scenario(QUICKSTART, out=tmp_path)
    assert all(made["cached"] for made in again.manifest["trainings"])
    for table in ("tasks", "updates", "energy", "probe"):
        pd.testing.assert_frame_equal(getattr(run, table), getattr(again, table))
