"""Ordinary runs that belong to a larger question: planned by name, made once, kept.

A cell is done when its run is whole in the store; it is then never made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import ecsim
from ecsim.core.errors import StoreError
from ecsim.core.registry import load_plugins
from ecsim.records.store import Run
from ecsim.runtime.lookup import lookup
from ecsim.runtime.progress import Progress
from ecsim.runtime.run import identity, run_scenario
from ecsim.scenario.load import Loaded, load


@dataclass(frozen=True, slots=True)
class Cell:
    """A run that is wanted: a scenario file with overrides, and the name its run will have."""

    path: Path
    overrides: Mapping[str, object]
    name: str
    digest: str = field(repr=False)

    @classmethod
    def of(cls, path: Path, overrides: Mapping[str, object]) -> tuple[Cell, Loaded]:
        """Check the scenario and give its cell; raises `ScenarioError`."""
        loaded = load(path, lookup=lookup(), overrides=overrides)
        return cls(path, overrides, *identity(loaded)), loaded

    def finished(self, folder: Path) -> Run | None:
        """Give its run in a folder of runs; None where it is not whole, or of another ecsim."""
        try:
            run = Run.open(folder / self.name)
        except StoreError:
            return None
        is_this = run.manifest["scenario_sha256"] == self.digest
        return run if is_this and run.manifest["versions"]["ecsim"] == ecsim.__version__ else None


def one_run(overrides: Mapping[str, object], seed: int) -> dict[str, object]:
    """Give the overrides of one replicate: its seed, and no replications of its own."""
    kept = {
        key: value
        for key, value in overrides.items()
        if key != "seed" and key.partition(".")[0] != "replications"
    }
    return {**kept, "replications": None, "seed": seed}


def make(
    cells: Sequence[Cell],
    folder: Path,
    *,
    jobs: int = 1,
    plugins: Sequence[Path] = (),
    progress: Progress | None = None,
) -> Iterator[Run]:
    """Give the runs of the cells in their order; those that are not there are made.

    Parameters
    ----------
    folder : of the runs.
    jobs : processes that make runs at the same time; the runs do not depend on it.
    plugins : files that a process has to load before.
    progress : told about trainings and arms where everything happens in this process.
    """
    progress = progress or Progress()
    missing = [cell for cell in cells if cell.finished(folder) is None]
    if jobs > 1 and len(missing) > 1:
        from loky import get_reusable_executor

        executor = get_reusable_executor(max_workers=min(jobs, len(missing)), timeout=60)
        waiting = {
            cell.name: executor.submit(
                _make, str(cell.path), dict(cell.overrides), str(folder), tuple(map(str, plugins))
            )
            for cell in missing
        }
        try:
            for cell in cells:
                if cell.name in waiting:
                    waiting.pop(cell.name).result()
                yield Run.open(folder / cell.name)
        finally:
            for future in waiting.values():
                future.cancel()
        return
    for cell in cells:
        found = cell.finished(folder)
        yield found or run_scenario(
            cell.path, overrides=cell.overrides, out=folder, progress=progress
        )


def _make(path: str, overrides: dict[str, object], folder: str, plugins: tuple[str, ...]) -> None:
    """Make one run in a process of its own; only its name needs to travel, and that is known."""
    load_plugins(plugins)
    run_scenario(path, overrides=overrides, out=folder)
