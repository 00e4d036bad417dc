"""What each device saw when: its classes over time, and the corruptions of its samples."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ecsim.core.errors import UserError
from ecsim.core.types import FloatArray
from ecsim.records.store import Run
from ecsim.report.material import Material
from ecsim.report.plots.drawing import Drawn, Options
from ecsim.report.plots.window import bins
from ecsim.report.style import GREY
from ecsim.scenario.topology import member_of

if TYPE_CHECKING:
    import pandas as pd

_MOST_PANELS = 12
_MOST_TICKS = 12  # classes that have each a tick
_LETTER_IN = 0.06
_ROW_IN = 0.11  # height of a row with a tick
_CELL = ["strategy", "device", "t_start_s", "t_end_s", "class", "corruption"]


def draw(material: Material, options: Options) -> Drawn:
    """Draw a panel per device: the share of each class in its tasks, per bin of time.

    Classes stand in the order in which the schedule brings them in. All strategies of a run see
    the same tasks; the rows read are those of the first.
    """
    if len(material.parts) != 1:
        raise UserError(f"stream: expected one run, got {len(material.parts)}; choose with --where")
    run, strategy = material.parts[0].run, material.strategies[0]
    edges_s, borders_s = bins(run, 0.0)
    frame = _counts(run, strategy, edges_s)
    devices = sorted(set(frame["device"]), key=lambda name: member_of(name) or (name, -1))
    if not devices:
        raise UserError("stream: no task arrived in this run")
    classes = [label for group in run.manifest["class_groups"] for label in group]
    is_corrupted = bool((frame["corruption"] != "").any())
    shown = devices[:_MOST_PANELS]
    n_columns = 2 if options.is_double and len(shown) > 1 else 1
    n_rows = -(-len(shown) // n_columns)
    panel_in = (options.width_in - 1.2) / n_columns
    tall_in = _ROW_IN * (min(len(classes), _MOST_TICKS) + 2 * is_corrupted) + 0.3
    figure = Figure((options.width_in, n_rows * tall_in + 0.5), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True)
    shares = {device: _shares(frame, device, classes, edges_s) for device in shown}
    highest = max(float(np.nanmax(field)) for field in shares.values())
    for i, axes in enumerate(grid.flat):
        axes.grid(visible=False)
        if i >= len(shown):
            axes.set_axis_off()
            continue
        field = np.ma.masked_equal(np.nan_to_num(shares[shown[i]]), 0.0)
        image = axes.pcolormesh(
            edges_s, np.arange(len(classes) + 1) - 0.5, field, cmap="cividis_r", vmin=0,
            vmax=highest, rasterized=True,
        )  # fmt: skip
        for border_s in borders_s:
            axes.axvline(border_s, color=GREY, linewidth=0.8, linestyle=":")
        _name_classes(axes, classes)
        if is_corrupted:
            mine = frame[frame["device"] == shown[i]]
            _draw_corruptions(axes, mine, len(classes), edges_s, panel_in)
        axes.tick_params(labelbottom=i + n_columns >= len(shown))
        axes.set_xlim(edges_s[0], edges_s[-1])
        axes.set_ylim(-0.5, len(classes) - 0.5 + 2 * is_corrupted)
        axes.set_title(shown[i], pad=2)
    dotted = ", dotted: a phase begins" if len(borders_s) else ""
    more = f" ({len(shown)} of {len(devices)} devices)" if len(devices) > len(shown) else ""
    figure.supxlabel(f"time (s){dotted}{more}", fontsize=8)
    figure.supylabel("class, in order of appearance", fontsize=8)
    bar = figure.colorbar(image, ax=grid, pad=0.02, aspect=25)
    bar.set_label("share of the device's tasks (%)")
    bar.outline.set_linewidth(0.4)
    return Drawn(figure, frame)


def _counts(run: Run, strategy: str, edges_s: FloatArray) -> pd.DataFrame:
    """Give the number of tasks per device, bin, class and corruption, where there are any."""
    tasks = run.some_tasks("device", "label", "corruption", "t_arrive_s", strategy=strategy)
    t_s = tasks["t_arrive_s"].to_numpy(float)
    which = np.clip(np.searchsorted(edges_s, t_s, side="right") - 1, 0, len(edges_s) - 2)
    frame = tasks[["device", "label", "corruption"]].astype({"device": str, "corruption": str})
    frame = frame.rename(columns={"label": "class"})
    frame = frame.assign(strategy=strategy, t_start_s=edges_s[which], t_end_s=edges_s[which + 1])
    return frame.groupby(_CELL, sort=True).size().reset_index(name="n_tasks")


def _shares(
    frame: pd.DataFrame, device: str, classes: list[int], edges_s: FloatArray
) -> FloatArray:
    """Give the share of each class per bin in percent, (classes, bins); NaN without tasks."""
    mine = frame[frame["device"] == device]
    row = {label: i for i, label in enumerate(classes)}
    counts = np.zeros((len(classes), len(edges_s) - 1))
    where = np.searchsorted(edges_s, mine["t_start_s"])
    np.add.at(counts, (mine["class"].map(row).to_numpy(int), where), mine["n_tasks"].to_numpy())
    total = counts.sum(axis=0)
    share: FloatArray = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    return 100 * share


def _name_classes(axes: Axes, classes: list[int]) -> None:
    every = -(-len(classes) // _MOST_TICKS)
    at = range(0, len(classes), every)
    axes.set_yticks(list(at), [str(classes[i]) for i in at])
    axes.tick_params(axis="y", labelsize=6, length=2)


def _draw_corruptions(
    axes: Axes, mine: pd.DataFrame, top: int, edges_s: FloatArray, width_in: float
) -> None:
    """Draw a strip above the classes: hatched where samples were corrupted, with what."""
    seen = mine[mine["corruption"] != ""].groupby("t_start_s")["corruption"].first()
    named = [str(seen.get(start_s, "")) for start_s in edges_s[:-1]]
    begin = 0
    for kind, stretch in groupby(named, key=lambda name: name.split(" ")[0]):
        severities = [name.split(" ")[-1] for name in stretch]
        end = begin + len(severities)
        start_s, span_s = edges_s[begin], edges_s[end] - edges_s[begin]
        begin = end
        if not kind:
            continue
        corner = (start_s, top - 0.2)
        axes.add_patch(
            Rectangle(corner, span_s, 1.5, fc="white", ec=GREY, hatch="////", linewidth=0.4)
        )
        text = f"{kind} {'–'.join(sorted({min(severities), max(severities)}))}"
        if _LETTER_IN * len(text) < span_s / (edges_s[-1] - edges_s[0]) * width_in:
            axes.text(
                start_s + span_s / 2, top + 0.5, text, ha="center", va="center", fontsize=6,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )  # fmt: skip
