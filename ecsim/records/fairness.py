"""How equally devices fare."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ecsim.core.types import FloatArray, IntArray

BoolArray = npt.NDArray[np.bool_]
_BLOCK = 65_536


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


def fairness(
    device: IntArray, correct: BoolArray, latency_s: FloatArray
) -> dict[str, float | None]:
    """Give index and worst device of accuracy and of mean latency; of devices that had tasks.

    Of latency the index is that of its inverse, so that more is better there too.

    Parameters
    ----------
    device : number of the device of each task, shape (n,).
    correct, latency_s : of each task, shape (n,); latency is NaN without an answer.
    """
    n, n_correct, n_answered, total_s = np.zeros((4, int(device.max(initial=-1)) + 1))
    for start in range(0, len(device), _BLOCK):  # so that no copy is as long as a column
        which = slice(start, start + _BLOCK)
        is_answered = ~np.isnan(latency_s[which])
        of_answered = device[which][is_answered]
        n += np.bincount(device[which], minlength=len(n))
        n_correct += np.bincount(device[which], correct[which], len(n))
        n_answered += np.bincount(of_answered, minlength=len(n))
        total_s += np.bincount(of_answered, latency_s[which][is_answered], len(n))
    accuracy = n_correct[n > 0] / n[n > 0]
    mean_s = total_s[n_answered > 0] / n_answered[n_answered > 0]
    return {
        "accuracy_jain": jain(accuracy),
        "accuracy_worst": float(accuracy.min()) if len(accuracy) else None,
        "latency_jain": jain(mean_s.min(initial=np.inf) / mean_s) if (mean_s > 0).all() else None,
        "latency_worst_s": float(mean_s.max()) if len(mean_s) else None,
    }
