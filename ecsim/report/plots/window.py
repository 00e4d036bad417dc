"""The tasks and times that a figure looks at, and means over replicates with their intervals."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ecsim.core.types import FloatArray
from ecsim.records.store import Run
from ecsim.report.keys import number_of
from ecsim.report.material import Series
from ecsim.statistics.interval import t_interval

if TYPE_CHECKING:
    import pandas as pd

_N_BINS = 24  # about as many; whole ones per phase


def in_window(run: Run, strategy: str, *names: str) -> pd.DataFrame:
    """Give columns of a strategy's tasks that arrived in [warm-up, horizon], and these times."""
    tasks = run.some_tasks("t_arrive_s", *names, strategy=strategy)
    is_inside = tasks["t_arrive_s"].between(run.manifest["warmup_s"], run.manifest["horizon_s"])
    return tasks[is_inside.to_numpy()]


def bins(run: Run, start_s: float) -> tuple[FloatArray, FloatArray]:
    """Give the borders of bins of time, which never cross a phase's, and those of phases inside."""
    end_s = float(run.manifest["horizon_s"])
    phase_s = number_of(run.manifest["scenario"]["stream"]["phase"]) or end_s
    phases = run.some_tasks("phase")["phase"]
    last = int(phases.max()) if len(phases) else 0
    borders_s = [t for t in (phase_s * i for i in range(1, last + 1)) if start_s < t < end_s]
    whole = [start_s, *borders_s, end_s]
    n_each = max(1, round(_N_BINS / (len(whole) - 1)))
    parts = [np.linspace(a, b, n_each + 1)[:-1] for a, b in pairwise(whole)]
    return np.concatenate([*parts, [end_s]]), np.array(borders_s)


def mean_of(curves: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give mean, low and high at each point of replicated curves, shape (replicates, points).

    A replicate without a value at a point (NaN) does not count there. The bounds are NaN where
    fewer than two have one.
    """
    found = np.full((3, curves.shape[1]), np.nan)
    for i, column in enumerate(curves.T):
        known = column[~np.isnan(column)]
        if len(known):
            interval = t_interval(known)
            found[:, i] = interval.mean, interval.low, interval.high
    return found[0], found[1], found[2]


def name_of(series: Series) -> str:
    """Give the legend's text: the label, and whether a queue could not keep up."""
    n = sum(not run.summary[series.strategy].get("stable", True) for run in series.runs)
    if not n:
        return series.label
    return f"{series.label} (unstable)" if n == len(series.runs) else f"{series.label} ({n} unst.)"
