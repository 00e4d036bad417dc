"""The figures of a run, drawn from its summary alone; `write` draws and saves them all.

The functions that give one `Figure` draw in the current matplotlib settings; call them and save
their figure within `ecsim.report.style.paper()` to get what `write` saves.

Stream accuracy (answers given in the stream) and probe accuracy (deployed edge models on the
probe pool) never share a panel; each title says which of the two it shows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ecsim.records.metrics import Summary
from ecsim.report.numbers import brief, prefix
from ecsim.report.style import WIDTH_IN, area, line_styles, paper, save

_PER_ROW = 5  # panels of strategies side by side that stay readable at paper width
_ON_THE_WAY = ("end", "edge", "up", "cloud", "down")  # the stages as a task passes them
_Part = tuple[str, str, bool]
_LEGEND = 1.3  # width of a legend, in panels
_MARK: dict[str, Any] = {"color": "black", "linewidth": 2.0}
_MANY_PHASES = 6  # with more, no numbers stand above the bars

# (group of metrics, its parts as (name, stage, is it waiting), quantity, unit, legend)
_BREAKDOWNS = (
    (
        "energy_per_task_j",
        [(part, part, False) for part in (*_ON_THE_WAY, "wasted", "update")],
        "energy per task",
        "J",
        "Marginal energy\n(idle not included)",
    ),
    (
        "latency_parts_s",
        [
            (f"{stage}_{kind}", stage, kind == "wait")
            for stage in _ON_THE_WAY
            for kind in ("wait", "service")
        ]
        + [("propagation", "propagation", False)],
        "latency",
        "s",
        "Mean latency of\nanswered tasks",
    ),
)


def write(summary: Summary, folder: Path) -> list[Path]:
    """Draw all figures into a folder, as PNG and PDF; give the files.

    A summary without strategies or phases gives no figure.
    """
    if not any(of["phases"] for of in summary.values()):
        return []
    folder.mkdir(parents=True, exist_ok=True)
    with paper():
        figures = {
            "accuracy_and_cur": accuracy_and_cur(summary),
            "energy_and_latency": energy_and_latency(summary),
            "accuracy_against_cur": accuracy_against_cur(summary),
        }
        return [path for name, figure in figures.items() for path in save(figure, folder, name)]


def accuracy_and_cur(summary: Summary) -> Figure:
    """Draw accuracy (stream and probe, each its own panel) and CUR over phases."""
    figure = Figure((WIDTH_IN, 4.0), layout="constrained")
    panels = [
        ("accuracy", "Stream accuracy\n(answers given in the stream)"),
        ("probe_accuracy", "Probe accuracy\n(edge model alone, all classes)"),
        None,
        ("cur", "Cloud-upload rate (CUR)\nall tasks"),
        ("cur_seen", "CUR, classes that the\ndevice's version knows"),
        ("cur_unseen", "CUR, classes that it\ndoes not know"),
    ]
    styles = line_styles(list(summary))
    for axes, panel in zip(figure.subplots(2, 3).flat, panels, strict=True):
        if panel is None:
            axes.set_axis_off()
            handles = [Line2D([], [], label=label, **s.line()) for label, s in styles.items()]
            legend = axes.legend(handles=handles, loc="center", handlelength=4, labelspacing=0.9)
            legend.set_in_layout(False)
            continue
        key, title = panel
        lines = {label: _series(of["phases"], key) for label, of in summary.items()}
        for label, (phases, values) in lines.items():
            axes.plot(phases, values, zorder=3, **styles[label].line())
        if not any(values for _phases, values in lines.values()):
            axes.text(0.5, 0.5, "no values in this run", ha="center", transform=axes.transAxes)
        axes.set_title(title)
        axes.set_ylim(-0.05, 1.05)
        axes.set_ylabel("CUR" if key.startswith("cur") else "accuracy")
        _phase_axis(axes, summary)
    return figure


def energy_and_latency(summary: Summary) -> Figure:
    """Draw mean marginal energy and mean latency per phase, stacked by stage."""
    n_blocks = math.ceil(len(summary) / _PER_ROW)
    n_columns = min(len(summary), _PER_ROW)
    width_in = max(WIDTH_IN * (n_columns + _LEGEND) / (_PER_ROW + _LEGEND), 0.5 * WIDTH_IN)
    figure = Figure((width_in, 4.2 * n_blocks), layout="constrained")
    ratios = [1.0] * n_columns + [_LEGEND]
    grid = figure.add_gridspec(2 * n_blocks, n_columns + 1, width_ratios=ratios)
    for row, (group, parts, quantity, unit, title) in enumerate(_BREAKDOWNS):
        shown = [part for part in parts if _occurs(summary, group, part[0])]
        tallest = _tallest(summary, group, shown)
        # two digits before the point, so that a bar a thousand times smaller has a readable number
        size, sign = prefix(tallest / 10)
        scale = 1 / size
        for i, (label, of) in enumerate(summary.items()):
            block, column = divmod(i, _PER_ROW)
            axes = figure.add_subplot(grid[2 * block + row, column])
            marked = _overlapping(of["phases"]) if group == "latency_parts_s" else {}
            _stack(axes, of["phases"], group, shown, scale, marked)
            _phase_axis(axes, summary)
            axes.set_xlim(-0.6, _last_phase(summary) + 0.6)
            axes.set_ylim(0, 1.15 * scale * tallest or 1.0)
            axes.set_title(_wrapped(label) if row == 0 else "")
            axes.set_xlabel("phase" if row == 1 else "")
            axes.set_ylabel(f"{quantity} ({sign}{unit})" if column == 0 else "")
            axes.tick_params(labelleft=column == 0)
            axes.grid(visible=False, axis="x")
        handles: list[Patch | Line2D] = [
            Patch(label=name.replace("_", " "), **area(part, is_wait=is_wait))
            for name, part, is_wait in reversed(shown)
        ]
        if group == "latency_parts_s" and any(
            _overlapping(of["phases"]) for of in summary.values()
        ):
            said = "mean latency\n(bars: sums of\nparts at once)"
            handles.append(Line2D([], [], label=said, **_MARK))
        beside = figure.add_subplot(grid[row, n_columns])
        beside.set_axis_off()
        legend = beside.legend(handles=handles, title=title, loc="center left", handleheight=1.4)
        legend.set_in_layout(False)
    return figure


def accuracy_against_cur(summary: Summary) -> Figure:
    """Draw stream accuracy against CUR: a large marker for the run, small ones per phase."""
    figure = Figure((WIDTH_IN * 0.68, 3.0), layout="constrained")
    axes = figure.add_subplot()
    styles = line_styles(list(summary))
    for label, of in summary.items():
        style = styles[label].line()
        points = [p for p in of["phases"] if p["cur"] is not None]
        axes.plot(
            [p["cur"] for p in points],
            [p["accuracy"] for p in points],
            **style | {"marker": "", "linewidth": 0.7},
        )
        for i, p in enumerate(points, start=1):
            small = {"markersize": 2.5 + 2.5 * i / len(points), "markeredgewidth": 0.8}
            axes.plot(p["cur"], p["accuracy"], **style | small)
        if of["cur"] is not None:
            large = style | {"markerfacecolor": style["color"], "alpha": 0.8}
            axes.plot(of["cur"], of["accuracy"], zorder=3, **large)
    handles = [Line2D([], [], label=label, **s.line()) for label, s in styles.items()]
    axes.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(1.02, 0.5),
        handlelength=4,
        title="filled: whole run\nhollow: phases, growing\nfrom first to last",
    )
    axes.set_title("Stream accuracy against cloud-upload rate")
    axes.set_xlabel("cloud-upload rate (CUR)")
    axes.set_ylabel("stream accuracy")
    axes.set_xlim(-0.03, 1.03)
    low, high = axes.get_ylim()
    axes.set_ylim(math.floor(10 * low) / 10, min(math.ceil(10 * high) / 10, 1.02))
    return figure


def _series(phases: Sequence[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    known = [p for p in phases if p[key] is not None]
    return [p["phase"] for p in known], [p[key] for p in known]


def _occurs(summary: Summary, group: str, name: str) -> bool:
    return any(phase[group][name] for of in summary.values() for phase in of["phases"])


def _height(phase: dict[str, Any], group: str, name: str) -> float:
    return phase[group][name] or 0.0


def _tallest(summary: Summary, group: str, parts: Sequence[_Part]) -> float:
    return max(
        sum(_height(phase, group, name) for name, _stage, _is_wait in parts)
        for of in summary.values()
        for phase in of["phases"]
    )


def _stack(
    axes: Axes,
    phases: Sequence[dict[str, Any]],
    group: str,
    parts: Sequence[_Part],
    scale: float,
    marked: Mapping[int, float],
) -> None:
    x = [phase["phase"] for phase in phases]
    bottom = [0.0] * len(x)
    for name, stage, is_wait in parts:
        heights = [scale * _height(phase, group, name) for phase in phases]
        axes.bar(x, heights, 0.8, bottom, **area(stage, is_wait=is_wait))
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    if len(x) <= _MANY_PHASES:
        for phase, top in zip(x, bottom, strict=True):
            number = scale * marked[phase] if phase in marked else top
            axes.text(phase, top, brief(number), ha="center", va="bottom", fontsize=6)
    for phase, total in marked.items():
        axes.plot([phase - 0.4, phase + 0.4], [scale * total] * 2, **_MARK)


def _overlapping(phases: Sequence[dict[str, Any]]) -> dict[int, float]:
    """Give the mean latency where its parts, some of which run at once, add up to more."""
    found = {}
    for phase in phases:
        mean_s = phase["latency_s"]["mean"]
        parts_s = sum(part_s or 0.0 for part_s in phase["latency_parts_s"].values())
        if mean_s is not None and parts_s > mean_s * (1 + 1e-6):
            found[phase["phase"]] = mean_s
    return found


def _wrapped(label: str, width: int = 14) -> str:
    """Break a long label at its underscores, onto lines that fit above a narrow panel."""
    lines = [""]
    for word in re.split(r"(?<=_)", label):
        if lines[-1] and len(lines[-1] + word) > width:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def _last_phase(summary: Summary) -> int:
    return max(int(phase["phase"]) for of in summary.values() for phase in of["phases"])


def _phase_axis(axes: Axes, summary: Summary) -> None:
    last = _last_phase(summary)
    axes.set_xlim(-0.15 - 0.03 * last, last + 0.15 + 0.03 * last)
    axes.set_xticks(range(0, last + 1, 1 + last // 6))
    axes.set_xlabel("phase")
