"""What each exit answered: shares, accuracy and costs against loops over the rows."""

import pandas as pd
import pytest

from ecsim.records.columns import FrameColumns
from ecsim.records.exits import has_early, per_exit
from ecsim.report.html.sections.replications import mean_summary


def tasks():
    rows = [
        # status, exit, tier, correct, latency, joules
        ("answered", 0, "edge", True, 0.1, 1.0),
        ("answered", 0, "edge", False, 0.3, 2.0),
        ("late", 2, "cloud", True, 0.8, 4.0),
        ("answered", 0, "edge", True, 0.2, 3.0),
        ("dropped", -1, "", False, float("nan"), 9.0),
    ]
    names = ("status", "exit", "route", "correct", "latency_s", "energy_j")
    return pd.DataFrame(rows, columns=names)


def test_every_exit_has_its_share_and_costs_and_dropped_tasks_have_none():
    first, last = per_exit(FrameColumns(tasks()))
    assert (first["exit"], first["tier"], first["n"], first["share"]) == (0, "edge", 3, 0.75)
    assert first["accuracy"] == pytest.approx(2 / 3)
    assert first["latency_mean_s"] == pytest.approx(0.2)
    assert first["energy_mean_j"] == pytest.approx(2.0)
    assert (last["exit"], last["tier"], last["n"], last["share"]) == (2, "cloud", 1, 0.25)
    assert per_exit(FrameColumns(tasks().iloc[4:])) == []


def test_replicates_without_an_answer_at_an_exit_count_as_none_there():
    mine = per_exit(FrameColumns(tasks()))
    other = per_exit(FrameColumns(tasks().iloc[:2]))
    mean = mean_summary([{"x": {"exits": mine}}, {"x": {"exits": other}}])["x"]["exits"]
    assert [row["share"] for row in mean] == pytest.approx([(0.75 + 1.0) / 2, 0.25 / 2])
    assert [row["n"] for row in mean] == pytest.approx([2.5, 0.5])
    assert mean[1]["latency_mean_s"] == pytest.approx(0.8)  # of the replicate that has some
    assert has_early({"exits": mine}) and not has_early({"exits": other})
