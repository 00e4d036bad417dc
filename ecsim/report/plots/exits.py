"""Early exits over a swept threshold: accuracy against latency and energy, and who answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ecsim.core.errors import UserError
from ecsim.records.exits import has_early
from ecsim.report.keys import Key, short, show
from ecsim.report.material import Material
from ecsim.report.plots.drawing import Drawn, Options, legend
from ecsim.report.quantities import quantity
from ecsim.report.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, LineStyle, line_styles

if TYPE_CHECKING:
    import pandas as pd

_ACCURACY = "accuracy"
_WIDE = 20.0  # costs that span more than this factor have a logarithmic axis
_COSTS = ("latency_s.mean", "energy_per_task_j.total")
_AREAS = ((BLUE, ""), (ORANGE, "///"), (GREEN, "..."), (PURPLE, "\\\\\\"), (SKY, "xxx"))


def draw(material: Material, options: Options) -> Drawn:
    """Draw accuracy over each cost, a line per strategy through its thresholds, and the shares.

    Points follow the key in its order; its first and last value stand beside the ends of each
    line. The shares are those of the first strategy with early exits, averaged over replicates.

    Raises
    ------
    UserError
        when more than one swept key varies, or no strategy has answered at several exits.
    """
    if len(material.keys) > 1:
        raise UserError(
            f"exits: expected one swept key at most, got {', '.join(material.keys)}; "
            "choose with --where KEY=VALUE"
        )
    arms = _with_exits(material)
    if not arms:
        raise UserError("exits: expected a strategy that answers at several exits of its models")
    frame = material.means((_ACCURACY, *_COSTS, "first_exit_share"))
    order = Key.of(material.keys[0], frame[material.keys[0]]) if material.keys else None
    size = (options.width_in, 2.6) if options.is_double else (options.width_in, 6.6)
    figure = Figure(size, layout="constrained")
    panels = figure.subplots(1, 3) if options.is_double else figure.subplots(3, 1)
    styles = line_styles(list(material.strategies))
    for axes, cost in zip(panels, _COSTS, strict=False):
        _costs(axes, frame, cost, order, styles)
    shares = _shares(material, arms[0], order)
    areas = _stack(panels[2], shares, order)
    if order is not None:
        panels[0].set_title(f"small numbers: {order.name.rpartition('.')[2]}")
    panels[2].set_title(f"answers of {arms[0]}")
    handles: list[Any] = [
        Line2D([], [], label=label, **style.line()) for label, style in styles.items()
    ]
    legend(figure, [*handles, *areas], options, handlelength=2.6)
    return Drawn(figure, frame.merge(shares, how="outer", on=[*material.keys, "strategy"]))


def _with_exits(material: Material) -> list[str]:
    found = {
        label
        for part in material.parts
        for label, of in part.run.summary.items()
        if has_early(of) and label in material.strategies
    }
    return [label for label in material.strategies if label in found]


def _costs(
    axes: Axes, frame: pd.DataFrame, cost: str, order: Key | None, styles: dict[str, LineStyle]
) -> None:
    x, y = quantity(cost), quantity(_ACCURACY)
    x_scale, x_unit = x.scale(frame[cost])
    for label, style in styles.items():
        mine = frame[(frame["strategy"] == label).to_numpy()]
        if order is not None:
            rank = mine[order.name].map(lambda value: order.values.index(show(value)))
            mine = mine.assign(rank=rank).sort_values("rank", kind="stable")
        at = mine[cost].to_numpy(float) * x_scale, mine[_ACCURACY].to_numpy(float) * 100.0
        stays = np.ptp(at[0]) == 0.0 and np.ptp(at[1]) == 0.0  # it has no threshold
        line = style.line() | {"markersize": 0.6 * style.size, "markeredgewidth": 0.9}
        axes.plot(*(ends[:1] if stays else ends for ends in at), **line)
        if order is None or stays:
            continue
        for end, above in ((0, 4), (-1, -9)):
            axes.annotate(
                short(order.values[end]), (at[0][end], at[1][end]), xytext=(3, above),
                textcoords="offset points", fontsize=6, color=style.color,
            )  # fmt: skip
    known = frame[cost].dropna().to_numpy(float)
    is_log = len(known) > 0 and known.min() > 0 and known.max() > _WIDE * known.min()
    if is_log:
        axes.set_xscale("log")
    axes.set_xlabel(x.label(x_unit) + (", log scale" if is_log else ""))
    axes.set_ylabel(y.label("%"))
    axes.margins(0.12)


def _shares(material: Material, arm: str, order: Key | None) -> pd.DataFrame:
    """Give the mean share of the answers of each exit, a row per value of the key."""
    import pandas as pd

    rows: dict[str, list[dict[str, float]]] = {}
    values: dict[str, Any] = {}
    for part in material.parts:
        if arm not in part.run.summary:
            continue
        value = part.values.get(order.name) if order is not None else None
        values[show(value)] = value
        shares = {f"exit {e['exit']}": e["share"] for e in part.run.summary[arm]["exits"]}
        rows.setdefault(show(value), []).append(shares)
    names = sorted({name for found in rows.values() for shares in found for name in shares})
    return pd.DataFrame(
        [
            ({order.name: values[text]} if order is not None else {})
            | {"strategy": arm}
            | {name: float(np.mean([s.get(name, 0.0) for s in rows[text]])) for name in names}
            for text in (order.values if order is not None else rows)
            if text in rows
        ]
    )


def _stack(axes: Axes, shares: pd.DataFrame, order: Key | None) -> Sequence[Patch]:
    names = [name for name in shares.columns if name.startswith("exit ")]
    places = np.arange(len(shares))
    below = np.zeros(len(shares))
    patches = []
    for i, name in enumerate(names):
        color, hatch = _AREAS[i % len(_AREAS)]
        look: Any = {"facecolor": color, "hatch": hatch, "edgecolor": "white", "linewidth": 0.3}
        height = 100.0 * shares[name].to_numpy(float)
        axes.bar(places, height, bottom=below, width=0.85, **look)
        below += height
        patches.append(Patch(label=name, **look))
    words = [short(text) for text in order.values] if order is not None else [""]
    axes.set_xticks(places, words, rotation=90 if len(words) > 6 else 0)
    if order is not None:
        axes.set_xlabel(order.name.rpartition(".")[2])
    axes.set_ylabel("answers (%)")
    axes.set_ylim(0, 100)
    axes.grid(visible=False, axis="x")
    axes.axhline(100, color=GREY, linewidth=0.4)
    return patches
