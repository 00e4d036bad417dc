"""Accuracy of edge and cloud together over the upload rate, by score, phase by phase."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ecsim.core.errors import UserError
from ecsim.core.types import FloatArray
from ecsim.records.certainty import accuracy_over_cur
from ecsim.records.store import Run
from ecsim.report.material import Material, Series
from ecsim.report.plots.drawing import Drawn, Options, legend
from ecsim.report.plots.window import mean_of
from ecsim.report.style import GREY, line_styles

_GRID = np.linspace(0.0, 1.0, 41)
_MOST_PANELS = 6


def draw(material: Material, options: Options) -> Drawn:
    """Draw a panel per phase: the version served at its end, on the whole probe pool, frozen.

    The least sure samples of a score are uploaded first. The grey line is that of uploads at
    random, which ends at the cloud's accuracy. Strategies without a score, or without a cloud that
    was asked, are left out.
    """
    import pandas as pd

    series = material.series()
    styles = line_styles([one.label for one in series])
    found = {
        (one.label, phase): mean_of(np.array(curves))
        for one in series
        for phase, curves in _curves(one).items()
    }
    if not found:
        raise UserError("routing: no strategy has a score and a cloud that was asked")
    phases = sorted({phase for _, phase in found})[:_MOST_PANELS]
    shown = [one for one in series if any((one.label, phase) in found for phase in phases)]
    n_columns = min(len(phases), 4 if options.is_double else 2)
    n_rows = -(-len(phases) // n_columns)
    figure = Figure((options.width_in, 0.6 + 1.7 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    for axes in panels.ravel()[len(phases) :]:
        axes.set_axis_off()
    frames = []
    for axes, phase in zip(panels.ravel(), phases, strict=False):
        for one in shown:
            if (one.label, phase) not in found:
                continue
            mean, low, high = found[one.label, phase]
            line = styles[one.label].line() | {"markevery": 8}
            axes.plot(100 * _GRID, 100 * mean, **line)
            if len(one.runs) > 1:
                band = (100 * low.clip(0, 1), 100 * high.clip(0, 1))
                color = styles[one.label].color
                axes.fill_between(100 * _GRID, *band, color=color, alpha=0.15, linewidth=0)
            ends = 100 * mean[[0, -1]]
            axes.plot([0, 100], ends, color=GREY, linewidth=0.8, linestyle="--", zorder=1)
            about = {"phase": phase, "series": one.label, "strategy": one.strategy}
            values = {"cur": _GRID, "accuracy": mean, "low": low, "high": high}
            random = mean[0] + _GRID * (mean[-1] - mean[0])
            frames.append(
                pd.DataFrame(about | {"n_runs": len(one.runs)} | values | {"random": random})
            )
        axes.set_title(f"end of phase {phase}")
    for axes in panels[-1]:
        axes.set_xlabel("CUR (%)")
    for row in panels:
        row[0].set_ylabel("probe accuracy (%)")
    handles = [Line2D([], [], label=one.label, **styles[one.label].line()) for one in shown]
    handles.append(Line2D([], [], label="at random", color=GREY, linewidth=0.8, linestyle="--"))
    legend(figure, handles, options)
    return Drawn(figure, pd.concat(frames, ignore_index=True))


def _curves(series: Series) -> dict[int, list[FloatArray]]:
    """Give the accuracy on `_GRID` of each replicate, by phase; means over the run's devices."""
    found: dict[int, list[FloatArray]] = {}
    for run in series.runs:
        for phase, of_devices in _of_run(run, series.strategy).items():
            found.setdefault(phase, []).append(np.mean(of_devices, axis=0))
    return found


def _of_run(run: Run, strategy: str) -> dict[int, list[FloatArray]]:
    probed = run.probe[(run.probe["strategy"] == strategy).to_numpy()]
    bins = run.probe_bins[(run.probe_bins["strategy"] == strategy).to_numpy()]
    by_key = {key: accuracy_over_cur(rows) for key, rows in bins.groupby(bins["key"].astype(str))}
    found: dict[int, list[FloatArray]] = {}
    last = max((int(of["phase"]) for of in run.summary[strategy]["phases"]), default=-1)
    ordered = probed.sort_values(["version", "t_s"], kind="stable")
    for phase in range(last + 1):
        until = ordered[(ordered["phase"] <= phase).to_numpy()]
        for key in until.groupby("device", observed=True)["key"].last().astype(str):
            cur, accuracy = by_key.get(key, (np.zeros(0), np.zeros(0)))
            if len(cur):
                found.setdefault(phase, []).append(np.interp(_GRID, cur, accuracy))
    return found
