"""Splitting in the simulator: the plan's latency is the simulated one, and answers are real."""

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import ecsim
from ecsim.cli.main import cli
from ecsim.core import registry
from ecsim.core.errors import ScenarioError
from ecsim.runtime.run import run_scenario

QUIET = {
    "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 6},
    "phase": "60 s",
    "arrivals": {"kind": "periodic", "rate": "0.1 /s"},  # a task ends long before the next one
    "payload": "3 kB",
}
THREE = {
    "nodes": {
        "cam": {"tier": "end", "card": "raspberry_pi_4b"},
        "gate": {"tier": "edge", "card": "jetson_orin_nano"},
        "cloud": {"tier": "cloud", "card": "rtx3090"},
    },
    "links": [
        {"between": ["cam", "gate"], "card": "wifi_2012", "shared": True},
        {"between": ["gate", "cloud"], "card": "ethernet_gigabit"},
    ],
}
TWO = {
    "nodes": {
        "cam": {"tier": "edge", "card": "raspberry_pi_5"},
        "cloud": {"tier": "cloud", "card": "rtx3090"},
    },
    "links": [{"between": ["cam", "cloud"], "card": "wifi_2012", "shared": True}],
}


def lab(write, model, topology, *strategies, **more):
    sections = {
        "stream": QUIET,
        "topology": topology,
        "models": {"edge": {"name": "vgg"}, "cloud": {"name": model}},
        "learning": {
            "cloud": {"epochs": 1},
            "setup": {"name": "joint_distillation", "epochs": 1},
            "update": "none",
        },
        "strategies": [{"name": "split", **entry} for entry in strategies],
    } | more
    return write(f"split_{model}", **sections)


@pytest.fixture(scope="module")
def quiet(write_shared_scenario, tmp_path_factory):
    """A chain, a residual and a parallel network over two and over three nodes."""

    def run(model):
        if model == "vgg":
            topology, entries = (
                TWO,
                (
                    {"label": "planned"},
                    {"label": "all_cloud", "after": ["input"]},
                    {"label": "early", "after": ["backbone.stages.1"], "codec": "float16"},
                    {"label": "all_here", "after": ["cat"]},
                ),
            )
        else:
            middle, late = {
                "resnet": ("backbone.groups.0.0.first.0", "backbone.groups.1.0.second.0"),
                "inception": ("backbone.stem.2", "backbone.blocks.0.three.1"),
            }[model]
            via = ["edge", "cloud"]
            topology, entries = (
                THREE,
                (
                    {"label": "planned", "via": via, "partitioner": "tiers"},
                    {"label": "inside", "via": via, "after": [middle, late]},
                    {"label": "skips", "via": via, "after": [middle, middle]},
                ),
            )
        path = lab(write_shared_scenario, model, topology, *entries)
        return run_scenario(path, out=tmp_path_factory.mktemp("runs"))

    return {model: run(model) for model in ("vgg", "resnet", "inception")}


@pytest.mark.parametrize("model", ["vgg", "resnet", "inception"])
def test_a_plans_latency_and_energy_are_the_simulated_ones_on_an_idle_system(quiet, model):
    run = quiet[model]
    for label in run.tasks["strategy"].unique():
        tasks = run.tasks[run.tasks["strategy"] == label]
        marks = run.marks[run.marks["strategy"] == label].groupby("name")["value"].first()
        assert len(tasks) >= 10
        np.testing.assert_allclose(tasks["latency_s"], marks["predicted_latency_s"], rtol=1e-9)
        np.testing.assert_allclose(tasks["energy_j"], marks["predicted_energy_j"], rtol=1e-9)


def test_answers_and_bytes_are_those_of_the_whole_network(quiet):
    tasks = quiet["vgg"].tasks
    by = {label: tasks[tasks["strategy"] == label] for label in tasks["strategy"].unique()}
    assert by["all_cloud"]["predicted"].tolist() == by["all_here"]["predicted"].tolist()
    assert set(by["all_here"]["route"]) == {"edge"}
    assert set(by["all_cloud"]["route"]) == {"cloud"}
    assert (by["all_cloud"]["up_bytes"] == 3000).all()
    assert (by["early"]["up_bytes"] == 32 * 4 * 4 * 2).all()  # half precision
    assert (by["all_here"]["up_bytes"] == 0).all()
    assert by["planned"]["latency_s"].mean() <= min(
        by[label]["latency_s"].mean() for label in ("all_cloud", "all_here")
    )


def test_wrong_names_are_said_where_they_stand(write_scenario):
    for entry, message in (
        ({"partitioner": "neurosurgery"}, r"strategies\[0\].partitioner: .*neurosurgeon"),
        ({"codec": "int4"}, r"strategies\[0\].codec: .*int8"),
        ({"settings": {"objectiv": "energy"}}, r"strategies\[0\].settings: objectiv: .*objective"),
        ({"after": ["a", "b"]}, r"strategies\[0\].after: expected one layer per hop, 1, got 2"),
    ):
        with pytest.raises(ScenarioError, match=message):
            run_scenario(lab(write_scenario, "vgg", TWO, entry))


def test_validate_finds_what_the_untrained_network_can_tell(write_scenario):
    entries = (
        ({"after": ["backbone.stages.01"]}, "after: expected a layer", "did you mean"),
        ({"via": ["edge", "cloud"], "after": ["cat", "input"]}, "via: expected another tier", ""),
        ({"after": ["cat", "input"], "via": ["cloud", "edge"]}, "after: expected layers in", ""),
        ({"via": ["end"]}, "via: expected a tier that has nodes, one of edge, cloud", ""),
        ({"after": ["cat"]}, "", ""),
    )
    labelled = [{"label": f"arm{i}", **entry} for i, (entry, *_) in enumerate(entries)]
    path = lab(write_scenario, "vgg", TWO, *labelled)
    result = CliRunner().invoke(cli, ["validate", str(path)])
    assert result.exit_code == 2
    lines = result.output.splitlines()
    assert len(lines) == 4  # the last entry is right
    for line, (_, start, hint) in zip(lines, entries[:4], strict=True):
        assert re.match(rf"{path}:\d+:\d+: strategies\[\d\]\.{start}", line)
        assert hint in line


def test_a_table_of_predictions_cannot_be_split(write_scenario):
    path = write_scenario("table", strategies=[{"name": "split"}])
    result = CliRunner().invoke(cli, ["validate", str(path)])
    assert re.search(
        r"yaml:\d+:\d+: .*cloud model is known by its predictions alone", result.output
    )


OWN = """
from dataclasses import dataclass

import ecsim
from ecsim.partition.problem import PartitionPlan


@ecsim.register("partitioner", "to_and_fro")
class ToAndFro:
    \"\"\"Every other layer goes to the far end.\"\"\"

    @dataclass(frozen=True)
    class Params:
        pass

    def __init__(self, params):
        pass

    def plan(self, problem):
        return PartitionPlan(tuple(i % 2 for i in range(len(problem.graph))))
"""


def test_a_partitioner_from_one_file_may_send_a_pass_to_and_fro(
    write_scenario, tmp_path, monkeypatch, quiet
):
    monkeypatch.setattr(registry, "_PLUGINS", {kind: {} for kind in registry.kinds()})
    (tmp_path / "own.py").write_text(OWN)
    path = lab(write_scenario, "vgg", TWO, {"partitioner": "to_and_fro"})
    result = CliRunner().invoke(
        cli,
        ["run", str(path), "--out", str(tmp_path / "runs"), "--plugin", str(tmp_path / "own.py")],
    )
    assert result.exit_code == 0, result.output
    (folder,) = (tmp_path / "runs").glob("split_vgg-*")
    run = ecsim.load(folder)
    marks = run.marks.groupby("name")["value"].first()
    np.testing.assert_allclose(run.tasks["latency_s"], marks["predicted_latency_s"], rtol=1e-9)
    whole = quiet["vgg"].tasks
    whole = whole[whole["strategy"] == "all_here"]
    assert run.tasks["predicted"].tolist() == whole["predicted"].tolist()
    assert (run.tasks["down_bytes"] > 100).all()  # values came back, not only the answer


@pytest.mark.slow
def test_the_scenario_of_the_question_where_to_cut(tmp_path):
    run = run_scenario(Path(__file__).parents[2] / "scenarios/split/split.yaml", out=tmp_path)
    assert set(run.tasks["status"]) == {"answered"}


def test_a_node_needs_memory_for_its_own_layers_alone(write_scenario):
    nodes = {"cam": {"tier": "edge", "card": "raspberry_pi_5", "memory": "400 kB"}}
    topology = TWO | {"nodes": TWO["nodes"] | nodes}
    places = {"all_here": ["cat"], "first": ["input"], "part": ["backbone.stages.2.2"]}
    entries = [{"label": label, "after": after} for label, after in places.items()]
    entries.append({"label": "planned"})
    path = lab(write_scenario, "vgg", topology, *entries)
    run = run_scenario(path, out=path.parent / "runs")
    status = run.tasks.groupby("strategy")["status"].agg(set)
    assert status["all_here"] == {"dropped"}  # 0.9 MB of weights
    assert status["part"] == status["first"] == status["planned"] == {"answered"}
    (text,) = [text for text in run.manifest["warnings"] if "memory of" in text]
    start = "all_here: a part of version 0 of cloud needs 0."
    assert text.startswith(start)
    assert "MB, the memory of cam has 0.4 MB: refused" in text


def test_a_spiking_networks_plan_is_right_on_average(write_scenario):
    path = lab(
        write_scenario, "spiking_vgg", TWO,
        {"label": "bits", "after": ["max_pool2d"]},
        {"label": "zipped", "after": ["max_pool2d"], "codec": "zlib"},
    )  # fmt: skip
    run = run_scenario(path, out=path.parent / "runs")
    for label in ("bits", "zipped"):
        tasks = run.tasks[run.tasks["strategy"] == label]
        marks = run.marks[run.marks["strategy"] == label].groupby("name")["value"].first()
        # synaptic operations, and zipped bytes, differ from sample to sample
        assert tasks["latency_s"].nunique() > 1
        mean = tasks["latency_s"].mean()
        assert mean == pytest.approx(marks["predicted_latency_s"], rel=0.02)
    bits = run.tasks[run.tasks["strategy"] == "bits"]["up_bytes"]
    assert (bits == 4 * 32 * 4 * 4 / 8).all()
