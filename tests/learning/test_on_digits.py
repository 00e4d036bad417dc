"""The three trainings on real data, with their defaults and the quickstart's sizes."""

import numpy as np
import pytest
import torch

from ecsim.core import registry
from ecsim.core.randomness import Streams
from ecsim.core.types import Batch, Labelled
from ecsim.data.digits import Digits
from ecsim.learning import recipes
from ecsim.learning.cloud import CloudTraining
from ecsim.learning.compute import Compute
from ecsim.learning.keys import Architecture
from ecsim.learning.setup import JointDistillation
from ecsim.learning.update import Origin
from ecsim.learning.versions import VersionStore
from ecsim.models.work import predict
from ecsim.streams.pools import split
from ecsim.streams.schedule import ClassIncremental


class World:
    """Digits, B-4 Inc-2: a cloud, an edge set up with its help, and a first buffer."""

    def __init__(self, compute):
        data = self.data = Digits(Digits.Params()).load()
        self.compute = compute
        pools = self.pools = split(
            data.labels, {"cloud": 0.4, "stream": 0.35, "validation": 0.1}, 1
        )
        params = ClassIncremental.Params(base_classes=4, increment=2)
        self.schedule = ClassIncremental(params, 10, 1)
        vgg, self.spiking = (Architecture(name, None, (1, 8, 8)) for name in ("vgg", "spiking_vgg"))
        store = self.store = VersionStore()
        self.cloud = recipes.cloud_version(
            store, vgg, CloudTraining(CloudTraining.Params()), data, pools.cloud, 1, compute
        )
        setup = JointDistillation(JointDistillation.Params())
        base = self.base = self.schedule.groups[0]
        self.edge = recipes.setup_version(
            store, self.spiking, setup, self.cloud, data, pools.cloud, base, 1, compute
        )

    def accuracy(self, ref, classes=range(10)):
        ids = self.pools.validation
        ids = ids[np.isin(self.data.labels[ids], list(classes))]
        columns = predict(self.store.net(ref), self.data.images[ids]).logits.argmax(1)
        return float((np.array(ref.classes)[columns] == self.data.labels[ids]).mean())

    def buffered(self):
        """Give what a device buffers in its first phase: mostly the two new classes."""
        labels, stream = self.data.labels, self.pools.stream
        shown = stream[np.isin(labels[stream], self.schedule.groups[1])]
        old = stream[np.isin(labels[stream], self.base)]
        rng = Streams(1)("test")
        ids = np.sort(np.concatenate([rng.permutation(shown)[:40], rng.permutation(old)[:20]]))
        logits = predict(self.store.net(self.cloud), self.data.images[ids]).logits
        return Batch.answered(ids, logits, self.cloud.classes)

    def updated(self, name, **params):
        method = registry.resolve("update", name)
        learner = method(method.Params(**params), self.spiking, 1, self.compute)
        ids = self.pools.cloud[np.isin(self.data.labels[self.pools.cloud], self.base)]
        learner.begin(Origin(self.edge, Labelled(ids, self.data.labels[ids]), 64.0))
        batch = self.buffered()
        plan = learner.plan(self.edge, batch)
        return recipes.update_version(
            self.store, self.spiking, learner, self.edge, plan, batch, self.data.images, "update 1"
        )


@pytest.fixture(scope="module")
def world():
    torch.set_num_threads(1)
    return World(Compute())


def test_cloud_setup_and_update(world):
    accuracy = world.accuracy
    assert accuracy(world.cloud) > 0.93 and accuracy(world.edge, world.base) > 0.9
    assert world.cloud.classes == tuple(range(10)) and world.edge.classes == world.base
    child = world.updated("self_distillation")
    assert set(child.classes[4:]) == set(world.schedule.groups[1])
    assert accuracy(child) > accuracy(world.edge) + 0.1
    assert accuracy(child, world.base) > 0.8


def test_rivals(world):
    """All learn the new digits; what was at hand of the old ones helps to keep them."""
    names = "fine_tune", "frozen_backbone", "lwf", "ewc", "replay", "joint"
    refs = {name: world.updated(name, epochs=20) for name in names}
    new = {n: world.accuracy(ref, world.schedule.groups[1]) for n, ref in refs.items()}
    old = {n: world.accuracy(ref, world.base) for n, ref in refs.items()}
    assert min(new.values()) == new["frozen_backbone"] > 0.6, new
    assert min(old.values()) == old["fine_tune"] < old["joint"] - 0.05, old
    assert min(old["joint"], old["replay"]) > 0.95, old
