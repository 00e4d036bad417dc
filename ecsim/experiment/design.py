"""From the axes of a sweep to the settings of its cells."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ecsim.core.randomness import Streams
from ecsim.scenario.sweep import SAMPLED, Axis, Range, Sweep
from ecsim.scenario.tree import Path

_DIGITS = 12  # of a computed value: 0.3 rather than 0.30000000000000004


@dataclass(frozen=True, slots=True)
class Value:
    """A value as a scenario's author would write it, and where in the file it comes from."""

    plain: Any
    path: Path


Setting = dict[str, Value]


def settings(sweep: Sweep, path: Path = ("sweep",)) -> Iterator[Setting]:
    """Give the setting of each cell, the last axis varying fastest.

    Parameters
    ----------
    path : of the section in its file.
    """
    axes = [
        list(_of_axis(axis, (*path, "axes", number), number))
        for number, axis in enumerate(sweep.axes)
    ]
    for parts in itertools.product(*axes):
        yield {key: value for part in parts for key, value in part.items()}


def n_settings(sweep: Sweep) -> int:
    """Give the number of settings without making them."""
    return math.prod(_length(axis) for axis in sweep.axes)


def _length(axis: Axis) -> int:
    if axis.n is not None:
        return axis.n
    if axis.kind == "list":
        return len(axis.cells)
    lengths = [of.n or 0 if isinstance(of, Range) else len(of) for of in axis.keys.values()]
    return lengths[0] if axis.kind == "zip" else math.prod(lengths)


def _of_axis(axis: Axis, path: Path, number: int) -> Iterable[Setting]:
    if axis.kind == "list":
        return [
            {key: Value(plain, (*path, "cells", i, key)) for key, plain in cell.items()}
            for i, cell in enumerate(axis.cells)
        ]
    if axis.kind in SAMPLED:
        assert axis.n is not None, "the schema asks for it"
        rng = Streams(axis.seed)("sweep", axis.kind, str(number))
        points = sample(axis.kind, axis.n, len(axis.keys), rng)
        return [drawn(axis.keys, point, (*path, "keys")) for point in points.tolist()]
    columns = [
        [(key, value) for value in _spaced(of, (*path, "keys", key))]
        for key, of in axis.keys.items()
    ]
    rows = zip(*columns, strict=True) if axis.kind == "zip" else itertools.product(*columns)
    return [dict(row) for row in rows]


def sample(kind: str, n: int, d: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Give `n` points of the unit cube [0, 1) in `d` dimensions, (n, d).

    Of a Sobol sequence (scrambled) the first `n` points of the next power of two are taken.
    """
    from scipy.stats import qmc

    points: npt.NDArray[np.float64]
    if kind == "random":
        return rng.random((n, d))
    if kind == "latin_hypercube":
        points = qmc.LatinHypercube(d, seed=rng).random(n)
    else:
        points = qmc.Sobol(d, seed=rng).random_base2(math.ceil(math.log2(n)))[:n]
    return points


def drawn(keys: Mapping[str, Range | Sequence[Any]], point: Sequence[float], path: Path) -> Setting:
    """Give the setting at a point of the unit cube: values of ranges, or entries of lists."""
    return {
        key: Value(at(of, share), (*path, key))
        if isinstance(of, Range)
        else Value(of[i := int(share * len(of))], (*path, key, i))
        for (key, of), share in zip(keys.items(), point, strict=True)
    }


def _spaced(of: Range | Sequence[Any], path: Path) -> list[Value]:
    if not isinstance(of, Range):
        return [Value(plain, (*path, i)) for i, plain in enumerate(of)]
    assert of.n is not None, "the schema asks for it"
    return [Value(at(of, i / max(of.n - 1, 1)), path) for i in range(of.n)]


def at(of: Range, share: float) -> Any:
    """Give the value at a share in [0, 1] of a range, with its unit.

    Values are whole numbers where the range says so, or where both ends are and it needs no
    rounding.
    """
    low, high, unit = of.ends
    if of.scale == "log":
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    else:
        value = low + share * (high - low)
    value = float(f"{value:.{_DIGITS}g}")
    are_whole = isinstance(of.start, int) and isinstance(of.end, int) and value.is_integer()
    number = round(value) if of.whole or are_whole else value
    return f"{number!r} {unit}" if unit else number
