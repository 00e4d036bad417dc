"""What the numbers of a run mean: pure functions of its tables.

Tasks that arrived in [warm-up, horizon] count, and nothing else. A task without an answer counts
in `n`, in `status`, in CUR, energy and bytes (what it spent, it spent), as not correct and as
having missed its deadline; it has no latency, so latency is over answered tasks only, which
flatters a strategy that drops tasks: read it beside `status`. Percentiles interpolate linearly.

*Stream* accuracy (`accuracy`: prequential, the answers given in the stream, before the sample may
be learned) and *probe* accuracy (deployed edge versions on the whole probe pool) are two things
with two names. A value that does not exist (CUR of unseen classes when there were none) is None.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ecsim.core.errors import UserError
from ecsim.records.columns import FrameColumns, StoredColumns
from ecsim.records.continual import incremental
from ecsim.records.detection import detection
from ecsim.records.exits import per_exit
from ecsim.records.recovery import recovery
from ecsim.records.tables import LABEL_UPLOAD, STAGES, STATUSES
from ecsim.records.task_metrics import (
    PERCENTILES,
    fairness_of,
    of_tasks,
    rows_of,
    states,
)
from ecsim.records.versions import FIGURES, of_versions, with_figures

if TYPE_CHECKING:
    import pandas as pd

Summary = dict[str, dict[str, Any]]
"""By strategy label; nested as the dotted paths of `METRICS`, `phases`: the same per phase, and
`exits`: what each exit answered."""

_OF_TASKS: dict[str, tuple[str, str]] = {
    "n": ("", "tasks that arrived in the window"),
    "n_answered": ("", "of these, answered (in time or late)"),
    **{f"status.{status}": ("", f"tasks with status {status}") for status in STATUSES},
    "accuracy": ("", "stream accuracy: share of tasks answered with their true class"),
    "accuracy_first_visits": ("", "the same, where the device sees the sample for the first time"),
    "cur": ("", "cloud-upload rate: share of tasks whose sample was sent to the cloud"),
    "cur_seen": ("", "CUR of tasks whose class the device's version knew at arrival"),
    "cur_unseen": ("", "CUR of the other tasks"),
    "cur_old": ("", "CUR of tasks whose class is not new in its phase (same tasks for all arms)"),
    "cur_new": ("", "CUR of tasks whose class is new in its phase (same tasks for all arms)"),
    "latency_s.mean": ("s", "mean latency of answered tasks"),
    **{
        f"latency_s.p{q}": ("s", f"{q}th percentile of latency, linear interpolation")
        for q in PERCENTILES
    },
    **{
        f"latency_parts_s.{stage}_{part}": (
            "s",
            f"mean {part} time at stage {stage}, answered tasks",
        )
        for stage in STAGES
        for part in ("wait", "service")
    },
    "latency_parts_s.propagation": ("s", "mean propagation, answered tasks"),
    "energy_per_task_j.total": ("J", "marginal energy per task, own trainings included"),
    **{f"energy_per_task_j.{stage}": ("J", f"of it, at stage {stage}") for stage in STAGES},
    "energy_per_task_j.wasted": ("J", "of it, for work that was abandoned"),
    "energy_per_task_j.update": (
        "J",
        "of it, own trainings that began then, per task",
    ),
    **{
        f"energy_share.{stage}": ("", f"share of the marginal energy of inference at stage {stage}")
        for stage in STAGES
    },
    "bytes_per_task.up": ("B", "mean bytes towards the cloud per task"),
    "bytes_per_task.down": ("B", "mean bytes towards the device per task"),
    "accuracy_in_time": ("", "share of tasks answered with their true class by their deadline"),
    "deadline_miss_ratio": ("", "share of missed deadlines among tasks that have one"),
    "first_exit_share": ("", "share of answered tasks that left at the first exit of a model"),
    "exit_mean": ("", "mean number of the exit that answered, from 0"),
}
_OF_RUN: dict[str, tuple[str, str]] = {
    "stable": ("", "1 when every queue kept up, 0 when one did not: read no mean latency then"),
    "idle_energy_j": ("J", "idle power of all components over the window, in no task's energy"),
    "idle_energy_per_task_j": ("J", "the same, spread over the tasks"),
    "energy_with_idle_per_task_j": ("J", "marginal energy per task and its share of idle energy"),
    "marginal_energy_per_task_j": (
        "J",
        "all marginal energy of all components per task, for whatever it was spent",
    ),
    "update_energy_j": ("J", "energy of own trainings that began in the window"),
    "update_time_s": ("s", "time of own trainings that began in the window, summed over devices"),
    "updates": ("", "own versions whose training began in the window"),
    "probe_accuracy.first": ("", "probe accuracy, all classes, first version, mean over devices"),
    "probe_accuracy.last": ("", "the same of each device's last version"),
    "probe_accuracy_known.first": ("", "probe accuracy over the classes the first version knows"),
    "probe_accuracy_known.last": ("", "the same of each device's last version"),
    **{
        f"{name}.{which}": ("", f"{meaning}; {which} version, mean over devices")
        for name, meaning in {
            "probe_cur": "share of probe samples that the rule uploads",
            "probe_system_accuracy": "probe accuracy of edge and cloud by the rule, all classes",
            "probe_cloud_accuracy": "probe accuracy of the cloud alone, all classes",
            "probe_system_accuracy_known": "of edge and cloud over the classes the version knows",
            "probe_cur_seen": "share of probe samples of known classes that the rule uploads",
            "probe_cur_unseen": "share of probe samples of unknown classes that the rule uploads",
            "probe_cur_unseen_worst": "the same of the unknown class that is uploaded least",
            "auroc": "chance that the score puts an unknown class above a known one, probe samples",
            "auroc_worst": "the same of the unknown class that is told apart worst",
            "ece": "expected calibration error of the edge, all probe samples",
            "ece_known": "expected calibration error of the edge, samples of known classes",
            "aurc": "area under the risk-coverage curve of the strategy's score",
            "routing_gain": "mean accuracy of routing by its score above random, CUR .05 to .95",
            "selective_error": "error of the edge's own answers while 20 % are uploaded by score",
            "selective_error_seen": "the same over samples of known classes alone",
            "acci": "AccI on the probe pool, where the cloud is at least two points better",
        }.items()
        for which in ("first", "last")
    },
    "incremental.average": ("", "average incremental accuracy: mean of A_n over the phases"),
    "incremental.last": ("", "A_n after the last phase: probe accuracy over what has arrived"),
    "incremental.forgetting": ("", "mean fall of earlier groups of classes from their best"),
    "incremental.bwt": ("", "backward transfer: mean change of earlier groups since they came"),
    "fairness.accuracy_jain": ("", "Jain's index of the devices' stream accuracies"),
    "fairness.accuracy_worst": ("", "stream accuracy of the worst device"),
    "fairness.latency_jain": ("", "Jain's index of the inverse of the devices' mean latencies"),
    "fairness.latency_worst_s": ("s", "mean latency of the slowest device, answered tasks"),
    "recovery.s": (
        "s",
        "time from the first change of phase until p95 latency is back; if never, until the end",
    ),
    "recovery.never": ("", "1 when that was not within the run"),
    "recovery.above_s": ("s", "time after the change in which p95 latency was above"),
    "recovery.peak_s": ("s", "largest p95 latency after the change"),
    "drift.delay_s": ("s", "mean time from a change to its detection, of changes found"),
    "drift.found": ("", "changes (begins of phases, per device) that `drift_detected` found"),
    "drift.missed": ("", "changes that it had not found when the next came, or at the end"),
    "drift.false_alarms": ("", "detections without a change since the last one"),
    "label_uploads": ("", "uploads for the buffer alone, in no task's row"),
    "label_upload_bytes": ("B", "their bytes towards the cloud"),
}

_OF_VERSIONS = {"probe_accuracy": "accuracy", "probe_accuracy_known": "accuracy_known"}
_OF_VERSIONS |= {name: name for name in FIGURES}

_IN_PHASES = {"incremental.last": "probe_accuracy_arrived"}

MEANINGS: dict[str, tuple[str, str]] = _OF_TASKS | _OF_RUN
"""Dotted metric path -> (unit, meaning)."""

METRICS: tuple[str, ...] = tuple(MEANINGS)
"""The paths that ``assert:`` entries may use after a label: ``ecc_snn.latency_s.p95``."""

MAIN_METRICS = (
    "accuracy", "cur", "latency_s.mean", "latency_s.p95", "energy_per_task_j.total",
    "probe_accuracy.last",
)  # fmt: skip
"""What is shown and compared where nothing else is asked for."""


def summarise(
    tasks: pd.DataFrame | StoredColumns,
    updates: pd.DataFrame,
    energy: pd.DataFrame,
    probe: pd.DataFrame,
    queues: pd.DataFrame | None = None,
    probe_classes: pd.DataFrame | None = None,
    probe_bins: pd.DataFrame | None = None,
    marks: pd.DataFrame | None = None,
    *,
    warmup_s: float = 0.0,
    horizon_s: float = math.inf,
    labels: Sequence[str] = (),
) -> Summary:
    """Give the metrics of each strategy label.

    Parameters
    ----------
    tasks, updates, energy, probe, queues, probe_classes, probe_bins, marks : the tables of a run,
        see `ecsim.records.tables`; of those left out, what follows from them does not exist. Tasks
        as a frame, or as columns that are read one at a time (`ecsim.records.columns`).
    warmup_s, horizon_s : tasks that arrived and trainings that began outside do not count.
    labels : order of the labels, and labels that may have no task; default: as in `tasks`.
    """
    columns = tasks if isinstance(tasks, StoredColumns) else FrameColumns(tasks)
    began = updates["t_start_s"].between(warmup_s, horizon_s).to_numpy()
    own = updates[(updates["source"] == "own").to_numpy() & began]
    group_of, n_states = states(columns.of(label) for label in columns.labels)
    summary: Summary = {}
    for label in labels or columns.labels:
        mine = columns.of(label)
        probed = probe[(probe["strategy"] == label).to_numpy()]
        rows = rows_of(mine, warmup_s, horizon_s)
        for phase in probed["phase"].tolist():
            rows.setdefault(int(phase), slice(0, 0))
        trained = own[(own["strategy"] == label).to_numpy()]
        update_j = {phase: _joules(trained, phase) for phase in rows}
        found = of_tasks(mine, rows, update_j)
        n = found[None]["n"]
        of_states = energy[(energy["strategy"] == label).to_numpy()]
        idle_j = float((of_states["joules"] - of_states["marginal_j"]).to_numpy(float).sum())
        marginal_j = float(of_states["marginal_j"].to_numpy(float).sum())
        learned, a_n = incremental(probed, _of(probe_classes, label), group_of, n_states)
        probed = with_figures(probed, _of(probe_classes, label), _of(probe_bins, label))
        summary[label] = {
            **found[None],
            "exits": per_exit(mine, rows[None]),
            **_stability(queues, label),
            "idle_energy_j": idle_j,
            "idle_energy_per_task_j": idle_j / n if n else None,
            "energy_with_idle_per_task_j": (
                found[None]["energy_per_task_j"]["total"] + idle_j / n if n else None
            ),
            "marginal_energy_per_task_j": marginal_j / n if n else None,
            "update_energy_j": update_j[None],
            "update_time_s": float(trained["seconds"].to_numpy(float).sum()),
            "updates": len(trained),
            **of_versions(probed, _OF_VERSIONS),
            "incremental": learned,
            "fairness": fairness_of(mine, rows[None]),
            "recovery": recovery(
                mine["t_arrive_s"][rows[None]],
                mine["phase"][rows[None]],
                mine["latency_s"][rows[None]],
                warmup_s,
                horizon_s,
            ),
            "drift": detection(_of(marks, label)),
            **_label_uploads(marks, label, warmup_s, horizon_s),
            "phases": [
                {
                    "phase": phase,
                    **found[phase],
                    **_probed_in(probed, phase),
                    "probe_accuracy_arrived": a_n[phase] if phase < n_states else None,
                }
                for phase in sorted(phase for phase in rows if phase is not None)
            ],
        }
    return summary


def metric(summary: Summary, label: str, path: str) -> float:
    """Give one metric as a float, NaN where it does not exist; for ``assert:`` entries.

    Raises `UserError` for an unknown label or path.

    >>> metric({"edge_only": {"latency_s": {"p95": 0.25}}}, "edge_only", "latency_s.p95")
    0.25
    """
    if label not in summary:
        raise UserError(f"no strategy {label!r} in this run; there are: {', '.join(summary)}")
    if path not in MEANINGS:
        raise UserError(f"unknown metric {path!r}; there are: {', '.join(METRICS)}")
    value: Any = summary[label]
    for key in path.split("."):
        value = value[key]
    return math.nan if value is None else float(value)


def in_phase(phase: Mapping[str, Any], path: str) -> float:
    """Give a metric in one entry of `phases`, NaN where it does not exist there.

    Of the figures of versions it is that of the version served at the end of the phase:
    ``routing_gain.last``; ``incremental.last`` is A_n after the phase.

    >>> in_phase({"phase": 2, "routing_gain": 0.1}, "routing_gain.last")
    0.1
    """
    value: Any = phase
    for key in _IN_PHASES.get(path, path.removesuffix(".last")).split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return math.nan if value is None else float(value)


def is_energy(path: str) -> bool:
    """Whether a metric means nothing without its energy boundary, and is never mixed with another.

    >>> is_energy("energy_share.cloud"), is_energy("latency_s.mean")
    (True, False)
    """
    return MEANINGS[path][0] == "J" or path.startswith("energy_share")


def to_json(summary: Summary) -> str:
    """Write a summary as strict JSON: what does not exist is null, nothing is rounded."""
    return json.dumps(summary, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _joules(trained: pd.DataFrame, phase: int | None) -> float:
    """Give the energy of trainings, of those of one phase or of all."""
    mine = trained if phase is None else trained[(trained["phase"] == phase).to_numpy()]
    return float(mine["joules"].to_numpy(float).sum())


def _stability(queues: pd.DataFrame | None, label: str) -> dict[str, Any]:
    """Tell whether all queues of a strategy kept up, and why the worst did not."""
    if queues is None:
        return {"stable": True, "unstable_because": ""}
    is_mine = (queues["strategy"] == label).to_numpy()
    cannot = queues[is_mine & (queues["unstable_because"] != "").to_numpy()]
    if cannot.empty:
        return {"stable": True, "unstable_because": ""}
    load = cannot["offered_load"].to_numpy()
    place, component, reason = (
        cannot[name].tolist()[int(load.argmax())]
        for name in ("place", "component", "unstable_because")
    )
    return {"stable": False, "unstable_because": f"{place} {component}: {reason}"}


def _probed_in(probed: pd.DataFrame, phase: int) -> dict[str, float | None]:
    """Give the mean over devices of the last version each had been probed with by this phase."""
    until = probed[(probed["phase"] <= phase).to_numpy()]
    return {name: of["last"] for name, of in of_versions(until, _OF_VERSIONS).items()}


def _of(table: pd.DataFrame | None, label: str) -> pd.DataFrame | None:
    return None if table is None else table[(table["strategy"] == label).to_numpy()]


def _label_uploads(
    marks: pd.DataFrame | None, label: str, warmup_s: float, horizon_s: float
) -> dict[str, float]:
    if marks is None:
        return {"label_uploads": 0, "label_upload_bytes": 0.0}
    in_window = marks["t_s"].between(warmup_s, horizon_s).to_numpy()
    is_mine = (marks["strategy"] == label).to_numpy() & (marks["name"] == LABEL_UPLOAD).to_numpy()
    sizes = marks["value"][is_mine & in_window].to_numpy(float)
    return {"label_uploads": len(sizes), "label_upload_bytes": float(sizes.sum())}


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Give (dotted path, value) of each metric of one label, without lists and reasons."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        elif key not in ("phases", "exits", "unstable_because"):
            yield f"{prefix}{key}", value
