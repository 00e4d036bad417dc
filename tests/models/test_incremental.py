"""The classifier that grows one head per group of classes."""

import pytest
import torch
from torch import nn

from ecsim.models.incremental import IncrementalNet


class Backbone(nn.Module):
    feature_dim = 4

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 4)

    def forward(self, x):
        return self.layer(x)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return IncrementalNet(Backbone(), [[7, 3], [5]])


def test_logits_of_the_heads_stand_side_by_side(net):
    x = torch.randn(3, 2)
    logits = net(x)
    assert net.classes == (7, 3, 5)
    assert net.head_classes == ((7, 3), (5,))
    assert torch.equal(logits[:, 2:], net.heads[1](net.features(x)))


def test_growing_adds_columns_and_changes_no_other(net):
    x = torch.randn(3, 2)
    old = net(x)
    head = net.grow([0, 1])
    new = net(x)
    assert net.classes == (7, 3, 5, 0, 1)
    assert head is net.heads[-1]
    assert torch.equal(new[:, :3], old)
    assert new.shape == (3, 5)


def test_growing_is_seeded_and_leaves_the_global_state():
    nets = [IncrementalNet(Backbone(), [[0]]) for _ in range(3)]
    before = torch.random.get_rng_state()
    first, same, other = (
        n.grow([1, 2], seed=s).weight for n, s in zip(nets, (4, 4, 5), strict=True)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    second = nets[0].grow([3, 4], seed=4).weight  # the same seed, yet another head
    assert not torch.equal(first, second)


def test_a_new_head_is_of_the_nets_dtype(net):
    assert net.double().grow([1]).weight.dtype == torch.float64


@pytest.mark.parametrize("classes", [[3], [9, 9], [], [1, 5]])
def test_refuses_a_class_twice_and_a_head_without_classes(net, classes):
    with pytest.raises(ValueError, match="class"):
        net.grow(classes)
    assert net.classes == (7, 3, 5)
    assert len(net.heads) == 2


def test_refuses_a_net_without_heads():
    with pytest.raises(ValueError, match="at least one head"):
        IncrementalNet(Backbone(), [])
