"""All cells of a plan: run what is not done, keep what failed, collect the rest."""

from __future__ import annotations

import datetime
import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import ecsim
from ecsim.core.errors import StoreError
from ecsim.experiment.cells import Cell
from ecsim.experiment.collect import collect
from ecsim.experiment.engines import Engine
from ecsim.experiment.job import Job, Outcome, work
from ecsim.experiment.plan import Plan, Study
from ecsim.experiment.progress import SweepProgress
from ecsim.records.store import ROOT, clear_leftovers
from ecsim.records.sweeps import FORMAT, MANIFEST, Sweep, read_sweep, write_json


class Folder:
    """The folder of a sweep or search while its cells are run.

    Parameters
    ----------
    study : the file.
    name : of the folder under `out`.
    about : goes into the manifest beside the cells.
    """

    def __init__(
        self,
        study: Study,
        out: str | Path,
        name: str,
        about: Mapping[str, Any],
        plugins: Iterable[str | os.PathLike[str]] = (),
    ):
        self.path = Path(out).resolve() / name
        self.cells = self.path / "cells"
        self._failures = self.path / "failures"
        self._plugins = tuple(str(Path(plugin).resolve()) for plugin in plugins)
        self._about = {
            "kind": "sweep",
            "format": FORMAT,
            "name": study.name,
            "file": study.path.name,
            "base": study.source.tree.plain(),
            "overrides": {key: str(value) for key, value in study.overrides.items()},
            "ecsim": ecsim.__version__,
            **about,
        }
        try:
            for folder in (self.path, self.cells, self._failures):
                folder.mkdir(parents=True, exist_ok=True)
            clear_leftovers(self.cells)
        except OSError as error:
            raise StoreError(f"cannot write to {self.path}: {error.strerror}") from error

    def plan(self, cells: Iterable[Cell]) -> None:
        """Write down which cells there are."""
        planned = [{"id": cell.name, "values": cell.values} for cell in cells]
        write_json(self.path / MANIFEST, {**self._about, "cells": planned})

    def run(self, cells: Iterable[Cell], engine: Engine) -> Generator[Outcome, None, None]:
        """Run cells that are not done; a failure is written down, and gone when it is mended."""
        of = {cell.name: cell for cell in cells}
        jobs = (
            Job(cell, self.cells, self._plugins)
            for cell in of.values()
            if cell.finished(self.cells) is None
        )
        with closing(engine.run(jobs, work)) as outcomes:
            for outcome in outcomes:
                self._note(outcome, of[outcome.id])
                yield outcome

    def _note(self, outcome: Outcome, cell: Cell) -> None:
        path = self._failures / f"{outcome.id}.json"
        if not outcome.failed:
            path.unlink(missing_ok=True)
            return
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        write_json(
            path,
            {
                "cell": outcome.id,
                "values": cell.values,
                "error": outcome.error,
                "traceback": outcome.details,
                "finished": now,
            },
        )


def run_sweep(
    plan: Plan,
    engine: Engine,
    *,
    out: str | Path = ROOT,
    plugins: Iterable[str | os.PathLike[str]] = (),
    keep_going: bool = True,
    progress: SweepProgress | None = None,
) -> Sweep:
    """Run the cells of a plan that are not done and collect what there is.

    Called again with the same plan it goes on where it ended, however it ended; failed cells are
    tried again.

    Parameters
    ----------
    keep_going : whether other cells are still run when one has failed.
    """
    progress = progress or SweepProgress()
    about = {
        "section": "sweep",
        "keys": list(plan.keys),
        "axes": plan.sweep.model_dump(mode="json", by_alias=True)["axes"],
    }
    folder = Folder(plan.study, out, plan.folder_name, about, plugins)
    folder.plan(plan.cells)
    n_done = sum(cell.finished(folder.cells) is not None for cell in plan.cells)
    progress.begin(len(plan.cells), n_done)
    with closing(folder.run(plan.cells, engine)) as outcomes:
        for outcome in outcomes:
            progress.end_of_cell(outcome)
            if outcome.failed and not keep_going:
                break
    collect(folder.path)
    return read_sweep(folder.path)
