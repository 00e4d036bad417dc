"""Share of all tasks of the window that were answered within a time.

Tasks without an answer count: the curve of a strategy that drops tasks ends below 1.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ecsim.core.types import FloatArray
from ecsim.records.store import Run
from ecsim.report.keys import number_of
from ecsim.report.material import Material
from ecsim.report.plots.drawing import Drawn, Options, legend
from ecsim.report.plots.window import in_window, mean_of, name_of
from ecsim.report.quantities import quantity
from ecsim.report.style import GREY, line_styles

_N_POINTS = 200


def draw(material: Material, options: Options) -> Drawn:
    """Draw one curve per strategy; with replicates their mean and its interval as a band."""
    import pandas as pd

    series = material.series()
    found = {one.label: [_latency_s(run, one.strategy) for run in one.runs] for one in series}
    answered = np.concatenate([part for parts in found.values() for part, _ in parts])
    low, high = (answered.min(), answered.max()) if len(answered) else (1e-3, 1.0)
    grid = np.geomspace(max(low, 1e-6) * 0.9, max(high, 2e-6) * 1.1, _N_POINTS)
    scale, unit = quantity("latency_s.mean").scale([float(grid[-1])])
    figure = Figure((options.width_in, min(2.9, 0.82 * options.width_in)), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    styles = line_styles([one.label for one in series])
    frames, handles = [], []
    for one in series:
        style = styles[one.label]
        mean, below, above = mean_of(np.array([_shares(s, n, grid) for s, n in found[one.label]]))
        axes.plot(grid * scale, mean, **style.line() | {"markevery": (0.05, 0.22)})
        if len(one.runs) > 1:
            band = (below.clip(0, 1), above.clip(0, 1))
            axes.fill_between(grid * scale, *band, color=style.color, alpha=0.2, linewidth=0)
        handles.append(Line2D([], [], label=name_of(one), **style.line()))
        about = {"series": one.label, "strategy": one.strategy, "n_runs": len(one.runs)}
        curve = {"latency_s": grid, "share_answered": mean, "low": below, "high": above}
        frames.append(pd.DataFrame(about | curve))
    deadline_s = _deadline_s(material)
    if deadline_s is not None:
        axes.axvline(deadline_s * scale, color=GREY, linestyle="--", linewidth=0.8, zorder=1)
        axes.text(deadline_s * scale, 0.02, " deadline", color="#555555", fontsize=7)
    axes.set_ylim(0, 1.03)
    axes.set_xlabel(f"latency ({unit}, log scale)")
    axes.set_ylabel("share of tasks answered")
    legend(figure, handles, options)
    return Drawn(figure, pd.concat(frames, ignore_index=True))


def _latency_s(run: Run, strategy: str) -> tuple[FloatArray, int]:
    """Give the latencies of answered tasks, sorted, and the number of all tasks."""
    tasks = in_window(run, strategy, "latency_s")
    latency_s = tasks["latency_s"].to_numpy(float)
    return np.sort(latency_s[~np.isnan(latency_s)]), len(tasks)


def _shares(latency_s: FloatArray, n: int, grid: FloatArray) -> FloatArray:
    return np.searchsorted(latency_s, grid, side="right") / max(n, 1)


def _deadline_s(material: Material) -> float | None:
    """Give the deadline, where all runs have the same."""
    found = {part.run.manifest["scenario"]["stream"].get("deadline") for part in material.parts}
    return number_of(found.pop()) if len(found) == 1 else None
