"""Which runs are replicates of one scenario, and whether two runs met the same world."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ecsim.core.errors import UserError
from ecsim.core.randomness import SEED_NAMES
from ecsim.records.opening import Result, open_result
from ecsim.records.replications import Replications
from ecsim.records.store import Run
from ecsim.statistics.interval import Floats

if TYPE_CHECKING:
    import pandas as pd

Seeds: TypeAlias = tuple[tuple[str, int], ...]
_SEED_KEYS = ("seed", "seeds")
_SEED_NAMES = ("seed", "replicate", *(f"seeds.{name}" for name in SEED_NAMES))


@dataclass(frozen=True, eq=False)
class Group:
    """Runs of one scenario under different seeds.

    Attributes
    ----------
    name : of the folder that the first of them came from.
    by_seeds : the runs, by their four seeds.
    """

    name: str
    by_seeds: dict[Seeds, Run]

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the strategies."""
        return tuple(next(iter(self.by_seeds.values())).summary)


def gather(sources: Sequence[str | Path | Result], root: str | Path) -> list[Group]:
    """Sort runs by their scenario without its seeds, in the order given.

    Raises `UserError` for no source and `StoreError` for one that cannot be opened.
    """
    groups: dict[str, Group] = {}
    for source in sources:
        opened = open_result(source, root) if isinstance(source, str | Path) else source
        for name, run in _named_runs(opened):
            scenario = run.manifest["scenario"]
            meaning = {key: scenario[key] for key in scenario if key not in _SEED_KEYS}
            key = json.dumps([meaning, run.manifest["files_sha256"]], sort_keys=True)
            group = groups.setdefault(key, Group(name, {}))
            group.by_seeds[tuple(sorted(run.manifest["seeds"].items()))] = run
    if not groups:
        raise UserError("expected at least one run to compare, got none")
    return list(groups.values())


def _named_runs(opened: Result) -> Iterator[tuple[str, Run]]:
    """Give the runs of a result, each with the name of its group: for a sweep, its values."""
    if isinstance(opened, Run):
        yield opened.path.name, opened
    elif isinstance(opened, Replications):
        for run in opened.runs:
            yield opened.path.name, run
    else:
        for cell, run in opened.runs.items():
            values = opened.planned[cell].items()
            text = ",".join(f"{key}={value}" for key, value in values if key not in _SEED_NAMES)
            yield text or opened.path.name, run


def is_same_world(a: Run, b: Run) -> bool:
    """Say whether both runs met the same tasks: samples of the same data at the same times."""
    if a.manifest["data_sha256"] != b.manifest["data_sha256"]:
        return False
    one, other = (_tasks_of(run, next(iter(run.summary))) for run in (a, b))
    columns = ["device", "sample_id", "t_arrive_s"]
    return one[columns].astype(object).equals(other[columns].astype(object))


def latency_differences(a: Run, label_a: str, b: Run, label_b: str) -> Floats:
    """Give latency of a - b task by task, in the order of arrival, in s.

    Tasks count that arrived in the measured window and were answered on both sides.
    """
    both = _tasks_of(a, label_a).join(_tasks_of(b, label_b).add_suffix("_b"), how="inner")
    start, end = a.manifest["warmup_s"], a.manifest["horizon_s"]
    both = both[both["t_arrive_s"].between(start, end).to_numpy()].sort_values("t_arrive_s")
    d: Floats = both["latency_s"].to_numpy(np.float64) - both["latency_s_b"].to_numpy(np.float64)
    known: Floats = d[np.isfinite(d)]
    return known


def _tasks_of(run: Run, label: str) -> pd.DataFrame:
    names = ("task_id", "device", "sample_id", "t_arrive_s", "latency_s")
    return run.some_tasks(*names, strategy=label).set_index("task_id").sort_index()
