"""What each exit of a model answered in a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ecsim.records.tables import ANSWERED

if TYPE_CHECKING:
    import pandas as pd


def per_exit(tasks: pd.DataFrame) -> list[dict[str, Any]]:
    """Give a row per exit and tier that answered: its share of the answers, how well, how fast.

    Parameters
    ----------
    tasks : of one strategy; those without an answer do not count.
    """
    answered = tasks[tasks["status"].isin(ANSWERED).to_numpy()]
    found = []
    for _, mine in answered.groupby(["exit", "route"], observed=True):
        row: dict[str, Any] = {
            "exit": int(mine["exit"].iloc[0]),
            "tier": str(mine["route"].iloc[0]),
        }
        row["n"] = len(mine)
        row["share"] = len(mine) / len(answered)
        row["accuracy"] = float(mine["correct"].to_numpy().mean())
        row["latency_mean_s"] = float(mine["latency_s"].to_numpy(float).mean())
        row["energy_mean_j"] = float(mine["energy_j"].to_numpy(float).mean())
        found.append(row)
    return found


def has_early(of: Mapping[str, Any]) -> bool:
    """Whether a strategy's summary has answers at more than one exit of its models."""
    return len({row["exit"] for row in of.get("exits", ())}) > 1
