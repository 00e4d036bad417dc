"""How equally devices fare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ecsim.core.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd


def jain(values: FloatArray) -> float | None:
    """Give Jain's index, from 1/n (one has all) to 1 (all have the same); None without values.

    Source: Jain, Chiu and Hawe, "A Quantitative Measure of Fairness and Discrimination for Resource
    Allocation in Shared Computer Systems", DEC TR-301, 1984.

    >>> jain(np.array([1.0, 1.0, 1.0, 0.0]))
    0.75
    """
    if not len(values):
        return None
    squares = float((values**2).sum())
    return float(values.sum()) ** 2 / (len(values) * squares) if squares else 1.0


def fairness(tasks: pd.DataFrame) -> dict[str, float | None]:
    """Give index and worst device of accuracy and of mean latency; of devices that had tasks.

    Of latency the index is that of its inverse, so that more is better there too.
    """
    by_device = tasks.groupby("device", observed=True)
    accuracy = by_device["correct"].mean().to_numpy(float)
    latency_s = by_device["latency_s"].mean().dropna().to_numpy(float)
    return {
        "accuracy_jain": jain(accuracy),
        "accuracy_worst": float(accuracy.min()) if len(accuracy) else None,
        "latency_jain": jain(latency_s.min(initial=np.inf) / latency_s)
        if (latency_s > 0).all()
        else None,
        "latency_worst_s": float(latency_s.max()) if len(latency_s) else None,
    }
