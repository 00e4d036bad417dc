"""Replicates: independent seeds, resumed, stopped by precision, the same for any jobs."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats

import ecsim
from ecsim.cli.main import cli
from ecsim.core.errors import EcsimError, ScenarioError, StoreError
from ecsim.records.replications import read_replications

STREAM = {
    "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
    "phase": "5 s",
    "arrivals": {"kind": "poisson", "rate": "4 /s"},
    "payload": "60 kB",
}
TWO = [{"name": "ecc_snn", "threshold": 0.5}, {"name": "cloud_only"}]


@pytest.fixture
def scenario(write_scenario):
    def write(**replications):
        return write_scenario(stream=STREAM, strategies=TWO, replications=replications)

    return write


def test_replicates_are_ordinary_runs_with_other_seeds(scenario, tmp_path):
    found = ecsim.run(scenario(min=3), out=tmp_path / "r")
    assert len(found.runs) == 3
    assert found.manifest["seeds"][0] == 3, "the first replicate is the scenario itself"
    for name in ("world", "data", "order", "train"):
        assert len({run.manifest["seeds"][name] for run in found.runs}) == 3
    alone = ecsim.run(
        scenario(min=3), set={"replications": None, "seed": found.manifest["seeds"][1]},
        out=tmp_path / "alone",
    )  # fmt: skip
    assert alone.path.name == found.runs[1].path.name
    pd.testing.assert_frame_equal(alone.tasks, found.runs[1].tasks)
    one = found.table.query("strategy == 'cloud_only'")
    assert one["accuracy"].tolist() == [r.summary["cloud_only"]["accuracy"] for r in found.runs]
    row = found.intervals.query("strategy == 'ecc_snn' and metric == 'latency_s.mean'").iloc[0]
    values = [run.summary["ecc_snn"]["latency_s"]["mean"] for run in found.runs]
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert (row["low"], row["high"], row["n"]) == pytest.approx((low, high, 3))
    html = found._repr_html_()
    assert "3 replicates" in html
    assert f"<td>{1e3 * np.mean(values):.4g} ± {1e3 * (high - low) / 2:.2g}</td>" in html


def test_finished_replicates_are_not_run_again_and_max_continues(scenario, tmp_path):
    first = ecsim.run(scenario(min=2), out=tmp_path)
    finished = [run.manifest["finished"] + str(run.manifest["cpu_s"]) for run in first.runs]
    more = ecsim.run(scenario(min=3), out=tmp_path)
    assert more.path == first.path
    again = [run.manifest["finished"] + str(run.manifest["cpu_s"]) for run in more.runs]
    assert again[:2] == finished
    assert len(again) == 3
    (more.runs[1].path / "manifest.json").unlink()
    with pytest.raises(StoreError, match="not a whole run"):
        read_replications(more.path)
    (more.path / "replications.json").unlink()  # as a killed process leaves it
    with pytest.raises(StoreError, match="no whole replications"):
        read_replications(more.path)


def test_it_stops_when_precise_and_not_before_min(scenario, tmp_path):
    rough = {"metric": "ecc_snn.accuracy", "half_width_ratio": 100.0}
    assert len(ecsim.run(scenario(min=2, max=9, stop=rough), out=tmp_path).runs) == 2
    never = {"metric": "ecc_snn.accuracy", "half_width_ratio": 1e-9}
    found = ecsim.run(scenario(min=2, max=3, stop=never), out=tmp_path)
    assert len(found.runs) == 3
    assert "max reached" in found.manifest["stop_reason"]
    # the smallest n whose interval is narrow enough, found by hand from the same replicates
    values = found.table.query("strategy == 'ecc_snn'")["accuracy"].to_numpy()
    half = stats.t.ppf(0.975, 1) * values[:2].std(ddof=1) / math.sqrt(2)
    ratio = half / values[:2].mean()
    for factor, n in ((1.01, 2), (0.99, 3)):
        stop = {"metric": "ecc_snn.accuracy", "half_width_ratio": float(ratio * factor)}
        assert len(ecsim.run(scenario(min=2, max=3, stop=stop), out=tmp_path).runs) == n


@pytest.mark.slow
def test_jobs_do_not_change_a_figure(scenario, tmp_path):
    stop = {"metric": "ecc_snn.accuracy", "half_width_ratio": 0.2}
    one = ecsim.run(scenario(min=2, max=6, stop=stop), out=tmp_path / "1")
    two = ecsim.run(scenario(min=2, max=6, stop=stop, jobs=2), out=tmp_path / "2")
    assert one.path.name == two.path.name
    assert one.manifest == two.manifest
    pd.testing.assert_frame_equal(one.table, two.table)


def test_a_killed_worker_loses_only_its_replicate(write_scenario, fragile_plugin, tmp_path):
    mark = tmp_path / "mark"
    path = write_scenario(
        strategies=[{"name": "fragile", "how": "kills", "mark": str(mark)}],
        replications={"min": 3, "jobs": 2},
    )
    found = ecsim.run(path, plugins=[fragile_plugin], out=tmp_path / "out")
    assert mark.exists()
    assert [run.manifest["scenario"]["seed"] for run in found.runs] == found.manifest["seeds"]
    assert len(found.runs) == 3


def test_what_a_replicate_raises_is_an_error_with_its_traceback(
    write_scenario, fragile_plugin, tmp_path
):
    strategy = {"name": "fragile", "how": "raises"}
    path = write_scenario(strategies=[strategy], replications={"min": 2})
    with pytest.raises(EcsimError, match=r"(?s)RuntimeError: it broke.*fragile.py"):
        ecsim.run(path, plugins=[fragile_plugin], out=tmp_path / "out")


def test_the_command_prints_intervals_and_json(scenario, tmp_path):
    path = scenario(min=2)
    shown = CliRunner().invoke(cli, ["run", str(path), "--out", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    assert "2 replicates" in shown.output
    assert "latency_s.mean (ms)" in shown.output
    result = CliRunner().invoke(cli, ["run", str(path), "--out", str(tmp_path), "--json"])
    assert json.loads(result.stdout)["kind"] == "replications"


def test_an_assertion_names_the_replicate_that_breaks_it(write_scenario, tmp_path):
    path = write_scenario(
        stream=STREAM, replications={"min": 2}, **{"assert": ["ecc_snn.accuracy > 1"]}
    )
    result = CliRunner().invoke(cli, ["run", str(path), "--out", str(tmp_path), "-q"])
    assert result.exit_code == 3
    assert "assertion is false in small-" in result.output


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"replications": {"mn": 3}}, "replications.mn: unknown key, did you mean 'min'?"),
        ({"replications": {"min": 1}}, "replications.min: expected at least 2, got 1"),
        ({"replications": {"min": 2.5}}, "replications.min: expected a whole number, got 2.5"),
        ({"replications": {"min": 5, "max": 4}}, "expected max of at least min (5), got 4"),
        ({"replications": {"min": 3, "max": 4}}, "replications: expected stop"),
        (
            {"replications": {"stop": {"metric": "x.cur", "half_width_ratio": 1}}},
            "replications.stop.metric: expected a strategy's label (ecc_snn), got 'x'",
        ),
        (
            {"replications": {"stop": {"metric": "ecc_snn.curr", "half_width_ratio": 1}}},
            "got 'curr', did you mean 'cur'?",
        ),
        ({"replications": {"min": 3}, "seeds": {"world": 1}}, "seeds.world: expected no seed"),
    ],
)
def test_mistakes_have_their_place(write_scenario, sections, words):
    path = write_scenario(**sections)
    with pytest.raises(ScenarioError) as caught:
        ecsim.run(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(caught.value.problems) == 1
