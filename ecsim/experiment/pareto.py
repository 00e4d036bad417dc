"""Which trials no other beats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecsim.core.types import FloatArray
from ecsim.scenario.sweep import Search

if TYPE_CHECKING:
    from ecsim.experiment.search import Objective


def on_front(costs: FloatArray) -> list[bool]:
    """Give for each row of costs (n, k), less is better, whether no other row dominates it.

    A row dominates another when it is nowhere worse and somewhere better.

    >>> import numpy as np
    >>> on_front(np.array([[1.0, 4.0], [2.0, 2.0], [2.0, 3.0], [4.0, 1.0]]))
    [True, True, False, True]
    """
    return [
        not bool(((costs <= row).all(axis=1) & (costs < row).any(axis=1)).any()) for row in costs
    ]


def write_trials(
    folder: Path,
    rows: Iterable[dict[str, Any]],
    wanted: Search,
    objectives: Sequence[Objective],
) -> None:
    """Write `trials.csv`, and `pareto.csv` with the feasible trials of the front, best first.

    Best first means by the first objective; trials of one cell are one row there.
    """
    import pandas as pd

    names = [objective.name for objective in objectives]
    columns = ["trial", "cell", *wanted.keys, *names, "feasible"]
    trials = pd.DataFrame(rows, columns=columns)
    trials["feasible"] = trials["feasible"].astype(bool)
    signs = [-1.0 if objective.is_maximised else 1.0 for objective in objectives]
    able = trials[trials["feasible"]].drop_duplicates("cell")
    front = able.loc[on_front(able[names].to_numpy(dtype=float) * signs)]
    trials["on_front"] = trials["cell"].isin(front["cell"]) & trials["feasible"]
    trials.to_csv(folder / "trials.csv", index=False)
    front.drop(columns="feasible").sort_values(
        names[0], ascending=not objectives[0].is_maximised, kind="stable"
    ).to_csv(folder / "pareto.csv", index=False)
