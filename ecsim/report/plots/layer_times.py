"""What each layer of a network takes, a panel per network, strategies side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ecsim.report.layers import by_network, layer_times
from ecsim.report.material import Material, Series
from ecsim.report.numbers import prefix
from ecsim.report.plots.drawing import Drawn, Options, legend
from ecsim.report.style import line_styles

if TYPE_CHECKING:
    import pandas as pd

_HATCHES = ("", "///", "...", "\\\\\\", "xxx", "---", "+++")


def draw(material: Material, options: Options) -> Drawn:
    """Draw a bar per layer and strategy; above a bar, its time over the first one's."""
    import pandas as pd

    series = material.series()
    networks = by_network((one.label, _mean(one)) for one in series)
    strategy = {one.label: one.strategy for one in series}
    size, sign = prefix(max(t["seconds"].max() for network in networks for _, t in network))
    most = max(len(network) for network in networks)
    styles = list(line_styles([str(i) for i in range(most)]).values())
    figure = Figure((options.width_in, 0.5 + 1.35 * len(networks)), layout="constrained")
    panels = figure.subplots(len(networks), 1, squeeze=False)[:, 0]
    rows = []
    for axes, network in zip(panels, networks, strict=True):
        width = 0.8 / len(network)
        layers = network[0][1]["layer"].tolist()
        first_s = network[0][1]["seconds"].to_numpy()
        for i, (label, table) in enumerate(network):
            x = np.arange(len(layers)) - 0.4 + (i + 0.5) * width
            seconds = table["seconds"].to_numpy()
            axes.bar(
                x, seconds / size, width, facecolor=styles[i].color, edgecolor="white",
                linewidth=0.3, hatch=_HATCHES[i % len(_HATCHES)], label=label,
            )  # fmt: skip
            share = seconds.sum() / first_s.sum()
            rows.append(
                table.assign(
                    series=label, strategy=strategy[label], ratio=seconds / first_s, total=share
                )
            )
            if i:
                for at, value, ratio in zip(x, seconds / size, seconds / first_s, strict=True):
                    about = {"fontsize": 5, "ha": "center", "va": "bottom", "rotation": 90}
                    axes.text(at, value, f" {100 * ratio:.0f}", **about)
        axes.set_xticks(range(len(layers)), layers, rotation=90, fontsize=6)
        axes.set_ylabel(f"time ({sign}s)")
        axes.grid(visible=False, axis="x")
        axes.margins(x=0.01, y=0.18)
        whole = network[0][0]
        if len(network) == 2:
            label, table = network[1]
            axes.set_title(f"{label} takes {100 * _share(table, first_s):.1f} % of {whole}")
        else:
            axes.set_title(f"numbers: % of {whole}" if len(network) > 1 else whole)
    names = _roles([[label for label, _ in network] for network in networks])
    handles = [
        Patch(label=name, facecolor=styles[i].color, edgecolor="white", hatch=_HATCHES[i % 7])
        for i, name in enumerate(names)
    ]
    legend(figure, handles, options, handlelength=2.0, handleheight=1.2)
    return Drawn(figure, pd.concat(rows, ignore_index=True))


def _mean(series: Series) -> pd.DataFrame:
    """Give the layers' mean times over the runs of a series."""
    tables = [layer_times(run, series.strategy) for run in series.runs]
    mean = sum(table["seconds"].to_numpy() for table in tables) / len(tables)
    return tables[0].assign(seconds=mean)


def _share(table: pd.DataFrame, first_s: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    return float(table["seconds"].sum() / first_s.sum())


def _roles(labels: list[list[str]]) -> list[str]:
    """Name the bars of all panels: what the labels at one place have in common at their end."""
    names = []
    for i in range(max(map(len, labels))):
        column = [panel[i] for panel in labels if i < len(panel)]
        ends = [label.split("_")[-1] for label in column]
        one = column[0] if len(set(column)) == 1 else ends[0]
        names.append(one if len(set(ends)) == 1 else ", ".join(dict.fromkeys(column)))
    return names
