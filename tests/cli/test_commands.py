"""The commands on a small world without training."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import ecsim
from ecsim.cli.main import cli
from ecsim.data.decoded import decoded


def call(*arguments, code=0):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def test_run_show_ls(write_scenario, tmp_path):
    out = tmp_path / "runs"
    output = call("run", write_scenario(), "--out", out).output
    assert "ecc_snn" in output
    (run,) = [path for path in out.iterdir() if not path.name.startswith(".")]
    assert str(run) in output.replace("\n", "")
    figures = {path.suffix for path in (run / "figures").iterdir()}
    assert figures == {".png", ".pdf"}
    assert run.name in call("ls", "--out", out).output
    assert json.loads(call("ls", "--out", out, "--json").output)[0]["name"] == run.name
    shown = call("show", "small", "--out", out).output
    assert "assumed constants" in shown
    assert json.loads(call("show", run, "--json").output) == json.loads(
        (run / "summary.json").read_text()
    )


def test_the_command_equals_the_function(write_scenario, tmp_path):
    path = write_scenario()
    call("run", path, "--out", tmp_path / "a", "--set", "strategies.ecc_snn.threshold=0.7", "-q")
    one = ecsim.load("small", tmp_path / "a")
    two = ecsim.run(path, set={"strategies.ecc_snn.threshold": 0.7}, out=tmp_path / "b")
    assert one.path.name == two.path.name
    for table in ("tasks", "updates", "energy", "probe"):
        pd.testing.assert_frame_equal(getattr(one, table), getattr(two, table))


def test_quiet_prints_nothing(write_scenario, tmp_path):
    assert call("run", write_scenario(), "--out", tmp_path / "runs", "--quiet").output == ""


def test_json_is_the_summary_alone(write_scenario, tmp_path):
    result = call("run", write_scenario(), "--out", tmp_path / "runs", "--json")
    assert json.loads(result.stdout)["ecc_snn"]["n"] > 0


@pytest.mark.parametrize(("text", "code"), [("ecc_snn.cur < 1", 0), ("ecc_snn.accuracy > 1", 3)])
def test_assertions_decide_the_exit_code_and_the_run_stays(write_scenario, tmp_path, text, code):
    path = write_scenario(**{"assert": [text]})
    result = call("run", path, "--out", tmp_path / "runs", code=code)
    assert ("assertion is false" in result.output) is (code == 3)
    run = ecsim.load("small", tmp_path / "runs")
    assert run.manifest["assertions"][0]["holds"] is (code == 0)
    assert "Traceback" not in result.output


def test_init_makes_a_valid_scenario(tmp_path):
    path = tmp_path / "new.yaml"
    call("init", path)
    assert "valid, 5 strategies" in call("validate", path).output


def test_explain_gives_origin_and_source(write_scenario):
    rows = json.loads(
        call("explain", write_scenario(), "--set", "topology.nodes.cam.count=3", "--json").output
    )
    by_path = {row["path"]: row for row in rows}
    assert by_path["topology.nodes.cam.count"]["origin"] == "--set"
    assert "Ma et al. 2024" in by_path["topology.nodes.cam.card"]["source"]
    assert "small.yaml:" in by_path["topology.nodes.cam.card"]["origin"]
    assert "default" in json.dumps(rows)
    assert "stream.phase" in call("explain", write_scenario()).output
    sources = [row["source"] for row in rows if row["path"].endswith("card")]
    assert any(text.startswith("seconds: effective rates, uncalibrated; ") for text in sources)


def test_schema_is_json_schema():
    schema = json.loads(call("schema").output)
    assert "stream" in schema["properties"]


def test_cache_lists_and_clears():
    assert "entries" in call("cache", "ls").output
    assert isinstance(json.loads(call("cache", "ls", "--json").output), list)
    assert "removed" in call("cache", "clear").output


def test_cache_counts_and_clears_decoded_data_sets(tmp_path, monkeypatch):
    monkeypatch.setenv("ECSIM_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "pictures.bin"
    source.write_bytes(b"0123")
    calls = []

    def decode():
        calls.append(1)
        return {"x": np.arange(250, dtype=np.float64)}

    for _ in range(2):
        assert decoded([source], "test", decode)["x"][3] == 3.0
    assert len(calls) == 1
    (entry,) = json.loads(call("cache", "ls", "--json").output)
    assert (entry["kind"], entry["bytes"]) == ("data", 250 * 8 + 128)  # the header of npy
    assert "1 entries" in call("cache", "ls").output
    assert "removed 1 entries" in call("cache", "clear").output
    assert json.loads(call("cache", "ls", "--json").output) == []
    decoded([source], "test", decode)
    assert len(calls) == 2


def test_help_and_import_load_nothing_heavy():
    code = (
        "import sys, ecsim; from ecsim.cli.main import cli\n"
        "try: cli(['--help'])\n"
        "except SystemExit: pass\n"
        "names = {'torch', 'pandas', 'matplotlib', 'simpy', 'pydantic', 'sklearn'}\n"
        "heavy = names & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_models_known_by_tables_need_no_network_library(write_scenario, tmp_path):
    code = (
        "import sys, ecsim; ecsim.run(sys.argv[1], out=sys.argv[2])\n"
        "heavy = {'torch', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    command = [sys.executable, "-c", code, str(write_scenario()), str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_plugin_strategy_runs(write_scenario, tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from ecsim.collab.strategy import Strategy\n"
        "from ecsim.core.registry import register\n"
        "from ecsim.core.types import Answer\n"
        "@register('strategy', 'mine_of_the_test')\n"
        "class Mine(Strategy):\n"
        "    def serve(self, task, ctx):\n"
        "        edge = yield ctx.infer(task.device, task)\n"
        "        return Answer(edge.label, at=task.device, by=edge)\n"
    )
    path = write_scenario(strategies=[{"name": "mine_of_the_test"}, {"name": "edge_only"}])
    call("run", path, "--out", tmp_path / "runs", "--plugin", plugin)
    run = ecsim.load("small", tmp_path / "runs")
    assert list(run.manifest["plugins"]) == ["strategy/mine_of_the_test"]
    mine, edge = run.summary["mine_of_the_test"], run.summary["edge_only"]
    assert mine["accuracy"] == edge["accuracy"]
    assert np.isclose(mine["latency_s"]["p99"], edge["latency_s"]["p99"])
