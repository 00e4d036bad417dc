"""The survey's closed formulas for the overlap of spatial partitions, as printed.

Source: survey of end-edge-cloud co-inference, section III.B. They count the *padded* input, of
side s m + f - s for an output of side m, and hold for f >= s and even division only: n divides m
(vertical), sqrt(n) is whole and divides m (grid); erratum 4. Outside that they raise `ValueError`;
`plans.plan_split` gives exact rows for any split.
"""

from __future__ import annotations

from math import isqrt


def vertical_overlap(m: int, f: int, s: int, n: int) -> int:
    """Give the input values per channel that several of n vertical strips need, each time counted.

    Parameters
    ----------
    m, f, s, n : side of the output, side of the kernel, stride, number of parts.

    >>> vertical_overlap(16, 3, 1, 4)
    108
    """
    _check(m, f, s, n, n)
    return (s * m + f - s) * (s * m + n * (f - s)) - (s * m + f - s) ** 2


def grid_overlap(m: int, f: int, s: int, n: int) -> int:
    """Give the input values per channel that several tiles of a square grid of n need.

    >>> grid_overlap(16, 3, 1, 4)
    76
    """
    root = isqrt(n)
    if root * root != n:
        raise ValueError(f"the grid formula holds for square numbers of parts, got {n}")
    _check(m, f, s, n, root)
    return int((s * m + root * (f - s)) ** 2 - (s * m + f - s) ** 2)


def _check(m: int, f: int, s: int, n: int, along: int) -> None:
    if min(m, f, s, n) < 1 or f < s or m % along:
        raise ValueError(
            f"the survey's formulas hold for f >= s >= 1 and outputs that divide evenly, got "
            f"m={m}, f={f}, s={s}, n={n}"
        )
