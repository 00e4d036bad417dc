"""A split of a chain of layers into parts: what each computes and what it fetches from the others.

The chain is cut into segments. At the end of a segment every part owns a tile of the feature map;
before a segment it fetches from the owners what its tile needs beyond its own: the halo. Within a
segment nothing is exchanged: parts compute what overlaps several times (redundant MACs). Segments
of one layer each are the layer-wise split, one segment is the fused one, and anything between is
possible.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

from ecsim.partition.spatial.shares import Split, Tile
from ecsim.partition.spatial.stacks import Stack

Grouping = Literal["layers", "convolutions", "blocks", "fused"]


class Fetch(NamedTuple):
    """A rectangle that a part needs before a segment and another part owns."""

    part: int
    source: int
    tile: Tile
    elements: int


@dataclass(frozen=True, slots=True)
class Segment:
    """Layers that every part computes without exchange.

    Attributes
    ----------
    start, stop : index of its first layer, and of the one after its last.
    owned : tile of its input that each part owns.
    inputs : for each part what it needs of the input of each layer; (parts, layers).
    outputs : tile of its output that each part computes.
    fetches : what is exchanged before it, by part and source.
    macs : of each part.
    """

    start: int
    stop: int
    owned: tuple[Tile, ...]
    inputs: tuple[tuple[Tile, ...], ...]
    outputs: tuple[Tile, ...]
    fetches: tuple[Fetch, ...]
    macs: tuple[int, ...]


@dataclass(frozen=True)
class SplitPlan:
    """A stack, split: `scatter` is what each part is given of the network's input, at first.

    Where the whole input lies at one node (`overlapped`), each part is given all that its first
    segment needs and that segment has no fetches; else only its own tile.
    """

    stack: Stack
    segments: tuple[Segment, ...]
    scatter: tuple[Tile, ...]

    @property
    def n_parts(self) -> int:
        """Number of parts, those without work included."""
        return len(self.scatter)

    @property
    def macs(self) -> int:
        """MACs of all parts together."""
        return sum(sum(segment.macs) for segment in self.segments)

    @property
    def redundant_macs(self) -> int:
        """MACs that are computed more than once."""
        return self.macs - self.stack.macs

    @property
    def halo_elements(self) -> int:
        """Values that parts fetch from each other, in all segments."""
        return sum(f.elements for segment in self.segments for f in segment.fetches)

    @property
    def gather(self) -> tuple[int, ...]:
        """Values of the last feature map that each part has computed."""
        channels = self.stack.shapes[-1].channels
        return tuple(channels * tile.pixels for tile in self.segments[-1].outputs)

    def halo_bytes(self, bytes_per_element: int = 4) -> int:
        """Bytes of all halos."""
        return self.halo_elements * bytes_per_element


def plan_split(
    stack: Stack,
    split: Split,
    grouping: Grouping | Sequence[int] = "layers",
    *,
    overlapped: bool = False,
) -> SplitPlan:
    """Give the split of a stack in which every segment's output is cut by the same rule.

    Parameters
    ----------
    grouping : "layers", each a segment; "convolutions": with the pointwise layers behind it, so
        that halos are exchanged after the activation that feeds the next one; "blocks", each
        ending in a pooling; "fused", all in one; or the index of each segment's first layer,
        beginning with 0.
    overlapped : whether parts are given all that they need of the input at first.

    Raises
    ------
    ValueError : for a rule that leaves a part empty (unless it drops them), or segments that do
        not begin with layer 0 or do not increase.
    """
    starts = _starts(stack, grouping)
    segments = []
    owned = split.tiles(*stack.shapes[0][1:])
    scatter = owned
    for start, stop in zip(starts, (*starts[1:], len(stack.layers)), strict=True):
        outputs = split.tiles(*stack.shapes[stop][1:])
        inputs = tuple(_needs(stack, split, start, stop, tile) for tile in outputs)
        if start == 0 and overlapped:
            scatter = owned = tuple(needed[0] for needed in inputs)
        channels = stack.shapes[start].channels
        fetches = tuple(_fetches(channels, owned, [needed[0] for needed in inputs]))
        macs = tuple(
            _macs(stack, start, needed, tile) for needed, tile in zip(inputs, outputs, strict=True)
        )
        if start == 0 and overlapped:
            fetches = ()
        segments.append(Segment(start, stop, owned, inputs, outputs, fetches, macs))
        owned = outputs
    return SplitPlan(stack, tuple(segments), scatter)


def _starts(stack: Stack, grouping: Grouping | Sequence[int]) -> tuple[int, ...]:
    """Give the index of each segment's first layer."""
    layers = stack.layers
    if grouping == "fused":
        return (0,)
    if grouping == "layers":
        return tuple(range(len(layers)))
    if grouping == "convolutions":
        return tuple(i for i, layer in enumerate(layers) if i == 0 or layer.kind != "pointwise")
    if grouping == "blocks":
        return tuple(i for i in range(len(layers)) if i == 0 or layers[i - 1].kind == "pool")
    starts = tuple(int(start) for start in grouping)
    ordered = all(a < b for a, b in pairwise(starts))
    if not starts or starts[0] != 0 or not ordered or starts[-1] >= len(layers):
        raise ValueError(
            f"expected increasing indices of layers from 0 to {len(layers) - 1}, the first 0, "
            f"got {list(starts)}"
        )
    return starts


def _needs(stack: Stack, split: Split, start: int, stop: int, tile: Tile) -> tuple[Tile, ...]:
    """Give what a tile of the output needs of each layer's input, from the first on.

    Where columns are not split, rows are moved whole.
    """
    found = []
    for i in reversed(range(start, stop)):
        layer, (_, height, width) = stack.layers[i], stack.shapes[i]
        if tile.pixels:
            cols = layer.cols.needs(tile.cols, width) if len(split.cols) > 1 else range(width)
            tile = Tile(layer.rows.needs(tile.rows, height), cols)
        found.append(tile)
    return tuple(reversed(found))


def _macs(stack: Stack, start: int, needed: tuple[Tile, ...], output: Tile) -> int:
    made = (*needed[1:], output)
    return sum(
        stack.layer_macs(start + i, len(tile.rows), len(tile.cols)) for i, tile in enumerate(made)
    )


def _fetches(channels: int, owned: Sequence[Tile], needed: Sequence[Tile]) -> Iterable[Fetch]:
    for part, wanted in enumerate(needed):
        for source, has in enumerate(owned):
            shared = wanted & has
            if source != part and shared.pixels:
                yield Fetch(part, source, shared, channels * shared.pixels)
