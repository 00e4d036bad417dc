"""Which sample a device sees next: shuffled decks, dealt without replacement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from ecsim.core.errors import UserError
from ecsim.core.randomness import Streams
from ecsim.core.types import IntArray

Allocation = Literal["shared", "disjoint"]


class Deck:
    """Samples in random order, each once; when the deck is empty it is shuffled again."""

    def __init__(self, samples: IntArray, rng: np.random.Generator):
        if len(samples) == 0:
            raise ValueError("a deck needs at least one sample")
        self._samples = samples
        self._rng = rng
        self._left = samples[:0]

    def draw(self) -> int:
        """Give the next sample id."""
        return int(next(self.deal(1))[0])

    def deal(self, n: int) -> Iterator[IntArray]:
        """Give the next `n` sample ids in pieces, none of which has a sample twice."""
        while n > 0:
            if not len(self._left):
                self._left = self._rng.permutation(self._samples)[::-1]
            piece, self._left = self._left[:n], self._left[n:]
            n -= len(piece)
            yield piece


def allocate(
    samples: IntArray,
    labels: IntArray,
    devices: Sequence[str],
    allocation: Allocation,
    streams: Streams,
) -> dict[str, npt.NDArray[np.int64]]:
    """Give the samples that each device may ever see.

    Parameters
    ----------
    samples : ids of the stream pool.
    labels : class id of every sample of the data set, indexed by sample id.
    allocation : `shared` gives all of them to every device; `disjoint` deals each class out,
        so that no two devices share a sample and each has its part of every class.

    Raises
    ------
    UserError : when a class has fewer samples than there are devices to share them.
    """
    ids = np.asarray(samples, dtype=np.int64)
    if allocation == "shared":
        return dict.fromkeys(devices, ids)
    hands: list[list[npt.NDArray[np.int64]]] = [[] for _ in devices]
    first = 0  # seat that the next class starts at: no seat gets all the left-overs
    for label in np.unique(labels[ids]):
        members = ids[labels[ids] == label]
        if len(members) < len(devices):
            raise UserError(
                f"allocation: disjoint needs a sample of each class for each of {len(devices)} "
                f"devices, class {label} has {len(members)} in the stream pool"
            )
        shuffled = streams("allocation", str(label)).permutation(members)
        for seat, hand in enumerate(hands):
            hand.append(shuffled[(seat - first) % len(devices) :: len(devices)])
        first += len(members)
    return {
        device: np.sort(np.concatenate(hand)) for device, hand in zip(devices, hands, strict=True)
    }
