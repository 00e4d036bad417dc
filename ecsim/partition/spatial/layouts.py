"""Who computes which part of a spatial split: clusters of devices, their shares and their work.

A part belongs to a cluster. Inside a cluster its segments run on the master, or are spread over
the cluster's devices in their order (layer splitting, AFLKD section 5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

from ecsim.core.types import Work
from ecsim.partition.spatial.plans import Fetch, Grouping, SplitPlan, plan_split
from ecsim.partition.spatial.shares import Split
from ecsim.partition.spatial.stacks import Stack

Scheme = Literal["aflkd", "modnn", "blocks", "deepthings"]
Inside = Literal["master", "chain", "pipeline"]
Seconds = Callable[[str, Work], float]  # of work on a device
Transfer = Callable[[str, str, float], float]  # of so many bytes from a device to another

GROUPING: dict[Scheme, tuple[Grouping, bool]] = {
    "aflkd": ("layers", False),
    "modnn": ("convolutions", False),
    "blocks": ("blocks", False),
    "deepthings": ("fused", True),
}
"""How each scheme groups layers, and whether parts are given all they need of the input."""


@dataclass(frozen=True)
class Layout:
    """A split plan on devices.

    Attributes
    ----------
    hosts : the device that runs each segment of each part; (parts, segments).
    value_bytes : size of one value on a link.
    """

    plan: SplitPlan
    hosts: tuple[tuple[str, ...], ...]
    value_bytes: float

    @cached_property
    def works(self) -> tuple[tuple[Work, ...], ...]:
        """The work of each segment of each part; its `steps` are 0: calls are not counted in it."""
        n = range(self.plan.n_parts)
        return tuple(tuple(part_work(self.plan, i, part) for i in self._segments) for part in n)

    @cached_property
    def leaving(self) -> tuple[tuple[tuple[Fetch, ...], ...], ...]:
        """What each part sends before each segment; (segments, parts)."""
        return tuple(
            tuple(
                tuple(fetch for fetch in segment.fetches if fetch.source == part)
                for part in range(self.plan.n_parts)
            )
            for segment in self.plan.segments
        )

    @cached_property
    def awaited(self) -> tuple[tuple[int, ...], ...]:
        """How many messages each part waits for before each segment; (segments, parts)."""
        return tuple(
            tuple(sum(f.part == part for f in segment.fetches) for part in range(self.plan.n_parts))
            for segment in self.plan.segments
        )

    @cached_property
    def sizes(self) -> tuple[tuple[float, ...], ...]:
        """Bytes of the tile of its output that each part owns after each segment."""
        plan = self.plan
        return tuple(
            tuple(
                plan.stack.shapes[segment.stop].channels * tile.pixels * self.value_bytes
                for tile in segment.outputs
            )
            for segment in plan.segments
        )

    @property
    def _segments(self) -> range:
        return range(len(self.plan.segments))


def part_work(plan: SplitPlan, index: int, part: int) -> Work:
    """Give the work of a part in a segment; nothing where it has no rows there.

    Bytes moved, as for whole networks in float32: weights once, and inputs and outputs of layers.
    """
    segment, stack = plan.segments[index], plan.stack
    if not segment.outputs[part].pixels:
        return Work(steps=0)
    tiles = (*segment.inputs[part], segment.outputs[part])
    values = 0
    for i, (before, after) in enumerate(pairwise(tiles), segment.start):
        values += stack.layers[i].parameters
        if stack.layers[i].moves:
            values += stack.shapes[i].channels * before.pixels
            values += stack.layers[i].channels * after.pixels
    return Work(macs=float(segment.macs[part]), bytes_moved=4.0 * values, steps=0)


def lay_out(
    stack: Stack,
    clusters: Sequence[Sequence[str]],
    weights: Sequence[float],
    scheme: Scheme,
    value_bytes: float,
    grid: tuple[int, int] | None = None,
    inside: Inside = "master",
    seconds: Seconds | None = None,
    transfer: Transfer | None = None,
) -> Layout:
    """Give the layout of a stack over clusters; a share that rounds to nothing drops out.

    Parameters
    ----------
    weights : share of each cluster; equal where `grid` gives rows and columns of tiles.
    seconds, transfer : what decides how layers are placed inside a cluster; only asked there.
    """
    grouping, overlapped = GROUPING[scheme]
    split = Split.equal(*grid) if grid else Split(tuple(weights), empty="drop")
    plan = plan_split(stack, split, grouping, overlapped=overlapped)
    masters = tuple((cluster[0],) * len(plan.segments) for cluster in clusters)
    layout = Layout(plan, masters, value_bytes)
    if inside == "master" or all(len(cluster) == 1 for cluster in clusters):
        return layout
    from ecsim.partition.spatial.inside import place_segments

    assert seconds is not None and transfer is not None
    hosts = tuple(
        place_segments(layout, part, cluster, inside, seconds, transfer)
        for part, cluster in enumerate(clusters)
    )
    return Layout(plan, hosts, value_bytes)
