"""A cloud that does not know everything: base classes only, or new ones when labels have come."""

import math

import numpy as np
import pytest

from ecsim.collab.buffer import Buffer
from ecsim.core.errors import ScenarioError
from ecsim.core.types import ModelRef, Prediction, Work
from ecsim.runtime.lookup import lookup
from ecsim.runtime.run import run_scenario
from ecsim.scenario.load import load

MODELS = {
    "edge": {"name": "spiking_vgg", "size": "small", "steps": 1},
    "cloud": {"name": "vgg", "size": "small"},
}
STREAM = {
    "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 3},
    "phase": "10 s",
    "arrivals": {"kind": "poisson", "rate": "6 /s"},
    "payload": "60 kB",
}
DELAY_S = 4.0
ARMS = [{"name": "cloud_only"}, {"name": "ecc_snn", "threshold": 0.3}]


def learning(knowledge, **update):
    cloud = {"epochs": 2} | knowledge
    return {
        "cloud": cloud,
        "setup": {"name": "joint_distillation", "epochs": 1},
        "update": {"name": "self_distillation", "epochs": 1, **update},
    }


@pytest.fixture(scope="module")
def runs(write_shared_scenario, tmp_path_factory):
    """Give one run per kind of knowledge."""
    folder = tmp_path_factory.mktemp("runs")

    def run(name, knowledge):
        sections = {"models": MODELS, "stream": STREAM, "learning": learning(knowledge)}
        return run_scenario(write_shared_scenario(name, strategies=ARMS, **sections), out=folder)

    return {
        "all_classes": run("all", {}),
        "base_only": run("base", {"knowledge": "base_only"}),
        "delayed": run("late", {"knowledge": "delayed", "label_delay": f"{DELAY_S} s"}),
    }


def of(run, label):
    return run.tasks[run.tasks["strategy"] == label]


def test_a_cloud_of_base_classes_names_no_other_and_devices_learn_what_it_says(runs):
    run = runs["base_only"]
    base, *_ = run.manifest["class_groups"]
    asked = of(run, "cloud_only")
    assert set(asked["predicted"]) <= set(base)
    is_base = asked["label"].isin(base)
    assert not asked.loc[~is_base, "correct"].any()
    assert asked.loc[is_base, "correct"].mean() > 0.8
    assert len(run.updates)
    assert (run.updates["new_classes"] == "").all()
    assert (run.updates["n_classes"] == len(base)).all()


def test_new_classes_are_named_from_the_label_delay_on_and_not_before(runs):
    run = runs["delayed"]
    base, first, second = (set(group) for group in run.manifest["class_groups"])
    asked = of(run, "cloud_only")
    # phase 0 brings the first group, phase 1 the second, phase 2 none
    knows = [
        (0.0, DELAY_S, base),
        (DELAY_S, 10 + DELAY_S, base | first),
        (10 + DELAY_S, math.inf, base | first | second),
    ]
    for from_s, until_s, classes in knows:
        # an inference asks the version that its node serves when it joins the queue
        joined_s = asked["t_answer_s"] - asked["down_service_s"] - asked["cloud_service_s"] - 4e-3
        inside = (joined_s > from_s + 0.1) & (joined_s < until_s - 0.1)
        assert inside.sum() > 30
        assert set(asked.loc[inside, "predicted"]) <= classes
        assert set(asked.loc[inside, "model_version"]) == {knows.index((from_s, until_s, classes))}
    late = asked[asked["t_arrive_s"] > 10 + DELAY_S + 1]
    assert late["correct"].mean() > 0.8


def test_the_last_version_is_the_cloud_that_knows_everything(runs):
    everything = set(of(runs["all_classes"], "cloud_only")["model_key"])
    late = of(runs["delayed"], "cloud_only")
    assert {late.loc[late["t_answer_s"].idxmax(), "model_key"]} == everything


def test_all_arms_get_the_same_cloud_at_the_same_times(runs):
    marks = runs["delayed"].marks
    known = marks[marks["name"] == "cloud_classes"]
    for label in ("cloud_only", "ecc_snn"):
        mine = known[known["strategy"] == label]
        assert mine["t_s"].tolist() == [DELAY_S, 10 + DELAY_S]
        assert mine["value"].tolist() == [7, 10]


def test_devices_learn_a_class_only_when_the_cloud_has_named_it(runs):
    run = runs["delayed"]
    _base, first, second = (set(group) for group in run.manifest["class_groups"])
    for _, update in run.updates.iterrows():
        new = set(map(int, update["new_classes"].split()))
        allowed = first if update["t_start_s"] < 10 + DELAY_S else first | second
        assert new <= allowed
    assert any(run.updates["new_classes"])


def test_a_probe_asks_the_cloud_of_its_time(runs):
    probed = runs["delayed"].probe
    mine = probed[probed["strategy"] == "ecc_snn"].sort_values("t_s")
    assert mine["cloud_accuracy"].iloc[0] < 0.5  # four of ten classes
    assert mine["cloud_accuracy"].iloc[-1] > 0.8
    whole = runs["all_classes"].probe
    assert whole.loc[whole["strategy"] == "ecc_snn", "cloud_accuracy"].nunique() == 1


def test_true_labels_of_classes_that_the_cloud_does_not_know_can_be_learned(
    write_scenario, tmp_path
):
    sections = {
        "models": MODELS,
        "stream": STREAM,
        "learning": learning({"knowledge": "base_only"}, labels="oracle"),
    }
    path = write_scenario("oracle", strategies=[{"name": "ecc_snn"}], **sections)
    run = run_scenario(path, out=tmp_path / "runs")
    assert any(run.updates["new_classes"])
    assert np.isfinite(run.updates["train_loss"]).all()


def test_a_batch_has_a_column_for_all_that_any_of_its_answers_knows():
    buffer = Buffer(8, np.random.default_rng(0))
    old = ModelRef("cloud", 0, "old", (4, 2), 0)
    new = ModelRef("cloud", 1, "new", (2, 3, 4), 0)
    buffer.put(7, Prediction(3, np.array([0.0, 5.0, 1.0], np.float32), 0.1, Work(), new))
    buffer.put(5, Prediction(4, np.array([2.0, 1.0], np.float32), 0.1, Work(), old))
    batch = buffer.batch()
    assert batch.classes == (2, 3, 4)
    assert batch.sample_ids.tolist() == [5, 7]
    assert batch.labels.tolist() == [4, 3]
    shares = np.exp(batch.logits[0] - batch.logits[0].max())
    known = np.exp([-1.0, 0.0]) / (1 + np.exp(-1))  # of classes 2 and 4
    np.testing.assert_allclose(shares / shares.sum(), [known[0], 0, known[1]], rtol=1e-6)


@pytest.mark.parametrize(
    ("knowledge", "says"),
    [
        ({"knowledge": "delayed"}, "expected `label_delay: TIME` beside knowledge: delayed"),
        ({"label_delay": "3 s"}, "has no effect without knowledge: delayed"),
        ({"knowledge": "base"}, "all_classes"),
    ],
)
def test_what_does_not_fit_is_refused_where_it_stands(write_scenario, knowledge, says):
    path = write_scenario("wrong", models=MODELS, learning=learning(knowledge))
    with pytest.raises(ScenarioError, match=says):
        load(path, lookup=lookup())


def test_a_table_of_predictions_cannot_know_less(write_scenario, tmp_path):
    path = write_scenario("table", learning={"cloud": {"knowledge": "base_only"}})
    with pytest.raises(ScenarioError, match="not trained here"):
        run_scenario(path, out=tmp_path / "runs")
