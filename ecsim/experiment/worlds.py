"""Which runs are replicates of one scenario, and whether two runs met the same world."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ecsim.core.errors import StoreError, UserError
from ecsim.records.replications import FILE, Replications, read_replications
from ecsim.records.store import ROOT, Run, load
from ecsim.statistics.interval import Floats

if TYPE_CHECKING:
    import pandas as pd

Seeds: TypeAlias = tuple[tuple[str, int], ...]
_SEED_KEYS = ("seed", "seeds")


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


def gather(sources: Sequence[str | Path | Run | Replications], root: str | Path) -> list[Group]:
    """Sort runs by their scenario without its seeds, in the order given.

    Raises `UserError` for no source and `StoreError` for one that cannot be opened.
    """
    groups: dict[str, Group] = {}
    for source in sources:
        opened = open_runs(source, root) if isinstance(source, str | Path) else source
        runs = opened.runs if isinstance(opened, Replications) else [opened]
        for run in runs:
            scenario = run.manifest["scenario"]
            meaning = {key: scenario[key] for key in scenario if key not in _SEED_KEYS}
            key = json.dumps([meaning, run.manifest["files_sha256"]], sort_keys=True)
            group = groups.setdefault(key, Group(opened.path.name, {}))
            group.by_seeds[tuple(sorted(run.manifest["seeds"].items()))] = run
    if not groups:
        raise UserError("expected at least one run to compare, got none")
    return list(groups.values())


def open_runs(name: str | Path, root: str | Path = ROOT) -> Run | Replications:
    """Open a run or replications by folder, or by the beginning of a name under `root`."""
    if (Path(name) / FILE).is_file():
        return read_replications(name)
    known = sorted(path.parent for path in Path(root).glob(f"*/{FILE}"))
    replicated = [folder for folder in known if folder.name.startswith(str(name))]
    if len(replicated) == 1 or (replicated and replicated[0].name == str(name)):
        return read_replications(replicated[0])
    if replicated:
        names = ", ".join(folder.name for folder in replicated)
        raise StoreError(f"{str(name)!r} is the beginning of several replications: {names}")
    return load(name, root)


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
    mine = run.tasks[(run.tasks["strategy"] == label).to_numpy()].set_index("task_id")
    return mine[["device", "sample_id", "t_arrive_s", "latency_s"]].sort_index()
