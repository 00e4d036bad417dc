"""The published files, where they are at hand; nothing of them is part of the project."""

from pathlib import Path

import numpy as np
import pytest

import ecsim
from ecsim.data.catalogue import differing, open_dataset

SHARED = Path(__file__).parents[3] / "shared" / "data"

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="no published data sets at hand")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ECSIM_CACHE", str(tmp_path / "cache"))


def test_fashion_mnist_is_the_published_one():
    path = SHARED / "fashion-mnist"
    assert differing("fashion_mnist", path) == []
    data = open_dataset("fashion_mnist", path)
    assert data.images.shape == (70_000, 1, 28, 28) and len(data.test) == 10_000
    assert np.bincount(data.labels[data.test]).tolist() == [1000] * 10
    assert data.labels[:5].tolist() == [9, 0, 0, 3, 0]  # ankle boot, T-shirt, T-shirt, dress, …


def test_nmnist_events_tell_the_digits_apart():
    data = open_dataset("nmnist", SHARED / "nmnist-small" / "nmnist_small_events.npz")
    assert data.images.shape == (1100, 4, 2, 34, 34) and len(data.test) == 100
    x, y = data.images[:].reshape(1100, -1), data.labels
    train = np.setdiff1d(np.arange(1100), data.test)
    means = np.stack([x[train][y[train] == c].mean(0) for c in range(10)])
    nearest = ((x[data.test][:, None] - means) ** 2).sum(2).argmin(1)
    assert (nearest == y[data.test]).mean() > 0.7  # by chance .1


@pytest.mark.slow
def test_cifar10_as_pictures():
    path = SHARED / "cifar10-jpeg" / "cifar10_jpeg.tar.xz"
    data = open_dataset("cifar10_pictures", path)
    assert data.images.shape == (60_000, 3, 32, 32) and len(data.test) == 10_000
    assert np.bincount(data.labels).tolist() == [6000] * 10
    mean = data.images[::50].mean((0, 2, 3)) / 2 + 0.5
    assert np.abs(mean - [0.4914, 0.4822, 0.4465]).max() < 0.01


SCENARIO = """
version: 1
name: subset
seed: 3
data: {data}
stream:
  schedule: {{kind: class_incremental, base_classes: 4, increment: 6}}
  phase: 20 s
  arrivals: {{kind: poisson, rate: 2 /s}}
topology:
  nodes:
    cam:   {{count: 1, tier: edge, card: darwin3}}
    cloud: {{tier: cloud, card: rtx3090}}
  links:
    - {{between: [cam, cloud], card: wifi_2012}}
models:
  edge:  {{name: spiking_vgg, size: small, steps: 2}}
  cloud: {{name: vgg, size: small}}
learning:
  cloud: {{epochs: {epochs}}}
  setup: {{name: joint_distillation, epochs: {epochs}}}
  update: {{name: self_distillation, epochs: {epochs}}}
strategies: [{{name: ecc_snn}}, {{name: edge_only}}]
"""


def simulated(tmp_path, data, epochs):
    file = tmp_path / "subset.yaml"
    file.write_text(SCENARIO.format(data=data, epochs=epochs))
    return ecsim.run(file, out=tmp_path / "runs")


@pytest.mark.slow
def test_500_pictures_end_to_end(tmp_path):
    """Train, deploy, update and simulate; the probe pool is of the published test part."""
    data = (
        f"{{name: fashion_mnist, path: {SHARED}/fashion-mnist, samples: 500, test_samples: 200, "
        "pools: {cloud: 0.6, stream: 0.3, validation: 0.1, probe: test}}"
    )
    run = simulated(tmp_path, data, epochs=8)
    probe = run.manifest["pools"]["probe"]
    assert len(probe) == 200 and min(probe) >= 60_000
    assert max(run.tasks["sample_id"]) < 60_000
    accuracy = {label: run.summary[label]["accuracy"] for label in ("ecc_snn", "edge_only")}
    assert accuracy["ecc_snn"] > accuracy["edge_only"] > 0.1
    assert len(run.updates) > 0
    assert run.manifest["cpu_s"] < 60


@pytest.mark.slow
def test_events_end_to_end(tmp_path):
    """Frames reach the spiking network one by one and the cloud's as their mean."""
    file = SHARED / "nmnist-small" / "nmnist_small_events.npz"
    run = simulated(tmp_path, f"{{name: nmnist, path: {file}, steps: 2}}", epochs=2)
    assert run.summary["ecc_snn"]["n"] > 0
