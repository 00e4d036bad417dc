"""What a claim measures in one replicate: a difference, a ratio or a slope."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecsim.experiment.cells import Cell
from ecsim.records.metrics import flatten, metric
from ecsim.records.store import Run
from ecsim.scenario.claims import Claim


@dataclass(frozen=True, slots=True)
class Point:
    """Where a claim looks in one replicate: the run of its arm, and that of the other side.

    `x` is the value of the key `over` in SI units, NaN where there is none.
    """

    cell: Cell
    other: Cell | None
    x: float = math.nan


def effect_of(claim: Claim, points: Sequence[Point], runs: Mapping[str, Run]) -> float:
    """Give the effect of one replicate; NaN where a metric has no value or means nothing.

    Parameters
    ----------
    points : one, or one for each value of the key `over`.
    runs : finished runs by name.
    """
    has_other = claim.against is not None or claim.value is not None
    xs: list[float] = []
    ys: list[float] = []
    for point in points:
        ours = _values(claim, runs[point.cell.name], claim.arm or "")
        if claim.against is not None:
            assert point.other is not None, "a claim against another arm has its run"
            theirs = _values(claim, runs[point.other.name], claim.against.arm)
        else:
            theirs = {} if claim.value is None else dict.fromkeys(ours, claim.value)
        for x, y in ours.items():
            xs.append(x if claim.over == "phase" else point.x)
            ys.append(_contrast(claim, y, theirs.get(x, math.nan)) if has_other else y)
    if claim.over is None:
        return ys[0]
    return slope(xs, ys)


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Give the least-squares slope over the points that have a value; NaN for fewer than two.

    >>> slope([0.0, 1.0, 2.0], [1.0, 3.0, 5.0])
    2.0
    """
    x, y = np.asarray(xs, float), np.asarray(ys, float)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < 2 or np.ptp(x) == 0:
        return math.nan
    away = x - x.mean()
    return float(away @ (y - y.mean()) / (away @ away))


def _contrast(claim: Claim, ours: float, theirs: float) -> float:
    if claim.effect == "difference":
        return ours - theirs
    return ours / theirs - 1 if theirs else math.nan


def _values(claim: Claim, run: Run, label: str) -> dict[float, float]:
    """Give the metric by phase where the claim is over phases, else one value."""
    path = claim.metric or ""
    if path.startswith("latency") and not run.summary[label].get("stable", True):
        return {0.0: math.nan}  # the mean of a queue that grows is that of how long one looks
    if claim.over != "phase":
        return {0.0: metric(run.summary, label, path)}
    found = {}
    for phase in run.summary[label]["phases"]:
        value = dict(flatten(phase)).get(path.removesuffix(".last"))
        found[float(phase["phase"])] = math.nan if value is None else float(value)
    return found
