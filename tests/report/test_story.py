"""A task's story says what its row and its spans say, however it ended."""

import re

import pytest
from click.testing import CliRunner

from ecsim.cli.main import cli
from ecsim.core.errors import UserError
from ecsim.report.story import story
from ecsim.runtime.run import run_scenario

UNITS = {
    "s": 1.0,
    "ms": 1e-3,
    "µs": 1e-6,
    "ns": 1e-9,
    "pJ": 1e-12,
    "nJ": 1e-9,
    "J": 1.0,
    "mJ": 1e-3,
    "µJ": 1e-6,
}
NUMBER = r"([-\d.e+]+) ([µmnp]?[sJ])\b"


def numbers(text, pattern):
    return [float(n) * UNITS[unit] for n, unit in re.findall(pattern + NUMBER, text)]


def uploaded(run, label, traced):
    tasks = run.tasks[(run.tasks["strategy"] == label) & run.tasks["uploaded"]]
    return tasks[(tasks["task_id"] < 30) == traced].iloc[0]


def test_spans_are_told_in_their_order(run):
    row = uploaded(run, "ecc_snn", traced=True)
    text = story(run, row["task_id"], ["ecc_snn"])
    spans = run.spans[(run.spans["task_id"] == row["task_id"]) & (run.spans["kind"] != "task")]
    spans = spans[spans["strategy"] == "ecc_snn"]
    since = numbers(text, r"after +")
    assert len(since) == len(spans) > 4
    assert since == sorted(since)
    took = numbers(text, r"(?:waits|inference|transfer|propagation) ")
    assert sum(took) == pytest.approx(row["latency_s"], rel=0.01)
    assert "above the threshold 0.3: the sample was uploaded" in text
    assert f"entropy {row['normalized_entropy']:.3f}" in text


def test_without_spans_the_row_is_told(run):
    row = uploaded(run, "cloud_only", traced=False)
    text = story(run, row["task_id"], ["cloud_only"])
    assert numbers(text, "held it ")[0] == pytest.approx(row["up_service_s"], rel=0.01)
    assert numbers(text, "latency ")[0] == pytest.approx(row["latency_s"], rel=0.01)
    assert numbers(text, "energy ")[0] == pytest.approx(row["energy_j"], rel=0.01)
    assert sum(numbers(text, "(?:cloud|up|down) ")) == pytest.approx(row["energy_j"], rel=0.01)
    assert "its own model was not asked" in text and "60.0 kB towards the cloud" in text
    assert f"at {row['device']} at {row['t_arrive_s']:.6f} s" in text


def test_right_and_wrong(run):
    for is_right in (True, False):
        tasks = run.tasks[(run.tasks["strategy"] == "ecc_snn") & (run.tasks["correct"] == is_right)]
        row = tasks.iloc[0]
        text = story(run, row["task_id"], ["ecc_snn"])
        assert ("wrong: it is" in text) is not is_right
        assert f"Answered {row['predicted']} by version {row['model_version']}" in text


ENDS = {
    "died": "It died with its device",
    "dropped": "It was dropped",
    "late": "it came after the horizon",
    "in_flight": "still under way when the run ended",
}


@pytest.fixture(scope="module")
def troubled(write_shared_scenario):
    """Give a run with an outage of a camera and the cloud, a slow link, a deadline, and a drain."""
    out = {"schedule": [{"at": "5 s", "for": "5 s"}]}
    stream = {
        "schedule": {"kind": "class_incremental", "base_classes": 4, "increment": 2},
        "phase": "5 s", "arrivals": {"kind": "poisson", "rate": "4 /s"}, "payload": "60 kB",
        "deadline": "300 ms",
    }  # fmt: skip
    later = {"schedule": [{"at": "12 s", "for": "2 s"}]}
    nodes = {
        "cam": {"count": 2, "tier": "edge", "card": "darwin3", "outages": out},
        "cloud": {"tier": "cloud", "card": "rtx3090", "outages": later},
    }
    link = {"between": ["cam", "cloud"], "card": "wifi_2012", "shared": True, "uplink": "3 Mbit/s"}
    path = write_shared_scenario(
        "troubled", stream=stream, topology={"nodes": nodes, "links": [link]},
        strategies=[{"name": "cloud_only"}], run={"drain": "2 s", "trace": 500},
    )  # fmt: skip
    return run_scenario(path, out=path.parent / "troubled")


@pytest.mark.parametrize("status", ENDS)
def test_however_it_ended(troubled, status):
    tasks = troubled.tasks[troubled.tasks["status"] == status]
    assert len(tasks), "the scenario no longer makes such a task"
    text = story(troubled, tasks["task_id"].iloc[0])
    assert ENDS[status] in text
    assert "missed" in text or status == "late"
    assert ("latency" in text) is (status == "late")


def test_the_command_and_its_mistakes(run):
    call = CliRunner().invoke
    result = call(cli, ["explain-task", str(run.path), "3", "--arms", "cloud_only"])
    assert result.exit_code == 0
    assert result.output.startswith("Task 3 of ") and "ecc_snn" not in result.output
    with pytest.raises(UserError, match=r"has no task 99999; they are numbered 0 to \d+"):
        story(run, 99999)
    result = call(cli, ["explain-task", str(run.path), "3", "--arms", "cloudonly"])
    assert result.exit_code == 2 and "did you mean 'cloud_only'" in result.output
