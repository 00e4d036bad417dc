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


def split(
    labels: IntArray,
    shares: Mapping[str, float],
    seed: int,
    *,
    test: IntArray | None = None,
    n_samples: int | None = None,
    n_test: int | None = None,
) -> Pools:
    """Deal the samples of each class to the pools.

    Parameters
    ----------
    labels : class id per sample, shape (N,).
    shares : pool name -> its share of each class, in [0, 1], summing to 1 or less (the rest
        is left out). A pool that is not named gets nothing.
    seed : the `data` seed; each class is shuffled by a stream of its own.
    test : ids that are the probe pool, whatever its share; the others are dealt to the rest.
    n_samples : samples that are dealt, at most; the classes keep their proportions.
    n_test : samples of `test` that are kept, at most, likewise.

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
    if test is not None:
        parts[NAMES.index("probe")] = 0.0
    streams = Streams(seed)
    is_dealt = np.ones(len(labels), dtype=bool)
    if test is not None:
        is_dealt[test] = False
    kept = min(1.0, (n_samples or len(labels)) / max(int(is_dealt.sum()), 1))
    chosen: list[list[IntArray]] = [[] for _ in NAMES]
    for label in np.unique(labels):
        ids = np.flatnonzero((labels == label) & is_dealt)
        shuffled = streams("pools", str(label)).permutation(ids)
        if kept < 1:
            ids = shuffled = shuffled[: round(kept * len(ids))]
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
    if test is not None:
        chosen[NAMES.index("probe")] = _some_of(test, labels, n_test, streams)
    return Pools(*(np.sort(np.concatenate(pool)).astype(np.int64) for pool in chosen))


def _some_of(
    test: IntArray, labels: IntArray, n_test: int | None, streams: Streams
) -> list[IntArray]:
    """Give ids of the test part by class, as many as are wanted in all."""
    kept = min(1.0, (n_test or len(test)) / max(len(test), 1))
    return [
        streams("probe", str(label)).permutation(members)[: round(kept * len(members))]
        for label in np.unique(labels[test])
        for members in [test[labels[test] == label]]
    ]
