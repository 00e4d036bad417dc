"""Differences between strategies or between scenarios, with what can be said of them.

Replicates are paired where both sides met the same world (common random numbers), and independent
samples otherwise. All tests of one comparison are corrected together (Holm).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ecsim.core.errors import UserError
from ecsim.experiment.worlds import Group, gather, is_same_world, latency_differences
from ecsim.records import shown
from ecsim.records.metrics import MAIN_METRICS, METRICS, is_energy, metric
from ecsim.records.opening import Result
from ecsim.records.store import ROOT, Run
from ecsim.scenario.messages import not_one_of
from ecsim.statistics.interval import (
    LEVEL,
    Floats,
    Interval,
    batches,
    differences,
    t_interval,
    welch,
)
from ecsim.statistics.tests import (
    effect_size,
    effect_size_unpaired,
    holm,
    sign_flip,
    smallest_detectable,
    smallest_detectable_unpaired,
    t_test,
    welch_test,
)

if TYPE_CHECKING:
    import pandas as pd

Source: TypeAlias = str | Path | Result
CONFIRMING = 6
"""Replicates from which on a difference is more than an indication."""

N_BATCHES = 20


@dataclass(frozen=True)
class Comparison:
    """Differences a - b.

    Attributes
    ----------
    rows : one per pair of arms and metric, as plain data; what does not exist is NaN.
    level : confidence of the intervals.
    notes : what a reader has to know, such as why replicates are not paired.
    """

    rows: Sequence[Mapping[str, Any]] = field(repr=False)
    level: float
    notes: Sequence[str] = ()

    @cached_property
    def table(self) -> pd.DataFrame:
        """The rows as a frame."""
        import pandas as pd

        return pd.DataFrame([dict(row) for row in self.rows])

    def to_json(self) -> str:
        """Write it as strict JSON: what does not exist is null, nothing is rounded."""
        rows = [{key: _strict(value) for key, value in row.items()} for row in self.rows]
        about = {"kind": "comparison", "level": self.level, "notes": list(self.notes), "rows": rows}
        return json.dumps(about, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def _repr_html_(self) -> str:
        heads = ("metric", "a", "b", "n", "a - b", "low", "high", "p (Holm)", "finding")
        rows = [
            (shown.named(row["metric"]), row["a"], row["b"], row["n"],
             *(shown.number(row[name], row["metric"]) for name in ("difference", "low", "high")),
             row["p_holm"], row["finding"])
            for row in self.rows
        ]  # fmt: skip
        title = f"Differences a - b with {100 * self.level:g} % intervals"
        return shown.table(title, heads, rows, *self.notes)


def compare(
    *sources: Source,
    arms: Sequence[str] = (),
    metrics: Sequence[str] = (),
    level: float = LEVEL,
    out: str | Path = ROOT,
) -> Comparison:
    """Compare strategies of one scenario, or one strategy in several scenarios.

    Runs of one scenario that differ in their seeds alone are its replicates. With one scenario the
    first arm is compared with each other one; with several, the first scenario with each other
    one, label by label.

    Parameters
    ----------
    sources : runs, replications, sweeps: opened, their folders, or the beginnings of their names.
    arms : labels; by default all.
    metrics : dotted paths; by default the main ones that have a value.
    level : confidence of intervals and tests.
    out : folder of the results, for names.

    Raises
    ------
    UserError : nothing to compare, an unknown arm or metric, or energies of two boundaries.
    """
    groups = gather(sources, out)
    for path in metrics:
        if path not in METRICS:
            raise UserError(f"--metrics: {not_one_of(path, METRICS, 'metric')}")
    rows, notes = [], []
    for a, b in _pairs(groups, arms):
        reason = "" if a[0] is b[0] else _why_unpaired(a[0], b[0])
        if reason:
            notes.append(f"{_named(a, groups)} and {_named(b, groups)} are not paired: {reason}")
        boundaries = [_only(arm).manifest["boundary"] for arm in (a, b)]
        for path in metrics or MAIN_METRICS:
            if is_energy(path) and boundaries[0] != boundaries[1]:
                mixed = f"energies of two boundaries, {' and '.join(boundaries)}, are not compared"
                if metrics:
                    raise UserError(f"--metrics: {path}: {mixed}")
                notes.append(f"{_named(a, groups)} and {_named(b, groups)}: {mixed}")
                continue
            row = _row(a, b, path, level, is_paired=not reason)
            if metrics or row["n"]:
                rows.append({"metric": path, "a": _named(a, groups), "b": _named(b, groups)} | row)
    if any(row["method"] == "batch means" for row in rows):
        notes.append(
            "batch means speak of this run's world alone, and take its latency as stationary"
        )
    if any(row["n"] == 1 for row in rows):
        notes.append("one replicate has no interval: give the scenario replications")
    corrected = holm([row["p"] for row in rows])
    return Comparison(
        [
            {**row, "p_holm": p, "finding": _finding(row, p, level)}
            for row, p in zip(rows, corrected, strict=True)
        ],
        level,
        tuple(notes),
    )


Arm: TypeAlias = tuple[Group, str]


def _pairs(groups: Sequence[Group], arms: Sequence[str]) -> list[tuple[Arm, Arm]]:
    labels = list(dict.fromkeys(label for group in groups for label in group.labels))
    for arm in arms:
        if arm not in labels:
            raise UserError(f"--arms: {not_one_of(arm, labels, 'label')}")
    first, *others = groups
    chosen = list(arms) or labels
    if not others:
        if len(chosen) < 2:
            raise UserError(
                f"expected two strategies or two scenarios to compare, got {chosen[0]!r} of "
                f"{first.name} alone"
            )
        return [((first, chosen[0]), (first, label)) for label in chosen[1:]]
    pairs = [
        ((first, label), (other, label))
        for other in others
        for label in chosen
        if label in first.labels and label in other.labels
    ]
    if not pairs:
        raise UserError(f"expected a strategy that all have, got {', '.join(labels)}")
    return pairs


def _named(arm: Arm, groups: Sequence[Group]) -> str:
    return arm[1] if len(groups) == 1 else f"{arm[0].name}:{arm[1]}"


def _why_unpaired(a: Group, b: Group) -> str:
    """Say why the replicates are no pairs; empty where they are."""
    if set(a.by_seeds) != set(b.by_seeds):
        return "their seeds differ"
    if not all(is_same_world(a.by_seeds[seeds], b.by_seeds[seeds]) for seeds in a.by_seeds):
        return "their tasks differ"
    return ""


def _row(a: Arm, b: Arm, path: str, level: float, *, is_paired: bool) -> dict[str, Any]:
    x, y = _values(a, path), _values(b, path)
    if is_paired:
        known = np.isfinite(x) & np.isfinite(y)
        x, y = x[known], y[known]
    else:
        x, y = x[np.isfinite(x)], y[np.isfinite(y)]
    row = _no_figures(x, y)
    if not row["n"]:
        return row
    if path.startswith("latency") and not (_is_stable(a) and _is_stable(b)):
        return row | {"method": "unstable"}
    if not is_paired:
        return row | _figures(welch(x, y, level), welch_test(x, y)) | {
            "effect_size": effect_size_unpaired(x, y),
            "smallest_detectable": smallest_detectable_unpaired(x, y, level),
        }  # fmt: skip
    d = differences(x, y)
    if len(d) == 1 and path == "latency_s.mean":
        series = latency_differences(_only(a), a[1], _only(b), b[1])
        if len(series) >= 10 * N_BATCHES:
            means = batches(series, N_BATCHES)
            found = _figures(t_interval(means, level, "batch means"), t_test(means))
            return row | found | {"smallest_detectable": smallest_detectable(means, level)}
    found = _figures(t_interval(d, level, "paired t"), t_test(d))
    return row | found | {
        "p_sign_flip": sign_flip(d) if len(d) > 1 else math.nan,
        "effect_size": effect_size(d),
        "smallest_detectable": smallest_detectable(d, level),
    }  # fmt: skip


def _values(arm: Arm, path: str) -> Floats:
    """Give a metric of every replicate, in the order of the seeds."""
    by_seeds = arm[0].by_seeds
    return np.array([metric(by_seeds[key].summary, arm[1], path) for key in sorted(by_seeds)])


def _only(arm: Arm) -> Run:
    return next(iter(arm[0].by_seeds.values()))


def _no_figures(x: Floats, y: Floats) -> dict[str, Any]:
    of = {"mean_a": x, "mean_b": y}
    means = {key: float(values.mean()) if len(values) else math.nan for key, values in of.items()}
    nothing = (
        "low", "high", "p", "p_holm", "p_sign_flip", "effect_size", "smallest_detectable",
    )  # fmt: skip
    return {
        "n": min(len(x), len(y)),
        **means,
        "difference": means["mean_a"] - means["mean_b"],
        **dict.fromkeys(nothing, math.nan),
        "method": "none",
    }


def _figures(interval: Interval, p: float) -> dict[str, Any]:
    return {
        "difference": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "p": p,
        "method": interval.method if interval.n > 1 else "none",
    }


def _is_stable(arm: Arm) -> bool:
    return all(run.summary[arm[1]].get("stable", True) for run in arm[0].by_seeds.values())


def _finding(row: Mapping[str, Any], p: float, level: float) -> str:
    """Say in words what the figures allow."""
    if row["method"] == "unstable":
        return "a queue cannot keep up: no mean latency to compare"
    if not row["n"]:
        return "no value on one side"
    if math.isnan(p):
        return "one replicate: a difference without an interval"
    if p > 1 - level:
        return "no detectable difference"
    side = "a is higher" if row["difference"] > 0 else "a is lower"
    if row["method"] == "batch means":
        return f"{side} in this run"
    if row["n"] < CONFIRMING:
        return f"{side} (n = {row['n']}: an indication)"
    return side


def _strict(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
