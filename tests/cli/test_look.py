"""`ls`, `show` and what wants a single run, on results of every kind."""

import json

import pytest
from click.testing import CliRunner

import ecsim
from ecsim.cli.main import cli

THRESHOLD = "strategies.ecc_snn.threshold"


def call(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


@pytest.fixture
def results(write_scenario, tmp_path):
    """Give a folder with a run, replications of two runs, and a sweep that lacks a cell."""
    out = tmp_path / "out"
    ecsim.run(write_scenario(name="alone"), out=out)
    ecsim.run(write_scenario(name="twice", replications={"min": 2}), out=out)
    axes = [{"keys": {THRESHOLD: [0.25, 0.75]}}]
    found = ecsim.sweep(write_scenario(name="swept", sweep={"axes": axes}), out=out)
    lost = list(found.runs)[1]
    (found.path / "cells" / lost / "manifest.json").unlink()
    (found.path / "failures" / f"{lost}.json").write_text(json.dumps({"error": "it\nbroke"}))
    return out


def test_ls_and_show_know_every_kind(results):
    rows = {row["kind"]: row for row in json.loads(call("ls", "--out", results, "--json"))}
    assert {*rows} == {"run", "replications", "sweep"}
    assert rows["replications"]["runs"] == 2
    assert rows["run"]["n_tasks"] == len(ecsim.load("alone", results).tasks)
    swept = rows["sweep"]
    assert (swept["cells"], swept["done"], swept["failed"]) == (2, 1, 1)
    assert swept["keys"] == [THRESHOLD]
    listed = call("ls", "--out", results)
    assert "1 of 2, 1 failed" in " ".join(listed.split())
    assert "2 replicates" in call("show", "twice", "--out", results)
    shown = call("show", "swept", "--out", results)
    assert "0.25" in shown and f"({THRESHOLD}=0.75): it\n" in shown
    assert "1 of 2 cells done, 1 failed" in shown
    said = json.loads(call("show", "swept", "--out", results, "--json"))
    assert said["done"] == 1 and len(said["failed"]) == 1
    assert json.loads(call("show", "twice", "--out", results, "--json"))["kind"] == "replications"
    for command in (("explain-task", "swept", 1), ("trace", "twice")):
        said = call(*command, "--out", results, code=2)
        assert "expected a single run" in said
        inside = said.split("such as ")[1].strip()
        assert ecsim.load(inside).summary
    assert "got the replications" in call("collect", "twice", "--out", results, code=2)
