"""How rows and columns are shared out, equally or in proportion to speeds, and the tiles of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple


class Tile(NamedTuple):
    """A rectangle of a feature map, all channels."""

    rows: range
    cols: range

    @property
    def pixels(self) -> int:
        """Positions in it; 0 where it is empty."""
        return len(self.rows) * len(self.cols)

    def __and__(self, other: Tile) -> Tile:
        """Give what both have in common."""
        return Tile(common(self.rows, other.rows), common(self.cols, other.cols))


def common(a: range, b: range) -> range:
    """Give the rows that both intervals have."""
    start, stop = max(a.start, b.start), min(a.stop, b.stop)
    return range(start, stop) if start < stop else range(0)


def apportion(size: int, weights: Sequence[float]) -> tuple[int, ...]:
    """Share `size` rows out in proportion to weights, by the largest remainder.

    Of equal remainders the earlier part gets the row, so that equal weights give the first
    ``size % n`` parts one row more. Exact: no float decides. Raises `ValueError` for weights that
    are negative, not finite, or all 0.

    >>> apportion(16, [1, 2, 4]), apportion(5, [1, 1, 1])
    ((2, 5, 9), (2, 2, 1))
    """
    try:
        exact = [Fraction(weight) for weight in weights]
    except (OverflowError, ValueError):
        raise ValueError(f"expected finite weights, got {list(weights)}") from None
    total = sum(exact)
    if not exact or min(exact) < 0 or total == 0:
        raise ValueError(f"expected weights >= 0, not all 0, got {list(weights)}")
    shares = [size * weight / total for weight in exact]
    counts = [int(share) for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda i: (counts[i] - shares[i], i))
    for i in by_remainder[: size - sum(counts)]:
        counts[i] += 1
    return tuple(counts)


@dataclass(frozen=True, slots=True)
class Split:
    """A rule that cuts feature maps of any size into tiles.

    Parameters
    ----------
    rows, cols : weights of the parts along each axis; the tiles are numbered row by row.
    empty : what to do where there are fewer rows than parts, or a share rounds to nothing:
        "refuse" raises `ValueError`; "drop" leaves that part without work at that layer.
    """

    rows: tuple[float, ...]
    cols: tuple[float, ...] = (1.0,)
    empty: Literal["refuse", "drop"] = "refuse"

    @classmethod
    def equal(cls, rows: int, cols: int = 1, empty: Literal["refuse", "drop"] = "refuse") -> Split:
        """Give the rule of so many equal parts along each axis."""
        return cls((1.0,) * rows, (1.0,) * cols, empty)

    @property
    def n_parts(self) -> int:
        """Number of tiles."""
        return len(self.rows) * len(self.cols)

    def tiles(self, height: int, width: int) -> tuple[Tile, ...]:
        """Give each part's tile of a feature map; they are disjoint and cover it.

        >>> [tile.rows for tile in Split.equal(2).tiles(5, 8)]
        [range(0, 3), range(3, 5)]
        """
        rows, cols = self._ranges(height, self.rows), self._ranges(width, self.cols)
        return tuple(Tile(r, c) for r in rows for c in cols)

    def _ranges(self, size: int, weights: tuple[float, ...]) -> list[range]:
        counts = apportion(size, weights)
        if self.empty == "refuse" and 0 in counts:
            raise ValueError(
                f"{size} rows or columns in {len(counts)} parts leave part {counts.index(0)} "
                "empty; use fewer parts, or let empty parts drop out"
            )
        stops = [sum(counts[: i + 1]) for i in range(len(counts))]
        return [range(stop - count, stop) for stop, count in zip(stops, counts, strict=True)]
