"""The store of a sweep: what was planned, the runs of its cells, and what failed.

::

    NAME-HASH/
        sweep.json               what was planned; written first
        cells/CELL/              an ordinary run; a cell is done when it is there
        failures/CELL.json       why a cell has no run
        cells.parquet, cells.csv the tidy table, by `collect`
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecsim.core.errors import StoreError
from ecsim.records import shown
from ecsim.records.metrics import METRICS, metric
from ecsim.records.store import Run

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
MANIFEST = "sweep.json"
_MOST_ROWS = 20  # in a notebook


@dataclass(frozen=True)
class Sweep:
    """A sweep, or a search, finished or not.

    Attributes
    ----------
    path : its folder.
    manifest : what was planned: `name`, `keys`, `axes`, `cells` (each with `id` and `values`), …
    """

    path: Path
    manifest: dict[str, Any] = field(repr=False)

    @property
    def keys(self) -> tuple[str, ...]:
        """What varies."""
        return tuple(self.manifest["keys"])

    @property
    def planned(self) -> dict[str, dict[str, Any]]:
        """The values of each planned cell, by its id."""
        return {cell["id"]: cell["values"] for cell in self.manifest["cells"]}

    @cached_property
    def runs(self) -> dict[str, Run]:
        """The runs of the cells that are done, by id, in the order of the plan.

        A run that is not whole is not there: the sweep makes it anew.
        """
        found = {}
        for cell in self.planned:
            with contextlib.suppress(StoreError):
                found[cell] = Run.open(self.path / "cells" / cell)
        return found

    @cached_property
    def failures(self) -> dict[str, dict[str, Any]]:
        """Why cells have no run, by id: `error`, `traceback`, `values` and more."""
        found = {}
        for cell in self.planned:
            path = self.path / "failures" / f"{cell}.json"
            if cell not in self.runs and path.is_file():
                found[cell] = json.loads(path.read_text(encoding="utf-8"))
        return found

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row per cell that is done and strategy: `cell`, the keys, `strategy`, all metrics.

        Values stand as they are written in the file (``5 Mbit/s``); metrics are in SI units.
        """
        import pandas as pd

        rows = [
            {
                "cell": cell,
                **self.planned[cell],
                "strategy": label,
                **{path: metric(run.summary, label, path) for path in METRICS},
            }
            for cell, run in self.runs.items()
            for label in run.summary
        ]
        columns = ["cell", *self.keys, "strategy", *METRICS]
        frame = pd.DataFrame(rows, columns=columns)
        for key in self.keys:
            frame[key] = _of_one_type(frame[key])
        return frame

    def _repr_html_(self) -> str:
        head = f"{len(self.runs)} of {len(self.planned)} cells done, {len(self.failures)} failed"
        heads = ("cell", *self.keys, "strategy", *map(shown.named, shown.IN_NOTEBOOKS))
        rows = [
            (*(row[name] for name in ("cell", *self.keys, "strategy")),
             *(shown.result(row[path], path, row["stable"]) for path in shown.IN_NOTEBOOKS))
            for row in self.cells.head(_MOST_ROWS).to_dict("records")
        ]  # fmt: skip
        left = len(self.cells) - len(rows)
        more = (f"{left} more rows are in `cells`.",) if left else ()
        return shown.table(f"{self.path.name}: {head}", heads, rows, *more)


def read_sweep(folder: str | Path) -> Sweep:
    """Open the folder of a sweep; raise `StoreError` when it is none."""
    path = Path(folder)
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        if manifest["kind"] != "sweep" or manifest["format"] != FORMAT:
            raise StoreError(f"{path} is no sweep of format {FORMAT}")
        for cell in manifest["cells"]:
            str(cell["id"]), dict(cell["values"])
        tuple(manifest["keys"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is not a sweep: {error}") from error
    return Sweep(path, manifest)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=2, ensure_ascii=False)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _of_one_type(column: pd.Series[Any]) -> pd.Series[Any]:
    """Give numbers as numbers, and anything mixed or nested as text."""
    kinds = {type(value) for value in column}
    if kinds <= {int, float} or kinds in ({bool}, {str}):
        return column
    return column.map(lambda value: value if isinstance(value, str) else json.dumps(value))
