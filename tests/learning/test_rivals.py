"""The rival update methods: limits in which two of them agree, brute force, and digits."""

import itertools

import numpy as np
import pytest
import torch
from tiny_net import Tiny, equal, weights_of

from ecsim.core import registry
from ecsim.core.types import Batch, Labelled, ModelRef
from ecsim.data.dataset import Augmentation
from ecsim.learning.compute import Compute
from ecsim.learning.keys import Architecture
from ecsim.learning.update import Origin
from ecsim.learning.versions import Recipe, VersionStore

NAMES = ["self_distillation", "fine_tune", "frozen_backbone", "lwf", "ewc", "replay", "joint"]
SPIKING = Architecture("spiking_vgg", None, (1, 2, 2))


def learner(name, architecture, seed=11, **params):
    method = registry.resolve("update", name)
    return method(method.Params(**params), architecture, seed, Compute())


def answered(ids, data, classes=(0, 1, 2, 3)):
    logits = 6.0 * (data.labels[list(ids), None] == np.array(classes))
    return Batch.answered(list(ids), logits.astype(np.float32), classes)


def ids_of(data, start=0, **counts):
    chosen = []
    for name, count in counts.items():
        chosen += np.flatnonzero(data.labels == int(name[1:]))[start : start + count].tolist()
    return chosen


def origin(data, net, ids=None, augmentation=None):
    ids = np.array(ids_of(data, start=10, c0=8, c2=8) if ids is None else ids, np.int64)
    model = ModelRef("edge", 0, "p", net.classes, 1000)
    return Origin(model, Labelled(ids, data.labels[ids]), 4.0, augmentation or Augmentation())


def updated(name, data, architecture, batch=None, begins=True, **params):
    net = architecture.build([(2, 0)], seed=4).eval()
    learns = learner(name, architecture, **params)
    start = origin(data, net)
    if begins:
        learns.begin(start)
    batch = batch or answered(ids_of(data, c0=6, c1=6, c2=6), data)
    plan = learns.plan(start.model, batch)
    child, metrics = learns.fit(net, plan, batch, data.images)
    return net, child, plan, metrics, learns


@pytest.mark.parametrize("name", NAMES)
def test_every_method_grows_trains_and_leaves_the_parent_alone(name, data, tiny):
    net, child, plan, metrics, _ = updated(name, data, tiny)
    assert child.head_classes == ((2, 0), (1,)) and not child.training
    assert all(p.requires_grad for p in child.parameters())
    assert equal(weights_of(net), weights_of(tiny.build([(2, 0)], seed=4)))
    assert not equal(net.heads[0].state_dict(), child.heads[1].state_dict())
    assert np.isfinite(metrics["loss"]) and plan.work.macs > 0 and plan.memory_bytes > 0
    _, again, same, *_ = updated(name, data, tiny)
    assert equal(weights_of(child), weights_of(again)) and same.child.key == plan.child.key


def test_the_key_tells_methods_and_what_they_keep_apart(data, tiny):
    batch = answered(ids_of(data, c0=6, c1=6, c2=6), data)
    net = tiny.build([(2, 0)], seed=4)
    starts = [origin(data, net), origin(data, net, ids=ids_of(data, start=20, c0=8, c2=8))]

    def key(name, start, **params):
        learns = learner(name, tiny, **params)
        learns.begin(start)
        return learns.plan(start.model, batch).child.key

    keys = [key(n, starts[0], **p) for n in NAMES for p in ({}, {"logit_weight": 0.1})]
    assert len(set(keys)) == len(keys)
    for name in ("replay", "joint"):
        assert key(name, starts[0]) != key(name, starts[1])


@pytest.mark.parametrize(
    ("name", "off"),
    [("lwf", {"old_weight": 0.0}), ("ewc", {"strength": 0.0}), ("replay", {"exemplars": 0})],
)
@pytest.mark.parametrize("architecture", [Architecture("tiny", Tiny.Params(), (1, 2, 2)), SPIKING])
def test_without_what_keeps_the_old_they_are_fine_tuning(name, off, architecture, data):
    floor, same, on = (
        updated(each, data, architecture, epochs=3, **params)
        for each, params in (("fine_tune", {}), (name, off), (name, {}))
    )
    assert equal(weights_of(floor[1]), weights_of(same[1]))
    assert not equal(weights_of(floor[1]), weights_of(on[1]))
    assert same[2].work.macs == floor[2].work.macs < on[2].work.macs
    assert same[2].memory_bytes == floor[2].memory_bytes < on[2].memory_bytes


def test_joint_training_without_a_past_is_fine_tuning(data, tiny):
    floor, same = (updated(n, data, tiny, begins=False)[1] for n in ("fine_tune", "joint"))
    assert equal(weights_of(floor), weights_of(same))


@pytest.mark.parametrize("architecture", [Architecture("tiny", Tiny.Params(), (1, 2, 2)), SPIKING])
def test_a_frozen_backbone_is_the_same_to_the_bit(architecture, data):
    net, child, *_ = updated("frozen_backbone", data, architecture, epochs=5)
    assert equal(net.backbone.state_dict(), child.backbone.state_dict())
    assert not equal(net.heads[0].state_dict(), child.heads[0].state_dict())


def test_distillation_of_one_head_is_that_of_all_its_classes(data, tiny):
    """With one old head and its weight at 0.5, LwF's loss is self-distillation's."""
    batch = answered(ids_of(data, c0=6, c2=6), data)  # no new class: both train all heads
    results = []
    for name, old_weight in (("lwf", 0.5), ("self_distillation", 0.5), ("lwf", 0.6)):
        net = tiny.build([(2, 0)], seed=4).eval()
        learns = learner(name, tiny, old_weight=old_weight, weight_decay=0.0)
        plan = learns.plan(ModelRef("edge", 0, "p", (2, 0), 0), batch)
        results.append(weights_of(learns.fit(net, plan, batch, data.images)[0]))
    assert equal(results[0], results[1]) and not equal(results[0], results[2])


def test_fisher_diagonal_by_hand(data, tiny):
    """d log p(y) / d w of a linear head is (1[k = y] - p_k) times the feature."""
    net = tiny.build([(2, 0), (1,)], seed=4).eval()
    learns = learner("ewc", tiny)
    x = torch.as_tensor(data.images[:7])
    found = learns._fisher(net, x, 2, seed=3)
    features, logits = net.features(x).detach().double(), net(x).detach().double()
    shares = torch.softmax(logits, 1)
    # labels are drawn: the diagonal must be that of one of the 3^7 possible draws
    squares = (torch.eye(3)[None] - shares[:, None]) ** 2  # (sample, label, column)
    per_label = squares[..., None] * features[:, None, None] ** 2
    wanted = torch.cat([found["fisher.heads.0.weight"], found["fisher.heads.1.weight"]]).double()
    draws = torch.tensor(list(itertools.product(range(3), repeat=7)))
    means = per_label[torch.arange(7), draws].mean(1)  # (draw, column, feature)
    errors = (means - wanted).abs().amax((1, 2))
    assert errors.min() < 1e-6 and wanted.max() > 1e-4
    drawn = draws[errors.argmin()]
    bias = squares[torch.arange(7), drawn].mean(0)
    both = torch.cat([found["fisher.heads.0.bias"], found["fisher.heads.1.bias"]]).double()
    assert torch.allclose(both, bias, atol=1e-6)


def test_fisher_of_the_backbone_against_the_sum_of_all_gradients(data):
    """One sample: the diagonal is the squared gradient of the whole log-likelihood."""
    net = SPIKING.build([(0, 1)], seed=4).eval()
    x = torch.as_tensor(data.images[:1])
    found = learner("ewc", SPIKING)._fisher(net, x, 1, seed=3)
    name = "backbone.stages.0.synapses.0.weight"
    ways = []
    for label in (0, 1):
        net.zero_grad()
        (net(x)[0, label] - torch.logsumexp(net(x)[0], 0)).backward()
        ways.append(dict(net.named_parameters())[name].grad ** 2)
    errors = [(found["fisher." + name] - way).abs().max().item() for way in ways]
    largest = max(way.max().item() for way in ways)
    assert min(errors) < 1e-4 * largest and largest > 0


def test_strong_consolidation_holds_what_matters_and_frees_what_does_not(data, tiny):
    net, free, *_ = updated("ewc", data, tiny, strength=1e-6, weight_decay=0.0)
    _, held, *_ = updated("ewc", data, tiny, strength=1e6, weight_decay=0.0)

    def moved(child, name):
        return (weights_of(child)[name] - weights_of(net)[name]).abs().mean().item()

    assert moved(held, "heads.0.weight") < 0.2 * moved(free, "heads.0.weight")
    assert set(held.memory) > {"fisher.heads.1.weight"}
    assert all((fisher >= 0).all() for fisher in held.memory.values())


def test_the_memory_survives_the_cache(data, tiny, tmp_path):
    from ecsim.learning.cache import ArtefactCache

    _, child, plan, metrics, _ = updated("ewc", data, tiny)

    def made():
        return child, metrics

    for _ in range(2):  # made, then read
        store = VersionStore(ArtefactCache(tmp_path))
        store.add(plan.child, Recipe("update", tiny, made))
        assert equal(store.net(plan.child).memory, child.memory) and child.memory


def test_fisher_diagonals_add_up_over_updates(data, tiny):
    _, child, plan, _, learns = updated("ewc", data, tiny)
    batch = answered(ids_of(data, start=20, c0=6, c3=6), data)
    second = learns.plan(plan.child, batch)
    grown, _ = learns.fit(child, second, batch, data.images)
    for name, fisher in child.memory.items():
        assert (grown.memory[name] >= fisher).all()
    assert "fisher.heads.2.weight" in grown.memory


def test_exemplars_are_balanced_bounded_and_do_not_depend_on_order(data, tiny):
    learns = learner("replay", tiny, exemplars=8)
    ids = np.array(ids_of(data, c0=20, c1=20, c2=3), np.int64)
    samples = Labelled(ids, data.labels[ids])
    kept = learns.keeps(samples, 3)
    assert np.bincount(kept.labels).tolist() == [2, 2, 2] and len(kept) <= 8
    backwards = learns.keeps(Labelled(ids[::-1], data.labels[ids[::-1]]), 3)
    assert {*kept.sample_ids.tolist()} == {*backwards.sample_ids.tolist()}
    # merging in two steps keeps what one step does
    halves = [learns.keeps(Labelled(half, data.labels[half]), 3) for half in (ids[::2], ids[1::2])]
    merged = np.concatenate([half.sample_ids for half in halves])
    again = learns.keeps(Labelled(merged, data.labels[merged]), 3)
    assert {*again.sample_ids.tolist()} == {*kept.sample_ids.tolist()}


def test_earlier_samples_are_learned_again_and_counted(data, tiny):
    _, child, plan, metrics, learns = updated("joint", data, tiny)
    assert len(plan.earlier) == 16 and metrics["n_samples"] == 34
    batch = answered(ids_of(data, start=20, c3=6), data)
    second = learns.plan(plan.child, batch)
    assert len(second.earlier) == 34
    assert set(second.earlier.labels) == {0, 1, 2}
    learns.fit(child, second, batch, data.images)
    assert not learns.is_realisable and learner("replay", tiny).is_realisable


def test_work_of_the_rivals_by_hand(data, tiny, parent):
    # backbone 12 MACs, a column 3: 18 with two classes, 21 with three; 5 samples, 2 epochs
    batch = answered(ids_of(data, c1=5), data)

    def macs(name, **params):
        return learner(name, tiny, epochs=2, **params).plan(parent, batch).work.macs

    assert macs("fine_tune") == 5 * 2 * 3 * 21
    assert macs("lwf") == 5 * (2 * 3 * 21 + 18)
    assert macs("frozen_backbone") == 5 * (12 + 2 * 3 * 9)
    assert macs("ewc", fisher_samples=3) == 5 * 2 * 3 * 21 + 3 * 4 * 21
    assert macs("joint") == macs("replay") == macs("fine_tune")  # nothing earlier is known


def test_memory_by_hand(data, tiny, parent):
    # weights: 4 x 3 + 3, and mean, variance, weight, bias of 3 norms: 27; a column 3 + 1
    batch = answered(ids_of(data, c1=5), data)
    weights, heads = 4 * 27, 4 * 4 * 3
    # put out for one sample: flattened 4, linear 3, norm 3, one column
    activations = 4 * (4 + 3 + 3 + 1)

    def memory(name, **params):
        return learner(name, tiny, batch_size=4, **params).plan(parent, batch).memory_bytes

    floor = 4 * (weights + heads) + 4 * activations + 5 * 16
    assert memory("fine_tune") == floor
    assert memory("lwf") == floor + 5 * 2 * 4
    assert memory("ewc") == floor + 2 * (weights + 4 * 4 * 2)
    assert memory("self_distillation") == floor + 5 * 2 * 4 - 3 * 2 * 4 * 4
    frozen = weights + heads + 3 * heads + 5 * 3 * 4 + 5 * 16
    assert memory("frozen_backbone") == frozen


def test_a_frozen_backbone_is_not_augmented():
    with pytest.raises(ValueError, match="augment: a frozen"):
        learner("frozen_backbone", SPIKING, augment=True)
