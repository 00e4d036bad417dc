"""Ordinary runs that belong to a larger question: planned by name, made once, kept.

A cell is done when its run is whole in the store; it is then never made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ecsim
from ecsim.core.errors import StoreError
from ecsim.records.store import Run
from ecsim.runtime.lookup import lookup
from ecsim.runtime.run import identity
from ecsim.scenario.load import Loaded, Source


@dataclass(frozen=True, slots=True)
class Cell:
    """A run that is wanted: a scenario file with overrides, and the name its run will have.

    Attributes
    ----------
    name : of the run's folder.
    digest : of its scenario, with all that it names.
    overrides : values by key, as `ecsim.scenario.load.load` takes them.
    values : those in which it differs from the other cells of a sweep, as plain data.
    """

    file: Path
    overrides: Mapping[str, object] = field(repr=False)
    name: str
    digest: str = field(repr=False)
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path, overrides: Mapping[str, object]) -> tuple[Cell, Loaded]:
        """Check the scenario and give its cell; raises `ScenarioError`."""
        loaded = _source(file).load(lookup=lookup(), overrides=overrides)
        return cls(file, overrides, *identity(loaded)), loaded

    def load(self) -> Loaded:
        """Give its scenario; raise `StoreError` when that is another one by now."""
        loaded = _source(self.file).load(lookup=lookup(), overrides=self.overrides)
        if identity(loaded)[1] != self.digest:
            raise StoreError(
                f"{self.file}, or a file or plugin that it names, has changed meanwhile"
            )
        return loaded

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


_SOURCES: dict[Path, tuple[Source, tuple[int, ...]]] = {}


def _source(file: Path) -> Source:
    """Read a scenario file with what it includes; once, unless one of them has changed."""
    if file in _SOURCES:
        source, changed = _SOURCES[file]
        if changed == _changed(source.files):
            return source
    source = Source.read(file)
    _SOURCES[file] = source, _changed(source.files)
    return source


def _changed(files: tuple[str, ...]) -> tuple[int, ...]:
    """Give when each file was last changed, in ns; 0 for one that is gone."""
    paths = map(Path, files)
    return tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in paths)
