import json
import math
from collections import Counter

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecsim.core.errors import UserError
from ecsim.records.metrics import MEANINGS, METRICS, flatten, metric, summarise, to_json
from ecsim.records.tables import ENERGY, PROBE, STAGES, STATUSES, TASKS, UPDATES

FLOATS = st.floats(0, 1e3, allow_nan=False)


@st.composite
def task_rows(draw):
    rows = []
    for i in range(draw(st.integers(0, 25))):
        status = draw(st.sampled_from(STATUSES))
        done = status in ("answered", "late")
        label = draw(st.integers(0, 2))
        row = {column.name: 0.0 for column in TASKS.columns}
        row |= {
            f"{stage}_{part}": draw(FLOATS) for stage in ("edge", "up") for part in ("j", "wait_s")
        }
        row |= {
            "strategy": draw(st.sampled_from(["a", "b"])), "task_id": i, "status": status,
            "phase": draw(st.integers(0, 2)), "visit": draw(st.integers(1, 2)), "label": label,
            "t_arrive_s": draw(st.sampled_from([0.0, 9.0, 10.0, 50.0, 90.0, 91.0])),
            "latency_s": draw(FLOATS) if done else math.nan, "propagation_s": draw(FLOATS),
            "correct": done and draw(st.booleans()), "uploaded": draw(st.booleans()),
            "seen": draw(st.booleans()), "new_in_phase": draw(st.booleans()),
            "energy_j": draw(FLOATS), "up_bytes": draw(FLOATS),
            "deadline_met": draw(st.sampled_from([None, True, False])),
        }  # fmt: skip
        rows.append(row)
    return rows


def frame(table, rows):
    made = pd.DataFrame(rows, columns=list(table.names))
    for column in table.columns:
        if column.dtype == "bool":
            made[column.name] = made[column.name].astype("boolean" if column.nullable else bool)
        elif column.dtype != "text":
            made[column.name] = made[column.name].astype("float64")
    return made


def summary_of(tasks=(), updates=(), energy=(), probe=(), **window):
    return summarise(
        frame(TASKS, list(tasks)), frame(UPDATES, list(updates)), frame(ENERGY, list(energy)),
        frame(PROBE, list(probe)), **window,
    )  # fmt: skip


def mean(values):
    values = list(values)
    return math.fsum(values) / len(values) if values else None


def percentile(values, q):
    """Linear interpolation between the two nearest ranks, by loops."""
    if not values:
        return None
    ordered = sorted(values)
    place = q / 100 * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def check_task_metrics(got, rows):
    done = [r for r in rows if r["status"] in ("answered", "late")]
    latencies = [r["latency_s"] for r in done]
    deadlines = [r for r in rows if r["deadline_met"] is not None]
    expected = {
        "n": len(rows),
        "n_answered": len(done),
        "accuracy": mean(r["correct"] for r in rows),
        "accuracy_first_visits": mean(r["correct"] for r in rows if r["visit"] == 1),
        "cur": mean(r["uploaded"] for r in rows),
        "cur_seen": mean(r["uploaded"] for r in rows if r["seen"]),
        "cur_unseen": mean(r["uploaded"] for r in rows if not r["seen"]),
        "cur_old": mean(r["uploaded"] for r in rows if not r["new_in_phase"]),
        "cur_new": mean(r["uploaded"] for r in rows if r["new_in_phase"]),
        "latency_s.mean": mean(latencies),
        "latency_s.p50": percentile(latencies, 50),
        "latency_s.p95": percentile(latencies, 95),
        "latency_s.p99": percentile(latencies, 99),
        "latency_parts_s.edge_wait": mean(r["edge_wait_s"] for r in done),
        "latency_parts_s.propagation": mean(r["propagation_s"] for r in done),
        "energy_per_task_j.total": mean(r["energy_j"] for r in rows),
        "energy_per_task_j.up": mean(r["up_j"] for r in rows),
        "bytes_per_task.up": mean(r["up_bytes"] for r in rows),
        "deadline_miss_ratio": mean(not r["deadline_met"] for r in deadlines),
    }
    flat = dict(flatten(got))
    for path, value in expected.items():
        assert flat[path] == (None if value is None else pytest.approx(value, rel=1e-12)), path
    counts = Counter(r["status"] for r in rows)
    assert got["status"] == {status: counts[status] for status in STATUSES}


@settings(deadline=None, max_examples=60)
@given(task_rows())
def test_task_metrics_equal_loops_over_the_rows(rows):
    summary = summary_of(rows, warmup_s=10.0, horizon_s=90.0, labels=["b", "a"])
    assert list(summary) == ["b", "a"]
    for label, got in summary.items():
        mine = [r for r in rows if r["strategy"] == label and 10 <= r["t_arrive_s"] <= 90]
        check_task_metrics(got, mine)
        assert [of["phase"] for of in got["phases"]] == sorted({r["phase"] for r in mine})
        for of in got["phases"]:
            check_task_metrics(of, [r for r in mine if r["phase"] == of["phase"]])
        assert [path for path, _value in flatten(got)] == list(METRICS)
    json.loads(to_json(summary), parse_constant=pytest.fail)


def test_a_label_without_tasks_and_a_run_without_answers_have_no_numbers():
    row = {column.name: 0.0 for column in TASKS.columns}
    row |= {"strategy": "a", "status": "died", "latency_s": math.nan, "deadline_met": None}
    summary = summary_of([row], labels=["a", "silent"])
    assert summary["a"]["n"] == 1
    assert summary["a"]["accuracy"] == 0.0
    assert summary["a"]["latency_s"] == dict.fromkeys(["mean", "p50", "p95", "p99"])
    assert summary["silent"]["n"] == 0
    assert summary["silent"]["cur"] is None
    assert summary["silent"]["phases"] == []
    assert math.isnan(metric(summary, "silent", "cur"))
    assert summary_of() == {}


def test_idle_and_update_energy_by_hand():
    states = [("a", 2.0, 0.0), ("a", 5.0, 4.0), ("a", 0.5, 0.0), ("b", 9.0, 0.0)]
    energy = [{"strategy": s, "joules": j, "marginal_j": m} for s, j, m in states]
    trainings = [("a", 5.0, 100.0), ("a", 10.0, 3.0), ("a", 90.0, 4.0), ("b", 20.0, 50.0)]
    updates = [
        {"strategy": s, "t_start_s": t, "joules": j, "source": "own"} for s, t, j in trainings
    ]
    updates.append({"strategy": "a", "t_start_s": 20.0, "joules": None, "source": "b"})
    got = summary_of(updates=updates, energy=energy, labels=["a"], warmup_s=10.0, horizon_s=90.0)[
        "a"
    ]
    assert got["idle_energy_j"] == 3.5
    assert got["update_energy_j"] == 7.0
    assert got["updates"] == 2


def test_trainings_are_spread_over_the_tasks_of_the_phase_they_began_in():
    row = {column.name: 0.0 for column in TASKS.columns} | {
        "strategy": "a", "status": "answered", "energy_j": 1.0, "deadline_met": None, "seen": True,
    }  # fmt: skip
    tasks = [row | {"phase": phase} for phase in (0, 0, 1, 1)]
    updates = [{"strategy": "a", "t_start_s": 5.0, "joules": 6.0, "source": "own", "phase": 1}]
    energy = [{"strategy": "a", "joules": j, "marginal_j": m} for j, m in ((9.0, 6.0), (4.0, 4.0))]
    got = summary_of(tasks=tasks, updates=updates, energy=energy)["a"]
    assert got["marginal_energy_per_task_j"] == 2.5
    assert got["energy_per_task_j"]["update"] == 1.5
    assert got["energy_per_task_j"]["total"] == 2.5
    assert [of["energy_per_task_j"]["total"] for of in got["phases"]] == [1.0, 4.0]


def test_probe_takes_each_devices_first_and_last_version():
    rows = [  # device, version, phase, all, known; in no particular order
        ("x", 2, 2, 0.45, 0.6), ("x", 0, 0, 0.4, 1.0), ("x", 1, 1, 0.5, 0.9),
        ("y", 0, 0, 0.2, math.nan), ("y", 1, 2, 0.6, 0.8),
    ]  # fmt: skip
    probe = [
        {"strategy": "a", "device": d, "version": v, "phase": p, "accuracy": a, "accuracy_known": k,
         "t_s": 60.0 * p} for d, v, p, a, k in rows
    ]  # fmt: skip
    got = summary_of(probe=probe, labels=["a"])["a"]
    assert got["probe_accuracy"] == {"first": pytest.approx(0.3), "last": pytest.approx(0.525)}
    assert got["probe_accuracy_known"] == {"first": 1.0, "last": pytest.approx(0.7)}
    # device y keeps serving its version 0 in phase 1
    assert [of["probe_accuracy"] for of in got["phases"]] == pytest.approx([0.3, 0.35, 0.525])
    assert [of["probe_system_accuracy"] for of in got["phases"]] == [None, None, None]


def test_metric_paths_are_refused_with_the_choices():
    summary = summary_of(labels=["a"])
    with pytest.raises(UserError, match=r"'b'.*there are: a"):
        metric(summary, "b", "cur")
    with pytest.raises(UserError, match=r"latency_s.p95"):
        metric(summary, "a", "latency_s.p90")
    with pytest.raises(UserError):
        metric(summary, "a", "latency_s")
    assert {stage for stage in STAGES if f"energy_per_task_j.{stage}" in METRICS} == set(STAGES)
    assert all(len(meaning) > 8 for _unit, meaning in MEANINGS.values())
