"""Four pools of samples that share none: what each is for is kept apart by construction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecsim.core.errors import UserError
from ecsim.core.randomness import Streams
from ecsim.core.types import IntArray

NAMES = ("cloud", "stream", "validation", "probe")


@dataclass(frozen=True, slots=True, eq=False)
class Pools:
    """Sample ids per pool, sorted, disjoint.

    Attributes
    ----------
    cloud : what the cloud's network and the set-up train on.
    stream : what devices see, buffer and learn from.
    validation : what every choice (a threshold, a number of epochs) is made on.
    probe : what a deployed version is scored on; never trained on, never sent.
    """

    cloud: npt.NDArray[np.int64]
    stream: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    probe: npt.NDArray[np.int64]


def split(labels: IntArray, shares: Mapping[str, float], seed: int) -> Pools:
    """Deal the samples of each class to the pools.

    Parameters
    ----------
    labels : class id per sample, shape (N,).
    shares : pool name -> its share of each class, in [0, 1], summing to 1 or less (the rest
        is left out). A pool that is not named gets nothing.
    seed : the `data` seed; each class is shuffled by a stream of its own.

    Raises
    ------
    UserError : for shares that do not fit, or a class too small for a pool to get any of it.
    """
    unknown = set(shares) - set(NAMES)
    # 1e-9: shares such as .4 + .35 + .1 + .15 sum to 1 within a few ulp only
    if unknown or min(shares.values(), default=0) < 0 or sum(shares.values()) > 1 + 1e-9:
        raise UserError(
            f"pools: expected shares of {', '.join(NAMES)} that sum to 1 or less, "
            f"got {dict(shares)}"
        )
    parts = np.array([shares.get(name, 0.0) for name in NAMES])
    streams = Streams(seed)
    chosen: list[list[IntArray]] = [[] for _ in NAMES]
    for label in np.unique(labels):
        ids = np.flatnonzero(labels == label)
        shuffled = streams("pools", str(label)).permutation(ids)
        # rounding the running sum keeps every pool within one sample of its share
        ends = np.rint(np.cumsum(parts) * len(ids)).astype(np.int64)
        dealt = np.split(shuffled, ends)[: len(NAMES)]
        for name, part, got, pool in zip(NAMES, parts, dealt, chosen, strict=True):
            if part > 0 and len(got) == 0:
                raise UserError(
                    f"pools: class {label} has {len(ids)} samples, too few to give "
                    f"{name} a share of {part:g}"
                )
            pool.append(got)
    return Pools(*(np.sort(np.concatenate(pool)).astype(np.int64) for pool in chosen))
