"""A layer graph with its cut: what runs where, what crosses, and what every single cut costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecsim.core.types import FloatArray
from ecsim.partition.problem import PartitionPlan, PartitionProblem, estimate
from ecsim.report.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION, WIDTH_IN

_ROWS = 36  # layers of one column, before the next one begins
_ROW_IN = 0.23
_FEW = 60  # layers whose bars are told apart
_COLORS = (BLUE, ORANGE, GREEN, PURPLE, SKY)
_SHAPES = ("o", "s", "^", "D", "v")


def draw(problem: PartitionProblem, plan: PartitionPlan, title: str) -> Figure:
    """Give a figure of the graph, and on a route of two nodes the cost of each single cut."""
    place = _places(problem)
    n_columns = int(place[:, 0].max() // _LANE) + 1
    n_rows = int(place[:, 1].max()) + 1
    has_curve = len(problem.nodes) == 2
    width = max(WIDTH_IN, 2.6 * n_columns + 3.2 * has_curve)
    figure = Figure((width, max(3.2, 0.9 + _ROW_IN * n_rows)), layout="constrained")
    ratios = [2.6 * n_columns, 3.2] if has_curve else [1.0]
    axes = figure.subplots(1, len(ratios), width_ratios=ratios, squeeze=False)[0]
    _graph(axes[0], problem, plan, place)
    axes[0].set_title(title, loc="left")
    if has_curve:
        _single_cuts(axes[1], problem, plan)
    return figure


_LANE = 5.0  # width of a column; parallel branches and names stand side by side in it


def _places(problem: PartitionProblem) -> FloatArray:
    """Give (x, row) of each layer: the longest way from the input is its row."""
    graph = problem.graph
    depth = np.zeros(len(graph), dtype=int)
    for i, preds in enumerate(graph.preds):
        depth[i] = max((depth[p] + 1 for p in preds), default=0)
    taken: dict[int, int] = {}
    found = np.zeros((len(graph), 2))
    n_rows = min(_ROWS, int(depth.max()) + 1)
    for i, level in enumerate(depth.tolist()):
        lane = taken.get(level, 0)
        taken[level] = lane + 1
        found[i] = level // n_rows * _LANE + 0.42 * lane, level % n_rows
    return found


def _graph(axes: Axes, problem: PartitionProblem, plan: PartitionPlan, place: FloatArray) -> None:
    graph = problem.graph
    needed = set(graph.needed(problem.exit))
    for i, preds in enumerate(graph.preds):
        for p in preds:
            crosses = plan.node[p] != plan.node[i] and graph.names[i] in needed
            (x0, y0), (x1, y1) = place[p], place[i]
            is_far = x1 // _LANE != x0 // _LANE  # on to the next column
            style = (VERMILLION, 1.4, "--") if crosses else (GREY, 0.7, ":" if is_far else "-")
            bend = 0.25 if abs(y1 - y0) > 1 and x0 == x1 else 0.0
            axes.annotate(
                "", (x1, y1), (x0, y0),
                arrowprops={
                    "arrowstyle": "-|>" if crosses else "-", "color": style[0], "lw": style[1],
                    "ls": style[2], "connectionstyle": f"arc3,rad={bend}", "shrinkA": 3,
                    "shrinkB": 3,
                },
            )  # fmt: skip
    for k, name in enumerate(problem.nodes):
        here = [i for i in range(len(graph)) if plan.node[i] == k and graph.names[i] in needed]
        n_layers = sum(graph.names[i] != "input" for i in here)
        axes.plot(
            place[here, 0], place[here, 1], _SHAPES[k % 5], color=_COLORS[k % 5], markersize=5,
            linestyle="none", label=f"{name}: {n_layers} layers",
        )  # fmt: skip
    _names(axes, problem, plan, place)
    axes.set_ylim(place[:, 1].max() + 1.0, -1.0)
    axes.set_xlim(-0.8, place[:, 0].max() // _LANE * _LANE + _LANE - 0.6)
    axes.set_axis_off()
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.0), frameon=True, framealpha=0.9)


def _names(axes: Axes, problem: PartitionProblem, plan: PartitionPlan, place: FloatArray) -> None:
    """Write beside each row what its layers are, and what is sent of those that cross."""
    graph = problem.graph
    rows: dict[tuple[float, float], list[int]] = {}
    widest: dict[float, float] = {}
    for i, (x, row) in enumerate(place.tolist()):
        rows.setdefault((x // _LANE, row), []).append(i)
        widest[x // _LANE] = max(widest.get(x // _LANE, 0.0), x)
    for (column, row), members in rows.items():
        text = ", ".join(dict.fromkeys(graph.vertices[i].kind for i in members))
        sent = [i for i in members if any(plan.node[j] != plan.node[i] for j in graph.succs[i])]
        size = sum(float(problem.out_bytes[i]) for i in sent)
        x = widest[column] + 0.3
        axes.text(x, row, text, va="center", fontsize=6)
        if sent:
            axes.text(
                x + 0.16 * len(text) + 0.2, row, f"{_bytes(size)} crosses", va="center", fontsize=6,
                color=VERMILLION, weight="bold",
            )  # fmt: skip


def _single_cuts(axes: Axes, problem: PartitionProblem, plan: PartitionPlan) -> None:
    """Draw what each single cut of the topological order takes, in parts, and the plan itself."""
    n = len(problem.graph)
    parts = np.zeros((3, n))
    for i in range(n):
        found = estimate(problem, [int(j > i) for j in range(n)])
        device, far = found.node_s
        parts[:, i] = device, far, found.latency_s - device - far
    near, beyond = problem.nodes
    left = np.zeros(n)
    edge = "white" if n <= _FEW else "none"
    looks = ((near, BLUE, ""), (beyond, ORANGE, "///"), ("on the way", GREEN, "..."))
    for values, (name, color, hatch) in zip(parts[[0, 1, 2]], looks, strict=True):
        axes.barh(
            range(n), 1e3 * values, left=1e3 * left, label=name, color=color,
            hatch=hatch if n <= _FEW else "", edgecolor=edge, linewidth=0.2, height=1.0,
        )  # fmt: skip
        left += values
    best = estimate(problem, plan.node).latency_s
    axes.axvline(1e3 * best, color=VERMILLION, linestyle="--", linewidth=1.0, label="the plan")
    axes.set_ylim(n - 0.5, -0.5)
    axes.set_xlabel("latency in ms")
    axes.set_ylabel("cut after layer number (0: input)")
    axes.set_xlim(0, 1.05e3 * max(_shown(left), best))
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)


def _shown(latencies: Sequence[float] | FloatArray) -> float:
    """Give how far the axis goes: bars far longer than most are cut off."""
    values = np.asarray(latencies)
    return float(min(values.max(), 4.0 * np.median(values)))


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000 or unit == "MB":
            return f"{size:.3g} {unit}"
        size /= 1000
    return ""
