"""How ecsim's figures look: at paper width, readable without colour, the same bytes every time.

Colours are those of M. Okabe and K. Ito, "Color Universal Design" (2008), without their yellow,
which is too faint for a line on white. Nothing is told by colour alone: lines also differ in
marker and dashes, areas in hatches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

WIDTH_IN = 7.2
"""Width of a run's own figures: two columns of a paper; text is set for this width."""

SINGLE_IN, DOUBLE_IN = 3.5, 7.16
"""Widths of one and of two columns in IEEE and ACM journals; text has the same size in both."""

FORMATS = ("pdf", "svg", "png")

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#999999"

_LINES = (
    (BLUE, "o", "-"),
    (ORANGE, "s", "--"),
    (GREEN, "^", "-."),
    (VERMILLION, "D", ":"),
    (PURPLE, "v", (0, (5, 1, 1, 1, 1, 1))),
    (BLACK, "P", (0, (1, 1))),
    (SKY, "X", (0, (8, 2))),
)
_AREAS = {
    "end": (PURPLE, "\\\\\\"),
    "edge": (BLUE, ""),
    "cloud": (ORANGE, "///"),
    "up": (GREEN, "..."),
    "down": (SKY, "xxx"),
    "propagation": (GREY, "|||"),
    "wasted": (BLACK, "+++"),
    "update": (VERMILLION, "---"),
}
_RC: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "hatch.linewidth": 0.5,
    "pdf.fonttype": 42,  # text stays text, its font is embedded
    "svg.hashsalt": "ecsim",  # the same ids every time
}


@dataclass(frozen=True, slots=True)
class LineStyle:
    """Colour, marker and dashes of one strategy, the same in every figure."""

    color: str
    marker: str
    dashes: Any
    size: float

    def line(self) -> dict[str, Any]:
        """Give the keywords of a line with hollow markers."""
        return {
            "color": self.color,
            "marker": self.marker,
            "linestyle": self.dashes,
            "markersize": self.size,
            "markerfacecolor": "none",
            "markeredgewidth": 1.1,
        }


def line_styles(labels: list[str]) -> dict[str, LineStyle]:
    """Give each label its style; later markers are smaller, so that equal points stay visible."""
    n = len(_LINES)
    styles = {}
    for i, label in enumerate(labels):
        color, marker, dashes = _LINES[i % n]
        if i >= n:  # a second round pairs colours with other markers
            marker = _LINES[(i + i // n) % n][1]
        styles[label] = LineStyle(color, marker, dashes, max(7.5 - 0.9 * i, 3.5))
    return styles


def area(part: str, *, is_wait: bool = False) -> dict[str, Any]:
    """Give the keywords of a bar piece: filled for work, only hatched for waiting."""
    color, hatch = _AREAS[part]
    if is_wait:
        return {"facecolor": "white", "edgecolor": color, "hatch": hatch or "ooo", "linewidth": 0.6}
    return {"facecolor": color, "edgecolor": "white", "hatch": hatch, "linewidth": 0.3}


@contextmanager
def paper() -> Iterator[None]:
    """Use this style inside the block, whatever the user's own matplotlib settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def save(
    figure: Figure, folder: Path, name: str, formats: Sequence[str] = ("png", "pdf"), dpi: int = 150
) -> list[Path]:
    """Write ``name.png`` and so on, in the order of `formats`; no dates or versions inside."""
    metadata: dict[str, dict[str, Any]] = {
        "png": {"Software": None},
        "pdf": dict.fromkeys(("Creator", "Producer", "CreationDate")),
        "svg": dict.fromkeys(("Creator", "Date", "Format", "Type")),
    }
    paths = []
    for suffix in formats:
        path = folder / f"{name}.{suffix}"
        figure.savefig(path, format=suffix, dpi=dpi, metadata=metadata[suffix])
        figure.set_layout_engine("none")  # keep the layout just found instead of searching it again
        paths.append(path)
    return paths
