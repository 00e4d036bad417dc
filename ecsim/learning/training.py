"""The one training loop: seeded mini-batches, Adam, cosine annealing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from ecsim.core.errors import UserError
from ecsim.learning.compute import Compute
from ecsim.learning.effort import Effort


def train(
    parameters: Iterable[nn.Parameter],
    loss_of: Callable[[Tensor], Tensor],
    n: int,
    effort: Effort,
    seed: int,
    compute: Compute,
) -> float:
    """Minimise a loss over samples 0 … n - 1 and give its mean over the last epoch.

    Only `seed` decides the order of the samples; torch's global generator is restored, also
    when a network draws from it (dropout). The modules' modes (train, eval) are the caller's.

    Parameters
    ----------
    loss_of : gives the mean loss of the samples at the given indices, an int64 tensor.

    Raises
    ------
    UserError : when the loss is no longer a number.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    sizes = effort.sizes(n)
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(trained, lr=effort.lr, weight_decay=effort.weight_decay)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, effort.steps(n))
    last = math.nan
    with torch.random.fork_rng(), compute.active():
        torch.manual_seed(seed)
        for _ in range(effort.epochs):
            total = 0.0
            for indices in torch.split(torch.randperm(n, generator=order), sizes):
                optimizer.zero_grad(set_to_none=True)
                loss = loss_of(indices.to(compute.kind))
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                annealing.step()
                total += float(loss.detach()) * len(indices)
            last = total / n
    if not math.isfinite(last):
        raise UserError(f"a training diverged (its loss is {last}); a smaller lr may help")
    return last


def batch_mode(net: nn.Module, n: int) -> None:
    """Put a network in training mode for `n` samples.

    One sample has no batch statistics: batch normalisation then keeps its running ones.
    """
    net.train()
    if n < 2:
        for module in net.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
