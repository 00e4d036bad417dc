"""A metric over two swept keys: a panel per strategy, a field per combination of values."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ecsim.core.errors import UserError
from ecsim.core.types import FloatArray
from ecsim.report.keys import in_order, short
from ecsim.report.material import Material
from ecsim.report.plots.drawing import Drawn, Options
from ecsim.report.quantities import quantity

_MOST_VALUES = 24
_MOST_WITH_NUMBERS = 10  # values of the horizontal key, per panel of one column's width
_PER_ROW = {False: 1, True: 3}


def draw(material: Material, options: Options) -> Drawn:
    """Draw the mean of the metric over the cells of each field; hatched: not stable."""
    metrics = options.metrics or ("accuracy",)
    if len(metrics) != 1:
        raise UserError(f"heatmap: expected one metric, got {len(metrics)}")
    keys = tuple(map(material.checked_key, options.keys)) or material.keys[:2]
    if len(keys) != 2:
        found = ", ".join(material.keys) or "none"
        raise UserError(f"heatmap: expected two swept keys, got {len(keys)} (that vary: {found})")
    (metric,) = metrics
    shown = quantity(metric)
    frame = material.means(metrics, keys)
    across, down = (in_order(frame[key]) for key in keys)
    for key, values in zip(keys, (across, down), strict=True):
        if len(values) > _MOST_VALUES:
            raise UserError(
                f"heatmap: expected at most {_MOST_VALUES} values of {key}, got {len(values)}; "
                "for cells that form no grid use pareto or parallel"
            )
    scale, unit = shown.scale(frame[metric])
    known = frame[metric].dropna() * scale
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    labels = list(dict.fromkeys(frame["strategy"]))
    per_row = min(len(labels), _PER_ROW[options.is_double])
    n_rows = -(-len(labels) // per_row)
    tall = max(1.2, min(2.6, 0.28 * len(down) + 0.4)) + 0.25
    figure = Figure((options.width_in, n_rows * tall + 0.45), layout="constrained")
    grid = figure.subplots(n_rows, per_row, squeeze=False, sharex=True, sharey=True)
    for i, axes in enumerate(grid.flat):
        axes.grid(visible=False)
        if i >= len(labels):
            axes.set_axis_off()
            continue
        field = np.full((len(down), len(across)), np.nan)
        for row in frame[frame["strategy"] == labels[i]].to_dict("records"):
            at = down.index(row[keys[1]]), across.index(row[keys[0]])
            field[at] = row[metric] * scale
            if row["n_unstable"]:
                corner = (at[1] - 0.5, at[0] - 0.5)
                about: Any = {"fill": False, "hatch": "////", "edgecolor": "white", "linewidth": 0}
                axes.add_patch(Rectangle(corner, 1, 1, **about))
        image = axes.imshow(
            field, cmap="cividis", vmin=low, vmax=high, aspect="auto", origin="lower"
        )
        if len(across) * per_row <= _MOST_WITH_NUMBERS * (1 + options.is_double):
            _write_numbers(axes, field, low, high)
        axes.set_title(labels[i])
        axes.set_xticks(range(len(across)), [short(v) for v in across])
        axes.set_yticks(range(len(down)), [short(v) for v in down])
        needed_in = 0.06 * len(across) * (1 + max(len(short(v)) for v in across))
        if needed_in > (options.width_in - 1.0) / per_row:
            axes.tick_params(axis="x", labelrotation=60)
    is_unstable = bool(frame["n_unstable"].any())
    note = "\nhatched: a queue cannot keep up" if is_unstable else ""
    figure.supxlabel(keys[0] + note, fontsize=8)
    figure.supylabel(keys[1], fontsize=8)
    bar = figure.colorbar(image, ax=grid, pad=0.02, aspect=25)
    bar.set_label(shown.label(unit))
    bar.outline.set_linewidth(0.4)
    return Drawn(figure, frame)


def _write_numbers(axes: Axes, field: FloatArray, low: float, high: float) -> None:
    """Write each field's value into it, dark on light and light on dark."""
    digits = max(0, 2 - int(np.floor(np.log10(max(abs(low), abs(high), 1e-12)))))
    for (row, column), value in np.ndenumerate(field):
        if not np.isnan(value):
            is_dark = value < (low + high) / 2
            axes.text(
                column, row, f"{value:.{digits}f}", ha="center", va="center", fontsize=6,
                color="white" if is_dark else "black",
            )  # fmt: skip
