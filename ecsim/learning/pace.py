"""How fast this host trains a network, for estimates before anything is trained."""

from __future__ import annotations

import time

import torch
from torch.nn import functional as F

from ecsim.learning.compute import Compute
from ecsim.learning.effort import Effort
from ecsim.learning.keys import Architecture
from ecsim.learning.training import train
from ecsim.models.work import dense_macs

_BATCH = 32


def training_macs(architecture: Architecture, n_classes: int, n_samples: int, epochs: int) -> float:
    """Give the multiply-accumulates of a training: three forward passes' worth per sample.

    The backward pass costs about twice the forward one; a teacher's passes are not counted.
    """
    net = architecture.build((tuple(range(n_classes)),))
    return 3.0 * epochs * n_samples * dense_macs(net, architecture.in_shape)


def macs_per_cpu_s(
    architecture: Architecture, n_classes: int, compute: Compute, n_steps: int = 4
) -> float:
    """Train on noise for a few steps and give the multiply-accumulates per second of CPU time.

    The first step is not timed: it allocates.
    """
    net = architecture.build((tuple(range(n_classes)),))
    compute.put(net.train())
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((_BATCH, *architecture.in_shape), generator=generator).to(compute.kind)
    y = torch.randint(n_classes, (_BATCH,), generator=generator).to(compute.kind)

    def steps(n: int) -> float:
        before_s = time.process_time()
        train(
            net.parameters(), lambda i: F.cross_entropy(net(x[i]).float(), y[i]), _BATCH,
            Effort(n, _BATCH), 0, compute,
        )  # fmt: skip
        return time.process_time() - before_s

    steps(1)
    return training_macs(architecture, n_classes, _BATCH, n_steps) / max(steps(n_steps), 1e-9)
