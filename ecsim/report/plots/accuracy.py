"""Stream accuracy and cloud-upload rate over simulated time, with the phases' borders."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ecsim.core.types import FloatArray
from ecsim.report.material import Material, Series
from ecsim.report.plots.drawing import Drawn, Options, legend
from ecsim.report.plots.window import bins, in_window, mean_of
from ecsim.report.style import GREY, LineStyle, line_styles

_PANELS = (("accuracy", "correct", "stream accuracy (%)"), ("cur", "uploaded", "uploaded (%)"))


def draw(material: Material, options: Options) -> Drawn:
    """Draw both over time, each point over the tasks of one bin; a band where replicated."""
    import pandas as pd

    series = material.series()
    run = series[0].runs[0]
    edges_s, borders_s = bins(run, float(run.manifest["warmup_s"]))
    styles = line_styles([one.label for one in series])
    n_rows = 1 if options.is_double else 2
    figure = Figure((options.width_in, 2.7 if n_rows == 1 else 3.9), layout="constrained")
    panels = figure.subplots(n_rows, 3 - n_rows, sharex=True).ravel()
    frames, handles = [], []
    for one in series:
        columns = {
            "series": one.label, "strategy": one.strategy, "t_start_s": edges_s[:-1],
            "t_end_s": edges_s[1:], "n_runs": len(one.runs),
        }  # fmt: skip
        for axes, (name, column, _) in zip(panels, _PANELS, strict=True):
            curve = mean_of(_shares(one, column, edges_s))
            _draw_curve(axes, edges_s, curve, styles[one.label], len(one.runs) > 1)
            columns |= dict(zip((name, f"{name} low", f"{name} high"), curve, strict=True))
        frames.append(pd.DataFrame(columns))
        handles.append(Line2D([], [], label=one.label, **styles[one.label].line()))
    for axes, (_, _, text) in zip(panels, _PANELS, strict=True):
        for border_s in borders_s:
            axes.axvline(border_s, color=GREY, linewidth=0.8, linestyle=":", zorder=1)
        axes.set_xlim(edges_s[0], edges_s[-1])
        axes.set_ylim(-4, 104)
        axes.set_ylabel(text)
        axes.grid(visible=False, axis="x")
    for axes in panels[n_rows - 1 :]:
        axes.set_xlabel("time (s), dotted: a phase begins" if len(borders_s) else "time (s)")
    legend(figure, handles, options)
    return Drawn(figure, pd.concat(frames, ignore_index=True))


def _draw_curve(
    axes: Axes,
    edges_s: FloatArray,
    curve: tuple[FloatArray, FloatArray, FloatArray],
    style: LineStyle,
    is_replicated: bool,
) -> None:
    middle_s = (edges_s[:-1] + edges_s[1:]) / 2
    line = style.line() | {"markersize": 0.6 * style.size, "markeredgewidth": 0.8}
    axes.plot(middle_s, 100 * curve[0], **line)
    if is_replicated:
        low, high = (100 * bound.clip(0, 1) for bound in curve[1:])
        axes.fill_between(middle_s, low, high, color=style.color, alpha=0.2, linewidth=0)


def _shares(series: Series, column: str, edges_s: FloatArray) -> FloatArray:
    """Give the share of tasks for which a column is true, shape (replicates, bins)."""
    found = []
    for run in series.runs:
        tasks = in_window(run, series.strategy, column)
        t_s = tasks["t_arrive_s"].to_numpy(float)
        n, _ = np.histogram(t_s, edges_s)
        n_true, _ = np.histogram(t_s, edges_s, weights=tasks[column].to_numpy(float))
        found.append(np.divide(n_true, n, out=np.full(len(n), np.nan), where=n > 0))
    return np.array(found)
