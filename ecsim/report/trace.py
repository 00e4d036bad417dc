"""A run's spans as a trace for Perfetto and Chrome.

Each strategy is a process. Each server and link direction is a track of it, with a second one
where it serves several jobs at once. A task is an arrow through its services; waits, propagation
and the task from arrival to answer are asynchronous slices. Counters show how many jobs are at
each server and link: all of them where the run has time series, else those of the traced tasks.

Source: "Trace Event Format", Google, 2016 (the JSON that both viewers read); times in us.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from ecsim.records.store import Run

Event = dict[str, Any]
Row = Any  # one row of a frame, as a named tuple


def to_json(run: Run) -> str:
    """Give the trace of a run; raises `StoreError` for a run without spans."""
    has_series = "series.parquet" in run.manifest["files"]
    events = trace_events(run.spans, run.series if has_series else None)
    return json.dumps(
        {
            "traceEvents": events,
            "displayTimeUnit": "ms",
            "otherData": {"run": run.path.name, "scenario_sha256": run.manifest["scenario_sha256"]},
        },
        allow_nan=False,
    )


def trace_events(spans: pd.DataFrame, series: pd.DataFrame | None = None) -> list[Event]:
    """Give the events of the tables `spans` and `series`."""
    events: list[Event] = []
    numbers = count(1)
    for pid, label in enumerate(dict.fromkeys(spans["strategy"].tolist()), start=1):
        rows = _rows(spans[(spans["strategy"] == label).to_numpy()])
        events.append(_name("process_name", pid, 0, str(label)))
        events += _tracks(rows, pid, numbers)
        events += _others(rows, pid, numbers)
        if series is None:
            events += _counted(rows, pid)
        else:
            events += _counters(series[(series["strategy"] == label).to_numpy()], pid)
    return events


def _tracks(rows: list[Row], pid: int, numbers: Iterator[int]) -> Iterator[Event]:
    """Give the services on the tracks of their servers, and the arrows of the tasks."""
    served = sorted(
        (row for row in rows if row.kind == "service"), key=lambda row: (row.t_start_s, row.t_end_s)
    )
    lanes: dict[tuple[str, str], list[tuple[int, float]]] = {}  # of each server: tid, busy until
    tids = count(1)
    steps: dict[int, list[tuple[int, float]]] = {}
    for row in served:
        own = lanes.setdefault((row.place, row.component), [])
        lane = next((i for i, (_, until_s) in enumerate(own) if until_s <= row.t_start_s), len(own))
        if lane == len(own):
            name = f"{row.place} {row.component}" + (f" ({lane + 1})" if lane else "")
            own.append((next(tids), 0.0))
            yield _name("thread_name", pid, own[lane][0], name)
        tid = own[lane][0]
        own[lane] = (tid, row.t_end_s)
        yield {
            "ph": "X", "pid": pid, "tid": tid, "cat": "service", "name": _title(row),
            "ts": _us(row.t_start_s), "dur": _us(row.t_end_s) - _us(row.t_start_s),
            "args": {"device": row.device},
        }  # fmt: skip
        if row.task_id >= 0:
            steps.setdefault(row.task_id, []).append((tid, row.t_start_s))
    for task_id, places in steps.items():
        arrow = next(numbers)
        for i, (tid, t_s) in enumerate(places if len(places) > 1 else ()):
            is_last = i == len(places) - 1
            yield {
                "ph": "s" if i == 0 else "f" if is_last else "t", "id": arrow, "pid": pid,
                "tid": tid, "cat": "task", "name": f"task {task_id}", "ts": _us(t_s),
            } | ({"bp": "e"} if is_last else {})  # fmt: skip


def _others(rows: list[Row], pid: int, numbers: Iterator[int]) -> Iterator[Event]:
    """Give tasks, waits and propagation, which may overlap, as asynchronous slices."""
    for row in rows:
        if row.kind != "service":
            is_task = row.kind == "task"
            where = f"{row.place} {row.component}".strip()
            name = f"task {row.task_id}" if is_task else f"{row.kind}: {where}"
            slice_ = {"cat": row.kind, "id": next(numbers), "pid": pid, "tid": 0, "name": name}
            about = {"what": row.what, "device": row.device, "task": row.task_id}
            yield {"ph": "b", "ts": _us(row.t_start_s), "args": about} | slice_
            yield {"ph": "e", "ts": _us(row.t_end_s)} | slice_


def _counted(rows: list[Row], pid: int) -> Iterator[Event]:
    """Count the traced jobs at each server and link."""
    changes: dict[tuple[str, str], dict[float, int]] = {}
    for row in rows:
        if row.kind in ("wait", "service"):
            at = changes.setdefault((row.place, row.component), {})
            at[row.t_start_s] = at.get(row.t_start_s, 0) + 1
            at[row.t_end_s] = at.get(row.t_end_s, 0) - 1
    for (place, component), at in changes.items():
        jobs = 0
        for t_s, change in sorted(at.items()):
            jobs += change
            yield _counter(pid, f"traced jobs at {place} {component}", t_s, jobs)


def _counters(series: pd.DataFrame, pid: int) -> Iterator[Event]:
    """Give the readings of the time series."""
    for row in _rows(series):
        where = f"{row.place} {row.component}"
        if row.n_jobs == row.n_jobs:  # a radio has no jobs
            yield _counter(pid, f"jobs at {where}", row.t_s, int(row.n_jobs))
        if row.watts == row.watts:
            yield _counter(pid, f"watts of {where}", row.t_s, row.watts)


def _rows(frame: pd.DataFrame) -> list[Row]:
    return list(frame.itertuples(index=False))


def _counter(pid: int, name: str, t_s: Any, value: Any) -> Event:
    return {"ph": "C", "pid": pid, "tid": 0, "name": name, "ts": _us(t_s), "args": {"value": value}}


def _name(what: str, pid: int, tid: int, name: str) -> Event:
    return {"ph": "M", "pid": pid, "tid": tid, "name": what, "args": {"name": name}}


def _title(row: Row) -> str:
    return f"{row.what} (task {row.task_id})" if row.task_id >= 0 else f"{row.what}"


def _us(t_s: Any) -> float:
    return float(t_s) * 1e6
