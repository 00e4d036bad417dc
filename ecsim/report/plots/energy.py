"""Marginal energy per task by stage: where the joules of a strategy go."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ecsim.report.material import Material
from ecsim.report.plots.drawing import Drawn, Options, legend
from ecsim.report.quantities import quantity
from ecsim.report.style import area

_TOTAL = "energy_per_task_j.total"
_PARTS = ("end", "edge", "up", "cloud", "down", "wasted", "update")
_NAMES = {"up": "uplink", "down": "downlink", "update": "updates"}


def draw(material: Material, options: Options) -> Drawn:
    """Draw a bar per strategy, its pieces by stage, a whisker for the interval of its total."""
    import pandas as pd

    series = material.series()
    pieces = {part: f"energy_per_task_j.{part}" for part in _PARTS}
    metrics = [_TOTAL, *pieces.values(), "idle_energy_per_task_j"]
    material.check_boundary(metrics)
    rows = [{"series": s.label, "strategy": s.strategy} | s.means(metrics) for s in series]
    frame = pd.DataFrame(rows)
    shown = [part for part, metric in pieces.items() if (frame[metric].fillna(0) > 0).any()]
    scale, unit = quantity(_TOTAL).scale(frame[_TOTAL])
    figure = Figure((options.width_in, 1.0 + 0.3 * len(series)), layout="constrained")
    axes = figure.add_subplot()
    left = [0.0] * len(series)
    for part in shown:
        widths = (frame[pieces[part]].fillna(0.0) * scale).tolist()
        axes.barh(range(len(series)), widths, 0.7, left, **area(part))
        left = [start + width for start, width in zip(left, widths, strict=True)]
    for i, row in enumerate(rows):
        total, low, high = (
            row[name] * scale for name in (_TOTAL, f"{_TOTAL} low", f"{_TOTAL} high")
        )
        if low == low:  # NaN: no interval
            error = [[total - low], [high - total]]
            axes.errorbar(total, i, xerr=error, color="black", capsize=2, elinewidth=0.8)
        if total == total:
            at = high if low == low else total
            axes.text(at, i, f"  {total:.3g}", va="center", fontsize=7)
    axes.set_yticks(range(len(series)), [one.label for one in series])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.14)
    axes.set_xlim(left=0)
    axes.set_xlabel(f"marginal energy per task ({unit})")
    handles = [Patch(label=_NAMES.get(part, part), **area(part)) for part in shown]
    legend(figure, handles, options, handlelength=2.0, handleheight=1.3)
    return Drawn(figure, frame)
