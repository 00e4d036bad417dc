"""Named random streams: every consumer of randomness has its own, found by name alone.

A stream depends on its seed and its name, never on which other streams exist or in which order
they are asked for, so that adding a consumer shifts no other draw.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

_MOST_OF_A_WORD = 0xFFFF_FFFF
SEED_NAMES = ("world", "data", "order", "train")


def derive_seed(seed: int, name: str) -> int:
    """Give a 31-bit seed that depends on `seed` and `name` alone.

    >>> derive_seed(7, "world") == derive_seed(7, "world") != derive_seed(7, "data")
    True
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "little") & 0x7FFF_FFFF


def replicate_seed(seed: int, replicate: int) -> int:
    """Give the seed of a replicate, counted from 0; the first keeps the scenario's own.

    >>> replicate_seed(7, 0)
    7
    """
    return derive_seed(seed, f"replicate/{replicate}") if replicate else seed


@dataclass(frozen=True, slots=True)
class Streams:
    """A family of independent random streams under one seed.

    >>> streams = Streams(7)
    >>> bool(streams("arrivals", "cam[0]").random() == streams("arrivals", "cam[0]").random())
    True
    """

    seed: int

    def __call__(self, *name: str) -> np.random.Generator:
        """Give a fresh generator at the start of the stream called `name`."""
        digest = hashlib.sha256("/".join(name).encode()).digest()
        entropy: Any = [self.seed, *np.frombuffer(digest, dtype="<u4").tolist()]
        if self.seed <= _MOST_OF_A_WORD:  # the same numbers in a third of the time
            entropy = np.array(entropy, dtype=np.uint32)
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
