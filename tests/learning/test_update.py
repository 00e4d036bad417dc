import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_net import Tiny, equal, weights_of

from ecsim.core.types import Batch, ModelRef, Work
from ecsim.learning.columns import columns_of
from ecsim.learning.compute import Compute
from ecsim.learning.keys import Architecture
from ecsim.learning.updates.self_distillation import SelfDistillation


def learner(architecture, seed=11, **params):
    return SelfDistillation(SelfDistillation.Params(**params), architecture, seed, Compute())


def answered(ids, data, classes=(0, 1, 2, 3), sharpness=6.0):
    """Give a batch as a cloud that knows every answer would."""
    logits = sharpness * (data.labels[list(ids), None] == np.array(classes))
    return Batch.answered(list(ids), logits.astype(np.float32), classes)


def ids_of(data, **counts):
    """Give the first samples of each class, such as c1=5."""
    chosen = []
    for name, count in counts.items():
        chosen += np.flatnonzero(data.labels == int(name[1:]))[:count].tolist()
    return chosen


def test_a_class_is_new_with_enough_support(data, tiny, parent):
    batch = answered(ids_of(data, c1=5, c3=4, c2=3), data)
    plan = learner(tiny, min_support=5).plan(parent, batch)
    assert plan.new_classes == (1,) and plan.child.classes == (2, 0, 1)
    assert plan.child.version == 4 and plan.child.role == "edge"
    assert set(batch.labels[plan.rows]) == {1, 2} and len(plan.rows) == 8
    plan = learner(tiny, min_support=4).plan(parent, batch)
    assert plan.new_classes == (1, 3)
    # float32: 3 weights and a bias for each of two columns
    assert plan.child.param_bytes == 1000 + 4 * 4 * 2


def test_nothing_to_learn(data, tiny, parent):
    assert learner(tiny).plan(parent, answered(ids_of(data, c1=4, c3=4), data)) is None
    assert learner(tiny).plan(parent, answered([], data)) is None


def test_work_by_hand(data, tiny, parent):
    # backbone 4 x 3 = 12 MACs, a column 3: old 12 + 6 = 18, new 12 + 9 = 21 MACs per sample.
    # 5 samples x (2 epochs x (forward 21 + backward 42) + old model once 18) = 5 x 144
    batch = answered(ids_of(data, c1=5), data)
    plan = learner(tiny, epochs=2, batch_size=2).plan(parent, batch)
    assert replace(plan.work, operations=None) == Work(macs=720.0, steps=4, is_training=True)
    without = learner(tiny, epochs=2, batch_size=2, old_weight=0.0).plan(parent, batch)
    assert without.work.macs == 630.0


def test_the_key_holds_whatever_decides_the_weights(data, tiny, parent):
    ids = ids_of(data, c1=6, c2=4)
    batch = answered(ids, data)

    def key(batch=batch, parent=parent, **changes):
        return learner(tiny, **changes).plan(parent, batch).child.key

    assert key() == key() == key(batch=answered(ids, data))
    other_logits = replace(batch, logits=batch.logits + 1)
    wider = Architecture("tiny", type(tiny.params)(norm=False), tiny.in_shape)
    changed = [
        key(batch=answered(ids[::-1], data)),
        key(batch=answered(ids[1:], data)),
        key(batch=other_logits),
        key(parent=replace(parent, key="another")),
        key(seed=12),
        key(epochs=3),
        key(old_weight=0.1),
        learner(wider).plan(parent, batch).child.key,
    ]
    assert len({key(), *changed}) == len(changed) + 1
    # samples that are left out do not count
    assert key(batch=answered([*ids, *ids_of(data, c3=2)], data)) == key()


def test_true_labels_are_not_needed(data, tiny, parent):
    batch = answered(ids_of(data, c1=6), data)
    wrong = Batch.answered(batch.sample_ids, np.roll(batch.logits, 1, axis=1), (0, 1, 2, 3))
    assert set(wrong.labels) == {2} and learner(tiny).plan(parent, wrong).new_classes == ()


def fitted(data, architecture, ids, heads=((2, 0),), seed=11, **params):
    net = architecture.build(heads, seed=4).eval()
    parent = ModelRef("edge", 0, "p", net.classes, 0)
    batch = answered(ids, data)
    learns = learner(architecture, seed, **params)
    plan = learns.plan(parent, batch)
    child, metrics = learns.fit(net, plan, batch, data.images)
    return net, child, metrics


def test_a_new_head_is_trained_and_the_old_ones_are_not(data, tiny):
    ids = ids_of(data, c0=6, c1=6, c2=6)
    net, child, metrics = fitted(data, tiny, ids, heads=((2,), (0,)))
    assert child.head_classes == ((2,), (0,), (1,)) and not child.training
    assert all(equal(net.heads[i].state_dict(), child.heads[i].state_dict()) for i in (0, 1))
    assert not equal(net.backbone.state_dict(), child.backbone.state_dict())
    assert np.isfinite(metrics["loss"]) and metrics["n_samples"] == 18
    assert all(p.requires_grad for p in child.parameters())


def test_without_a_new_class_the_existing_heads_are_trained(data, tiny):
    net, child, _ = fitted(data, tiny, ids_of(data, c0=6, c2=6))
    assert child.head_classes == net.head_classes
    assert not equal(net.heads.state_dict(), child.heads.state_dict())


def test_it_learns(data, tiny):
    ids = ids_of(data, c0=20, c1=20, c2=20)
    _, child, _ = fitted(data, tiny, ids, epochs=60, lr=0.02, old_weight=0.0)
    later = [i for i in range(60, 120) if data.labels[i] != 3]
    predicted = child(torch.as_tensor(data.images[later])).argmax(1).numpy()
    assert (np.array(child.classes)[predicted] == data.labels[later]).mean() > 0.9


def test_bit_for_bit_again_and_the_parent_is_untouched(data, tiny):
    ids = ids_of(data, c0=6, c1=6)
    state = torch.get_rng_state()
    net, first, loss = fitted(data, tiny, ids)
    _, again, same = fitted(data, tiny, ids)
    _, other, _ = fitted(data, tiny, ids, seed=12)
    assert equal(weights_of(first), weights_of(again)) and loss == same
    assert not equal(weights_of(first), weights_of(other))
    assert equal(weights_of(net), weights_of(tiny.build([(2, 0)], seed=4)))
    assert torch.equal(torch.get_rng_state(), state)


def test_spiking_update_bit_for_bit(data):
    spiking = Architecture("spiking_vgg", None, (1, 2, 2))
    ids = ids_of(data, c0=6, c1=6)
    first, again = (fitted(data, spiking, ids, epochs=2)[1] for _ in range(2))
    assert equal(weights_of(first), weights_of(again))


@pytest.mark.parametrize("ids", [[0], [0, 2, 4]])
def test_tiny_batches(data, tiny, ids):
    _, child, _ = fitted(data, tiny, ids, batch_size=2)
    assert all(torch.isfinite(tensor).all() for tensor in weights_of(child).values())


@settings(max_examples=40)
@given(st.integers(0, 2**31 - 1))
def test_a_large_old_weight_keeps_the_old_answers(seed):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(24, 1, 2, 2)).astype(np.float32)
    batch = Batch.answered(np.arange(24), rng.normal(size=(24, 3)).astype(np.float32), (0, 1, 2))
    # no batch normalisation: its statistics change in training whatever the loss says
    net = Architecture("tiny", Tiny.Params(norm=False), (1, 2, 2)).build([(0, 1)], seed).eval()
    old = torch.softmax(net(torch.as_tensor(images)), 1)

    def drift(old_weight):
        learns = learner(
            Architecture("tiny", Tiny.Params(norm=False), (1, 2, 2)), old_weight=old_weight,
            epochs=10, lr=0.02, weight_decay=0.0, min_support=1, temperature=1.0,
        )  # fmt: skip
        plan = learns.plan(ModelRef("edge", 0, "p", (0, 1), 0), batch)
        child, _ = learns.fit(copy.deepcopy(net), plan, batch, images)
        new = torch.softmax(child(torch.as_tensor(images))[:, :2], 1)
        return (new - old).abs().mean().item()

    assert drift(1000.0) < max(0.5 * drift(0.0), 0.02)


def test_batches_must_fit_together():
    with pytest.raises(ValueError, match="twice"):
        Batch.answered([3, 3], np.zeros((2, 2), np.float32), (0, 1))
    with pytest.raises(ValueError, match="not among"):
        columns_of((1, 2), [1, 3])
