"""One tidy table out of the cells of a sweep."""

from __future__ import annotations

from pathlib import Path

from ecsim.records.sweeps import Sweep, read_sweep


def collect(folder: str | Path) -> Sweep:
    """Write `cells.parquet` and `cells.csv` into a sweep's folder and give the sweep.

    What they hold follows from the cells alone, not from the order in which they ended.
    """
    sweep = read_sweep(folder)
    table = sweep.cells
    for name in ("cells.parquet", "cells.csv"):
        part = sweep.path / f".{name}.part"
        if name.endswith("parquet"):
            table.to_parquet(part, index=False)
        else:
            table.to_csv(part, index=False)
        part.replace(sweep.path / name)
    return sweep
