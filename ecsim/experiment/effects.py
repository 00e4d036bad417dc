"""What a claim measures in one replicate: a difference, a ratio or a slope."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecsim.experiment.cells import Cell
from ecsim.records.metrics import in_phase, metric
from ecsim.records.store import Run
from ecsim.scenario.claims import Claim


@dataclass(frozen=True, slots=True)
class Sides:
    """A comparison within one replicate: two runs, which may be one, and a label in each.

    `other` is None where there is no other side.
    """

    cell: Cell
    arm: str
    other: Cell | None = None
    against: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """Where a claim looks in one replicate.

    Attributes
    ----------
    sides : what is compared.
    elsewhere : the same comparison for an interaction or a main effect; None without one.
    x : value of the key `over` in SI units, NaN where there is none.
    """

    sides: Sides
    elsewhere: Sides | None = None
    x: float = math.nan

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The runs that are needed."""
        of = (self.sides, self.elsewhere)
        both = (cell for sides in of if sides for cell in (sides.cell, sides.other))
        return tuple(cell for cell in both if cell is not None)


def effect_of(claim: Claim, points: Sequence[Point], runs: Mapping[str, Run]) -> float:
    """Give the effect of one replicate; NaN without its runs, or where a metric has no value.

    Parameters
    ----------
    points : one, or one for each value of the key `over`.
    runs : finished runs by name.
    """
    if any(cell.name not in runs for point in points for cell in point.cells):
        return math.nan
    xs: list[float] = []
    ys: list[float] = []
    for point in points:
        found = _contrasts(claim, point.sides, runs)
        if point.elsewhere is not None:
            there = _contrasts(claim, point.elsewhere, runs)
            sign, share = (-1.0, 1.0) if claim.interaction is not None else (1.0, 0.5)
            found = {x: share * (y + sign * there.get(x, math.nan)) for x, y in found.items()}
        for x, y in found.items():
            xs.append(x if claim.over == "phase" else point.x)
            ys.append(y)
    if claim.over is None:
        return ys[0]
    return slope(xs, ys)


def _contrasts(claim: Claim, sides: Sides, runs: Mapping[str, Run]) -> dict[float, float]:
    """Give what the claim measures on two sides: by phase where it is over phases, or once."""
    ours = _values(claim, runs[sides.cell.name], sides.arm, claim.metric)
    if claim.against is not None:
        assert sides.other is not None, "a claim against another arm has its run"
        metric = claim.against.metric or claim.metric
        theirs = _values(claim, runs[sides.other.name], sides.against, metric)
    elif claim.value is not None:
        theirs = dict.fromkeys(ours, claim.value)
    else:
        return ours
    return {x: _contrast(claim, y, theirs.get(x, math.nan)) for x, y in ours.items()}


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


def _values(claim: Claim, run: Run, label: str, path: str | None) -> dict[float, float]:
    """Give a metric by phase where the claim is over phases, else one value, at 0."""
    path = path or ""
    if path.startswith("latency") and not run.summary[label].get("stable", True):
        return {0.0: math.nan}  # the mean of a queue that grows is that of how long one looks
    if claim.over != "phase" and claim.phase is None:
        return {0.0: metric(run.summary, label, path)}
    found = {float(of["phase"]): in_phase(of, path) for of in run.summary[label]["phases"]}
    if claim.phase is not None:
        return {0.0: found.get(float(claim.phase), math.nan)}
    return found
