"""Random crops and mirroring."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_net import equal, weights_of

from ecsim.core.types import ModelRef
from ecsim.data.dataset import Augmentation, Dataset
from ecsim.learning import recipes
from ecsim.learning.augmentation import variation, varied
from ecsim.learning.cloud import CloudTraining
from ecsim.learning.setup import JointDistillation
from ecsim.learning.versions import VersionStore


def candidates(image, pad, flip):
    """Every crop of a padded image (C, H, W), by numpy."""
    height, width = image.shape[-2:]
    padded = np.pad(image, [(0, 0)] * (image.ndim - 2) + [(pad, pad)] * 2)
    crops = [
        padded[..., t : t + height, s : s + width]
        for t in range(2 * pad + 1)
        for s in range(2 * pad + 1)
    ]
    return crops + [crop[..., ::-1] for crop in crops] * flip


@settings(max_examples=30)
@given(
    st.integers(0, 2), st.booleans(), st.sampled_from([(2, 4, 5), (3, 2, 4, 4)]),
    st.integers(0, 2**31 - 1),
)  # fmt: skip
def test_each_sample_is_one_of_its_crops(pad, flip, shape, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand((6, *shape), generator=generator)
    seen = varied(x, Augmentation(pad, flip), generator)
    assert seen.shape == x.shape and seen.dtype == x.dtype
    for before, after in zip(x.numpy(), seen.numpy(), strict=True):
        assert any(np.array_equal(after, crop) for crop in candidates(before, pad, flip))


def test_all_crops_and_both_sides_come():
    x = torch.arange(1.0, 10.0).reshape(1, 1, 3, 3).expand(600, 1, 3, 3)
    seen = varied(x, Augmentation(1, True), torch.Generator().manual_seed(0))
    kinds = {tuple(image.flatten().tolist()) for image in seen}
    assert len(kinds) == 18
    # of 600 samples about half are mirrored: 6 standard deviations are 74
    plain = {tuple(crop.flatten().tolist()) for crop in candidates(x[0].numpy(), 1, False)}
    n_plain = sum(tuple(image.flatten().tolist()) in plain for image in seen)
    assert abs(n_plain - 300) < 74


def test_unwanted_is_nothing():
    x = torch.rand(2, 1, 3, 3)
    assert variation(False, Augmentation(2, True), 1)(x) is x
    assert variation(True, Augmentation(), 1)(x) is x


@pytest.fixture
def declared(data):
    return Dataset("four", data.images, data.labels, 4, 4.0, augmentation=Augmentation(flip=True))


def trained(data, tiny, compute, augment):
    store = VersionStore()
    ids = np.arange(60)
    training = CloudTraining(CloudTraining.Params(epochs=2, augment=augment))
    cloud = recipes.cloud_version(store, tiny, training, data, ids, 1, compute)
    setup = JointDistillation(JointDistillation.Params(epochs=2, augment=augment))
    edge = recipes.setup_version(store, tiny, setup, cloud, data, ids, (0, 2), 1, compute)
    return [(ref.key, weights_of(store.net(ref))) for ref in (cloud, edge)]


def test_trainings_use_what_the_data_set_declares(data, declared, tiny, compute):
    plain, same = trained(data, tiny, compute, False), trained(declared, tiny, compute, False)
    for (key, weights), (other_key, other) in zip(plain, same, strict=True):
        assert key == other_key and equal(weights, other)
    varied_once, again = (trained(declared, tiny, compute, True) for _ in range(2))
    for (key, weights), (plain_key, before) in zip(varied_once, plain, strict=True):
        assert key != plain_key and not equal(weights, before)
    assert all(equal(a[1], b[1]) for a, b in zip(varied_once, again, strict=True))
    # a set that declares nothing has nothing to vary
    for (_, weights), (_, before) in zip(trained(data, tiny, compute, True), plain, strict=True):
        assert equal(weights, before)


def test_updates_too(declared, tiny):
    from test_rivals import answered, ids_of, learner, origin

    net = tiny.build([(2, 0)], seed=4).eval()
    batch = answered(ids_of(declared, c0=6, c1=6, c2=6), declared)
    results = []
    for augment, augmentation in ((False, None), (True, None), (True, declared.augmentation)):
        learns = learner("fine_tune", tiny, augment=augment, epochs=3)
        learns.begin(origin(declared, net, augmentation=augmentation))
        plan = learns.plan(ModelRef("edge", 0, "p", net.classes, 1000), batch)
        results.append(weights_of(learns.fit(net, plan, batch, declared.images)[0]))
    assert equal(results[0], results[1]) and not equal(results[0], results[2])
