"""What each exit of a model answered in a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ecsim.records.tables import ANSWERED

if TYPE_CHECKING:
    from ecsim.records.columns import Rows, TaskColumns

_MEANS = {"accuracy": "correct", "latency_mean_s": "latency_s", "energy_mean_j": "energy_j"}


def per_exit(tasks: TaskColumns, rows: Rows = slice(None)) -> list[dict[str, Any]]:
    """Give a row per exit and tier that answered: its share of the answers, how well, how fast.

    Parameters
    ----------
    tasks : of one strategy; those without an answer do not count.
    rows : which of them are meant.
    """
    codes, texts = tasks.coded("status")
    is_answered = np.isin(codes[rows], [i for i, text in enumerate(texts) if text in ANSWERED])
    if not is_answered.any():
        return []
    route, tiers = tasks.coded("route")
    place = tasks["exit"][rows].astype(np.int32) * len(tiers) + route[rows]
    of = {key: is_answered & (place == key) for key in np.unique(place[is_answered]).tolist()}
    means = {
        name: {key: float(column[which].mean()) for key, which in of.items()}
        for name, column in ((name, tasks[name][rows]) for name in _MEANS.values())
    }
    n_answered = int(is_answered.sum())
    found = [
        {"exit": key // len(tiers), "tier": tiers[key % len(tiers)], "n": int(which.sum())}
        | {"share": int(which.sum()) / n_answered}
        | {path: means[name][key] for path, name in _MEANS.items()}
        for key, which in of.items()
    ]
    # texts are numbered as they come, which depends on how the tasks were simulated
    return sorted(found, key=lambda row: (row["exit"], row["tier"]))


def has_early(of: Mapping[str, Any]) -> bool:
    """Whether a strategy's summary has answers at more than one exit of its models."""
    return len({row["exit"] for row in of.get("exits", ())}) > 1
