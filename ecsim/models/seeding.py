"""Seeded initialisation that leaves torch's global random state alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block with torch's CPU generator at `seed`, then put its state back."""
    with torch.random.fork_rng(devices=[]):
        # not torch.manual_seed, which would also seed accelerators, whose state is not put back
        torch.default_generator.manual_seed(seed)
        yield
