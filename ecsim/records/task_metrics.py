"""Metrics of a strategy's tasks, column by column: `ecsim.records.metrics` says what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ecsim.records.columns import Rows, as_slice
from ecsim.records.continual import groups
from ecsim.records.fairness import fairness
from ecsim.records.tables import ANSWERED, STAGES, STATUSES

if TYPE_CHECKING:
    from ecsim.records.columns import TaskColumns

PERCENTILES = (50, 95, 99)
Phase = int | None
"""A phase, or all of them."""

_PARTS_S = {
    f"{stage}_{part}": f"{stage}_{part}_s" for stage in STAGES for part in ("wait", "service")
} | {"propagation": "propagation_s"}
_PARTS_J = {part: f"{part}_j" for part in (*STAGES, "wasted")}
_WAYS = {way: f"{way}_bytes" for way in ("up", "down")}


def rows_of(tasks: TaskColumns, warmup_s: float, horizon_s: float) -> dict[Phase, Rows]:
    """Give which tasks arrived in the window, as rows of a column: all of them, and by phase."""
    t_s = tasks["t_arrive_s"]
    is_inside = (t_s >= warmup_s) & (t_s <= horizon_s)
    inside = slice(0, len(t_s)) if is_inside.all() else as_slice(np.flatnonzero(is_inside))
    del t_s
    phase = tasks["phase"]
    found: dict[Phase, Rows] = {None: inside}
    for each in np.unique(phase[inside]).tolist():
        is_each = phase == each
        which = np.flatnonzero(is_each[inside])
        found[int(each)] = as_slice(
            which + inside.start if isinstance(inside, slice) else inside[which]
        )
    return found


def states(parts: Iterable[TaskColumns]) -> tuple[dict[int, int], int]:
    """Give the group of every class that arrived, and the number of phases, over all tasks."""
    import pandas as pd

    n_phases, triples = 0, [np.zeros((0, 3), int)]
    for tasks in parts:
        label, phase = tasks["label"].astype(np.int32), tasks["phase"].astype(np.int32)
        n = int(phase.max()) + 1 if len(phase) else 1
        n_phases = max(n_phases, n if len(phase) else 0)
        label *= 2 * n
        label += 2 * phase
        label += tasks["new_in_phase"]
        distinct = np.unique(label).astype(int)
        triples.append(np.stack([distinct // (2 * n), distinct // 2 % n, distinct % 2], axis=1))
    frame = pd.DataFrame(np.concatenate(triples), columns=["label", "phase", "new_in_phase"])
    return groups(frame), n_phases


def fairness_of(tasks: TaskColumns, rows: Rows) -> dict[str, float | None]:
    """Give how equally the devices of a strategy fare."""
    device, _ = tasks.coded("device")
    return fairness(device[rows], tasks["correct"][rows], tasks["latency_s"][rows])


def of_tasks(
    tasks: TaskColumns, found: Mapping[Phase, Rows], update_j: Mapping[Phase, float]
) -> dict[Phase, dict[str, Any]]:
    """Give the metrics of the tasks of a strategy, of all and by phase.

    Parameters
    ----------
    update_j : energy of the trainings that began in each phase, in J.
    """
    codes, texts = tasks.coded("status")
    status = np.array([STATUSES.index(text) for text in texts], np.int8)[codes]
    del codes
    is_answered = status < len(ANSWERED)  # they come first, see `STATUSES`
    answered = {phase: is_answered[rows] for phase, rows in found.items()}
    latency_s = {
        phase: _latency(part) for phase, part in _parts(tasks["latency_s"], found, answered)
    }
    parts_s = {part: _means(tasks[name], found, answered) for part, name in _PARTS_S.items()}
    parts_j = {part: _means(tasks[name], found) for part, name in _PARTS_J.items()}
    sums_j = {stage: _sums(tasks[f"{stage}_j"], found) for stage in STAGES}
    sent = {way: _means(tasks[name], found) for way, name in _WAYS.items()}
    own_j = _means(tasks["energy_j"], found)
    names = ("correct", "uploaded", "seen", "new_in_phase", "deadline_met")
    truths = {name: tasks[name] for name in names}
    exits = tasks["exit"]
    is_first = tasks["visit"] == 1
    given: dict[Phase, dict[str, Any]] = {}
    for phase, rows in found.items():
        n = len(answered[phase])
        correct, up, knew, is_new, met = (column[rows] for column in truths.values())
        more_j = update_j[phase] / n if n else 0.0
        of_own = own_j[phase]
        left_at = exits[rows][answered[phase]]
        ended = np.bincount(status[rows], minlength=len(STATUSES)).tolist()
        given[phase] = {
            "n": n,
            "n_answered": int(answered[phase].sum()),
            "status": dict(zip(STATUSES, ended, strict=True)),
            "accuracy": _mean(correct),
            "accuracy_first_visits": _mean(correct[is_first[rows]]),
            "cur": _mean(up),
            "cur_seen": _mean(up[knew]),
            "cur_unseen": _mean(up[~knew]),
            "cur_old": _mean(up[~is_new]),
            "cur_new": _mean(up[is_new]),
            "latency_s": latency_s[phase],
            "latency_parts_s": {part: means[phase] for part, means in parts_s.items()},
            "energy_per_task_j": {"total": None if of_own is None else of_own + more_j}
            | {part: means[phase] for part, means in parts_j.items()}
            | {"update": more_j if n else None},
            "energy_share": _shares({stage: sums[phase] for stage, sums in sums_j.items()}),
            "bytes_per_task": {way: means[phase] for way, means in sent.items()},
            "accuracy_in_time": _mean((correct & (met == 1.0))[~np.isnan(met)]),
            "deadline_miss_ratio": _mean(met[~np.isnan(met)] == 0.0),
            "first_exit_share": _mean(left_at == 0),
            "exit_mean": _mean(left_at),
        }
    return given


def _parts(
    values: Any, found: Mapping[Phase, Rows], chosen: Mapping[Phase, Any] | None = None
) -> Iterable[tuple[Phase, Any]]:
    """Give the values of each phase; not copied where all of a stretch of rows are meant."""
    for phase, rows in found.items():
        part = values[rows]
        yield phase, part if chosen is None or chosen[phase].all() else part[chosen[phase]]


def _means(
    values: Any, found: Mapping[Phase, Rows], chosen: Mapping[Phase, Any] | None = None
) -> dict[Phase, float | None]:
    return {phase: _mean(part) for phase, part in _parts(values, found, chosen)}


def _sums(values: Any, found: Mapping[Phase, Rows]) -> dict[Phase, float]:
    return {phase: float(part.sum()) for phase, part in _parts(values, found)}


def _shares(joules: Mapping[str, float]) -> dict[str, float | None]:
    total = sum(joules.values())
    return {stage: of / total if total > 0 else None for stage, of in joules.items()}


def _latency(values: Any) -> dict[str, float | None]:
    found = [None] * len(PERCENTILES)
    if len(values):
        found = np.percentile(values, PERCENTILES, method="linear").tolist()
    named = {f"p{q}": value for q, value in zip(PERCENTILES, found, strict=True)}
    return {"mean": _mean(values), **named}


def _mean(values: Any) -> float | None:
    if values.dtype.kind == "f" and np.isnan(values).any():
        values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else None
