"""Predictions in chunks are what single calls of the same weights give."""

import numpy as np
import pytest
import torch

from ecsim.collab.oracle import Oracle, Table
from ecsim.core.types import ModelRef, Work
from ecsim.learning.compute import Compute
from ecsim.learning.keys import Architecture
from ecsim.learning.versions import Recipe, VersionStore
from ecsim.models import work as counting
from ecsim.models.snn.vgg import SpikingVGG

POOLS = (np.array([3, 1, 4, 15, 9, 2, 6]), np.array([20, 21, 22]))
IMAGES = np.random.default_rng(0).normal(size=(30, 1, 8, 8)).astype(np.float32)
REF = ModelRef("edge", 0, "key", (4, 2, 7), 0)

# float32 sums over at most 1024 terms in another order: 1024 x 6e-8 relative
TOLERANCE = 1e-4


@pytest.fixture
def versions():
    architecture = Architecture("spiking_vgg", SpikingVGG.Params(), (1, 8, 8))
    net = architecture.build(((4, 2), (7,)), seed=3)
    made = []

    def train():
        made.append("trained")
        return net, {}

    store = VersionStore()
    store.add(REF, Recipe("test", architecture, train))
    store.trained = made
    return store


def oracle(versions, chunk_size):
    return Oracle(versions, IMAGES, POOLS, Compute(), chunk_size)


def test_chunks_equal_single_calls_of_the_deployed_weights(versions):
    asked = oracle(versions, 4)
    net = versions.net(REF)
    for sample in np.concatenate(POOLS).tolist():
        found = asked.predict(REF, sample)
        alone = counting.predict(net, torch.from_numpy(IMAGES[sample : sample + 1]))
        np.testing.assert_allclose(found.logits, alone.logits[0], rtol=TOLERANCE, atol=TOLERANCE)
        assert found.label == REF.classes[int(alone.logits[0].argmax())]
        assert found.work == Work(
            macs=alone.macs[0],
            sops=alone.sops[0],
            neuron_updates=alone.neuron_updates[0],
            bytes_moved=alone.bytes_moved[0],
        )
        assert 0.0 <= found.normalized_entropy <= 1.0


@pytest.mark.parametrize("other", [1, 3, 256])
def test_chunk_size_changes_no_value_beyond_the_tolerance(versions, other):
    one, two = oracle(versions, 4), oracle(versions, other)
    for sample in np.concatenate(POOLS).tolist():
        a, b = one.predict(REF, sample), two.predict(REF, sample)
        np.testing.assert_allclose(a.logits, b.logits, rtol=TOLERANCE, atol=TOLERANCE)
        assert (a.label, a.work) == (b.label, b.work)


def test_the_order_of_questions_changes_nothing_at_all(versions):
    forward, backward = oracle(versions, 4), oracle(versions, 4)
    samples = POOLS[0].tolist()
    first = [forward.predict(REF, sample) for sample in samples]
    second = [backward.predict(REF, sample) for sample in reversed(samples)][::-1]
    for a, b in zip(first, second, strict=True):
        assert a.logits.tobytes() == b.logits.tobytes()
        assert a.normalized_entropy == b.normalized_entropy


def test_a_version_is_trained_when_it_is_first_asked_and_once(versions):
    asked = oracle(versions, 4)
    assert versions.trained == []
    asked.predict(REF, 3)
    asked.predict(REF, 20)
    assert versions.trained == ["trained"]


def test_samples_outside_the_pools_are_refused(versions):
    with pytest.raises(KeyError):
        oracle(versions, 4).predict(REF, 29)


def test_table_of_a_user():
    logits = np.array([[0.0, 5.0, 1.0], [2.0, 0.0, 0.0]], np.float32)
    found = Table(logits, Work(macs=3.0)).predict(REF, 1)
    assert (found.label, found.work.macs, found.model) == (4, 3.0, REF)
