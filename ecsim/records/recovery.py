"""How long a disturbance lasts: latency after the first change of phase against that before.

The time before the first task of a phase above 0, from the warm-up on, is cut into ten bins, and
the time after it into bins of that length. A bin's figure is the 95th percentile of the latency of
the tasks that arrived in it; a task without an answer counts as one that takes for ever. A bin is
*above* when its figure exceeds 1.5 times the largest of the bins before. Recovered is a strategy
from the begin of the first bin after the last above one on; a whole bin must remain until the
horizon, else it never recovered within the run. Own definition.
"""

from __future__ import annotations

import math

import numpy as np

from ecsim.core.types import FloatArray, IntArray

N_BEFORE = 10
TOLERANCE = 1.5
_PERCENTILE = 95


def recovery(
    arrived_s: FloatArray,
    phase: IntArray,
    latency_s: FloatArray,
    warmup_s: float,
    horizon_s: float,
) -> dict[str, float | bool | None]:
    """Give the figures of one strategy from its tasks within the window.

    Parameters
    ----------
    arrived_s, phase, latency_s : of each task, (n,); latency is NaN without an answer.

    Returns
    -------
    ``s``: from the change to recovery, 0 where nothing was above; without one, the time to the
    horizon, which it exceeds. ``never``: whether there was none. ``above_s``: time in bins that
    were above. ``peak_s``: largest figure after the change, None for a task without an answer.
    All None without a change, or with tasks too few for a figure in every bin before.
    """
    nothing: dict[str, float | bool | None] = dict.fromkeys(("s", "never", "above_s", "peak_s"))
    is_after = np.asarray(phase) > 0
    if not is_after.any() or not math.isfinite(horizon_s):
        return nothing
    change_s = float(arrived_s[is_after].min())
    width_s = (change_s - warmup_s) / N_BEFORE
    if width_s <= 0.0:
        return nothing
    latency_s = np.where(np.isnan(latency_s), np.inf, latency_s)
    before = percentiles(arrived_s, latency_s, change_s - N_BEFORE * width_s, width_s, N_BEFORE)
    if np.isnan(before).any():
        return nothing
    n_after = int((horizon_s - change_s) / width_s + 1e-9)
    after = percentiles(arrived_s, latency_s, change_s, width_s, n_after)
    above = np.flatnonzero(after > TOLERANCE * before.max())  # NaN, an empty bin, is not
    first_calm = int(above[-1]) + 1 if len(above) else 0
    is_never = first_calm >= n_after > 0
    peak_s = float(np.nanmax(after)) if n_after and not np.isnan(after).all() else math.inf
    return {
        "s": horizon_s - change_s if is_never else first_calm * width_s,
        "never": is_never,
        "above_s": len(above) * width_s,
        "peak_s": peak_s if math.isfinite(peak_s) else None,
    }


def percentiles(
    arrived_s: FloatArray, latency_s: FloatArray, begin_s: float, width_s: float, n: int
) -> FloatArray:
    """Give the 95th percentile (the smallest with 95 % at or below) per bin, NaN for empty ones.

    >>> t_s = np.array([0.1, 0.2, 1.5])
    >>> percentiles(t_s, np.array([1.0, 2.0, np.inf]), 0.0, 1.0, 3)
    array([ 2., inf, nan])
    """
    bins = np.floor((arrived_s - begin_s) / width_s).astype(int)
    found = np.full(n, np.nan)
    for number in range(n):
        mine = np.sort(latency_s[bins == number])
        if len(mine):
            found[number] = mine[math.ceil(_PERCENTILE / 100 * len(mine)) - 1]
    return found
