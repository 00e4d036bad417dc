"""Metrics over the phases of the schedule, a panel each: what changes as classes are learned."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ecsim.core.errors import UserError
from ecsim.core.types import FloatArray
from ecsim.records.metrics import in_phase
from ecsim.report.material import Material, Series
from ecsim.report.plots.drawing import Drawn, Options, legend
from ecsim.report.plots.window import mean_of, name_of
from ecsim.report.quantities import quantity
from ecsim.report.style import line_styles

DEFAULT = ("probe_system_accuracy.last", "cur")
_MOST_PANELS = 6
_WIDE = 100.0  # a panel whose lines differ by more than this factor has a logarithmic axis


def draw(material: Material, options: Options) -> Drawn:
    """Draw a line per series; with replicates its mean, and the interval as a band.

    Of a figure of versions (``probe_accuracy.last``) it is that of the version served at the end of
    each phase. A panel begins at 0 where it shows joules, seconds or bytes.
    """
    import pandas as pd

    metrics = options.metrics or DEFAULT
    if len(metrics) > _MOST_PANELS:
        raise UserError(f"phases: expected at most {_MOST_PANELS} metrics, got {len(metrics)}")
    series = material.series()
    styles = line_styles([one.label for one in series])
    n_columns = min(len(metrics), 3 if options.is_double else 1)
    n_rows = -(-len(metrics) // n_columns)
    figure = Figure((options.width_in, 0.5 + 1.75 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, sharex=True, squeeze=False)
    for axes in panels.ravel()[len(metrics) :]:
        axes.set_axis_off()
    frames = []
    for axes, metric in zip(panels.ravel(), metrics, strict=False):
        shown = quantity(metric)
        curves = {one.label: mean_of(_by_phase(one, metric)) for one in series}
        means = np.concatenate([mean for mean, _, _ in curves.values()])
        scale, unit = shown.scale(means)
        for one in series:
            mean, low, high = curves[one.label]
            phases, style = np.arange(len(mean)), styles[one.label]
            axes.plot(phases, scale * mean, **style.line())
            if len(one.runs) > 1:
                inside = (0.0, scale) if shown.is_share else (-np.inf, np.inf)
                band = tuple((scale * bound).clip(*inside) for bound in (low, high))
                axes.fill_between(phases, *band, color=style.color, alpha=0.2, linewidth=0)
            columns = {
                "metric": metric, "series": one.label, "strategy": one.strategy,
                "n_runs": len(one.runs), "phase": phases, "mean": mean, "low": low, "high": high,
            }  # fmt: skip
            frames.append(pd.DataFrame(columns))
        name = shown.name.removesuffix(" last").removesuffix(", last version")
        axes.set_ylabel(_wrapped(f"{name} ({unit})" if unit else name))
        means = means[means > 0]
        if shown.unit and len(means) and means.max() > _WIDE * means.min():
            axes.set_yscale("log")
        elif shown.unit:
            axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in panels.ravel()[: len(metrics)][-n_columns:]:  # nothing is drawn below them
        axes.set_xlabel("phase")
        axes.tick_params(labelbottom=True)
    handles = [Line2D([], [], label=name_of(one), **styles[one.label].line()) for one in series]
    legend(figure, handles, options)
    return Drawn(figure, pd.concat(frames, ignore_index=True))


def _by_phase(series: Series, metric: str) -> FloatArray:
    """Give the metric of each replicate by phase, shape (replicates, phases)."""
    of_runs = [run.summary[series.strategy]["phases"] for run in series.runs]
    n_phases = 1 + max((int(of["phase"]) for phases in of_runs for of in phases), default=-1)
    found = np.full((len(of_runs), n_phases), np.nan)
    for row, phases in zip(found, of_runs, strict=True):
        for of in phases:
            row[int(of["phase"])] = in_phase(of, metric)
    return found


def _wrapped(label: str) -> str:
    """Break a long axis label before its middle word."""
    words = label.split(" ")
    half = len(words) // 2
    return label if len(label) < 22 else " ".join(words[:half]) + "\n" + " ".join(words[half:])
