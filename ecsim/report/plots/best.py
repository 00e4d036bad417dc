"""Which strategy is best over two swept keys, a panel per value of a third one.

The last strategy is left out of the choice and held against it: a field is hatched where another
one beats it by more than `MARGIN`. With the plan of an idle system as the last one, the hatched
fields tell where load has made that plan wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from ecsim.core.errors import UserError
from ecsim.report.keys import in_order, short
from ecsim.report.material import Material
from ecsim.report.plots.drawing import Drawn, Options, legend
from ecsim.report.quantities import quantity
from ecsim.report.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION

if TYPE_CHECKING:
    import pandas as pd

_COLORS = (BLUE, ORANGE, GREEN, SKY, PURPLE, VERMILLION, GREY)
MARGIN = 0.01
"""Share by which another strategy must be better for a field to be marked."""


def draw(material: Material, options: Options) -> Drawn:
    """Draw the best of all strategies but the last; outlined: better than the last one."""
    metric = (options.metrics or ("latency_s.mean",))[0]
    keys = tuple(map(material.checked_key, options.keys)) or material.keys[:3]
    if len(keys) not in (2, 3) or len(material.strategies) < 2 or len(options.metrics) > 1:
        raise UserError(
            "best: expected one metric, two or three swept keys and at least two strategies, got "
            f"{len(keys)} ({', '.join(keys) or 'none'}) and {len(material.strategies)}"
        )
    frame = _frame(material, metric, keys)
    arms = list(material.strategies[:-1])
    panels = in_order(frame[keys[2]]) if len(keys) == 3 else [None]
    across, down = (in_order(frame[key]) for key in keys[:2])
    per_row = min(len(panels), 2 if options.is_double else 1)
    n_rows = -(-len(panels) // per_row)
    tall = max(1.8, 0.24 * len(down) + 0.8)
    figure = Figure((options.width_in, n_rows * tall + 0.6), layout="constrained")
    grid = figure.subplots(n_rows, per_row, squeeze=False, sharex=True, sharey=True)
    for axes, panel in zip(grid.flat, panels, strict=False):
        mine = frame if panel is None else frame[frame[keys[2]] == panel]
        _panel(axes, mine, keys, (across, down), arms)
        axes.set_title("" if panel is None else short(panel))
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes in grid[-1]:
        axes.set_xlabel(_short_key(keys[0]))
    for axes in grid[:, 0]:
        axes.set_ylabel(_short_key(keys[1]))
    handles: list[Any] = [
        Patch(facecolor=_COLORS[i % len(_COLORS)], label=arm) for i, arm in enumerate(arms)
    ]
    about = f"better than {material.strategies[-1]}"
    handles.append(Patch(facecolor="white", edgecolor=BLACK, hatch="////", label=about))
    legend(figure, handles, options)
    return Drawn(figure, frame)


def _short_key(key: str) -> str:
    return ".".join(key.split(".")[-2:])


def _panel(
    axes: Axes, mine: pd.DataFrame, keys: tuple[str, ...], values: tuple[list[Any], list[Any]],
    arms: list[str],
) -> None:  # fmt: skip
    across, down = values
    field = np.full((len(down), len(across)), np.nan)
    axes.grid(visible=False)
    for row in mine.to_dict("records"):
        at = down.index(row[keys[1]]), across.index(row[keys[0]])
        field[at] = arms.index(row["strategy"])
        if row["is_beaten"]:
            about: Any = {"fill": False, "hatch": "////", "edgecolor": BLACK, "linewidth": 0.8}
            axes.add_patch(Rectangle((at[1] - 0.5, at[0] - 0.5), 1, 1, **about))
    colors = ListedColormap([_COLORS[i % len(_COLORS)] for i in range(len(arms))])
    axes.imshow(
        field, cmap=colors, vmin=-0.5, vmax=len(arms) - 0.5, aspect="auto", origin="lower",
        alpha=0.85,
    )  # fmt: skip
    axes.set_xticks(range(len(across)), [short(v) for v in across], rotation=60)
    axes.set_yticks(range(len(down)), [short(v) for v in down])


def _frame(material: Material, metric: str, keys: tuple[str, ...]) -> pd.DataFrame:
    """Give per field: the best strategy, its value, the last one's, and how much that loses."""
    import pandas as pd

    means = material.means((metric,), keys)
    *arms, held = material.strategies
    sign = -1.0 if quantity(metric).more_is_better else 1.0
    rows = []
    for at, mine in means.groupby(list(keys), sort=False, dropna=False):
        found = mine.groupby("strategy")[metric].mean()
        of = {arm: float(found[arm]) for arm in arms if np.isfinite(found.get(arm, np.nan))}
        if not of:
            continue
        best = min(of, key=lambda arm: sign * of[arm])
        against = float(found.get(held, np.nan))
        loss = sign * (against - of[best]) / abs(of[best]) if of[best] else 0.0
        rows.append(
            dict(zip(keys, at, strict=True))
            | {"strategy": best, metric: of[best], held: against, "loss_ratio": loss}
            | {"is_beaten": bool(loss > MARGIN)}
        )
    if not rows:
        raise UserError(f"best: no value of {metric} in any cell")
    return pd.DataFrame(rows)
