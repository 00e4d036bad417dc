"""One scenario, run several times with other seeds, until its figures are precise enough.

A replicate varies initial weights, order of the classes, pools and world together; all strategies
of a replicate share them, so that differences between strategies are paired.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import ecsim
from ecsim.core.randomness import replicate_seed
from ecsim.experiment.cells import Cell, one_run
from ecsim.experiment.runs import runs_of
from ecsim.records.metrics import METRICS, metric
from ecsim.records.replications import FILE, Replications, read_replications
from ecsim.records.store import FORMAT, Run
from ecsim.runtime.progress import Progress
from ecsim.scenario.dump import dump
from ecsim.scenario.load import Loaded
from ecsim.scenario.replications import Replications as Wanted
from ecsim.scenario.replications import Stop
from ecsim.statistics.interval import Interval, t_interval


def replicate(
    loaded: Loaded,
    *,
    overrides: Mapping[str, object],
    out: str | Path,
    plugins: Sequence[Path] = (),
    progress: Progress | None = None,
) -> Replications:
    """Run the replicates that a scenario asks for; those that are there are not run again.

    The folder is named after the scenario without its `replications`: with a larger `max` the
    same replicates are continued.

    Parameters
    ----------
    loaded : a scenario with `replications`.
    overrides : those it was loaded with.
    out : folder of the results.
    plugins : files that a process has to load before.

    Raises
    ------
    UserError : see `ecsim.runtime.run.run_scenario`; finished replicates stay.
    """
    wanted, progress = loaded.scenario.replications, progress or Progress()
    assert wanted is not None, "only a scenario with replications is replicated"
    seeds = [replicate_seed(loaded.scenario.seed, i) for i in range(wanted.max)]
    first, alone = Cell.of(loaded.path, one_run(overrides, seeds[0]))
    digest = hashlib.sha256(f"replications {first.digest}".encode()).hexdigest()
    folder = Path(out) / f"{loaded.scenario.name}-{digest[:8]}"
    runs: list[Run] = []
    cells = (Cell.of(loaded.path, one_run(overrides, seed))[0] for seed in seeds)
    # judged run by run in their order, so that the end does not depend on `jobs`
    with closing(
        runs_of(cells, folder / "runs", jobs=wanted.jobs, plugins=plugins, progress=progress)
    ) as found:
        for run in found:
            runs.append(run)
            progress.step(f"replicate {len(runs)} of at most {wanted.max}: {run.path.name}")
            if is_enough(runs, wanted):
                break
    return _write(folder, alone, wanted, seeds, runs)


def is_enough(runs: Sequence[Run], wanted: Wanted) -> bool:
    """Say whether there are enough runs for the precision asked for, if any is."""
    return len(runs) >= wanted.min and wanted.stop is not None and is_precise(runs, wanted.stop)


def is_precise(runs: Sequence[Run], stop: Stop) -> bool:
    """Say whether the half width of the metric's interval is a small enough part of its mean."""
    label, _, path = stop.metric.partition(".")
    values = [metric(run.summary, label, path) for run in runs]
    if not all(map(math.isfinite, values)):
        return False
    interval = t_interval(values)
    return interval.half_width <= stop.half_width_ratio * abs(interval.mean)


def intervals_of(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Give the interval of every metric of every strategy over the runs that have a value."""
    rows = []
    for label in runs[0].summary:
        for path in METRICS:
            values = [metric(run.summary, label, path) for run in runs]
            known = [value for value in values if math.isfinite(value)]
            found = t_interval(known) if known else Interval(math.nan, math.nan, math.nan, 0)
            rows.append(
                {
                    "strategy": label,
                    "metric": path,
                    **{name: _plain(getattr(found, name)) for name in ("mean", "low", "high")},
                    "n": found.n,
                    "level": found.level,
                }
            )
    return rows


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _write(
    folder: Path,
    alone: Loaded,
    wanted: Wanted,
    seeds: Sequence[int],
    runs: Sequence[Run],
) -> Replications:
    if wanted.stop is None:
        reason = "as many as asked for"
    elif is_precise(runs, wanted.stop):
        reason = "precise enough"
    else:
        reason = "max reached before the precision asked for"
    about = {
        "kind": "replications",
        "format": FORMAT,
        "name": folder.name,
        "scenario_file": alone.path.name,
        "scenario": dump(alone.scenario),
        "ecsim": ecsim.__version__,
        "seeds": list(seeds[: len(runs)]),
        "runs": [run.path.name for run in runs],
        "stop": wanted.stop.model_dump() if wanted.stop else None,
        "stop_reason": reason,
        "intervals": intervals_of(runs),
    }
    part = folder / f".{FILE}.{os.getpid()}"
    part.write_text(json.dumps(about, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(folder / FILE)
    return read_replications(folder)
