"""Two metrics against each other: a point per strategy (and cell of a sweep), and their front."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ecsim.core.errors import UserError
from ecsim.core.types import FloatArray
from ecsim.report.material import Material
from ecsim.report.plots.drawing import Drawn, Options, legend
from ecsim.report.quantities import quantity
from ecsim.report.style import GREY, line_styles

DEFAULT = ("energy_per_task_j.total", "accuracy")
_MANY = 20  # with more points, smaller markers
_WIDE = 100.0  # a metric that spans more than this factor has a logarithmic axis
_FRONT: Any = {"color": GREY, "linestyle": (0, (4, 2)), "linewidth": 0.8}


def draw(material: Material, options: Options) -> Drawn:
    """Draw the points; filled: on the front. A strategy that is not stable is never on it."""
    metrics = options.metrics or DEFAULT
    if len(metrics) != 2:
        raise UserError(f"pareto: expected two metrics, got {len(metrics)}")
    frame = material.means(metrics)
    x, y = (quantity(metric) for metric in metrics)
    values = [frame[metric].to_numpy(float) for metric in metrics]
    costs = [-v if q.more_is_better else v for q, v in zip((x, y), values, strict=True)]
    costs[0] = np.where(frame["n_unstable"].to_numpy() > 0, np.nan, costs[0])
    frame["on_front"] = front(costs[0], costs[1])

    figure = Figure((options.width_in, min(2.9, 0.82 * options.width_in)), layout="constrained")
    axes = figure.add_subplot()
    scales = [q.scale(v) for q, v in zip((x, y), values, strict=True)]
    styles = line_styles(list(material.strategies))
    size = 0.85 if len(frame) <= _MANY else 0.5
    for label, style in styles.items():
        line = style.line() | {"linestyle": "", "markersize": size * style.size}
        for row in frame[frame["strategy"] == label].to_dict("records"):
            at, ends = [], []
            for metric, (scale, _) in zip(metrics, scales, strict=True):
                at.append(row[metric] * scale)
                bounds = (row[f"{metric} low"], row[f"{metric} high"])
                ends.append([[abs(row[metric] - bound) * scale] for bound in bounds])
            fill = {"markerfacecolor": style.color} if row["on_front"] else {}
            axes.errorbar(
                at[0], at[1], xerr=ends[0], yerr=ends[1], elinewidth=0.7, capsize=1.5,
                alpha=0.35 if row["n_unstable"] else 1.0, zorder=3 if row["on_front"] else 2,
                **line | fill,
            )  # fmt: skip
    best = frame[frame["on_front"]].sort_values(metrics[0], kind="stable")
    steps = [best[metric] * scale for metric, (scale, _) in zip(metrics, scales, strict=True)]
    # what is attained at a cost stays attained at higher ones
    axes.plot(
        *steps, zorder=1, drawstyle="steps-pre" if x.more_is_better else "steps-post", **_FRONT
    )
    known = values[0][~np.isnan(values[0])]
    is_log = len(known) > 0 and known.min() > 0 and known.max() > _WIDE * known.min()
    if is_log:
        axes.set_xscale("log")
    axes.set_xlabel(x.label(scales[0][1]) + (", log scale" if is_log else ""))
    axes.set_ylabel(y.label(scales[1][1]))
    axes.margins(0.08)
    handles = [
        Line2D([], [], label=label, **style.line() | {"linestyle": ""})
        for label, style in styles.items()
    ]
    filled: Any = {"marker": "o", "markersize": 5, "markerfacecolor": GREY}
    handles.append(Line2D([], [], label="front (filled)", **_FRONT | filled))
    if frame["n_unstable"].any():
        faded: Any = {"color": "black", "marker": "o", "linestyle": "", "alpha": 0.35}
        handles.append(Line2D([], [], label="not stable", markerfacecolor="none", **faded))
    legend(figure, handles, options, handlelength=2.0)
    return Drawn(figure, frame)


def front(a: FloatArray, b: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell which points no other point beats; less is better in both. NaN is never on the front.

    A point beats another when it is at least as good in both and better in one.
    """
    on_front = np.zeros(len(a), dtype=bool)
    best, last = np.inf, -1
    for i in np.lexsort((b, a)).tolist():
        if np.isnan(a[i]) or np.isnan(b[i]):
            continue
        is_twin = last >= 0 and a[i] == a[last] and b[i] == b[last]
        if b[i] < best or (is_twin and on_front[last]):
            on_front[i] = True
            best = b[i]
        last = i
    return on_front
