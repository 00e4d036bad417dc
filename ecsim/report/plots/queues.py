"""How much the busiest engines and links are used, and how many jobs wait at them on average."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ecsim.report.material import Material, Series
from ecsim.report.plots.drawing import Drawn, Options, legend
from ecsim.report.style import line_styles
from ecsim.statistics.interval import t_interval

if TYPE_CHECKING:
    import pandas as pd

_N_QUEUES = 6
_LEAST = 0.01  # what is used less by every strategy is not shown
_HATCHES = ("", "///", "...", "\\\\\\", "xxx", "---", "+++")
_PANELS = (("utilisation", 100.0, "use (%)"), ("mean_waiting", 1.0, "jobs waiting, mean"))


def draw(material: Material, options: Options) -> Drawn:
    """Draw bars for the queues that any strategy keeps busiest; * marks what cannot keep up."""
    import pandas as pd

    series = material.series()
    frame = pd.concat([_rows(one) for one in series], ignore_index=True)
    busiest = frame.groupby("queue")["utilisation"].max().sort_values(ascending=False)
    queues = list(busiest[busiest >= min(_LEAST, busiest.max())].index[:_N_QUEUES])
    frame = frame[frame["queue"].isin(queues)].reset_index(drop=True)
    styles = line_styles([one.label for one in series])
    height = 0.8 / len(series)
    tall = 1.0 + len(queues) * max(0.25, 0.11 * len(series))
    figure = Figure((options.width_in, tall), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (column, scale, text) in zip(panels, _PANELS, strict=True):
        for i, one in enumerate(series):
            mine = frame[frame["series"] == one.label].set_index("queue").reindex(queues)
            y = np.arange(len(queues)) - 0.4 + (i + 0.5) * height
            x = mine[column].to_numpy(float) * scale
            bounds = np.abs(mine[[f"{column} low", f"{column} high"]].to_numpy(float).T * scale - x)
            axes.barh(
                y, x, height, facecolor=styles[one.label].color, edgecolor="white", linewidth=0.3,
                hatch=_HATCHES[i % len(_HATCHES)],
            )  # fmt: skip
            if len(one.runs) > 1:
                axes.errorbar(x, y, xerr=bounds, color="black", linestyle="", elinewidth=0.7)
            unstable = mine["n_unstable"].fillna(0).to_numpy(float)
            for at, value, n_unstable in zip(y, x, unstable, strict=True):
                if n_unstable:
                    about = {"va": "center", "textcoords": "offset points", "fontsize": 7}
                    axes.annotate("*", (value, at), (2, -1.5), **about)
        axes.set_xlabel(text)
        axes.margins(x=0.12)
        axes.set_xlim(left=0)
        axes.grid(visible=False, axis="y")
    panels[0].set_yticks(range(len(queues)), queues)
    panels[0].invert_yaxis()
    handles = [
        Patch(label=label, facecolor=style.color, edgecolor="white", hatch=_HATCHES[i % 7])
        for i, (label, style) in enumerate(styles.items())
    ]
    if (frame["n_unstable"] > 0).any():
        handles.append(Patch(label="* cannot keep up", facecolor="none"))
    legend(figure, handles, options, handlelength=2.0, handleheight=1.2)
    return Drawn(figure, frame)


def _rows(series: Series) -> pd.DataFrame:
    """Give one row per queue: the means over the runs, with intervals where there are several."""
    import pandas as pd

    frames = []
    for run in series.runs:
        mine = run.queues[(run.queues["strategy"] == series.strategy).to_numpy()]
        name = mine["place"].astype(str) + " " + mine["component"].astype(str)
        is_unstable = [reason != "" for reason in mine["unstable_because"].astype(str)]
        columns = ["offered_load", "utilisation", "mean_waiting"]
        frames.append(mine[columns].assign(queue=name, n_unstable=is_unstable))
    rows = []
    for queue, found in pd.concat(frames).groupby("queue", sort=True):
        row = {"series": series.label, "strategy": series.strategy, "queue": queue}
        row |= {"n": len(found), "n_unstable": int(found["n_unstable"].sum())}
        for column in ("offered_load", "utilisation", "mean_waiting"):
            interval = t_interval(found[column].to_numpy(float))
            row |= {column: interval.mean, f"{column} low": interval.low}
            row |= {f"{column} high": interval.high}
        rows.append(row)
    return pd.DataFrame(rows)
