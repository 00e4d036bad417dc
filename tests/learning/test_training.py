import numpy as np
import pytest
import torch
from torch import nn

from ecsim.core.errors import UserError
from ecsim.learning.compute import Compute
from ecsim.learning.effort import Effort
from ecsim.learning.training import batch_mode, train


def batches(n, effort, seed=0):
    """Give the indices of each mini-batch that a training uses."""
    seen = []
    weight = nn.Parameter(torch.ones(1))

    def loss_of(indices):
        seen.append(indices.tolist())
        return (weight**2).sum()

    train([weight], loss_of, n, effort, seed, Compute())
    return seen


@pytest.mark.parametrize(
    ("n", "sizes"), [(6, [3, 3]), (7, [3, 4]), (8, [3, 3, 2]), (1, [1]), (4, [4]), (2, [2])]
)
def test_a_last_batch_of_one_joins_the_one_before(n, sizes):
    effort = Effort(2, 3)
    seen = batches(n, effort)
    assert [len(batch) for batch in seen] == sizes * 2
    assert effort.steps(n) == len(sizes) * 2
    for epoch in (seen[: len(sizes)], seen[len(sizes) :]):
        assert sorted(index for batch in epoch for index in batch) == list(range(n))


def test_the_order_comes_from_the_seed_alone():
    effort = Effort(2, 4)
    torch.manual_seed(1)
    first = batches(20, effort, seed=5)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert batches(20, effort, seed=5) == first
    assert batches(20, effort, seed=6) != first
    assert first[:5] != first[5:]
    assert torch.equal(torch.get_rng_state(), state)


def test_dropout_is_seeded_too():
    def trained(seed):
        weight = nn.Parameter(torch.ones(8))
        drop = nn.Dropout(0.5)
        loss = train(
            [weight], lambda i: drop(weight).square().sum(), 4, Effort(3, 2), seed, Compute()
        )
        return weight.detach(), loss

    (first, loss), (again, same), (other, _) = trained(1), trained(1), trained(2)
    assert torch.equal(first, again) and loss == same and not torch.equal(first, other)


def test_reports_the_mean_loss_of_the_last_epoch():
    weight = nn.Parameter(torch.zeros(1))
    targets = torch.tensor([1.0, 3.0, 5.0, 7.0, 9.0])

    def loss_of(i):  # its value does not depend on the weight
        return targets[i].mean() + 0 * weight.sum()

    assert train([weight], loss_of, 5, Effort(2, 2), 0, Compute()) == pytest.approx(5.0)


def test_the_learning_rate_falls_to_nothing():
    weight, path = nn.Parameter(torch.zeros(1)), []

    def loss_of(_):
        path.append(weight.item())
        return weight.sum()  # a constant gradient: Adam's step is the learning rate

    train([weight], loss_of, 2, Effort(40, 2, lr=0.1, weight_decay=0.0), 0, Compute())
    steps = -np.diff([*path, weight.item()])
    assert steps[0] == pytest.approx(0.1, rel=1e-3)
    assert steps[20] == pytest.approx(0.05, rel=1e-2)
    assert 0 < steps[-1] < 1e-3 and (np.diff(steps) < 0).all()


def test_frozen_parameters_stay():
    free, frozen = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2), requires_grad=False)
    train([free, frozen], lambda i: (free * frozen).sum(), 4, Effort(1, 2), 0, Compute())
    assert (frozen == 1).all() and (free != 1).all()


def test_divergence_is_said():
    weight = nn.Parameter(torch.ones(1))
    with pytest.raises(UserError, match="diverged"):
        train([weight], lambda i: (weight * torch.inf).sum(), 2, Effort(1, 2), 0, Compute())


def test_one_sample_keeps_running_statistics():
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    batch_mode(net, 1)
    net(torch.zeros(1, 3))  # would raise with batch statistics
    assert net.training and not net[1].training
    batch_mode(net, 2)
    assert net[1].training
