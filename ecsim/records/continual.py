"""What a device has learned and forgotten: A_n, average incremental accuracy, forgetting, BWT.

A *group* is what continual learning calls a task: group 0 are the classes of the start, group p + 1
those that are new in phase p. State n of a device is the last version that it had deployed by phase
n. R[n, j] is the accuracy of state n on the probe samples of group j <= n. Groups follow the
schedule and not what a device came to know, so that all arms are asked the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Matrix = npt.NDArray[np.float64]


def groups(tasks: pd.DataFrame) -> dict[int, int]:
    """Give the group of every class that arrived, from the table of tasks."""
    label, phase = (tasks[name].to_numpy(int) for name in ("label", "phase"))
    found = dict.fromkeys(np.unique(label).tolist(), 0)
    new = tasks["new_in_phase"].to_numpy(bool)
    for each in np.unique(label[new]).tolist():
        found[each] = int(phase[new & (label == each)].min()) + 1
    return found


def counts(
    probed: pd.DataFrame, classes: pd.DataFrame, group_of: dict[int, int], n_states: int
) -> tuple[Matrix, Matrix]:
    """Give (right, all) probe samples of one device, by state and group.

    Parameters
    ----------
    probed : rows of the table ``probe`` of one strategy and device.
    classes : rows of ``probe_classes`` of the strategy.
    n_states : states 0 ... n_states - 1.

    Returns
    -------
    two arrays of shape (n_states, n_groups); NaN for states before the first version.
    """
    n_groups = 1 + max(group_of.values(), default=0)
    mine = classes[classes["label"].isin([*group_of]).to_numpy()]
    group = mine["label"].map(group_of)
    by_key = mine.groupby([mine["key"].astype(str), group])[["n_right", "n"]].sum()
    ordered = probed.sort_values(["version", "t_s"], kind="stable")
    right, n = np.full((2, n_states, n_groups), np.nan)
    for state in range(n_states):
        until = ordered[(ordered["phase"] <= state).to_numpy()]
        if until.empty:
            continue
        of_version = by_key.loc[[str(until["key"].iloc[-1])]].droplevel(0)
        of_version = of_version.reindex(range(n_groups), fill_value=0)
        right[state], n[state] = of_version["n_right"], of_version["n"]
    return right, n


def arrived_accuracy(right: Matrix, n: Matrix) -> Matrix:
    """Give A_n, shape (n_states,): accuracy of state n over all classes of groups 0 ... n.

    Source: ECC-SNN, section 5.1, over samples and not over groups, which may differ in size.
    """
    found = np.full(len(right), np.nan)
    for state in range(len(right)):
        total = n[state, : state + 1].sum()
        if total > 0:
            found[state] = right[state, : state + 1].sum() / total
    return found


def forgetting(right: Matrix, n: Matrix) -> float | None:
    """Give how far each group but the last fell from its best, on average.

    Source: Chaudhry et al., "Riemannian Walk for Incremental Learning", ECCV 2018, section 3:
    the mean over j < N of max over j <= n < N of R[n, j], minus R[N, j].
    """
    r, last = _ratios(right, n), len(right) - 1
    falls = [np.nanmax(r[j:last, j]) - r[last, j] for j in _measured(r, last)]
    return float(np.mean(falls)) if falls else None


def backward_transfer(right: Matrix, n: Matrix) -> float | None:
    """Give BWT: how later learning changed each group but the last, on average.

    Source: Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual Learning", NeurIPS 2017,
    Eq. 3: the mean over j < N of R[N, j] - R[j, j].
    """
    r, last = _ratios(right, n), len(right) - 1
    changes = [r[last, j] - r[j, j] for j in _measured(r, last)]
    return float(np.mean(changes)) if changes else None


def incremental(
    probed: pd.DataFrame, classes: pd.DataFrame | None, group_of: dict[int, int], n_states: int
) -> tuple[dict[str, float | None], list[float | None]]:
    """Give the four figures of a strategy, means over its devices, and A_n by state."""
    a_n, falls, changes = [], [], []
    for _device, mine in probed.groupby("device", observed=True):
        if classes is None:
            break
        right, n = counts(mine, classes, group_of, n_states)
        a_n.append(arrived_accuracy(right, n))
        falls.append(forgetting(right, n))
        changes.append(backward_transfer(right, n))
    by_state = [_mean([of[state] for of in a_n]) for state in range(n_states)]
    return {
        "average": _mean(by_state),
        "last": by_state[-1] if by_state else None,
        "forgetting": _mean(falls),
        "bwt": _mean(changes),
    }, by_state


def _ratios(right: Matrix, n: Matrix) -> Matrix:
    found: Matrix = np.divide(right, n, out=np.full(right.shape, np.nan), where=n > 0)
    return found


def _measured(r: Matrix, last: int) -> list[int]:
    """Give the groups before state `last` that have probe samples then and when they came."""
    some = range(min(last, r.shape[1]))
    return [j for j in some if not np.isnan(r[last, j]) and not np.isnan(r[j, j])]


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None and not np.isnan(value)]
    return float(np.mean(known)) if known else None
