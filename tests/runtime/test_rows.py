"""Rows are packed a few at a time: where the pieces end changes nothing, and no task is lost."""

import pandas as pd
import pytest

from ecsim.collab.strategy import NoParams, Strategy
from ecsim.core.registry import register
from ecsim.core.types import Answer
from ecsim.runtime import rows
from ecsim.runtime.run import run_scenario
from ecsim.streams import tasks


@register("strategy", "first_waits_test")
class FirstWaits(Strategy[NoParams]):
    """The very first task takes 25 s, and is open while hundreds of others come and go."""

    def serve(self, task, ctx):
        """Answer a task."""
        if task.id == 0:
            yield ctx.after(25.0)
        prediction = yield ctx.infer(task.device, task)
        return Answer(prediction.label, at=task.device, by=prediction)


def table(write_scenario, tmp_path, name):
    scenario = write_scenario(
        name,
        stream={
            "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
            "phase": "10 s",
            "arrivals": {"kind": "poisson", "rate": "9 /s"},
        },
        strategies=[{"name": "first_waits_test"}],
        run={"engine": "event"},
    )
    return run_scenario(scenario, out=tmp_path / "runs").tasks


def test_where_the_pieces_end_changes_nothing(write_scenario, tmp_path, monkeypatch):
    usual = table(write_scenario, tmp_path, "usual")
    monkeypatch.setattr(rows, "_CHUNK_BYTES", 1)  # columns whenever a few rows are packed
    monkeypatch.setattr(tasks, "_FEW", 7)
    pieces = table(write_scenario, tmp_path, "pieces")
    pd.testing.assert_frame_equal(usual, pieces, check_exact=True, check_categorical=False)
    assert sorted(usual["task_id"]) == list(range(len(usual)))
    assert len(usual) % rows._FEW != 0  # the last few are not many enough to be packed on the way
    late = usual.set_index("task_id").loc[0]
    assert late["latency_s"] == pytest.approx(25.0, abs=0.1)
    # what arrived with it was kept until it ended, far behind its neighbours
    assert usual["task_id"].tolist().index(0) > 200
    assert late["t_arrive_s"] == usual["t_arrive_s"].min()
