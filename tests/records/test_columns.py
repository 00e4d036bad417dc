"""Metrics from columns of a file are those from the whole table as a frame, to the bit."""

import numpy as np
import pytest

from ecsim.records.columns import FrameColumns, StoredColumns
from ecsim.records.metrics import summarise, to_json
from ecsim.records.tables import TASKS
from ecsim.runtime.run import run_scenario


@pytest.fixture(scope="module")
def run(write_shared_scenario, tmp_path_factory):
    """Three strategies, several row groups, drops, deadlines, and times outside the window."""
    patch = pytest.MonkeyPatch()
    for module in ("recorder", "arrow"):
        patch.setattr(f"ecsim.records.{module}.ROW_GROUP", 50)
    slow = {"between": ["cam", "cloud"], "card": "wifi_2012", "uplink": "0.2 Mbit/s"}
    path = write_shared_scenario(
        topology={
            "nodes": {
                "cam": {"count": 3, "tier": "edge", "card": "darwin3"},
                "cloud": {"tier": "cloud", "card": "rtx3090"},
            },
            "links": [slow],
        },
        stream={
            "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
            "phase": "4 s", "payload": "60 kB", "deadline": "1 s",
            "arrivals": {"kind": "poisson", "rate": "3 /s"},
        },
        strategies=[
            {"name": "edge_only"},
            {"name": "random_offload", "rate": 0.5, "timeout": "1 s", "on_timeout": "drop"},
            {"name": "cloud_only"},
        ],
        run={"warmup": "2 s", "drain": "5 s"},
    )  # fmt: skip
    yield run_scenario(path, out=tmp_path_factory.mktemp("runs"))
    patch.undo()


def test_columns_are_those_of_the_frame(run):
    stored, frame = StoredColumns(run.path / "tasks.parquet"), FrameColumns(run.tasks)
    assert stored._metadata.num_row_groups > 3
    assert stored.labels == frame.labels == ["edge_only", "random_offload", "cloud_only"]
    for label in stored.labels:
        a, b = stored.of(label), frame.of(label)
        assert len(a) == len(b) == (run.tasks["strategy"] == label).sum()
        for column in TASKS.columns:
            if column.dtype == "text":
                read = []
                for codes, texts in (a.coded(column.name), b.coded(column.name)):
                    read.append([texts[code] for code in codes.tolist()])
                assert read[0] == read[1], column.name
            else:
                np.testing.assert_array_equal(a[column.name], b[column.name])
    assert len(stored) == len(run.tasks)
    assert len(stored.of("nobody")) == len(stored.of("nobody")["latency_s"]) == 0


def test_metrics_are_the_same(run):
    small = (run.updates, run.energy, run.probe, run.queues, run.probe_classes, run.probe_bins)
    window = {name: run.manifest[name] for name in ("warmup_s", "horizon_s")}
    assert {of["n_answered"] < of["n"] for of in run.summary.values()} == {True, False}
    made = [
        summarise(tasks, *small, run.marks, **window, labels=list(run.summary))
        for tasks in (run.tasks, StoredColumns(run.path / "tasks.parquet"))
    ]
    assert to_json(made[0]) == to_json(made[1]) == to_json(run.summary)


def test_some_tasks_are_part_of_all(run):
    some = run.some_tasks("latency_s", "status", strategy="cloud_only")
    mine = run.tasks[(run.tasks["strategy"] == "cloud_only").to_numpy()]
    np.testing.assert_array_equal(some["latency_s"], mine["latency_s"])
    assert some["status"].astype(str).tolist() == mine["status"].astype(str).tolist()
    assert len(run.some_tasks(task_id=7)) == 3
    assert run.some_tasks(task_id=-1).empty
