"""One task's way through the system in sentences, from its row and, if it was traced, its spans."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from ecsim.core.errors import UserError
from ecsim.records.store import Run
from ecsim.records.tables import STAGES
from ecsim.report.numbers import with_unit
from ecsim.scenario.messages import did_you_mean

_ON_THE_WAY = ("end", "edge", "up", "cloud", "down")
_PLACES = {
    "end": "the end device's engine", "edge": "the edge engine", "up": "the uplink",
    "cloud": "the cloud's engine", "down": "the downlink",
}  # fmt: skip
_ENDINGS = {
    "in_flight": "It was still under way when the run ended.",
    "dropped": "It was dropped: a message was lost, a part was down, a buffer was full, or no "
    "answer came in time; the strategy gave none of its own.",
    "died": "It died with its device, which was out or went out.",
}
_VERBS = {
    ("infer", "wait"): "waits", ("infer", "service"): "inference",
    ("compute", "wait"): "waits", ("compute", "service"): "computation",
    ("send", "wait"): "waits", ("send", "service"): "transfer",
    ("send", "propagation"): "propagation",
}  # fmt: skip


def story(run: Run, task_id: int, arms: Sequence[str] = ()) -> str:
    """Tell what became of a task under each strategy, or under some.

    Raises `UserError` for a task or strategy that the run has not.
    """
    tasks = run.some_tasks(task_id=task_id)
    if tasks.empty:
        ids = run.some_tasks("task_id")["task_id"]
        there = f"they are numbered {ids.min()} to {ids.max()}" if len(ids) else "it has none"
        raise UserError(f"{run.path.name} has no task {task_id}; {there}")
    for arm in arms:
        if arm not in run.summary:
            hint = did_you_mean(arm, run.summary) or f"; there are: {', '.join(run.summary)}"
            raise UserError(f"no strategy {arm!r}{hint}")
    rows = {str(row["strategy"]): row for row in tasks.to_dict("records")}
    first = next(iter(rows.values()))
    lines = [f"Task {task_id} of {run.path.name}", *_arrival(first)]
    for label in arms or [name for name in run.summary if name in rows]:
        lines += ["", f"{label}:", *(f"  {line}" for line in _under(run, rows[label]))]
    return "\n".join(lines) + "\n"


def _arrival(row: dict[Any, Any]) -> list[str]:
    visit = "seen there for the first time" if row["visit"] == 1 else f"its visit {row['visit']}"
    new = ", a class that is new in this phase" if row["new_in_phase"] else ""
    corrupted = f", with {row['corruption']}" if row["corruption"] else ""
    return [
        f"It arrived at {row['device']} at {row['t_arrive_s']:.6f} s, in phase {row['phase']}: "
        f"sample {row['sample_id']} ({visit}{corrupted}), class {row['label']}{new}."
    ]


def _under(run: Run, row: dict[Any, Any]) -> Iterator[str]:
    yield from _decision(run, row)
    spans = _spans(run, row)
    yield from spans or _stages(row)
    yield _ending(run, row)
    yield _energy(row)


def _decision(run: Run, row: dict[Any, Any]) -> Iterator[str]:
    """Say what the device knew and what the strategy made of it."""
    knows = "knew its class" if row["seen"] else "did not know its class"
    entropy = row["normalized_entropy"]
    if math.isnan(entropy):
        asked = "its own model was not asked" + (", the sample uploaded" if row["uploaded"] else "")
        yield f"The device's version {knows}; {asked}."
        return
    entries = {entry["label"]: entry for entry in run.manifest["scenario"]["strategies"]}
    threshold = entries[str(row["strategy"])].get("threshold")
    sure = f"normalised entropy {entropy:.3f}"
    if isinstance(threshold, float | int):
        sure += f", {'above' if entropy > threshold else 'not above'} the threshold {threshold:g}"
    then = "the sample was uploaded" if row["uploaded"] else "nothing was uploaded"
    yield f"The device's version {knows} and answered with {sure}: {then}."


def _stages(row: dict[Any, Any]) -> list[str]:
    """Say where the task waited and was served, from its row: sums, in the order of a plain way."""
    lines = []
    for stage in _ON_THE_WAY:
        wait_s, service_s = row[f"{stage}_wait_s"], row[f"{stage}_service_s"]
        if wait_s or service_s:
            waited = f"waited {with_unit(wait_s, 's')} for" if wait_s else "did not wait for"
            lines.append(f"It {waited} {_PLACES[stage]} and held it {with_unit(service_s, 's')}.")
    if row["propagation_s"]:
        lines.append(f"Propagation took {with_unit(row['propagation_s'], 's')}.")
    if row["up_bytes"] or row["down_bytes"]:
        up, down = with_unit(row["up_bytes"], "B"), with_unit(row["down_bytes"], "B")
        lines.append(f"Sent: {up} towards the cloud, {down} towards the device.")
    return lines


def _spans(run: Run, row: dict[Any, Any]) -> list[str]:
    """Give a line per span of a traced task; nothing for others."""
    if "spans.parquet" not in run.manifest["files"]:
        return []
    spans = run.spans
    mine = spans[
        (spans["task_id"] == row["task_id"]).to_numpy()
        & (spans["strategy"] == row["strategy"]).to_numpy()
        & (spans["kind"] != "task").to_numpy()
    ]
    lines = []
    for span in mine.sort_values("t_start_s", kind="stable").to_dict("records"):
        what = _VERBS.get((str(span["what"]), str(span["kind"])), f"{span['what']} {span['kind']}")
        since = span["t_start_s"] - row["t_arrive_s"]
        took = with_unit(span["t_end_s"] - span["t_start_s"], "s")
        at = f"{span['place']} {span['component']}".strip()
        lines.append(f"after {with_unit(since, 's'):>8}  {what} {took} at {at}")
    return lines


def _ending(run: Run, row: dict[Any, Any]) -> str:
    status = str(row["status"])
    deadline = run.manifest["scenario"]["stream"].get("deadline")
    if status in _ENDINGS:
        return _ENDINGS[status] + (f" Its deadline of {deadline} is missed." if deadline else "")
    by = f"version {row['model_version']} at the {row['route']}"
    right = "right" if row["correct"] else f"wrong: it is {row['label']}"
    fell_back = row["uploaded"] and row["route"] != "cloud"
    text = f"Answered {row['predicted']} by {by}"
    text += " (the cloud was asked, its answer not used)" if fell_back else ""
    text += f", {right}; latency {with_unit(row['latency_s'], 's')}"
    if deadline:
        text += f", deadline {deadline} {'met' if bool(row['deadline_met']) else 'missed'}"
    if status == "late":
        text += "; it came after the horizon, while tasks drained"
    return text + "."


def _energy(row: dict[Any, Any]) -> str:
    parts = {stage: row[f"{stage}_j"] for stage in STAGES} | {"abandoned work": row["wasted_j"]}
    spent = [f"{name} {with_unit(j, 'J')}" for name, j in parts.items() if j]
    of_it = f" ({', '.join(spent)})" if len(spent) > 1 else ""
    return f"Marginal energy {with_unit(row['energy_j'], 'J')}{of_it}."
