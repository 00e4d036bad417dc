"""Sweeps on a world without training: what runs, what does not, and what a death costs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

import ecsim
from ecsim.cli.main import cli
from ecsim.core.errors import ScenarioError, StoreError
from ecsim.experiment.engines.cluster import Cluster
from ecsim.experiment.plan import read_plan
from ecsim.records.opening import open_result

SCENARIOS = Path(__file__).parents[2] / "scenarios"
THRESHOLD = "strategies.ecc_snn.threshold"


@pytest.fixture
def write_sweep(write_scenario):
    """Give a function that writes a sweep of thresholds and worlds and returns its path."""

    def write(thresholds=(0.2, 0.6), worlds=(1, 2), **sections):
        axes = [
            {"keys": {THRESHOLD: list(thresholds)}},
            {"keys": {"seeds.world": list(worlds)}},
        ]
        return write_scenario(name="swept", **{"sweep": {"axes": axes}, **sections})

    return write


def call(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def start(path, out, *options, **environment):
    command = [sys.executable, "-m", "ecsim", "sweep", str(path), "--out", str(out), *options]
    return subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def test_two_engines_give_the_same_tables(write_sweep, tmp_path):
    path = write_sweep()
    one = ecsim.sweep(path, out=tmp_path / "a")
    two = ecsim.sweep(path, out=tmp_path / "b", jobs=2)
    assert one.path.name == two.path.name
    assert (one.path / "cells.csv").read_bytes() == (two.path / "cells.csv").read_bytes()
    pd.testing.assert_frame_equal(one.cells, two.cells)
    pd.testing.assert_frame_equal(
        pd.read_parquet(one.path / "cells.parquet"), pd.read_parquet(two.path / "cells.parquet")
    )
    assert list(one.runs) == list(two.runs) == list(one.planned)
    for cell, run in one.runs.items():
        pd.testing.assert_frame_equal(run.tasks, two.runs[cell].tasks)
    assert list(one.cells[THRESHOLD]) == [0.2, 0.2, 0.6, 0.6]
    assert list(one.cells["seeds.world"]) == [1, 2, 1, 2]
    assert (one.cells["cur"][:2].to_numpy() > one.cells["cur"][2:].to_numpy()).all()
    assert "4 of 4 cells done" in one._repr_html_()
    assert open_result("swept", tmp_path / "a").path == one.path


def test_a_cell_equals_the_run_with_its_values(write_sweep, tmp_path):
    path = write_sweep(thresholds=[0.35], worlds=[4])
    found = ecsim.sweep(path, out=tmp_path)
    alone = ecsim.run(path, set={THRESHOLD: 0.35, "seeds.world": 4}, out=tmp_path)
    (cell,) = found.runs.values()
    assert alone.manifest["scenario_sha256"].startswith(cell.path.name)
    pd.testing.assert_frame_equal(cell.tasks, alone.tasks)


def test_cells_of_another_ecsim_are_run_again(write_sweep, tmp_path):
    path = write_sweep(thresholds=[0.35], worlds=[4, 5])
    one, other = ecsim.sweep(path, out=tmp_path).runs.values()
    manifest = one.manifest | {"versions": one.manifest["versions"] | {"ecsim": "0.0.1"}}
    (one.path / "manifest.json").write_text(json.dumps(manifest))
    again = ecsim.sweep(path, out=tmp_path).runs
    assert again[one.path.name].manifest["versions"]["ecsim"] == ecsim.__version__
    assert again[other.path.name].manifest == other.manifest


def test_a_scenario_that_changes_between_plan_and_run_is_no_cell(write_sweep, tmp_path):
    path = write_sweep(thresholds=[0.35], worlds=[4])
    (cell,) = read_plan(path).cells
    assert cell.load().scenario.seeds.world == 4
    path.write_text(path.read_text() + "run: {warmup: 1 s}\n")
    with pytest.raises(StoreError, match="has changed meanwhile"):
        cell.load()


def test_a_file_of_its_own_sets_values_and_replicates(write_scenario, tmp_path):
    write_scenario(name="base", seed=5)
    section = {"set": {THRESHOLD: 0.9}, "axes": [{"keys": {"replicate": [0, 1]}}]}
    own = {"scenario": "base.yaml", "sweep": section}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
    plan = read_plan(tmp_path / "own.yaml")
    one, two = (cell.load().scenario for cell in plan.cells)
    assert plan.study.name == "own"
    assert one.seed == 5 != two.seed
    assert one.seeds.world != two.seeds.world and one.seeds.train != two.seeds.train
    assert one.strategies[0].params.threshold == 0.9


MISTAKES = {
    "unknown key": ({THRESHOLD + "s": [0.1]}, "unknown key, did you mean 'threshold'?"),
    "no such section": ({"streem.phase": ["1 s"]}, "unknown key, did you mean 'stream'?"),
    "refused value": ({THRESHOLD: [0.5, 1.5]}, "expected a number between 0 and 1, got 1.5"),
    "wrong unit": ({"stream.phase": ["10 s", "10 W"]}, "'W' is not a unit of time"),
    "no value": ({THRESHOLD: []}, "expected at least one value, got an empty list"),
    "ends of two dimensions": (
        {"stream.phase": {"from": "1 s", "to": "2 W", "n": 3}}, "two quantities of one dimension"
    ),
    "no n": ({THRESHOLD: {"from": 0, "to": 1}}, "expected an n in the range"),
    "only the data know": (
        {"stream.schedule.base_classes": [4, 11]}, "11"
    ),
    "no such strategy": ({"strategies.ecc_sn.threshold": [0.1]}, "did you mean 'ecc_snn'?"),
    "a replicate that is none": ({"replicate": [-1]}, "expected a whole number from 0 on"),
    "replications": ({"replications.min": [2, 3]}, "vary the key 'replicate' instead"),
    "a seed of one kind with replicates": (
        {"replicate": [0, 1], "seeds.world": [4]}, "no single seeds beside replicates"
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_positioned_before_anything_runs(write_sweep, tmp_path, mistake):
    keys, words = MISTAKES[mistake]
    path = write_sweep(sweep={"axes": [{"keys": keys}]})
    first = next(n for n, line in enumerate(path.read_text().splitlines(), 1) if "sweep:" in line)
    output = call("sweep", path, "--out", tmp_path / "out", code=2)
    assert words in output
    assert int(output.split(f"{path}:")[1].split(":")[0]) > first
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({"axes": []}, "expected at least one axis"),
        ({"axis": []}, "unknown key, did you mean 'axes'?"),
        ({"axes": [{"keys": {THRESHOLD: [1]}}, {"keys": {THRESHOLD: [0]}}]}, "on one axis"),
        ({"axes": [{"kind": "sobol", "keys": {THRESHOLD: [0]}}]}, "expected n points"),
        ({"axes": [{"kind": "zip", "keys": {"a": [1], "b": [1, 2]}}]}, "1 of a, 2 of b"),
        ({"axes": [{"kind": "list", "cells": [{"a": 1}, {"b": 1}]}]}, "the same keys"),
    ],
)
def test_sections_that_cannot_be(write_sweep, sweep, words):
    with pytest.raises(ScenarioError, match="swept.yaml:.*" + words.replace("?", r"\?")):
        read_plan(write_sweep(sweep=sweep))


def test_a_file_of_its_own_names_a_scenario(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("name: own\nsweep: {axes: [{keys: {seed: [1]}}]}\n")
    with pytest.raises(ScenarioError, match=r"own.yaml:1:1: scenario: missing") as caught:
        read_plan(own)
    assert len(caught.value.problems) == 1


def test_the_scenario_lies_in_the_folder_of_the_file(write_scenario, tmp_path):
    write_scenario(name="base")
    (tmp_path / "in").mkdir()
    own = tmp_path / "in" / "own.yaml"
    own.write_text("scenario: ../base.yaml\nsweep: {axes: [{keys: {seed: [1]}}]}\n")
    with pytest.raises(ScenarioError, match=r"own.yaml:1:11: scenario: expected a path inside"):
        read_plan(own)


def test_the_dry_run_runs_nothing(write_sweep, tmp_path):
    path = write_sweep()
    assert "4 cells, 0 done, 4 to run" in call("sweep", path, "--dry-run", "--out", tmp_path / "o")
    assert not (tmp_path / "o").exists()


@pytest.fixture
def fragile(write_scenario, fragile_plugin):
    """Give a function that writes a sweep over strategies that may break, and its plugin."""

    def write(*how, mark=""):
        strategy = {"name": "fragile", "mark": str(mark)}
        axes = [{"keys": {"strategies.fragile.how": list(how)}}]
        return write_scenario(
            name="frail", strategies=[strategy], sweep={"axes": axes}
        ), fragile_plugin

    return write


def test_a_failed_cell_is_kept_with_its_traceback_and_stops_nothing(fragile, tmp_path):
    path, plugin = fragile("raises", "well")
    output = call("sweep", path, "--plugin", plugin, "--out", tmp_path / "out", code=1)
    assert "1 of 2 cells done, 1 failed" in output
    found = open_result("frail", tmp_path / "out")
    ((cell, failure),) = found.failures.items()
    assert failure["values"] == {"strategies.fragile.how": "raises"}
    assert "RuntimeError: it broke" in failure["error"]
    assert "fragile.py" in failure["traceback"]
    assert json.loads((found.path / "failures" / f"{cell}.json").read_text()) == failure
    output = call("sweep", path, "--plugin", plugin, "--out", tmp_path / "fast", "--fail-fast",
                  code=1)  # fmt: skip
    assert "0 of 2 cells done, 1 failed" in output


def test_a_killed_worker_loses_only_its_cell_which_is_retried(fragile, tmp_path):
    path, plugin = fragile("well", "kills", "fine", "good", mark=tmp_path / "mark")
    found = ecsim.sweep(path, plugins=[plugin], jobs=2, out=tmp_path / "out")
    assert (tmp_path / "mark").exists()
    assert len(found.runs) == 4 and not found.failures


@pytest.mark.slow
def test_a_cell_that_always_kills_its_worker_fails_alone(fragile, tmp_path):
    path, plugin = fragile("well", "kills", "fine", "good")
    found = ecsim.sweep(path, plugins=[plugin], jobs=2, retries=0, out=tmp_path / "out")
    ((_, failure),) = found.failures.items()
    assert failure["values"] == {"strategies.fragile.how": "kills"}
    assert "worker process died" in failure["error"]
    assert len(found.runs) == 3


def manifests(out):
    """Give the cells that are whole, with what a second run would change."""
    return {path.parent.name: path.stat().st_mtime_ns
            for path in out.glob("*/cells/[!.]*/manifest.json")}  # fmt: skip


def test_a_driver_killed_three_times_goes_on(write_sweep, tmp_path):
    out = tmp_path / "out"
    path = write_sweep(thresholds=[0.1, 0.3, 0.5, 0.7], worlds=[1, 2, 3, 4, 5, 6])
    seen = {}
    for wanted in (2, 8, 15):
        driver = start(path, out, "-j", "2")
        limit = time.monotonic() + 120
        while len(manifests(out)) < wanted:
            assert driver.poll() is None and time.monotonic() < limit
            time.sleep(0.02)
        driver.send_signal(signal.SIGKILL)
        driver.communicate()
        now = manifests(out)
        assert {cell: now[cell] for cell in seen} == seen
        seen = now
    assert len(seen) < 24
    call("sweep", path, "--out", out)
    now = manifests(out)
    assert len(now) == 24
    assert {cell: now[cell] for cell in seen} == seen
    call("sweep", path, "--out", out)
    assert manifests(out) == now
    (folder,) = out.iterdir()
    assert len(pd.read_csv(folder / "cells.csv")) == 24


def test_ctrl_c_leaves_what_is_done_and_the_shells_code(write_sweep, tmp_path):
    out = tmp_path / "out"
    path = write_sweep(worlds=list(range(100)))
    driver = start(path, out)
    while len(manifests(out)) < 2:
        assert driver.poll() is None
        time.sleep(0.02)
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "the same command goes on" in errors and "Traceback" not in errors


@pytest.mark.slow
def test_the_200_cells_share_two_trainings_and_take_little_time_each(tmp_path):
    """The goal is 1.5 CPU-s per cell: 3 minutes for all on two cores, with a margin."""
    path = SCENARIOS / "sweeps" / "bandwidth-threshold.yaml"
    before = sum(os.times()[:4])
    found = ecsim.sweep(path, jobs=2, out=tmp_path)
    assert len(found.runs) == 200
    made = [made for run in found.runs.values() for made in run.manifest["trainings"]]
    assert len({of["key"] for of in made}) == 2
    assert sum(not of["cached"] for of in made) <= 2
    assert (sum(os.times()[:4]) - before) / 200 < 1.5


@pytest.mark.slow
def test_updates_are_trained_once_and_bounded_by_the_dry_run(tmp_path):
    path = SCENARIOS / "sweeps" / "updates.yaml"
    said = json.loads(call("sweep", path, "--dry-run", "--json", "--out", tmp_path))
    found = ecsim.sweep(path, jobs=2, out=tmp_path)
    made = [made for run in found.runs.values() for made in run.manifest["trainings"]]
    updates = {of["key"] for of in made if of["what"].startswith("update")}
    trained = [of["key"] for of in made if not of["cached"]]
    assert len(trained) == len(set(trained))
    assert 12 < len(updates) <= said["most_updates"]
    assert {of["key"] for of in said["trainings"]} == {of["key"] for of in made} - updates


def test_fewer_dask_workers_than_before_have_no_room():
    pytest.importorskip("distributed")
    cluster = Cluster(2)
    workers = {"a": 1, "b": 1}
    client = SimpleNamespace(nthreads=lambda: workers)
    assert [cluster._room(client, n) for n in (0, 3, 4)] == [4, 1, 0]
    workers.clear()  # the last one has just died, and comes back
    assert [cluster._room(client, n) for n in (0, 1, 3)] == [2, 1, 0]


@pytest.mark.slow
def test_a_killed_dask_worker_loses_nothing(fragile, write_sweep, tmp_path):
    pytest.importorskip("distributed")
    from distributed import Client, LocalCluster

    path, plugin = fragile("well", "kills", "fine", "good", mark=tmp_path / "mark")
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        found = ecsim.sweep(
            path, plugins=[plugin], scheduler=cluster.scheduler_address, engine="dask",
            out=tmp_path / "out",
        )  # fmt: skip
        assert (tmp_path / "mark").exists()
        assert len(found.runs) == 4 and not found.failures
        path = write_sweep()
        many = ecsim.sweep(
            path, scheduler=cluster.scheduler_address, engine="dask", out=tmp_path / "b"
        )
    alone = ecsim.sweep(path, out=tmp_path / "a")
    assert (many.path / "cells.csv").read_bytes() == (alone.path / "cells.csv").read_bytes()


@pytest.mark.parametrize("name", ["../out", "a/b", ".hidden", ""])
def test_a_name_that_is_no_folder_is_refused(write_scenario, tmp_path, name):
    write_scenario(name="base")
    own = tmp_path / "own.yaml"
    own.write_text(
        f"scenario: base.yaml\nname: '{name}'\nsweep: {{axes: [{{keys: {{seed: [1]}}}}]}}\n"
    )
    with pytest.raises(ScenarioError, match=r"own.yaml:2:7: name: expected a name for a folder"):
        read_plan(own)


def test_a_cell_that_is_not_whole_is_not_done(write_sweep, tmp_path):
    path = write_sweep()
    found = ecsim.sweep(path, out=tmp_path)
    broken = list(found.runs)[1]
    (found.path / "cells" / broken / "tasks.parquet").unlink()
    assert set(open_result("swept", tmp_path).runs) == set(found.planned) - {broken}
    assert "3 of 4 cells done" in call("collect", "swept", "--out", tmp_path)
    again = ecsim.sweep(path, out=tmp_path)
    pd.testing.assert_frame_equal(again.cells, found.cells)


def test_replicates_vary_all_seeds_also_where_the_command_line_fixes_one(write_sweep, tmp_path):
    path = write_sweep(sweep={"axes": [{"keys": {"replicate": [0, 1]}}]})
    said = call("sweep", path, "--set", "seeds.world=4", "--out", tmp_path / "out", code=2)
    assert "--set: seeds.world: expected no single seeds beside replicates" in said


@pytest.mark.parametrize(
    ("key", "over"),
    [
        (THRESHOLD, THRESHOLD),
        ("strategies.0.threshold", THRESHOLD),
        ("seeds.world.deeper", "seeds.world"),
    ],
)
def test_a_value_that_the_sweep_would_replace_is_refused(write_sweep, tmp_path, key, over):
    said = call("sweep", write_sweep(), "--set", f"{key}=0.5", "--out", tmp_path, code=2)
    message = f"has no effect, as the sweep varies {over}; leave one of them out"
    assert said.strip() == f"--set: {key}: {message}"


def test_a_key_has_one_value_in_the_file_too(write_sweep):
    axes = [{"keys": {THRESHOLD: [0.1]}}]
    with pytest.raises(ScenarioError, match=r"yaml:\d+:\d+: .*has no effect, as the sweep varies"):
        read_plan(write_sweep(sweep={"axes": axes, "set": {"strategies[0].threshold": 0.2}}))
    axes = [{"keys": {THRESHOLD: [0.1]}}, {"keys": {"strategies.0.threshold": [0.3]}}]
    with pytest.raises(ScenarioError, match=rf"yaml:\d+:\d+: .*{THRESHOLD} again by another"):
        read_plan(write_sweep(sweep={"axes": axes}))


def test_paths_are_said_from_the_working_folder_on(write_sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = call("sweep", write_sweep(thresholds=[0.3], worlds=[1]))
    (folder,) = Path("results").iterdir()
    assert said.splitlines()[-1] == f"1 of 1 cells done, 0 failed: {folder}/cells.csv"
