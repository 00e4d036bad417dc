"""Comparisons against figures that are worked out from the runs' own tables by other means."""

import json
import math
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

import ecsim
from ecsim.cli.main import cli
from ecsim.core.errors import UserError

STREAM = {
    "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
    "phase": "5 s",
    "arrivals": {"kind": "poisson", "rate": "4 /s"},
    "payload": "60 kB",
}
ARMS = [
    {"name": "ecc_snn", "threshold": 0.5},
    {"name": "edge_only"},
    {"name": "ecc_snn", "label": "same", "threshold": 0.5},
]


@pytest.fixture
def replicated(write_scenario, tmp_path):
    def make(n=4, out="a", **changes):
        path = write_scenario(stream=STREAM, strategies=ARMS, replications={"min": n})
        return ecsim.run(path, set=changes, out=tmp_path / out)

    return make


def row_of(found, path, b):
    return next(row for row in found.rows if row["metric"] == path and row["b"] == b)


def test_strategies_of_one_scenario_are_paired_by_replicate(replicated):
    four = replicated()
    found = ecsim.compare(four)
    accuracy = {
        label: np.array([run.summary[label]["accuracy"] for run in four.runs])
        for label in ("ecc_snn", "edge_only")
    }
    row = row_of(found, "accuracy", "edge_only")
    test = stats.ttest_rel(accuracy["ecc_snn"], accuracy["edge_only"])
    interval = test.confidence_interval(0.95)
    assert row["p"] == pytest.approx(test.pvalue)
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    d = accuracy["ecc_snn"] - accuracy["edge_only"]
    assert row["effect_size"] == pytest.approx(d.mean() / d.std(ddof=1))
    assert row["p_sign_flip"] == 2 / 16
    assert "n = 4: an indication" in row["finding"]
    assert row["p_holm"] >= row["p"]
    same = row_of(found, "accuracy", "same")
    assert same["difference"] == same["low"] == same["high"] == 0.0
    assert same["finding"] == "no detectable difference"
    assert found.table.shape[0] == len(found.rows)
    assert "finding" in found._repr_html_()


def test_scenarios_are_paired_when_they_met_the_same_tasks(replicated, write_scenario, tmp_path):
    one = replicated()
    two = replicated(out="b", **{"stream.payload": "120 kB"})
    paired = row_of(
        ecsim.compare(two, one, arms=["ecc_snn"]), "latency_s.mean", f"{one.path.name}:ecc_snn"
    )
    assert paired["method"] == "paired t"
    assert paired["difference"] > 0
    other = replicated(out="c", **{"stream.arrivals.rate": "5 /s"})
    found = ecsim.compare(one, other, arms=["ecc_snn"], metrics=["latency_s.mean", "n"])
    assert "are not paired: their tasks differ" in found.notes[0]
    x, y = ([run.summary["ecc_snn"]["n"] for run in of.runs] for of in (one, other))
    welch = stats.ttest_ind(x, y, equal_var=False)
    assert found.rows[1]["method"] == "Welch"
    assert found.rows[1]["p"] == pytest.approx(welch.pvalue)
    seeds = replicated(out="d", seed=99)
    assert "their seeds differ" in ecsim.compare(one, two.runs[0], arms=["same"]).notes[0]
    # the same scenario under other seeds is more replicates of it
    assert row_of(ecsim.compare(one, seeds), "accuracy", "same")["n"] == 8


def test_energies_of_two_boundaries_are_not_compared(replicated):
    device = replicated(n=2)
    wall = replicated(n=2, out="b", **{"energy.boundary": "wall"})
    found = ecsim.compare(device, wall, arms=["ecc_snn"])
    metrics = [row["metric"] for row in found.rows]
    assert "accuracy" in metrics and not [path for path in metrics if "_j" in path]
    (note,) = found.notes
    assert "energies of two boundaries, device and wall, are not compared" in note
    for path in ("energy_per_task_j.total", "idle_energy_j"):
        with pytest.raises(UserError, match=f"--metrics: {path}: energies of two boundaries"):
            ecsim.compare(device, wall, arms=["ecc_snn"], metrics=["accuracy", path])


def test_the_cells_of_a_sweep_are_scenarios_with_replicates(replicated, tmp_path):
    one, two = replicated(n=2), replicated(n=2, out="b", **{"stream.payload": "120 kB"})
    cells = []
    for payload, of in (("60 kB", one), ("120 kB", two)):
        for seed, run in zip(of.manifest["seeds"], of.runs, strict=True):
            values = {"stream.payload": payload, "seed": seed}
            cells.append({"id": run.path.name, "values": values})
            shutil.copytree(run.path, tmp_path / "sweep" / "cells" / run.path.name)
    about = {"kind": "sweep", "format": 1, "keys": ["stream.payload", "seed"], "cells": cells}
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps(about))
    found = ecsim.compare(tmp_path / "sweep", arms=["ecc_snn"], metrics=["latency_s.mean"])
    assert [row["b"] for row in found.rows] == ["stream.payload=120 kB:ecc_snn"]
    alone = ecsim.compare(one, two, arms=["ecc_snn"], metrics=["latency_s.mean"])
    assert found.rows[0]["difference"] == alone.rows[0]["difference"]
    assert found.rows[0]["n"] == 2


def test_one_run_has_no_interval_but_batch_means_of_latency(write_scenario, tmp_path):
    run = ecsim.run(write_scenario(strategies=ARMS), out=tmp_path)
    found = ecsim.compare(run)
    row = row_of(found, "accuracy", "edge_only")
    assert math.isnan(row["low"])
    assert row["finding"] == "one replicate: a difference without an interval"
    latency = row_of(found, "latency_s.mean", "edge_only")
    assert latency["method"] == "batch means"
    tasks = run.tasks.sort_values(["t_arrive_s", "task_id"])
    of = {
        label: tasks[tasks["strategy"] == label]["latency_s"].to_numpy()
        for label in ("ecc_snn", "edge_only")
    }
    d = of["ecc_snn"] - of["edge_only"]
    parts = np.split(d[len(d) % 20 :], 20)
    means = [part.mean() for part in parts]
    low, high = stats.t.interval(0.95, 19, np.mean(means), stats.sem(means))
    assert (latency["low"], latency["high"]) == pytest.approx((low, high))
    assert any("this run's world alone" in note for note in found.notes)


def test_an_unstable_latency_is_not_compared(write_scenario, tmp_path):
    stream = STREAM | {"payload": "900 kB", "phase": "20 s"}
    path = write_scenario(stream=stream, strategies=[*ARMS, {"name": "cloud_only"}])
    run = ecsim.run(path, out=tmp_path)
    assert not run.summary["cloud_only"]["stable"]
    row = row_of(ecsim.compare(run), "latency_s.mean", "cloud_only")
    assert "cannot keep up" in row["finding"]


def test_the_command(replicated, tmp_path):
    found = replicated(n=2)
    result = CliRunner().invoke(
        cli, ["compare", found.path.name[:8], "--out", str(tmp_path / "a"),
              "--arms", "ecc_snn,edge_only", "--metrics", "accuracy,cur", "--json"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["rows"]
    assert [row["metric"] for row in rows] == ["accuracy", "cur"]
    shown = CliRunner().invoke(cli, ["compare", str(found.path)])
    assert shown.exit_code == 0, (shown.output, shown.exception)
    assert "accuracy (%)" in shown.output
    assert "finding" in shown.output


def test_wrong_names(replicated, tmp_path):
    found = replicated(n=2)
    with pytest.raises(UserError, match=r"--metrics: .*got 'acuracy', did you mean 'accuracy'"):
        ecsim.compare(found, metrics=["acuracy"])
    with pytest.raises(UserError, match=r"--arms: .*got 'edge'"):
        ecsim.compare(found, arms=["ecc_snn", "edge"])
    with pytest.raises(UserError, match="two strategies or two scenarios"):
        ecsim.compare(found, arms=["ecc_snn"])
    with pytest.raises(UserError, match="no result"):
        ecsim.compare("nothing", out=tmp_path)
