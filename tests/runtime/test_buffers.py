"""What is routed and what is learned from, apart: the 2x2 of entropy and random."""

from collections import Counter

import numpy as np
import pytest

from ecsim.collab.buffer import Buffer
from ecsim.runtime.run import run_scenario
from ecsim.strategies.ecc_snn import EccSnn

MODELS = {
    "edge": {"name": "spiking_vgg", "size": "small", "steps": 2},
    "cloud": {"name": "vgg", "size": "small"},
}
LEARNING = {
    "cloud": {"epochs": 6},
    "setup": {"name": "joint_distillation", "epochs": 8},
    "update": {"name": "self_distillation", "epochs": 1},
}
ARMS = [
    {"name": "ecc_snn", "threshold": 0.6},
    {"name": "ecc_snn", "label": "random_buffer", "threshold": 0.6, "buffer": "match ecc_snn"},
    {"name": "random_offload", "label": "random", "rate": "match ecc_snn"},
    {"name": "random_offload", "label": "random_routing", "rate": "match ecc_snn",
     "buffer": "filtered", "threshold": 0.6},
    {"name": "ecc_snn", "label": "by_head", "entropy": "min_over_heads", "threshold": {"cur": 0.4}},
]  # fmt: skip


@pytest.fixture(scope="module")
def made(write_shared_scenario, tmp_path_factory):
    kept, chosen, put = Counter(), set(), set()
    decide, take = EccSnn.keeps, Buffer.put

    def keeps(self, task, edge, ctx, is_routed):
        is_kept = decide(self, task, edge, ctx, is_routed)
        kept[self.params.buffer, task.device, task.phase] += is_kept
        if is_kept and self.params.buffer != "routed":
            chosen.add((ctx.buffer(task.device), task.sample_id))
        return is_kept

    def log(buffer, sample_id, answer):
        put.add((buffer, sample_id))
        take(buffer, sample_id, answer)

    path = write_shared_scenario("twice_two", models=MODELS, learning=LEARNING, strategies=ARMS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EccSnn, "keeps", keeps)
        patch.setattr(Buffer, "put", log)
        run = run_scenario(path, out=tmp_path_factory.mktemp("runs"))
    mine = {buffer for buffer, _ in chosen}
    assert {(buffer, sample) for buffer, sample in put if buffer in mine} == chosen
    return run, kept


def tasks_of(run, label):
    return run.tasks[run.tasks["strategy"] == label]


def test_the_random_buffer_gets_as_many_as_the_reference_uploaded(made):
    run, kept = made
    uploads = tasks_of(run, "ecc_snn").groupby(["device", "phase"], observed=True)["uploaded"].sum()
    assert uploads.sum() > 20
    for (device, phase), n in uploads.items():
        assert kept["match ecc_snn", device, phase] == n
    tasks = tasks_of(run, "random_buffer")
    assert (tasks["uploaded"] == (tasks["normalized_entropy"] > 0.6)).all()


def test_labels_of_what_was_not_routed_are_uploads_of_their_own(made):
    run, _ = made
    tasks = tasks_of(run, "random_routing")
    lacking = (tasks["normalized_entropy"] > 0.6) & ~tasks["uploaded"]
    marks = run.marks[run.marks["name"] == "label_upload"]
    mine = marks[marks["strategy"] == "random_routing"]
    assert len(mine) == lacking.sum() > 0
    assert (mine["value"] == 60_000.0).all()
    summary = run.summary["random_routing"]
    in_window = int((mine["t_s"] <= run.manifest["horizon_s"]).sum())
    assert summary["label_uploads"] == in_window
    assert summary["label_upload_bytes"] == 60_000.0 * in_window
    # they are in no task's row, and their energy is in the meters
    assert (tasks.loc[~tasks["uploaded"], "up_bytes"] == 0).all()
    sent = run.energy[(run.energy["state"] == "tx") & (run.energy["tier"] == "edge")]
    sent_j = sent.groupby("strategy", observed=True)["marginal_j"].sum()
    upload_j = (0.28317 * 18.88 + 0.13286) * 60_000 * 8 / 18.88e6
    assert sent_j["random_routing"] == pytest.approx(
        upload_j * (tasks["uploaded"].sum() + in_window), abs=2 * upload_j
    )


def test_where_both_coincide_there_are_none(made):
    run, _ = made
    for label in ("ecc_snn", "random", "by_head"):
        assert run.summary[label]["label_uploads"] == 0
    assert run.summary["random"]["cur"] == run.summary["ecc_snn"]["cur"]


def test_every_version_has_its_own_threshold_in_the_probe(made):
    run, _ = made
    rows = run.probe[run.probe["strategy"] == "by_head"]
    assert rows["key"].nunique() > 1
    assert rows.groupby("key", observed=True)["threshold"].nunique().eq(1).all()
    assert rows["threshold"].nunique() > 1
    assert (run.probe.loc[run.probe["strategy"] == "ecc_snn", "threshold"] == 0.6).all()
    # chosen on 181 validation samples, looked at on 270: five standard deviations
    assert rows["cur"].to_numpy() == pytest.approx(0.4, abs=5 * np.sqrt(0.24 * (1 / 181 + 1 / 270)))


def test_the_validation_pool_is_neither_streamed_nor_learned_from(made):
    run, _ = made
    validation = set(run.manifest["pools"]["validation"])
    assert not validation & set(run.tasks["sample_id"])
    assert len(run.updates) > 0


def test_incremental_figures_follow_from_the_probe(made):
    run, _ = made
    for label, of in run.summary.items():
        arrived = [phase["probe_accuracy_arrived"] for phase in of["phases"]]
        assert of["incremental"]["average"] == pytest.approx(np.mean(arrived)), label
        # in the last phase all classes have arrived
        assert arrived[-1] == pytest.approx(of["probe_accuracy"]["last"])
