"""Joint training of exits: the weighted sum of their losses, and what its weights do."""

import pytest
import torch
from tiny_net import equal, weights_of
from torch import nn

from ecsim.core.errors import UserError
from ecsim.learning.exits import JointExits, JointExitsSetup
from ecsim.learning.keys import Architecture
from ecsim.models.exits.stepwise import StepwiseSpikingVGG
from ecsim.models.exits.vgg import MultiExitVGG


@pytest.fixture
def branched(data):
    return Architecture("multi_exit_vgg", MultiExitVGG.Params(), data.images.shape[1:])


def trained(architecture, data, compute, **params):
    net = architecture.build([range(4)], seed=3)
    training = JointExits(JointExits.Params(**({"epochs": 4, "batch_size": 16} | params)))
    metrics = training.fit(net, data.images, data.labels, 5, compute)
    return net, metrics


def losses(net, data):
    with torch.no_grad():
        return [
            float(nn.functional.cross_entropy(logits, torch.as_tensor(data.labels)))
            for logits in net.exits(torch.as_tensor(data.images))
        ]


def test_every_exit_learns_and_repeats_bit_for_bit(branched, data, compute):
    fresh = losses(branched.build([range(4)], seed=3).eval(), data)
    first, metrics = trained(branched, data, compute, epochs=12)
    second, again = trained(branched, data, compute, epochs=12)
    assert equal(weights_of(first), weights_of(second)) and metrics == again
    assert not first.training
    assert all(after < before / 2 for after, before in zip(losses(first, data), fresh, strict=True))


def test_the_loss_is_the_weighted_sum_of_the_exits_losses(branched, data, compute):
    # one epoch of one batch at a learning rate that moves nothing: the loss of the fresh net
    n = len(data.labels)
    params = {"epochs": 1, "batch_size": n, "lr": 1e-30, "exit_weights": (0.5, 2.0, 0.25)}
    _, metrics = trained(branched, data, compute, **params)
    net = branched.build([range(4)], seed=3).train()
    x, y = torch.as_tensor(data.images), torch.as_tensor(data.labels)
    with torch.no_grad():
        first, second, last = (float(nn.functional.cross_entropy(rows, y)) for rows in net.exits(x))
    expected = 0.5 * first + 2.0 * second + 0.25 * last
    # float32 sums over the samples in another order
    assert metrics["loss"] == pytest.approx(expected, rel=1e-5)
    _, metrics = trained(branched, data, compute, **params | {"exit_weights": ()})
    assert metrics["loss"] == pytest.approx((first + second + last) / 3, rel=1e-5)


def test_an_exit_without_weight_keeps_its_branch(branched, data, compute):
    before = branched.build([range(4)], seed=3)
    net, _ = trained(branched, data, compute, exit_weights=(0.0, 1.0, 1.0), weight_decay=0.0)
    assert torch.equal(net.early_heads[0][0].weight, before.early_heads[0][0].weight)
    assert not torch.equal(net.early_heads[1][0].weight, before.early_heads[1][0].weight)


def test_time_steps_are_trained_together(data, compute):
    params = StepwiseSpikingVGG.Params(steps=2)
    steps = Architecture("stepwise_spiking_vgg", params, data.images.shape[1:])
    net, _ = trained(steps, data, compute, epochs=6)
    fresh = losses(steps.build([range(4)], seed=3).eval(), data)
    assert all(after < before for after, before in zip(losses(net, data), fresh, strict=True))


def test_the_teacher_teaches_each_exit_and_stays_as_it_is(branched, data, compute):
    teacher = branched.build([range(4)], seed=9).eval()
    before = weights_of(teacher)
    nets = []
    for weight in (0.0, 2.0):
        net = branched.build([range(4)], seed=1)
        setup = JointExitsSetup(JointExitsSetup.Params(epochs=1, logit_weight=weight))
        setup.fit(net, teacher, data.images, data.labels, 7, compute)
        nets.append(net)
    assert equal(weights_of(teacher), before)
    for heads in zip(*(net.early_heads for net in nets), strict=True):
        assert not torch.equal(heads[0][0].weight, heads[1][0].weight)


def test_what_does_not_fit_is_said(branched, tiny, data, compute):
    with pytest.raises(UserError, match=r"exit_weights: expected 3 weights, .* got 2"):
        trained(branched, data, compute, exit_weights=(1.0, 1.0))
    with pytest.raises(UserError, match="expected a network with exits, got Tiny"):
        trained(tiny, data, compute)
    with pytest.raises(ValueError, match="exit_weights"):
        JointExits.Params(exit_weights=(0.0, 0.0))
