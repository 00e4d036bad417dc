"""The three trainings on real data, with their defaults and the quickstart's sizes."""

import numpy as np

from ecsim.core.randomness import Streams
from ecsim.core.types import Batch
from ecsim.data.digits import Digits
from ecsim.learning import recipes
from ecsim.learning.cloud import CloudTraining
from ecsim.learning.keys import Architecture
from ecsim.learning.setup import JointDistillation
from ecsim.learning.update import SelfDistillation
from ecsim.learning.versions import VersionStore
from ecsim.models.work import predict
from ecsim.streams.pools import split
from ecsim.streams.schedule import ClassIncremental


def test_cloud_setup_and_update(compute):
    data = Digits(Digits.Params()).load()
    pools = split(data.labels, {"cloud": 0.4, "stream": 0.35, "validation": 0.1}, 1)
    schedule = ClassIncremental(ClassIncremental.Params(base_classes=4, increment=2), 10, 1)
    vgg, spiking = (Architecture(name, None, (1, 8, 8)) for name in ("vgg", "spiking_vgg"))

    def accuracy(ref, classes=range(10)):
        ids = pools.validation[np.isin(data.labels[pools.validation], list(classes))]
        columns = predict(store.net(ref), data.images[ids]).logits.argmax(1)
        return float((np.array(ref.classes)[columns] == data.labels[ids]).mean())

    store = VersionStore()
    cloud = recipes.cloud_version(
        store, vgg, CloudTraining(CloudTraining.Params()), data, pools.cloud, 1, compute
    )
    setup = JointDistillation(JointDistillation.Params())
    base = schedule.groups[0]
    edge = recipes.setup_version(store, spiking, setup, cloud, data, pools.cloud, base, 1, compute)
    assert accuracy(cloud) > 0.93 and accuracy(edge, base) > 0.9
    assert cloud.classes == tuple(range(10)) and edge.classes == base

    # what a device buffers in its first phase: mostly the two new classes
    shown = pools.stream[np.isin(data.labels[pools.stream], schedule.groups[1])]
    old = pools.stream[np.isin(data.labels[pools.stream], base)]
    rng = Streams(1)("test")
    ids = np.sort(np.concatenate([rng.permutation(shown)[:40], rng.permutation(old)[:20]]))
    batch = Batch.answered(ids, predict(store.net(cloud), data.images[ids]).logits, cloud.classes)
    learner = SelfDistillation(SelfDistillation.Params(), spiking, 1, compute)
    plan = learner.plan(edge, batch)
    child = recipes.update_version(
        store, spiking, learner, edge, plan, batch, data.images, "update 1"
    )
    assert set(child.classes[4:]) == set(schedule.groups[1])
    assert accuracy(child) > accuracy(edge) + 0.1
    assert accuracy(child, base) > 0.8
