"""What the oracle says of parts: sums to the whole, real bytes, real losses."""

import math

import numpy as np
import pytest

from ecsim.collab.oracle import Oracle, Table
from ecsim.core.errors import UserError
from ecsim.core.types import Cut, ModelRef, Part, Work
from ecsim.learning.compute import Compute
from ecsim.learning.keys import Architecture
from ecsim.learning.versions import Recipe, VersionStore
from ecsim.models.snn.vgg import SpikingVGG
from ecsim.partition.cuts import cut_of

POOL = np.array([3, 1, 4, 15, 9, 2, 6])
IMAGES = np.random.default_rng(0).normal(size=(16, 1, 8, 8)).astype(np.float32)
REF = ModelRef("cloud", 0, "key", (4, 2, 7), 0)


@pytest.fixture(scope="module")
def asked():
    architecture = Architecture("spiking_vgg", SpikingVGG.Params(), (1, 8, 8))
    store = VersionStore()
    net = architecture.build(((4, 2), (7,)), seed=3)
    for weights in net.parameters():
        weights.data *= 3.0  # else the last neurons are silent
    store.add(REF, Recipe("test", architecture, lambda: (net, {})))
    return Oracle(store, IMAGES, (POOL,), Compute(), 4)


def halves(asked, after, codec="raw"):
    graph = asked.layers(REF)
    first = graph.names[: graph.index[after] + 1]
    return cut_of(graph, {name: int(name not in first) for name in graph.names}, codec)


def test_two_halves_are_the_whole(asked):
    cut = halves(asked, "max_pool2d")
    for sample in POOL.tolist():
        whole = asked.predict(REF, sample)
        first = asked.predict(REF, sample, Part(cut, 0))
        second = asked.predict(REF, sample, Part(cut, 1))
        assert (first.label, first.logits.size) == (-1, 0)
        assert math.isnan(first.normalized_entropy)
        assert first.out_bytes == 4 * 32 * 4 * 4 / 8
        np.testing.assert_array_equal(second.logits, whole.logits)
        assert (second.label, second.out_bytes) == (whole.label, 0.0)
        assert second.normalized_entropy == whole.normalized_entropy
        for what in ("macs", "sops", "neuron_updates", "bytes_moved"):
            parts = getattr(first.work, what) + getattr(second.work, what)
            assert parts == pytest.approx(getattr(whole.work, what), rel=1e-12)


def test_bytes_under_a_codec_are_those_of_real_samples(asked):
    plain, zipped = asked.layers(REF), asked.layers(REF, "zlib")
    name = "backbone.stages.2.lif"
    cut = halves(asked, name, "zlib")
    real = [asked.predict(REF, s, Part(cut, 0)).out_bytes for s in POOL.tolist()]
    assert zipped[name].out_bytes == pytest.approx(np.mean(real))  # its examples are the pool
    assert zipped[name].out_bytes < plain[name].out_bytes
    assert zipped["input"].out_bytes == plain["input"].out_bytes  # a sample is sent as it is
    assert zipped[name].work == plain[name].work


def test_a_lossy_codec_changes_what_is_answered(asked):
    name = "backbone.stages.2.synapses.1"  # currents, which neurons compare with a threshold
    raw = [
        asked.predict(REF, s, Part(halves(asked, name, codec), 1)).logits
        for codec in ("raw", "int8")
        for s in POOL.tolist()
    ]
    assert np.abs(np.subtract(raw[: len(POOL)], raw[len(POOL) :])).max() > 1e-3


def test_a_table_has_no_layers():
    table = Table(np.zeros((3, 3)), Work())
    with pytest.raises(UserError, match="known by its predictions alone: it has no layers"):
        table.predict(REF, 0, Part(Cut((("input",),), (0,))))
