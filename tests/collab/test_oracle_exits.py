"""The oracle's answers and work of each exit are those of the network's own parts."""

import numpy as np
import pytest
import torch

from ecsim.collab.memory import Memory
from ecsim.collab.oracle import Oracle, Table
from ecsim.collab.place import Place
from ecsim.core.errors import UserError
from ecsim.core.types import ModelRef, Part, Work
from ecsim.kernel import FifoServer, Node, World
from ecsim.learning.cache import ArtefactCache
from ecsim.learning.compute import Compute
from ecsim.learning.keys import Architecture
from ecsim.learning.versions import Recipe, VersionStore
from ecsim.models.exits.vgg import MultiExitVGG
from ecsim.models.work import param_bytes, predict

POOL = np.array([3, 1, 4, 15, 9, 2, 6])
IMAGES = np.random.default_rng(0).normal(size=(20, 1, 8, 8)).astype(np.float32)
REF = ModelRef("cloud", 0, "key", (4, 2, 7), 0)
ARCHITECTURE = Architecture("multi_exit_vgg", MultiExitVGG.Params(), (1, 8, 8))
NET = ARCHITECTURE.build([(4, 2, 7)], seed=3).eval()


def oracle(cache=None, **about):
    store = VersionStore(cache)
    store.add(REF, Recipe("test", ARCHITECTURE, lambda: (NET, {})))
    return Oracle(store, IMAGES, (POOL,), Compute(), 3, **about)


@pytest.mark.parametrize(("exit", "after"), [(0, None), (1, None), (2, None), (1, 0), (2, 1)])
def test_an_exit_answers_and_costs_what_its_part_of_the_network_does(exit, after):
    asked = oracle()
    for sample in POOL.tolist():
        found = asked.predict(REF, sample, Part(exit=exit, after=after))
        x = torch.from_numpy(IMAGES[sample : sample + 1])
        seen = x if after is None else NET.backbone.handed_on(x, after).detach()
        alone = predict(NET.part(exit, after), seen)
        np.testing.assert_allclose(found.logits, alone.logits[0], rtol=1e-4, atol=1e-4)
        assert found.exit == exit
        assert found.label == REF.classes[int(alone.logits[0].argmax())]
        assert found.work == Work(macs=alone.macs[0], bytes_moved=alone.bytes_moved[0])
        assert asked.predict(REF, sample, Part(exit=exit, after=after)) is found


def test_the_whole_model_is_its_last_exit():
    asked = oracle()
    whole = asked.predict(REF, 15)
    assert whole.exit == 2
    assert asked.predict(REF, 15, Part(exit=2)) is whole
    assert asked.predict(REF, 15, Part()) is whole
    assert [point.name for point in asked.exits(REF)] == ["pool1", "pool2", "fc1"]


def test_exits_come_from_the_cache_without_the_network(tmp_path):
    made = oracle(ArtefactCache(tmp_path)).predict(REF, 15, Part(exit=1, after=0))
    store = VersionStore(ArtefactCache(tmp_path))
    store.add(REF, Recipe("test", ARCHITECTURE, lambda: pytest.fail("it was trained again")))
    again = Oracle(store, IMAGES, (POOL,), Compute(), 3).predict(REF, 15, Part(exit=1, after=0))
    assert np.array_equal(again.logits, made.logits) and again.work == made.work


def test_operations_are_those_of_the_part():
    asked = oracle(with_operations=True)
    for part in (Part(exit=0), Part(exit=2), Part(exit=2, after=0)):
        work = asked.predict(REF, 3, part).work
        assert sum(row.calls * row.macs for row in work.operations.rows) == work.macs


@pytest.mark.parametrize("part", [Part(exit=3), Part(exit=1, after=1), Part(exit=-1)])
def test_exits_that_there_are_not_are_refused(part):
    with pytest.raises(UserError, match="exits 0 to 2"):
        oracle().predict(REF, 3, part)


def test_a_table_has_its_end_for_an_exit():
    table = Table(np.eye(3, dtype=np.float32), Work(macs=5.0))
    assert table.predict(REF, 1, Part(exit=0)) is table.predict(REF, 1)
    assert len(table.exits(REF)) == 1
    with pytest.raises(UserError, match="exits 0 to 0"):
        table.predict(REF, 1, Part(exit=1))


def test_a_node_with_little_memory_loads_the_weights_of_the_part():
    asked, world = oracle(), World()
    node = Node(world, "cam", "edge", {"inference": FifoServer(world, "cam")})
    place = Place(
        node, 0, lambda work: (0.0, 1.0), lambda work: (0.0, 1.0), asked, REF, {"key"},
        memory=Memory("cam", load_byte_per_s=1.0),
    )  # fmt: skip
    backbone = NET.backbone
    for part, pieces in (
        (Part(exit=0), (backbone.segments[0], backbone.branches[0], NET.heads_of(0))),
        (Part(exit=2, after=0), (*backbone.segments[1:], backbone.branches[2], NET.heads)),
    ):
        _, load_s, _ = place.answers_of(REF, part)[3]
        assert load_s == sum(map(param_bytes, pieces))
        assert place.answers_of(REF, part)[15][1] == 0.0  # they lie there now
