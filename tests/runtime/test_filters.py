"""Filters, buffers and limits in whole runs on tables of predictions."""

import numpy as np
import pandas as pd
import pytest

from ecsim.core.entropy import normalized_entropy
from ecsim.core.errors import ScenarioError
from ecsim.core.scores import energy, entropy_of_all, margin, max_probability
from ecsim.runtime.lookup import lookup
from ecsim.runtime.run import run_scenario
from ecsim.scenario.load import load

SCORES = {
    "plain": ({}, normalized_entropy, 0.5),
    "final": ({"normalise": "final"}, lambda x: entropy_of_all(x, 10), 0.5),
    "heads": ({"entropy": "min_over_heads"}, normalized_entropy, 0.5),
    "prob": ({"filter": "max_probability"}, max_probability, 0.4),
    "margin": ({"filter": "margin"}, margin, 0.6),
    "energy": ({"filter": "energy"}, energy, -5.0),
}


def arm(label, **keys):
    return {"name": "ecc_snn", "label": label, **keys}


@pytest.fixture(scope="module")
def run(write_shared_scenario, tmp_path_factory):
    strategies = [arm(k, threshold=delta, **keys) for k, (keys, _, delta) in SCORES.items()]
    strategies += [
        arm("oracle", filter="oracle"),
        arm("cur", threshold={"cur": 0.3}),
        arm("right", filter="margin", threshold={"accuracy": 0.8}),
        arm("gate", filter="learned", threshold={"cur": 0.3}),
        arm("few_wrong", threshold={"error": 0.25}),
        {"name": "cloud_only"}, {"name": "edge_only"},
    ]  # fmt: skip
    path = write_shared_scenario("filters", strategies=strategies)
    return run_scenario(path, out=tmp_path_factory.mktemp("runs")), path


@pytest.fixture
def edge_logits(run):
    return np.load(run[1].parent / "edge.npz")["logits"].astype(np.float32)


def tasks_of(run, label):
    return run.tasks[run.tasks["strategy"] == label]


@pytest.mark.parametrize("label", SCORES)
def test_each_filter_uploads_what_exceeds_the_threshold_and_nothing_else(run, edge_logits, label):
    tasks = tasks_of(run[0], label)
    _, score, delta = SCORES[label]
    exceeds = score(edge_logits[tasks["sample_id"]]) > delta
    assert (tasks["uploaded"] == exceeds).all()
    assert 0 < exceeds.mean() < 1


def test_the_oracle_uploads_exactly_what_the_edge_gets_wrong(run, edge_logits):
    tasks = tasks_of(run[0], "oracle")
    wrong = edge_logits[tasks["sample_id"]].argmax(1) != tasks["label"]
    assert (tasks["uploaded"] == wrong).all()
    probe = run[0].probe.set_index("strategy").loc["oracle"].iloc[0]
    assert probe["cur"] == pytest.approx(1 - probe["accuracy"])
    assert run[0].summary["oracle"]["routing_gain"]["last"] > max(
        run[0].summary[label]["routing_gain"]["last"] for label in SCORES
    )


def test_targets_hold_on_the_validation_pool(run, edge_logits):
    made, path = run
    labels = np.load(path.parent / "cloud.npz")["logits"].argmax(1)
    pool = np.array(made.manifest["pools"]["validation"])
    threshold = made.probe.groupby("strategy", observed=True)["threshold"].first()
    score = normalized_entropy(edge_logits[pool])
    share = (score > threshold["cur"]).mean()
    assert 0.3 - 1 / len(pool) < share <= 0.3
    true = true_labels()[pool]
    sent = margin(edge_logits[pool]) > threshold["right"]
    right = np.where(sent, labels[pool] == true, edge_logits[pool].argmax(1) == true)
    assert 0.8 <= right.mean() < 0.8 + 2 / len(pool)
    wrong = edge_logits[pool].argmax(1) != true
    kept = score <= threshold["few_wrong"]
    assert 0 < wrong[kept].mean() <= 0.25
    more = score <= np.min(score[~kept])
    assert wrong[more].mean() > 0.25


def true_labels():
    from sklearn.datasets import load_digits

    return load_digits().target


def test_a_gate_does_no_worse_than_chance_and_meets_its_target_nearly(run):
    made = run[0]
    assert made.summary["gate"]["routing_gain"]["last"] > 0.02
    # 90 samples choose it, of 270 it is measured on: five standard deviations of the difference
    cur = made.probe.set_index("strategy").loc["gate", "cur"].iloc[0]
    assert cur == pytest.approx(0.3, abs=5 * np.sqrt(0.3 * 0.7 * (1 / 90 + 1 / 270)))


def test_the_probe_tables_agree_with_the_probe(run):
    made = run[0]
    for (label, key), rows in made.probe_classes.groupby(["strategy", "key"], observed=True):
        probe = made.probe[(made.probe["strategy"] == label) & (made.probe["key"] == key)].iloc[0]
        assert rows["n"].sum() == probe["n"]
        assert rows["n_right"].sum() / probe["n"] == pytest.approx(probe["accuracy"])
        if not np.isnan(probe["cur"]):
            assert rows["n_uploaded"].sum() / probe["n"] == pytest.approx(probe["cur"])
    assert set(made.probe_bins["strategy"]) == {*SCORES, "oracle", "cur", "right", "gate",
                                                "few_wrong", "edge_only"}  # fmt: skip


def test_all_at_once_gives_the_same_rows(run, tmp_path):
    """The threshold filters go the vectorised way; the event loop must agree."""
    made, path = run
    labels = {*SCORES, "oracle", "cur", "right", "gate", "few_wrong"}
    assert {made.manifest["engines"][label] for label in labels} == {"vectorised"}
    other = run_scenario(path, out=tmp_path / "event", overrides={"run.engine": "event"})
    pd.testing.assert_frame_equal(made.tasks, other.tasks, check_categorical=False)
    # meters are added up in another order
    flat = [pd.json_normalize(one.summary) for one in (made, other)]
    pd.testing.assert_frame_equal(*flat, rtol=1e-12)


def test_a_bucket_limits_uploads_and_lets_the_edge_answer(write_scenario, tmp_path):
    bucket = {"rate": "0.5 /s", "burst": 3}
    path = write_scenario(strategies=[arm("free"), arm("slow", bucket=bucket)])
    run = run_scenario(path, out=tmp_path / "runs", overrides={"strategies.0.threshold": 0.1})
    slow = tasks_of(run, "slow")
    assert (slow["status"] == "answered").all()
    for _, mine in slow.groupby("device", observed=True):
        n = mine["uploaded"].sum()
        assert 15 < n <= 3 + 0.5 * 40 + 1
    assert set(slow[slow["uploaded"]]["task_id"]) <= set(
        slow[slow["normalized_entropy"] > 0.3]["task_id"]
    )
    assert run.manifest["engines"] == {"free": "vectorised", "slow": "event"}


@pytest.mark.parametrize(("what", "amount"), [("latency", "12 ms"), ("energy", "200 mJ")])
def test_a_budget_is_kept_on_average(write_scenario, tmp_path, what, amount):
    path = write_scenario(
        strategies=[arm("free"), arm("held", budget={what: amount, "gain": 0.05})],
        stream={
            "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
            "phase": "100 s", "arrivals": {"kind": "poisson", "rate": "4 /s"}, "payload": "60 kB",
        },
    )  # fmt: skip
    run = run_scenario(path, out=tmp_path / "runs")
    column, unit = {"latency": ("latency_s", 0.012), "energy": ("energy_j", 0.2)}[what]
    held, free = (tasks_of(run, label)[column].mean() for label in ("held", "free"))
    # (last - first threshold) / (gain N), about 1600 tasks a device; twice that for late answers
    assert held == pytest.approx(unit, rel=0.03)
    assert abs(free - unit) > 0.2 * unit
    marks = run.marks[run.marks["strategy"] == "held"]
    assert set(marks["name"]) == {"threshold cam[0]", "threshold cam[1]"}
    assert marks["value"].between(0, 1).all()


PROBLEMS = {
    "range": (arm("a", threshold=1.5), "threshold: expected a number between 0 and 1, got 1.5"),
    "both": (arm("a", threshold={"cur": 0.1, "accuracy": 0.9}), "expected a number, {cur: SHARE}"),
    "near": (arm("a", threshold={"cuf": 0.1}), "got {'cuf': 0.1}"),
    "inside": (arm("a", threshold={"error": "x"}), "threshold.error: expected a number, got 'x'"),
    "text": (arm("a", threshold="high"), "threshold: expected"),
    "oracle": (arm("a", filter="oracle", threshold={"cur": 0.1}), "no effect with filter: oracle"),
    "margin": (arm("a", filter="margin", normalise="final"), "normalise: has no effect"),
    "filter": (arm("a", filter="entropie"), "filter: expected"),
    "budget": (arm("a", budget={"latency": "1 s", "energy": "1 J"}), "either latency or energy"),
    "bucket": (arm("a", bucket={"burst": 2}), "rate: missing"),
    "target": (arm("a", threshold={"cur": 0.1}, budget={"latency": "1 s"}), "the budget moves"),
    "match": (arm("a", buffer="match b"), "buffer: expected"),
    "itself": (arm("a", buffer="match a"), "wait for each other"),
    "random": ({"name": "random_offload", "buffer": "some"}, "buffer: expected"),
    "coin": (
        {"name": "random_offload", "threshold": {"cur": 0.1}},
        "threshold: has no effect with buffer: routed",
    ),
    "coins": (
        {"name": "random_offload", "filter": "margin", "threshold": 0.2},
        "filter: has no effect with buffer: routed",
    ),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_mistakes_are_named_with_their_place(write_scenario, case):
    entry, message = PROBLEMS[case]
    path = write_scenario(strategies=[entry])
    with pytest.raises(ScenarioError) as caught:
        load(path, lookup=lookup())
    assert message in str(caught.value)
    assert "small.yaml:" in str(caught.value)
