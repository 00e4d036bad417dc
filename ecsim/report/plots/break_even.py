"""From which rate of a link on a split network is faster: its layers' time over the whole one's.

On an idle system the ratio is ``a + b / rate``; where it is 1 the split breaks even. Both constants
are fitted, so that the rate is exact where nothing queues, and the residual tells where not.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ecsim.core.errors import UserError
from ecsim.report.keys import Key, in_order, short
from ecsim.report.layers import by_network, layer_times
from ecsim.report.material import Material
from ecsim.report.numbers import prefix
from ecsim.report.plots.drawing import Drawn, Options, legend
from ecsim.report.style import BLACK, GREY, line_styles

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED = 0.7
"""AFLKD, section 6.4: split over two clusters, convolutions take "approximately 70 %"."""


def draw(material: Material, options: Options) -> Drawn:
    """Draw the convolutions' ratio over the rate, a line per network, a panel per other value.

    The first strategy with the same layers is the whole network. Dotted: half the time, the
    published 70 %, and as long as the whole.
    """
    key, others = _keys(material, options)
    frame = _frame(material, key, others)
    panels = list(dict.fromkeys(frame["panel"]))
    labels = list(dict.fromkeys(frame["strategy"]))
    styles = line_styles(labels)
    n = len(panels)
    across = min(n, 2) if options.is_double else 1
    down = -(-n // across)
    figure = Figure((options.width_in, 0.6 + 2.1 * down), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    size, sign = prefix(frame["rate"].min())
    for axes, panel in zip(grid.flat, panels, strict=False):
        for label in labels:
            mine = frame[(frame["panel"] == panel) & (frame["strategy"] == label)]
            axes.plot(mine["rate"] / size, mine["conv_ratio"], **styles[label].line())
            _mark(axes, mine, styles[label].color, size)
        for level in (0.5, PUBLISHED, 1.0):
            axes.axhline(level, color=BLACK if level == 1.0 else GREY, lw=0.7, ls=(0, (1, 2)))
        axes.set_xscale("log")
        axes.set_title("\n".join(filter(None, (panel, _even(frame, panel)))))
        axes.set_ylim(0.4, min(2.0, 1.05 * float(frame["conv_ratio"].max())))
        axes.set_xlabel(f"{key.rpartition('.')[2]} ({sign}bit/s), log scale")
    for axes in grid[:, 0]:
        axes.set_ylabel("convolutions: split / whole")
    handles = [Line2D([], [], label=label, **style.line()) for label, style in styles.items()]
    about: dict[str, Any] = {"color": GREY, "linestyle": "", "markersize": 6}
    handles.append(Line2D([], [], label="breaks even", marker="|", **about))
    handles.append(Line2D([], [], label="published 70 %", marker="x", **about))
    legend(figure, handles, options)
    return Drawn(figure, frame)


def fit(rates: Any, ratios: Any) -> tuple[float, float, float]:
    """Give a, b and the largest residual of ``ratio = a + b / rate``."""
    inverse = 1.0 / np.asarray(rates, float)
    y = np.asarray(ratios, float)
    b, a = np.polyfit(inverse / inverse.max(), y, 1)
    b /= inverse.max()
    return float(a), float(b), float(np.abs(a + b * inverse - y).max())


def rate_at(level: float, a: float, b: float) -> float:
    """Give the rate at which the ratio is `level`; infinite where no rate is enough."""
    return b / (level - a) if level > a else math.inf


def _even(frame: pd.DataFrame, panel: str) -> str:
    """Say at which rates the networks of a panel break even, in the order of the legend."""
    rates = frame[frame["panel"] == panel].groupby("strategy", sort=False)["break_even"].first()
    said = [f"{rate / 1e6:,.0f}" if math.isfinite(rate) else "never" for rate in rates]
    return f"even at {', '.join(said)} Mbit/s"


def _mark(axes: Axes, mine: pd.DataFrame, color: str, size: float) -> None:
    for column, level, marker in (("break_even", 1.0, "|"), ("at_published", PUBLISHED, "x")):
        rate = float(mine[column].iloc[0])
        if math.isfinite(rate):
            axes.plot(rate / size, level, marker=marker, color=color, markersize=7, zorder=4)


def _keys(material: Material, options: Options) -> tuple[str, tuple[str, ...]]:
    keys = tuple(map(material.checked_key, options.keys)) or material.keys
    rates = [
        key
        for key in keys
        if Key.of(key, [part.values.get(key) for part in material.parts]).unit == "bit/s"
    ]
    if not rates:
        raise UserError("break-even: expected a sweep of a link's rate, such as links.0.uplink")
    return rates[0], tuple(key for key in keys if key != rates[0])


def _frame(material: Material, key: str, others: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for part in material.parts:
        of = [(label, layer_times(part.run, label)) for label in material.strategies]
        rate = Key.of(key, [part.values[key]]).numbers
        assert rate is not None
        panel = ", ".join(short(part.values[other]) for other in others)
        for network in by_network(of):
            whole = network[0][1]
            for label, table in network[1:]:
                row = {"panel": panel, "strategy": label, "rate": rate[0]}
                rows.append(row | _ratios(whole, table))
    if not rows:
        raise UserError("break-even: expected two strategies with the same layers, whole and split")
    frame = pd.DataFrame(rows).groupby(["panel", "strategy", "rate"], sort=False).mean()
    frame = frame.reset_index().sort_values(["panel", "strategy", "rate"], kind="stable")
    found = []
    for _, mine in frame.groupby(["panel", "strategy"], sort=False):
        if len(mine) < 2:
            raise UserError(f"break-even: expected at least two values of {key}, got one")
        a, b, residual = fit(mine["rate"], mine["conv_ratio"])
        found.append(
            mine.assign(
                break_even=rate_at(1.0, a, b), at_published=rate_at(PUBLISHED, a, b),
                at_best=a, residual=residual,
            )
        )  # fmt: skip
    in_panels = in_order(frame["panel"])
    whole_frame = pd.concat(found, ignore_index=True)
    order = whole_frame["panel"].map(in_panels.index)
    return whole_frame.iloc[np.argsort(order.to_numpy(), kind="stable")].reset_index(drop=True)


def _ratios(whole: pd.DataFrame, table: pd.DataFrame) -> dict[str, float]:
    is_conv = (whole["layer_kind"] == "conv").to_numpy()
    a, b = whole["seconds"].to_numpy(), table["seconds"].to_numpy()
    return {
        "conv_ratio": float(b[is_conv].sum() / a[is_conv].sum()),
        "other_ratio": float(b[~is_conv].sum() / a[~is_conv].sum()) if (~is_conv).any() else np.nan,
        "total_ratio": float(b.sum() / a.sum()),
        "whole_s": float(a.sum()),
        "split_s": float(b.sum()),
    }
