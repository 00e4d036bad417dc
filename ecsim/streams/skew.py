"""Which samples which device has when devices are not alike: skewed classes, skewed groups.

A skew divides the data into parts (classes, or groups such as speakers) and gives each device a
share of each part. `skewed` deals accordingly, from the same samples or from samples of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt

from ecsim.core.errors import UserError
from ecsim.core.randomness import Streams
from ecsim.core.types import FloatArray, IntArray
from ecsim.streams.decks import Allocation


@dataclass(frozen=True, slots=True, eq=False)
class Seat:
    """A device as a skew sees it.

    Attributes
    ----------
    device, number : its name, and its place among `n_seats` devices.
    allocation : whether no sample may be with two devices.
    base : parts of which it should have one at least: the classes known at the start.
    """

    device: str
    number: int
    n_seats: int
    allocation: Allocation
    base: IntArray


class Skew(Protocol):
    """Divides the data into parts and says how much of each part a device has."""

    def parts(self, labels: IntArray, groups: IntArray | None) -> IntArray:
        """Give the part that each sample of the data set belongs to, (N,)."""

    def shares(self, parts: IntArray, seat: Seat, streams: Streams) -> FloatArray:
        """Give the device's share of each of the distinct `parts`, in [0, 1].

        Draw from streams with the device's name in theirs: another device changes nothing then.
        """


class _ByClass:
    """Parts are classes."""

    def parts(self, labels: IntArray, groups: IntArray | None) -> IntArray:
        """Give the labels."""
        return labels


class Classes(_ByClass):
    """Each device has m of the n classes, one of them known at the start."""

    @dataclass(frozen=True, kw_only=True)
    class Params:
        """How many classes.

        Attributes
        ----------
        per_device : classes that a device has; one is of the base classes, the others are drawn.
        """

        per_device: Annotated[int, Ge(1)]

    def __init__(self, params: Params):
        self.params = params

    def shares(self, parts: IntArray, seat: Seat, streams: Streams) -> FloatArray:
        """Give 1 for the device's classes and 0 for others."""
        wanted = self.params.per_device
        if wanted > len(parts):
            raise UserError(f"per_device: expected at most {len(parts)} classes, got {wanted}")
        rng = streams("skew", seat.device)
        first = rng.choice(np.intersect1d(parts, seat.base))
        others = rng.choice(parts[parts != first], wanted - 1, replace=False)
        return np.isin(parts, [first, *others]).astype(np.float64)


class Dirichlet(_ByClass):
    """Shares of the classes are drawn from a symmetric Dirichlet distribution per device.

    A device has at least one sample of each class, as it must have something to show in any phase.

    Source: T.-M. H. Hsu et al., Measuring the effects of non-identical data distribution for
    federated visual classification, 2019.
    """

    @dataclass(frozen=True, kw_only=True)
    class Params:
        """How unequal the devices are.

        Attributes
        ----------
        alpha : concentration; towards 0 a device has one class, large: all have all alike.
        """

        alpha: Annotated[float, Gt(0)]

    def __init__(self, params: Params):
        self.params = params

    def shares(self, parts: IntArray, seat: Seat, streams: Streams) -> FloatArray:
        """Give the drawn proportions, the largest as 1."""
        drawn = streams("skew", seat.device).dirichlet(np.full(len(parts), self.params.alpha))
        shares: FloatArray = np.maximum(drawn / drawn.max(), 1e-12)  # never nothing at all
        return shares


class Groups:
    """Each device has the samples of its own groups: a speaker, a writer, a site."""

    @dataclass(frozen=True, kw_only=True)
    class Params:
        """How many groups.

        Attributes
        ----------
        per_device : groups that a device has; with disjoint allocation nobody else has them.
        """

        per_device: Annotated[int, Ge(1)] = 1

    def __init__(self, params: Params):
        self.params = params

    def parts(self, labels: IntArray, groups: IntArray | None) -> IntArray:
        """Give the groups; raises `UserError` where the data set has none."""
        if groups is None:
            raise UserError("kind: the data set has no groups (see data: {name: npz, group: …})")
        return groups

    def shares(self, parts: IntArray, seat: Seat, streams: Streams) -> FloatArray:
        """Give 1 for the device's groups and 0 for others."""
        wanted, n = self.params.per_device, len(parts)
        is_disjoint = seat.allocation == "disjoint"
        needed = wanted * seat.n_seats if is_disjoint else wanted
        if needed > n:
            for_all = f" for {seat.n_seats} devices that share none" if is_disjoint else ""
            raise UserError(f"per_device: expected at most {n} groups{for_all}, got {needed}")
        if is_disjoint:
            start = seat.number * wanted
            own = streams("skew", "groups").permutation(parts)[start : start + wanted]
        else:
            own = streams("skew", seat.device).choice(parts, wanted, replace=False)
        return np.isin(parts, own).astype(np.float64)


def skewed(
    samples: IntArray,
    labels: IntArray,
    groups: IntArray | None,
    devices: Sequence[str],
    allocation: Allocation,
    skew: Skew,
    base: Sequence[int],
    streams: Streams,
) -> dict[str, npt.NDArray[np.int64]]:
    """Give the samples that each device may ever see, sorted.

    Shared: a device has its share of each part, whoever else has these samples. Disjoint: a part
    is divided among the devices in proportion to their shares, at least one sample for each.

    Parameters
    ----------
    samples : ids of the stream pool.
    labels, groups : of every sample of the data set, indexed by sample id.
    base : classes known at the start.

    Raises
    ------
    UserError : the skew asks for more than there is, or a part has too few samples.
    """
    ids = np.asarray(samples, dtype=np.int64)
    part_of = skew.parts(labels, groups)[ids]
    parts = np.unique(part_of)
    known = np.asarray(base, dtype=np.int64)
    shares = np.array([
        skew.shares(parts, Seat(device, i, len(devices), allocation, known), streams)
        for i, device in enumerate(devices)
    ])  # fmt: skip
    hands: list[list[npt.NDArray[np.int64]]] = [[] for _ in devices]
    for column, part in enumerate(parts.tolist()):
        members, wanted = ids[part_of == part], shares[:, column]
        if allocation == "shared":
            for hand, device, share in zip(hands, devices, wanted.tolist(), strict=True):
                if share:
                    n = int(np.ceil(share * len(members)))
                    rng = streams("skew", device, str(part))
                    hand.append(members if n == len(members) else rng.permutation(members)[:n])
            continue
        holders = np.flatnonzero(wanted)
        if len(members) < len(holders):
            raise UserError(
                f"allocation: disjoint needs a sample for each of {len(holders)} devices that have "
                f"part {part}, which has {len(members)} in the stream pool"
            )
        if len(holders):
            shuffled = streams("allocation", str(part)).permutation(members)
            ideal = np.cumsum(wanted[holders]) / wanted[holders].sum()
            ends = np.rint(ideal * (len(members) - len(holders))).astype(np.int64)
            ends += np.arange(1, len(holders) + 1)  # one for each
            for seat, dealt in zip(holders.tolist(), np.split(shuffled, ends[:-1]), strict=True):
                hands[seat].append(dealt)
    return {
        device: np.sort(np.concatenate(hand)) for device, hand in zip(devices, hands, strict=True)
    }
