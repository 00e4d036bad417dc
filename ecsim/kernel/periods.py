"""When something is out: periods that are drawn from a distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import gamma, inf

import numpy as np


def drawn(
    up: Callable[[], float], down: Callable[[], float], start_s: float = 0.0
) -> Iterator[tuple[float, float]]:
    """Give endless periods of outage: up for a drawn time, then down for a drawn time.

    >>> from itertools import islice
    >>> list(islice(drawn(lambda: 10.0, lambda: 2.0), 2))
    [(10.0, 12.0), (22.0, 24.0)]
    """
    t = start_s
    while True:
        begin = t + up()
        t = begin + down()
        yield begin, t


def sampler(
    rng: np.random.Generator, mean_s: float, distribution: str = "exponential", shape: float = 1.0
) -> Callable[[], float]:
    """Give a function that draws times in s.

    Parameters
    ----------
    rng : their named stream.
    mean_s : their mean, > 0.
    distribution : "exponential", "weibull" (of this shape, > 0) or "deterministic".

    Raises
    ------
    ValueError
        For an unknown distribution, or a mean or shape that is not positive and finite.
    """
    if not (0.0 < mean_s < inf and 0.0 < shape < inf):
        raise ValueError(f"expected a mean and a shape > 0, got {mean_s} and {shape}")
    if distribution == "deterministic":
        return lambda: mean_s
    if distribution == "exponential":
        return lambda: float(rng.exponential(mean_s))
    if distribution == "weibull":
        scale = mean_s / gamma(1.0 + 1.0 / shape)
        return lambda: scale * float(rng.weibull(shape))
    raise ValueError(f"unknown distribution {distribution!r}")
