"""Normalised entropy and upload rate of each true class, of known and of unknown ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ecsim.core.errors import UserError
from ecsim.report.material import Material
from ecsim.report.plots.drawing import Drawn, Options, legend
from ecsim.report.plots.window import in_window
from ecsim.report.style import BLUE, ORANGE

_COLUMNS = ("label", "seen", "normalized_entropy", "uploaded")
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_LOOKS: dict[bool, Any] = {
    True: {"facecolor": BLUE, "edgecolor": "black", "linewidth": 0.5},
    False: {"facecolor": ORANGE, "edgecolor": "black", "hatch": "////", "linewidth": 0.5},
}
_NAMES = {True: "known to the device's version", False: "not known"}


def draw(material: Material, options: Options) -> Drawn:
    """Draw a box of entropies and a bar of the upload rate per class, of one run and strategy.

    The tasks of the whole run count; boxes span half of them, whiskers nine tenths. A class that
    the device came to know during the run has a box and a bar for either part. Known classes stand
    first.
    """
    if len(material.parts) != 1:
        raise UserError(
            f"classes: expected one run, got {len(material.parts)}; choose with --where"
        )
    run, strategy = material.parts[0].run, material.strategies[0]
    import pandas as pd

    tasks = in_window(run, strategy, *_COLUMNS)
    tasks = tasks[tasks["normalized_entropy"].notna()]
    if tasks.empty:
        raise UserError(f"classes: {strategy} asks no edge model; choose another with --arms")
    rows: list[dict[str, Any]] = []
    labels, seen = tasks["label"].to_numpy(int), tasks["seen"].to_numpy(bool)
    for label, is_known in sorted({*zip(labels.tolist(), seen.tolist(), strict=True)}):
        of = tasks[(labels == label) & (seen == is_known)]
        entropies = np.quantile(of["normalized_entropy"], _QUANTILES)
        quantiles = {
            f"entropy_p{100 * q:.0f}": e for q, e in zip(_QUANTILES, entropies, strict=True)
        }
        rows.append(
            {"strategy": strategy, "class": label, "known": is_known, "n": len(of)}
            | quantiles
            | {"uploaded": float(of["uploaded"].mean())}
        )
    rows.sort(key=lambda row: (not row["known"], row["class"]))
    figure = Figure((options.width_in, 3.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for i, row in enumerate(rows):
        looks = _LOOKS[row["known"]]
        p5, p25, p50, p75, p95 = (row[f"entropy_p{100 * q:.0f}"] for q in _QUANTILES)
        above.bar(i, p75 - p25, 0.6, p25, **looks)
        above.plot([i, i], [p5, p25], color="black", linewidth=0.7)
        above.plot([i, i], [p75, p95], color="black", linewidth=0.7)
        above.plot([i - 0.3, i + 0.3], [p50, p50], color="black", linewidth=1.4)
        below.bar(i, 100 * row["uploaded"], 0.6, **looks)
    above.set_ylabel("normalised\nentropy")
    above.set_ylim(0, 1.02)
    below.set_ylabel("uploaded (%)")
    below.set_ylim(0, 102)
    below.set_xticks(range(len(rows)), [str(row["class"]) for row in rows])
    below.set_xlabel("true class")
    for axes in (above, below):
        axes.grid(visible=False, axis="x")
    there = dict.fromkeys(row["known"] for row in rows)
    legend(figure, [Patch(label=_NAMES[known], **_LOOKS[known]) for known in there], options)
    return Drawn(figure, pd.DataFrame(rows))
