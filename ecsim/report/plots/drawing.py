"""What all kinds of figures share: their options, their legend, and how they are written."""

from __future__ import annotations

import importlib
import io
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.artist import Artist
from matplotlib.figure import Figure

from ecsim.core.errors import UserError
from ecsim.report.material import Material
from ecsim.report.plots import KINDS
from ecsim.report.style import DOUBLE_IN, FORMATS, SINGLE_IN, paper, save
from ecsim.scenario.messages import not_one_of

if TYPE_CHECKING:
    import pandas as pd

WIDTHS_IN = {"single": SINGLE_IN, "double": DOUBLE_IN}
DPI = 300
SCREEN_DPI = 120
INCHES_PER_LETTER = 0.062
_ROWS_WITHIN = 3  # of a legend, for which every figure has room
_ROW_IN = 0.16


@dataclass(frozen=True, slots=True)
class Options:
    """How a figure is drawn.

    Attributes
    ----------
    width_in : of the page's column, in inches.
    metrics : which to show, for kinds that show any; empty: the kind's own choice.
    keys : which swept keys to show; empty: the first that vary.
    title : text above the figure, such as the scale it is at; empty: none.
    """

    width_in: float = SINGLE_IN
    metrics: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    title: str = ""

    @property
    def is_double(self) -> bool:
        """Whether panels have room side by side."""
        return self.width_in > 5.0


@dataclass(frozen=True)
class Drawn:
    """A figure and the numbers in it, in SI units."""

    figure: Figure
    frame: pd.DataFrame

    def _repr_png_(self) -> bytes:
        shown = io.BytesIO()
        with paper():
            self.figure.savefig(shown, format="png", dpi=SCREEN_DPI)
        return shown.getvalue()


def draw(kind: str, material: Material, options: Options) -> Drawn:
    """Draw a figure of a kind in the current matplotlib settings.

    Raises `UserError` for a kind that there is not, or for material that does not fit it.
    """
    if kind not in KINDS:
        raise UserError(not_one_of(kind, KINDS, "kind of figure"))
    module = importlib.import_module(f"ecsim.report.plots.{kind.replace('-', '_')}")
    drawn: Drawn = module.draw(material, options)
    if options.title:
        room = int(options.width_in / INCHES_PER_LETTER)
        drawn.figure.suptitle(textwrap.fill(options.title, room), fontsize=8)
    return drawn


def write(
    kind: str,
    material: Material,
    folder: Path,
    options: Options | None = None,
    formats: Sequence[str] = FORMATS,
) -> list[Path]:
    """Draw a figure and write it as ``KIND.pdf`` and so on, with ``KIND.csv`` behind it."""
    for name in formats:
        if name not in FORMATS:
            raise UserError(not_one_of(name, FORMATS, "format"))
    with paper():
        drawn = draw(kind, material, options or Options())
        try:
            folder.mkdir(parents=True, exist_ok=True)
            paths = save(drawn.figure, folder, kind, formats, DPI)
            table = folder / f"{kind}.csv"
            drawn.frame.to_csv(table, index=False, lineterminator="\n")
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error.strerror}") from error
    return [*paths, table]


def legend(figure: Figure, handles: Sequence[Artist], options: Options, **about: Any) -> None:
    """Put the legend below all panels, in as many columns as its longest label allows."""
    longest = max((len(str(handle.get_label())) for handle in handles), default=1)
    room = int(options.width_in / (0.5 + INCHES_PER_LETTER * longest))
    n_columns = max(1, min(len(handles), room, 6))
    n_rows = math.ceil(len(handles) / n_columns)
    n_columns = math.ceil(len(handles) / n_rows)  # rows of equal length
    if n_rows > _ROWS_WITHIN:  # so that the panels keep their height
        figure.set_figheight(figure.get_figheight() + _ROW_IN * (n_rows - _ROWS_WITHIN))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=n_columns,
        **{"handlelength": 3.2, "columnspacing": 1.2} | about,
    )
