"""Length and use of the busiest engines and links over time, of runs that were read regularly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ecsim.core.errors import UserError
from ecsim.report.material import Material, Series
from ecsim.report.plots.drawing import Drawn, Options, legend
from ecsim.report.style import line_styles

if TYPE_CHECKING:
    import pandas as pd

_N_QUEUES = 4
_MOST_ROWS = 6
_PANELS = (("n_jobs", 1.0, "jobs in it"), ("utilisation", 100.0, "use (%)"))


def draw(material: Material, options: Options) -> Drawn:
    """Draw a row of two panels per strategy; a line per queue. Of replicates, the first is shown.

    Raises `UserError` for more strategies than fit a page; `StoreError` where nothing was read.
    """
    import pandas as pd

    series = material.series()
    if len(series) > _MOST_ROWS:
        raise UserError(
            f"queues-over-time: expected at most {_MOST_ROWS} strategies, got {len(series)}; "
            "choose with --arms LABEL,... or --where KEY=VALUE"
        )
    frame = pd.concat([_rows(one) for one in series], ignore_index=True)
    busiest = frame.groupby("queue")["utilisation"].mean().sort_values(ascending=False)
    queues = list(busiest.index[:_N_QUEUES])
    frame = frame[frame["queue"].isin(queues)].reset_index(drop=True)
    styles = line_styles(queues)
    figure = Figure((options.width_in, 0.75 + 1.05 * len(series)), layout="constrained")
    grid = figure.subplots(len(series), 2, sharex=True, sharey="col", squeeze=False)
    for panels, one in zip(grid, series, strict=True):
        mine = frame[frame["series"] == one.label]
        for axes, (column, scale, _) in zip(panels, _PANELS, strict=True):
            for queue in queues:
                line = mine[mine["queue"] == queue]
                style = styles[queue].line() | {
                    "markevery": (0.1, 0.4),
                    "linewidth": 0.9,
                    "markersize": 3.5,
                }
                axes.plot(line["t_s"], line[column].astype(float) * scale, **style)
            axes.set_ylim(bottom=0)
        panels[1].set_ylim(0, 105)
        panels[0].set_title(one.label, loc="left")
    for axes, (_, _, text) in zip(grid[0], _PANELS, strict=True):
        axes.set_title(text, loc="right")
    for axes in grid[-1]:
        axes.set_xlabel("time (s)")
    legend(figure, [Line2D([], [], label=q, **styles[q].line()) for q in queues], options)
    return Drawn(figure, frame)


def _rows(series: Series) -> pd.DataFrame:
    rows = series.runs[0].series
    is_queue = (rows["strategy"] == series.strategy).to_numpy() & rows["n_jobs"].notna().to_numpy()
    mine = rows[is_queue]
    return mine[["t_s", "n_jobs", "utilisation"]].assign(
        series=series.label,
        strategy=series.strategy,
        queue=mine["place"].astype(str) + " " + mine["component"].astype(str),
    )
