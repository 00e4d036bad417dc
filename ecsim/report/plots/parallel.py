"""Swept keys and metrics on parallel axes: one line per cell and strategy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ecsim.core.errors import UserError
from ecsim.core.types import FloatArray
from ecsim.report.keys import number_of, short
from ecsim.report.material import Material
from ecsim.report.plots.drawing import Drawn, Options, legend
from ecsim.report.quantities import quantity
from ecsim.report.style import line_styles

DEFAULT = ("accuracy", "latency_s.p95", "energy_per_task_j.total")
_MOST_TICKS = 6
_WIDE = 30.0  # one whose values span more than this factor has a logarithmic axis


@dataclass(frozen=True)
class _Axis:
    """One vertical axis: where each line crosses it in [0, 1], its ticks, its name."""

    heights: FloatArray
    ticks: tuple[tuple[float, str], ...]
    name: str


def draw(material: Material, options: Options) -> Drawn:
    """Draw a line per cell; replicates are one line. Each axis goes from its least to its most."""
    keys = tuple(map(material.checked_key, options.keys)) or material.keys
    metrics = options.metrics or DEFAULT
    if not keys:
        raise UserError("parallel: expected a sweep with a key that varies, other than seeds")
    frame = material.means(metrics, None if set(keys) == set(material.keys) else keys)
    axes_ = [_key_axis(key, frame[key].tolist()) for key in keys]
    axes_ += [_metric_axis(metric, frame[metric].to_numpy(float)) for metric in metrics]
    styles = line_styles(list(dict.fromkeys(frame["strategy"])))
    figure = Figure((options.width_in, 2.9), layout="constrained")
    axes = figure.add_subplot()
    heights = np.array([axis.heights for axis in axes_]).T
    for label, line in zip(frame["strategy"], heights, strict=True):
        style = styles[label].line() | {"linewidth": 0.8, "markersize": 2.5, "alpha": 0.7}
        axes.plot(range(len(axes_)), line, **style)
    for x, axis in enumerate(axes_):
        axes.axvline(x, color="black", linewidth=0.7, zorder=1)
        for height, text in axis.ticks:
            is_last = x == len(axes_) - 1
            axes.annotate(
                text, (x, height), (3 if not is_last else 4, 0), textcoords="offset points",
                va="center", fontsize=6, zorder=5,
                bbox={"facecolor": "white", "alpha": 0.75, "pad": 0.4, "linewidth": 0},
            )  # fmt: skip
    axes.set_xticks(range(len(axes_)), [axis.name for axis in axes_])
    axes.set_yticks([])
    axes.set_ylim(-0.06, 1.06)
    axes.set_xlim(-0.1, len(axes_) - 1 + 0.35)
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(axis="x", length=0)
    handles = [Line2D([], [], label=label, **s.line()) for label, s in styles.items()]
    legend(figure, handles, options)
    return Drawn(figure, frame)


def _key_axis(key: str, values: list[object]) -> _Axis:
    numbers = [number_of(value) for value in values]
    if any(number is None for number in numbers):
        words = sorted({str(value) for value in values})
        place = {word: i / max(1, len(words) - 1) for i, word in enumerate(words)}
        heights = np.array([place[str(value)] for value in values])
        return _Axis(heights, tuple((y, word) for word, y in place.items()), _wrapped(key))
    found = np.array(numbers, dtype=float)
    is_log = found.min() > 0 and found.max() / found.min() > _WIDE
    heights = _spread(np.log(found) if is_log else found)
    texts = {h: short(v) for h, v in zip(heights.tolist(), values, strict=True)}
    return _Axis(heights, _thinned(texts), _wrapped(key))


def _metric_axis(metric: str, values: FloatArray) -> _Axis:
    shown = quantity(metric)
    scale, unit = shown.scale(values)
    if np.isnan(values).all():
        return _Axis(values, (), _wrapped(shown.label(unit)))
    low, high = float(np.nanmin(values)) * scale, float(np.nanmax(values)) * scale
    is_log = low > 0 and high > _WIDE * low
    middle = np.sqrt(low * high) if is_log else (low + high) / 2
    steps = np.array([low] if low == high else [low, middle, high])
    places = _spread(np.log(steps) if is_log else steps)
    ticks = tuple((float(y), f"{v:.3g}") for y, v in zip(places, steps, strict=True))
    return _Axis(_spread(np.log(values) if is_log else values), ticks, _wrapped(shown.label(unit)))


def _spread(values: FloatArray) -> FloatArray:
    """Map values to [0, 1]; all equal: to the middle."""
    low, high = np.nanmin(values), np.nanmax(values)
    return (values - low) / (high - low) if high > low else values * 0 + 0.5


def _thinned(texts: dict[float, str]) -> tuple[tuple[float, str], ...]:
    """Give every value's tick where they are few, else the least, the middle and the largest."""
    places = sorted(texts)
    if len(places) > _MOST_TICKS:
        places = [places[0], places[len(places) // 2], places[-1]]
    return tuple((place, texts[place]) for place in places)


def _wrapped(name: str) -> str:
    """Break a name at its dots and blanks onto lines."""
    lines = [""]
    for word in name.replace(".", ". ").replace("_", "_ ").split(" "):
        if lines[-1] and len(lines[-1] + word) > 11:
            lines.append("")
        glue = "" if not lines[-1] or lines[-1].endswith((".", "_")) else " "
        lines[-1] += glue + word
    return "\n".join(lines)
