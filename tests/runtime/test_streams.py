"""Skew, local data and corruptions in whole runs: rows, predictions, trainings, refusals."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ecsim.core.errors import ScenarioError
from ecsim.core.randomness import Streams
from ecsim.core.variants import variant
from ecsim.data.corrupted import corrupt
from ecsim.data.digits import Digits
from ecsim.learning.updates.self_distillation import SelfDistillation
from ecsim.runtime.build import build
from ecsim.runtime.lookup import lookup
from ecsim.runtime.progress import Progress
from ecsim.runtime.run import run_scenario
from ecsim.scenario.load import load

DIGITS = load_digits()
NETWORKS = {
    "models": {
        "edge": {"name": "spiking_vgg", "size": "small", "steps": 2},
        "cloud": {"name": "vgg", "size": "small"},
    },
    "learning": {
        "cloud": {"epochs": 1},
        "setup": {"name": "joint_distillation", "epochs": 6},
        "update": {"name": "self_distillation", "epochs": 1, "min_support": 1},
    },
}
NOISE = [{"kind": "noise", "severity": 4, "from": "3 s", "until": "7 s", "devices": ["cam[0]"]}]


def stream(**changes):
    return {
        "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 6},
        "phase": "5 s",
        "arrivals": {"kind": "poisson", "rate": "8 /s"},
        "payload": "60 kB",
    } | changes


@pytest.fixture(scope="module")
def runs(write_shared_scenario, tmp_path_factory):
    """Give the same scenario with clean and with noisy samples, and what was trained on."""
    trained = {}
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        fit = SelfDistillation.fit

        def spy(self, net, plan, batch, images):
            trained.setdefault(name, {}).update(
                zip(batch.sample_ids.tolist(), images[batch.sample_ids], strict=True)
            )
            return fit(self, net, plan, batch, images)

        patch.setattr(SelfDistillation, "fit", spy)
        found = {}
        for name, changes in (("clean", {}), ("noisy", {"corruptions": NOISE})):
            path = write_shared_scenario(
                name,
                stream=stream(**changes),
                strategies=[{"name": "ecc_snn", "threshold": 0.0}, {"name": "edge_only"}],
                **NETWORKS,
            )
            found[name] = path, run_scenario(path, out=out)
    return found, trained


def test_rows_tell_the_sample_and_what_was_seen(runs):
    for name, (_, run) in runs[0].items():
        tasks = run.tasks
        t_s = tasks["t_arrive_s"]
        is_noisy = (tasks["device"] == "cam[0]") & (t_s >= 3) & (t_s < 7) & (name == "noisy")
        assert (tasks["corruption"] == np.where(is_noisy, "noise 4", "")).all()
        assert (tasks["label"] == DIGITS.target[tasks["sample_id"]]).all()
    clean, noisy = (runs[0][name][1].tasks.sort_values("task_id") for name in ("clean", "noisy"))
    same = ["task_id", "device", "phase", "visit", "sample_id", "t_arrive_s", "label"]
    of = [frame[frame["strategy"] == "edge_only"][same].to_numpy() for frame in (clean, noisy)]
    assert (of[0] == of[1]).all()


def test_the_prediction_is_that_of_the_corrupted_image(runs):
    """Entropies of the device's first version, worked out from its network and the image."""
    import torch

    path, run = runs[0]["noisy"]
    system = build(load(path, lookup=lookup()), None, Progress())
    net = system.versions.net(system.first["edge"])
    tasks = run.tasks[run.tasks["strategy"] == "edge_only"]
    noisy = tasks[tasks["corruption"] == "noise 4"].head(8)
    assert len(noisy) == 8
    clean = runs[0]["clean"][1].tasks
    clean = clean[clean["strategy"] == "edge_only"].set_index("task_id")["normalized_entropy"]
    changes = noisy["normalized_entropy"].to_numpy() - clean[noisy["task_id"]].to_numpy()
    assert (np.abs(changes) > 0.02).sum() >= 6  # the network can tell the difference
    low, high = (float(f(system.data.images[:])) for f in (np.min, np.max))
    for row in noisy.to_dict("records"):
        sample = row["sample_id"]
        pixels = (system.data.images[sample].astype(np.float64) - low) / (high - low)
        image = corrupt(pixels, "noise", 4, Streams(0)("corruption", "noise", str(sample)))
        with torch.no_grad():
            x = torch.tensor(image * (high - low) + low, dtype=torch.float32)
            p = net(x[None]).double().softmax(1)[0]
        entropy = -(p * p.log()).sum() / np.log(len(p))
        assert row["normalized_entropy"] == pytest.approx(float(entropy), abs=1e-4)


def test_devices_learn_from_what_they_saw(runs):
    found, trained = runs
    n = len(DIGITS.target)
    assert trained["clean"] and max(trained["clean"]) < n
    first = variant("noise", 4) * n
    learned = {sample: image for sample, image in trained["noisy"].items() if sample >= n}
    assert learned and all(first <= sample < first + n for sample in learned)
    clean = Digits(Digits.Params()).load().images
    assert all(np.abs(image - clean[i - first]).mean() > 0.05 for i, image in learned.items())
    seen = found["noisy"][1].tasks
    assert {sample - first for sample in learned} <= set(
        seen[(seen["corruption"] == "noise 4")]["sample_id"]
    )
    clean, noisy = (run.updates.set_index("device")["key"] for _, run in found.values())
    assert clean["cam[0]"] != noisy["cam[0]"] and clean["cam[1]"] == noisy["cam[1]"]


def test_true_classes_of_corrupted_samples_are_those_of_the_clean_ones(runs):
    path, _ = runs[0]["noisy"]
    given = {"learning.update.labels": "oracle"}
    system = build(load(path, lookup=lookup(), overrides=given), None, Progress())
    n, truth = len(DIGITS.target), system.update.truth
    corrupted = variant("noise", 4) * n + np.arange(n)
    assert (truth[corrupted] == DIGITS.target).all() and (truth[:n] == DIGITS.target).all()


def test_both_engines_give_the_same_rows(write_shared_scenario, tmp_path):
    path = write_shared_scenario(
        "engines",
        stream=stream(
            schedule={"kind": "blurry", "base_classes": 4, "increment": 6, "blur": 0.3},
            skew={"kind": "dirichlet", "alpha": 0.5},
            local={"share": 0.5, "replace": 0.5},
            corruptions=[{"kind": "blur", "severity": 3, "until": "8 s", "gradual": True}],
        ),
        strategies=[{"name": "edge_only"}, {"name": "cloud_only"}],
        **NETWORKS | {"learning": NETWORKS["learning"] | {"update": None}},
    )
    event, vectorised = (
        run_scenario(path, out=tmp_path, overrides={"run.engine": engine}).tasks
        for engine in ("event", "vectorised")
    )
    assert event.equals(vectorised)
    assert {"blur 1", "blur 2", "blur 3", ""} == set(event["corruption"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"skew": {"kind": "classes", "per_device": 11}}, "at most 10 classes, got 11"),
        ({"skew": {"kind": "class"}}, "classes"),
        ({"skew": {"kind": "groups"}}, "has no groups"),
        (
            {
                "skew": {"kind": "classes", "per_device": 1},
                "schedule": {"kind": "recurring", "base_classes": 4, "increment": 2},
            },
            "has no sample of the classes that phase",
        ),
        ({"schedule": {"kind": "recurring", "base_classes": 4, "increment": 2, "order": [5]}},
         "groups 0 to 3, got 5"),
        ({"local": {"share": 0.8, "replace": 0.5}}, "to replace at most 0.25, got 0.5"),
        ({"corruptions": NOISE}, "needs networks"),
        ({"corruptions": [NOISE[0] | {"devices": ["camera"]}]}, "camera"),
        ({"corruptions": [*NOISE, NOISE[0] | {"from": "6 s"}]}, "same time"),
        ({"corruptions": [NOISE[0] | {"until": "2 s"}]}, "an end after 3 s"),
        ({"corruptions": [{"kind": "blur", "severity": 2, "gradual": True}]}, "expected until"),
        ({"corruptions": [{"kind": "fog", "severity": 2}]}, "fog"),
        ({"corruptions": [{"kind": "blur", "severity": 6}]}, "5"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_at_its_place(changes, message, write_scenario, tmp_path):
    path = write_scenario(stream=stream(**changes))
    with pytest.raises(ScenarioError) as error:
        run_scenario(path, out=tmp_path / "runs")
    text = str(error.value)
    assert message in text and f"{path.name}:" in text, text
    line = int(text.split(f"{path.name}:")[1].split(":")[0])
    lines = path.read_text().splitlines()
    first = lines.index("stream:") + 1
    assert first <= line <= first + 30
